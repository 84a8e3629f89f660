#include "s3/s3_xml_tree_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "s3/s3_xml_read.h"

xmlDoc *s3_xml_parse(const char *text, size_t len, const char *root)
{
	static const char doctype[] = "<!DOCTYPE";
	if (len == 0 || len > S3_XML_BYTES_MAX ||
	    memmem(text, len, doctype, sizeof(doctype) - 1) != NULL)
		return NULL;
	xmlDoc *doc = xmlReadMemory(text, (int)len, "body.xml", "UTF-8",
				    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
					    XML_PARSE_NOCDATA);
	if (doc == NULL)
		return NULL;
	xmlNode *node = xmlDocGetRootElement(doc);
	if (node == NULL || doc->intSubset != NULL || strcmp((const char *)node->name, root) != 0) {
		xmlFreeDoc(doc);
		return NULL;
	}
	return doc;
}

bool s3_xml_is(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

const xmlNode *s3_xml_child(const xmlNode *node, const char *name)
{
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		if (s3_xml_is(child, name))
			return child;
	return NULL;
}

char *s3_xml_child_text(const xmlNode *node, const char *name)
{
	const xmlNode *child = s3_xml_child(node, name);
	if (child == NULL)
		return NULL;
	xmlChar *content = xmlNodeGetContent(child);
	if (content == NULL)
		return NULL;
	char *copy = strdup((const char *)content);
	xmlFree(content);
	return copy;
}

size_t s3_xml_count(const xmlNode *node, const char *name)
{
	size_t count = 0;
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		count += s3_xml_is(child, name);
	return count;
}

const xmlNode *s3_xml_next(const xmlNode *node, const char *name)
{
	for (node = node->next; node != NULL; node = node->next)
		if (s3_xml_is(node, name))
			return node;
	return NULL;
}

bool s3_xml_only(const xmlNode *node, const char *const *names)
{
	for (const xmlNode *child = node->children; child != NULL; child = child->next) {
		if (child->type != XML_ELEMENT_NODE)
			continue;
		const char *const *name = names;
		while (*name != NULL && !s3_xml_is(child, *name))
			name++;
		if (*name == NULL)
			return false;
	}
	return true;
}

int s3_xml_copy(const xmlNode *node, const char *name, char *out, size_t size)
{
	char *text = s3_xml_child_text(node, name);
	if (text == NULL)
		return -ENOENT;
	size_t len = strlen(text);
	if (len < size)
		memcpy(out, text, len + 1);
	free(text);
	return len < size ? 0 : -EINVAL;
}
