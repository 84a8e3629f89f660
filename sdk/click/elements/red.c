/*
 * RED(MIN_THRESH, MAX_THRESH, MAX_P, QUEUES, STABILITY, GENTLE): drops packets at random, the more
 * the longer queues are on average, so that senders slow down before queues are full.
 *
 * The average follows the sum q of the queues' lengths at each packet, with q times 2^10:
 *
 *	average += (q - average) / 2^STABILITY
 *
 * and where the queues were empty, as if a packet had come each millisecond since. The
 * probability p is 0 below MIN_THRESH, rises to MAX_P at MAX_THRESH, from there to 1 at twice
 * MAX_THRESH (unless GENTLE is false), and is 1 beyond. So that drops are spread evenly, as Floyd
 * and Jacobson's method 2, a random R from [0, 1) is chosen after each drop, and the next packet is
 * dropped when the number of packets since exceeds R / p.
 *
 * Queues are elements with handlers called length and capacity. Without QUEUES these are the
 * nearest ones downstream of a pushing RED, and upstream of a pulling one.
 */
#include <string.h>

#include <click.h>

#include "elements/ewma.h"
#include "elements/out.h"

#define SCALE_BITS	10u
#define P_BITS		16u
#define P_ONE		(1u << P_BITS)
#define QUEUES_MAX	16u
#define SEARCH_MAX	256u
#define THRESH_MAX	65535u
#define STABILITY_MAX	16u
#define STABILITY	4u
#define PULLS_MAX	1024u
#define IDLE_NS		1000000ull
#define QUEUE_WORDS_MAX (QUEUES_MAX + 1)

struct queue {
	struct click_element *element;
	uint64_t (*length)(struct click_element *element);
};

struct red {
	struct click_element element;
	uint32_t min_thresh, max_thresh; /* packets */
	uint32_t max_p;			 /* of P_ONE */
	uint32_t stability;
	bool is_gentle;
	const char *queues_text; /* or NULL */
	struct queue queues[QUEUES_MAX];
	uint32_t queues_count;
	uint64_t average;     /* packets times 2^(SCALE_BITS + STABILITY_MAX) */
	uint64_t empty_since; /* 0: the queues were not empty */
	uint32_t since_drop;
	uint32_t random; /* of P_ONE */
	uint64_t *drops;
};

/* --- arguments --- */

static int check(const struct red *self, struct click_args *args)
{
	if (self->min_thresh > self->max_thresh)
		click_args_error(args, "MIN_THRESH must be at most MAX_THRESH");
	if (self->max_thresh > THRESH_MAX)
		click_args_error(args, "MAX_THRESH must be at most %u", THRESH_MAX);
	if (self->stability > STABILITY_MAX)
		click_args_error(args, "STABILITY must be at most %u", STABILITY_MAX);
	return click_args_end(args);
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct red *self = (struct red *)element;
	const unsigned flags = CLICK_POSITIONAL | CLICK_MANDATORY;
	self->stability = STABILITY;
	self->is_gentle = true;
	click_arg_u32(args, "MIN_THRESH", flags, &self->min_thresh);
	click_arg_u32(args, "MAX_THRESH", flags, &self->max_thresh);
	click_arg_fraction(args, "MAX_P", flags, P_BITS, &self->max_p);
	click_arg_text(args, "QUEUES", CLICK_POSITIONAL, &self->queues_text);
	click_arg_u32(args, "STABILITY", 0, &self->stability);
	click_arg_bool(args, "GENTLE", 0, &self->is_gentle);
	return check(self, args);
}

/* --- queues --- */

static bool add_queue(struct red *self, struct click_element *element)
{
	uint64_t (*length)(struct click_element *) = NULL;
	bool has_capacity = false;
	const struct click_handler *handler = element->more->class->handlers;
	for (; handler && handler->name; handler++) {
		if (strcmp(handler->name, "length") == 0)
			length = handler->count;
		has_capacity |= strcmp(handler->name, "capacity") == 0;
	}
	if (!length || !has_capacity)
		return false;
	for (uint32_t i = 0; i < self->queues_count; i++)
		if (self->queues[i].element == element)
			return true;
	if (self->queues_count < QUEUES_MAX)
		self->queues[self->queues_count++] = (struct queue){element, length};
	return true;
}

static void name_queues(struct red *self, struct click_args *args)
{
	const char *words[QUEUE_WORDS_MAX];
	unsigned count =
		click_words(self->element.router, self->queues_text, words, QUEUE_WORDS_MAX);
	if (count > QUEUES_MAX)
		click_args_error(args, "more than %u QUEUES", QUEUES_MAX);
	for (unsigned i = 0; i < count && i < QUEUES_MAX; i++) {
		struct click_element *queue = click_find(&self->element, words[i]);
		if (!queue || !add_queue(self, queue))
			click_args_error(args, "'%s' is not a queue", words[i]);
	}
}

/* Breadth first, along connections that push (down) or pull (up); behind a queue it ends. */
static void search_queues(struct red *self, bool is_down)
{
	struct click_element *seen[SEARCH_MAX];
	uint32_t seen_count = 0;
	seen[seen_count++] = &self->element;
	for (uint32_t at = 0; at < seen_count; at++) {
		struct click_element *element = seen[at];
		if (at && add_queue(self, element))
			continue;
		uint32_t count = is_down ? element->outputs_count : element->inputs_count;
		for (uint32_t port = 0; port < count; port++) {
			bool is_pull = is_down ? element->more->output_is_pull[port]
					       : element->more->input_is_pull[port];
			if (is_pull == is_down)
				continue;
			struct click_element *peer = is_down ? element->outputs[port].element
							     : element->inputs[port].element;
			bool is_new = peer != NULL;
			for (uint32_t i = 0; i < seen_count && is_new; i++)
				is_new = seen[i] != peer;
			if (is_new && seen_count < SEARCH_MAX)
				seen[seen_count++] = peer;
		}
	}
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct red *self = (struct red *)element;
	if (self->queues_text)
		name_queues(self, args);
	else
		search_queues(self, !element->more->input_is_pull[0]);
	if (self->queues_count == 0)
		click_args_error(args, "there is no queue");
	self->random = click_random(element->router) & (P_ONE - 1);
	return 0; /* what was told counts */
}

/* --- the average --- */

static uint64_t queue_length(const struct red *self)
{
	uint64_t length = 0;
	for (uint32_t i = 0; i < self->queues_count; i++)
		length += self->queues[i].length(self->queues[i].element);
	return length;
}

static void update_average(struct red *self, uint64_t length)
{
	const unsigned bits = SCALE_BITS + STABILITY_MAX;
	if (length) {
		uint64_t sample = length << bits;
		self->empty_since = 0;
		if (sample >= self->average)
			self->average += (sample - self->average) >> self->stability;
		else
			self->average -= (self->average - sample) >> self->stability;
		return;
	}
	uint64_t now_ns = click_now_ns();
	uint64_t times = self->empty_since ? (now_ns - self->empty_since) / IDLE_NS : 1;
	/* Time that is not a whole step counts for the next. */
	self->empty_since = self->empty_since ? self->empty_since + times * IDLE_NS : now_ns;
	self->average = self->stability ? click_decay(self->average, self->stability, times) : 0;
}

/* The probability at the average, of P_ONE. */
static uint32_t probability(const struct red *self)
{
	uint64_t average = self->average >> STABILITY_MAX;
	uint64_t min = (uint64_t)self->min_thresh << SCALE_BITS;
	uint64_t max = (uint64_t)self->max_thresh << SCALE_BITS;
	if (average <= min)
		return 0;
	if (average <= max)
		return (uint32_t)(self->max_p * (average - min) / (max - min));
	if (average >= 2 * max || !self->is_gentle)
		return P_ONE;
	return (uint32_t)(self->max_p + (P_ONE - self->max_p) * (average - max) / max);
}

static bool shall_drop(struct red *self)
{
	update_average(self, queue_length(self));
	uint32_t p = probability(self);
	if (p == 0) {
		self->since_drop = 0;
		return false;
	}
	self->since_drop++;
	if (p < P_ONE && (uint64_t)self->since_drop * p <= self->random)
		return false;
	self->since_drop = 0;
	self->random = click_random(self->element.router) & (P_ONE - 1);
	return true;
}

static void drop(struct red *self, struct click_packet *packet)
{
	(*self->drops)++;
	click_push(&self->element, 1, packet); /* freed where there is no such output */
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct red *self = (struct red *)element;
	(void)port;
	if (shall_drop(self))
		drop(self, packet);
	else
		click_push(element, 0, packet);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	struct red *self = (struct red *)element;
	(void)port;
	for (unsigned i = 0; i < PULLS_MAX; i++) {
		struct click_packet *packet = click_pull(element, 0);
		if (!packet || !shall_drop(self))
			return packet;
		drop(self, packet);
	}
	/* Whoever pulls would take this for the end of what there is. */
	click_notify(element);
	return NULL;
}

/* --- handlers --- */

static uint32_t read_min(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct red *)element)->min_thresh);
}

static uint32_t read_max(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct red *)element)->max_thresh);
}

static uint32_t read_p(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_fraction(&to, ((const struct red *)element)->max_p, P_BITS);
	return to.len;
}

static int write_min(struct click_element *element, const char *text, struct click_args *args)
{
	struct red changed = *(struct red *)element;
	(void)text;
	click_arg_u32(args, "MIN_THRESH", CLICK_POSITIONAL | CLICK_MANDATORY, &changed.min_thresh);
	if (check(&changed, args) < 0)
		return -1;
	((struct red *)element)->min_thresh = changed.min_thresh;
	return 0;
}

static int write_max(struct click_element *element, const char *text, struct click_args *args)
{
	struct red changed = *(struct red *)element;
	(void)text;
	click_arg_u32(args, "MAX_THRESH", CLICK_POSITIONAL | CLICK_MANDATORY, &changed.max_thresh);
	if (check(&changed, args) < 0)
		return -1;
	((struct red *)element)->max_thresh = changed.max_thresh;
	return 0;
}

static int write_p(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t p = 0;
	(void)text;
	click_arg_fraction(args, "MAX_P", CLICK_POSITIONAL | CLICK_MANDATORY, P_BITS, &p);
	if (click_args_end(args) < 0)
		return -1;
	((struct red *)element)->max_p = p;
	return 0;
}

static uint32_t read_queues(struct click_element *element, char *out, uint32_t size)
{
	const struct red *self = (const struct red *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	for (uint32_t i = 0; i < self->queues_count; i++) {
		click_out_add(&to, self->queues[i].element->more->name);
		click_out_char(&to, '\n');
	}
	return to.len;
}

static void add_average(const struct red *self, struct click_out *to)
{
	click_out_fraction(to, self->average >> STABILITY_MAX, SCALE_BITS);
}

static uint32_t read_average(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	add_average((const struct red *)element, &to);
	return to.len;
}

static uint32_t read_stats(struct click_element *element, char *out, uint32_t size)
{
	const struct red *self = (const struct red *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_u64(&to, queue_length(self));
	click_out_add(&to, " current queue\n");
	add_average(self, &to);
	click_out_add(&to, " avg queue\n");
	click_out_u64(&to, *self->drops);
	click_out_add(&to, " drops\n");
	return to.len;
}

static const struct click_handler handlers[] = {
	{.name = "min_thresh", .read = read_min, .write = write_min},
	{.name = "max_thresh", .read = read_max, .write = write_max},
	{.name = "max_p", .read = read_p, .write = write_p},
	{.name = "drops", .counter = offsetof(struct red, drops)},
	{.name = "queues", .read = read_queues},
	{.name = "avg_queue_size", .read = read_average},
	{.name = "stats", .read = read_stats},
	{.name = NULL},
};

const struct click_class click_class_RED = {
	.name = "RED",
	.size = sizeof(struct red),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.initialize = initialize,
	.push = push,
	.pull = pull,
	.handlers = handlers,
};
