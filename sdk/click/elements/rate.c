#include "elements/rate.h"

static uint64_t read_rate(bool is_bandwidth, struct click_args *args)
{
	const unsigned flags = CLICK_POSITIONAL | CLICK_MANDATORY;
	uint64_t rate = 0;
	if (is_bandwidth)
		click_arg_bandwidth(args, "RATE", flags, &rate);
	else
		click_arg_u64(args, "RATE", flags, &rate);
	if (rate > CLICK_BUCKET_RATE_MAX)
		click_args_error(args, "RATE is too high");
	return rate;
}

int click_rate_configure(struct click_rate *rate, struct click_args *args)
{
	const bool is_bandwidth = rate->is_bandwidth;
	uint64_t tokens_s = read_rate(is_bandwidth, args);
	uint64_t duration_ns = UINT64_MAX, size = UINT64_MAX, bytes = UINT64_MAX;
	click_arg_duration_ns(args, "BURST_DURATION", 0, &duration_ns);
	click_arg_u64(args, "BURST_SIZE", 0, &size);
	if (is_bandwidth)
		click_arg_u64(args, "BURST_BYTES", 0, &bytes);
	if ((duration_ns != UINT64_MAX) + (size != UINT64_MAX) + (bytes != UINT64_MAX) > 1)
		click_args_error(args, "more than one of BURST_DURATION and BURST_%s",
				 is_bandwidth ? "BYTES" : "SIZE");
	if (bytes != UINT64_MAX)
		size = bytes;
	if (size == 0)
		size = 1; /* as Click: less would let nothing pass */
	if (size != UINT64_MAX && size > CLICK_BUCKET_CAPACITY_MAX)
		click_args_error(args, "a burst is at most %u",
				 (unsigned)CLICK_BUCKET_CAPACITY_MAX);
	if (click_args_end(args) < 0)
		return -1;
	if (size == UINT64_MAX) {
		rate->burst_ns = duration_ns == UINT64_MAX ? CLICK_BURST_NS : duration_ns;
		size = click_bucket_burst(tokens_s, rate->burst_ns);
	}
	click_bucket_init(&rate->bucket, tokens_s, size, click_now_ns());
	return 0;
}

int click_rate_change(struct click_rate *rate, struct click_args *args)
{
	uint64_t tokens_s = read_rate(rate->is_bandwidth, args);
	if (click_args_end(args) < 0)
		return -1;
	uint64_t capacity = rate->bucket.capacity;
	if (rate->burst_ns)
		capacity = click_bucket_burst(tokens_s, rate->burst_ns);
	click_bucket_change(&rate->bucket, tokens_s, capacity, click_now_ns());
	return 0;
}
