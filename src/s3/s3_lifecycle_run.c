/*
 * A round over a bucket is made of steps: up to STEP_VERSIONS versions are looked at in one listing
 * and judged, and what is due is done after the listing has ended, so that no listing holds on to
 * pages of the store while it is changed. Everything done is a delete like any client's, with an
 * event that tells whose it was; held versions stay, and so does what was written meanwhile: a
 * version is deleted only if it is still the one that was judged. Its number alone does not say so:
 * null versions replace each other.
 *
 * What cannot be deleted, since its record is damaged, say, does not keep the rest: a round goes on
 * and tells of the first failure at its end.
 *
 * Under pressure (rules with PressureExpiration) the oldest fitting versions of the bucket, up to
 * PRESSURE_VERSIONS, go in one round. The space comes back when the store has reclaimed it; the
 * next round looks again.
 */
#include "s3/s3_lifecycle_run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "base/str.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_object_priv.h"

#define STEP_VERSIONS	  256u
#define PRESSURE_VERSIONS 64u

EOS_COUNTER(expired_total, "s3.lifecycle_expired_total",
	    "Versions and uploads that lifecycle rules deleted.");

struct s3_lifecycle_runner {
	struct store *store;
	struct s3_lifecycle_config config;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool must_stop; /* guarded by lock */
};

/* True when it is time to stop. */
static bool wait_for(struct s3_lifecycle_runner *runner, uint64_t ms)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	uint64_t ns = (uint64_t)until.tv_nsec + ms % 1000 * EOS_NS_PER_MS;
	until.tv_sec += (time_t)(ms / 1000 + ns / EOS_NS_PER_S);
	until.tv_nsec = (long)(ns % EOS_NS_PER_S);
	pthread_mutex_lock(&runner->lock);
	int err = 0;
	while (ms > 0 && !runner->must_stop && err == 0)
		err = pthread_cond_timedwait(&runner->wake, &runner->lock, &until);
	bool must_stop = runner->must_stop;
	pthread_mutex_unlock(&runner->lock);
	return must_stop;
}

struct deed {
	char key[STORE_KEY_MAX + 1];
	size_t key_len;
	uint64_t version, modified_ns;
	enum s3_lifecycle_verdict verdict;
};

struct round {
	struct s3_lifecycle_runner *runner;
	struct store *store;
	const char *bucket;
	const struct s3_lifecycle *lifecycle;
	uint64_t now_ns, day_ns, free_bytes;
	/* The key under way, across steps. */
	char key[STORE_KEY_MAX + 1];
	size_t key_len;
	uint64_t version;  /* the last that was seen */
	uint64_t newer_ns; /* when the version before came */
	unsigned noncurrent;
	/* A delete marker that may turn out to be alone. */
	bool has_marker;
	struct store_object_info *marker;
	/* Found in this step. */
	size_t count;
	struct deed deeds[STEP_VERSIONS + 1];
	/* The oldest, the youngest of them first. */
	size_t oldest_count;
	struct deed oldest[PRESSURE_VERSIONS];
};

static void fill(struct deed *deed, const char *key, size_t key_len,
		 const struct store_object_info *info, enum s3_lifecycle_verdict verdict)
{
	memcpy(deed->key, key, key_len);
	deed->key_len = key_len;
	deed->version = info->version;
	deed->modified_ns = info->modified_ns;
	deed->verdict = verdict;
}

static void judge(struct round *round, const struct s3_lifecycle_subject *subject)
{
	enum s3_lifecycle_verdict verdict =
		s3_lifecycle_judge(round->lifecycle, subject, round->now_ns, round->day_ns);
	if (verdict != S3_LIFECYCLE_KEEP && round->count < EOS_ARRAY_SIZE(round->deeds))
		fill(&round->deeds[round->count++], subject->key, subject->key_len, subject->info,
		     verdict);
}

/* Keeps SUBJECT among the oldest, if it is one of them and may go. */
static void weigh(struct round *round, const struct s3_lifecycle_subject *subject)
{
	const struct store_object_info *info = subject->info;
	size_t at = 0;
	if (info->is_delete_marker ||
	    !s3_lifecycle_yields(round->lifecycle, subject, round->free_bytes))
		return;
	while (at < round->oldest_count && round->oldest[at].modified_ns > info->modified_ns)
		at++;
	if (round->oldest_count == PRESSURE_VERSIONS) {
		if (at == 0)
			return;
		/* The youngest makes room. */
		at--;
		memmove(&round->oldest[0], &round->oldest[1], at * sizeof(round->oldest[0]));
	} else {
		memmove(&round->oldest[at + 1], &round->oldest[at],
			(round->oldest_count - at) * sizeof(round->oldest[0]));
		round->oldest_count++;
	}
	fill(&round->oldest[at], subject->key, subject->key_len, info, S3_LIFECYCLE_REMOVE);
}

/* The marker that was last turned out to hide nothing. */
static void judge_marker(struct round *round)
{
	const struct s3_lifecycle_subject subject = {.key = round->key,
						     .key_len = round->key_len,
						     .info = round->marker,
						     .is_alone = true};
	if (round->has_marker)
		judge(round, &subject);
	round->has_marker = false;
}

static int visit(void *ctx, const struct store_list_entry *entry)
{
	struct round *round = ctx;
	const struct store_object_info *info = entry->info;
	bool is_same = entry->key_len == round->key_len &&
		       memcmp(entry->key, round->key, entry->key_len) == 0;
	struct s3_lifecycle_subject subject = {
		.key = entry->key, .key_len = entry->key_len, .info = info};

	if (!is_same) {
		judge_marker(round);
		memcpy(round->key, entry->key, entry->key_len);
		round->key_len = entry->key_len;
		round->noncurrent = 0;
	}
	round->has_marker = false;
	if (info->is_latest && info->is_delete_marker) {
		round->has_marker = true;
		*round->marker = *info;
	} else {
		if (!info->is_latest) {
			subject.noncurrent_ns = round->newer_ns;
			subject.newer_noncurrent = round->noncurrent++;
		}
		judge(round, &subject);
		weigh(round, &subject);
	}
	round->newer_ns = info->modified_ns;
	round->version = info->version;
	return 0;
}

static int act(struct round *round, const struct deed *deed)
{
	const struct store_removal removal = {
		.version =
			deed->verdict == S3_LIFECYCLE_REMOVE ? deed->version : STORE_VERSION_LATEST,
		.is_expiration = true,
		.modified_ns = deed->modified_ns,
	};
	int err = store_object_delete(round->store, round->bucket, deed->key, deed->key_len,
				      &removal, NULL);
	if (err == 0)
		eos_counter_add(&expired_total, 1);
	/* Gone, replaced or held: then the rule has nothing to do here. */
	return err == -ENOENT || err == -ESTALE || err == -EPERM ? 0 : err;
}

static int act_all(struct round *round, const struct deed *deeds, size_t count)
{
	int first = 0;
	for (size_t i = 0; i < count; i++) {
		int err = act(round, &deeds[i]);
		if (first == 0)
			first = err;
	}
	return first;
}

static int run_versions(struct round *round)
{
	int err = 0, first = 0;
	for (bool has_more = true; has_more && err == 0;) {
		char after[STORE_KEY_MAX];
		const struct store_list_query query = {
			.after = round->key_len > 0 ? after : NULL,
			.after_len = round->key_len,
			.limit = STEP_VERSIONS,
		};
		memcpy(after, round->key, round->key_len);
		round->count = 0;
		if (wait_for(round->runner, 0))
			return -ECANCELED;
		err = store_version_list(round->store, round->bucket, &query, round->version, visit,
					 round, &has_more);
		if (err == 0 && !has_more)
			judge_marker(round);
		int act_err = act_all(round, round->deeds, round->count);
		first = first < 0 ? first : act_err;
	}
	/* From the end: the oldest first. */
	for (size_t i = round->oldest_count; i > 0 && err == 0; i--) {
		int act_err = act(round, &round->oldest[i - 1]);
		first = first < 0 ? first : act_err;
	}
	return err < 0 ? err : first;
}

/* Uploads under way, as s3_multipart.c keeps them. */
struct uploads {
	struct round *round;
	uint64_t created_ns; /* of the bucket; UINT64_MAX: there is none */
	size_t count;
	struct {
		char name[STORE_KEY_MAX + 1];
		char pieces[STORE_BUCKET_NAME_MAX + 1];
		uint64_t created_ns; /* of the bucket that it was begun in */
		bool is_expired;     /* a rule says so */
	} due[STEP_VERSIONS];
	char last[STORE_KEY_MAX + 1];
};

/* When the bucket was made. The store's errors, but for its absence. */
static int read_created(const struct round *round, uint64_t *ret_created_ns)
{
	struct store_bucket_info bucket;
	int err = store_bucket_get(round->store, round->bucket, &bucket);
	if (err < 0 && err != -ENOENT)
		return err;
	*ret_created_ns = err == 0 ? bucket.created_ns : UINT64_MAX;
	return 0;
}

static int visit_upload(void *ctx, const struct store_list_entry *entry)
{
	struct uploads *uploads = ctx;
	struct round *round = uploads->round;
	const char *key = store_metadata_get(entry->info, S3_METADATA_KEY);
	const char *pieces = store_metadata_get(entry->info, S3_METADATA_PIECES);
	const char *time = store_metadata_get(entry->info, S3_METADATA_BUCKET);
	uint64_t created_ns;
	const struct s3_lifecycle_subject subject = {.key = key,
						     .key_len = key != NULL ? strlen(key) : 0,
						     .info = entry->info,
						     .is_upload = true};

	memcpy(uploads->last, entry->key, entry->key_len);
	uploads->last[entry->key_len] = '\0';
	/* Nobody finds one without it. */
	if (time == NULL || eos_parse_u64(time, &created_ns) < 0)
		created_ns = 0;
	bool is_expired = round->lifecycle != NULL && key != NULL &&
			  s3_lifecycle_judge(round->lifecycle, &subject, round->now_ns,
					     round->day_ns) == S3_LIFECYCLE_REMOVE;
	if (!is_expired && created_ns == uploads->created_ns)
		return 0;
	uploads->due[uploads->count].created_ns = created_ns;
	uploads->due[uploads->count].is_expired = is_expired;
	memcpy(uploads->due[uploads->count].name, uploads->last, entry->key_len + 1);
	snprintf(uploads->due[uploads->count].pieces, STORE_BUCKET_NAME_MAX + 1, "%s",
		 pieces != NULL ? pieces : S3_MULTIPART_BUCKET);
	uploads->count++;
	return 0;
}

struct names {
	size_t count;
	struct {
		char key[STORE_KEY_MAX];
		size_t len;
	} items[64];
};

static int gather(void *ctx, const struct store_list_entry *entry)
{
	struct names *names = ctx;
	memcpy(names->items[names->count].key, entry->key, entry->key_len);
	names->items[names->count++].len = entry->key_len;
	return 0;
}

/* What begins with PREFIX in the bucket PIECES. */
static int remove_parts(struct store *store, const char *pieces, const char *prefix,
			struct names *names)
{
	const struct store_list_query query = {.prefix = prefix,
					       .prefix_len = strlen(prefix),
					       .limit = EOS_ARRAY_SIZE(names->items)};
	int err = 0;
	for (bool has_more = true; has_more && err == 0;) {
		names->count = 0;
		err = store_object_list(store, pieces, &query, gather, names, &has_more);
		for (size_t i = 0; i < names->count && err == 0; i++) {
			err = store_object_delete(store, pieces, names->items[i].key,
						  names->items[i].len, NULL, NULL);
			if (err == -ENOENT)
				err = 0;
		}
	}
	return err;
}

/* In the order of s3_remove_upload(), and for its reasons: what is cut off is found again by its
 * entry, and parts that nobody finds would stay for ever. */
static int abort_upload(struct round *round, const char *entry, const char *id, const char *pieces)
{
	char prefix[2 * STORE_KEY_MAX];
	struct names *names = malloc(sizeof(*names));
	if (names == NULL)
		return -ENOMEM;

	snprintf(prefix, sizeof(prefix), "%s/p/%s/", round->bucket, id);
	int err = remove_parts(round->store, pieces, prefix, names);
	/* No such bucket: there were never any. */
	if (err == 0 || err == -ENOENT)
		err = store_object_delete(round->store, S3_MULTIPART_BUCKET, entry, strlen(entry),
					  NULL, NULL);
	if (err == 0)
		err = remove_parts(round->store, pieces, prefix, names);
	free(names);
	if (err == 0)
		eos_counter_add(&expired_total, 1);
	return err == -ENOENT ? 0 : err;
}

/* Aborts those that were found, with names behind a prefix of PREFIX_LEN bytes. Their bucket is
 * looked for once more: an upload whose bucket is gone, or older than the one that is there, is
 * nobody's, but the bucket may have been made since the listing began. */
static int abort_uploads(struct uploads *uploads, size_t prefix_len)
{
	int err = uploads->count > 0 ? read_created(uploads->round, &uploads->created_ns) : 0;
	int first = err;
	for (size_t i = 0; i < uploads->count && err == 0; i++) {
		const char *name = uploads->due[i].name;
		if (!uploads->due[i].is_expired &&
		    uploads->due[i].created_ns >= uploads->created_ns)
			continue;
		int act_err = abort_upload(uploads->round, name, name + prefix_len,
					   uploads->due[i].pieces);
		first = first < 0 ? first : act_err;
	}
	return first;
}

static int run_uploads(struct round *round)
{
	struct uploads *uploads = calloc(1, sizeof(*uploads));
	char prefix[STORE_BUCKET_NAME_MAX + 4], after[STORE_KEY_MAX + 1];
	int err = uploads != NULL ? 0 : -ENOMEM, first = 0;
	int n = snprintf(prefix, sizeof(prefix), "%s/m/", round->bucket);

	if (err == 0)
		err = read_created(round, &uploads->created_ns);
	for (bool has_more = true; has_more && err == 0;) {
		memcpy(after, uploads->last, sizeof(after));
		const struct store_list_query query = {
			.prefix = prefix,
			.prefix_len = (size_t)n,
			.after = after,
			.after_len = strlen(after),
			.limit = STEP_VERSIONS,
		};
		uploads->round = round;
		uploads->count = 0;
		err = wait_for(round->runner, 0)
			      ? -ECANCELED
			      : store_object_list(round->store, S3_MULTIPART_BUCKET, &query,
						  visit_upload, uploads, &has_more);
		int act_err = err < 0 ? err : abort_uploads(uploads, (size_t)n);
		first = first < 0 ? first : act_err;
	}
	free(uploads);
	return err == 0 || err == -ENOENT ? first : err;
}

/* A round over BUCKET, with FREE_BYTES left on the disk. The store's errors; what could be done was
 * done then. -ECANCELED: it is time to stop. */
static int run_bucket(struct s3_lifecycle_runner *runner, const char *bucket, uint64_t free_bytes)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct s3_lifecycle *lifecycle;

	int err = store_bucket_document_get(runner->store, bucket, "lifecycle", &text);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	if (s3_lifecycle_read(text.data, text.len, &lifecycle) != S3_OK)
		return -EBADMSG;
	struct round *round = calloc(1, sizeof(*round));
	struct store_object_info *marker = malloc(sizeof(*marker));
	err = round != NULL && marker != NULL ? 0 : -ENOMEM;
	if (err == 0) {
		round->runner = runner;
		round->store = runner->store;
		round->bucket = bucket;
		round->lifecycle = lifecycle;
		round->now_ns = eos_wall_ns();
		round->day_ns = runner->config.day_ns;
		round->free_bytes = free_bytes;
		round->version = STORE_VERSION_LATEST;
		round->marker = marker;
		err = run_versions(round);
	}
	if (round != NULL && marker != NULL) {
		int uploads_err = run_uploads(round);
		err = err < 0 ? err : uploads_err;
	}
	free(marker);
	free(round);
	s3_lifecycle_free(lifecycle);
	return err;
}

static int add_prefix(void *ctx, const struct store_list_entry *entry)
{
	/* "BUCKET/" */
	if (!entry->is_prefix)
		return 0;
	int err = eos_buf_append(ctx, entry->key, entry->key_len - 1);
	return err < 0 ? err : eos_buf_append(ctx, "", 1);
}

/* Uploads of buckets that are gone: the operator removed them, or a crash came between DeleteBucket
 * and the end of its uploads. */
static int run_leftovers(struct s3_lifecycle_runner *runner)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf names = {0};
	const struct store_list_query query = {
		.delimiter = "/", .delimiter_len = 1, .limit = UINT32_MAX};
	struct round *round = calloc(1, sizeof(*round));
	bool has_more;
	if (round == NULL)
		return -ENOMEM;
	round->runner = runner;
	round->store = runner->store;
	int err = store_object_list(runner->store, S3_MULTIPART_BUCKET, &query, add_prefix, &names,
				    &has_more);
	for (size_t at = 0; err == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		round->bucket = names.data + at;
		err = run_uploads(round);
	}
	free(round);
	return err == -ENOENT ? 0 : err;
}

static int add_name(void *ctx, const struct store_bucket_info *info)
{
	return eos_buf_append(ctx, info->name, strlen(info->name) + 1);
}

static void run_once(struct s3_lifecycle_runner *runner)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf names = {0};
	struct store_stats stats;
	int err = store_bucket_list(runner->store, add_name, &names);
	for (size_t at = 0; err == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		if (wait_for(runner, 0))
			return;
		err = store_stats(runner->store, &stats);
		if (err == 0)
			err = run_bucket(runner, names.data + at, stats.free_bytes);
		if (err < 0 && err != -ECANCELED)
			eos_log(EOS_LOG_WARN, "s3", "event=lifecycle_failed bucket=%s error=\"%s\"",
				names.data + at, strerror(-err));
		/* One bucket's trouble is not another's. */
		err = 0;
	}
	err = run_leftovers(runner);
	if (err < 0 && err != -ECANCELED)
		eos_log(EOS_LOG_WARN, "s3", "event=leftovers_not_removed error=\"%s\"",
			strerror(-err));
}

static void *run(void *ctx)
{
	struct s3_lifecycle_runner *runner = ctx;
	while (!wait_for(runner, runner->config.interval_ms))
		run_once(runner);
	return NULL;
}

int s3_lifecycle_start(struct store *store, const struct s3_lifecycle_config *config,
		       struct s3_lifecycle_runner **ret_runner)
{
	pthread_condattr_t attr;
	*ret_runner = NULL;
	if (config->interval_ms == 0)
		return 0;
	struct s3_lifecycle_runner *runner = calloc(1, sizeof(*runner));
	if (runner == NULL)
		return -ENOMEM;
	runner->store = store;
	runner->config = *config;
	pthread_mutex_init(&runner->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&runner->wake, &attr);
	pthread_condattr_destroy(&attr);
	int err = pthread_create(&runner->thread, NULL, run, runner);
	if (err != 0) {
		pthread_cond_destroy(&runner->wake);
		pthread_mutex_destroy(&runner->lock);
		free(runner);
		return -err;
	}
	*ret_runner = runner;
	return 0;
}

struct s3_lifecycle_runner *s3_lifecycle_stop(struct s3_lifecycle_runner *runner)
{
	if (runner == NULL)
		return NULL;
	pthread_mutex_lock(&runner->lock);
	runner->must_stop = true;
	pthread_cond_signal(&runner->wake);
	pthread_mutex_unlock(&runner->lock);
	pthread_join(runner->thread, NULL);
	pthread_cond_destroy(&runner->wake);
	pthread_mutex_destroy(&runner->lock);
	free(runner);
	return NULL;
}
