/*
 * RatedSplitter(RATE), BandwidthRatedSplitter(RATE): packets within RATE go to output 0, the others
 * to output 1 if there is one. A token bucket; see rate.h for the other arguments.
 *
 * A BandwidthRatedSplitter's takes a packet while there is no debt, and owes what is missing: else
 * packets longer than a burst would never be within the rate.
 */
#include <click.h>

#include "elements/out.h"
#include "elements/rate.h"

struct splitter {
	struct click_element element;
	struct click_rate rate;
};

static int splitter_configure(struct click_element *element, struct click_args *args)
{
	return click_rate_configure(&((struct splitter *)element)->rate, args);
}

static int bandwidth_configure(struct click_element *element, struct click_args *args)
{
	struct splitter *self = (struct splitter *)element;
	self->rate.is_bandwidth = true;
	return click_rate_configure(&self->rate, args);
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct splitter *self = (struct splitter *)element;
	(void)port;
	uint64_t tokens = self->rate.is_bandwidth ? packet->len : 1;
	uint64_t needed = self->rate.is_bandwidth ? 0 : 1;
	bool is_within = self->rate.bucket.rate > 0 &&
			 click_bucket_has(&self->rate.bucket, needed, click_now_ns());
	if (is_within)
		click_bucket_owe(&self->rate.bucket, tokens);
	click_push(element, is_within ? 0 : 1, packet);
}

static uint32_t read_rate(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct splitter *)element)->rate.bucket.rate);
}

static int write_rate(struct click_element *element, const char *text, struct click_args *args)
{
	struct splitter *self = (struct splitter *)element;
	(void)text;
	return click_rate_change(&self->rate, args);
}

static const struct click_handler handlers[] = {
	{.name = "rate", .read = read_rate, .write = write_rate},
	{.name = NULL},
};

const struct click_class click_class_RatedSplitter = {
	.name = "RatedSplitter",
	.size = sizeof(struct splitter),
	.port_count = "1/1-2",
	.processing = "h/h",
	.configure = splitter_configure,
	.push = push,
	.handlers = handlers,
};

const struct click_class click_class_BandwidthRatedSplitter = {
	.name = "BandwidthRatedSplitter",
	.size = sizeof(struct splitter),
	.port_count = "1/1-2",
	.processing = "h/h",
	.configure = bandwidth_configure,
	.push = push,
	.handlers = handlers,
};
