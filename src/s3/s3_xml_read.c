#include "s3/s3_xml_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "base/str.h"

void s3_xml_read_init(void)
{
	xmlInitParser();
}

/* The document if its root is ROOT, else NULL. */
static xmlDoc *parse(const char *text, size_t len, const char *root)
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

static bool is_element(const xmlNode *node, const char *name)
{
	return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

static const xmlNode *child_of(const xmlNode *node, const char *name)
{
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		if (is_element(child, name))
			return child;
	return NULL;
}

/* The text of child NAME, to be freed by the caller; NULL when there is none. */
static char *text_of(const xmlNode *node, const char *name)
{
	const xmlNode *child = child_of(node, name);
	if (child == NULL)
		return NULL;
	xmlChar *content = xmlNodeGetContent(child);
	if (content == NULL)
		return NULL;
	char *copy = strdup((const char *)content);
	xmlFree(content);
	return copy;
}

static size_t count_children(const xmlNode *node, const char *name)
{
	size_t count = 0;
	for (const xmlNode *child = node->children; child != NULL; child = child->next)
		count += is_element(child, name);
	return count;
}

int s3_xml_read_location(const char *text, size_t len, char ret_location[S3_LOCATION_MAX + 1])
{
	ret_location[0] = '\0';
	if (len == 0)
		return 0;
	xmlDoc *doc = parse(text, len, "CreateBucketConfiguration");
	if (doc == NULL)
		return -EINVAL;
	char *location = text_of(xmlDocGetRootElement(doc), "LocationConstraint");
	xmlFreeDoc(doc);
	if (location == NULL)
		return 0;
	int err = eos_str_copy(ret_location, S3_LOCATION_MAX + 1, location);
	free(location);
	return err < 0 ? -EINVAL : 0;
}

static int read_delete_keys(const xmlNode *root, struct s3_delete_list *list)
{
	for (const xmlNode *node = root->children; node != NULL; node = node->next) {
		if (!is_element(node, "Object"))
			continue;
		struct s3_delete_key *entry = &list->keys[list->count];
		entry->key = text_of(node, "Key");
		if (entry->key == NULL)
			return -EINVAL;
		entry->has_version = child_of(node, "VersionId") != NULL;
		list->count++;
	}
	return 0;
}

int s3_xml_read_delete(const char *text, size_t len, struct s3_delete_list *ret_list)
{
	struct s3_delete_list list = {0};
	xmlDoc *doc = parse(text, len, "Delete");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = count_children(root, "Object");
	int err = -EINVAL;
	if (count == 0 || count > S3_DELETE_KEYS_MAX)
		goto out;
	list.keys = calloc(count, sizeof(list.keys[0]));
	err = list.keys != NULL ? read_delete_keys(root, &list) : -ENOMEM;
	char *quiet = text_of(root, "Quiet");
	list.is_quiet = quiet != NULL && strcmp(quiet, "true") == 0;
	free(quiet);
out:
	xmlFreeDoc(doc);
	if (err < 0)
		s3_delete_list_fini(&list);
	else
		*ret_list = list;
	return err;
}

void s3_delete_list_fini(struct s3_delete_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->keys[i].key);
	free(list->keys);
	*list = (struct s3_delete_list){0};
}

static int read_part(const xmlNode *node, struct s3_part *part)
{
	uint64_t number = 0;
	char *text = text_of(node, "PartNumber");
	int err = text != NULL ? eos_parse_u64(text, &number) : -EINVAL;
	free(text);
	if (err < 0 || number == 0 || number > S3_PART_NUMBER_MAX)
		return -EINVAL;
	part->number = (unsigned)number;
	char *etag = text_of(node, "ETag");
	if (etag == NULL)
		return -EINVAL;
	const char *start = etag;
	size_t len = strlen(etag);
	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"') {
		etag[len - 1] = '\0';
		start++;
	}
	err = eos_str_copy(part->etag, sizeof(part->etag), start);
	free(etag);
	return err < 0 ? -EINVAL : 0;
}

int s3_xml_read_parts(const char *text, size_t len, struct s3_part_list *ret_list)
{
	struct s3_part_list list = {0};
	xmlDoc *doc = parse(text, len, "CompleteMultipartUpload");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = count_children(root, "Part");
	int err = -EINVAL;
	if (count == 0 || count > S3_PART_NUMBER_MAX)
		goto out;
	list.parts = calloc(count, sizeof(list.parts[0]));
	err = list.parts != NULL ? 0 : -ENOMEM;
	for (const xmlNode *node = root->children; node != NULL && err == 0; node = node->next)
		if (is_element(node, "Part"))
			err = read_part(node, &list.parts[list.count++]);
out:
	xmlFreeDoc(doc);
	if (err < 0)
		s3_part_list_fini(&list);
	else
		*ret_list = list;
	return err;
}

void s3_part_list_fini(struct s3_part_list *list)
{
	free(list->parts);
	*list = (struct s3_part_list){0};
}
