/*
 * The states of a job: none → running → ended, and from there again → running. The job's thread
 * leaves by setting is_running to false, with the outcome, under the lock; it is joined by the next
 * start or by the end of all, so there is never more than one.
 */
#include "ctl/ctl_upkeep.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

struct ctl_upkeep {
	struct store *store; /* borrowed */
	pthread_mutex_t lock;
	/* Guarded by lock. */
	bool is_closed;
	bool has_thread; /* to be joined */
	pthread_t thread;
	bool is_running;
	bool is_stopping;
	uint64_t id; /* counts the jobs; 0: there was none yet */
	enum ctl_upkeep_kind kind;
	uint64_t started_ns, ended_ns; /* wall clock */
	uint64_t done, of;	       /* bytes */
	uint64_t problems_count;
	struct eos_buf problems; /* the first of them, as a JSON list without its end */
	struct eos_json problems_json;
	int err; /* of the job that has ended */
	struct store_verdict verdict;
	uint64_t freed_bytes;
};

static const char *const kind_names[] = {
	[CTL_UPKEEP_VERIFY] = "verify",
	[CTL_UPKEEP_REPAIR] = "repair",
	[CTL_UPKEEP_COMPACT] = "compact",
	[CTL_UPKEEP_REKEY] = "rekey",
};

bool ctl_upkeep_parse_kind(const char *name, enum ctl_upkeep_kind *ret_kind)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kind_names); i++) {
		if (strcmp(kind_names[i], name) == 0) {
			*ret_kind = (enum ctl_upkeep_kind)i;
			return true;
		}
	}
	return false;
}

static bool on_progress(void *ctx, uint64_t done, uint64_t of)
{
	struct ctl_upkeep *upkeep = ctx;
	pthread_mutex_lock(&upkeep->lock);
	upkeep->done = done;
	upkeep->of = of;
	bool goes_on = !upkeep->is_stopping;
	pthread_mutex_unlock(&upkeep->lock);
	return goes_on;
}

static void put_version(struct eos_json *json, uint64_t version)
{
	char text[24];
	if (version == STORE_VERSION_LATEST)
		snprintf(text, sizeof(text), "latest");
	else if (version == STORE_VERSION_NULL)
		snprintf(text, sizeof(text), "null");
	else
		snprintf(text, sizeof(text), "%016" PRIx64, version); /* as S3 clients see it */
	eos_json_text(json, "version", text);
}

static void on_problem(void *ctx, const char *bucket, const char *key, size_t key_len,
		       uint64_t version, const char *text)
{
	struct ctl_upkeep *upkeep = ctx;
	struct eos_json *json = &upkeep->problems_json;
	pthread_mutex_lock(&upkeep->lock);
	if (upkeep->problems_count++ < CTL_UPKEEP_PROBLEMS_MAX) {
		eos_json_open(json, NULL, '{');
		eos_json_text(json, "bucket", bucket);
		eos_json_text_n(json, "key", key, key_len);
		put_version(json, version);
		eos_json_text(json, "text", text);
		eos_json_close(json, '}');
	}
	pthread_mutex_unlock(&upkeep->lock);
}

static void log_end(enum ctl_upkeep_kind kind, int err, const struct store_verdict *verdict,
		    uint64_t freed_bytes)
{
	if (err < 0) {
		eos_log(err == -EINTR ? EOS_LOG_INFO : EOS_LOG_WARN, "ctl",
			"event=upkeep_ended kind=%s error=\"%s\"", kind_names[kind],
			err == -EINTR ? "stopped" : strerror(-err));
		return;
	}
	if (kind == CTL_UPKEEP_COMPACT) {
		eos_log(EOS_LOG_INFO, "ctl", "event=upkeep_ended kind=compact freed_bytes=%" PRIu64,
			freed_bytes);
		return;
	}
	if (kind == CTL_UPKEEP_REKEY) {
		eos_log(EOS_LOG_INFO, "ctl", "event=upkeep_ended kind=rekey");
		return;
	}
	bool is_bad = verdict->damaged_objects > 0 || verdict->damaged_chunks > 0 ||
		      verdict->wrong_counts > 0;
	eos_log(is_bad ? EOS_LOG_WARN : EOS_LOG_INFO, "ctl",
		"event=upkeep_ended kind=%s objects=%" PRIu64 " chunks=%" PRIu64
		" damaged_objects=%" PRIu64 " damaged_chunks=%" PRIu64 " wrong_counts=%" PRIu64,
		kind_names[kind], verdict->objects, verdict->chunks, verdict->damaged_objects,
		verdict->damaged_chunks, verdict->wrong_counts);
}

static void *job_main(void *ctx)
{
	struct ctl_upkeep *upkeep = ctx;
	struct store_verdict verdict = {0};
	uint64_t freed_bytes = 0;
	int err = -ENOSYS;
	/* Nobody changes it while the job runs. */
	enum ctl_upkeep_kind kind = upkeep->kind;
	switch (kind) {
	case CTL_UPKEEP_VERIFY:
		err = store_verify(upkeep->store, on_problem, on_progress, upkeep, &verdict);
		break;
	case CTL_UPKEEP_REPAIR:
		err = store_repair(upkeep->store, on_problem, on_progress, upkeep, &verdict);
		break;
	case CTL_UPKEEP_REKEY:
		err = store_rekey(upkeep->store);
		break;
	case CTL_UPKEEP_COMPACT:
		err = store_compact(upkeep->store, on_progress, upkeep, &freed_bytes);
		break;
	}
	log_end(kind, err, &verdict, freed_bytes);
	pthread_mutex_lock(&upkeep->lock);
	upkeep->err = err;
	upkeep->verdict = verdict;
	upkeep->freed_bytes = freed_bytes;
	upkeep->ended_ns = eos_wall_ns();
	upkeep->is_running = false;
	pthread_mutex_unlock(&upkeep->lock);
	return NULL;
}

int ctl_upkeep_new(struct store *store, struct ctl_upkeep **ret_upkeep)
{
	struct ctl_upkeep *upkeep = calloc(1, sizeof(*upkeep));
	if (upkeep == NULL)
		return -ENOMEM;
	upkeep->store = store;
	pthread_mutex_init(&upkeep->lock, NULL);
	*ret_upkeep = upkeep;
	return 0;
}

void ctl_upkeep_close(struct ctl_upkeep *upkeep)
{
	pthread_mutex_lock(&upkeep->lock);
	upkeep->is_closed = true;
	upkeep->is_stopping = true;
	bool has_thread = upkeep->has_thread;
	upkeep->has_thread = false;
	pthread_mutex_unlock(&upkeep->lock);
	if (has_thread)
		pthread_join(upkeep->thread, NULL);
}

struct ctl_upkeep *ctl_upkeep_free(struct ctl_upkeep *upkeep)
{
	if (upkeep == NULL)
		return NULL;
	ctl_upkeep_close(upkeep);
	eos_buf_fini(&upkeep->problems);
	pthread_mutex_destroy(&upkeep->lock);
	free(upkeep);
	return NULL;
}

/* Forgets the former job. */
static void begin_locked(struct ctl_upkeep *upkeep, enum ctl_upkeep_kind kind)
{
	upkeep->is_running = true;
	upkeep->is_stopping = false;
	upkeep->id++;
	upkeep->kind = kind;
	upkeep->started_ns = eos_wall_ns();
	upkeep->ended_ns = 0;
	upkeep->done = upkeep->of = 0;
	upkeep->problems_count = 0;
	eos_buf_clear(&upkeep->problems);
	upkeep->problems_json = eos_json_begin(&upkeep->problems);
	eos_json_open(&upkeep->problems_json, NULL, '[');
	upkeep->err = 0;
	upkeep->verdict = (struct store_verdict){0};
	upkeep->freed_bytes = 0;
}

int ctl_upkeep_start(struct ctl_upkeep *upkeep, enum ctl_upkeep_kind kind)
{
	int err = 0;
	pthread_mutex_lock(&upkeep->lock);
	if (upkeep->is_closed)
		err = -ECANCELED;
	else if (upkeep->is_running)
		err = -EBUSY;
	if (err < 0)
		goto unlock;
	/* A thread that has ended its job needs the lock no more. */
	if (upkeep->has_thread)
		pthread_join(upkeep->thread, NULL);
	begin_locked(upkeep, kind);
	err = -pthread_create(&upkeep->thread, NULL, job_main, upkeep);
	upkeep->has_thread = err == 0;
	if (err < 0) {
		upkeep->is_running = false;
		upkeep->ended_ns = eos_wall_ns();
		upkeep->err = err;
	}
unlock:
	pthread_mutex_unlock(&upkeep->lock);
	return err;
}

int ctl_upkeep_stop(struct ctl_upkeep *upkeep)
{
	pthread_mutex_lock(&upkeep->lock);
	int err = upkeep->is_running ? 0 : -ENOENT;
	upkeep->is_stopping = true;
	pthread_mutex_unlock(&upkeep->lock);
	return err;
}

static void put_time(struct eos_json *json, const char *key, uint64_t wall_ns)
{
	char text[EOS_ISO8601_SIZE];
	eos_format_iso8601(wall_ns, text);
	eos_json_text(json, key, text);
}

static void put_outcome_locked(const struct ctl_upkeep *upkeep, struct eos_json *json)
{
	const struct store_verdict *v = &upkeep->verdict;
	if (upkeep->err < 0) {
		eos_json_text(json, "error",
			      upkeep->err == -EINTR ? "stopped" : strerror(-upkeep->err));
		return;
	}
	eos_json_open(json, "verdict", '{');
	if (upkeep->kind == CTL_UPKEEP_COMPACT) {
		eos_json_u64(json, "freed_bytes", upkeep->freed_bytes);
	} else if (upkeep->kind != CTL_UPKEEP_REKEY) {
		eos_json_u64(json, "objects", v->objects);
		eos_json_u64(json, "chunks", v->chunks);
		eos_json_u64(json, "bytes", v->bytes);
		eos_json_u64(json, "damaged_objects", v->damaged_objects);
		eos_json_u64(json, "damaged_chunks", v->damaged_chunks);
		eos_json_u64(json, "wrong_counts", v->wrong_counts);
		eos_json_u64(json, "leaked_bytes", v->leaked_bytes);
	}
	eos_json_close(json, '}');
}

static void put_locked(const struct ctl_upkeep *upkeep, struct eos_json *json)
{
	eos_json_u64(json, "id", upkeep->id);
	eos_json_bool(json, "running", upkeep->is_running);
	if (upkeep->id == 0)
		return;
	eos_json_text(json, "kind", kind_names[upkeep->kind]);
	put_time(json, "started", upkeep->started_ns);
	eos_json_u64(json, "done", upkeep->done);
	eos_json_u64(json, "of", upkeep->of);
	eos_json_u64(json, "problems_count", upkeep->problems_count);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf list = {0};
	eos_buf_append(&list, upkeep->problems.data, upkeep->problems.len);
	eos_buf_puts(&list, "]");
	/* Half a list is no document: without memory there is no answer. */
	json->buf->failed |= eos_buf_failed(&upkeep->problems) || eos_buf_failed(&list);
	eos_json_raw(json, "problems", list.data, list.len);
	if (upkeep->is_running)
		return;
	put_time(json, "ended", upkeep->ended_ns);
	put_outcome_locked(upkeep, json);
}

void ctl_upkeep_put(struct ctl_upkeep *upkeep, struct eos_json *json)
{
	eos_json_open(json, NULL, '{');
	pthread_mutex_lock(&upkeep->lock);
	put_locked(upkeep, json);
	pthread_mutex_unlock(&upkeep->lock);
	eos_json_close(json, '}');
}
