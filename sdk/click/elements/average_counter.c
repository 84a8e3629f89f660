/*
 * AverageCounter([IGNORE]): counts packets and bytes, and their rates between the first packet and
 * the last one. Those of the first IGNORE seconds do not count.
 */
#include <click.h>

#include "elements/out.h"

struct average_counter {
	struct click_element element;
	uint64_t ignore_ns;
	uint64_t *count, *byte_count;
	uint64_t first_ns, last_ns;
	bool has_first;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct average_counter *self = (struct average_counter *)element;
	click_arg_duration_ns(args, "IGNORE", CLICK_POSITIONAL, &self->ignore_ns);
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct average_counter *self = (struct average_counter *)element;
	uint64_t now_ns = click_now_ns();
	if (!self->has_first) {
		self->has_first = true;
		self->first_ns = now_ns;
	}
	if (now_ns - self->first_ns >= self->ignore_ns) {
		(*self->count)++;
		*self->byte_count += packet->len;
	}
	self->last_ns = now_ns;
	return packet;
}

/* COUNT in the time that counts, a second. */
static uint64_t rate_of(const struct average_counter *self, uint64_t count)
{
	uint64_t elapsed_ns = self->last_ns - self->first_ns;
	if (elapsed_ns <= self->ignore_ns)
		return 0;
	elapsed_ns -= self->ignore_ns;
	/* To microseconds where the product would not fit. */
	if (count > UINT64_MAX / 1000000000) {
		elapsed_ns /= 1000;
		return elapsed_ns ? count / elapsed_ns * 1000000 : 0;
	}
	return count * 1000000000 / elapsed_ns;
}

static uint32_t read_rate(struct click_element *element, char *out, uint32_t size)
{
	const struct average_counter *self = (const struct average_counter *)element;
	return click_out_number(out, size, rate_of(self, *self->count));
}

static uint32_t read_byte_rate(struct click_element *element, char *out, uint32_t size)
{
	const struct average_counter *self = (const struct average_counter *)element;
	return click_out_number(out, size, rate_of(self, *self->byte_count));
}

static int write_reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct average_counter *self = (struct average_counter *)element;
	(void)text;
	(void)args;
	*self->count = *self->byte_count = 0;
	self->first_ns = self->last_ns = 0;
	self->has_first = false;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "count", .counter = offsetof(struct average_counter, count)},
	{.name = "byte_count", .counter = offsetof(struct average_counter, byte_count)},
	{.name = "rate", .read = read_rate},
	{.name = "byte_rate", .read = read_byte_rate},
	{.name = "reset", .write = write_reset},
	{.name = NULL},
};

const struct click_class click_class_AverageCounter = {
	.name = "AverageCounter",
	.size = sizeof(struct average_counter),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
