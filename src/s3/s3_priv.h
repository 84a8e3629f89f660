/*
 * One request on its way through the S3 server, for the files of this folder.
 *
 *   begin   query, signature, route, headers; then the operation's begin
 *   body    through struct s3_body into the operation's sink
 *   end     the body agrees with what was promised; then the operation's end answers
 *   finish  frees everything, also what an operation left half done
 *
 * Each step returns S3_OK or the code that is answered at once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/spares.h"
#include "http/http_server.h"
#include "s3/s3.h"
#include "s3/s3_auth.h"
#include "s3/s3_body.h"
#include "s3/s3_encryption.h"
#include "s3/s3_error.h"
#include "s3/s3_post.h"
#include "s3/s3_query.h"

#define S3_OWNER	     "edgeos"
#define S3_HEADERS_MAX	     256u
#define S3_USER_METADATA_MAX 2048u
#define S3_PUT_BYTES_MAX     (UINT64_C(5) << 30)
#define S3_PART_BYTES_MIN    (UINT64_C(5) << 20)
#define S3_COPY_BLOCK_BYTES  (256u << 10)
#define S3_MULTIPART_BUCKET  ".multipart"
#define S3_METADATA_ETAG     ".etag" /* replaces the store's ETag: objects made of parts */
#define S3_METADATA_KEY	     ".key"  /* of an upload under way */
#define S3_METADATA_SSE	     ".sse"  /* "AES256": what it was encrypted with */
#define S3_METADATA_ACL	     ".acl"  /* s3_acl.h; none: private to the bucket's owner */
/* All user metadata that a request can have, and our own. */
#define S3_RESPONSE_HEADERS_MAX (S3_HEADERS_MAX + 48u)
#define S3_ETAG_TEXT_SIZE	80u

struct s3_server {
	struct s3_config config;
	struct store *store; /* borrowed */
	struct http_server *http;
	struct s3_lifecycle_runner *lifecycle; /* owned; NULL: none */
	_Atomic uint64_t requests;	       /* with SEED, the request's id */
	uint64_t seed;
	struct eos_spares spares; /* requests that are over, for the next */
};

/* The operation itself asks, for each key that it touches. */
#define S3_ACTION_EACH ""

enum s3_level { S3_LEVEL_SERVICE, S3_LEVEL_BUCKET, S3_LEVEL_OBJECT };
/* S3_BODY_XML: gathered in request->xml, whatever it is. S3_BODY_FORM: a POST form, which has the
 * signature in it and is let in only when that was checked. */
enum s3_body_use { S3_BODY_UNUSED, S3_BODY_XML, S3_BODY_OBJECT, S3_BODY_FORM };

struct s3_request;

struct s3_operation {
	const char *method;
	enum s3_level level;
	const char *selector; /* the query parameter that chooses it, or NULL */
	bool is_copy;	      /* chosen by x-amz-copy-source */
	enum s3_body_use body_use;
	const char *const *params;			   /* allowed in the query, ended by NULL */
	enum s3_code (*begin)(struct s3_request *request); /* may be NULL */
	enum s3_code (*end)(struct s3_request *request);   /* answers when S3_OK */
	/* What a policy must allow, without "s3:": "GetObject". With versionId in the query it
	 * becomes the version's action. NULL: only the bucket's owner may. */
	const char *action;
};

struct s3_upload;

struct s3_request {
	struct s3_server *server;
	struct http_request *http;
	const struct s3_operation *operation;
	char id[17];
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	size_t key_len;
	/* Whose credentials signed the request; "" for the operator's and for anonymous ones. */
	bool is_anonymous;
	bool is_form; /* the credentials were in a POST form */
	char tenant[STORE_TENANT_MAX + 1];
	/* Of the bucket, once the request was let in. */
	struct store_bucket_settings settings;
	/* The bucket's lifecycle rules as they were then, "" if it has none; where nobody looked,
	 * HAS_LIFECYCLE is false. */
	bool has_lifecycle;
	struct eos_buf lifecycle;
	size_t headers_count;
	struct s3_signer signer;
	bool has_body;
	struct s3_body body;
	struct s3_post *post;		  /* of S3_BODY_FORM, owned; s3_post.h */
	struct eos_buf xml;		  /* the body of S3_BODY_XML operations */
	struct store_upload *upload;	  /* of S3_BODY_OBJECT operations */
	uint64_t offset;		  /* in it */
	struct store_put_options put;	  /* what must be so when it is committed */
	struct store_object_info *object; /* its metadata */
	struct s3_upload *multipart;	  /* that the query names, once it was looked for */
	struct s3_encryption encryption;
	struct s3_checksum form_sum; /* of a form's file, if the form has one */
	uint64_t version;	     /* that versionId names, or STORE_VERSION_LATEST */
	/* What is large comes last, and is not cleared for each request: but for what tells that it
	 * is empty. */
	struct s3_query query;
	char key[STORE_KEY_MAX + 1]; /* NUL-terminated too */
	char message[192];	     /* instead of the code's own, "" if none */
	struct s3_auth auth;
	struct s3_header headers[S3_HEADERS_MAX];
};

/* s3_route.c */
/* Bucket, key and operation. */
enum s3_code s3_route(struct s3_request *request) EOS_MUST_CHECK;
enum s3_code s3_check_bucket_name(const char *name) EOS_MUST_CHECK;
/* Whether it can be a key: its length, and UTF-8. "" can. */
enum s3_code s3_check_key(struct s3_request *request, const char *key, size_t len) EOS_MUST_CHECK;

/* s3_headers.c */
/* NULL: absent. Of repeated ones the first. */
const char *s3_header(const struct s3_request *request, const char *name);
/* S3_NOT_IMPLEMENTED for what nobody here understands. */
enum s3_code s3_check_headers(struct s3_request *request) EOS_MUST_CHECK;
/* Without quotes. Borrowed from INFO. */
const char *s3_etag_of(const struct store_object_info *info);

/* s3_condition.c */
struct s3_condition_headers {
	const char *if_match, *if_none_match, *if_modified_since, *if_unmodified_since;
};
enum s3_code s3_check_conditions(const struct s3_condition_headers *headers,
				 const struct store_object_info *info) EOS_MUST_CHECK;
/* "Sun, 06 Nov 1994 08:49:37 GMT" to seconds since 1970. -EINVAL. */
int s3_parse_http_date(const char *text, int64_t *ret_s) EOS_MUST_CHECK;
/* "bytes=…" over SIZE bytes: 1 and a part, 0: no such header or one to ignore (the whole), -ERANGE.
 */
int s3_parse_range(const char *text, uint64_t size, uint64_t *ret_first,
		   uint64_t *ret_len) EOS_MUST_CHECK;

/* s3_server.c */
/* Sets the message and returns CODE. */
enum s3_code s3_say(struct s3_request *request, enum s3_code code, const char *fmt, ...)
	EOS_PRINTF(3, 4);
/* Adds a header to whatever the request will be answered with; copied. Without memory for it the
 * answer goes without. */
void s3_add_header(struct s3_request *request, const char *name, const char *value);
void s3_respond(struct s3_request *request, unsigned status, const struct http_header *headers,
		size_t headers_count, const void *body, size_t body_len);
/* BUF is S3's XML and is emptied. */
enum s3_code s3_respond_xml(struct s3_request *request, struct eos_buf *buf) EOS_MUST_CHECK;

/* The operations. */
enum s3_code s3_list_buckets(struct s3_request *request);
enum s3_code s3_create_bucket(struct s3_request *request);
enum s3_code s3_head_bucket(struct s3_request *request);
enum s3_code s3_delete_bucket(struct s3_request *request);
enum s3_code s3_get_location(struct s3_request *request);
enum s3_code s3_list_objects(struct s3_request *request);
enum s3_code s3_list_versions(struct s3_request *request);
enum s3_code s3_delete_objects(struct s3_request *request);
enum s3_code s3_get_object(struct s3_request *request);
enum s3_code s3_get_attributes(struct s3_request *request);
enum s3_code s3_get_tagging(struct s3_request *request);
enum s3_code s3_put_tagging(struct s3_request *request);
enum s3_code s3_delete_tagging(struct s3_request *request);
enum s3_code s3_get_lock_config(struct s3_request *request);
enum s3_code s3_put_lock_config(struct s3_request *request);
enum s3_code s3_get_retention(struct s3_request *request);
enum s3_code s3_put_retention(struct s3_request *request);
enum s3_code s3_get_legal_hold(struct s3_request *request);
enum s3_code s3_put_legal_hold(struct s3_request *request);
enum s3_code s3_put_object_begin(struct s3_request *request);
enum s3_code s3_put_object(struct s3_request *request);
enum s3_code s3_copy_object(struct s3_request *request);
enum s3_code s3_delete_object(struct s3_request *request);
enum s3_code s3_create_multipart(struct s3_request *request);
enum s3_code s3_upload_part_begin(struct s3_request *request);
enum s3_code s3_upload_part(struct s3_request *request);
enum s3_code s3_upload_part_copy(struct s3_request *request);
enum s3_code s3_complete_multipart(struct s3_request *request);
enum s3_code s3_abort_multipart(struct s3_request *request);
/* All uploads of the request's bucket, which was made at CREATED_NS and is gone. */
enum s3_code s3_remove_uploads(struct s3_request *request, uint64_t created_ns) EOS_MUST_CHECK;
enum s3_code s3_list_parts(struct s3_request *request);
enum s3_code s3_list_multiparts(struct s3_request *request);

/* s3_bucket_absent.c */
enum s3_code s3_get_absent(struct s3_request *request);
enum s3_code s3_delete_absent(struct s3_request *request);

/* s3_bucket_config.c, s3_acl_ops.c, s3_route_bucket.c: the configuration of buckets. */
extern const struct s3_operation s3_bucket_operations[];
extern const size_t s3_bucket_operations_count;
enum s3_code s3_get_document(struct s3_request *request);
enum s3_code s3_put_document(struct s3_request *request);
enum s3_code s3_delete_document(struct s3_request *request);
enum s3_code s3_put_notification(struct s3_request *request);
enum s3_code s3_get_policy_status(struct s3_request *request);
enum s3_code s3_get_versioning(struct s3_request *request);
enum s3_code s3_put_versioning(struct s3_request *request);
enum s3_code s3_get_encryption(struct s3_request *request);
enum s3_code s3_put_encryption(struct s3_request *request);
enum s3_code s3_delete_encryption(struct s3_request *request);
enum s3_code s3_get_bucket_acl(struct s3_request *request);
enum s3_code s3_put_bucket_acl(struct s3_request *request);
enum s3_code s3_get_object_acl(struct s3_request *request);
enum s3_code s3_put_object_acl(struct s3_request *request);
/* What x-amz-acl, x-amz-grant-… or an XML body say becomes the list of the request's bucket. */
enum s3_code s3_set_bucket_acl(struct s3_request *request, const char *xml,
			       size_t xml_len) EOS_MUST_CHECK;
/* ID as s3_owner_id() has it. */
bool s3_is_owner_known(const struct s3_request *request, const char *id);

/* s3_object_put.c: the sink of S3_BODY_OBJECT. */
int s3_upload_sink(void *ctx, const void *data, size_t len);
