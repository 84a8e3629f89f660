/*
 * TimedSource([INTERVAL, DATA], LIMIT, ACTIVE, STOP, HEADROOM): pushes a packet of DATA every
 * INTERVAL.
 *
 * Missed times are not caught up: a router that did not run for long sends one packet, and the
 * next an INTERVAL later. STOP stops the source, as there is no driver that could end.
 */
#include <string.h>

#include <click.h>

#include "elements/out.h"

#define INTERVAL_NS	500000000ull
#define INTERVAL_MIN_NS 1000000ull
#define INTERVAL_MAX_NS (366ull * 86400 * 1000000000)

static const char default_data[] =
	"A packet of a source that was not told what to send: sixty-four bytes, or a few more.";

struct timed_source {
	struct click_element element;
	uint64_t interval_ns;
	const char *data;
	uint32_t data_len;
	char *written; /* CLICK_PACKET_MAX bytes for the handler */
	int32_t limit; /* below zero: none */
	bool is_active;
	uint64_t count;
};

static uint64_t read_interval_arg(unsigned flags, struct click_args *args)
{
	uint64_t interval_ns = INTERVAL_NS;
	click_arg_duration_ns(args, "INTERVAL", CLICK_POSITIONAL | flags, &interval_ns);
	if (interval_ns > INTERVAL_MAX_NS)
		click_args_error(args, "INTERVAL is too long");
	/* Milliseconds are what Click promises, and less would be an endless stream. */
	return interval_ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : interval_ns;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct timed_source *self = (struct timed_source *)element;
	bool stop = false;
	uint32_t headroom = 0;
	self->data = default_data;
	self->data_len = sizeof(default_data) - 1;
	self->limit = -1;
	self->is_active = true;
	self->interval_ns = read_interval_arg(0, args);
	click_arg_string(args, "DATA", CLICK_POSITIONAL, &self->data, &self->data_len);
	click_arg_int(args, "LIMIT", 0, &self->limit);
	click_arg_bool(args, "ACTIVE", 0, &self->is_active);
	click_arg_bool(args, "STOP", 0, &stop);
	click_arg_u32(args, "HEADROOM", 0, &headroom);
	if (self->data_len > CLICK_PACKET_MAX)
		click_args_error(args, "DATA is longer than %u bytes", CLICK_PACKET_MAX);
	return click_args_end(args);
}

static bool is_over(const struct timed_source *self)
{
	return self->limit >= 0 && self->count >= (uint64_t)self->limit;
}

static void arm(struct timed_source *self)
{
	if (self->is_active && !is_over(self))
		click_timer_set(&self->element, click_now_ns() + self->interval_ns);
	else
		click_timer_cancel(&self->element);
}

/* One that stood still sends at once. */
static void go_on(struct timed_source *self)
{
	if (!self->is_active || is_over(self))
		click_timer_cancel(&self->element);
	else if (self->element.more->timer_ns == UINT64_MAX)
		click_timer_set(&self->element, click_now_ns());
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct timed_source *self = (struct timed_source *)element;
	self->written = click_alloc(element->router, CLICK_PACKET_MAX);
	if (!self->written) {
		click_args_error(args, "no memory");
		return -1;
	}
	arm(self);
	return 0;
}

static void run_timer(struct click_element *element)
{
	struct timed_source *self = (struct timed_source *)element;
	struct click_packet *packet = click_packet_new(element->router, self->data_len);
	if (packet) {
		memcpy(packet->data, self->data, self->data_len);
		packet->time_ns = click_wall_ns();
		self->count++;
	}
	arm(self);
	if (packet)
		click_push(element, 0, packet);
}

static uint64_t count_count(struct click_element *element)
{
	return ((const struct timed_source *)element)->count;
}

static uint32_t read_data(struct click_element *element, char *out, uint32_t size)
{
	const struct timed_source *self = (const struct timed_source *)element;
	uint32_t len = self->data_len < size ? self->data_len : size;
	memcpy(out, self->data, len);
	return len;
}

/* The text as it stands. */
static int write_data(struct click_element *element, const char *text, struct click_args *args)
{
	struct timed_source *self = (struct timed_source *)element;
	size_t len = strlen(text);
	if (len > CLICK_PACKET_MAX) {
		click_args_error(args, "DATA is longer than %u bytes", CLICK_PACKET_MAX);
		return -1;
	}
	memcpy(self->written, text, len);
	self->data = self->written;
	self->data_len = (uint32_t)len;
	return 0;
}

static uint32_t read_interval(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_seconds(&to, ((const struct timed_source *)element)->interval_ns);
	return to.len;
}

static int write_interval(struct click_element *element, const char *text, struct click_args *args)
{
	struct timed_source *self = (struct timed_source *)element;
	(void)text;
	uint64_t interval_ns = read_interval_arg(CLICK_MANDATORY, args);
	if (click_args_end(args) < 0)
		return -1;
	self->interval_ns = interval_ns;
	arm(self);
	return 0;
}

static uint32_t read_limit(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_i64(&to, ((const struct timed_source *)element)->limit);
	return to.len;
}

static int write_limit(struct click_element *element, const char *text, struct click_args *args)
{
	int32_t limit = 0;
	(void)text;
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL | CLICK_MANDATORY, &limit);
	if (click_args_end(args) < 0)
		return -1;
	((struct timed_source *)element)->limit = limit;
	return 0;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct timed_source *)element)->is_active ? "true" : "false");
	return to.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	bool is_active = true;
	(void)text;
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL | CLICK_MANDATORY, &is_active);
	if (click_args_end(args) < 0)
		return -1;
	((struct timed_source *)element)->is_active = is_active;
	go_on((struct timed_source *)element);
	return 0;
}

static int write_reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	((struct timed_source *)element)->count = 0;
	go_on((struct timed_source *)element);
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "data", .read = read_data, .write = write_data},
	{.name = "interval", .read = read_interval, .write = write_interval},
	{.name = "limit", .read = read_limit, .write = write_limit},
	{.name = "active", .read = read_active, .write = write_active},
	{.name = "count", .count = count_count},
	{.name = "reset", .write = write_reset},
	{.name = NULL},
};

const struct click_class click_class_TimedSource = {
	.name = "TimedSource",
	.size = sizeof(struct timed_source),
	.port_count = "0/1",
	.processing = "h/h",
	.configure = configure,
	.initialize = initialize,
	.run_timer = run_timer,
	.handlers = handlers,
};
