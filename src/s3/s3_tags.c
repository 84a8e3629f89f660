#include "s3/s3_tags.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

static enum s3_code fail(struct s3_tags *tags, enum s3_code code, const char *problem)
{
	tags->problem = problem;
	return code;
}

/* Characters of UTF-8 are counted by their first bytes. */
static size_t count_chars(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

/* Letters of all languages, digits, spaces and + - = . _ : / @. */
static bool is_text(const char *text, size_t chars_max)
{
	static const char others[] = " +-=._:/@";
	for (const char *c = text; *c != '\0'; c++) {
		bool is_letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				 (*c >= '0' && *c <= '9') || (unsigned char)*c >= 0x80;
		if (!is_letter && strchr(others, *c) == NULL)
			return false;
	}
	return eos_utf8_is_valid(text, strlen(text)) && count_chars(text) <= chars_max;
}

enum s3_code s3_tags_add(struct s3_tags *tags, const char *key, const char *value)
{
	size_t at = 0;
	int order = -1;

	if (key[0] == '\0' || !is_text(key, S3_TAG_KEY_CHARS_MAX))
		return fail(tags, S3_INVALID_TAG, "The TagKey you have provided is invalid");
	if (eos_str_starts_with(key, "aws:"))
		return fail(tags, S3_INVALID_TAG,
			    "System tags cannot be added/updated by requester");
	if (!is_text(value, S3_TAG_VALUE_CHARS_MAX))
		return fail(tags, S3_INVALID_TAG, "The TagValue you have provided is invalid");
	while (at < tags->count && (order = strcmp(tags->tags[at].key, key)) < 0)
		at++;
	if (at < tags->count && order == 0)
		return fail(tags, S3_INVALID_TAG, "Cannot provide multiple Tags with the same key");
	if (tags->count == S3_TAGS_MAX)
		return fail(tags, S3_INVALID_TAG, "Object tags cannot be greater than 10");
	memmove(&tags->tags[at + 1], &tags->tags[at], (tags->count - at) * sizeof(tags->tags[0]));
	/* The lengths were checked in characters, which is no more bytes than fit. */
	strcpy(tags->tags[at].key, key);
	strcpy(tags->tags[at].value, value);
	tags->count++;
	return S3_OK;
}

/* Form decoding in place: '+' is a space. */
static bool decode(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '+')
			text[i] = ' ';
	long n = eos_percent_decode(text, len, text);
	if (n < 0 || memchr(text, '\0', (size_t)n) != NULL)
		return false;
	text[n] = '\0';
	return true;
}

enum s3_code s3_tags_parse(struct s3_tags *tags, const char *text)
{
	static const char problem[] =
		"The header 'x-amz-tagging' shall be encoded as UTF-8 then "
		"URLEncoded URL query parameters without tag name duplicates.";
	enum s3_code code = S3_OK;

	while (*text != '\0' && code == S3_OK) {
		char key[3 * sizeof(tags->tags[0].key)], value[3 * sizeof(tags->tags[0].value)];
		size_t len = strcspn(text, "&"), key_len = strcspn(text, "=&");
		size_t value_len = len > key_len ? len - key_len - 1 : 0;
		if (key_len >= sizeof(key) || value_len >= sizeof(value))
			return fail(tags, S3_INVALID_TAG, problem);
		memcpy(key, text, key_len);
		memcpy(value, text + len - value_len, value_len);
		if (!decode(key, key_len) || !decode(value, value_len))
			return fail(tags, S3_INVALID_ARGUMENT, problem);
		if (len > 0)
			code = s3_tags_add(tags, key, value);
		text += len + (text[len] == '&');
	}
	return code;
}

static enum s3_code add_node(struct s3_tags *tags, const xmlNode *node)
{
	static const char *const names[] = {"Key", "Value", NULL};
	char *key = s3_xml_child_text(node, "Key");
	char *value = s3_xml_child_text(node, "Value");
	enum s3_code code = S3_MALFORMED_XML;

	if (key != NULL && value != NULL && s3_xml_only(node, names) &&
	    s3_xml_count(node, "Key") == 1 && s3_xml_count(node, "Value") == 1)
		code = s3_tags_add(tags, key, value);
	free(key);
	free(value);
	return code;
}

enum s3_code s3_tags_read_xml(struct s3_tags *tags, const char *text, size_t len)
{
	xmlDoc *doc = s3_xml_parse(text, len, "Tagging");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *set = s3_xml_child(xmlDocGetRootElement(doc), "TagSet");
	enum s3_code code = set != NULL ? S3_OK : S3_MALFORMED_XML;
	if (set != NULL && s3_xml_count(set, "Tag") > S3_TAGS_MAX)
		code = fail(tags, S3_INVALID_TAG, "Object tags cannot be greater than 10");
	const xmlNode *node = set != NULL ? s3_xml_child(set, "Tag") : NULL;
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "Tag"))
		code = add_node(tags, node);
	xmlFreeDoc(doc);
	return code;
}

int s3_tags_store(const struct s3_tags *tags, struct store_object_info *info)
{
	char name[sizeof(STORE_META_TAG) + sizeof(tags->tags[0].key)];
	int err = 0;

	store_metadata_remove(info, STORE_META_TAG);
	for (size_t i = 0; i < tags->count && err == 0; i++) {
		snprintf(name, sizeof(name), "%s%s", STORE_META_TAG, tags->tags[i].key);
		err = store_metadata_add(info, name, tags->tags[i].value);
	}
	return err;
}

size_t s3_tags_count(const struct store_object_info *info)
{
	const char *name, *value;
	uint32_t offset = 0;
	size_t count = 0;

	while (store_metadata_next(info, &offset, &name, &value))
		count += eos_str_starts_with(name, STORE_META_TAG);
	return count;
}

void s3_tags_write_xml(const struct store_object_info *info, struct eos_buf *buf)
{
	const char *name, *value;
	uint32_t offset = 0;

	s3_xml_open(buf, "TagSet");
	while (store_metadata_next(info, &offset, &name, &value)) {
		if (!eos_str_starts_with(name, STORE_META_TAG))
			continue;
		s3_xml_open(buf, "Tag");
		s3_xml_text(buf, "Key", name + strlen(STORE_META_TAG));
		s3_xml_text(buf, "Value", value);
		s3_xml_close(buf, "Tag");
	}
	s3_xml_close(buf, "TagSet");
}
