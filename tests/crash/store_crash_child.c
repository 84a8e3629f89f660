/* The side of store_crash.c that is killed. */
#include "crash/store_crash_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/fault.h"

#define SCRUB_RATE (UINT64_C(256) << 20)

static struct store *child_store;
static int child_log_fd;
static uint64_t child_seed;

uint64_t crash_mix(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

void crash_content_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t word = seed * UINT64_C(0x9E3779B97F4A7C15) ^ ((offset + i) / 8);
		word *= UINT64_C(0xBF58476D1CE4E5B9);
		word ^= word >> 29;
		out[i] = (uint8_t)(word >> ((offset + i) % 8 * 8));
	}
}

/* Key 0 of each thread is long: several entries in the store's tree. */
void crash_key_name(unsigned thread, unsigned key, char out[640])
{
	int n = snprintf(out, 640, "t%u/k%u", thread, key);
	if (key == 0) {
		memset(out + n, 'l', 600);
		out[n + 600] = '\0';
	}
}

int crash_parse_key(const struct store_event *event, uint8_t *ret_thread, uint8_t *ret_key)
{
	unsigned thread, key;
	if (sscanf(event->key, "t%u/k%u", &thread, &key) != 2 || thread >= THREADS || key >= KEYS)
		return -1;
	*ret_thread = (uint8_t)thread;
	*ret_key = (uint8_t)key;
	return 0;
}

static void tell(const struct message *message)
{
	/* Shorter than PIPE_BUF: whole, or not at all. */
	if (write(child_log_fd, message, sizeof(*message)) != (ssize_t)sizeof(*message))
		_exit(2);
}

int crash_put(struct store *store, const char *bucket, const char *key, uint64_t seed,
	      uint64_t size, uint64_t *ret_version)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct store_upload *upload;
	uint8_t piece[50000];
	char number[24];
	if (info == NULL)
		return -ENOMEM;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)seed);
	int err = store_metadata_add(info, "seed", number);
	if (err == 0)
		err = store_upload_begin(store, bucket, key, strlen(key), info, &upload);
	/* Some from the back to the front: through a file in staging/. */
	bool is_backwards = seed % 16 == 5;
	uint64_t pieces = (size + sizeof(piece) - 1) / sizeof(piece);
	for (uint64_t i = 0; err == 0 && i < pieces; i++) {
		uint64_t offset = (is_backwards ? pieces - 1 - i : i) * sizeof(piece);
		size_t n = EOS_MIN(size - offset, sizeof(piece));
		crash_content_fill(seed, offset, piece, n);
		err = store_upload_write(upload, piece, n, offset);
	}
	if (err == 0)
		err = store_upload_commit(upload, NULL, info);
	if (err == 0 && ret_version != NULL)
		*ret_version = info->version;
	free(info);
	return err;
}

static int copy(const char *key, const char *new_key)
{
	struct store_reader *reader;
	struct store_upload *upload;
	int err = store_reader_open(child_store, "raw", key, strlen(key), STORE_VERSION_LATEST,
				    &reader);
	if (err < 0)
		return err;
	const struct store_object_info *info = store_reader_info(reader);
	err = store_upload_begin(child_store, "raw", new_key, strlen(new_key), info, &upload);
	if (err == 0 && info->size > 0)
		err = store_upload_append(upload, reader, 0, info->size);
	store_reader_close(reader);
	return err < 0 ? err : store_upload_commit(upload, NULL, NULL);
}

static int perform(const struct message *m)
{
	char key[640], new_key[640];
	crash_key_name(m->thread, m->key, key);
	crash_key_name(m->thread, m->new_key, new_key);
	switch (m->what) {
	case PUT:
		return crash_put(child_store, "raw", key, m->seed, m->size, NULL);
	case DELETE:
		return store_object_delete(child_store, "raw", key, strlen(key), NULL, NULL);
	case RENAME:
		return store_object_rename(child_store, "raw", key, strlen(key), new_key,
					   strlen(new_key));
	case COPY:
		return copy(key, new_key);
	default:
		snprintf(key, sizeof(key), "shared/%u", m->key);
		return crash_put(child_store, "raw", key, m->seed, m->size, NULL);
	}
}

static uint64_t choose_size(uint64_t *random)
{
	switch (crash_mix(random) % 4) {
	case 0:
		return 1 + crash_mix(random) % 200;
	case 1:
		return 1 + crash_mix(random) % (2 * INLINE_MAX);
	case 2:
		return 65536 * (1 + crash_mix(random) % 3) + crash_mix(random) % 3 - 1;
	default:
		return 1 + crash_mix(random) % SIZE_MAX_LOG;
	}
}

static void *child_thread(void *arg)
{
	uint8_t thread = (uint8_t)(uintptr_t)arg;
	uint64_t random = child_seed * 1000 + thread;
	for (;;) {
		struct message m = {.thread = thread, .key = (uint8_t)(crash_mix(&random) % KEYS)};
		uint64_t choice = crash_mix(&random) % 10;
		m.what = choice < 5   ? PUT
			 : choice < 6 ? DELETE
			 : choice < 7 ? RENAME
			 : choice < 9 ? COPY
				      : SHARED_PUT;
		m.new_key = (uint8_t)((m.key + 1 + crash_mix(&random) % (KEYS - 1)) % KEYS);
		if (m.what == SHARED_PUT)
			m.key %= SHARED_KEYS;
		m.seed = 1 + crash_mix(&random) / 2;
		if (m.what == PUT && m.seed % 4 == 0)
			m.seed = 1 + m.seed / 4 % SHARED_SEEDS;
		m.size = choose_size(&random);
		tell(&m);
		m.result = perform(&m);
		m.is_result = true;
		tell(&m);
	}
	return NULL;
}

static void *version_thread(void *arg)
{
	uint8_t thread = (uint8_t)(uintptr_t)arg;
	uint64_t random = child_seed * 2000 + thread;
	for (;;) {
		struct message m = {.thread = thread};
		m.result = crash_versions_step(child_store, &random, &m, tell);
		m.is_result = true;
		tell(&m);
	}
	return NULL;
}

static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	emit(emit_ctx, "crash", NULL);
}

static int take_first(void *ctx, const struct store_event *event)
{
	memcpy(ctx, event, sizeof(*event));
	return 1;
}

/* Acknowledges events from the oldest on, and puts some off. */
static EOS_NORETURN void child_acknowledge(void)
{
	static struct store_event event;
	uint64_t freed;
	for (;;) {
		if (store_outbox_list(child_store, 0, take_first, &event) != 1) {
			usleep(1000);
			continue;
		}
		struct message m = {
			.what = ACKNOWLEDGE,
			.seed = event.id,
			.size = event.size,
			.sequence = event.sequence,
			.kind = (uint8_t)event.kind,
			.thread = THREADS,
		};
		(void)crash_parse_key(&event, &m.thread, &m.key);
		tell(&m);
		if (event.id % 5 == 0 && store_outbox_retry(child_store, event.id, 1) < 0)
			_exit(3);
		m.result = store_outbox_remove(child_store, event.id);
		m.is_result = true;
		tell(&m);
		if (event.id % 16 == 0 && store_compact(child_store, NULL, NULL, &freed) < 0)
			_exit(6);
		usleep(3000);
	}
}

void crash_child(const char *dir, const char *faults, uint64_t seed, int log_fd)
{
	struct eos_why why = {""};
	pthread_t thread;
	child_seed = seed;
	child_log_fd = log_fd;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (eos_fault_arm(faults, &why) < 0 || store_open(dir, &child_store, &why) < 0) {
		fprintf(stderr, "store_crash: child: %s\n", why.text);
		_exit(4);
	}
	/* What is there stays as it was written. */
	struct store_bucket_settings settings = {.is_encrypted = seed % 2 == 0};
	if (store_bucket_settings_set(child_store, "raw", &settings) < 0)
		_exit(7);
	store_set_matcher(child_store, match, NULL, NULL);
	/* Pass after pass, while all else goes on. */
	if (store_scrub_set(child_store, SCRUB_RATE, 0) < 0)
		_exit(5);
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&thread, NULL, child_thread, (void *)i) != 0)
			_exit(5);
	for (uintptr_t i = 0; i < VERSION_THREADS; i++)
		if (pthread_create(&thread, NULL, version_thread, (void *)i) != 0)
			_exit(5);
	child_acknowledge();
}
