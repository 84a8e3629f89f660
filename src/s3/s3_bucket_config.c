/*
 * A bucket's configuration: what is a setting of the store (versions, encryption, locks), and what
 * is kept as a document and given back as it came (tags, CORS, lifecycle, …). Documents are checked
 * when they come; those who use them read them again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "s3/s3_access.h"
#include "s3/s3_bucket_xml.h"
#include "s3/s3_cors.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_policy.h"
#include "s3/s3_priv.h"
#include "s3/s3_xml.h"

/* A document that S3's clients put, get and delete. */
struct document {
	const char *selector; /* of the query */
	const char *name;     /* in the store */
	enum s3_code missing; /* S3_OK: then it is EMPTY */
	const char *empty;
	/* May change the text that is kept, which is in KEPT ("" at first: as it came). */
	enum s3_code (*check)(struct s3_request *request, struct eos_buf *kept);
};

static enum s3_code check_tagging(struct s3_request *request, struct eos_buf *kept)
{
	return s3_xml_read_bucket_tags(request->xml.data, request->xml.len);
}

static enum s3_code check_public_block(struct s3_request *request, struct eos_buf *kept)
{
	struct s3_public_block block;
	return s3_xml_read_public_block(request->xml.data, request->xml.len, &block) < 0
		       ? S3_MALFORMED_XML
		       : S3_OK;
}

static enum s3_code check_policy(struct s3_request *request, struct eos_buf *kept)
{
	struct s3_public_block block;
	struct s3_policy *policy;
	struct eos_why why = {""};

	int err = s3_policy_parse(request->xml.data != NULL ? request->xml.data : "",
				  request->xml.len, request->bucket, &policy, &why);
	if (err < 0)
		return err == -EINVAL ? s3_say(request, S3_MALFORMED_POLICY, "%s", why.text)
				      : S3_INTERNAL_ERROR;
	enum s3_code code = s3_public_block(request, request->bucket, &block);
	if (code == S3_OK && block.block_policy && s3_policy_is_public(policy))
		code = S3_ACCESS_DENIED;
	s3_policy_free(policy);
	return code;
}

static enum s3_code check_ownership(struct s3_request *request, struct eos_buf *kept)
{
	char word[32];
	if (s3_xml_read_ownership(request->xml.data, request->xml.len, word) < 0)
		return S3_MALFORMED_XML;
	enum s3_code code =
		strcmp(word, "BucketOwnerEnforced") == 0 ? s3_check_enforceable(request) : S3_OK;
	return code == S3_OK && eos_buf_puts(kept, word) < 0 ? S3_INTERNAL_ERROR : code;
}

static enum s3_code check_cors(struct s3_request *request, struct eos_buf *kept)
{
	struct s3_cors *cors;
	enum s3_code code = s3_cors_read(request->xml.data, request->xml.len, &cors);
	if (code == S3_OK)
		s3_cors_free(cors);
	return code;
}

static enum s3_code check_lifecycle(struct s3_request *request, struct eos_buf *kept)
{
	struct s3_lifecycle *lifecycle;
	enum s3_code code = s3_lifecycle_read(request->xml.data, request->xml.len, &lifecycle);
	if (code != S3_OK)
		return code;
	s3_lifecycle_write(lifecycle, kept);
	s3_lifecycle_free(lifecycle);
	return eos_buf_failed(kept) ? S3_INTERNAL_ERROR : S3_OK;
}

static const struct document documents[] = {
	{"tagging", "tagging", S3_NO_SUCH_TAG_SET, NULL, check_tagging},
	{"policy", "policy", S3_NO_SUCH_BUCKET_POLICY, NULL, check_policy},
	{"publicAccessBlock", "public-access-block", S3_NO_SUCH_PUBLIC_BLOCK, NULL,
	 check_public_block},
	{"ownershipControls", "ownership", S3_OWNERSHIP_NOT_FOUND, NULL, check_ownership},
	{"cors", "cors", S3_NO_SUCH_CORS, NULL, check_cors},
	{"lifecycle", "lifecycle", S3_NO_SUCH_LIFECYCLE, NULL, check_lifecycle},
	/* Put by s3_put_notification(). */
	{"notification", "notification", S3_OK, "NotificationConfiguration", NULL},
};

/* The operation's row; the table of operations names only selectors that are here. */
static const struct document *document_of(const struct s3_request *request)
{
	const struct document *document = documents;
	while (strcmp(document->selector, request->operation->selector) != 0)
		document++;
	return document;
}

static enum s3_code respond_ownership(struct s3_request *request, struct eos_buf *word)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "OwnershipControls");
	s3_xml_open(&buf, "Rule");
	s3_xml_bytes(&buf, "ObjectOwnership", word->data, word->len);
	s3_xml_close(&buf, "Rule");
	s3_xml_close(&buf, "OwnershipControls");
	eos_buf_fini(word);
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_get_document(struct s3_request *request)
{
	static const struct http_header json[] = {{"Content-Type", "application/json"}};
	const struct document *document = document_of(request);
	struct eos_buf text;

	eos_buf_init(&text);
	enum s3_code code = s3_read_document(request, request->bucket, document->name, &text);
	if (code == S3_OK && text.len == 0 && document->missing == S3_OK) {
		s3_xml_begin(&text, document->empty);
		s3_xml_close(&text, document->empty);
	} else if (code == S3_OK && text.len == 0) {
		code = document->missing;
	}
	if (code != S3_OK) {
		eos_buf_fini(&text);
		return code;
	}
	if (strcmp(document->name, "ownership") == 0)
		return respond_ownership(request, &text);
	if (strcmp(document->name, "policy") != 0)
		return s3_respond_xml(request, &text);
	s3_respond(request, 200, json, EOS_ARRAY_SIZE(json), text.data, text.len);
	eos_buf_fini(&text);
	return S3_OK;
}

enum s3_code s3_put_document(struct s3_request *request)
{
	const struct document *document = document_of(request);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf kept = {0};

	enum s3_code code = document->check(request, &kept);
	if (code != S3_OK)
		return code;
	const struct eos_buf *text = kept.len > 0 ? &kept : &request->xml;
	int err = store_bucket_document_set(request->server->store, request->bucket, document->name,
					    text->data, text->len);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	bool has_no_content =
		strcmp(document->name, "policy") == 0 || strcmp(document->name, "tagging") == 0;
	s3_respond(request, has_no_content ? 204 : 200, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_delete_document(struct s3_request *request)
{
	const struct document *document = document_of(request);
	int err = store_bucket_document_delete(request->server->store, request->bucket,
					       document->name);
	if (err < 0 && err != -ENOENT)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}

/* Does the bucket's list let in everybody, and does that count? */
static enum s3_code is_list_public(struct s3_request *request, bool *ret_is_public)
{
	struct s3_public_block block;
	bool has_no_acls = false;
	struct s3_acl *acl = malloc(sizeof(*acl));

	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_bucket_acl(request, request->bucket, &request->settings, acl);
	if (code == S3_OK)
		code = s3_public_block(request, request->bucket, &block);
	if (code == S3_OK)
		code = s3_has_no_acls(request, request->bucket, &has_no_acls);
	if (code == S3_OK)
		*ret_is_public = s3_acl_is_public(acl) && !block.ignore_acls && !has_no_acls;
	free(acl);
	return code;
}

/* Of the bucket as a whole: its policy or its list make it public. */
enum s3_code s3_get_policy_status(struct s3_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct s3_policy *policy = NULL;
	struct eos_why why = {""};
	struct eos_buf buf;
	bool is_public = false;

	enum s3_code code = s3_read_document(request, request->bucket, "policy", &text);
	if (code == S3_OK && text.len > 0 &&
	    s3_policy_parse(text.data, text.len, request->bucket, &policy, &why) < 0)
		code = S3_INTERNAL_ERROR;
	if (code == S3_OK)
		code = is_list_public(request, &is_public);
	if (code != S3_OK) {
		s3_policy_free(policy);
		return code;
	}
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "PolicyStatus");
	s3_xml_bool(&buf, "IsPublic", is_public || (policy != NULL && s3_policy_is_public(policy)));
	s3_xml_close(&buf, "PolicyStatus");
	s3_policy_free(policy);
	return s3_respond_xml(request, &buf);
}

/* CHANGE edits the settings as they are at that moment: of those that it leaves alone, others may
 * have changed some since the request began. CTX: the request. */
static enum s3_code change_settings(struct s3_request *request,
				    int (*change)(void *ctx, struct store_bucket_settings *),
				    unsigned status)
{
	int err = store_bucket_settings_update(request->server->store, request->bucket, change,
					       request);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	s3_respond(request, status, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_get_versioning(struct s3_request *request)
{
	enum store_versioning versioning = request->settings.versioning;
	struct eos_buf buf;

	eos_buf_init(&buf);
	/* Empty: versioning was never switched on. */
	s3_xml_begin(&buf, "VersioningConfiguration");
	if (versioning != STORE_VERSIONING_OFF)
		s3_xml_text(&buf, "Status",
			    versioning == STORE_VERSIONING_ENABLED ? "Enabled" : "Suspended");
	s3_xml_close(&buf, "VersioningConfiguration");
	return s3_respond_xml(request, &buf);
}

static int change_versioning(void *ctx, struct store_bucket_settings *settings)
{
	const struct s3_request *request = ctx;
	settings->versioning = request->settings.versioning;
	return 0;
}

enum s3_code s3_put_versioning(struct s3_request *request)
{
	bool has_mfa;
	if (s3_xml_read_versioning(request->xml.data, request->xml.len,
				   &request->settings.versioning, &has_mfa) < 0)
		return s3_say(request, S3_ILLEGAL_VERSIONING,
			      "The Versioning element must be specified");
	if (has_mfa)
		return s3_say(request, S3_NOT_IMPLEMENTED, "MFA delete is not implemented.");
	if (request->settings.has_object_lock &&
	    request->settings.versioning != STORE_VERSIONING_ENABLED)
		return s3_say(request, S3_INVALID_BUCKET_STATE,
			      "An Object Lock configuration is present on this bucket, so the "
			      "versioning state cannot be changed.");
	return change_settings(request, change_versioning, 200);
}

enum s3_code s3_get_encryption(struct s3_request *request)
{
	struct eos_buf buf;

	if (!request->settings.is_encrypted)
		return S3_NO_SUCH_ENCRYPTION;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ServerSideEncryptionConfiguration");
	eos_buf_puts(&buf, "<Rule><ApplyServerSideEncryptionByDefault>"
			   "<SSEAlgorithm>AES256</SSEAlgorithm>"
			   "</ApplyServerSideEncryptionByDefault>"
			   "<BucketKeyEnabled>false</BucketKeyEnabled></Rule>");
	s3_xml_close(&buf, "ServerSideEncryptionConfiguration");
	return s3_respond_xml(request, &buf);
}

static int encrypt(void *ctx, struct store_bucket_settings *settings)
{
	settings->is_encrypted = true;
	return 0;
}

static int do_not_encrypt(void *ctx, struct store_bucket_settings *settings)
{
	settings->is_encrypted = false;
	return 0;
}

enum s3_code s3_put_encryption(struct s3_request *request)
{
	enum s3_code code = s3_xml_read_encryption(request->xml.data, request->xml.len);
	if (code != S3_OK)
		return code;
	return change_settings(request, encrypt, 200);
}

enum s3_code s3_delete_encryption(struct s3_request *request)
{
	return change_settings(request, do_not_encrypt, 204);
}
