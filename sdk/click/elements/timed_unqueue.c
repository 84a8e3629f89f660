/*
 * TimedUnqueue(INTERVAL [, BURST]), and Burster, which is the same with a BURST of 8: pulls at most
 * BURST packets every INTERVAL, and pushes them. TimedSink([INTERVAL]) pulls one and drops it.
 *
 * A TimedUnqueue that found nothing has no timer: it takes what comes next at once. Missed times
 * are not caught up.
 */
#include <click.h>

#include "elements/out.h"

#define INTERVAL_NS	500000000ull
#define INTERVAL_MIN_NS 1000000ull /* Click's are milliseconds; less would be without end */
#define INTERVAL_MAX_NS (366ull * 86400 * 1000000000)
#define RUN_MAX		1024 /* packets in one run */

struct timed {
	struct click_element element;
	uint64_t interval_ns;
	uint64_t due_ns;     /* the last time's, so that intervals do not grow by delays; or 0 */
	int32_t burst, left; /* of a burst that one run did not end */
};

static void read_interval(struct timed *self, unsigned flags, struct click_args *args)
{
	uint64_t interval_ns = self->interval_ns;
	click_arg_duration_ns(args, "INTERVAL", CLICK_POSITIONAL | flags, &interval_ns);
	if (interval_ns > INTERVAL_MAX_NS)
		click_args_error(args, "INTERVAL is too long");
	else
		self->interval_ns = interval_ns < INTERVAL_MIN_NS ? INTERVAL_MIN_NS : interval_ns;
}

static void set_timer(struct timed *self)
{
	uint64_t now_ns = click_now_ns(), due_ns = self->due_ns + self->interval_ns;
	self->due_ns = self->due_ns != 0 && due_ns > now_ns ? due_ns : now_ns + self->interval_ns;
	click_timer_set(&self->element, self->due_ns);
}

/* --- TimedUnqueue, Burster --- */

static int unqueue_configure(struct click_element *element, struct click_args *args)
{
	struct timed *self = (struct timed *)element;
	if (self->burst == 0)
		self->burst = 1;
	read_interval(self, CLICK_MANDATORY, args);
	click_arg_int(args, "BURST", CLICK_POSITIONAL, &self->burst);
	if (self->burst <= 0)
		click_args_error(args, "BURST must be more than 0");
	return click_args_end(args);
}

static int burster_configure(struct click_element *element, struct click_args *args)
{
	((struct timed *)element)->burst = 8;
	return unqueue_configure(element, args);
}

static int unqueue_initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	click_task_schedule(element);
	return 0;
}

/* A queue that has something again may have asked for it before it is time. */
static bool unqueue_run_task(struct click_element *element)
{
	struct timed *self = (struct timed *)element;
	if (element->more->timer_ns != UINT64_MAX)
		return false;
	bool is_new = self->left == 0;
	int32_t wanted = is_new ? self->burst : self->left, done = 0;
	while (done < wanted && done < RUN_MAX) {
		struct click_packet *packet = click_pull(element, 0);
		if (packet == NULL)
			break;
		click_push(element, 0, packet);
		done++;
	}
	self->left = done == RUN_MAX ? wanted - done : 0;
	if (self->left > 0)
		return true;
	if (is_new && done == 0)
		self->due_ns = 0;
	else
		set_timer(self);
	return false;
}

static void unqueue_run_timer(struct click_element *element)
{
	click_task_schedule(element);
}

#define UNQUEUE(NAME, CONFIGURE)                                                                   \
	const struct click_class click_class_##NAME = {                                            \
		.name = #NAME,                                                                     \
		.size = sizeof(struct timed),                                                      \
		.port_count = "1/1",                                                               \
		.processing = "l/h",                                                               \
		.configure = CONFIGURE,                                                            \
		.initialize = unqueue_initialize,                                                  \
		.run_task = unqueue_run_task,                                                      \
		.run_timer = unqueue_run_timer,                                                    \
	}

UNQUEUE(TimedUnqueue, unqueue_configure);
UNQUEUE(Burster, burster_configure);

/* --- TimedSink --- */

static int sink_configure(struct click_element *element, struct click_args *args)
{
	struct timed *self = (struct timed *)element;
	self->interval_ns = INTERVAL_NS;
	read_interval(self, 0, args);
	return click_args_end(args);
}

static int sink_initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	set_timer((struct timed *)element);
	return 0;
}

static void sink_run_timer(struct click_element *element)
{
	struct click_packet *packet = click_pull(element, 0);
	if (packet != NULL)
		click_kill(element, packet);
	set_timer((struct timed *)element);
}

static uint32_t sink_read(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_seconds(&to, ((const struct timed *)element)->interval_ns);
	return to.len;
}

static int sink_write(struct click_element *element, const char *text, struct click_args *args)
{
	struct timed *self = (struct timed *)element;
	(void)text;
	read_interval(self, CLICK_MANDATORY, args);
	if (click_args_end(args) < 0)
		return -1;
	self->due_ns = 0;
	set_timer(self);
	return 0;
}

static const struct click_handler sink_handlers[] = {
	{.name = "interval", .read = sink_read, .write = sink_write},
	{.name = NULL},
};

const struct click_class click_class_TimedSink = {
	.name = "TimedSink",
	.size = sizeof(struct timed),
	.port_count = "1/0",
	.processing = "l",
	.configure = sink_configure,
	.initialize = sink_initialize,
	.run_timer = sink_run_timer,
	.handlers = sink_handlers,
};
