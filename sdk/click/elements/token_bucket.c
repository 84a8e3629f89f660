#include "elements/token_bucket.h"

#define UNIT 1000000000ll

static uint64_t limit(uint64_t value, uint64_t max)
{
	return value < max ? value : max;
}

void click_bucket_init(struct click_bucket *bucket, uint64_t rate, uint64_t capacity,
		       uint64_t now_ns)
{
	bucket->rate = limit(rate, CLICK_BUCKET_RATE_MAX);
	bucket->capacity = limit(capacity, CLICK_BUCKET_CAPACITY_MAX);
	bucket->level = (int64_t)bucket->capacity * UNIT;
	bucket->last_ns = now_ns;
}

static void refill(struct click_bucket *bucket, uint64_t now_ns)
{
	if (now_ns <= bucket->last_ns)
		return;
	uint64_t elapsed_ns = now_ns - bucket->last_ns;
	bucket->last_ns = now_ns;
	int64_t full = (int64_t)bucket->capacity * UNIT;
	/* Both are below 2^62, the difference therefore below 2^63. */
	uint64_t room = (uint64_t)(full - bucket->level);
	if (bucket->rate == 0)
		return;
	if (elapsed_ns > room / bucket->rate)
		bucket->level = full;
	else
		bucket->level += (int64_t)(bucket->rate * elapsed_ns);
}

void click_bucket_change(struct click_bucket *bucket, uint64_t rate, uint64_t capacity,
			 uint64_t now_ns)
{
	refill(bucket, now_ns);
	bucket->rate = limit(rate, CLICK_BUCKET_RATE_MAX);
	bucket->capacity = limit(capacity, CLICK_BUCKET_CAPACITY_MAX);
	if (bucket->level > (int64_t)bucket->capacity * UNIT)
		bucket->level = (int64_t)bucket->capacity * UNIT;
}

bool click_bucket_has(struct click_bucket *bucket, uint64_t tokens, uint64_t now_ns)
{
	refill(bucket, now_ns);
	return tokens <= CLICK_BUCKET_CAPACITY_MAX && bucket->level >= (int64_t)tokens * UNIT;
}

bool click_bucket_take(struct click_bucket *bucket, uint64_t tokens, uint64_t now_ns)
{
	if (!click_bucket_has(bucket, tokens, now_ns))
		return false;
	bucket->level -= (int64_t)tokens * UNIT;
	return true;
}

void click_bucket_owe(struct click_bucket *bucket, uint64_t tokens)
{
	/* A debt is bounded as the capacity is, so that the level cannot overflow. */
	const int64_t lowest = -(int64_t)CLICK_BUCKET_CAPACITY_MAX * UNIT;
	int64_t owed = (int64_t)limit(tokens, CLICK_BUCKET_CAPACITY_MAX) * UNIT;
	bucket->level = bucket->level < lowest + owed ? lowest : bucket->level - owed;
}

uint64_t click_bucket_wait_ns(const struct click_bucket *bucket, uint64_t tokens)
{
	int64_t wanted = (int64_t)limit(tokens, CLICK_BUCKET_CAPACITY_MAX) * UNIT;
	if (bucket->level >= wanted)
		return 0;
	if (bucket->rate == 0)
		return UINT64_MAX;
	uint64_t missing = (uint64_t)(wanted - bucket->level);
	return missing / bucket->rate + (missing % bucket->rate != 0);
}

uint64_t click_bucket_burst(uint64_t rate, uint64_t duration_ns)
{
	rate = limit(rate, CLICK_BUCKET_RATE_MAX);
	uint64_t seconds = duration_ns / UNIT, rest_ns = duration_ns % UNIT;
	if (rate && seconds > CLICK_BUCKET_CAPACITY_MAX / rate)
		return CLICK_BUCKET_CAPACITY_MAX;
	/* rate * rest_ns / 10^9 in two parts, as the product can be more than 64 bits. */
	uint64_t part = rate / UNIT * rest_ns + rate % UNIT * rest_ns / UNIT;
	uint64_t tokens = limit(rate * seconds + part, CLICK_BUCKET_CAPACITY_MAX);
	return tokens ? tokens : 1;
}
