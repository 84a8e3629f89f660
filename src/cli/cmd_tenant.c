/*
 * `edgeos tenant …`.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"

static void print_tenants(const struct eos_node *root)
{
	const struct eos_node *tenants = eos_node_get(root, "tenants");
	printf("%-24s %14s %10s %14s %10s %s\n", "NAME", "BYTES", "OBJECTS", "QUOTA BYTES",
	       "OBJECTS", "KEYS");
	for (size_t i = 0; tenants != NULL && i < eos_node_count(tenants); i++) {
		const struct eos_node *tenant = eos_node_at(tenants, i);
		const struct eos_node *keys = eos_node_get(tenant, "access_keys");
		cli_put_safe(cli_field(tenant, "name"), 24);
		printf(" %14s %10s %14s %10s %zu\n", cli_field(tenant, "bytes"),
		       cli_field(tenant, "objects"), cli_field(tenant, "quota_bytes"),
		       cli_field(tenant, "quota_objects"), keys == NULL ? 0 : eos_node_count(keys));
	}
}

static void print_tenant(const struct eos_node *root)
{
	static const char *const fields[] = {"name", "bytes", "objects", "quota_bytes",
					     "quota_objects"};
	const struct eos_node *keys = eos_node_get(root, "access_keys");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fields); i++)
		printf("%-14s %s\n", fields[i], cli_field(root, fields[i]));
	for (size_t i = 0; keys != NULL && i < eos_node_count(keys); i++)
		printf("%-14s %s\n", "access key", eos_node_text(eos_node_at(keys, i)));
}

/* "/api/v1/tenants/NAME" and SUFFIX; quotas that were given go into the query. */
static void tenant_path(struct eos_buf *path, const char *name, const char *suffix,
			const char *bytes, const char *objects)
{
	cli_path(path, "/api/v1/tenants/", name, false);
	eos_buf_puts(path, suffix);
	if (bytes != NULL)
		cli_path(path, "?quota-bytes=", bytes, false);
	if (objects != NULL)
		cli_path(path, bytes != NULL ? "&quota-objects=" : "?quota-objects=", objects,
			 false);
}

/* A call whose answer is a new key, which is shown this once. */
static int make_key(struct cli *cli, const char *method, const char *path)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_doc *doc = NULL;
	int code = cli_call_json(cli, method, path, NULL, 0, &body, &doc);
	if (code != 0)
		return code;
	const struct eos_node *root = eos_doc_root(doc);
	if (cli->is_json)
		code = cli_print(body.data, body.len);
	if (cli->is_json && code == 0)
		code = cli_print("\n", 1);
	if (!cli->is_json)
		printf("access key %s\nsecret key %s\n", cli_field(root, "access_key"),
		       cli_field(root, "secret_key"));
	eos_doc_free(doc);
	return code;
}

static int remove_key(struct cli *cli, const char *name, const char *access_key)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	tenant_path(&path, name, "/keys", NULL, NULL);
	cli_path(&path, "?access-key=", access_key, false);
	return cli_call(cli, "DELETE", path.data, NULL, 0, NULL);
}

static int on_tenant(struct cli *cli, const char *action, const char *name, const char *bytes,
		     const char *objects)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	bool has_quota = bytes != NULL || objects != NULL;
	bool takes_quota = strcmp(action, "create") == 0 || strcmp(action, "quota") == 0;

	if (has_quota && !takes_quota)
		return cli_usage("tenant", "tenant %s takes no quota", action);
	if (strcmp(action, "create") == 0) {
		tenant_path(&path, name, "", bytes, objects);
		return make_key(cli, "PUT", path.data);
	}
	if (strcmp(action, "quota") == 0 && has_quota) {
		tenant_path(&path, name, "/quota", bytes, objects);
		return cli_call(cli, "POST", path.data, NULL, 0, NULL);
	}
	if (strcmp(action, "key") == 0) {
		tenant_path(&path, name, "/keys", NULL, NULL);
		return make_key(cli, "POST", path.data);
	}
	tenant_path(&path, name, "", NULL, NULL);
	if (strcmp(action, "show") == 0)
		return cli_show(cli, path.data, print_tenant);
	if (strcmp(action, "rm") == 0)
		return cli_call(cli, "DELETE", path.data, NULL, 0, NULL);
	return -1;
}

int cmd_tenant(struct cli *cli, int argc, char **argv)
{
	const char *bytes = NULL, *objects = NULL, *old_key = NULL;
	const struct cli_option options[] = {{.name = "quota-bytes", .value = &bytes},
					     {.name = "quota-objects", .value = &objects},
					     {.name = "rm", .value = &old_key},
					     {.name = NULL}};
	int operands = cli_parse(cli, cli_find_verb("tenant"), argc, argv, options);
	if (operands < 0)
		return -operands;
	if (operands == 1 && strcmp(argv[0], "list") == 0)
		return cli_show(cli, "/api/v1/tenants", print_tenants);
	int code = -1;
	if (operands == 2 && old_key != NULL)
		code = strcmp(argv[0], "key") == 0 ? remove_key(cli, argv[1], old_key) : -1;
	else if (operands == 2)
		code = on_tenant(cli, argv[0], argv[1], bytes, objects);
	if (code >= 0)
		return code;
	return cli_usage("tenant", "tenant: create NAME, list, show NAME, rm NAME, key NAME or "
				   "quota NAME");
}
