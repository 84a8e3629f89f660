/*
 * Meter(RATE1, …), BandwidthMeter(RATE1, …), and PacketMeter, as Meter was called once: send all
 * packets to the output that belongs to the current rate. It is a moving average (ewma.h).
 */
#include <click.h>

#include "elements/ewma.h"
#include "elements/out.h"

struct meter {
	struct click_element element;
	struct click_ewma ewma;
	uint64_t *rates;
	uint32_t rates_count;
	bool is_bandwidth;
};

static int configure_as(struct meter *self, bool is_bandwidth, struct click_args *args)
{
	unsigned count = click_args_count(args);
	self->is_bandwidth = is_bandwidth;
	if (count == 0 || count > CLICK_PORTS_MAX - 1) {
		click_args_error(args, "expected 1 to %u rates", CLICK_PORTS_MAX - 1);
		return -1;
	}
	if (self->element.outputs_count != count + 1) {
		click_args_error(args, "%u rates need %u outputs", count, count + 1);
		return -1;
	}
	self->rates = click_alloc(self->element.router, count * sizeof(*self->rates));
	if (!self->rates) {
		click_args_error(args, "no memory for %u rates", count);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		const unsigned flags = CLICK_POSITIONAL | CLICK_MANDATORY;
		if (is_bandwidth)
			click_arg_bandwidth(args, "RATE", flags, &self->rates[i]);
		else
			click_arg_u64(args, "RATE", flags, &self->rates[i]);
		if (i && self->rates[i] <= self->rates[i - 1])
			click_args_error(args, "rates must increase");
	}
	self->rates_count = count;
	click_ewma_init(&self->ewma, click_now_ns());
	return click_args_end(args);
}

static int meter_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct meter *)element, false, args);
}

static int bandwidth_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct meter *)element, true, args);
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct meter *self = (struct meter *)element;
	(void)port;
	click_ewma_update(&self->ewma, self->is_bandwidth ? packet->len : 1, click_now_ns());
	uint64_t rate = click_ewma_rate(&self->ewma);
	/* How many rates are not above the current one: there may be 255 of them. */
	uint32_t low = 0, high = self->rates_count;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (self->rates[middle] <= rate)
			low = middle + 1;
		else
			high = middle;
	}
	click_push(element, low, packet);
}

static uint64_t count_rate(struct click_element *element)
{
	struct meter *self = (struct meter *)element;
	click_ewma_update(&self->ewma, 0, click_now_ns());
	return click_ewma_rate(&self->ewma);
}

static uint32_t read_meters(struct click_element *element, char *out, uint32_t size)
{
	const struct meter *self = (const struct meter *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	for (uint32_t i = 0; i < self->rates_count; i++) {
		if (i)
			click_out_char(&to, ' ');
		click_out_u64(&to, self->rates[i]);
	}
	return to.len;
}

static const struct click_handler handlers[] = {
	{.name = "rate", .count = count_rate},
	{.name = "meters", .read = read_meters},
	{.name = NULL},
};

const struct click_class click_class_Meter = {
	.name = "Meter",
	.size = sizeof(struct meter),
	.port_count = "1/2-",
	.processing = "h/h",
	.configure = meter_configure,
	.push = push,
	.handlers = handlers,
};

const struct click_class click_class_PacketMeter = {
	.name = "PacketMeter",
	.size = sizeof(struct meter),
	.port_count = "1/2-",
	.processing = "h/h",
	.configure = meter_configure,
	.push = push,
	.handlers = handlers,
};

const struct click_class click_class_BandwidthMeter = {
	.name = "BandwidthMeter",
	.size = sizeof(struct meter),
	.port_count = "1/2-",
	.processing = "h/h",
	.configure = bandwidth_configure,
	.push = push,
	.handlers = handlers,
};
