/*
 * Buckets and their settings: `edgeos bucket`.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"

static void print_buckets(const struct eos_node *root)
{
	const struct eos_node *buckets = eos_node_get(root, "buckets");
	for (size_t i = 0; buckets != NULL && i < eos_node_count(buckets); i++) {
		const struct eos_node *bucket = eos_node_at(buckets, i);
		printf("%-25s %s\n", cli_field(bucket, "created"), cli_field(bucket, "name"));
	}
}

int cli_list_buckets(struct cli *cli)
{
	return cli_show(cli, "/api/v1/buckets", print_buckets);
}

static const char *on_or_off(const struct eos_node *root, const char *key)
{
	return strcmp(cli_field(root, key), "true") == 0 ? "on" : "off";
}

static void print_bucket(const struct eos_node *root)
{
	char size[CLI_SIZE_SIZE];
	uint64_t quota_bytes = cli_field_u64(root, "quota_bytes");
	uint64_t quota_objects = cli_field_u64(root, "quota_objects");
	const char *tenant = cli_field(root, "tenant");
	printf("name           %s\n", cli_field(root, "name"));
	printf("created        %s\n", cli_field(root, "created"));
	printf("owner          %s\n", tenant[0] == '\0' ? "the node's operator" : tenant);
	printf("versioning     %s\n", cli_field(root, "versioning"));
	printf("object lock    %s\n", on_or_off(root, "object_lock"));
	printf("encryption     %s\n", on_or_off(root, "encrypted"));
	printf("compression    %s\n", on_or_off(root, "compressed"));
	printf("objects        %s\n", cli_field(root, "objects"));
	printf("size           %s\n", cli_format_size(cli_field_u64(root, "bytes"), size));
	printf("quota, objects %s\n",
	       quota_objects == 0 ? "none" : cli_field(root, "quota_objects"));
	printf("quota, size    %s\n",
	       quota_bytes == 0 ? "none" : cli_format_size(quota_bytes, size));
}

/* The options of `bucket set` as they were given, or NULL. */
struct settings {
	const char *versioning, *compress, *encrypt, *quota_bytes, *quota_objects;
};

static bool is_empty(const struct settings *s)
{
	return s->versioning == NULL && s->compress == NULL && s->encrypt == NULL &&
	       s->quota_bytes == NULL && s->quota_objects == NULL;
}

/* 0 or an exit code after a message, as all of these. */
static int put_versioning(struct eos_json *json, const char *text)
{
	if (text == NULL)
		return 0;
	bool is_on = strcmp(text, "on") == 0;
	if (!is_on && strcmp(text, "suspended") != 0)
		return cli_usage("bucket", "--versioning: neither on nor suspended: \"%s\"", text);
	eos_json_text(json, "versioning", is_on ? "enabled" : "suspended");
	return 0;
}

static int put_switch(struct eos_json *json, const char *option, const char *key, const char *text)
{
	if (text == NULL)
		return 0;
	bool is_on = strcmp(text, "on") == 0;
	if (!is_on && strcmp(text, "off") != 0)
		return cli_usage("bucket", "%s: neither on nor off: \"%s\"", option, text);
	eos_json_bool(json, key, is_on);
	return 0;
}

/* 0 means no quota to the node; who writes 0 may mean that nothing may be stored. */
static int put_quota(struct eos_json *json, const char *option, const char *key, const char *text,
		     int (*parse)(const char *text, uint64_t *ret_value))
{
	uint64_t value = 0;
	if (text == NULL)
		return 0;
	if (strcmp(text, "none") != 0 && (parse(text, &value) < 0 || value == 0))
		return cli_usage("bucket", "%s: neither a number above 0 nor none: \"%s\"", option,
				 text);
	eos_json_u64(json, key, value);
	return 0;
}

static int set_bucket(struct cli *cli, const char *name, const struct settings *s)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&text);
	eos_json_open(&json, NULL, '{');
	int code = put_versioning(&json, s->versioning);
	if (code == 0)
		code = put_switch(&json, "--compress", "compressed", s->compress);
	if (code == 0)
		code = put_switch(&json, "--encrypt", "encrypted", s->encrypt);
	if (code == 0)
		code = put_quota(&json, "--quota-bytes", "quota_bytes", s->quota_bytes,
				 eos_parse_size);
	if (code == 0)
		code = put_quota(&json, "--quota-objects", "quota_objects", s->quota_objects,
				 eos_parse_u64);
	eos_json_close(&json, '}');
	if (code != 0)
		return code;
	cli_path(&path, "/api/v1/buckets/", name, false);
	eos_buf_puts(&path, "/settings");
	code = cli_call(cli, "PUT", path.data, text.data, text.len, &body);
	if (code != 0 || !cli->is_json)
		return code;
	eos_buf_puts(&body, "\n");
	return cli_print(body.data, body.len);
}

static int on_bucket(struct cli *cli, const char *action, const char *name)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	cli_path(&path, "/api/v1/buckets/", name, false);
	if (strcmp(action, "show") == 0)
		return cli_show(cli, path.data, print_bucket);
	return cli_call(cli, strcmp(action, "create") == 0 ? "PUT" : "DELETE", path.data, NULL, 0,
			NULL);
}

int cmd_bucket(struct cli *cli, int argc, char **argv)
{
	struct settings settings = {0};
	const struct cli_option options[] = {
		{.name = "versioning", .value = &settings.versioning},
		{.name = "compress", .value = &settings.compress},
		{.name = "encrypt", .value = &settings.encrypt},
		{.name = "quota-bytes", .value = &settings.quota_bytes},
		{.name = "quota-objects", .value = &settings.quota_objects},
		{.name = NULL},
	};
	int operands = cli_parse(cli, cli_find_verb("bucket"), argc, argv, options);
	if (operands < 0)
		return -operands;
	const char *action = operands == 0 ? "" : argv[0];
	if (operands == 2 && strcmp(action, "set") == 0) {
		if (is_empty(&settings))
			return cli_usage("bucket", "bucket set %s: what?", argv[1]);
		return set_bucket(cli, argv[1], &settings);
	}
	if (!is_empty(&settings))
		return cli_usage("bucket", "bucket: settings are given to `bucket set NAME`");
	if (operands == 1 && strcmp(action, "list") == 0)
		return cli_list_buckets(cli);
	if (operands != 2 || (strcmp(action, "create") != 0 && strcmp(action, "show") != 0 &&
			      strcmp(action, "rm") != 0))
		return cli_usage("bucket", "bucket: create NAME, list, show NAME, set NAME or "
					   "rm NAME");
	return on_bucket(cli, action, argv[1]);
}
