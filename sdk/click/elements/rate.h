/*
 * The arguments of elements that have a token bucket: RATE, BURST_DURATION, BURST_SIZE, and
 * BURST_BYTES where tokens are bytes.
 */
#pragma once

#include <click.h>

#include "elements/token_bucket.h"

/* Bursts are as long as this by default. */
#define CLICK_BURST_NS 20000000ull

struct click_rate {
	struct click_bucket bucket;
	bool is_bandwidth; /* set before any of these */
	uint64_t burst_ns; /* 0: the capacity does not follow the rate */
};

/* Reads them all; the bucket is full. 0, or -1: something was told. */
int click_rate_configure(struct click_rate *rate, struct click_args *args);
/* Reads RATE alone, and changes the bucket. */
int click_rate_change(struct click_rate *rate, struct click_args *args);
