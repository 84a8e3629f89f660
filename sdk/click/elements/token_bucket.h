/*
 * Token buckets in whole numbers.
 *
 * A token is a packet or a byte. The level is kept in 10^-9 tokens, so that a rate of R tokens a
 * second adds exactly R of them in a nanosecond and nothing is ever rounded:
 *
 *	level = min(level + rate * elapsed_ns, capacity * 10^9)
 *	taking n tokens needs level >= n * 10^9 and leaves level - n * 10^9
 *
 * Those who learn a packet's length only when they have it let it through while there is no debt,
 * and owe its length: the level becomes negative, and the rate holds in the long run.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* More is a mistake: their products must fit in 63 bits. */
#define CLICK_BUCKET_RATE_MAX	  1000000000000ull
#define CLICK_BUCKET_CAPACITY_MAX 4000000000ull

struct click_bucket {
	uint64_t rate;	   /* tokens a second */
	uint64_t capacity; /* tokens */
	int64_t level;	   /* 10^-9 tokens */
	uint64_t last_ns;
};

/* Full. What is beyond the maxima is taken as these. */
void click_bucket_init(struct click_bucket *bucket, uint64_t rate, uint64_t capacity,
		       uint64_t now_ns);
/* Another rate and capacity, from now on; what there is stays as far as it fits. */
void click_bucket_change(struct click_bucket *bucket, uint64_t rate, uint64_t capacity,
			 uint64_t now_ns);
/* False, and nothing is taken: there are less. */
bool click_bucket_take(struct click_bucket *bucket, uint64_t tokens, uint64_t now_ns);
/* Takes what may not be there. */
void click_bucket_owe(struct click_bucket *bucket, uint64_t tokens);
/* Whether there are TOKENS (0: no debt). */
bool click_bucket_has(struct click_bucket *bucket, uint64_t tokens, uint64_t now_ns);
/* Until there will be TOKENS, from the last call with a time on; UINT64_MAX: never. */
uint64_t click_bucket_wait_ns(const struct click_bucket *bucket, uint64_t tokens);
/* The capacity for bursts of DURATION_NS at RATE: at least one token. */
uint64_t click_bucket_burst(uint64_t rate, uint64_t duration_ns);
