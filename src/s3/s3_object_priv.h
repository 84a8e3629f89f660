/*
 * What the operations on objects share: versions, metadata, conditions, checksums, object lock.
 * They run on the connection's thread and may block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3/s3_checksum.h"
#include "s3/s3_priv.h"
#include "s3/s3_xml_read.h"

/* Names of metadata that this folder keeps with objects, beside the store's own. */
#define S3_METADATA_CHECKSUM ".checksum"     /* an s3_checksum_record */
#define S3_METADATA_PARTS    ".parts"	     /* an s3_part_map */
#define S3_METADATA_PARTSUMS ".part-sums"    /* the parts' checksums in base64, with commas */
#define S3_METADATA_UPLOAD   ".upload"	     /* the id of the upload that made it */
#define S3_METADATA_PIECES   ".parts-bucket" /* of an upload under way: where its parts are */
/* The same: when its bucket was made, in nanoseconds. One of the same name may be another's. */
#define S3_METADATA_BUCKET ".bucket-created"

/* s3_version.c */

#define S3_VERSION_SIZE 17u
void s3_format_version(uint64_t version, char out[S3_VERSION_SIZE]);
/* What x-amz-version-id and its like hold. S3_INVALID_ARGUMENT. */
enum s3_code s3_parse_version(struct s3_request *request, const char *text,
			      uint64_t *ret_version) EOS_MUST_CHECK;

/* One version of one object, with borrowed names. */
struct s3_place {
	const char *bucket, *key;
	size_t key_len;
	uint64_t version; /* or STORE_VERSION_LATEST */
};
/* What the request itself names. */
struct s3_place s3_place_of(const struct s3_request *request);
/* Answers with a header NAME that tells VERSION, if BUCKET is one that has versions. */
void s3_add_version(struct s3_request *request, const char *name, const char *bucket,
		    uint64_t version);
/* Answers a write with x-amz-version-id, if a version came to be: what is written while versions
 * are suspended replaces the null one, and S3 names none. */
void s3_add_new_version(struct s3_request *request);
/* What to say when the store returned ERR for PLACE: that the bucket, the key or the version is
 * missing, or that it is a delete marker; of s3_place_of(), with the headers that tell of it. */
enum s3_code s3_missing(struct s3_request *request, const struct s3_place *place, int err);
/* KEY: the customer's, if it was given, as it must be exactly where it is needed. */
enum s3_code s3_open(struct s3_request *request, const struct s3_place *place,
		     const struct s3_customer_key *key,
		     struct store_reader **ret_reader) EOS_MUST_CHECK;
/* The request's own version, and the header that names it. */
enum s3_code s3_find(struct s3_request *request, struct store_object_info *ret_info) EOS_MUST_CHECK;

/* s3_lifecycle_header.c: tells when the latest version, INFO, of the request's object expires, if a
 * rule of its bucket says so. */
void s3_add_expiration(struct s3_request *request, const struct store_object_info *info);

/* s3_metadata.c */

/* What the request's headers say that is to be kept with an object: content headers, user
 * metadata. */
enum s3_code s3_take_metadata(struct s3_request *request,
			      struct store_object_info *info) EOS_MUST_CHECK;
/* x-amz-tagging, or the field tagging of a form. */
enum s3_code s3_take_tags(struct s3_request *request,
			  struct store_object_info *info) EOS_MUST_CHECK;
/* Copies the pairs of SOURCE that belong to the object's user: tags are IS_TAG. */
enum s3_code s3_copy_pairs(const struct store_object_info *source, bool is_tag,
			   struct store_object_info *info) EOS_MUST_CHECK;

/* s3_condition.c */

/* If-Match and If-None-Match of a request that writes, into request->put. What does not hold
 * already now is S3_PRECONDITION_FAILED. */
enum s3_code s3_read_put_condition(struct s3_request *request) EOS_MUST_CHECK;

/* s3_object_put.c */

/* All that the headers of a PUT or of the begin of a multipart upload say of the object that is to
 * be: metadata, tags, lock and the bucket's defaults, into request->object (s3_new_object()). */
enum s3_code s3_take_object(struct s3_request *request) EOS_MUST_CHECK;
/* Begins request->upload at the request's key with request->object as its metadata. */
enum s3_code s3_begin_upload(struct s3_request *request) EOS_MUST_CHECK;
/* Commits request->upload under request->put, as EVENT; INFO (may be request->object) is what was
 * made. */
enum s3_code s3_commit_upload(struct s3_request *request, enum store_event_kind event,
			      struct store_object_info *info) EOS_MUST_CHECK;
/* The header ETag of INFO. */
void s3_add_etag(struct s3_request *request, const struct store_object_info *info);
/* An empty request->object. S3_INTERNAL_ERROR: no memory. */
enum s3_code s3_new_object(struct s3_request *request) EOS_MUST_CHECK;

/* s3_tagging.c */

/* Changes the metadata of the request's version by store_object_update(); CHANGE says -EMSGSIZE
 * when it does not fit. */
enum s3_code s3_update(struct s3_request *request,
		       int (*change)(void *ctx, struct store_object_info *info),
		       void *ctx) EOS_MUST_CHECK;

/* s3_multipart_part.c */

/* The query's partNumber, 1 to 10,000. */
enum s3_code s3_read_part_number(struct s3_request *request, uint64_t *ret_number) EOS_MUST_CHECK;
/* "bytes=0-9", nothing less. -EINVAL. */
int s3_parse_copy_range(const char *text, uint64_t *ret_first, uint64_t *ret_last) EOS_MUST_CHECK;

/* s3_object_sum.c */

/* The algorithm that HEADER names; NONE without it. S3_INVALID_REQUEST. */
enum s3_code s3_read_algorithm(struct s3_request *request, const char *header,
			       enum s3_checksum_kind *ret_kind) EOS_MUST_CHECK;

/* Whether the checksum that x-amz-sdk-checksum-algorithm announces is there. */
enum s3_code s3_check_announced(struct s3_request *request) EOS_MUST_CHECK;
/* Of what INFO describes. */
void s3_checksum_of(const struct store_object_info *info, struct s3_checksum_record *ret_record);
/* Keeps RECORD with INFO; kind NONE: nothing. */
enum s3_code s3_keep_checksum(struct store_object_info *info,
			      const struct s3_checksum_record *record) EOS_MUST_CHECK;
/* The checksum that a POST form has of its file, from the first byte of that to behind its last. */
enum s3_code s3_begin_form_checksum(struct s3_request *request) EOS_MUST_CHECK;
enum s3_code s3_end_form_checksum(struct s3_request *request) EOS_MUST_CHECK;
/* Keeps that of the request's body with request->object, and with its upload. */
enum s3_code s3_keep_body_checksum(struct s3_request *request) EOS_MUST_CHECK;
/* Headers, or elements, that tell RECORD; nothing for kind NONE. */
void s3_add_checksum(struct s3_request *request, const struct s3_checksum_record *record);
void s3_checksum_xml(struct eos_buf *buf, const struct s3_checksum_record *record);
/* Reads LEN bytes at OFFSET through a checksum. */
enum s3_code s3_compute_checksum(struct store_reader *reader, uint64_t offset, uint64_t len,
				 enum s3_checksum_kind kind,
				 struct s3_checksum_record *ret_record) EOS_MUST_CHECK;
/* The checksum of part NUMBER (from 1) of an object; kind NONE: not known. */
void s3_part_checksum_of(const struct store_object_info *info, uint64_t number,
			 struct s3_checksum_record *ret_record);
/* How many parts INFO's object was made of; 0: it was not made of parts. */
uint64_t s3_parts_count_of(const struct store_object_info *info);

/* s3_lock.c */

/* x-amz-object-lock-… or the bucket's default, into INFO. */
enum s3_code s3_take_lock(struct s3_request *request,
			  struct store_object_info *info) EOS_MUST_CHECK;
/* Headers that tell INFO's retention and legal hold. */
void s3_add_lock(struct s3_request *request, const struct store_object_info *info);
/* Whether the request asks for it (who may not was refused before: s3_access.h). */
bool s3_bypasses_governance(const struct s3_request *request);

/* s3_object_copy.c */

/* What x-amz-copy-source names, open, and its conditions hold. */
enum s3_code s3_open_copy_source(struct s3_request *request,
				 struct store_reader **ret_reader) EOS_MUST_CHECK;
