/*
 * `edgeos chain`: chains of packet functions, applied from manifests (docs/chains.md). The node
 * checks them; here a manifest is only read for its name and its stages' files. A Click
 * configuration is made a module here, with the user's rights and compiler.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/modules.h"

#define MANIFEST_MAX (64u << 10)
#define STAGES_MAX   16u
#define PEM_MAX	     (256u << 10)

struct upload {
	struct eos_buf body, lengths;
};

static void add_length(struct upload *upload, size_t len)
{
	eos_buf_printf(&upload->lengths, "%s%zu", upload->lengths.len > 0 ? "," : "", len);
}

static int add_stage(struct upload *upload, const char *manifest_path, const struct eos_node *node)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	char path[4096];
	const char *image = eos_node_kind(node) == EOS_NODE_SCALAR ? eos_node_text(node)
								   : cli_field(node, "image");
	if (image[0] == '\0')
		return cli_fail("%s:%u: a stage needs the file of its image", manifest_path,
				eos_node_line(node));
	if (cli_path_beside(manifest_path, image, path, sizeof(path)) < 0)
		return cli_fail("%s:%u: the path is too long", manifest_path, eos_node_line(node));
	int code = cli_read_module(path, &module);
	if (code != 0)
		return code;
	eos_buf_append(&upload->body, module.data, module.len);
	add_length(upload, module.len);
	return 0;
}

static int add_stages(struct upload *upload, const char *path, const struct eos_node *root)
{
	const struct eos_node *stages = eos_node_get(root, "stages");
	if (stages == NULL || eos_node_kind(stages) != EOS_NODE_LIST ||
	    eos_node_count(stages) > STAGES_MAX)
		return cli_fail("%s: stages: must be a list of at most %u stages", path,
				STAGES_MAX);
	for (size_t i = 0; i < eos_node_count(stages); i++) {
		int code = add_stage(upload, path, eos_node_at(stages, i));
		if (code != 0)
			return code;
	}
	return 0;
}

/* The files of an endpoint's TLS, in the order in which the node wants them. */
static int add_tls(struct upload *upload, const char *manifest_path, const struct eos_node *root)
{
	static const char *const keys[] = {"certificate", "key", "client_ca"};
	const struct eos_node *endpoint = eos_node_get(root, "endpoint");
	const struct eos_node *tls = endpoint == NULL ? NULL : eos_node_get(endpoint, "tls");
	for (size_t i = 0; tls != NULL && i < EOS_ARRAY_SIZE(keys); i++) {
		const char *name = cli_field(tls, keys[i]);
		char path[4096];
		size_t before = upload->body.len;
		/* The node says what is missing. */
		if (name[0] == '\0')
			continue;
		if (cli_path_beside(manifest_path, name, path, sizeof(path)) < 0)
			return cli_fail("%s:%u: the path is too long", manifest_path,
					eos_node_line(tls));
		if (cli_read_file(path, PEM_MAX, &upload->body) != 0)
			return cli_fail("%s:%u: endpoint: tls: %s: the file cannot be read",
					manifest_path, eos_node_line(tls), keys[i]);
		add_length(upload, upload->body.len - before);
	}
	return 0;
}

/* It may hold a private key. */
static void forget(struct eos_buf *body)
{
	if (body->data != NULL)
		explicit_bzero(body->data, body->cap);
	eos_buf_fini(body);
}

static int send(struct cli *cli, const char *name, const char *source, const struct upload *upload)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf answer = {0};
	cli_path(&path, "/api/v1/chains/", name, false);
	eos_buf_printf(&path, "?lengths=%s", upload->lengths.data);
	cli_path(&path, "&source=", source, false);
	if (eos_buf_failed(&upload->body) || eos_buf_failed(&upload->lengths) ||
	    eos_buf_failed(&path))
		return cli_fail("out of memory");
	int code = cli_call(cli, "PUT", path.data, upload->body.data, upload->body.len, &answer);
	if (code == 0 && !cli->is_json)
		printf("applied %s\n", name);
	return code;
}

static int apply(struct cli *cli, const char *path)
{
	struct upload upload = {{0}, {0}};
	struct eos_why why = {""};
	struct eos_doc *doc = NULL;
	int code = cli_read_file(path, MANIFEST_MAX, &upload.body);
	if (code != 0)
		return code;
	if (eos_doc_parse_yaml(path, upload.body.data, upload.body.len, &doc, &why) < 0) {
		eos_buf_fini(&upload.body);
		return cli_fail("%s", why.text);
	}
	const char *name = cli_field(eos_doc_root(doc), "chain");
	if (name[0] == '\0')
		code = cli_fail("%s: chain: the name is missing", path);
	add_length(&upload, upload.body.len);
	if (code == 0)
		code = add_stages(&upload, path, eos_doc_root(doc));
	if (code == 0)
		code = add_tls(&upload, path, eos_doc_root(doc));
	if (code == 0)
		code = send(cli, name, path, &upload);
	eos_doc_free(doc);
	forget(&upload.body);
	eos_buf_fini(&upload.lengths);
	return code;
}

/* --- looking --- */

static void print_list(const struct eos_node *root)
{
	const struct eos_node *chains = eos_node_get(root, "chains");
	size_t count = chains == NULL ? 0 : eos_node_count(chains);
	printf("%-20s %-12s %-10s %-10s %8s %12s %10s\n", "CHAIN", "TENANT", "PORT", "OUT",
	       "CLIENTS", "PACKETS", "NO CHAIN");
	for (size_t i = 0; i < count; i++) {
		const struct eos_node *chain = eos_node_at(chains, i);
		cli_put_safe(cli_field(chain, "chain"), 20);
		putchar(' ');
		cli_put_safe(cli_field(chain, "tenant"), 12);
		putchar(' ');
		cli_put_safe(cli_field(chain, "port"), 10);
		putchar(' ');
		const struct eos_node *out = eos_node_get(chain, "out");
		bool has_out = out != NULL && !eos_node_is_null(out);
		cli_put_safe(has_out ? eos_node_text(out) : "-", 10);
		printf(" %8s %12s %10s\n", cli_field(chain, "chains"), cli_field(chain, "packets"),
		       cli_field(chain, "no_chain"));
	}
}

static void print_fields(const struct eos_node *map, const char *indent)
{
	for (size_t i = 0; i < eos_node_count(map); i++) {
		const struct eos_node *value = eos_node_at(map, i);
		if (eos_node_kind(value) != EOS_NODE_SCALAR)
			continue;
		fputs(indent, stdout);
		cli_put_safe(eos_node_key_at(map, i), 20);
		putchar(' ');
		cli_put_safe(eos_node_text(value), 0);
		putchar('\n');
	}
}

static void print_chain(const struct eos_node *chain)
{
	const struct eos_node *stages = eos_node_get(chain, "stages");
	size_t count = stages == NULL ? 0 : eos_node_count(stages);
	print_fields(chain, "");
	for (size_t i = 0; i < count; i++) {
		const struct eos_node *stage = eos_node_at(stages, i);
		const struct eos_node *counters = eos_node_get(stage, "counters");
		printf("stage %zu\n", i);
		print_fields(stage, "  ");
		if (counters != NULL)
			print_fields(counters, "    ");
	}
}

static int show(struct cli *cli, const char *name)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	cli_path(&path, "/api/v1/chains/", name, false);
	return cli_show(cli, path.data, print_chain);
}

static int remove_one(struct cli *cli, const char *name)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf answer = {0};
	cli_path(&path, "/api/v1/chains/", name, false);
	return cli_call(cli, "DELETE", path.data, NULL, 0, &answer);
}

int cmd_chain(struct cli *cli, int argc, char **argv)
{
	const struct cli_option options[] = {{.name = NULL}};
	int operands = cli_parse(cli, cli_find_verb("chain"), argc, argv, options);
	if (operands < 0)
		return -operands;
	const char *verb = operands > 0 ? argv[0] : "";
	if (operands == 1 && strcmp(verb, "list") == 0)
		return cli_show(cli, "/api/v1/chains", print_list);
	if (operands == 2 && strcmp(verb, "apply") == 0)
		return apply(cli, argv[1]);
	if (operands == 2 && strcmp(verb, "show") == 0)
		return show(cli, argv[1]);
	if (operands == 2 && strcmp(verb, "rm") == 0)
		return remove_one(cli, argv[1]);
	return cli_usage("chain", "chain: wants apply FILE.yaml, list, show NAME or rm NAME");
}
