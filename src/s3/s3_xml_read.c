#include "s3/s3_xml_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>

#include "base/str.h"
#include "s3/s3_xml_tree_priv.h"

void s3_xml_read_init(void)
{
	xmlInitParser();
}

int s3_xml_read_location(const char *text, size_t len, char ret_location[S3_LOCATION_MAX + 1])
{
	ret_location[0] = '\0';
	if (len == 0)
		return 0;
	xmlDoc *doc = s3_xml_parse(text, len, "CreateBucketConfiguration");
	if (doc == NULL)
		return -EINVAL;
	static const char *const names[] = {"LocationConstraint", NULL};
	bool is_known = s3_xml_only(xmlDocGetRootElement(doc), names);
	char *location = s3_xml_child_text(xmlDocGetRootElement(doc), "LocationConstraint");
	xmlFreeDoc(doc);
	if (!is_known) {
		free(location);
		return -ENOTSUP;
	}
	if (location == NULL)
		return 0;
	int err = eos_str_copy(ret_location, S3_LOCATION_MAX + 1, location);
	free(location);
	return err < 0 ? -EINVAL : 0;
}

static int read_delete_keys(const xmlNode *root, struct s3_delete_list *list)
{
	static const char *const names[] = {"Key", "VersionId", "ETag", NULL};

	for (const xmlNode *node = root->children; node != NULL; node = node->next) {
		if (!s3_xml_is(node, "Object"))
			continue;
		struct s3_delete_key *entry = &list->keys[list->count];
		entry->key = s3_xml_child_text(node, "Key");
		if (entry->key == NULL)
			return -EINVAL;
		list->count++;
		entry->version = s3_xml_child_text(node, "VersionId");
		entry->etag = s3_xml_child_text(node, "ETag");
		entry->has_others = !s3_xml_only(node, names);
	}
	return 0;
}

int s3_xml_read_delete(const char *text, size_t len, struct s3_delete_list *ret_list)
{
	struct s3_delete_list list = {0};
	xmlDoc *doc = s3_xml_parse(text, len, "Delete");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = s3_xml_count(root, "Object");
	int err = -EINVAL;
	if (count == 0 || count > S3_DELETE_KEYS_MAX)
		goto out;
	list.keys = calloc(count, sizeof(list.keys[0]));
	err = list.keys != NULL ? read_delete_keys(root, &list) : -ENOMEM;
	char *quiet = s3_xml_child_text(root, "Quiet");
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
	for (size_t i = 0; i < list->count; i++) {
		free(list->keys[i].key);
		free(list->keys[i].version);
		free(list->keys[i].etag);
	}
	free(list->keys);
	*list = (struct s3_delete_list){0};
}

/* At most one. */
static int read_part_sum(const xmlNode *node, struct s3_part *part)
{
	for (unsigned i = S3_CHECKSUM_NONE + 1; i < S3_CHECKSUM_KINDS; i++) {
		enum s3_checksum_kind kind = (enum s3_checksum_kind)i;
		int err = s3_xml_copy(node, s3_checksum_tag(kind), part->sum, sizeof(part->sum));
		if (err == -ENOENT)
			continue;
		if (err < 0 || part->sum_kind != S3_CHECKSUM_NONE)
			return -EINVAL;
		part->sum_kind = kind;
	}
	return 0;
}

static int read_part(const xmlNode *node, struct s3_part *part)
{
	uint64_t number = 0;
	char *text = s3_xml_child_text(node, "PartNumber");
	int err = text != NULL ? eos_parse_u64(text, &number) : -EINVAL;
	free(text);
	if (err < 0 || number == 0 || number > S3_PART_NUMBER_MAX)
		return -EINVAL;
	part->number = (unsigned)number;
	char *etag = s3_xml_child_text(node, "ETag");
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
	return err < 0 ? -EINVAL : read_part_sum(node, part);
}

int s3_xml_read_parts(const char *text, size_t len, struct s3_part_list *ret_list)
{
	struct s3_part_list list = {0};
	xmlDoc *doc = s3_xml_parse(text, len, "CompleteMultipartUpload");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = s3_xml_count(root, "Part");
	int err = -EINVAL;
	if (count == 0 || count > S3_PART_NUMBER_MAX)
		goto out;
	list.parts = calloc(count, sizeof(list.parts[0]));
	err = list.parts != NULL ? 0 : -ENOMEM;
	for (const xmlNode *node = root->children; node != NULL && err == 0; node = node->next)
		if (s3_xml_is(node, "Part"))
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
