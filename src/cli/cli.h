/*
 * The command `edgeos`: what all verbs share.
 *
 * Results go to standard output, messages to standard error; exit 0, 1 failed, 2 wrong use. A verb
 * is a function int cmd_X(struct cli *cli, int argc, char **argv) that gets its name as argv[0] and
 * returns the exit code.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/node.h"
#include "base/why.h"
#include "ctl/ctl_client.h"

#define CLI_OK	   0
#define CLI_FAILED 1
#define CLI_USAGE  2

struct cli {
	char data_dir[4096]; /* of the node that is spoken to */
	bool is_json;
	struct ctl_client client; /* valid after cli_connect() */
};

struct cli_verb {
	const char *name;
	int (*run)(struct cli *cli, int argc, char **argv);
	const char *usage;   /* "NAME FILE.wasm [--http PATH] …" */
	const char *summary; /* one line */
	const char *help;    /* paragraphs and examples */
};
/* Ends with a NULL name. */
extern const struct cli_verb cli_verbs[];
/* NAME is one of them. */
const struct cli_verb *cli_find_verb(const char *name);

/* What an option was given that may stand several times, in order. Borrowed from argv. */
#define CLI_VALUES_MAX 32u
struct cli_values {
	const char *items[CLI_VALUES_MAX];
	size_t count;
};

/* An option of a verb; --data DIR and --json are known to all. */
struct cli_option {
	const char *name;	   /* "http": --http */
	char letter;		   /* 'c': -c too, or 0 */
	bool *flag;		   /* an option without a value, or NULL */
	const char **value;	   /* an option with one; the last wins */
	struct cli_values *values; /* an option with one, which may be repeated */
};

/*
 * Takes the options out of ARGV, also between and behind the operands, up to "--". What is left are
 * the operands argv[0..n), n is returned. A wrong option: prints one line and returns -CLI_USAGE.
 */
int cli_parse(struct cli *cli, const struct cli_verb *verb, int argc, char **argv,
	      const struct cli_option *options);

/* "edgeos: TEXT" on standard error; returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) EOS_PRINTF(1, 2);
/* The same with a hint at `edgeos help VERB`; returns CLI_USAGE. */
int cli_usage(const char *verb, const char *fmt, ...) EOS_PRINTF(2, 3);

/* Prepares cli->client. 0, or an exit code after a message. */
int cli_connect(struct cli *cli);
/* A call of the control API whose answer is appended to BODY. 0, or CLI_FAILED after a message. */
int cli_call(struct cli *cli, const char *method, const char *path, const void *data, size_t len,
	     struct eos_buf *body);
/* The same, and the answer parsed. The document is the caller's. */
int cli_call_json(struct cli *cli, const char *method, const char *path, const void *data,
		  size_t len, struct eos_buf *body, struct eos_doc **ret_doc);
/* An answer: BODY as it is with --json, else ROOT by PRINT. An exit code. */
int cli_put_answer(struct cli *cli, const struct eos_buf *body, const struct eos_node *root,
		   void (*print)(const struct eos_node *root));
/* GETs PATH and prints the answer. An exit code. */
int cli_show(struct cli *cli, const char *path, void (*print)(const struct eos_node *root));
/* "/api/v1/functions/NAME" with NAME percent-encoded (slashes kept if KEEP_SLASH), appended to BUF.
 */
void cli_path(struct eos_buf *buf, const char *prefix, const char *name, bool keep_slash);
/* TEXT to standard output, and an error if it cannot be written. Returns an exit code. */
int cli_print(const char *text, size_t len);
/* TEXT with control characters as '?': names from a node must not command a terminal. */
void cli_put_safe(const char *text, int width);

/* A field of a JSON answer as text; "" if it is not there. */
const char *cli_field(const struct eos_node *node, const char *key);
/* The same as a number; 0 if it is none. */
uint64_t cli_field_u64(const struct eos_node *node, const char *key);
#define CLI_SIZE_SIZE 16
/* "712 bytes", "1.5 GiB" and a NUL into OUT, which is returned. */
const char *cli_format_size(uint64_t bytes, char out[CLI_SIZE_SIZE]);

/* Splits "s3://BUCKET/KEY" (KEY may be empty). False: not of this form. BUCKET is owned by the
 * caller. */
bool cli_parse_s3_url(const char *url, char **ret_bucket, const char **ret_key);

/* Prints all buckets. An exit code. */
int cli_list_buckets(struct cli *cli);

/* Becomes one of our own programs; returns only on failure, an exit code. */
int cli_exec(const char *program, char *const *argv);

int cmd_up(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);
int cmd_build(struct cli *cli, int argc, char **argv);
int cmd_run(struct cli *cli, int argc, char **argv);
int cmd_bench(struct cli *cli, int argc, char **argv);
int cmd_deploy(struct cli *cli, int argc, char **argv);
int cmd_function(struct cli *cli, int argc, char **argv);
int cmd_bucket(struct cli *cli, int argc, char **argv);
int cmd_find(struct cli *cli, int argc, char **argv);
int cmd_store(struct cli *cli, int argc, char **argv);
int cmd_cp(struct cli *cli, int argc, char **argv);
int cmd_ls(struct cli *cli, int argc, char **argv);
int cmd_cat(struct cli *cli, int argc, char **argv);
int cmd_rm(struct cli *cli, int argc, char **argv);
int cmd_chain(struct cli *cli, int argc, char **argv);
int cmd_tenant(struct cli *cli, int argc, char **argv);
int cmd_help(struct cli *cli, int argc, char **argv);
