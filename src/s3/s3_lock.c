/*
 * Object lock: retention and legal hold of versions.
 *
 * What is held is kept as metadata that the store knows (store.h); the store refuses to remove a
 * version that is held. What may be changed is decided here, in the transaction of the change.
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/str.h"
#include "s3/s3_lock.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

#define DAY_S	    INT64_C(86400)
#define NUMBER_SIZE 24u

bool s3_is_lock_mode(const char *text)
{
	return strcmp(text, "GOVERNANCE") == 0 || strcmp(text, "COMPLIANCE") == 0;
}

/* Seconds since 1970. False: it is no date, or not one of this time. */
static bool read_until(const char *text, int64_t *ret_s)
{
	uint64_t until_ns;
	if (eos_parse_iso8601(text, &until_ns) < 0)
		return false;
	*ret_s = (int64_t)(until_ns / EOS_NS_PER_S);
	return true;
}

static int64_t now_s(void)
{
	return (int64_t)(eos_wall_ns() / EOS_NS_PER_S);
}

static enum s3_code missing_lock(struct s3_request *request)
{
	return s3_say(request, S3_INVALID_REQUEST, "Bucket is missing Object Lock Configuration");
}

/* Replaces the retention in INFO. */
static int put_retention(struct store_object_info *info, const char *mode, int64_t until_s)
{
	char number[NUMBER_SIZE];

	store_metadata_remove(info, STORE_META_RETAIN_MODE);
	store_metadata_remove(info, STORE_META_RETAIN_UNTIL);
	if (mode[0] == '\0')
		return 0;
	snprintf(number, sizeof(number), "%" PRId64, until_s);
	int err = store_metadata_add(info, STORE_META_RETAIN_MODE, mode);
	return err < 0 ? err : store_metadata_add(info, STORE_META_RETAIN_UNTIL, number);
}

static int put_hold(struct store_object_info *info, const char *status)
{
	store_metadata_remove(info, STORE_META_LEGAL_HOLD);
	return store_metadata_add(info, STORE_META_LEGAL_HOLD, status);
}

/* Until when INFO is retained, 0: it is not. */
static int64_t retained_until(const struct store_object_info *info)
{
	const char *text = store_metadata_get(info, STORE_META_RETAIN_UNTIL);
	uint64_t until;
	return text != NULL && eos_parse_u64(text, &until) == 0 ? (int64_t)until : 0;
}

static enum s3_code take_retention(struct s3_request *request, const char *mode, const char *until,
				   struct store_object_info *info)
{
	int64_t until_s;

	if (mode == NULL || until == NULL)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must "
			      "both be supplied");
	if (!s3_is_lock_mode(mode))
		return s3_say(request, S3_INVALID_ARGUMENT, "Unknown wormMode directive.");
	if (!read_until(until, &until_s))
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The retain until date must be provided in ISO 8601 format");
	if (until_s <= now_s())
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The retain until date must be in the future!");
	return put_retention(info, mode, until_s) < 0 ? S3_METADATA_TOO_LARGE : S3_OK;
}

static enum s3_code take_default(struct s3_request *request, struct store_object_info *info)
{
	struct s3_lock_default rule;

	enum s3_code code = s3_lock_default(request, &rule);
	if (code != S3_OK || rule.count == 0)
		return code;
	int64_t days = (int64_t)rule.count * (rule.is_years ? 365 : 1);
	return put_retention(info, rule.mode, now_s() + days * DAY_S) < 0 ? S3_METADATA_TOO_LARGE
									  : S3_OK;
}

enum s3_code s3_take_lock(struct s3_request *request, struct store_object_info *info)
{
	const char *mode = s3_header(request, "x-amz-object-lock-mode");
	const char *until = s3_header(request, "x-amz-object-lock-retain-until-date");
	const char *hold = s3_header(request, "x-amz-object-lock-legal-hold");
	bool is_retained = mode != NULL || until != NULL;

	if (!request->settings.has_object_lock)
		return is_retained || hold != NULL ? missing_lock(request) : S3_OK;
	if (hold != NULL && strcmp(hold, "ON") != 0 && strcmp(hold, "OFF") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Legal Hold must be either of 'ON' or 'OFF'");
	if (hold != NULL && put_hold(info, hold) < 0)
		return S3_METADATA_TOO_LARGE;
	return is_retained ? take_retention(request, mode, until, info)
			   : take_default(request, info);
}

void s3_add_lock(struct s3_request *request, const struct store_object_info *info)
{
	const char *mode = store_metadata_get(info, STORE_META_RETAIN_MODE);
	const char *hold = store_metadata_get(info, STORE_META_LEGAL_HOLD);
	char date[EOS_ISO8601_SIZE];

	if (mode != NULL) {
		eos_format_iso8601((uint64_t)retained_until(info) * EOS_NS_PER_S, date);
		s3_add_header(request, "x-amz-object-lock-mode", mode);
		s3_add_header(request, "x-amz-object-lock-retain-until-date", date);
	}
	if (hold != NULL)
		s3_add_header(request, "x-amz-object-lock-legal-hold", hold);
}

bool s3_bypasses_governance(const struct s3_request *request)
{
	const char *text = s3_header(request, "x-amz-bypass-governance-retention");
	return text != NULL && strcasecmp(text, "true") == 0;
}

static enum s3_code check_bucket(struct s3_request *request)
{
	return request->settings.has_object_lock ? S3_OK : missing_lock(request);
}

struct retention_change {
	char mode[16]; /* "": none */
	int64_t until_s, now_s;
	bool bypasses_governance;
};

/* Retention may be made longer; only who may bypass governance may do anything else, and nobody
 * where it is compliance. */
static int change_retention(void *ctx, struct store_object_info *info)
{
	const struct retention_change *change = ctx;
	const char *mode = store_metadata_get(info, STORE_META_RETAIN_MODE);
	int64_t until_s = retained_until(info);

	if (mode != NULL && until_s > change->now_s) {
		bool is_longer = strcmp(change->mode, mode) == 0 && change->until_s >= until_s;
		bool may_bypass = change->bypasses_governance && strcmp(mode, "GOVERNANCE") == 0;
		if (!is_longer && !may_bypass)
			return -EPERM;
	}
	return put_retention(info, change->mode, change->until_s) < 0 ? -EMSGSIZE : 0;
}

/* An empty Retention takes it away. */
static enum s3_code read_retention(struct s3_request *request, struct retention_change *change)
{
	static const char *const names[] = {"Mode", "RetainUntilDate", NULL};
	char until[EOS_ISO8601_SIZE + 16];
	xmlDoc *doc = s3_xml_parse(request->xml.data, request->xml.len, "Retention");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	int mode_err = s3_xml_copy(root, "Mode", change->mode, sizeof(change->mode));
	int until_err = s3_xml_copy(root, "RetainUntilDate", until, sizeof(until));
	bool is_known = s3_xml_only(root, names);
	xmlFreeDoc(doc);
	if (is_known && mode_err == -ENOENT && until_err == -ENOENT) {
		change->mode[0] = '\0';
		return S3_OK;
	}
	if (!is_known || mode_err < 0 || until_err < 0 || !s3_is_lock_mode(change->mode) ||
	    !read_until(until, &change->until_s))
		return S3_MALFORMED_XML;
	if (change->until_s <= change->now_s)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The retain until date must be in the future!");
	return S3_OK;
}

enum s3_code s3_put_retention(struct s3_request *request)
{
	struct retention_change change = {
		.now_s = now_s(),
		.bypasses_governance = s3_bypasses_governance(request),
	};

	enum s3_code code = check_bucket(request);
	if (code == S3_OK)
		code = read_retention(request, &change);
	if (code == S3_OK)
		code = s3_update(request, change_retention, &change);
	if (code == S3_OK)
		s3_respond(request, 200, NULL, 0, NULL, 0);
	return code;
}

static enum s3_code find_locked(struct s3_request *request, const char *name,
				struct store_object_info **ret_info)
{
	enum s3_code code = check_bucket(request);
	if (code != S3_OK)
		return code;
	struct store_object_info *info = malloc(sizeof(*info));
	code = info != NULL ? s3_find(request, info) : S3_INTERNAL_ERROR;
	if (code == S3_OK && store_metadata_get(info, name) == NULL)
		code = S3_NO_SUCH_LOCK;
	if (code != S3_OK) {
		free(info);
		return code;
	}
	*ret_info = info;
	return S3_OK;
}

enum s3_code s3_get_retention(struct s3_request *request)
{
	struct store_object_info *info;
	struct eos_buf buf;

	enum s3_code code = find_locked(request, STORE_META_RETAIN_MODE, &info);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "Retention");
	s3_xml_text(&buf, "Mode", store_metadata_get(info, STORE_META_RETAIN_MODE));
	s3_xml_time(&buf, "RetainUntilDate", (uint64_t)retained_until(info) * EOS_NS_PER_S);
	s3_xml_close(&buf, "Retention");
	free(info);
	return s3_respond_xml(request, &buf);
}

static int change_hold(void *ctx, struct store_object_info *info)
{
	return put_hold(info, ctx) < 0 ? -EMSGSIZE : 0;
}

enum s3_code s3_put_legal_hold(struct s3_request *request)
{
	char status[8];

	enum s3_code code = check_bucket(request);
	if (code != S3_OK)
		return code;
	xmlDoc *doc = s3_xml_parse(request->xml.data, request->xml.len, "LegalHold");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	int err = s3_xml_copy(xmlDocGetRootElement(doc), "Status", status, sizeof(status));
	xmlFreeDoc(doc);
	if (err < 0 || (strcmp(status, "ON") != 0 && strcmp(status, "OFF") != 0))
		return S3_MALFORMED_XML;
	code = s3_update(request, change_hold, status);
	if (code == S3_OK)
		s3_respond(request, 200, NULL, 0, NULL, 0);
	return code;
}

enum s3_code s3_get_legal_hold(struct s3_request *request)
{
	struct store_object_info *info;
	struct eos_buf buf;

	enum s3_code code = find_locked(request, STORE_META_LEGAL_HOLD, &info);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "LegalHold");
	s3_xml_text(&buf, "Status", store_metadata_get(info, STORE_META_LEGAL_HOLD));
	s3_xml_close(&buf, "LegalHold");
	free(info);
	return s3_respond_xml(request, &buf);
}
