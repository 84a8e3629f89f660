/*
 * Access control lists of buckets and objects: where they are kept, GET and PUT ?acl, and the
 * public access block and ownership controls, which say how far they count.
 *
 * A bucket's list is its document "acl"; an object's is the pair S3_METADATA_ACL of its metadata,
 * and neither is there for what is private to the bucket's owner, as nearly all is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_access.h"
#include "s3/s3_bucket_xml.h"
#include "s3/s3_object_priv.h"

#define NO_ACLS	     "BucketOwnerEnforced"
#define PREFERRED    "BucketOwnerPreferred"
#define FULL_CONTROL "bucket-owner-full-control"

enum s3_code s3_read_document(struct s3_request *request, const char *bucket, const char *name,
			      struct eos_buf *out)
{
	int err = store_bucket_document_get(request->server->store, bucket, name, out);
	return err == -ENOENT ? S3_OK : s3_code_of(err, S3_OK);
}

enum s3_code s3_bucket_acl(struct s3_request *request, const char *bucket,
			   const struct store_bucket_settings *settings, struct s3_acl *ret_acl)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	enum s3_code code = s3_read_document(request, bucket, "acl", &text);
	if (code != S3_OK)
		return code;
	if (text.len == 0)
		s3_acl_private(ret_acl, s3_owner_id(settings->tenant));
	else if (s3_acl_decode(text.data, text.len, ret_acl) < 0)
		return S3_INTERNAL_ERROR;
	return S3_OK;
}

enum s3_code s3_object_acl(const struct store_bucket_settings *settings,
			   const struct store_object_info *info, struct s3_acl *ret_acl)
{
	const char *text = store_metadata_get(info, S3_METADATA_ACL);
	if (text == NULL)
		s3_acl_private(ret_acl, s3_owner_id(settings->tenant));
	else if (s3_acl_decode(text, strlen(text), ret_acl) < 0)
		return S3_INTERNAL_ERROR;
	return S3_OK;
}

enum s3_code s3_public_block(struct s3_request *request, const char *bucket,
			     struct s3_public_block *ret_block)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	*ret_block = (struct s3_public_block){0};
	enum s3_code code = s3_read_document(request, bucket, "public-access-block", &text);
	if (code != S3_OK || text.len == 0)
		return code;
	return s3_xml_read_public_block(text.data, text.len, ret_block) < 0 ? S3_INTERNAL_ERROR
									    : S3_OK;
}

static bool is_text(const struct eos_buf *buf, const char *text)
{
	return buf->len == strlen(text) && memcmp(buf->data, text, buf->len) == 0;
}

enum s3_code s3_ownership(struct s3_request *request, const char *bucket,
			  enum s3_ownership *ret_ownership)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	enum s3_code code = s3_read_document(request, bucket, "ownership", &text);
	*ret_ownership = text.len == 0		     ? S3_OWNED_BY_WRITER
			 : is_text(&text, NO_ACLS)   ? S3_OWNER_ENFORCED
			 : is_text(&text, PREFERRED) ? S3_OWNER_PREFERRED
						     : S3_OWNED_BY_WRITER;
	return code;
}

enum s3_code s3_has_no_acls(struct s3_request *request, const char *bucket, bool *ret_has_none)
{
	enum s3_ownership ownership;
	enum s3_code code = s3_ownership(request, bucket, &ownership);
	*ret_has_none = ownership == S3_OWNER_ENFORCED;
	return code;
}

enum s3_code s3_check_enforceable(struct s3_request *request)
{
	struct s3_acl *acl = malloc(sizeof(*acl));
	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_bucket_acl(request, request->bucket, &request->settings, acl);
	for (size_t i = 0; code == S3_OK && i < acl->count; i++)
		if (strcmp(acl->grants[i].grantee, acl->owner) != 0)
			code = S3_INVALID_ACL_OWNERSHIP;
	free(acl);
	return code;
}

enum s3_code s3_acl_of_request(struct s3_request *request, const char *owner,
			       const char *bucket_owner, const char *xml, size_t xml_len,
			       struct s3_acl *ret_acl, bool *ret_is_given)
{
	static const struct {
		const char *header;
		unsigned permission;
	} grants[] = {
		{"x-amz-grant-read", S3_PERMISSION_READ},
		{"x-amz-grant-write", S3_PERMISSION_WRITE},
		{"x-amz-grant-read-acp", S3_PERMISSION_READ_ACP},
		{"x-amz-grant-write-acp", S3_PERMISSION_WRITE_ACP},
		{"x-amz-grant-full-control", S3_PERMISSION_FULL},
	};
	const char *canned = s3_header(request, "x-amz-acl");
	bool has_grants = false;
	enum s3_code code = S3_OK;

	s3_acl_private(ret_acl, owner);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(grants) && code == S3_OK; i++) {
		const char *text = s3_header(request, grants[i].header);
		if (text == NULL)
			continue;
		/* Grants in headers are the whole list. */
		if (!has_grants)
			ret_acl->count = 0;
		has_grants = true;
		code = s3_acl_read_header(text, grants[i].permission, ret_acl);
	}
	if (code == S3_OK && (canned != NULL) + has_grants + (xml_len > 0) > 1)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Specify a canned ACL, header grants or a body, but only one of "
			      "them.");
	if (canned != NULL)
		code = s3_acl_canned(canned, owner, bucket_owner, ret_acl);
	else if (xml_len > 0)
		code = s3_acl_read_xml(xml, xml_len, ret_acl);
	*ret_is_given = canned != NULL || has_grants || xml_len > 0;
	return code;
}

/* May a new list be put here? */
static enum s3_code check_new_acl(struct s3_request *request, const struct s3_acl *acl)
{
	struct s3_public_block block;
	bool has_no_acls;

	enum s3_code code = s3_has_no_acls(request, request->bucket, &has_no_acls);
	if (code == S3_OK && has_no_acls)
		return S3_ACL_NOT_SUPPORTED;
	if (code == S3_OK)
		code = s3_public_block(request, request->bucket, &block);
	if (code == S3_OK && block.block_acls && s3_acl_is_public(acl))
		return S3_ACCESS_DENIED;
	for (size_t i = 0; code == S3_OK && i < acl->count; i++) {
		const char *grantee = acl->grants[i].grantee;
		if (strcmp(grantee, S3_EVERYBODY) != 0 && strcmp(grantee, S3_AUTHENTICATED) != 0 &&
		    !s3_is_owner_known(request, grantee))
			code = s3_say(request, S3_INVALID_ARGUMENT, "Invalid id");
	}
	return code;
}

/* The value of S3_METADATA_ACL, or nothing for a private object of the bucket's owner. */
static enum s3_code encode_object_acl(struct s3_request *request, const struct s3_acl *acl,
				      struct store_object_info *info)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	const char *bucket_owner = s3_owner_id(request->settings.tenant);

	store_metadata_remove(info, S3_METADATA_ACL);
	if (strcmp(acl->owner, bucket_owner) == 0 && acl->count == 1 &&
	    strcmp(acl->grants[0].grantee, bucket_owner) == 0 &&
	    acl->grants[0].permission == S3_PERMISSION_FULL)
		return S3_OK;
	s3_acl_encode(acl, &text);
	if (eos_buf_failed(&text))
		return S3_INTERNAL_ERROR;
	if (text.len > S3_ACL_TEXT_MAX)
		return s3_say(request, S3_INVALID_ARGUMENT, "The object's grants are too many.");
	return store_metadata_add(info, S3_METADATA_ACL, text.data) < 0 ? S3_METADATA_TOO_LARGE
									: S3_OK;
}

static enum s3_code take_acl(struct s3_request *request, struct store_object_info *info)
{
	const char *bucket_owner = s3_owner_id(request->settings.tenant);
	/* What nobody known writes belongs to the bucket's owner. */
	const char *owner = request->is_anonymous ? bucket_owner : s3_owner_id(request->tenant);
	const char *canned = s3_header(request, "x-amz-acl");
	bool is_given, gives_all = canned != NULL && strcmp(canned, FULL_CONTROL) == 0;
	enum s3_ownership ownership;
	struct s3_acl *acl = malloc(sizeof(*acl));

	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_ownership(request, request->bucket, &ownership);
	/* Who gives the bucket's owner all of it gives it away where that is preferred. */
	if (ownership == S3_OWNER_PREFERRED && gives_all)
		owner = bucket_owner;
	if (code == S3_OK)
		code = s3_acl_of_request(request, owner, bucket_owner, NULL, 0, acl, &is_given);
	/* Without lists the bucket's owner has all; to say so is not asking for anything. */
	if (code == S3_OK && ownership == S3_OWNER_ENFORCED) {
		if (is_given && !gives_all)
			code = S3_ACL_NOT_SUPPORTED;
	} else if (code == S3_OK) {
		code = is_given ? check_new_acl(request, acl) : S3_OK;
		if (code == S3_OK)
			code = encode_object_acl(request, acl, info);
	}
	free(acl);
	return code;
}

enum s3_code s3_take_defaults(struct s3_request *request, struct store_object_info *info)
{
	enum s3_code code = take_acl(request, info);
	return code == S3_OK ? s3_take_encryption(request, info) : code;
}

static enum s3_code respond_acl(struct s3_request *request, const struct s3_acl *acl)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	s3_acl_write_xml(acl, &buf);
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_get_bucket_acl(struct s3_request *request)
{
	struct s3_acl *acl = malloc(sizeof(*acl));
	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_bucket_acl(request, request->bucket, &request->settings, acl);
	if (code == S3_OK)
		code = respond_acl(request, acl);
	free(acl);
	return code;
}

enum s3_code s3_set_bucket_acl(struct s3_request *request, const char *xml, size_t xml_len)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	const char *owner = s3_owner_id(request->settings.tenant);
	struct s3_acl *acl = malloc(sizeof(*acl));
	bool is_given;

	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_acl_of_request(request, owner, owner, xml, xml_len, acl, &is_given);
	if (code == S3_OK && !is_given)
		code = request->operation->selector != NULL ? S3_MISSING_SECURITY_HEADER : S3_OK;
	else if (code == S3_OK && strcmp(acl->owner, owner) != 0)
		code = S3_ACCESS_DENIED;
	else if (code == S3_OK)
		code = check_new_acl(request, acl);
	if (code == S3_OK && is_given) {
		s3_acl_encode(acl, &text);
		int err = eos_buf_failed(&text) ? -ENOMEM
						: store_bucket_document_set(request->server->store,
									    request->bucket, "acl",
									    text.data, text.len);
		code = s3_code_of(err, S3_NO_SUCH_BUCKET);
	}
	free(acl);
	return code;
}

enum s3_code s3_put_bucket_acl(struct s3_request *request)
{
	enum s3_code code = s3_set_bucket_acl(request, request->xml.data, request->xml.len);
	if (code == S3_OK)
		s3_respond(request, 200, NULL, 0, NULL, 0);
	return code;
}

enum s3_code s3_get_object_acl(struct s3_request *request)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct s3_acl *acl = malloc(sizeof(*acl));
	enum s3_code code = info != NULL && acl != NULL ? S3_OK : S3_INTERNAL_ERROR;

	if (code == S3_OK)
		code = s3_find(request, info);
	if (code == S3_OK)
		code = s3_object_acl(&request->settings, info, acl);
	if (code == S3_OK)
		code = respond_acl(request, acl);
	free(acl);
	free(info);
	return code;
}

/* In the store's transaction: S3's answer goes beside the errno. */
struct acl_change {
	struct s3_request *request;
	const struct s3_acl *acl;
	enum s3_code code;
};

static int change_acl(void *ctx, struct store_object_info *info)
{
	struct acl_change *change = ctx;
	change->code = encode_object_acl(change->request, change->acl, info);
	return change->code == S3_OK ? 0 : -EINVAL;
}

static enum s3_code set_object_acl(struct s3_request *request, struct store_object_info *info,
				   struct s3_acl *acl, struct s3_acl *old)
{
	bool is_given;

	enum s3_code code = s3_find(request, info);
	if (code == S3_OK)
		code = s3_object_acl(&request->settings, info, old);
	if (code == S3_OK)
		code = s3_acl_of_request(request, old->owner, s3_owner_id(request->settings.tenant),
					 request->xml.data, request->xml.len, acl, &is_given);
	if (code != S3_OK)
		return code;
	if (!is_given)
		return S3_MISSING_SECURITY_HEADER;
	/* Owners stay. */
	if (strcmp(acl->owner, old->owner) != 0)
		return S3_ACCESS_DENIED;
	code = check_new_acl(request, acl);
	if (code != S3_OK)
		return code;
	struct acl_change change = {.request = request, .acl = acl, .code = S3_OK};
	code = s3_update(request, change_acl, &change);
	return change.code != S3_OK ? change.code : code;
}

enum s3_code s3_put_object_acl(struct s3_request *request)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct s3_acl *acls = calloc(2, sizeof(*acls));
	enum s3_code code = info != NULL && acls != NULL ? S3_OK : S3_INTERNAL_ERROR;

	if (code == S3_OK)
		code = set_object_acl(request, info, &acls[0], &acls[1]);
	if (code == S3_OK)
		s3_respond(request, 200, NULL, 0, NULL, 0);
	free(acls);
	free(info);
	return code;
}
