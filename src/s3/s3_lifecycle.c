#include "s3/s3_lifecycle.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/tree.h>

#include "base/clock.h"
#include "base/str.h"
#include "s3/s3_auth.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

#define ID_MAX	  255u
#define TAGS_MAX  10u
#define NEWER_MAX 100u

struct tag {
	char *key, *value;
};
struct rule {
	char id[ID_MAX + 1];
	bool is_enabled;
	bool is_old_form; /* Prefix without Filter */
	char prefix[STORE_KEY_MAX + 1];
	size_t tags_count;
	struct tag tags[TAGS_MAX];
	uint64_t larger_than, smaller_than; /* UINT64_MAX: not asked for */
	/* 0: no such action. */
	uint64_t days, date_s, noncurrent_days, newer_noncurrent, abort_days, free_bytes;
	bool removes_markers;
};
struct s3_lifecycle {
	size_t count;
	struct rule rules[];
};

struct s3_lifecycle *s3_lifecycle_free(struct s3_lifecycle *lifecycle)
{
	for (size_t i = 0; lifecycle != NULL && i < lifecycle->count; i++) {
		for (size_t k = 0; k < lifecycle->rules[i].tags_count; k++) {
			free(lifecycle->rules[i].tags[k].key);
			free(lifecycle->rules[i].tags[k].value);
		}
	}
	free(lifecycle);
	return NULL;
}

/* -ENOENT: not there; -ERANGE: not from MIN to MAX. */
static int read_number(const xmlNode *node, const char *name, uint64_t min, uint64_t max,
		       uint64_t *ret_value)
{
	char text[24];
	uint64_t value;
	int err = s3_xml_copy(node, name, text, sizeof(text));
	if (err < 0)
		return err == -ENOENT ? err : -ERANGE;
	if (eos_parse_u64(text, &value) < 0 || value < min || value > max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

/* A number that may be missing. */
static enum s3_code read_optional(const xmlNode *node, const char *name, uint64_t min, uint64_t max,
				  uint64_t *ret_value)
{
	return read_number(node, name, min, max, ret_value) == -ERANGE ? S3_INVALID_ARGUMENT
								       : S3_OK;
}

/* Does each of NAMES stand in NODE once at most? What would be read of two is not what was meant.
 */
static bool are_single(const xmlNode *node, const char *const *names)
{
	for (; *names != NULL; names++)
		if (s3_xml_count(node, *names) > 1)
			return false;
	return true;
}

static enum s3_code read_tag(const xmlNode *node, struct rule *rule)
{
	static const char *const names[] = {"Key", "Value", NULL};
	if (rule->tags_count == TAGS_MAX || !s3_xml_only(node, names) || !are_single(node, names))
		return S3_MALFORMED_XML;
	struct tag *tag = &rule->tags[rule->tags_count++];
	tag->key = s3_xml_child_text(node, "Key");
	tag->value = s3_xml_child_text(node, "Value");
	if (tag->key == NULL || tag->value == NULL || tag->key[0] == '\0')
		return S3_MALFORMED_XML;
	return S3_OK;
}

/* What stands in Filter, or in And below it. */
static enum s3_code read_terms(const xmlNode *node, struct rule *rule)
{
	if (s3_xml_copy(node, "Prefix", rule->prefix, sizeof(rule->prefix)) == -EINVAL)
		return S3_INVALID_ARGUMENT;
	enum s3_code code = read_optional(node, "ObjectSizeGreaterThan", 0, STORE_OBJECT_BYTES_MAX,
					  &rule->larger_than);
	if (code == S3_OK)
		code = read_optional(node, "ObjectSizeLessThan", 1, STORE_OBJECT_BYTES_MAX,
				     &rule->smaller_than);
	const xmlNode *tag = s3_xml_child(node, "Tag");
	for (; tag != NULL && code == S3_OK; tag = s3_xml_next(tag, "Tag"))
		code = read_tag(tag, rule);
	return code;
}

static enum s3_code read_filter(const xmlNode *node, struct rule *rule)
{
	static const char *const names[] = {
		"Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And", NULL};
	static const char *const single_names[] = {"Prefix", "ObjectSizeGreaterThan",
						   "ObjectSizeLessThan", NULL};
	static const char *const and_names[] = {"Prefix", "Tag", "ObjectSizeGreaterThan",
						"ObjectSizeLessThan", NULL};
	const xmlNode *filter = s3_xml_child(node, "Filter");

	rule->larger_than = rule->smaller_than = UINT64_MAX;
	if (filter == NULL) {
		rule->is_old_form = true;
		int err = s3_xml_copy(node, "Prefix", rule->prefix, sizeof(rule->prefix));
		return err < 0 ? S3_MALFORMED_XML : S3_OK;
	}
	size_t count = 0;
	for (size_t i = 0; names[i] != NULL; i++)
		count += s3_xml_count(filter, names[i]);
	/* More than one term stands in And. */
	if (count > 1 || s3_xml_child(node, "Prefix") != NULL || !s3_xml_only(filter, names))
		return S3_MALFORMED_XML;
	const xmlNode *and_node = s3_xml_child(filter, "And");
	if (and_node != NULL &&
	    (!s3_xml_only(and_node, and_names) || !are_single(and_node, single_names)))
		return S3_MALFORMED_XML;
	return read_terms(and_node != NULL ? and_node : filter, rule);
}

/* "2026-11-22T00:00:00Z", also with a fraction or without a time. Midnight only. */
static int parse_date(const char *text, uint64_t *ret_s)
{
	char compact[S3_AMZ_DATE_SIZE];
	int64_t seconds;
	if (strlen(text) < 10 || text[4] != '-' || text[7] != '-')
		return -EINVAL;
	snprintf(compact, sizeof(compact), "%.4s%.2s%.2sT000000Z", text, text + 5, text + 8);
	const char *rest = text + 10;
	if (*rest != '\0') {
		if (strncmp(rest, "T00:00:00", 9) != 0)
			return -EINVAL;
		rest += 9;
		if (*rest == '.')
			rest += 1 + strspn(rest + 1, "0");
		if (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0)
			return -EINVAL;
	}
	/* Nanoseconds since 1970 end in the year 2554. */
	if (s3_auth_parse_time(compact, &seconds) < 0 || seconds <= 0 ||
	    (uint64_t)seconds > UINT64_MAX / EOS_NS_PER_S)
		return -EINVAL;
	*ret_s = (uint64_t)seconds;
	return 0;
}

static enum s3_code read_expiration(const xmlNode *node, struct rule *rule)
{
	static const char *const names[] = {"Days", "Date", "ExpiredObjectDeleteMarker", NULL};
	char text[40];
	size_t count = 0;

	if (node == NULL)
		return S3_OK;
	for (size_t i = 0; names[i] != NULL; i++)
		count += s3_xml_count(node, names[i]);
	if (count != 1 || !s3_xml_only(node, names))
		return S3_MALFORMED_XML;
	enum s3_code code = read_optional(node, "Days", 1, S3_LIFECYCLE_DAYS_MAX, &rule->days);
	if (code != S3_OK)
		return code;
	int err = s3_xml_copy(node, "Date", text, sizeof(text));
	if (err == -EINVAL || (err == 0 && parse_date(text, &rule->date_s) < 0))
		return S3_INVALID_ARGUMENT;
	err = s3_xml_copy(node, "ExpiredObjectDeleteMarker", text, sizeof(text));
	if (err == -EINVAL || (err == 0 && strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
		return S3_MALFORMED_XML;
	rule->removes_markers = err == 0 && strcmp(text, "true") == 0;
	return S3_OK;
}

/* What is wrong is told before what is not implemented. */
static bool is_date_good(const xmlNode *node)
{
	char text[40];
	uint64_t date_s;
	int err = s3_xml_copy(node, "Date", text, sizeof(text));
	return err == -ENOENT || (err == 0 && parse_date(text, &date_s) == 0);
}

static enum s3_code read_actions(const xmlNode *node, struct rule *rule)
{
	static const char *const noncurrent_names[] = {"NoncurrentDays", "NewerNoncurrentVersions",
						       NULL};
	static const char *const abort_names[] = {"DaysAfterInitiation", NULL};
	static const char *const pressure_names[] = {"FreeBytes", NULL};
	const xmlNode *noncurrent = s3_xml_child(node, "NoncurrentVersionExpiration");
	const xmlNode *abort_node = s3_xml_child(node, "AbortIncompleteMultipartUpload");
	const xmlNode *pressure = s3_xml_child(node, "PressureExpiration");
	const xmlNode *expiration = s3_xml_child(node, "Expiration");

	const xmlNode *transition = s3_xml_child(node, "Transition");
	for (; transition != NULL; transition = s3_xml_next(transition, "Transition"))
		if (!is_date_good(transition))
			return S3_INVALID_ARGUMENT;
	if (s3_xml_child(node, "Transition") != NULL ||
	    s3_xml_child(node, "NoncurrentVersionTransition") != NULL)
		return S3_NOT_IMPLEMENTED;
	if (noncurrent == NULL && abort_node == NULL && pressure == NULL && expiration == NULL)
		return S3_INVALID_ARGUMENT;
	if ((noncurrent != NULL && !s3_xml_only(noncurrent, noncurrent_names)) ||
	    (abort_node != NULL && !s3_xml_only(abort_node, abort_names)) ||
	    (pressure != NULL && !s3_xml_only(pressure, pressure_names)))
		return S3_MALFORMED_XML;
	enum s3_code code = read_expiration(expiration, rule);
	if (code != S3_OK)
		return code;
	if (noncurrent != NULL && (read_number(noncurrent, "NoncurrentDays", 1,
					       S3_LIFECYCLE_DAYS_MAX, &rule->noncurrent_days) < 0 ||
				   read_number(noncurrent, "NewerNoncurrentVersions", 1, NEWER_MAX,
					       &rule->newer_noncurrent) == -ERANGE))
		return S3_INVALID_ARGUMENT;
	if (abort_node != NULL && read_number(abort_node, "DaysAfterInitiation", 1,
					      S3_LIFECYCLE_DAYS_MAX, &rule->abort_days) < 0)
		return S3_INVALID_ARGUMENT;
	if (pressure != NULL &&
	    read_number(pressure, "FreeBytes", 1, UINT64_MAX, &rule->free_bytes) < 0)
		return S3_INVALID_ARGUMENT;
	bool is_sized = rule->larger_than != UINT64_MAX || rule->smaller_than != UINT64_MAX;
	/* Neither markers nor uploads have tags or a size. */
	if ((rule->removes_markers || rule->abort_days > 0) && (rule->tags_count > 0 || is_sized))
		return S3_INVALID_ARGUMENT;
	return S3_OK;
}

static enum s3_code read_rule(const xmlNode *node, size_t index, struct rule *rule)
{
	static const char *const names[] = {"ID",
					    "Status",
					    "Prefix",
					    "Filter",
					    "Expiration",
					    "NoncurrentVersionExpiration",
					    "AbortIncompleteMultipartUpload",
					    "PressureExpiration",
					    "Transition",
					    "NoncurrentVersionTransition",
					    NULL};
	static const char *const single_names[] = {"ID",
						   "Status",
						   "Prefix",
						   "Filter",
						   "Expiration",
						   "NoncurrentVersionExpiration",
						   "AbortIncompleteMultipartUpload",
						   "PressureExpiration",
						   NULL};
	char status[16];

	if (!s3_xml_only(node, names) || !are_single(node, single_names) ||
	    s3_xml_copy(node, "Status", status, sizeof(status)) < 0 ||
	    (strcmp(status, "Enabled") != 0 && strcmp(status, "Disabled") != 0))
		return S3_MALFORMED_XML;
	rule->is_enabled = strcmp(status, "Enabled") == 0;
	int err = s3_xml_copy(node, "ID", rule->id, sizeof(rule->id));
	if (err == -EINVAL)
		return S3_INVALID_ARGUMENT;
	if (err == -ENOENT || rule->id[0] == '\0')
		snprintf(rule->id, sizeof(rule->id), "rule-%zu", index + 1);
	enum s3_code code = read_filter(node, rule);
	return code == S3_OK ? read_actions(node, rule) : code;
}

static enum s3_code read_rules(const xmlNode *root, struct s3_lifecycle *lifecycle)
{
	const xmlNode *node = s3_xml_child(root, "Rule");
	enum s3_code code = S3_OK;
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "Rule")) {
		size_t index = lifecycle->count++;
		code = read_rule(node, index, &lifecycle->rules[index]);
		for (size_t i = 0; i < index && code == S3_OK; i++)
			if (strcmp(lifecycle->rules[i].id, lifecycle->rules[index].id) == 0)
				code = S3_INVALID_ARGUMENT;
	}
	return code;
}

enum s3_code s3_lifecycle_read(const char *text, size_t len, struct s3_lifecycle **ret_lifecycle)
{
	static const char *const names[] = {"Rule", NULL};
	xmlDoc *doc = s3_xml_parse(text, len, "LifecycleConfiguration");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = s3_xml_count(root, "Rule");
	struct s3_lifecycle *lifecycle = NULL;
	enum s3_code code = S3_MALFORMED_XML;
	if (count > 0 && count <= S3_LIFECYCLE_RULES_MAX && s3_xml_only(root, names)) {
		lifecycle = calloc(1, sizeof(*lifecycle) + count * sizeof(lifecycle->rules[0]));
		code = lifecycle != NULL ? read_rules(root, lifecycle) : S3_INTERNAL_ERROR;
	}
	xmlFreeDoc(doc);
	if (code == S3_OK)
		*ret_lifecycle = lifecycle;
	else
		s3_lifecycle_free(lifecycle);
	return code;
}

static void write_number(struct eos_buf *buf, const char *tag, uint64_t value, uint64_t none)
{
	if (value != none)
		s3_xml_u64(buf, tag, value);
}

static void write_filter(const struct rule *rule, struct eos_buf *buf)
{
	bool has_sizes[] = {rule->larger_than != UINT64_MAX, rule->smaller_than != UINT64_MAX};
	size_t terms = (rule->prefix[0] != '\0') + rule->tags_count + has_sizes[0] + has_sizes[1];

	if (rule->is_old_form) {
		s3_xml_text(buf, "Prefix", rule->prefix);
		return;
	}
	s3_xml_open(buf, "Filter");
	if (terms > 1)
		s3_xml_open(buf, "And");
	if (rule->prefix[0] != '\0' || terms == 0)
		s3_xml_text(buf, "Prefix", rule->prefix);
	for (size_t i = 0; i < rule->tags_count; i++) {
		s3_xml_open(buf, "Tag");
		s3_xml_text(buf, "Key", rule->tags[i].key);
		s3_xml_text(buf, "Value", rule->tags[i].value);
		s3_xml_close(buf, "Tag");
	}
	write_number(buf, "ObjectSizeGreaterThan", rule->larger_than, UINT64_MAX);
	write_number(buf, "ObjectSizeLessThan", rule->smaller_than, UINT64_MAX);
	if (terms > 1)
		s3_xml_close(buf, "And");
	s3_xml_close(buf, "Filter");
}

static void write_rule(const struct rule *rule, struct eos_buf *buf)
{
	s3_xml_open(buf, "Rule");
	s3_xml_text(buf, "ID", rule->id);
	write_filter(rule, buf);
	s3_xml_text(buf, "Status", rule->is_enabled ? "Enabled" : "Disabled");
	if (rule->days > 0 || rule->date_s > 0 || rule->removes_markers) {
		s3_xml_open(buf, "Expiration");
		write_number(buf, "Days", rule->days, 0);
		if (rule->date_s > 0)
			s3_xml_time(buf, "Date", rule->date_s * EOS_NS_PER_S);
		if (rule->removes_markers)
			s3_xml_bool(buf, "ExpiredObjectDeleteMarker", true);
		s3_xml_close(buf, "Expiration");
	}
	if (rule->noncurrent_days > 0) {
		s3_xml_open(buf, "NoncurrentVersionExpiration");
		s3_xml_u64(buf, "NoncurrentDays", rule->noncurrent_days);
		write_number(buf, "NewerNoncurrentVersions", rule->newer_noncurrent, 0);
		s3_xml_close(buf, "NoncurrentVersionExpiration");
	}
	if (rule->abort_days > 0) {
		s3_xml_open(buf, "AbortIncompleteMultipartUpload");
		s3_xml_u64(buf, "DaysAfterInitiation", rule->abort_days);
		s3_xml_close(buf, "AbortIncompleteMultipartUpload");
	}
	if (rule->free_bytes > 0) {
		s3_xml_open(buf, "PressureExpiration");
		s3_xml_u64(buf, "FreeBytes", rule->free_bytes);
		s3_xml_close(buf, "PressureExpiration");
	}
	s3_xml_close(buf, "Rule");
}

void s3_lifecycle_write(const struct s3_lifecycle *lifecycle, struct eos_buf *buf)
{
	s3_xml_begin(buf, "LifecycleConfiguration");
	for (size_t i = 0; i < lifecycle->count; i++)
		write_rule(&lifecycle->rules[i], buf);
	s3_xml_close(buf, "LifecycleConfiguration");
}

static bool fits(const struct rule *rule, const struct s3_lifecycle_subject *subject)
{
	size_t len = strlen(rule->prefix);
	const struct store_object_info *info = subject->info;
	if (!rule->is_enabled || subject->key_len < len ||
	    memcmp(subject->key, rule->prefix, len) != 0)
		return false;
	if ((rule->larger_than != UINT64_MAX && info->size <= rule->larger_than) ||
	    (rule->smaller_than != UINT64_MAX && info->size >= rule->smaller_than))
		return false;
	for (size_t i = 0; i < rule->tags_count; i++) {
		char name[sizeof(STORE_META_TAG) + 512];
		int n = snprintf(name, sizeof(name), STORE_META_TAG "%s", rule->tags[i].key);
		const char *value =
			(size_t)n < sizeof(name) ? store_metadata_get(info, name) : NULL;
		if (value == NULL || strcmp(value, rule->tags[i].value) != 0)
			return false;
	}
	return true;
}

/* The day that begins DAYS behind FROM_NS, and after the rest of that day. */
static uint64_t day_behind(uint64_t from_ns, uint64_t days, uint64_t day_ns)
{
	return from_ns / day_ns + (from_ns % day_ns != 0) + days;
}

static bool is_over(uint64_t from_ns, uint64_t days, uint64_t now_ns, uint64_t day_ns)
{
	return days != 0 && from_ns <= now_ns &&
	       now_ns / day_ns >= day_behind(from_ns, days, day_ns);
}

static enum s3_lifecycle_verdict judge_latest(const struct rule *rule,
					      const struct s3_lifecycle_subject *subject,
					      uint64_t now_ns, uint64_t day_ns)
{
	bool is_due = is_over(subject->info->modified_ns, rule->days, now_ns, day_ns) ||
		      (rule->date_s > 0 && now_ns / EOS_NS_PER_S >= rule->date_s);
	if (!subject->info->is_delete_marker)
		return is_due ? S3_LIFECYCLE_EXPIRE : S3_LIFECYCLE_KEEP;
	/* A marker that hides nothing any more. */
	return subject->is_alone && (is_due || rule->removes_markers) ? S3_LIFECYCLE_REMOVE
								      : S3_LIFECYCLE_KEEP;
}

enum s3_lifecycle_verdict s3_lifecycle_judge(const struct s3_lifecycle *lifecycle,
					     const struct s3_lifecycle_subject *subject,
					     uint64_t now_ns, uint64_t day_ns)
{
	for (size_t i = 0; i < lifecycle->count; i++) {
		const struct rule *rule = &lifecycle->rules[i];
		enum s3_lifecycle_verdict verdict = S3_LIFECYCLE_KEEP;
		if (!fits(rule, subject))
			continue;
		if (subject->is_upload) {
			if (is_over(subject->info->modified_ns, rule->abort_days, now_ns, day_ns))
				verdict = S3_LIFECYCLE_REMOVE;
		} else if (subject->noncurrent_ns == 0) {
			verdict = judge_latest(rule, subject, now_ns, day_ns);
		} else if (subject->newer_noncurrent >= rule->newer_noncurrent &&
			   is_over(subject->noncurrent_ns, rule->noncurrent_days, now_ns, day_ns)) {
			verdict = S3_LIFECYCLE_REMOVE;
		}
		if (verdict != S3_LIFECYCLE_KEEP)
			return verdict;
	}
	return S3_LIFECYCLE_KEEP;
}

const char *s3_lifecycle_expiry(const struct s3_lifecycle *lifecycle,
				const struct s3_lifecycle_subject *subject, uint64_t day_ns,
				uint64_t *ret_ns)
{
	const char *id = NULL;
	for (size_t i = 0; i < lifecycle->count; i++) {
		const struct rule *rule = &lifecycle->rules[i];
		uint64_t ns = UINT64_MAX;
		if (!fits(rule, subject))
			continue;
		if (rule->days > 0 && __builtin_mul_overflow(day_behind(subject->info->modified_ns,
									rule->days, day_ns),
							     day_ns, &ns))
			ns = UINT64_MAX;
		if (rule->date_s > 0)
			ns = rule->date_s * EOS_NS_PER_S;
		if (ns != UINT64_MAX && (id == NULL || ns < *ret_ns)) {
			id = rule->id;
			*ret_ns = ns;
		}
	}
	return id;
}

bool s3_lifecycle_yields(const struct s3_lifecycle *lifecycle,
			 const struct s3_lifecycle_subject *subject, uint64_t free_bytes)
{
	for (size_t i = 0; i < lifecycle->count; i++)
		if (free_bytes < lifecycle->rules[i].free_bytes &&
		    fits(&lifecycle->rules[i], subject))
			return true;
	return false;
}

uint64_t s3_lifecycle_free_bytes(const struct s3_lifecycle *lifecycle)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < lifecycle->count; i++)
		if (lifecycle->rules[i].is_enabled)
			bytes = EOS_MAX(bytes, lifecycle->rules[i].free_bytes);
	return bytes;
}
