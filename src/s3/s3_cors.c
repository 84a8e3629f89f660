#include "s3/s3_cors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libxml/tree.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_priv.h"
#include "s3/s3_xml_tree_priv.h"

#define TEXTS_MAX   100u
#define TEXT_MAX    1024u
#define AGE_S_MAX   INT32_MAX
#define NO_AGE	    UINT64_MAX
#define RULE_ID_MAX 255u

struct texts {
	size_t count;
	char **items; /* owned */
};
struct s3_cors_rule {
	struct texts origins, methods, headers, exposed;
	uint64_t max_age_s;
};
struct s3_cors {
	size_t count;
	struct s3_cors_rule rules[S3_CORS_RULES_MAX];
};

static void texts_fini(struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
}

struct s3_cors *s3_cors_free(struct s3_cors *cors)
{
	for (size_t i = 0; cors != NULL && i < cors->count; i++) {
		texts_fini(&cors->rules[i].origins);
		texts_fini(&cors->rules[i].methods);
		texts_fini(&cors->rules[i].headers);
		texts_fini(&cors->rules[i].exposed);
	}
	free(cors);
	return NULL;
}

static enum s3_code read_texts(const xmlNode *rule, const char *name, struct texts *texts)
{
	size_t count = s3_xml_count(rule, name);
	if (count > TEXTS_MAX)
		return S3_MALFORMED_XML;
	texts->items = calloc(count > 0 ? count : 1, sizeof(texts->items[0]));
	if (texts->items == NULL)
		return S3_INTERNAL_ERROR;
	for (const xmlNode *node = s3_xml_child(rule, name); node != NULL;
	     node = s3_xml_next(node, name)) {
		xmlChar *content = xmlNodeGetContent(node);
		char *copy = content != NULL ? strdup((const char *)content) : NULL;
		xmlFree(content);
		if (copy == NULL)
			return S3_INTERNAL_ERROR;
		texts->items[texts->count++] = copy;
		if (copy[0] == '\0' || strlen(copy) > TEXT_MAX)
			return S3_MALFORMED_XML;
		/* They go into headers. */
		for (const char *c = copy; *c != '\0'; c++)
			if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f)
				return S3_MALFORMED_XML;
	}
	return S3_OK;
}

/* Origins and headers may have one star. */
static bool have_one_star(const struct texts *texts)
{
	for (size_t i = 0; i < texts->count; i++) {
		const char *star = strchr(texts->items[i], '*');
		if (star != NULL && strchr(star + 1, '*') != NULL)
			return false;
	}
	return true;
}

static bool are_methods(const struct texts *texts)
{
	static const char *const known[] = {"GET", "PUT", "POST", "DELETE", "HEAD"};
	for (size_t i = 0; i < texts->count; i++) {
		bool is_known = false;
		for (size_t k = 0; k < EOS_ARRAY_SIZE(known); k++)
			is_known = is_known || strcmp(texts->items[i], known[k]) == 0;
		if (!is_known)
			return false;
	}
	return texts->count > 0;
}

static enum s3_code read_rule(const xmlNode *node, struct s3_cors_rule *rule)
{
	static const char *const names[] = {"ID",
					    "AllowedOrigin",
					    "AllowedMethod",
					    "AllowedHeader",
					    "ExposeHeader",
					    "MaxAgeSeconds",
					    NULL};
	char age[16], id[4 * RULE_ID_MAX + 1];

	if (!s3_xml_only(node, names) || s3_xml_copy(node, "ID", id, sizeof(id)) == -EINVAL)
		return S3_MALFORMED_XML;
	enum s3_code code = read_texts(node, "AllowedOrigin", &rule->origins);
	if (code == S3_OK)
		code = read_texts(node, "AllowedMethod", &rule->methods);
	if (code == S3_OK)
		code = read_texts(node, "AllowedHeader", &rule->headers);
	if (code == S3_OK)
		code = read_texts(node, "ExposeHeader", &rule->exposed);
	if (code != S3_OK)
		return code;
	if (rule->origins.count == 0 || rule->methods.count == 0)
		return S3_MALFORMED_XML;
	if (!are_methods(&rule->methods) || !have_one_star(&rule->origins) ||
	    !have_one_star(&rule->headers))
		return S3_INVALID_REQUEST;
	rule->max_age_s = NO_AGE;
	int err = s3_xml_copy(node, "MaxAgeSeconds", age, sizeof(age));
	if (err == -EINVAL ||
	    (err == 0 && (eos_parse_u64(age, &rule->max_age_s) < 0 || rule->max_age_s > AGE_S_MAX)))
		return S3_MALFORMED_XML;
	return S3_OK;
}

enum s3_code s3_cors_read(const char *text, size_t len, struct s3_cors **ret_cors)
{
	static const char *const names[] = {"CORSRule", NULL};
	xmlDoc *doc = s3_xml_parse(text, len, "CORSConfiguration");
	if (doc == NULL)
		return S3_MALFORMED_XML;
	const xmlNode *root = xmlDocGetRootElement(doc);
	size_t count = s3_xml_count(root, "CORSRule");
	struct s3_cors *cors = calloc(1, sizeof(*cors));
	enum s3_code code = cors != NULL ? S3_OK : S3_INTERNAL_ERROR;
	if (code == S3_OK && (count == 0 || count > S3_CORS_RULES_MAX || !s3_xml_only(root, names)))
		code = S3_MALFORMED_XML;
	const xmlNode *node = code == S3_OK ? s3_xml_child(root, "CORSRule") : NULL;
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "CORSRule"))
		code = read_rule(node, &cors->rules[cors->count++]);
	xmlFreeDoc(doc);
	if (code == S3_OK)
		*ret_cors = cors;
	else
		s3_cors_free(cors);
	return code;
}

static bool has_method(const struct s3_cors_rule *rule, const char *method)
{
	for (size_t i = 0; i < rule->methods.count; i++)
		if (strcmp(rule->methods.items[i], method) == 0)
			return true;
	return false;
}

/* PATTERN has one star at most, and nothing else is special in it. */
static bool fits(const char *pattern, const char *text)
{
	const char *star = strchr(pattern, '*');
	if (star == NULL)
		return strcmp(pattern, text) == 0;
	size_t len = strlen(text), head = (size_t)(star - pattern), tail = strlen(star + 1);
	return len >= head + tail && memcmp(text, pattern, head) == 0 &&
	       memcmp(text + len - tail, star + 1, tail) == 0;
}

/* The entry that fits ORIGIN. */
static const char *find_origin(const struct s3_cors_rule *rule, const char *origin)
{
	for (size_t i = 0; i < rule->origins.count; i++)
		if (fits(rule->origins.items[i], origin))
			return rule->origins.items[i];
	return NULL;
}

static void to_lower(const char *text, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + ('a' - 'A')) : text[i];
	out[len] = '\0';
}

static bool has_header(const struct s3_cors_rule *rule, const char *name, size_t len)
{
	char have[TEXT_MAX + 1], want[TEXT_MAX + 1];

	if (len > TEXT_MAX)
		return false;
	to_lower(name, len, have);
	for (size_t i = 0; i < rule->headers.count; i++) {
		to_lower(rule->headers.items[i], strlen(rule->headers.items[i]), want);
		if (fits(want, have))
			return true;
	}
	return false;
}

static bool has_headers(const struct s3_cors_rule *rule, const char *headers)
{
	while (headers != NULL && *headers != '\0') {
		headers += strspn(headers, ", \t");
		size_t len = strcspn(headers, ", \t");
		if (len > 0 && !has_header(rule, headers, len))
			return false;
		headers += len;
	}
	return true;
}

const struct s3_cors_rule *s3_cors_find(const struct s3_cors *cors, const char *origin,
					const char *method, const char *headers)
{
	for (size_t i = 0; i < cors->count; i++) {
		const struct s3_cors_rule *rule = &cors->rules[i];
		if (has_method(rule, method) && find_origin(rule, origin) != NULL &&
		    has_headers(rule, headers))
			return rule;
	}
	return NULL;
}

static void join(const struct texts *texts, struct eos_buf *buf)
{
	eos_buf_clear(buf);
	for (size_t i = 0; i < texts->count; i++)
		eos_buf_printf(buf, "%s%s", i > 0 ? ", " : "", texts->items[i]);
}

/* HEADERS: what a preflight asked for, else NULL. */
static int add_headers(struct s3_request *request, const struct s3_cors_rule *rule,
		       const char *origin, const char *headers, bool is_preflight)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct http_request *http = request->http;
	bool is_any = strcmp(find_origin(rule, origin), "*") == 0;
	char age[24];

	int err =
		http_request_add_header(http, "Access-Control-Allow-Origin", is_any ? "*" : origin);
	/* Credentials go only where the origin is named. */
	if (err == 0 && !is_any)
		err = http_request_add_header(http, "Access-Control-Allow-Credentials", "true");
	if (err == 0)
		err = http_request_add_header(http, "Vary",
					      "Origin, Access-Control-Request-Headers, "
					      "Access-Control-Request-Method");
	join(&rule->methods, &text);
	if (err == 0)
		err = http_request_add_header(http, "Access-Control-Allow-Methods", text.data);
	join(&rule->exposed, &text);
	if (err == 0 && text.len > 0)
		err = http_request_add_header(http, "Access-Control-Expose-Headers", text.data);
	if (err == 0 && headers != NULL)
		err = http_request_add_header(http, "Access-Control-Allow-Headers", headers);
	snprintf(age, sizeof(age), "%" PRIu64, rule->max_age_s);
	if (err == 0 && is_preflight && rule->max_age_s != NO_AGE)
		err = http_request_add_header(http, "Access-Control-Max-Age", age);
	return eos_buf_failed(&text) ? -ENOMEM : err;
}

/* The bucket's rules; *RET_CORS is NULL when there are none. */
static enum s3_code load(struct s3_request *request, struct s3_cors **ret_cors)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	*ret_cors = NULL;
	enum s3_code code = s3_read_document(request, request->bucket, "cors", &text);
	if (code != S3_OK || text.len == 0)
		return code;
	return s3_cors_read(text.data, text.len, ret_cors);
}

enum s3_code s3_cors_answer(struct s3_request *request)
{
	const char *origin = s3_header(request, "origin");
	/* As S3 does, also where this is no preflight. */
	const char *asked = s3_header(request, "access-control-request-method");
	const char *method = asked != NULL ? asked : http_request_method(request->http);
	struct s3_cors *cors;

	if (origin == NULL || request->bucket[0] == '\0')
		return S3_OK;
	enum s3_code code = load(request, &cors);
	if (code != S3_OK || cors == NULL)
		return code;
	const struct s3_cors_rule *rule = s3_cors_find(cors, origin, method, NULL);
	if (rule != NULL && add_headers(request, rule, origin, NULL, false) < 0)
		code = S3_INTERNAL_ERROR;
	s3_cors_free(cors);
	return code;
}

enum s3_code s3_preflight(struct s3_request *request)
{
	const char *origin = s3_header(request, "origin");
	const char *method = s3_header(request, "access-control-request-method");
	const char *headers = s3_header(request, "access-control-request-headers");
	struct s3_cors *cors;

	if (origin == NULL)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Insufficient information. Origin request header needed.");
	if (method == NULL)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Invalid Access-Control-Request-Method: null");
	enum s3_code code = load(request, &cors);
	if (code != S3_OK)
		return code;
	const struct s3_cors_rule *rule =
		cors != NULL ? s3_cors_find(cors, origin, method, headers) : NULL;
	code = rule != NULL ? S3_OK : S3_CORS_FORBIDDEN;
	if (code == S3_OK && add_headers(request, rule, origin, headers, true) < 0)
		code = S3_INTERNAL_ERROR;
	s3_cors_free(cors);
	if (code == S3_OK)
		s3_respond(request, 200, NULL, 0, NULL, 0);
	return code;
}
