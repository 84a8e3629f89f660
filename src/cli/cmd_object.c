/*
 * Objects: `edgeos cp`, `ls`, `cat`, `rm`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"

static const struct cli_option no_options[] = {{.name = NULL}};

static void object_path(struct eos_buf *path, const char *bucket, const char *key)
{
	cli_path(path, "/api/v1/objects/", bucket, false);
	cli_path(path, "/", key, true);
}

/* The part of a listing behind *AFTER; *AFTER becomes the last name, or NULL at the end. */
static int list_page(struct cli *cli, const char *bucket, const char *prefix, bool is_recursive,
		     char **after, struct eos_buf *body, struct eos_doc **ret_doc)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	cli_path(&path, "/api/v1/objects/", bucket, false);
	cli_path(&path, "?prefix=", prefix, false);
	if (!is_recursive)
		cli_path(&path, "&delimiter=", "/", false);
	if (*after != NULL)
		cli_path(&path, "&after=", *after, false);
	int code = cli_call_json(cli, "GET", path.data, NULL, 0, body, ret_doc);
	if (code != 0)
		return code;
	const struct eos_node *root = eos_doc_root(*ret_doc);
	const struct eos_node *entries = eos_node_get(root, "entries");
	size_t count = entries == NULL ? 0 : eos_node_count(entries);
	free(*after);
	*after = NULL;
	if (strcmp(cli_field(root, "more"), "true") == 0 && count > 0) {
		const struct eos_node *last = eos_node_at(entries, count - 1);
		const char *key = cli_field(last, "key");
		*after = strdup(key[0] != '\0' ? key : cli_field(last, "prefix"));
	}
	return 0;
}

static void print_entries(const struct eos_node *root)
{
	const struct eos_node *entries = eos_node_get(root, "entries");
	for (size_t i = 0; entries != NULL && i < eos_node_count(entries); i++) {
		const struct eos_node *entry = eos_node_at(entries, i);
		const char *key = cli_field(entry, "key");
		printf("%-25s %12s ", cli_field(entry, "modified"),
		       key[0] == '\0' ? "-" : cli_field(entry, "size"));
		cli_put_safe(key[0] == '\0' ? cli_field(entry, "prefix") : key, 0);
		putchar('\n');
	}
}

/* The entries of a page without the brackets around them, for one JSON document over all pages. */
static int print_json_entries(const struct eos_buf *body, bool is_first)
{
	const char *start = strchr(body->data, '[');
	const char *end = strrchr(body->data, ']');
	if (start == NULL || end == NULL || end <= start)
		return cli_fail("the node's answer is not a listing");
	if (is_first)
		printf("{\"entries\":[");
	else if (end > start + 1)
		putchar(',');
	return cli_print(start + 1, (size_t)(end - start - 1));
}

static int list_objects(struct cli *cli, const char *bucket, const char *prefix, bool is_recursive)
{
	char *after = NULL;
	int code = 0;
	bool is_first = true;
	do {
		EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
		struct eos_doc *doc = NULL;
		code = list_page(cli, bucket, prefix, is_recursive, &after, &body, &doc);
		if (code == 0 && cli->is_json)
			code = print_json_entries(&body, is_first);
		else if (code == 0)
			print_entries(eos_doc_root(doc));
		is_first = false;
		eos_doc_free(doc);
	} while (code == 0 && after != NULL);
	free(after);
	if (code == 0 && cli->is_json)
		printf("]}\n");
	return code;
}

int cmd_ls(struct cli *cli, int argc, char **argv)
{
	bool is_recursive = false;
	const struct cli_option options[] = {{.name = "recursive", .flag = &is_recursive},
					     {.name = NULL}};
	int operands = cli_parse(cli, cli_find_verb("ls"), argc, argv, options);
	if (operands < 0)
		return -operands;
	if (operands == 0)
		return cli_list_buckets(cli);
	char *bucket;
	const char *prefix;
	if (operands > 1 || !cli_parse_s3_url(argv[0], &bucket, &prefix))
		return cli_usage("ls", "ls: one s3://BUCKET[/PREFIX]");
	int code = list_objects(cli, bucket, prefix, is_recursive);
	free(bucket);
	return code;
}

struct sink {
	int fd;
	int err; /* of writing to it */
};

static int write_to_sink(void *ctx, const void *data, size_t len)
{
	struct sink *sink = ctx;
	sink->err = eos_write_full(sink->fd, data, len);
	return sink->err;
}

static int64_t read_from_fd(void *ctx, void *data, size_t len)
{
	ssize_t n = read(*(int *)ctx, data, len);
	return n < 0 ? -errno : n;
}

/* To FD, which messages call NAME. */
static int download(struct cli *cli, const char *bucket, const char *key, int fd, const char *name)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	struct sink sink = {.fd = fd};
	struct eos_why why = {""};
	int code = cli_connect(cli);
	if (code != 0)
		return code;
	object_path(&path, bucket, key);
	int err = ctl_client_stream(&cli->client, "GET", path.data, NULL, 0, write_to_sink, &sink,
				    &why);
	if (sink.err < 0)
		return cli_fail("%s: %s", name, strerror(-sink.err));
	return err < 0 ? cli_fail("%s", why.text) : CLI_OK;
}

/* To a device or a FIFO, which must not be replaced by a file. */
static int download_into(struct cli *cli, const char *bucket, const char *key, const char *path)
{
	EOS_CLEANUP(eos_close_ptr) int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return cli_fail("%s: %s", path, strerror(errno));
	return download(cli, bucket, key, fd, path);
}

/* Into a temporary file beside PATH, which is replaced only by the whole object. */
static int download_to_file(struct cli *cli, const char *bucket, const char *key, const char *path)
{
	char target[4096], temporary[4096 + 16];
	struct stat status;
	const char *slash = strrchr(key, '/');
	const char *name = slash == NULL ? key : slash + 1;
	bool is_directory = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
	int n = is_directory ? snprintf(target, sizeof(target), "%s/%s", path, name)
			     : snprintf(target, sizeof(target), "%s", path);
	if (n < 0 || (size_t)n >= sizeof(target))
		return cli_fail("%s: the path is too long", path);
	if (stat(target, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return download_into(cli, bucket, key, target);
	snprintf(temporary, sizeof(temporary), "%s.XXXXXX", target);
	int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return cli_fail("%s: %s", target, strerror(errno));
	int code = download(cli, bucket, key, fd, target);
	mode_t mask = umask(0);
	umask(mask);
	if (code == 0 && (fchmod(fd, 0666 & ~mask) < 0 || rename(temporary, target) < 0))
		code = cli_fail("%s: %s", target, strerror(errno));
	if (code != 0)
		(void)unlink(temporary);
	eos_close(fd);
	return code;
}

static int upload_file(struct cli *cli, const char *path, const char *bucket, const char *key)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf api_path = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf full_key = {0};
	EOS_CLEANUP(eos_close_ptr) int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	char byte;
	if (fd < 0 || fstat(fd, &status) < 0)
		return cli_fail("%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return cli_fail("%s: not a file", path);
	/* As in /proc: nobody knows how much it is before it is read. */
	if (status.st_size == 0 && pread(fd, &byte, 1, 0) > 0)
		return cli_fail("%s: a file without a size", path);
	eos_buf_puts(&full_key, key);
	if (key[0] == '\0' || eos_str_ends_with(key, "/")) {
		const char *slash = strrchr(path, '/');
		eos_buf_puts(&full_key, slash == NULL ? path : slash + 1);
	}
	object_path(&api_path, bucket, full_key.data);
	struct eos_why why = {""};
	int code = cli_connect(cli);
	if (code != 0)
		return code;
	if (ctl_client_stream(&cli->client, "PUT", api_path.data, read_from_fd,
			      (uint64_t)status.st_size, NULL, &fd, &why) < 0)
		return cli_fail("%s", why.text);
	return CLI_OK;
}

int cmd_cp(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("cp"), argc, argv, no_options);
	if (operands < 0)
		return -operands;
	char *bucket = NULL;
	const char *key;
	int code;
	bool is_from_store = operands == 2 && cli_parse_s3_url(argv[0], &bucket, &key);
	if (is_from_store && key[0] != '\0' && !eos_str_starts_with(argv[1], "s3://"))
		code = download_to_file(cli, bucket, key, argv[1]);
	else if (operands == 2 && !is_from_store && cli_parse_s3_url(argv[1], &bucket, &key))
		code = upload_file(cli, argv[0], bucket, key);
	else
		code = cli_usage("cp", "cp: a file and an s3://BUCKET/KEY, in either order");
	free(bucket);
	return code;
}

int cmd_cat(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("cat"), argc, argv, no_options);
	if (operands < 0)
		return -operands;
	char *bucket = NULL;
	const char *key = "";
	int code;
	if (operands != 1 || !cli_parse_s3_url(argv[0], &bucket, &key) || key[0] == '\0')
		code = cli_usage("cat", "cat: one s3://BUCKET/KEY");
	else
		code = download(cli, bucket, key, STDOUT_FILENO, "standard output");
	free(bucket);
	return code;
}

int cmd_rm(struct cli *cli, int argc, char **argv)
{
	int operands = cli_parse(cli, cli_find_verb("rm"), argc, argv, no_options);
	if (operands < 0)
		return -operands;
	char *bucket = NULL;
	const char *key = "";
	int code;
	if (operands != 1 || !cli_parse_s3_url(argv[0], &bucket, &key) || key[0] == '\0') {
		code = cli_usage("rm", "rm: one s3://BUCKET/KEY");
	} else {
		EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
		object_path(&path, bucket, key);
		code = cli_call(cli, "DELETE", path.data, NULL, 0, NULL);
	}
	free(bucket);
	return code;
}
