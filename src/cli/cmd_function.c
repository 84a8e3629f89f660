/*
 * `edgeos function …`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"

#define INPUT_MAX (8u << 20)

static void print_trigger(const struct eos_node *trigger)
{
	if (strcmp(cli_field(trigger, "kind"), "http") == 0) {
		printf("http ");
		cli_put_safe(cli_field(trigger, "path"), 0);
		return;
	}
	if (strcmp(cli_field(trigger, "kind"), "object") != 0) {
		printf("%s ", strcmp(cli_field(trigger, "kind"), "tcp") == 0 ? "tcp" : "udp");
		cli_put_safe(cli_field(trigger, "address"), 0);
		printf(" port ");
		cli_put_safe(cli_field(trigger, "port"), 0);
		return;
	}
	printf("object ");
	cli_put_safe(cli_field(trigger, "bucket"), 0);
	putchar('/');
	cli_put_safe(cli_field(trigger, "prefix"), 0);
}

static void print_row(const struct eos_node *function)
{
	const struct eos_node *triggers = eos_node_get(function, "triggers");
	cli_put_safe(cli_field(function, "name"), 24);
	printf(" %-8s %-25s ", cli_field(function, "version"), cli_field(function, "deployed"));
	for (size_t i = 0; triggers != NULL && i < eos_node_count(triggers); i++) {
		if (i > 0)
			printf(", ");
		print_trigger(eos_node_at(triggers, i));
	}
	putchar('\n');
}

static void print_functions(const struct eos_node *root)
{
	const struct eos_node *functions = eos_node_get(root, "functions");
	printf("%-24s %-8s %-25s %s\n", "NAME", "VERSION", "DEPLOYED", "TRIGGERS");
	for (size_t i = 0; functions != NULL && i < eos_node_count(functions); i++)
		print_row(eos_node_at(functions, i));
}

/* A call whose answer is printed as it is. */
static int print_answer(struct cli *cli, const char *method, const char *name, const char *suffix,
			const struct eos_buf *input)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	cli_path(&path, "/api/v1/functions/", name, false);
	eos_buf_puts(&path, suffix);
	int code = cli_call(cli, method, path.data, input == NULL ? NULL : input->data,
			    input == NULL ? 0 : input->len, &body);
	if (code != 0)
		return code;
	return cli_print(body.data, body.len);
}

static int show(struct cli *cli, const char *name)
{
	int code;
	if (!cli->is_json)
		return print_answer(cli, "GET", name, "/manifest", NULL);
	code = print_answer(cli, "GET", name, "", NULL);
	return code == 0 ? cli_print("\n", 1) : code;
}

static int logs(struct cli *cli, const char *name)
{
	if (!cli->is_json)
		return print_answer(cli, "GET", name, "/logs", NULL);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf out = {0};
	cli_path(&path, "/api/v1/functions/", name, false);
	eos_buf_puts(&path, "/logs");
	int code = cli_call(cli, "GET", path.data, NULL, 0, &body);
	if (code != 0)
		return code;
	struct eos_json json = eos_json_begin(&out);
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "lines", '[');
	for (char *p = body.data, *end; p != NULL && *p != '\0'; p = end) {
		size_t len = strcspn(p, "\n");
		end = p + len + (p[len] == '\n');
		eos_json_text_n(&json, NULL, p, len);
	}
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	eos_buf_puts(&out, "\n");
	return eos_buf_failed(&out) ? cli_fail("out of memory") : cli_print(out.data, out.len);
}

static int invoke(struct cli *cli, const char *name, const char *file)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf input = {0};
	int err = 0;
	if (file != NULL)
		err = eos_read_file(AT_FDCWD, strcmp(file, "-") == 0 ? "/dev/stdin" : file,
				    INPUT_MAX, &input);
	if (err == -EFBIG)
		return cli_fail("%s: over the %u MiB that an input may have", file,
				INPUT_MAX >> 20);
	if (err < 0)
		return cli_fail("%s: %s", file, strerror(-err));
	return print_answer(cli, "POST", name, "/invoke", &input);
}

static int remove_function(struct cli *cli, const char *name)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	cli_path(&path, "/api/v1/functions/", name, false);
	return cli_call(cli, "DELETE", path.data, NULL, 0, NULL);
}

int cmd_function(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("function"), argc, argv,
				 (const struct cli_option[]){{.name = NULL}});
	if (operands < 0)
		return -operands;
	const char *action = operands > 0 ? argv[0] : "";
	if (strcmp(action, "list") == 0 && operands == 1)
		return cli_show(cli, "/api/v1/functions", print_functions);
	if (strcmp(action, "show") == 0 && operands == 2)
		return show(cli, argv[1]);
	if (strcmp(action, "logs") == 0 && operands == 2)
		return logs(cli, argv[1]);
	if (strcmp(action, "invoke") == 0 && (operands == 2 || operands == 3))
		return invoke(cli, argv[1], operands == 3 ? argv[2] : NULL);
	if (strcmp(action, "rm") == 0 && operands == 2)
		return remove_function(cli, argv[1]);
	return cli_usage("function", "function: list, show NAME, logs NAME, invoke NAME [FILE] or "
				     "rm NAME");
}
