/*
 * RandomSample([P], SAMPLE, DROP, ACTIVE): lets packets pass with probability P; the others go to
 * output 1 if there is one.
 */
#include <click.h>

#include "elements/out.h"

#define PROBABILITY_BITS 28u
#define ONE		 (1u << PROBABILITY_BITS)

struct random_sample {
	struct click_element element;
	uint32_t sampling; /* of ONE */
	bool is_active;
	uint64_t *drops;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct random_sample *self = (struct random_sample *)element;
	uint32_t p = UINT32_MAX, sample = UINT32_MAX, drop = UINT32_MAX;
	self->is_active = true;
	click_arg_fraction(args, "P", CLICK_POSITIONAL, PROBABILITY_BITS, &p);
	click_arg_fraction(args, "SAMPLE", 0, PROBABILITY_BITS, &sample);
	click_arg_fraction(args, "DROP", 0, PROBABILITY_BITS, &drop);
	click_arg_bool(args, "ACTIVE", 0, &self->is_active);
	if (click_args_end(args) < 0)
		return -1;
	unsigned given = (p != UINT32_MAX) + (sample != UINT32_MAX) + (drop != UINT32_MAX);
	if (given != 1) {
		click_args_error(args, "expected one of P, SAMPLE and DROP");
		return -1;
	}
	if (p != UINT32_MAX)
		self->sampling = p;
	else if (sample != UINT32_MAX)
		self->sampling = sample;
	else
		self->sampling = ONE - drop;
	return 0;
}

static bool is_sampled(const struct random_sample *self)
{
	return !self->is_active ||
	       (click_random(self->element.router) & (ONE - 1)) < self->sampling;
}

static void drop(struct click_element *element, struct click_packet *packet)
{
	(*((struct random_sample *)element)->drops)++;
	click_push(element, 1, packet); /* freed where there is no such output */
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	if (is_sampled((const struct random_sample *)element))
		click_push(element, 0, packet);
	else
		drop(element, packet);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	(void)port;
	struct click_packet *packet = click_pull(element, 0);
	if (!packet || is_sampled((const struct random_sample *)element))
		return packet;
	drop(element, packet);
	/* Whoever pulls would take this for the end of what there is. */
	click_notify(element);
	return NULL;
}

static uint32_t read_probability(char *out, uint32_t size, uint32_t probability)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_fraction(&to, probability, PROBABILITY_BITS);
	return to.len;
}

static uint32_t read_sampling(struct click_element *element, char *out, uint32_t size)
{
	return read_probability(out, size, ((const struct random_sample *)element)->sampling);
}

static uint32_t read_drop(struct click_element *element, char *out, uint32_t size)
{
	return read_probability(out, size, ONE - ((const struct random_sample *)element)->sampling);
}

static int write_probability(struct click_element *element, bool is_drop, struct click_args *args)
{
	uint32_t p = 0;
	click_arg_fraction(args, "P", CLICK_POSITIONAL | CLICK_MANDATORY, PROBABILITY_BITS, &p);
	if (click_args_end(args) < 0)
		return -1;
	((struct random_sample *)element)->sampling = is_drop ? ONE - p : p;
	return 0;
}

static int write_sampling(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return write_probability(element, false, args);
}

static int write_drop(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return write_probability(element, true, args);
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct random_sample *)element)->is_active ? "true" : "false");
	return to.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	bool is_active = true;
	(void)text;
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL | CLICK_MANDATORY, &is_active);
	if (click_args_end(args) < 0)
		return -1;
	((struct random_sample *)element)->is_active = is_active;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "sampling_prob", .read = read_sampling, .write = write_sampling},
	{.name = "drop_prob", .read = read_drop, .write = write_drop},
	{.name = "active", .read = read_active, .write = write_active},
	{.name = "drops", .counter = offsetof(struct random_sample, drops)},
	{.name = NULL},
};

const struct click_class click_class_RandomSample = {
	.name = "RandomSample",
	.size = sizeof(struct random_sample),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.push = push,
	.pull = pull,
	.handlers = handlers,
};
