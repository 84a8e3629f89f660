/*
 * Finding objects by their metadata, tags and times: `edgeos find`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/find_terms.h"
#include "store/store.h"

struct find_options {
	const char *bucket, *prefix, *since, *until, *limit;
	struct cli_values tags, meta;
};

static void put_term(struct eos_json *json, const char *prefix, const struct find_term *term)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf name = {0};
	eos_buf_puts(&name, prefix);
	size_t start = name.len;
	eos_buf_append(&name, term->name, term->name_len);
	/* S3 keeps names of metadata in lower case, and tags as they are. */
	bool is_tag = strcmp(prefix, STORE_META_TAG) == 0;
	for (size_t i = start; !is_tag && i < name.len; i++) {
		if (name.data[i] >= 'A' && name.data[i] <= 'Z')
			name.data[i] = (char)(name.data[i] + ('a' - 'A'));
	}
	json->buf->failed |= eos_buf_failed(&name);
	eos_json_open(json, NULL, '{');
	eos_json_text_n(json, "name", name.data, name.len);
	eos_json_text(json, "op", term->op);
	eos_json_text(json, "value", term->value);
	eos_json_close(json, '}');
}

/* Those with "=", or those without: the store looks the first term up, and equality finds less.
 * 0 or an exit code after a message. */
static int put_terms(struct eos_json *json, const char *option, const char *prefix,
		     const struct cli_values *values, bool is_equality)
{
	for (size_t i = 0; i < values->count; i++) {
		struct find_term term;
		if (find_term_parse(values->items[i], &term) < 0)
			return cli_usage("find",
					 "%s: not a name, one of = < <= > >= and a value: \"%s\"",
					 option, values->items[i]);
		if ((strcmp(term.op, "=") == 0) == is_equality)
			put_term(json, prefix, &term);
	}
	return 0;
}

static int put_all_terms(struct eos_json *json, const struct find_options *o)
{
	int code = 0;
	eos_json_open(json, "terms", '[');
	for (unsigned pass = 0; pass < 2 && code == 0; pass++) {
		code = put_terms(json, "--tag", STORE_META_TAG, &o->tags, pass == 0);
		if (code == 0)
			code = put_terms(json, "--meta", STORE_META_USER, &o->meta, pass == 0);
	}
	eos_json_close(json, ']');
	return code;
}

static int put_time(struct eos_json *json, const char *key, const char *text, uint64_t now_ns)
{
	char time[EOS_ISO8601_SIZE];
	uint64_t ns;
	if (text == NULL)
		return 0;
	int err = find_time_parse(text, now_ns, &ns);
	if (err == -ERANGE)
		return cli_usage("find", "--%s: \"%s\" is before 1970 or after 2554", key, text);
	if (err < 0)
		return cli_usage("find",
				 "--%s: neither a time as 2026-11-22T08:30:00Z nor an age as 7d or "
				 "2h: \"%s\"",
				 key, text);
	eos_format_iso8601(ns, time);
	eos_json_text(json, key, time);
	return 0;
}

/* The request's body into TEXT. 0 or an exit code after a message. */
static int make_query(const struct find_options *o, struct eos_buf *text)
{
	struct eos_json json = eos_json_begin(text);
	uint64_t now_ns = eos_wall_ns(), limit;
	eos_json_open(&json, NULL, '{');
	if (o->bucket != NULL)
		eos_json_text(&json, "bucket", o->bucket);
	if (o->prefix != NULL)
		eos_json_text(&json, "prefix", o->prefix);
	if (o->limit != NULL) {
		if (eos_parse_u64(o->limit, &limit) < 0 || limit == 0)
			return cli_usage("find", "--limit: not a number above 0: \"%s\"", o->limit);
		eos_json_u64(&json, "limit", limit);
	}
	int code = put_time(&json, "since", o->since, now_ns);
	if (code == 0)
		code = put_time(&json, "until", o->until, now_ns);
	if (code == 0)
		code = put_all_terms(&json, o);
	eos_json_close(&json, '}');
	if (code == 0 && eos_buf_failed(text))
		return cli_fail("out of memory");
	return code;
}

static void print_found(const struct eos_node *root)
{
	const struct eos_node *objects = eos_node_get(root, "objects");
	for (size_t i = 0; objects != NULL && i < eos_node_count(objects); i++) {
		const struct eos_node *object = eos_node_at(objects, i);
		printf("%-25s %12s s3://", cli_field(object, "modified"),
		       cli_field(object, "size"));
		cli_put_safe(cli_field(object, "bucket"), 0);
		putchar('/');
		cli_put_safe(cli_field(object, "key"), 0);
		putchar('\n');
	}
	if (strcmp(cli_field(root, "more"), "true") == 0) {
		fflush(stdout);
		fprintf(stderr, "edgeos: there are more; --limit says how many are shown\n");
	}
}

int cmd_find(struct cli *cli, int argc, char **argv)
{
	struct find_options o = {0};
	const struct cli_option options[] = {
		{.name = "bucket", .value = &o.bucket}, {.name = "prefix", .value = &o.prefix},
		{.name = "tag", .values = &o.tags},	{.name = "meta", .values = &o.meta},
		{.name = "since", .value = &o.since},	{.name = "until", .value = &o.until},
		{.name = "limit", .value = &o.limit},	{.name = NULL},
	};
	int operands = cli_parse(cli, cli_find_verb("find"), argc, argv, options);
	if (operands < 0)
		return -operands;
	if (operands > 0)
		return cli_usage("find", "find: \"%s\" is one argument too many", argv[0]);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf query = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_doc *doc = NULL;
	int code = make_query(&o, &query);
	if (code == 0)
		code = cli_call_json(cli, "POST", "/api/v1/find", query.data, query.len, &body,
				     &doc);
	if (code == 0)
		code = cli_put_answer(cli, &body, eos_doc_root(doc), print_found);
	eos_doc_free(doc);
	return code;
}
