/*
 * Reading the XML bodies of S3 requests. The bytes come from clients: no network, no document
 * types, no entities but XML's own five, UTF-8 only. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "s3/s3_checksum.h"

#define S3_XML_BYTES_MAX   (2u << 20)
#define S3_DELETE_KEYS_MAX 1000u
#define S3_PART_NUMBER_MAX 10000u
#define S3_XML_ETAG_MAX	   64u
#define S3_LOCATION_MAX	   64u

/* Pays for libxml2's start-up in a defined place; call once before threads. */
void s3_xml_read_init(void);

/* A CreateBucketConfiguration's LocationConstraint, "" if there is none. LEN may be 0.
 * -EINVAL: malformed. */
int s3_xml_read_location(const char *text, size_t len,
			 char ret_location[S3_LOCATION_MAX + 1]) EOS_MUST_CHECK;

struct s3_delete_key {
	char *key;
	char *version, *etag; /* NULL: not given */
	bool has_others;      /* elements that nobody here knows */
};
struct s3_delete_list {
	struct s3_delete_key *keys;
	size_t count;
	bool is_quiet;
};
/* A Delete document. -EINVAL: malformed, no keys or more than S3_DELETE_KEYS_MAX; -ENOMEM. */
int s3_xml_read_delete(const char *text, size_t len,
		       struct s3_delete_list *ret_list) EOS_MUST_CHECK;
void s3_delete_list_fini(struct s3_delete_list *list);

struct s3_part {
	unsigned number;
	char etag[S3_XML_ETAG_MAX + 1]; /* without quotes */
	enum s3_checksum_kind sum_kind; /* NONE: not given */
	char sum[S3_CHECKSUM_TEXT_SIZE];
};
struct s3_part_list {
	struct s3_part *parts;
	size_t count;
};
/* A CompleteMultipartUpload document, in its order. -EINVAL, -ENOMEM. */
int s3_xml_read_parts(const char *text, size_t len, struct s3_part_list *ret_list) EOS_MUST_CHECK;
void s3_part_list_fini(struct s3_part_list *list);
