#include "s3/s3_bucket_xml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/tree.h>

#include "base/str.h"
#include "s3/s3_xml_tree_priv.h"

#define TAG_KEY_CHARS_MAX   128u
#define TAG_VALUE_CHARS_MAX 256u

static int read_bool(const xmlNode *root, const char *name, bool *ret_value)
{
	char text[8];
	int err = s3_xml_copy(root, name, text, sizeof(text));
	if (err == -ENOENT)
		return 0;
	if (err < 0 || (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0))
		return -EINVAL;
	*ret_value = strcasecmp(text, "true") == 0;
	return 0;
}

int s3_xml_read_public_block(const char *text, size_t len, struct s3_public_block *ret_block)
{
	static const char *const names[] = {"BlockPublicAcls", "IgnorePublicAcls",
					    "BlockPublicPolicy", "RestrictPublicBuckets", NULL};
	struct s3_public_block block = {0};
	bool *const values[] = {&block.block_acls, &block.ignore_acls, &block.block_policy,
				&block.restrict_buckets};
	xmlDoc *doc = s3_xml_parse(text, len, "PublicAccessBlockConfiguration");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	int err = s3_xml_only(root, names) ? 0 : -EINVAL;
	for (size_t i = 0; err == 0 && i < EOS_ARRAY_SIZE(values); i++)
		err = read_bool(root, names[i], values[i]);
	xmlFreeDoc(doc);
	if (err == 0)
		*ret_block = block;
	return err;
}

int s3_xml_read_versioning(const char *text, size_t len, enum store_versioning *ret_versioning,
			   bool *ret_has_mfa)
{
	static const char *const names[] = {"Status", "MfaDelete", NULL};
	char status[16], mfa[16];
	xmlDoc *doc = s3_xml_parse(text, len, "VersioningConfiguration");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	bool is_known = s3_xml_only(root, names);
	int err = s3_xml_copy(root, "Status", status, sizeof(status));
	int mfa_err = s3_xml_copy(root, "MfaDelete", mfa, sizeof(mfa));
	xmlFreeDoc(doc);
	if (!is_known || err < 0 || mfa_err == -EINVAL)
		return -EINVAL;
	if (strcmp(status, "Enabled") != 0 && strcmp(status, "Suspended") != 0)
		return -EINVAL;
	*ret_versioning = strcmp(status, "Enabled") == 0 ? STORE_VERSIONING_ENABLED
							 : STORE_VERSIONING_SUSPENDED;
	*ret_has_mfa = mfa_err == 0 && strcmp(mfa, "Disabled") != 0;
	return 0;
}

enum s3_code s3_xml_read_encryption(const char *text, size_t len)
{
	static const char *const root_names[] = {"Rule", NULL};
	static const char *const rule_names[] = {"ApplyServerSideEncryptionByDefault",
						 "BucketKeyEnabled", NULL};
	static const char *const names[] = {"SSEAlgorithm", "KMSMasterKeyID", NULL};
	char algorithm[32];
	enum s3_code code = S3_MALFORMED_XML;
	xmlDoc *doc = s3_xml_parse(text, len, "ServerSideEncryptionConfiguration");
	if (doc == NULL)
		return code;
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *rule = s3_xml_child(root, "Rule");
	const xmlNode *by_default =
		rule != NULL ? s3_xml_child(rule, "ApplyServerSideEncryptionByDefault") : NULL;
	if (by_default != NULL && s3_xml_next(rule, "Rule") == NULL &&
	    s3_xml_only(root, root_names) && s3_xml_only(rule, rule_names) &&
	    s3_xml_only(by_default, names) &&
	    s3_xml_copy(by_default, "SSEAlgorithm", algorithm, sizeof(algorithm)) == 0) {
		if (strcmp(algorithm, "AES256") == 0)
			code = s3_xml_child(by_default, "KMSMasterKeyID") == NULL
				       ? S3_OK
				       : S3_INVALID_ARGUMENT;
		else if (eos_str_starts_with(algorithm, "aws:kms"))
			code = S3_NOT_IMPLEMENTED;
	}
	xmlFreeDoc(doc);
	return code;
}

bool s3_is_ownership(const char *word)
{
	return strcmp(word, "BucketOwnerEnforced") == 0 ||
	       strcmp(word, "BucketOwnerPreferred") == 0 || strcmp(word, "ObjectWriter") == 0;
}

int s3_xml_read_ownership(const char *text, size_t len, char ret_word[32])
{
	static const char *const root_names[] = {"Rule", NULL};
	static const char *const names[] = {"ObjectOwnership", NULL};
	xmlDoc *doc = s3_xml_parse(text, len, "OwnershipControls");
	if (doc == NULL)
		return -EINVAL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *rule = s3_xml_child(root, "Rule");
	int err = -EINVAL;
	if (rule != NULL && s3_xml_next(rule, "Rule") == NULL && s3_xml_only(root, root_names) &&
	    s3_xml_only(rule, names) && s3_xml_copy(rule, "ObjectOwnership", ret_word, 32) == 0 &&
	    s3_is_ownership(ret_word))
		err = 0;
	xmlFreeDoc(doc);
	return err;
}

static size_t count_chars(const char *text)
{
	size_t count = 0;
	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static enum s3_code check_tag(const xmlNode *node, char **ret_key)
{
	static const char *const names[] = {"Key", "Value", NULL};
	char *key = s3_xml_child_text(node, "Key");
	char *value = s3_xml_child_text(node, "Value");
	enum s3_code code = S3_OK;
	if (key == NULL || value == NULL || !s3_xml_only(node, names))
		code = S3_MALFORMED_XML;
	else if (count_chars(key) == 0 || count_chars(key) > TAG_KEY_CHARS_MAX ||
		 count_chars(value) > TAG_VALUE_CHARS_MAX || strncmp(key, "aws:", 4) == 0)
		code = S3_INVALID_TAG;
	free(value);
	*ret_key = key;
	return code;
}

enum s3_code s3_xml_read_bucket_tags(const char *text, size_t len)
{
	static const char *const root_names[] = {"TagSet", NULL};
	static const char *const names[] = {"Tag", NULL};
	char *keys[S3_BUCKET_TAGS_MAX] = {NULL};
	size_t count = 0;
	xmlDoc *doc = s3_xml_parse(text, len, "Tagging");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *set = s3_xml_child(root, "TagSet");
	enum s3_code code = S3_OK;
	if (set == NULL || !s3_xml_only(root, root_names) || !s3_xml_only(set, names))
		code = S3_MALFORMED_XML;
	const xmlNode *node = code == S3_OK ? s3_xml_child(set, "Tag") : NULL;
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "Tag")) {
		if (count == S3_BUCKET_TAGS_MAX) {
			code = S3_INVALID_TAG;
			break;
		}
		code = check_tag(node, &keys[count++]);
		for (size_t i = 0; i + 1 < count && code == S3_OK; i++)
			if (strcmp(keys[i], keys[count - 1]) == 0)
				code = S3_INVALID_TAG;
	}
	for (size_t i = 0; i < count; i++)
		free(keys[i]);
	xmlFreeDoc(doc);
	return code;
}
