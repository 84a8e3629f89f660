/*
 * The store as a whole: `edgeos store stats`, and its upkeep, `verify`, `repair`, `compact`,
 * `rekey`.
 *
 * Upkeep is a job that takes long. A running node does it in the background (ctl/ctl_upkeep.h); we
 * start it, ask how far it is, and say how it ended. Where no node runs we open the store and do
 * the same ourselves. Both ways tell of the job in the same JSON, so all that shows it is shared.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/cli.h"
#include "ctl/ctl_upkeep.h"
#include "store/store.h"

#define POLL_INTERVAL_MS 100

struct job {
	struct cli *cli;
	const char *kind;
	const char *key_path; /* of the node key, where no node runs; NULL: the usual one */
	const struct job_ops *ops;
	struct store *store; /* ours, where no node runs; else NULL */
	struct ctl_upkeep *upkeep;
};

/* 0 or an exit code after a message. */
struct job_ops {
	/* Appends the state of the job that was started to BODY, as JSON. */
	int (*start)(struct job *job, struct eos_buf *body);
	int (*get)(struct job *job, struct eos_buf *body);
	/* It may have ended meanwhile. */
	void (*stop)(struct job *job);
};

static int remote_start(struct job *job, struct eos_buf *body)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	cli_path(&path, "/api/v1/store/", job->kind, false);
	return cli_call(job->cli, "POST", path.data, NULL, 0, body);
}

static int remote_get(struct job *job, struct eos_buf *body)
{
	return cli_call(job->cli, "GET", "/api/v1/store/upkeep", NULL, 0, body);
}

static void remote_stop(struct job *job)
{
	/* Whether it could be stopped is seen from its state. */
	int err = ctl_client_call(&job->cli->client, "DELETE", "/api/v1/store/upkeep", NULL, 0,
				  NULL, NULL);
	(void)err;
}

static const struct job_ops remote_ops = {remote_start, remote_get, remote_stop};

static int local_get(struct job *job, struct eos_buf *body)
{
	struct eos_json json = eos_json_begin(body);
	ctl_upkeep_put(job->upkeep, &json);
	return eos_buf_failed(body) ? cli_fail("out of memory") : 0;
}

static int local_start(struct job *job, struct eos_buf *body)
{
	enum ctl_upkeep_kind kind;
	int err = ctl_upkeep_parse_kind(job->kind, &kind) ? ctl_upkeep_start(job->upkeep, kind)
							  : -EINVAL;
	if (err < 0)
		return cli_fail("%s: %s", job->kind, strerror(-err));
	return local_get(job, body);
}

static void local_stop(struct job *job)
{
	int err = ctl_upkeep_stop(job->upkeep);
	(void)err; /* it has ended meanwhile */
}

static const struct job_ops local_ops = {local_start, local_get, local_stop};

static volatile sig_atomic_t is_interrupted;

static void on_signal(int signal)
{
	is_interrupted = 1;
}

/* The first signal stops the job; a second one leaves at once, as a signal does. */
static void watch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void show_progress(const struct job *job, const struct eos_node *root)
{
	char done[CLI_SIZE_SIZE], of[CLI_SIZE_SIZE];
	uint64_t done_bytes = cli_field_u64(root, "done"), of_bytes = cli_field_u64(root, "of");
	if (job->cli->is_json || !isatty(STDERR_FILENO))
		return;
	/* How much there is is not known before the job has looked. */
	double part = of_bytes == 0 ? 0 : (double)done_bytes / (double)of_bytes;
	fprintf(stderr, "\r\033[K%s: %u %%", job->kind, part >= 1 ? 100 : (unsigned)(100 * part));
	if (of_bytes > 0)
		fprintf(stderr, ", %s of %s", cli_format_size(done_bytes, done),
			cli_format_size(of_bytes, of));
	fprintf(stderr, "%s", is_interrupted ? ", stopping" : "");
}

static void hide_progress(const struct job *job)
{
	if (!job->cli->is_json && isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

static void print_problems(const struct eos_node *root)
{
	const struct eos_node *problems = eos_node_get(root, "problems");
	size_t count = problems == NULL ? 0 : eos_node_count(problems);
	for (size_t i = 0; i < count; i++) {
		const struct eos_node *problem = eos_node_at(problems, i);
		const char *bucket = cli_field(problem, "bucket");
		const char *version = cli_field(problem, "version");
		if (bucket[0] != '\0') {
			printf("s3://");
			cli_put_safe(bucket, 0);
			putchar('/');
			cli_put_safe(cli_field(problem, "key"), 0);
			if (strcmp(version, "latest") != 0 && strcmp(version, "null") != 0)
				printf(" (version %s)", version);
			printf(": ");
		}
		cli_put_safe(cli_field(problem, "text"), 0);
		putchar('\n');
	}
	uint64_t all = cli_field_u64(root, "problems_count");
	if (all > count)
		printf("and %llu more\n", (unsigned long long)(all - count));
}

static void print_outcome(const struct eos_node *root)
{
	const struct eos_node *verdict = eos_node_get(root, "verdict");
	char size[CLI_SIZE_SIZE];
	print_problems(root);
	if (strcmp(cli_field(root, "kind"), "rekey") == 0) {
		puts("wrapped all keys with a new node key");
		return;
	}
	if (strcmp(cli_field(root, "kind"), "compact") == 0) {
		printf("freed %s\n", cli_format_size(cli_field_u64(verdict, "freed_bytes"), size));
		return;
	}
	printf("looked at      %s objects, %s chunks, %s\n", cli_field(verdict, "objects"),
	       cli_field(verdict, "chunks"),
	       cli_format_size(cli_field_u64(verdict, "bytes"), size));
	printf("damaged        %s objects, %s chunks\n", cli_field(verdict, "damaged_objects"),
	       cli_field(verdict, "damaged_chunks"));
	printf("wrong counts   %s\n", cli_field(verdict, "wrong_counts"));
	printf("leaked         %s\n",
	       cli_format_size(cli_field_u64(verdict, "leaked_bytes"), size));
}

/* Counts that were wrong and are right again are no damage; an object that is gone is. */
static bool is_damaged(const struct eos_node *root)
{
	const struct eos_node *verdict = eos_node_get(root, "verdict");
	bool is_repair = strcmp(cli_field(root, "kind"), "repair") == 0;
	return cli_field_u64(root, "problems_count") > 0 ||
	       cli_field_u64(verdict, "damaged_objects") > 0 ||
	       cli_field_u64(verdict, "damaged_chunks") > 0 ||
	       (!is_repair && cli_field_u64(verdict, "wrong_counts") > 0);
}

/* An exit code. */
static int conclude(struct job *job, const struct eos_buf *body, const struct eos_node *root)
{
	const char *error = cli_field(root, "error");
	if (job->cli->is_json || error[0] == '\0') {
		int code = cli_put_answer(job->cli, body, root, print_outcome);
		if (code != CLI_OK)
			return code;
	} else {
		print_problems(root);
		fflush(stdout);
	}
	if (error[0] != '\0')
		return cli_fail("%s: %s", job->kind, error);
	return is_damaged(root) ? CLI_FAILED : CLI_OK;
}

/* Asks until the job ID is no longer under way. An exit code. */
static int wait_for_end(struct job *job, uint64_t id)
{
	static const struct timespec interval = {.tv_nsec = POLL_INTERVAL_MS * EOS_NS_PER_MS};
	bool is_stopped = false;
	for (;;) {
		EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
		struct eos_doc *doc = NULL;
		struct eos_why why = {""};
		int code = job->ops->get(job, &body);
		if (code == 0 && eos_doc_parse_json("the job", body.data, body.len, &doc, &why) < 0)
			code = cli_fail("%s", why.text);
		if (code != 0)
			return code;
		const struct eos_node *root = eos_doc_root(doc);
		bool is_running = strcmp(cli_field(root, "running"), "true") == 0;
		if (cli_field_u64(root, "id") != id) {
			hide_progress(job);
			code = cli_fail("%s: it has ended, and another job began meanwhile",
					job->kind);
			is_running = false;
		} else if (is_running) {
			show_progress(job, root);
		} else {
			hide_progress(job);
			code = conclude(job, &body, root);
		}
		eos_doc_free(doc);
		if (!is_running)
			return code;
		if (is_interrupted && !is_stopped) {
			job->ops->stop(job);
			is_stopped = true;
		}
		nanosleep(&interval, NULL);
	}
}

static int run_job(struct job *job)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_doc *doc = NULL;
	struct eos_why why = {""};
	watch_signals();
	int code = job->ops->start(job, &body);
	if (code != 0)
		return code;
	if (eos_doc_parse_json("the job", body.data, body.len, &doc, &why) < 0)
		return cli_fail("%s", why.text);
	uint64_t id = cli_field_u64(eos_doc_root(doc), "id");
	eos_doc_free(doc);
	return wait_for_end(job, id);
}

/* The store of the data directory is somebody else's to make, and its files' owner must stay who
 * can open them. 0 or an exit code after a message. */
static int open_store(struct cli *cli, const char *key_path, struct store **ret_store)
{
	const struct store_options options = {.key_path = key_path};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	struct stat status;
	struct eos_why why = {""};
	if (eos_buf_printf(&path, "%s/store", cli->data_dir) < 0)
		return cli_fail("out of memory");
	if (stat(path.data, &status) < 0)
		return cli_fail("no node answers, and there is no store in %s: %s", cli->data_dir,
				strerror(errno));
	if (status.st_uid != geteuid())
		return cli_fail("%s belongs to the user with the id %u: run this as that one",
				path.data, (unsigned)status.st_uid);
	int err = store_open_with(path.data, &options, ret_store, &why);
	if (err < 0)
		return cli_fail("%s: %s", cli->data_dir,
				why.text[0] != '\0' ? why.text : strerror(-err));
	return 0;
}

static int run_local_job(struct job *job)
{
	/* What goes wrong is in the verdict. */
	eos_log_set_level(EOS_LOG_ERROR);
	int code = open_store(job->cli, job->key_path, &job->store);
	if (code != 0)
		return code;
	job->ops = &local_ops;
	int err = ctl_upkeep_new(job->store, &job->upkeep);
	code = err < 0 ? cli_fail("%s: %s", job->kind, strerror(-err)) : run_job(job);
	ctl_upkeep_free(job->upkeep);
	store_close(job->store);
	return code;
}

/* True unless it is sure that there is no node: then what speaks to it says what is wrong. */
static bool has_node(struct cli *cli)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	if (ctl_client_init(&cli->client, cli->data_dir, NULL) < 0)
		return false;
	int err =
		ctl_client_call(&cli->client, "GET", "/api/v1/store/upkeep", NULL, 0, &body, NULL);
	return err != -ECONNREFUSED && err != -ENOENT;
}

static void print_scrub(const struct eos_node *scrub)
{
	char done[CLI_SIZE_SIZE], of[CLI_SIZE_SIZE], rate[CLI_SIZE_SIZE], ended[32] = "never";
	time_t ended_s = (time_t)cli_field_u64(scrub, "ended_s");
	struct tm tm;
	if (ended_s != 0 && gmtime_r(&ended_s, &tm) != NULL)
		strftime(ended, sizeof(ended), "%Y-%m-%dT%H:%M:%SZ", &tm);
	cli_format_size(cli_field_u64(scrub, "done_bytes"), done);
	cli_format_size(cli_field_u64(scrub, "of_bytes"), of);
	cli_format_size(cli_field_u64(scrub, "rate"), rate);
	if (cli_field_u64(scrub, "rate") == 0)
		printf("%-14s off", "scrub");
	else if (strcmp(cli_field(scrub, "running"), "true") == 0)
		printf("%-14s %s of %s, at most %s/s", "scrub", done, of, rate);
	else
		printf("%-14s waits, at most %s/s", "scrub", rate);
	printf("; damaged: %s; last whole pass: %s\n", cli_field(scrub, "damages"), ended);
}

static void print_stats(const struct eos_node *root)
{
	static const struct {
		const char *label, *count, *size;
	} rows[] = {
		{"buckets", "buckets", NULL},	      {"objects", "objects", "bytes"},
		{"chunks", "chunks", "chunk_bytes"},  {"segments", NULL, "segment_bytes"},
		{"  garbage", NULL, "garbage_bytes"}, {"metadata", NULL, "metadata_bytes"},
		{"free on disk", NULL, "free_bytes"}, {"events", "outbox_events", NULL},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++) {
		char size[CLI_SIZE_SIZE] = "";
		if (rows[i].size != NULL)
			cli_format_size(cli_field_u64(root, rows[i].size), size);
		printf("%-14s %12s %12s\n", rows[i].label,
		       rows[i].count == NULL ? "" : cli_field(root, rows[i].count), size);
	}
	print_scrub(eos_node_get(root, "scrub"));
}

int cmd_store(struct cli *cli, int argc, char **argv)
{
	const char *key_path = NULL;
	const struct cli_option options[] = {{.name = "key", .value = &key_path}, {.name = NULL}};
	int operands = cli_parse(cli, cli_find_verb("store"), argc, argv, options);
	if (operands < 0)
		return -operands;
	enum ctl_upkeep_kind kind;
	bool is_stats = operands == 1 && strcmp(argv[0], "stats") == 0;
	if (!is_stats && (operands != 1 || !ctl_upkeep_parse_kind(argv[0], &kind)))
		return cli_usage("store", "store: stats, verify, repair, compact or rekey");
	if (is_stats)
		return cli_show(cli, "/api/v1/store", print_stats);
	struct job job = {.cli = cli, .kind = argv[0], .key_path = key_path, .ops = &remote_ops};
	return has_node(cli) ? run_job(&job) : run_local_job(&job);
}
