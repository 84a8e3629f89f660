/*
 * `edgeos deploy`: from a manifest file, or from a module and options, which become a manifest.
 * The node checks the manifest; here it is only read for its name and its module.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/modules.h"

#define MANIFEST_MAX (1u << 20) /* as docs/manifest.md says; the node looks, too */

struct deploy_options {
	const char *http, *on_object, *read_bucket, *write_bucket;
};

/* Sends manifest and module in one body and says what is there now. */
static int send(struct cli *cli, const char *source, const char *name,
		const struct eos_buf *manifest, const char *module_path)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf answer = {0};
	eos_buf_append(&body, manifest->data, manifest->len);
	int code = cli_read_module(module_path, &body);
	if (code != 0)
		return code;
	cli_path(&path, "/api/v1/functions/", name, false);
	eos_buf_printf(&path, "?manifest_bytes=%zu", manifest->len);
	cli_path(&path, "&source=", source, false);
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "compiling %s …\n", module_path);
	struct eos_doc *doc = NULL;
	code = cli_call_json(cli, "PUT", path.data, body.data, body.len, &answer, &doc);
	if (code != 0)
		return code;
	if (cli->is_json) {
		eos_buf_puts(&answer, "\n");
		code = cli_print(answer.data, answer.len);
	} else {
		printf("deployed %s, version %s\n", name, cli_field(eos_doc_root(doc), "version"));
	}
	eos_doc_free(doc);
	return code;
}

static int deploy_manifest(struct cli *cli, const char *path)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf manifest = {0};
	struct eos_why why = {""};
	int code = cli_read_file(path, MANIFEST_MAX, &manifest);
	if (code != 0)
		return code;
	struct eos_doc *doc = NULL;
	if (eos_doc_parse_yaml(path, manifest.data, manifest.len, &doc, &why) < 0)
		return cli_fail("%s", why.text);
	const struct eos_node *root = eos_doc_root(doc);
	const char *name = NULL, *image = NULL;
	int err = eos_node_get_text(root, "function", &name, &why);
	if (err == 0)
		err = eos_node_get_text(root, "image", &image, &why);
	if (err == 0 && name == NULL)
		err = eos_node_fail(root, &why, "function: the name is missing");
	if (err == 0 && image == NULL)
		err = eos_node_fail(root, &why, "image: the module's file is missing");
	char module[4096];
	if (err == 0 && cli_path_beside(path, image, module, sizeof(module)) < 0)
		err = eos_node_fail(root, &why, "image: the path is too long");
	code = err < 0 ? cli_fail("%s", why.text) : send(cli, path, name, &manifest, module);
	eos_doc_free(doc);
	return code;
}

static void put_grant(struct eos_json *json, const char *bucket, const char *access)
{
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "bucket", bucket);
	eos_json_text(json, "access", access);
	eos_json_close(json, '}');
}

static void put_grants(struct eos_json *json, const struct deploy_options *options)
{
	const char *read = options->read_bucket, *write = options->write_bucket;
	eos_json_open(json, "grants", '[');
	if (read != NULL && write != NULL && strcmp(read, write) == 0) {
		put_grant(json, read, "read-write");
	} else {
		if (read != NULL)
			put_grant(json, read, "read");
		if (write != NULL)
			put_grant(json, write, "write");
	}
	eos_json_close(json, ']');
}

static void put_triggers(struct eos_json *json, const struct deploy_options *options)
{
	eos_json_open(json, "triggers", '[');
	if (options->http != NULL) {
		eos_json_open(json, NULL, '{');
		eos_json_open(json, "http", '{');
		eos_json_text(json, "path", options->http);
		eos_json_close(json, '}');
		eos_json_close(json, '}');
	}
	if (options->on_object != NULL) {
		size_t bucket_len = strcspn(options->on_object, "/");
		const char *prefix = options->on_object + bucket_len;
		eos_json_open(json, NULL, '{');
		eos_json_open(json, "object", '{');
		eos_json_text_n(json, "bucket", options->on_object, bucket_len);
		if (*prefix == '/' && prefix[1] != '\0')
			eos_json_text(json, "prefix", prefix + 1);
		eos_json_close(json, '}');
		eos_json_close(json, '}');
	}
	eos_json_close(json, ']');
}

/* JSON is YAML too, and its writer quotes whatever the options hold. */
static int deploy_module(struct cli *cli, const char *name, const char *module,
			 const struct deploy_options *options)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf manifest = {0};
	struct eos_json json = eos_json_begin(&manifest);
	const char *slash = strrchr(module, '/');
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "function", name);
	eos_json_text(&json, "image", slash == NULL ? module : slash + 1);
	put_grants(&json, options);
	put_triggers(&json, options);
	eos_json_close(&json, '}');
	eos_buf_puts(&manifest, "\n");
	if (eos_buf_failed(&manifest))
		return cli_fail("out of memory");
	return send(cli, name, name, &manifest, module);
}

int cmd_deploy(struct cli *cli, int argc, char **argv)
{
	struct deploy_options given = {0};
	const struct cli_option options[] = {
		{.name = "http", .value = &given.http},
		{.name = "on-object", .value = &given.on_object},
		{.name = "read", .value = &given.read_bucket},
		{.name = "write", .value = &given.write_bucket},
		{.name = NULL},
	};
	int operands = cli_parse(cli, cli_find_verb("deploy"), argc, argv, options);
	if (operands < 0)
		return -operands;
	bool has_options = given.http != NULL || given.on_object != NULL ||
			   given.read_bucket != NULL || given.write_bucket != NULL;
	if (operands == 1 && has_options)
		return cli_usage("deploy", "deploy: triggers and grants of a manifest stand in it");
	if (operands == 1)
		return deploy_manifest(cli, argv[0]);
	if (operands == 2)
		return deploy_module(cli, argv[0], argv[1], &given);
	return cli_usage("deploy", "deploy: a manifest, or a name and a module");
}
