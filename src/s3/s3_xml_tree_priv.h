/*
 * Walking a client's XML document, for the files of this folder that read one. Nodes are borrowed
 * until xmlFreeDoc(). Elements are known by their local names: clients write name spaces or not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <libxml/tree.h>

#include "base/macros.h"

/* The document if it is well formed, has no document type and its root is ROOT, else NULL. */
xmlDoc *s3_xml_parse(const char *text, size_t len, const char *root);
bool s3_xml_is(const xmlNode *node, const char *name);
/* The first child element NAME, and the next sibling of that name; NULL: none. */
const xmlNode *s3_xml_child(const xmlNode *node, const char *name);
const xmlNode *s3_xml_next(const xmlNode *node, const char *name);
size_t s3_xml_count(const xmlNode *node, const char *name);
/* Are all child elements among NAMES (ended by NULL)? */
bool s3_xml_only(const xmlNode *node, const char *const *names);
/* The text of child NAME, to be freed by the caller; NULL when there is none. */
char *s3_xml_child_text(const xmlNode *node, const char *name);
/* The same into OUT. -ENOENT: no such child; -EINVAL: too long. */
int s3_xml_copy(const xmlNode *node, const char *name, char *out, size_t size) EOS_MUST_CHECK;
