/* Reading, writing and matching of one notification configuration. */
#include "s3/s3_notification.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/tree.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

#define KIND(name) (1u << STORE_EVENT_##name)
#define CREATED_KINDS                                                                              \
	(KIND(CREATED) | KIND(CREATED_POST) | KIND(CREATED_COPY) | KIND(CREATED_MULTIPART))
#define EVENT_NAME_SIZE 64
#define ID_BYTES	16

static const struct {
	const char *name;
	unsigned kinds;
} event_names[] = {
	{"s3:ObjectCreated:*", CREATED_KINDS},
	{"s3:ObjectCreated:Put", KIND(CREATED)},
	{"s3:ObjectCreated:Post", KIND(CREATED_POST)},
	{"s3:ObjectCreated:Copy", KIND(CREATED_COPY)},
	{"s3:ObjectCreated:CompleteMultipartUpload", KIND(CREATED_MULTIPART)},
	{"s3:ObjectRemoved:*", KIND(REMOVED) | KIND(MARKER_CREATED)},
	{"s3:ObjectRemoved:Delete", KIND(REMOVED)},
	{"s3:ObjectRemoved:DeleteMarkerCreated", KIND(MARKER_CREATED)},
	{"s3:LifecycleExpiration:*", KIND(EXPIRED) | KIND(MARKER_EXPIRED)},
	{"s3:LifecycleExpiration:Delete", KIND(EXPIRED)},
	{"s3:LifecycleExpiration:DeleteMarkerCreated", KIND(MARKER_EXPIRED)},
	{"s3:ReducedRedundancyLostObject", KIND(DAMAGED)},
};

/* S3 has them; what they tell of does not happen here, or makes no event. */
static bool is_unsupported_event(const char *name)
{
	static const char *const prefixes[] = {
		"s3:ObjectRestore:",   "s3:Replication:", "s3:LifecycleTransition",
		"s3:ObjectTagging:",   "s3:ObjectAcl:",	  "s3:IntelligentTiering",
		"s3:ObjectAnnotation", "s3:TestEvent"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(prefixes); i++)
		if (eos_str_starts_with(name, prefixes[i]))
			return true;
	return false;
}

static enum s3_code fail(struct eos_why *why, enum s3_code code, const char *text)
{
	(void)eos_why(why, -EINVAL, "%s", text);
	return code;
}

/* NODE's own text into OUT. -EINVAL: too long; -ENOMEM. */
static int copy_content(const xmlNode *node, char *out, size_t size)
{
	xmlChar *content = xmlNodeGetContent(node);
	if (content == NULL)
		return -ENOMEM;
	int err = eos_str_copy(out, size, (const char *)content);
	xmlFree(content);
	return err < 0 ? -EINVAL : 0;
}

/* A rule in the making. */
struct draft {
	char id[STORE_RULE_MAX + 1];
	char arn[S3_NOTIFICATION_ARN_MAX + 1];
	char function[STORE_TARGET_MAX + 1], tenant[STORE_TENANT_MAX + 1], region[64];
	char prefix[S3_NOTIFICATION_VALUE_MAX + 1], suffix[S3_NOTIFICATION_VALUE_MAX + 1];
	unsigned names, kinds;
};

static enum s3_code read_event(const xmlNode *node, struct draft *rule, struct eos_why *why)
{
	char name[EVENT_NAME_SIZE];
	int err = copy_content(node, name, sizeof(name));
	if (err == -ENOMEM)
		return S3_INTERNAL_ERROR;
	for (size_t i = 0; err == 0 && i < EOS_ARRAY_SIZE(event_names); i++) {
		if (strcmp(event_names[i].name, name) != 0)
			continue;
		rule->names |= 1u << i;
		rule->kinds |= event_names[i].kinds;
		return S3_OK;
	}
	if (err == 0 && is_unsupported_event(name)) {
		(void)eos_why(why, -EINVAL, "The event %s is not implemented here.", name);
		return S3_NOT_IMPLEMENTED;
	}
	return fail(why, S3_INVALID_ARGUMENT,
		    "A specified event is not supported for notifications.");
}

static enum s3_code read_filter_rule(const xmlNode *node, struct draft *rule, bool has[2],
				     struct eos_why *why)
{
	static const char *const names[] = {"Name", "Value", NULL};
	char name[16];
	int err = s3_xml_copy(node, "Name", name, sizeof(name));
	if (err == -ENOENT || s3_xml_count(node, "Name") != 1 || s3_xml_count(node, "Value") != 1 ||
	    !s3_xml_only(node, names))
		return S3_MALFORMED_XML;
	bool is_suffix = err == 0 && strcasecmp(name, "suffix") == 0;
	if (!is_suffix && (err < 0 || strcasecmp(name, "prefix") != 0))
		return fail(why, S3_INVALID_ARGUMENT,
			    "filter rule name must be either prefix or suffix");
	if (has[is_suffix])
		return fail(why, S3_INVALID_ARGUMENT,
			    is_suffix ? "Cannot specify more than one suffix rule in a filter."
				      : "Cannot specify more than one prefix rule in a filter.");
	has[is_suffix] = true;
	char *out = is_suffix ? rule->suffix : rule->prefix;
	err = s3_xml_copy(node, "Value", out, S3_NOTIFICATION_VALUE_MAX + 1);
	if (err == -EINVAL)
		return fail(why, S3_INVALID_ARGUMENT,
			    "Size of filter rule value cannot exceed 1024 bytes in UTF-8 "
			    "representation");
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

static enum s3_code read_filter(const xmlNode *filter, struct draft *rule, struct eos_why *why)
{
	static const char *const filter_names[] = {"S3Key", NULL};
	static const char *const key_names[] = {"FilterRule", NULL};
	bool has[2] = {false, false};
	if (filter == NULL)
		return S3_OK;
	const xmlNode *key = s3_xml_child(filter, "S3Key");
	if (s3_xml_count(filter, "S3Key") > 1 || !s3_xml_only(filter, filter_names))
		return S3_MALFORMED_XML;
	if (key == NULL)
		return S3_OK;
	if (!s3_xml_only(key, key_names))
		return S3_MALFORMED_XML;
	enum s3_code code = S3_OK;
	const xmlNode *node = s3_xml_child(key, "FilterRule");
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "FilterRule"))
		code = read_filter_rule(node, rule, has, why);
	return code;
}

static bool is_function_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789-_") == len;
}

/* "arn:edgeos:function:::TENANT/NAME", also without "TENANT/". */
static int parse_own_arn(const char *text, struct draft *rule)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : 0;
	if (len > STORE_TENANT_MAX)
		return -EINVAL;
	memcpy(rule->tenant, text, len);
	rule->tenant[len] = '\0';
	return eos_str_copy(rule->function, sizeof(rule->function),
			    slash != NULL ? slash + 1 : text);
}

/* "REGION:TENANT:function:NAME", also with ":$LATEST". */
static int parse_lambda_arn(const char *text, struct draft *rule)
{
	char parts[5][STORE_TARGET_MAX + 1];
	size_t count = 0;
	for (bool has_more = true; has_more; count++) {
		size_t len = strcspn(text, ":");
		if (count == EOS_ARRAY_SIZE(parts) || len > STORE_TARGET_MAX)
			return -EINVAL;
		memcpy(parts[count], text, len);
		parts[count][len] = '\0';
		has_more = text[len] == ':';
		text += len + has_more;
	}
	if (count < 4 || strcmp(parts[2], "function") != 0 ||
	    (count == 5 && strcmp(parts[4], "$LATEST") != 0) ||
	    eos_str_copy(rule->region, sizeof(rule->region), parts[0]) < 0 ||
	    eos_str_copy(rule->tenant, sizeof(rule->tenant), parts[1]) < 0)
		return -EINVAL;
	return eos_str_copy(rule->function, sizeof(rule->function), parts[3]);
}

static int parse_arn(struct draft *rule)
{
	static const char lambda[] = "arn:aws:lambda:", own[] = "arn:edgeos:function:::";
	int err = -EINVAL;
	if (eos_str_starts_with(rule->arn, lambda))
		err = parse_lambda_arn(rule->arn + sizeof(lambda) - 1, rule);
	else if (eos_str_starts_with(rule->arn, own))
		err = parse_own_arn(rule->arn + sizeof(own) - 1, rule);
	return err == 0 && is_function_name(rule->function) ? 0 : -EINVAL;
}

static enum s3_code read_id(const xmlNode *node, struct draft *rule, struct eos_why *why)
{
	uint8_t random[ID_BYTES];
	int err = s3_xml_copy(node, "Id", rule->id, sizeof(rule->id));
	if (err == -EINVAL)
		return fail(why, S3_INVALID_ARGUMENT, "The Id has more than 255 bytes.");
	if (err == 0 && rule->id[0] != '\0')
		return S3_OK;
	if (crypto_random(random, sizeof(random)) < 0)
		return S3_INTERNAL_ERROR;
	eos_hex_encode(random, sizeof(random), rule->id);
	return S3_OK;
}

static enum s3_code read_draft(const xmlNode *node, struct draft *rule, struct eos_why *why)
{
	static const char *const names[] = {"Id", "CloudFunction", "Event", "Filter", NULL};
	if (!s3_xml_only(node, names) || s3_xml_count(node, "Id") > 1 ||
	    s3_xml_count(node, "Filter") > 1 || s3_xml_count(node, "CloudFunction") != 1 ||
	    s3_xml_count(node, "Event") == 0)
		return S3_MALFORMED_XML;
	enum s3_code code = read_id(node, rule, why);
	const xmlNode *event = s3_xml_child(node, "Event");
	for (; event != NULL && code == S3_OK; event = s3_xml_next(event, "Event"))
		code = read_event(event, rule, why);
	if (code == S3_OK)
		code = read_filter(s3_xml_child(node, "Filter"), rule, why);
	if (code != S3_OK)
		return code;
	if (s3_xml_copy(node, "CloudFunction", rule->arn, sizeof(rule->arn)) < 0 ||
	    parse_arn(rule) < 0)
		return fail(why, S3_INVALID_ARGUMENT, "The ARN is not well formed");
	return S3_OK;
}

/* Only what it says is kept: there may be many rules, and most of them are short. */
static enum s3_code keep(const struct draft *draft, struct s3_notification_rule *rule)
{
	*rule = (struct s3_notification_rule){
		.id = strdup(draft->id),
		.arn = strdup(draft->arn),
		.function = strdup(draft->function),
		.tenant = strdup(draft->tenant),
		.region = strdup(draft->region),
		.prefix = strdup(draft->prefix),
		.suffix = strdup(draft->suffix),
		.names = draft->names,
		.kinds = draft->kinds,
	};
	bool is_whole = rule->id != NULL && rule->arn != NULL && rule->function != NULL &&
			rule->tenant != NULL && rule->region != NULL && rule->prefix != NULL &&
			rule->suffix != NULL;
	return is_whole ? S3_OK : S3_INTERNAL_ERROR;
}

static enum s3_code read_rule(const xmlNode *node, struct s3_notification_rule *rule,
			      struct eos_why *why)
{
	struct draft *draft = calloc(1, sizeof(*draft));
	if (draft == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = read_draft(node, draft, why);
	if (code == S3_OK)
		code = keep(draft, rule);
	free(draft);
	return code;
}

/* One is the other's beginning. */
static bool prefixes_overlap(const char *a, const char *b)
{
	return strncmp(a, b, EOS_MIN(strlen(a), strlen(b))) == 0;
}

static bool suffixes_overlap(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b), len = EOS_MIN(a_len, b_len);
	return memcmp(a + a_len - len, b + b_len - len, len) == 0;
}

/* A against a rule before it. */
static enum s3_code check_pair(const struct s3_notification_rule *a,
			       const struct s3_notification_rule *b, struct eos_why *why)
{
	if (strcmp(a->id, b->id) == 0)
		return fail(why, S3_INVALID_ARGUMENT,
			    "Same ID used for multiple configurations. IDs must be unique");
	if ((a->kinds & b->kinds) != 0 && prefixes_overlap(a->prefix, b->prefix) &&
	    suffixes_overlap(a->suffix, b->suffix))
		return fail(why, S3_INVALID_ARGUMENT,
			    "Configuration is ambiguously defined. Cannot have overlapping "
			    "suffixes in two rules if the prefixes are overlapping for the same "
			    "event type.");
	return S3_OK;
}

static enum s3_code read_rules(const xmlNode *root, struct s3_notification *notification,
			       struct eos_why *why)
{
	const xmlNode *node = s3_xml_child(root, "CloudFunctionConfiguration");
	enum s3_code code = S3_OK;
	for (; node != NULL && code == S3_OK;
	     node = s3_xml_next(node, "CloudFunctionConfiguration")) {
		struct s3_notification_rule *rule = &notification->rules[notification->count];
		code = read_rule(node, rule, why);
		for (size_t i = 0; i < notification->count && code == S3_OK; i++)
			code = check_pair(rule, &notification->rules[i], why);
		notification->count++;
	}
	return code;
}

static enum s3_code check_root(const xmlNode *root, struct eos_why *why)
{
	static const char *const names[] = {"CloudFunctionConfiguration", "TopicConfiguration",
					    "QueueConfiguration", "EventBridgeConfiguration", NULL};
	if (!s3_xml_only(root, names))
		return S3_MALFORMED_XML;
	if (s3_xml_child(root, "TopicConfiguration") != NULL)
		return fail(why, S3_NOT_IMPLEMENTED,
			    "Topics (SNS) are not implemented as targets; functions are.");
	if (s3_xml_child(root, "QueueConfiguration") != NULL)
		return fail(why, S3_NOT_IMPLEMENTED,
			    "Queues (SQS) are not implemented as targets; functions are.");
	if (s3_xml_child(root, "EventBridgeConfiguration") != NULL)
		return fail(why, S3_NOT_IMPLEMENTED,
			    "EventBridge is not implemented as a target; functions are.");
	if (s3_xml_count(root, "CloudFunctionConfiguration") > S3_NOTIFICATION_RULES_MAX)
		return fail(why, S3_INVALID_ARGUMENT,
			    "A bucket can have at most 100 notification configurations.");
	return S3_OK;
}

enum s3_code s3_notification_read(const char *text, size_t len,
				  struct s3_notification **ret_notification, struct eos_why *why)
{
	struct s3_notification *notification = NULL;
	xmlDoc *doc = s3_xml_parse(text, len, "NotificationConfiguration");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	enum s3_code code = check_root(root, why);
	if (code == S3_OK) {
		size_t count = s3_xml_count(root, "CloudFunctionConfiguration");
		notification =
			calloc(1, sizeof(*notification) + count * sizeof(notification->rules[0]));
		code = notification != NULL ? read_rules(root, notification, why)
					    : S3_INTERNAL_ERROR;
	}
	xmlFreeDoc(doc);
	if (code == S3_OK)
		*ret_notification = notification;
	else
		s3_notification_free(notification);
	return code;
}

struct s3_notification *s3_notification_free(struct s3_notification *notification)
{
	for (size_t i = 0; notification != NULL && i < notification->count; i++) {
		struct s3_notification_rule *rule = &notification->rules[i];
		free(rule->id);
		free(rule->arn);
		free(rule->function);
		free(rule->tenant);
		free(rule->region);
		free(rule->prefix);
		free(rule->suffix);
	}
	free(notification);
	return NULL;
}

static void write_filter_rule(struct eos_buf *buf, const char *name, const char *value)
{
	if (value[0] == '\0')
		return;
	s3_xml_open(buf, "FilterRule");
	s3_xml_text(buf, "Name", name);
	s3_xml_text(buf, "Value", value);
	s3_xml_close(buf, "FilterRule");
}

void s3_notification_write(const struct s3_notification *notification, struct eos_buf *buf)
{
	s3_xml_begin(buf, "NotificationConfiguration");
	for (size_t i = 0; i < notification->count; i++) {
		const struct s3_notification_rule *rule = &notification->rules[i];
		s3_xml_open(buf, "CloudFunctionConfiguration");
		s3_xml_text(buf, "Id", rule->id);
		s3_xml_text(buf, "CloudFunction", rule->arn);
		for (size_t k = 0; k < EOS_ARRAY_SIZE(event_names); k++)
			if ((rule->names & 1u << k) != 0)
				s3_xml_text(buf, "Event", event_names[k].name);
		if (rule->prefix[0] != '\0' || rule->suffix[0] != '\0') {
			s3_xml_open(buf, "Filter");
			s3_xml_open(buf, "S3Key");
			write_filter_rule(buf, "prefix", rule->prefix);
			write_filter_rule(buf, "suffix", rule->suffix);
			s3_xml_close(buf, "S3Key");
			s3_xml_close(buf, "Filter");
		}
		s3_xml_close(buf, "CloudFunctionConfiguration");
	}
	s3_xml_close(buf, "NotificationConfiguration");
}

static bool fits(const struct s3_notification_rule *rule, const struct store_event *event)
{
	size_t prefix = strlen(rule->prefix), suffix = strlen(rule->suffix);
	return (rule->kinds & 1u << event->kind) != 0 && event->key_len >= prefix &&
	       event->key_len >= suffix && memcmp(event->key, rule->prefix, prefix) == 0 &&
	       memcmp(event->key + event->key_len - suffix, rule->suffix, suffix) == 0;
}

const struct s3_notification_rule *s3_notification_match(const struct s3_notification *notification,
							 const struct store_event *event)
{
	for (size_t i = 0; i < notification->count; i++)
		if (fits(&notification->rules[i], event))
			return &notification->rules[i];
	return NULL;
}

bool s3_notification_is_for_new(const struct s3_notification_rule *rule)
{
	return (rule->kinds & CREATED_KINDS) != 0;
}
