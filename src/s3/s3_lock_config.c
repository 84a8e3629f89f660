/*
 * GetObjectLockConfiguration, PutObjectLockConfiguration. The default retention is kept with the
 * bucket as a document: "GOVERNANCE 30 DAYS".
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_lock.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

int s3_lock_default_parse(const char *text, struct s3_lock_default *ret_rule)
{
	char mode[16], unit[8], number[24];
	uint64_t count;
	int used = 0;

	if (sscanf(text, "%15s %23s %7s%n", mode, number, unit, &used) != 3 || text[used] != '\0' ||
	    !s3_is_lock_mode(mode) || eos_parse_u64(number, &count) < 0 || count == 0 ||
	    count > S3_LOCK_DAYS_MAX || (strcmp(unit, "DAYS") != 0 && strcmp(unit, "YEARS") != 0))
		return -EINVAL;
	memcpy(ret_rule->mode, mode, sizeof(mode));
	ret_rule->count = (unsigned)count;
	ret_rule->is_years = unit[0] == 'Y';
	return 0;
}

enum s3_code s3_lock_default(struct s3_request *request, struct s3_lock_default *ret_rule)
{
	struct eos_buf text;

	*ret_rule = (struct s3_lock_default){.count = 0};
	eos_buf_init(&text);
	enum s3_code code = s3_read_document(request, request->bucket, S3_LOCK_DOCUMENT, &text);
	if (code == S3_OK && text.len > 0 && s3_lock_default_parse(text.data, ret_rule) < 0)
		code = S3_INTERNAL_ERROR;
	eos_buf_fini(&text);
	return code;
}

enum s3_code s3_get_lock_config(struct s3_request *request)
{
	struct s3_lock_default rule;
	struct eos_buf buf;

	if (!request->settings.has_object_lock)
		return S3_NO_LOCK_CONFIG;
	enum s3_code code = s3_lock_default(request, &rule);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ObjectLockConfiguration");
	s3_xml_text(&buf, "ObjectLockEnabled", "Enabled");
	if (rule.count > 0) {
		s3_xml_open(&buf, "Rule");
		s3_xml_open(&buf, "DefaultRetention");
		s3_xml_text(&buf, "Mode", rule.mode);
		s3_xml_u64(&buf, rule.is_years ? "Years" : "Days", rule.count);
		s3_xml_close(&buf, "DefaultRetention");
		s3_xml_close(&buf, "Rule");
	}
	s3_xml_close(&buf, "ObjectLockConfiguration");
	return s3_respond_xml(request, &buf);
}

static enum s3_code read_count(struct s3_request *request, const char *text, unsigned *ret_count)
{
	bool is_negative = text[0] == '-';
	uint64_t count;

	if (eos_parse_u64(text + is_negative, &count) < 0)
		return S3_MALFORMED_XML;
	if (is_negative || count == 0)
		return s3_say(request, S3_INVALID_RETENTION,
			      "Default retention period must be a positive integer value");
	if (count > S3_LOCK_DAYS_MAX)
		return s3_say(request, S3_INVALID_RETENTION, "Default retention period too large");
	*ret_count = (unsigned)count;
	return S3_OK;
}

static enum s3_code read_rule(struct s3_request *request, const xmlNode *node,
			      struct s3_lock_default *ret_rule)
{
	char days[24], years[24];

	const xmlNode *retention = s3_xml_child(node, "DefaultRetention");
	if (retention == NULL ||
	    s3_xml_copy(retention, "Mode", ret_rule->mode, sizeof(ret_rule->mode)) < 0 ||
	    !s3_is_lock_mode(ret_rule->mode))
		return S3_MALFORMED_XML;
	int days_err = s3_xml_copy(retention, "Days", days, sizeof(days));
	int years_err = s3_xml_copy(retention, "Years", years, sizeof(years));
	/* One of the two. */
	if (days_err == -EINVAL || years_err == -EINVAL || (days_err == 0) == (years_err == 0))
		return S3_MALFORMED_XML;
	ret_rule->is_years = years_err == 0;
	enum s3_code code =
		read_count(request, ret_rule->is_years ? years : days, &ret_rule->count);
	if (code == S3_OK && ret_rule->is_years && ret_rule->count > S3_LOCK_DAYS_MAX / 365)
		code = s3_say(request, S3_INVALID_RETENTION, "Default retention period too large");
	return code;
}

/* A rule with count 0: none. */
static enum s3_code read_config(struct s3_request *request, struct s3_lock_default *ret_rule)
{
	char enabled[16];
	enum s3_code code = S3_MALFORMED_XML;
	xmlDoc *doc = s3_xml_parse(request->xml.data, request->xml.len, "ObjectLockConfiguration");

	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *rule = s3_xml_child(root, "Rule");
	if (s3_xml_copy(root, "ObjectLockEnabled", enabled, sizeof(enabled)) == 0 &&
	    strcmp(enabled, "Enabled") == 0)
		code = rule != NULL ? read_rule(request, rule, ret_rule) : S3_OK;
	xmlFreeDoc(doc);
	return code;
}

static int lock(void *ctx, struct store_bucket_settings *settings)
{
	settings->has_object_lock = true;
	return 0;
}

enum s3_code s3_put_lock_config(struct s3_request *request)
{
	struct store *store = request->server->store;
	struct store_bucket_settings settings = request->settings;
	struct s3_lock_default rule = {.count = 0};
	char text[64];
	int err;

	enum s3_code code = read_config(request, &rule);
	if (code != S3_OK)
		return code;
	if (settings.versioning != STORE_VERSIONING_ENABLED)
		return s3_say(request, S3_INVALID_BUCKET_STATE,
			      "Versioning must be 'Enabled' on the bucket to apply a Object Lock "
			      "configuration");
	if (rule.count == 0) {
		err = store_bucket_document_delete(store, request->bucket, S3_LOCK_DOCUMENT);
		err = err == -ENOENT ? 0 : err;
	} else {
		snprintf(text, sizeof(text), "%s %u %s", rule.mode, rule.count,
			 rule.is_years ? "YEARS" : "DAYS");
		err = store_bucket_document_set(store, request->bucket, S3_LOCK_DOCUMENT, text,
						strlen(text));
	}
	if (err == 0 && !settings.has_object_lock)
		err = store_bucket_settings_update(store, request->bucket, lock, NULL);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	s3_respond(request, 200, NULL, 0, NULL, 0);
	return S3_OK;
}
