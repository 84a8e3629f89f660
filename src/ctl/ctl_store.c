/*
 * The store as a whole over the control API: what it holds, finding objects, upkeep. For `edgeos
 * store` and `edgeos find`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/node.h"
#include "base/str.h"
#include "ctl/ctl_priv.h"
#include "ctl/ctl_upkeep.h"

#define FIND_BODY_MAX	   (256u << 10)
#define FIND_TERMS_MAX	   64u
#define FIND_LIMIT_DEFAULT 1000u
/* An answer can be read by our own parser, which takes 4 MiB and 100,000 nodes. */
#define FIND_LIMIT_MAX	10000u
#define FIND_ANSWER_MAX (3u << 20)

static void put_scrub(const struct store_scrub *s, struct eos_json *json)
{
	eos_json_open(json, "scrub", '{');
	eos_json_u64(json, "rate", s->rate);
	eos_json_u64(json, "interval_s", s->interval_ns / EOS_NS_PER_S);
	eos_json_bool(json, "running", s->is_running);
	eos_json_u64(json, "done_bytes", s->done_bytes);
	eos_json_u64(json, "of_bytes", s->of_bytes);
	eos_json_u64(json, "segment", s->segment);
	eos_json_u64(json, "damages", s->damages);
	eos_json_u64(json, "passes", s->passes);
	eos_json_u64(json, "begun_s", s->begun_ns / EOS_NS_PER_S);
	eos_json_u64(json, "ended_s", s->ended_ns / EOS_NS_PER_S);
	eos_json_close(json, '}');
}

static void run_stats(struct ctl_request *request)
{
	struct store_stats s;
	struct store_scrub scrub;
	int err = store_stats(request->server->config.store, &s);
	if (err == 0)
		err = store_scrub_get(request->server->config.store, &scrub);
	if (err < 0) {
		ctl_answer_error(request, err, "reading the store: %s", strerror(-err));
		return;
	}
	const struct {
		const char *name;
		uint64_t value;
	} fields[] = {
		{"buckets", s.buckets},
		{"objects", s.objects},
		{"bytes", s.bytes},
		{"outbox_events", s.outbox_events},
		{"chunks", s.chunks},
		{"chunk_bytes", s.chunk_bytes},
		{"segment_bytes", s.segment_bytes},
		{"garbage_bytes", s.garbage_bytes},
		{"metadata_bytes", s.metadata_bytes},
		{"free_bytes", s.free_bytes},
	};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fields); i++)
		eos_json_u64(&json, fields[i].name, fields[i].value);
	put_scrub(&scrub, &json);
	eos_json_close(&json, '}');
	ctl_answer_json(request, 200, &body);
}

/* Upkeep */

static void answer_upkeep(struct ctl_request *request, unsigned status)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	ctl_upkeep_put(request->server->upkeep, &json);
	ctl_answer_json(request, status, &body);
}

static void answer_unknown(struct ctl_request *request)
{
	ctl_answer_error(request, -ENOENT,
			 "the store has no \"%s\": verify, repair, compact and upkeep are there",
			 request->name);
}

static void run_start_upkeep(struct ctl_request *request)
{
	enum ctl_upkeep_kind kind;
	if (!ctl_upkeep_parse_kind(request->name, &kind)) {
		answer_unknown(request);
		return;
	}
	int err = ctl_upkeep_start(request->server->upkeep, kind);
	if (err == -EBUSY)
		ctl_answer_error(request, err, "the store is under upkeep already; one at a time");
	else if (err == -ECANCELED)
		ctl_answer_error(request, -EAGAIN, "the node is about to stop");
	else if (err < 0)
		ctl_answer_error(request, err, "%s: %s", request->name, strerror(-err));
	else
		answer_upkeep(request, 202);
}

static void run_get_upkeep(struct ctl_request *request)
{
	if (strcmp(request->name, "upkeep") == 0)
		answer_upkeep(request, 200);
	else
		answer_unknown(request);
}

static void run_stop_upkeep(struct ctl_request *request)
{
	if (strcmp(request->name, "upkeep") != 0)
		answer_unknown(request);
	else if (ctl_upkeep_stop(request->server->upkeep) < 0)
		ctl_answer_error(request, -ENOENT, "the store is not under upkeep");
	else
		ctl_answer_empty(request);
}

/* Finding */

struct find {
	struct store_find_query query; /* its texts are the document's */
	struct store_find_term terms[FIND_TERMS_MAX];
	struct eos_json json;
};

/* The text of a field that must be there. */
static int get_wanted(const struct eos_node *map, const char *key, const char **ret_value,
		      struct eos_why *why)
{
	*ret_value = NULL;
	int err = eos_node_get_text(map, key, ret_value, why);
	if (err == 0 && *ret_value == NULL)
		return eos_node_fail(map, why, "%s is missing", key);
	return err;
}

static int decode_term(const struct eos_node *node, struct store_find_term *term,
		       struct eos_why *why)
{
	static const char *const keys[] = {"name", "op", "value", NULL};
	static const char *const ops[] = {
		[STORE_FIND_EQ] = "=", [STORE_FIND_LT] = "<",  [STORE_FIND_LE] = "<=",
		[STORE_FIND_GT] = ">", [STORE_FIND_GE] = ">=",
	};
	const char *op = "=";
	int err = eos_node_check_keys(node, keys, why);
	if (err == 0)
		err = get_wanted(node, "name", &term->name, why);
	if (err == 0)
		err = get_wanted(node, "value", &term->value, why);
	if (err == 0)
		err = eos_node_get_text(node, "op", &op, why);
	if (err < 0)
		return err;
	size_t prefix_len = eos_str_starts_with(term->name, STORE_META_TAG) ? strlen(STORE_META_TAG)
			    : eos_str_starts_with(term->name, STORE_META_USER)
				    ? strlen(STORE_META_USER)
				    : 0;
	if (prefix_len == 0 || term->name[prefix_len] == '\0')
		return eos_node_fail(eos_node_get(node, "name"), why,
				     "name: \"%s\" is neither %sNAME nor %sKEY", term->name,
				     STORE_META_USER, STORE_META_TAG);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(ops); i++) {
		if (strcmp(ops[i], op) == 0) {
			term->op = (enum store_find_op)i;
			return 0;
		}
	}
	return eos_node_fail(eos_node_get(node, "op"), why,
			     "op: \"%s\" is none of = < <= > >=", op);
}

static int decode_time(const struct eos_node *root, const char *key, uint64_t *value,
		       struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(root, key, &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (eos_parse_iso8601(text, value) < 0)
		return eos_node_fail(eos_node_get(root, key), why,
				     "%s: not a date and time as 2026-11-22T01:02:03Z: \"%s\"", key,
				     text);
	return 0;
}

static int decode_find(const struct eos_node *root, struct find *find, struct eos_why *why)
{
	static const char *const keys[] = {"bucket", "prefix", "since", "until",
					   "limit",  "terms",  NULL};
	uint64_t limit = FIND_LIMIT_DEFAULT;
	struct store_find_query *query = &find->query;
	*query = (struct store_find_query){.until_ns = UINT64_MAX, .terms = find->terms};
	int err = eos_node_check_keys(root, keys, why);
	if (err == 0)
		err = eos_node_get_text(root, "bucket", &query->bucket, why);
	if (err == 0)
		err = eos_node_get_text(root, "prefix", &query->prefix, why);
	if (err == 0)
		err = eos_node_get_u64(root, "limit", 1, FIND_LIMIT_MAX, &limit, why);
	if (err == 0)
		err = decode_time(root, "since", &query->since_ns, why);
	if (err == 0)
		err = decode_time(root, "until", &query->until_ns, why);
	const struct eos_node *terms = eos_node_get(root, "terms");
	if (err < 0 || terms == NULL)
		goto out;
	if (eos_node_kind(terms) != EOS_NODE_LIST || eos_node_count(terms) > FIND_TERMS_MAX)
		return eos_node_fail(terms, why, "terms: not a list of up to %u", FIND_TERMS_MAX);
	query->terms_count = eos_node_count(terms);
	for (size_t i = 0; i < query->terms_count && err == 0; i++)
		err = decode_term(eos_node_at(terms, i), &find->terms[i], why);
out:
	query->limit = (unsigned)limit;
	return err;
}

/* Stops when the answer is as long as may be. */
static int put_found(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	struct find *find = ctx;
	struct eos_json *json = &find->json;
	char modified[EOS_ISO8601_SIZE];
	if (json->buf->len > FIND_ANSWER_MAX)
		return 1;
	eos_format_iso8601(entry->info->modified_ns, modified);
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "bucket", bucket);
	eos_json_text_n(json, "key", entry->key, entry->key_len);
	eos_json_u64(json, "size", entry->info->size);
	eos_json_text(json, "modified", modified);
	eos_json_text(json, "etag", entry->info->etag);
	eos_json_close(json, '}');
	return 0;
}

static void perform_find(struct ctl_request *request, struct find *find)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	const char *bucket = find->query.bucket;
	bool has_more = false;
	find->json = eos_json_begin(&body);
	eos_json_open(&find->json, NULL, '{');
	eos_json_open(&find->json, "objects", '[');
	int err = bucket != NULL && bucket[0] == '.'
			  ? -ENOENT
			  : store_find(request->server->config.store, &find->query, put_found, find,
				       &has_more);
	if (err == -ENOENT && bucket != NULL)
		ctl_answer_error(request, err, "no bucket named \"%s\"", bucket);
	else if (err < 0)
		ctl_answer_error(request, err, "finding objects: %s", strerror(-err));
	if (err < 0)
		return;
	eos_json_close(&find->json, ']');
	eos_json_bool(&find->json, "more", has_more || err > 0);
	eos_json_close(&find->json, '}');
	ctl_answer_json(request, 200, &body);
}

static void run_find(struct ctl_request *request)
{
	struct eos_why why = {""};
	struct eos_doc *doc = NULL;
	struct find *find = calloc(1, sizeof(*find));
	int err = find == NULL ? -ENOMEM : ctl_parse_body(request, "query", &doc, &why);
	if (err == 0)
		err = decode_find(eos_doc_root(doc), find, &why);
	if (err < 0)
		ctl_answer_error(request, err, "%s", why.text[0] ? why.text : strerror(-err));
	else
		perform_find(request, find);
	eos_doc_free(doc);
	free(find);
}

const struct ctl_route ctl_store_routes[] = {
	{.method = "GET", .collection = "store", .run = run_stats},
	{.method = "POST", .collection = "store", .has_name = true, .run = run_start_upkeep},
	{.method = "GET", .collection = "store", .has_name = true, .run = run_get_upkeep},
	{.method = "DELETE", .collection = "store", .has_name = true, .run = run_stop_upkeep},
	{.method = "POST", .collection = "find", .body_max = FIND_BODY_MAX, .run = run_find},
	{.method = NULL},
};
