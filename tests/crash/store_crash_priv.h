/* What the two sides of store_crash.c share: the child's log, contents, names of keys. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

#define THREADS	     8
#define KEYS	     6
#define SHARED_KEYS  3
#define SIZE_MAX_LOG 300000u
#define INLINE_MAX   16384u

/* Contents up to this number are chosen by all threads: chunks that they share. */
#define SHARED_SEEDS 4u
/* Threads that write to the bucket with versions. */
#define VERSION_THREADS 2u
#define CRASH_VERSIONED "kept"

enum what {
	PUT,
	DELETE,
	RENAME,
	COPY,
	SHARED_PUT,
	ACKNOWLEDGE,
	/* In the bucket with versions; thread: 0 to VERSION_THREADS - 1. */
	VERSION_PUT,
	VERSION_DELETE,
	VERSION_REMOVE,
};

/* One line of the child's log. */
struct message {
	uint8_t thread, what, key, new_key;
	bool is_result;
	int32_t result;
	uint64_t seed; /* ACKNOWLEDGE: the event's id */
	uint64_t size;
	/* ACKNOWLEDGE: the event. Of versions: the number of what was made or removed. */
	uint64_t sequence;
	uint8_t kind;
};

/* The next random number. */
uint64_t crash_mix(uint64_t *state);
/* Bytes OFFSET to OFFSET + LEN of content number SEED. */
void crash_content_fill(uint64_t seed, uint64_t offset, uint8_t *out, size_t len);
void crash_key_name(unsigned thread, unsigned key, char out[640]);
/* Whose key the event is about; -1: nobody's. */
int crash_parse_key(const struct store_event *event, uint8_t *ret_thread, uint8_t *ret_key);

struct content {
	uint64_t seed, size; /* seed 0: no object */
};
struct recount {
	uint64_t objects, bytes, events;
};

EOS_NORETURN void crash_die(const char *fmt, ...) EOS_PRINTF(1, 2);
/* -1: not there; 0: whole, and *RET_CONTENT tells what. Dies if it is not whole. */
int crash_look(struct store *store, const char *bucket, const char *key, uint64_t version,
	       struct content *ret_content);
/* RET_VERSION may be NULL. */
int crash_put(struct store *store, const char *bucket, const char *key, uint64_t seed,
	      uint64_t size, uint64_t *ret_version);

/* store_crash_versions.c: see there. */
int crash_versions_step(struct store *store, uint64_t *random, struct message *m,
			void (*tell)(const struct message *m));
void crash_versions_take(const struct message *m);
void crash_versions_check(struct store *store, struct recount *recount);

/* The child: writes to the store in DIR with FAULTS armed and tells LOG_FD, until it is killed. */
EOS_NORETURN void crash_child(const char *dir, const char *faults, uint64_t seed, int log_fd);
