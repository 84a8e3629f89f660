/*
 * main() of `edgeos`: finds the verb, and what all verbs share.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"

/* One line, whatever names and answers are in it. */
EOS_PRINTF(1, 0) static void print_message(const char *fmt, va_list args)
{
	char text[2 * EOS_WHY_SIZE];
	(void)vsnprintf(text, sizeof(text), fmt, args);
	eos_make_printable(text, strlen(text));
	fprintf(stderr, "edgeos: %s", text);
}

int cli_fail(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	print_message(fmt, args);
	fputc('\n', stderr);
	va_end(args);
	return CLI_FAILED;
}

int cli_usage(const char *verb, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	print_message(fmt, args);
	fprintf(stderr, "; see `edgeos help%s%s`\n", verb == NULL ? "" : " ",
		verb == NULL ? "" : verb);
	va_end(args);
	return CLI_USAGE;
}

static const struct cli_option *find_option(const struct cli_option *options, const char *name,
					    size_t len)
{
	for (const struct cli_option *o = options; o->name != NULL; o++) {
		if (strlen(o->name) == len && strncmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *options, const char *arg)
{
	for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
		if (o->letter != '\0' && arg[0] == '-' && arg[1] == o->letter && arg[2] == '\0')
			return o;
	}
	return NULL;
}

/* 0 or -CLI_USAGE. */
static int set_value(const struct cli_verb *verb, const struct cli_option *option, const char *text)
{
	struct cli_values *values = option->values;
	if (values == NULL) {
		*option->value = text;
		return 0;
	}
	if (values->count == CLI_VALUES_MAX)
		return -cli_usage(verb->name, "%s: more than %u of --%s", verb->name,
				  CLI_VALUES_MAX, option->name);
	values->items[values->count++] = text;
	return 0;
}

/* The value in the next argument. 0 or -CLI_USAGE. */
static int take_value(const struct cli_verb *verb, const struct cli_option *option, int argc,
		      char **argv, int *index)
{
	if (*index + 1 >= argc)
		return -cli_usage(verb->name, "%s: %s wants a value", verb->name, argv[*index]);
	return set_value(verb, option, argv[++*index]);
}

/* One "--name", "--name=value" or "--name value" at argv[*INDEX]. 0 or -CLI_USAGE. */
static int take_option(const struct cli_verb *verb, const struct cli_option *const *tables,
		       int argc, char **argv, int *index)
{
	const char *name = argv[*index] + 2;
	size_t len = strcspn(name, "=");
	const struct cli_option *option = NULL;
	for (; *tables != NULL && option == NULL; tables++)
		option = find_option(*tables, name, len);
	if (option == NULL)
		return -cli_usage(verb->name, "%s: unknown option %s", verb->name, argv[*index]);
	if (option->flag != NULL) {
		if (name[len] == '=')
			return -cli_usage(verb->name, "%s: --%s takes no value", verb->name,
					  option->name);
		*option->flag = true;
		return 0;
	}
	if (name[len] != '=')
		return take_value(verb, option, argc, argv, index);
	return set_value(verb, option, name + len + 1);
}

int cli_parse(struct cli *cli, const struct cli_verb *verb, int argc, char **argv,
	      const struct cli_option *options)
{
	const char *data_dir = NULL;
	const struct cli_option common[] = {
		{.name = "data", .value = &data_dir},
		{.name = "json", .flag = &cli->is_json},
		{.name = NULL},
	};
	const struct cli_option *const tables[] = {common, options, NULL};
	int operands = 0;
	bool is_options_end = false;
	for (int i = 1; i < argc; i++) {
		if (!is_options_end && strcmp(argv[i], "--") == 0) {
			is_options_end = true;
		} else if (!is_options_end && eos_str_starts_with(argv[i], "--")) {
			int err = take_option(verb, tables, argc, argv, &i);
			if (err < 0)
				return err;
		} else if (!is_options_end && find_letter(options, argv[i]) != NULL) {
			int err = take_value(verb, find_letter(options, argv[i]), argc, argv, &i);
			if (err < 0)
				return err;
		} else if (!is_options_end && argv[i][0] == '-' && argv[i][1] != '\0') {
			return -cli_usage(verb->name, "%s: unknown option %s", verb->name, argv[i]);
		} else {
			argv[operands++] = argv[i];
		}
	}
	if (data_dir != NULL && data_dir[0] == '\0')
		return -cli_usage(verb->name, "--data: the path is empty");
	if (data_dir != NULL && eos_str_copy(cli->data_dir, sizeof(cli->data_dir), data_dir) < 0)
		return -cli_usage(verb->name, "--data: the path is too long");
	return operands;
}

/* EDGEOS_DATA, else the system's or the user's own directory. */
static int default_data_dir(struct cli *cli)
{
	const char *given = getenv("EDGEOS_DATA");
	const char *xdg = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");
	int n;
	if (given != NULL && given[0] != '\0')
		n = snprintf(cli->data_dir, sizeof(cli->data_dir), "%s", given);
	else if (geteuid() == 0)
		n = snprintf(cli->data_dir, sizeof(cli->data_dir), "/var/lib/edgeos");
	else if (xdg != NULL && xdg[0] == '/')
		n = snprintf(cli->data_dir, sizeof(cli->data_dir), "%s/edgeos", xdg);
	else
		n = snprintf(cli->data_dir, sizeof(cli->data_dir), "%s/.local/share/edgeos",
			     home == NULL ? "" : home);
	return n >= 0 && (size_t)n < sizeof(cli->data_dir) ? 0 : -ENAMETOOLONG;
}

int cli_connect(struct cli *cli)
{
	struct eos_why why = {""};
	/* Once: a client may hold a descriptor, and listings call for each page. */
	if (cli->client.socket_path[0] != '\0')
		return 0;
	if (ctl_client_init(&cli->client, cli->data_dir, &why) < 0)
		return cli_fail("%s", why.text);
	return 0;
}

int cli_call(struct cli *cli, const char *method, const char *path, const void *data, size_t len,
	     struct eos_buf *body)
{
	struct eos_why why = {""};
	int err = cli_connect(cli);
	if (err != 0)
		return err;
	err = ctl_client_call(&cli->client, method, path, data, len, body, &why);
	return err < 0 ? cli_fail("%s", why.text) : 0;
}

int cli_call_json(struct cli *cli, const char *method, const char *path, const void *data,
		  size_t len, struct eos_buf *body, struct eos_doc **ret_doc)
{
	struct eos_why why = {""};
	int err = cli_call(cli, method, path, data, len, body);
	if (err != 0)
		return err;
	if (eos_doc_parse_json("the node's answer", body->data, body->len, ret_doc, &why) < 0)
		return cli_fail("%s", why.text);
	return 0;
}

int cli_put_answer(struct cli *cli, const struct eos_buf *body, const struct eos_node *root,
		   void (*print)(const struct eos_node *root))
{
	if (!cli->is_json) {
		print(root);
		return CLI_OK;
	}
	int code = cli_print(body->data, body->len);
	return code == CLI_OK ? cli_print("\n", 1) : code;
}

int cli_show(struct cli *cli, const char *path, void (*print)(const struct eos_node *root))
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_doc *doc = NULL;
	int code = cli_call_json(cli, "GET", path, NULL, 0, &body, &doc);
	if (code != 0)
		return code;
	code = cli_put_answer(cli, &body, eos_doc_root(doc), print);
	eos_doc_free(doc);
	return code;
}

void cli_path(struct eos_buf *buf, const char *prefix, const char *name, bool keep_slash)
{
	eos_buf_puts(buf, prefix);
	eos_percent_encode(buf, name, strlen(name), keep_slash);
}

int cli_print(const char *text, size_t len)
{
	if (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0)
		return cli_fail("standard output: %s", strerror(errno));
	return CLI_OK;
}

void cli_put_safe(const char *text, int width)
{
	int n = 0;
	for (; *text != '\0'; text++, n++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
		bool is_c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;
		putchar(c < 0x20 || c == 0x7f || is_c1 ? '?' : c);
		text += is_c1;
	}
	for (; n < width; n++)
		putchar(' ');
}

const char *cli_field(const struct eos_node *node, const char *key)
{
	const struct eos_node *field = node == NULL ? NULL : eos_node_get(node, key);
	return field == NULL ? "" : eos_node_text(field);
}

uint64_t cli_field_u64(const struct eos_node *node, const char *key)
{
	uint64_t value;
	return eos_parse_u64(cli_field(node, key), &value) == 0 ? value : 0;
}

const char *cli_format_size(uint64_t bytes, char out[CLI_SIZE_SIZE])
{
	static const char units[] = "KMGTPE";
	if (bytes < 1024) {
		snprintf(out, CLI_SIZE_SIZE, "%u bytes", (unsigned)bytes);
		return out;
	}
	unsigned unit = 0;
	double value = (double)bytes / 1024;
	/* What would be rounded up to 1024.0 belongs to the next unit. */
	for (; value >= 1023.95 && units[unit + 1] != '\0'; unit++)
		value /= 1024;
	snprintf(out, CLI_SIZE_SIZE, "%.1f %ciB", value, units[unit]);
	return out;
}

bool cli_parse_s3_url(const char *url, char **ret_bucket, const char **ret_key)
{
	static const char scheme[] = "s3://";
	if (!eos_str_starts_with(url, scheme))
		return false;
	const char *bucket = url + strlen(scheme);
	size_t len = strcspn(bucket, "/");
	if (len == 0)
		return false;
	char *copy = strndup(bucket, len);
	if (copy == NULL)
		return false;
	*ret_bucket = copy;
	*ret_key = bucket + len + (bucket[len] == '/');
	return true;
}

int cli_exec(const char *program, char *const *argv)
{
	char path[4096];
	int err = eos_find_program(program, path, sizeof(path));
	if (err < 0)
		return cli_fail("%s: not found beside edgeos or in its libexec directory", program);
	execv(path, argv);
	return cli_fail("%s: %s", path, strerror(errno));
}

int cmd_help(struct cli *cli, int argc, char **argv)
{
	if (argc > 1) {
		for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++) {
			if (strcmp(v->name, argv[1]) != 0)
				continue;
			printf("edgeos %s %s\n\n%s.\n%s%s", v->name, v->usage, v->summary,
			       v->help[0] != '\0' ? "\n" : "", v->help);
			return CLI_OK;
		}
		return cli_usage(NULL, "help: no verb \"%s\"", argv[1]);
	}
	printf("EdgeOS: an operating system for edge computing\n\n");
	for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++)
		printf("  edgeos %-9s %s\n", v->name, v->summary);
	printf("\n`edgeos help VERB` says more. --data DIR (or EDGEOS_DATA) chooses the node,\n"
	       "--json prints one JSON document.\n");
	return CLI_OK;
}

/* What was printed may still be in the buffer, or lost: then the verb has failed. */
static int finish(int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK)
		return cli_fail("standard output: %s", strerror(errno));
	return code;
}

int main(int argc, char **argv)
{
	static struct cli cli;
	if (argc < 2) {
		(void)cmd_help(&cli, 1, argv);
		return CLI_USAGE;
	}
	if (default_data_dir(&cli) < 0)
		return cli_fail("the default data directory's path is too long; use --data");
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (const struct cli_verb *v = cli_verbs; v->name != NULL; v++) {
		if (strcmp(v->name, name) == 0)
			return finish(v->run(&cli, argc - 1, argv + 1));
	}
	return cli_usage(NULL, "no verb \"%s\"", name);
}
