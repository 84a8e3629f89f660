/*
 * The tags of an object: up to ten pairs of key and value, as they come in x-amz-tagging ("a=b&c")
 * and in XML, and as they are kept in the object's metadata (STORE_META_TAG). Any thread.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "s3/s3_error.h"
#include "store/store.h"

#define S3_TAGS_MAX	       10u
#define S3_TAG_KEY_CHARS_MAX   128u
#define S3_TAG_VALUE_CHARS_MAX 256u

/* A character is at most four bytes of UTF-8. */
struct s3_tag {
	char key[4 * S3_TAG_KEY_CHARS_MAX + 1];
	char value[4 * S3_TAG_VALUE_CHARS_MAX + 1];
};
struct s3_tags {
	struct s3_tag tags[S3_TAGS_MAX]; /* by key */
	size_t count;
	const char *problem; /* why the last call failed, in words; static */
};

/* All these return S3_INVALID_TAG, or S3_INVALID_ARGUMENT where the form is wrong. */
enum s3_code s3_tags_add(struct s3_tags *tags, const char *key, const char *value) EOS_MUST_CHECK;
/* Adds what x-amz-tagging holds. */
enum s3_code s3_tags_parse(struct s3_tags *tags, const char *text) EOS_MUST_CHECK;
/* A Tagging document; also S3_MALFORMED_XML and S3_INTERNAL_ERROR. */
enum s3_code s3_tags_read_xml(struct s3_tags *tags, const char *text, size_t len) EOS_MUST_CHECK;

/* Replaces the tags in INFO. -ENOSPC. */
int s3_tags_store(const struct s3_tags *tags, struct store_object_info *info) EOS_MUST_CHECK;
/* How many INFO has. */
size_t s3_tags_count(const struct store_object_info *info);
/* Appends the TagSet of INFO. */
void s3_tags_write_xml(const struct store_object_info *info, struct eos_buf *buf);
