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

enum what { PUT, DELETE, RENAME, COPY, SHARED_PUT, ACKNOWLEDGE };
/* Contents below this number are chosen by all threads: chunks that they share. */
#define SHARED_SEEDS 4u

/* One line of the child's log. */
struct message {
	uint8_t thread, what, key, new_key;
	bool is_result;
	int32_t result;
	uint64_t seed; /* ACKNOWLEDGE: the event's id */
	uint64_t size;
	/* ACKNOWLEDGE: the event */
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

/* The child: writes to the store in DIR with FAULTS armed and tells LOG_FD, until it is killed. */
EOS_NORETURN void crash_child(const char *dir, const char *faults, uint64_t seed, int log_fd);
