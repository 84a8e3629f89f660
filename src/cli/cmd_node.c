/*
 * Verbs that concern the node itself, and those that become another of our programs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"

int cmd_up(struct cli *cli, int argc, char **argv)
{
	const char *config = NULL;
	const struct cli_option options[] = {{.name = "config", .letter = 'c', .value = &config},
					     {.name = NULL}};
	int operands = cli_parse(cli, cli_find_verb("up"), argc, argv, options);
	if (operands < 0)
		return -operands;
	if (operands > 0)
		return cli_usage("up", "up: \"%s\" is one argument too many", argv[0]);
	char program[] = "edged", data_flag[] = "--data", config_flag[] = "--config";
	char *args[8] = {program, data_flag, cli->data_dir, NULL};
	char *config_copy = config == NULL ? NULL : strdup(config);
	if (config_copy != NULL) {
		args[3] = config_flag;
		args[4] = config_copy;
	}
	int code = cli_exec("edged", args);
	free(config_copy);
	return code;
}

/* The options of run belong to edge-cell, which does the work. */
int cmd_run(struct cli *cli, int argc, char **argv)
{
	char **args = calloc((size_t)argc + 2, sizeof(*args));
	if (args == NULL)
		return cli_fail("out of memory");
	char program[] = "edge-cell", mode[] = "--run";
	args[0] = program;
	args[1] = mode;
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	int code = cli_exec("edge-cell", args);
	free(args);
	return code;
}

int cmd_bench(struct cli *cli, int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-')
		return cli_usage("bench", "bench: which one?");
	if (strspn(argv[1], "abcdefghijklmnopqrstuvwxyz_") != strlen(argv[1]))
		return cli_usage("bench", "bench: no bench \"%s\"", argv[1]);
	char name[64];
	int n = snprintf(name, sizeof(name), "bench/%s", argv[1]);
	if (n < 0 || (size_t)n >= sizeof(name))
		return cli_usage("bench", "bench: no bench \"%s\"", argv[1]);
	char path[4096];
	if (eos_find_program(name, path, sizeof(path)) < 0)
		return cli_usage("bench", "bench: no bench \"%s\"", argv[1]);
	return cli_exec(name, argv + 1);
}

int cmd_version(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("version"), argc, argv,
				 (const struct cli_option[]){{.name = NULL}});
	if (operands < 0)
		return -operands;
	if (operands > 0)
		return cli_usage("version", "version: \"%s\" is one argument too many", argv[0]);
	if (cli->is_json)
		printf("{\"version\":\"%s\"}\n", EDGEOS_VERSION);
	else
		printf("edgeos %s\n", EDGEOS_VERSION);
	return CLI_OK;
}

static void print_status(const struct eos_node *root)
{
	const struct eos_node *store = eos_node_get(root, "store");
	const struct eos_node *cells = eos_node_get(root, "cells");
	printf("version    %s\n", cli_field(root, "version"));
	printf("uptime     %s s\n", cli_field(root, "uptime_s"));
	printf("S3         %s\n", cli_field(root, "s3_url"));
	printf("functions  %s, %s deployed\n", cli_field(root, "functions_url"),
	       cli_field(root, "functions"));
	for (size_t i = 0; i < eos_node_count(cells); i++) {
		const struct eos_node *cell = eos_node_at(cells, i);
		printf("cell       pid %s, %s restarts, %s calls running, %s started\n",
		       cli_field(cell, "pid"), cli_field(cell, "restarts"),
		       cli_field(cell, "calls_running"), cli_field(cell, "calls_started"));
	}
	printf("store      %s buckets, %s objects, %s bytes, %s events waiting\n",
	       cli_field(store, "buckets"), cli_field(store, "objects"), cli_field(store, "bytes"),
	       cli_field(store, "outbox_events"));
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("status"), argc, argv,
				 (const struct cli_option[]){{.name = NULL}});
	if (operands < 0)
		return -operands;
	if (operands > 0)
		return cli_usage("status", "status: \"%s\" is one argument too many", argv[0]);
	return cli_show(cli, "/api/v1/status", print_status);
}
