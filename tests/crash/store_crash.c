/*
 * Kills a process that writes to a store, again and again, and looks at what is left.
 *
 *     store_crash [ROUNDS [SEED]]
 *
 * A round: a child opens the store and eight threads put, overwrite, delete and rename objects of
 * 1 byte to 300 KiB, some with contents that others have too, and copy by reference, two put and
 * remove versions (store_crash_versions.c), while one more acknowledges events and now and then
 * compacts, and the scrub runs. Each tells the parent through a pipe what it is about to do, and
 * what came of it. The child dies by SIGKILL, at a random time or at one of
 * the store's fault points. Now and then a second child dies while it cleans up. Then the parent
 * opens the store and checks:
 * - an acknowledged change is there, whole, with the right content; one that was cut off is there
 *   as a whole or not at all;
 * - no acknowledged version is lost, none that was removed is back;
 * - no file is left over; everything can be read; the counts are what a recount gives (usage, the
 *   references of chunks, the live bytes of segments); nothing is leaked, also after compaction;
 * - the events are those of the changes that happened, in order; acknowledged ones are gone.
 *
 * Each thread has keys of its own, so what must be there is known exactly; keys that all write are
 * checked to be whole. A seed repeats the choices, not the times.
 */
#include "crash/store_crash_priv.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/str.h"

#define ROUNDS_SHORT 12
#define EVENTS_MAX   200000u

struct happened {
	uint64_t sequence; /* expected: the order; seen: the store's */
	uint64_t size;
	uint8_t kind;
};

/* What the parent knows of one thread's keys. */
struct thread_model {
	struct content now[KEYS];
	bool is_pending;
	struct message pending;
	/* The pending change would leave the contents as they are: the events tell whether it was.
	 */
	bool is_open;
	struct {
		struct happened *all;
		size_t count, cap;
	} expected[KEYS], seen[KEYS];
};

static struct thread_model models[THREADS];
static uint64_t *acknowledged;
static size_t acknowledged_count;
static struct message acknowledging; /* the last intent */
static uint64_t base_sequence;	     /* events up to here were checked in earlier rounds */
static char dir[] = "/tmp/edgeos-crash-XXXXXX";
static uint64_t run_seed;
static bool is_killed_by_time;

void crash_die(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fprintf(stderr, "store_crash: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, " (seed %llu, kept %s)\n", (unsigned long long)run_seed, dir);
	va_end(args);
	_exit(1);
}

static void note(struct happened **all, size_t *count, size_t *cap, struct happened one)
{
	if (*count == *cap) {
		*cap = *cap == 0 ? 64 : 2 * *cap;
		*all = realloc(*all, *cap * sizeof(**all));
		if (*all == NULL || *cap > EVENTS_MAX)
			crash_die("too many events");
	}
	(*all)[(*count)++] = one;
}

#define NOTE(list, ...)                                                                            \
	note(&(list).all, &(list).count, &(list).cap, (struct happened){__VA_ARGS__})

/* The model after M succeeded, with its events. */
static void model_apply(struct thread_model *t, const struct message *m)
{
	struct content *now = t->now;
	uint64_t size = now[m->key].size;
	if (m->what == PUT) {
		now[m->key] = (struct content){m->seed, m->size};
		NOTE(t->expected[m->key], .kind = STORE_EVENT_CREATED, .size = m->size);
	} else if (m->what == COPY) {
		now[m->new_key] = now[m->key];
		NOTE(t->expected[m->new_key], .kind = STORE_EVENT_CREATED, .size = size);
	} else if (m->what == DELETE) {
		now[m->key].seed = 0;
		NOTE(t->expected[m->key], .kind = STORE_EVENT_REMOVED, .size = size);
	} else if (m->what == RENAME) {
		now[m->new_key] = now[m->key];
		now[m->key].seed = 0;
		NOTE(t->expected[m->new_key], .kind = STORE_EVENT_CREATED, .size = size);
		NOTE(t->expected[m->key], .kind = STORE_EVENT_REMOVED, .size = size);
	}
}

/* A step that finds nothing to work on is refused. */
static bool is_refused(const struct thread_model *t, const struct message *m)
{
	return (m->what == DELETE || m->what == RENAME || m->what == COPY) &&
	       t->now[m->key].seed == 0;
}

static void take_acknowledgement(const struct message *m)
{
	if (!m->is_result) {
		acknowledging = *m;
		if (m->thread < THREADS && m->sequence > base_sequence)
			NOTE(models[m->thread].seen[m->key], m->sequence, m->size, m->kind);
		return;
	}
	if (m->result != 0)
		crash_die("acknowledging event %llu: error %d", (unsigned long long)m->seed,
			  m->result);
	acknowledged[acknowledged_count++ % EVENTS_MAX] = m->seed;
	memset(&acknowledging, 0, sizeof(acknowledging));
}

static void take_message(const struct message *m)
{
	if (m->what == ACKNOWLEDGE) {
		take_acknowledgement(m);
		return;
	}
	if (m->what >= VERSION_PUT) {
		crash_versions_take(m);
		return;
	}
	struct thread_model *t = &models[m->thread];
	if (!m->is_result) {
		t->is_pending = true;
		t->pending = *m;
		return;
	}
	t->is_pending = false;
	if (m->result != (is_refused(t, m) ? -ENOENT : 0))
		crash_die("thread %u, operation %u: error %d", m->thread, m->what, m->result);
	if (m->result == 0)
		model_apply(t, m);
}

/* Reads the child's log until it is dead; kills it when its time is over. */
static unsigned follow(int fd, pid_t child, uint64_t kill_ms)
{
	uint64_t end = eos_now_ns() + kill_ms * EOS_NS_PER_MS;
	unsigned results = 0;
	bool is_killed = false;
	is_killed_by_time = false;
	for (;;) {
		uint64_t now = eos_now_ns();
		if (now >= end && !is_killed) {
			kill(child, SIGKILL);
			is_killed = is_killed_by_time = true;
		}
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		if (poll(&poll_fd, 1, is_killed ? -1 : (int)((end - now) / EOS_NS_PER_MS) + 1) <= 0)
			continue;
		struct message m;
		int err = eos_read_full(fd, &m, sizeof(m));
		if (err == -ENODATA)
			return results;
		if (err < 0)
			crash_die("pipe: error %d", err);
		results += m.is_result;
		take_message(&m);
	}
}

/* Forks a child that runs until it is killed. Returns how many operations it finished. */
static unsigned run_child(const char *faults, uint64_t kill_ms)
{
	int fds[2], status;
	if (pipe(fds) < 0)
		crash_die("pipe: %s", strerror(errno));
	pid_t child = fork();
	if (child < 0)
		crash_die("fork: %s", strerror(errno));
	if (child == 0) {
		close(fds[0]);
		crash_child(dir, faults, run_seed, fds[1]);
	}
	close(fds[1]);
	unsigned results = follow(fds[0], child, kill_ms);
	close(fds[0]);
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		crash_die("the child ended by itself: status %x", (unsigned)status);
	return results;
}

int crash_look(struct store *store, const char *bucket, const char *key, uint64_t version,
	       struct content *ret_content)
{
	static uint8_t got[SIZE_MAX_LOG + 1], expected[SIZE_MAX_LOG + 1];
	struct store_reader *reader;
	int err = store_reader_open(store, bucket, key, strlen(key), version, &reader);
	if (err == -ENOENT)
		return -1;
	if (err < 0)
		crash_die("%.40s: open: error %d", key, err);
	const struct store_object_info *info = store_reader_info(reader);
	const char *text = store_metadata_get(info, "seed");
	uint64_t seed;
	if (text == NULL || eos_parse_u64(text, &seed) < 0 || info->size > SIZE_MAX_LOG)
		crash_die("%.40s: not what was written", key);
	int64_t n = store_reader_read(reader, got, sizeof(got), 0);
	if (n != (int64_t)info->size)
		crash_die("%.40s: read: %lld", key, (long long)n);
	crash_content_fill(seed, 0, expected, (size_t)n);
	if (memcmp(got, expected, (size_t)n) != 0)
		crash_die("%.40s: other content", key);
	*ret_content = (struct content){seed, info->size};
	store_reader_close(reader);
	return 0;
}

static bool model_matches(struct store *store, unsigned thread)
{
	for (unsigned key = 0; key < KEYS; key++) {
		char name[640];
		struct content found, *now = &models[thread].now[key];
		crash_key_name(thread, key, name);
		if (crash_look(store, "raw", name, STORE_VERSION_LATEST, &found) < 0)
			found.seed = 0;
		if (found.seed != now->seed || (found.seed != 0 && found.size != now->size))
			return false;
	}
	return true;
}

static void check_contents(struct store *store)
{
	for (unsigned i = 0; i < THREADS; i++) {
		struct thread_model *t = &models[i];
		bool matches = model_matches(store, i);
		if (!matches && t->is_pending && !is_refused(t, &t->pending)) {
			model_apply(t, &t->pending);
			matches = model_matches(store, i);
		}
		if (!matches)
			crash_die("thread %u: an acknowledged change is missing, or half a change "
				  "there",
				  i);
		const struct message *m = &t->pending;
		t->is_open = t->is_pending && m->what == COPY && !is_refused(t, m) &&
			     t->now[m->key].seed == t->now[m->new_key].seed &&
			     t->now[m->key].size == t->now[m->new_key].size;
		t->is_pending = false;
	}
	for (unsigned i = 0; i < SHARED_KEYS; i++) {
		char name[32];
		struct content found;
		snprintf(name, sizeof(name), "shared/%u", i);
		(void)crash_look(store, "raw", name, STORE_VERSION_LATEST, &found);
	}
}

static int recount_object(void *ctx, const struct store_list_entry *entry)
{
	struct recount *recount = ctx;
	recount->objects++;
	recount->bytes += entry->info->size;
	return 0;
}

static int recount_event(void *ctx, const struct store_event *event)
{
	struct recount *recount = ctx;
	uint8_t thread, key;
	recount->events++;
	for (size_t i = 0; i < EOS_MIN(acknowledged_count, (size_t)EVENTS_MAX); i++)
		if (acknowledged[i] == event->id)
			crash_die("event %llu came back", (unsigned long long)event->id);
	if (crash_parse_key(event, &thread, &key) == 0 && event->sequence > base_sequence)
		NOTE(models[thread].seen[key], event->sequence, event->size, (uint8_t)event->kind);
	return 0;
}

static unsigned files_seen;
static uint64_t sequence_seen;

static int see_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	files_seen += type == FTW_F;
	return 0;
}

static unsigned count_files(const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	files_seen = 0;
	if (nftw(path, see_file, 16, FTW_PHYS) != 0)
		crash_die("%s: %s", path, strerror(errno));
	return files_seen;
}

static int compare_happened(const void *a, const void *b)
{
	const struct happened *x = a, *y = b;
	return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* The events seen of one key (in the outbox or acknowledged) are those expected, in order. */
static void check_key_events(unsigned thread, unsigned key)
{
	struct thread_model *t = &models[thread];
	struct happened *seen = t->seen[key].all, *expected = t->expected[key].all;
	size_t kept = 0;
	if (t->seen[key].count > 0)
		qsort(seen, t->seen[key].count, sizeof(*seen), compare_happened);
	/* One whose acknowledgement was cut off was seen twice. */
	for (size_t i = 0; i < t->seen[key].count; i++)
		if (kept == 0 || seen[kept - 1].sequence != seen[i].sequence)
			seen[kept++] = seen[i];
	if (kept == t->expected[key].count + 1 && t->is_open && t->pending.new_key == key)
		model_apply(t, &t->pending);
	expected = t->expected[key].all;
	if (kept != t->expected[key].count)
		crash_die("thread %u, key %u: %zu events, %zu changes", thread, key, kept,
			  t->expected[key].count);
	for (size_t i = 0; i < kept; i++) {
		if (seen[i].kind != expected[i].kind || seen[i].size != expected[i].size)
			crash_die("thread %u, key %u: event %zu is another", thread, key, i);
		sequence_seen = EOS_MAX(sequence_seen, seen[i].sequence);
	}
	t->seen[key].count = t->expected[key].count = 0;
}

static void tell_problem(void *ctx, const char *bucket, const char *key, size_t key_len,
			 uint64_t version, const char *text)
{
	fprintf(stderr, "%s/%.*s: %s\n", bucket, (int)key_len, key, text);
}

/* Twice: as the crash left it, and when everything that nobody needs is gone. */
static void audit(struct store *store)
{
	struct store_verdict verdict;
	struct store_stats stats;
	uint64_t freed;
	for (unsigned round = 0; round < 2; round++) {
		if (store_verify(store, tell_problem, NULL, NULL, &verdict) < 0)
			crash_die("verify failed");
		if (verdict.damaged_objects + verdict.damaged_chunks + verdict.wrong_counts +
			    verdict.leaked_bytes !=
		    0)
			crash_die(
				"verify: %llu objects and %llu chunks damaged, %llu counts wrong, "
				"%llu bytes leaked",
				(unsigned long long)verdict.damaged_objects,
				(unsigned long long)verdict.damaged_chunks,
				(unsigned long long)verdict.wrong_counts,
				(unsigned long long)verdict.leaked_bytes);
		if (round == 0 && store_compact(store, NULL, NULL, &freed) < 0)
			crash_die("compaction failed");
	}
	if (store_stats(store, &stats) < 0)
		crash_die("no stats");
	/* Each segment has a head of 64 bytes, and may be live to 95 percent. */
	if (stats.garbage_bytes > stats.segment_bytes / 20 + 64)
		crash_die("%llu bytes of garbage of %llu behind compaction",
			  (unsigned long long)stats.garbage_bytes,
			  (unsigned long long)stats.segment_bytes);
}

static void check_usage(struct store *store, const char *bucket, const struct recount *recount)
{
	struct store_usage usage;
	if (store_bucket_usage(store, bucket, &usage) < 0 || usage.objects != recount->objects ||
	    usage.bytes != recount->bytes)
		crash_die("%s: the usage is wrong", bucket);
}

static void check_tenant(struct store *store, const struct recount *recount)
{
	struct store_usage usage;
	if (store_tenant_usage(store, "", &usage) < 0 || usage.objects != recount->objects ||
	    usage.bytes != recount->bytes)
		crash_die("the tenant's usage is wrong");
}

static void verify(void)
{
	struct store *store;
	struct store_stats stats;
	struct recount recount = {0};
	struct eos_why why = {""};
	struct store_list_query query = {.limit = 100000};
	bool more;
	if (store_open(dir, &store, &why) < 0)
		crash_die("open after the crash: %s", why.text);
	check_contents(store);
	if (store_object_list(store, "raw", &query, recount_object, &recount, &more) < 0 ||
	    store_outbox_list(store, 0, recount_event, &recount) < 0 ||
	    store_stats(store, &stats) < 0)
		crash_die("listing failed");
	check_usage(store, "raw", &recount);
	struct recount versions = {0};
	crash_versions_check(store, &versions);
	check_usage(store, CRASH_VERSIONED, &versions);
	recount.objects += versions.objects;
	recount.bytes += versions.bytes;
	check_tenant(store, &recount);
	if (stats.buckets != 2 || stats.objects != recount.objects ||
	    stats.bytes != recount.bytes || stats.outbox_events != recount.events)
		crash_die("the counts are wrong");
	audit(store);
	unsigned staged = count_files("staging");
	if (staged != 0)
		crash_die("%u staged", staged);
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned key = 0; key < KEYS; key++)
			check_key_events(i, key);
	base_sequence = sequence_seen;
	store_close(store);
}

/* A child that dies while it opens. */
static void crash_in_recovery(void)
{
	int status;
	pid_t child = fork();
	if (child < 0)
		crash_die("fork: %s", strerror(errno));
	if (child == 0) {
		struct store *store;
		int err = eos_fault_arm("store.recover:1=kill", NULL);
		_exit(err == 0 && store_open(dir, &store, NULL) == 0 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	if (!WIFSIGNALED(status))
		crash_die("the recovering child was not killed: status %x", (unsigned)status);
}

static void run_round(unsigned round, uint64_t *random)
{
	static const struct {
		const char *point;
		unsigned passes;
	} points[] = {
		{"store.segment_create", 2},  {"store.dir_fsync", 2},
		{"store.segment_write", 200}, {"store.segment_fsync", 60},
		{"store.txn_begin", 40},      {"store.txn_put", 2000},
		{"store.txn_commit", 60},     {"store.after_commit", 60},
		{"store.segment_unlink", 2},  {"store.staging_write", 20},
		{"store.segment_read", 300},
	};
	char faults[64] = "";
	const char *what = "";
	uint64_t kill_ms = 50 + crash_mix(random) % 500;
	unsigned at = round % (EOS_ARRAY_SIZE(points) + 1);
	if (at < EOS_ARRAY_SIZE(points)) {
		what = points[at].point;
		snprintf(faults, sizeof(faults), "%s:%u=kill", what,
			 1 + (unsigned)(crash_mix(random) % points[at].passes));
		kill_ms = 3000;
	}
	run_seed = crash_mix(random);
	unsigned results = run_child(faults, kill_ms);
	if (crash_mix(random) % 3 == 0)
		crash_in_recovery();
	verify();
	printf("round %u: killed at %s after %u operations: nothing lost\n", round + 1,
	       is_killed_by_time ? "a random time" : what, results);
	fflush(stdout);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	uint64_t rounds = ROUNDS_SHORT, random = eos_wall_ns();
	struct store *store;
	struct eos_why why = {""};
	if ((argc > 1 && eos_parse_u64(argv[1], &rounds) < 0) ||
	    (argc > 2 && eos_parse_u64(argv[2], &random) < 0) || argc > 3) {
		fprintf(stderr, "usage: store_crash [ROUNDS [SEED]]\n");
		return 2;
	}
	printf("seed %llu\n", (unsigned long long)random);
	fflush(stdout);
	acknowledged = calloc(EVENTS_MAX, sizeof(acknowledged[0]));
	if (acknowledged == NULL || mkdtemp(dir) == NULL)
		crash_die("no temporary directory: %s", strerror(errno));
	if (store_open(dir, &store, &why) < 0)
		crash_die("%s", why.text);
	struct store_bucket_settings settings = {.versioning = STORE_VERSIONING_ENABLED,
						 .is_encrypted = true,
						 .is_compressed = true};
	if (store_bucket_create(store, "raw") < 0 ||
	    store_bucket_create(store, CRASH_VERSIONED) < 0 ||
	    store_bucket_settings_set(store, CRASH_VERSIONED, &settings) < 0)
		crash_die("no bucket");
	store_close(store);
	for (unsigned i = 0; i < rounds; i++)
		run_round(i, &random);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	char node_key[sizeof(dir) + 8];
	snprintf(node_key, sizeof(node_key), "%s.key", dir);
	(void)unlink(node_key);
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned key = 0; key < KEYS; key++) {
			free(models[i].seen[key].all);
			free(models[i].expected[key].all);
		}
	}
	free(acknowledged);
	return 0;
}
