/*
 * Memcached's text protocol: requests in, answers out, however they come and go.
 *
 * A conversation (struct talk) is a TCP connection, or for UDP one datagram. Its bytes are given to
 * talk_input() as they come; answers are appended to the talk's buffer, which its owner sends when
 * talk_input() returns, or when talk->flush() asks for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "items.h"

#define VERSION		"1.6.18"
#define LINE_MAX	8192u	   /* of a request */
#define LINE_MAX_GET	(1u << 20) /* of one that gets items: it may name as many as it likes */
#define WORDS_MAX	24u	   /* of a request that is not a get */
#define OPAQUE_MAX	31u
#define MEBIBYTES_MAX	4000
#define CONNECTIONS_MAX 256u   /* of an instance */
#define DUMP_MAX	20000u /* items that a request looks at to list them */
#define CLASSES_MAX	64     /* of items, in the original's commands; ours are all in class 1 */

struct talk {
	char *out; /* grows; owned */
	uint32_t out_len, out_cap;
	uint32_t flush_bytes; /* at so many flush() is called; 0: never */
	void (*flush)(struct talk *talk);
	bool is_broken; /* no memory for the answer, or the client broke the protocol: to be ended
			 */
	bool must_close;
	uint32_t peer;
	/* A line that is not complete yet. */
	char *line;
	uint32_t line_len, line_cap;
	/* A value on its way: into ITEM, or away. */
	struct item *item;
	uint32_t value_left, skip_left;
	uint32_t tail_seen; /* of the "\r\n" behind a value */
	bool is_tail_bad;
	void (*stored)(struct talk *talk); /* what to do when it is there */
	struct {
		uint8_t mode;
		bool is_quiet, is_meta, has_cas, invalidates, vivifies;
		char returns[4]; /* of the letters k, O and c, in the order of the request */
		uint64_t cas, new_cas;
		uint32_t vivify_expires;
		uint32_t given_len;
		char opaque[1 + OPAQUE_MAX + 1]; /* with its letter */
	} set;
};

/* Seconds since the instance began, at least 1; set before each talk_input(). */
extern uint32_t proto_now;
/* The wall clock's second in which proto_now was 0. */
extern uint64_t proto_epoch;

struct proto_stats {
	uint64_t cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
	uint64_t get_hits, get_misses, get_expired, delete_hits, delete_misses;
	uint64_t incr_hits, incr_misses, decr_hits, decr_misses, cas_hits, cas_misses, cas_badval;
	uint64_t touch_hits, touch_misses, bytes_read, bytes_written, too_large, no_memory;
	uint64_t connections_now, connections, rejected;
};
extern struct proto_stats proto_stats;

void talk_init(struct talk *talk, uint32_t peer);
void talk_fini(struct talk *talk);
void talk_input(struct talk *talk, const char *data, uint32_t len);

/* --- for the files of the protocol --- */

struct word {
	const char *text;
	uint32_t len;
};

/* A line of a classic command. */
struct request {
	struct word words[WORDS_MAX];
	unsigned count;
	bool is_quiet; /* its last word is "noreply" */
};

void talk_put(struct talk *talk, const char *data, size_t len);
void talk_puts(struct talk *talk, const char *text);
/* An answer to REQUEST, which may not want one: mistakes are not told then either. */
void talk_answer(struct talk *talk, const struct request *request, const char *text);
void talk_printf(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The line's words, at most MAX; returns how many. */
unsigned split_words(const char *line, uint32_t len, struct word *words, unsigned max);
bool word_is(const struct word *word, const char *text);
bool word_u64(const struct word *word, uint64_t *ret);
bool word_i64(const struct word *word, int64_t *ret);
/* The original takes any byte that does not end a word. */
bool is_key(const struct word *word);
/* An expiry of the protocol (relative, absolute, never, negative) as seconds of the instance. */
uint32_t expiry_of(int64_t given);
/* The next LEN bytes and "\r\n" are a value: into ITEM, then stored(); ITEM NULL: away. */
void talk_take_value(struct talk *talk, struct item *item, uint32_t len,
		     void (*stored)(struct talk *talk));
/* Adds DELTA to the number in ITEM, or takes it away, down to 0. False: it is not a number. */
bool count_item(const struct item *item, bool is_increment, uint64_t delta, uint64_t *ret);
/* Puts a number in the place of ITEM's value; NULL: no memory. */
struct item *item_replace_number(struct item *item, const char *text, uint32_t len);
/* There is no room for a value under KEY: what was there is removed if it IS_REPLACED, as it is not
 * what the client means any more. Returns the answer. */
const char *no_room(const struct word *key, bool is_large, bool is_replaced);
/* A line that begins with a classic command; false: there is no such command. */
bool classic_command(struct talk *talk, const char *line, uint32_t len);
/* The same for "mg", "ms", "md", "ma", "mn", "me". */
bool meta_command(struct talk *talk, const char *line, uint32_t len);
/* "stats", with its arguments. */
void put_stats(struct talk *talk, const struct word *words, unsigned count);
/* "slabs", "lru" and "lru_crawler". */
void run_slabs(struct talk *talk, const struct request *request);
void run_lru(struct talk *talk, const struct request *request);
void run_crawler(struct talk *talk, const struct request *request);
