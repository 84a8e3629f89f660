/*
 * Counter(COUNT_CALL, BYTE_COUNT_CALL): how many packets and bytes passed, and their rates.
 *
 * A packet pays for the counts alone. The rates are exponentially weighted averages (ewma.h) that
 * are brought up to date when somebody reads them, as if what came since the last time had come
 * evenly.
 */
#include <string.h>

#include "click.h"
#include "elements/call.h"
#include "elements/ewma.h"
#include "elements/out.h"

#define PERIOD_NS   10000000ull
#define PERIODS_S   100ull
#define SHIFT	    4
#define SCALE_BITS  16u
#define EVENTS_MAX  (1ull << 40)
#define BITS_A_BYTE 3u

/* When a count comes to a number. */
struct trigger {
	uint64_t at;
	bool is_set, is_done;
	struct click_call call;
};

enum { PACKETS, BYTES, KINDS };
static const char *const keywords[KINDS] = {"COUNT_CALL", "BYTE_COUNT_CALL"};

struct calls {
	struct trigger triggers[KINDS];
};

struct rate {
	uint64_t average; /* a second, times 2^SCALE_BITS */
	uint64_t counted;
};

struct rates {
	struct rate rates[KINDS];
	uint64_t since_ns;
};

struct counter {
	struct click_element element;
	uint64_t *packets, *bytes;
	struct calls *calls; /* NULL: there is nothing to call */
	struct rates *rates;
};

/* "N HANDLER [VALUE]"; while IS_CHANGE the handler may be left out, and stays. */
static int set_trigger(struct counter *self, unsigned kind, const char *text, bool is_change,
		       struct click_args *args)
{
	uint64_t at;
	const char *behind = click_call_number(text, &at);
	if (behind == NULL) {
		click_args_error(args, "%s: expected 'NUMBER HANDLER [VALUE]'", keywords[kind]);
		return -1;
	}
	if (self->calls == NULL)
		self->calls = click_cold_alloc(self->element.router, sizeof(*self->calls));
	if (self->calls == NULL) {
		click_args_error(args, "%s: no memory", keywords[kind]);
		return -1;
	}
	struct trigger *trigger = &self->calls->triggers[kind];
	bool keeps = is_change && *behind == '\0';
	if (!keeps && !click_call_set(&trigger->call, &self->element, behind, args))
		return -1;
	trigger->at = at;
	trigger->is_set = true;
	trigger->is_done = false;
	return 0;
}

static const char *read_call(struct click_args *args, unsigned kind)
{
	const char *text = NULL;
	click_arg_text(args, keywords[kind], 0, &text);
	return text;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct counter *self = (struct counter *)element;
	for (unsigned kind = 0; kind < KINDS; kind++)
		(void)read_call(args, kind);
	if (click_args_end(args) < 0)
		return -1;
	self->rates = click_cold_alloc(element->router, sizeof(*self->rates));
	if (self->rates == NULL) {
		click_args_error(args, "no memory");
		return -1;
	}
	return 0;
}

static int initialize(struct click_element *element, struct click_args *args)
{
	int err = 0;
	for (unsigned kind = 0; kind < KINDS; kind++) {
		const char *text = read_call(args, kind);
		if (text != NULL &&
		    set_trigger((struct counter *)element, kind, text, false, args) < 0)
			err = -1;
	}
	return err;
}

/* --- packets --- */

static bool is_reached(struct trigger *trigger, uint64_t count, bool is_exact)
{
	bool is_there = is_exact ? count == trigger->at : count >= trigger->at;
	if (!trigger->is_set || trigger->is_done || !is_there)
		return false;
	/* Before the call, which may reset us. */
	trigger->is_done = true;
	return true;
}

/* What few packets need. */
static __attribute__((noinline)) void notice(struct counter *self)
{
	struct click_router *router = self->element.router;
	if (*self->packets == 1)
		self->rates->since_ns = click_now_ns();
	if (self->calls == NULL)
		return;
	struct trigger *triggers = self->calls->triggers;
	if (is_reached(&triggers[PACKETS], *self->packets, true))
		click_call_run(&triggers[PACKETS].call, router);
	if (is_reached(&triggers[BYTES], *self->bytes, false))
		click_call_run(&triggers[BYTES].call, router);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct counter *counter = (struct counter *)element;
	uint64_t packets = ++*counter->packets;
	*counter->bytes += packet->len;
	if (packets == 1 || counter->calls != NULL)
		notice(counter);
	return packet;
}

/* --- rates --- */

static void update_rate(struct rate *rate, uint64_t count, uint64_t periods)
{
	uint64_t events = count - rate->counted;
	if (events > EVENTS_MAX)
		events = EVENTS_MAX;
	uint64_t even = (events * PERIODS_S / periods) << SCALE_BITS;
	if (even >= rate->average)
		rate->average = even - click_decay(even - rate->average, SHIFT, periods);
	else
		rate->average = even + click_decay(rate->average - even, SHIFT, periods);
	rate->counted = count;
}

static uint32_t read_rate(struct click_element *element, unsigned kind, unsigned bits, char *out,
			  uint32_t size)
{
	struct counter *self = (struct counter *)element;
	struct rates *rates = self->rates;
	struct click_out to;
	uint64_t now_ns = click_now_ns();
	uint64_t elapsed_ns = now_ns > rates->since_ns ? now_ns - rates->since_ns : 0;
	uint64_t periods = elapsed_ns / PERIOD_NS;
	if (periods > 0 && *self->packets > 0) {
		update_rate(&rates->rates[PACKETS], *self->packets, periods);
		update_rate(&rates->rates[BYTES], *self->bytes, periods);
		rates->since_ns += periods * PERIOD_NS;
	}
	click_out_init(&to, out, size);
	click_out_fraction(&to, rates->rates[kind].average, bits);
	return to.len;
}

static uint32_t read_packets(struct click_element *element, char *out, uint32_t size)
{
	return read_rate(element, PACKETS, SCALE_BITS, out, size);
}

static uint32_t read_bytes(struct click_element *element, char *out, uint32_t size)
{
	return read_rate(element, BYTES, SCALE_BITS, out, size);
}

static uint32_t read_bits(struct click_element *element, char *out, uint32_t size)
{
	return read_rate(element, BYTES, SCALE_BITS - BITS_A_BYTE, out, size);
}

/* --- other handlers --- */

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct counter *counter = (struct counter *)element;
	(void)text;
	(void)args;
	*counter->packets = *counter->bytes = 0;
	*counter->rates = (struct rates){.since_ns = click_now_ns()};
	for (unsigned kind = 0; counter->calls != NULL && kind < KINDS; kind++)
		counter->calls->triggers[kind].is_done = false;
	return 0;
}

static uint32_t read_count_call(struct click_element *element, char *out, uint32_t size)
{
	const struct calls *calls = ((const struct counter *)element)->calls;
	if (calls == NULL || !calls->triggers[PACKETS].is_set)
		return 0;
	return click_out_number(out, size, calls->triggers[PACKETS].at);
}

static int write_count_call(struct click_element *element, const char *text,
			    struct click_args *args)
{
	return set_trigger((struct counter *)element, PACKETS, text, true, args);
}

static int write_byte_call(struct click_element *element, const char *text, struct click_args *args)
{
	return set_trigger((struct counter *)element, BYTES, text, true, args);
}

static const struct click_handler handlers[] = {
	{.name = "count", .counter = offsetof(struct counter, packets)},
	{.name = "byte_count", .counter = offsetof(struct counter, bytes)},
	{.name = "rate", .read = read_packets},
	{.name = "bit_rate", .read = read_bits},
	{.name = "byte_rate", .read = read_bytes},
	{.name = "reset", .write = reset},
	{.name = "reset_counts", .write = reset},
	{.name = "count_call", .read = read_count_call, .write = write_count_call},
	{.name = "byte_count_call", .write = write_byte_call},
	{NULL},
};

const struct click_class click_class_Counter = {
	.name = "Counter",
	.size = sizeof(struct counter),
	.port_count = "1/1",
	.processing = "a",
	.configure = configure,
	.initialize = initialize,
	.simple = simple,
	.handlers = handlers,
};
