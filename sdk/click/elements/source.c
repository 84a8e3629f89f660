/*
 * InfiniteSource, RatedSource: packets of fixed contents, as fast as they are taken, or so many a
 * second.
 *
 * A rated source keeps to when each packet is due; when it comes too late by more than LATE_NS, as
 * after a pause, it starts anew instead of sending all that it missed.
 */
#include <string.h>

#include "click.h"

#define SECOND_NS 1000000000u
#define LATE_NS	  SECOND_NS
#define BURST_MAX 256u

struct source {
	struct click_element element;
	const char *data;
	uint32_t len;
	int32_t limit, burst; /* limit below zero: without end */
	uint32_t rate;	      /* packets a second */
	bool is_active;
	uint64_t count;
	uint64_t start_ns, due; /* when packet 0 was due; how many since then */
};

static const char default_data[] =
	"A packet of a source without DATA, which has at least 64 bytes.";

static int configure_data(struct source *source, struct click_args *args)
{
	int32_t len = -1;
	bool ignored = false;
	click_arg_int(args, "LENGTH", 0, &len);
	click_arg_int(args, "DATASIZE", 0, &len);
	click_arg_bool(args, "STOP", 0, &ignored);
	click_arg_bool(args, "TIMESTAMP", 0, &ignored);
	if (click_args_end(args) < 0)
		return -1;
	uint32_t wanted = len >= 0 ? (uint32_t)len : source->len;
	if (wanted > CLICK_PACKET_MAX) {
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
		return -1;
	}
	if (wanted > source->len) {
		char *data = click_alloc(source->element.router, wanted);
		if (data == NULL) {
			click_args_error(args, "out of memory");
			return -1;
		}
		/* The data again and again. */
		for (uint32_t i = 0; i < wanted; i++)
			data[i] = source->len > 0 ? source->data[i % source->len] : 0;
		source->data = data;
	}
	source->len = wanted;
	return 0;
}

static void set_defaults(struct source *source)
{
	source->data = default_data;
	source->len = sizeof(default_data);
	source->limit = -1;
	source->burst = 1;
	source->is_active = true;
}

static int infinite_configure(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	set_defaults(source);
	click_arg_string(args, "DATA", CLICK_POSITIONAL, &source->data, &source->len);
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL, &source->limit);
	click_arg_int(args, "BURST", CLICK_POSITIONAL, &source->burst);
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL, &source->is_active);
	if (source->burst < 1 || source->burst > (int32_t)BURST_MAX)
		click_args_error(args, "BURST: it is from 1 to %u", BURST_MAX);
	return configure_data(source, args);
}

static int rated_configure(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	uint64_t bandwidth = 0;
	set_defaults(source);
	source->rate = 10;
	click_arg_string(args, "DATA", CLICK_POSITIONAL, &source->data, &source->len);
	click_arg_u32(args, "RATE", CLICK_POSITIONAL, &source->rate);
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL, &source->limit);
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL, &source->is_active);
	click_arg_bandwidth(args, "BANDWIDTH", 0, &bandwidth);
	if (configure_data(source, args) < 0)
		return -1;
	if (bandwidth > 0) {
		uint64_t rate = bandwidth / (source->len > 0 ? source->len : 1);
		source->rate = rate > SECOND_NS ? SECOND_NS : rate > 0 ? (uint32_t)rate : 1;
	}
	if (source->rate > SECOND_NS) {
		click_args_error(args, "RATE: it is at most %u", SECOND_NS);
		return -1;
	}
	return 0;
}

static bool may_send(const struct source *source)
{
	return source->is_active && (source->limit < 0 || source->count < (uint64_t)source->limit);
}

static struct click_packet *make(struct source *source)
{
	if (!may_send(source))
		return NULL;
	struct click_packet *packet = click_packet_new(source->element.router, source->len);
	if (packet == NULL)
		return NULL;
	if (source->len > 0)
		memcpy(packet->data, source->data, source->len);
	packet->time_ns = click_wall_ns();
	source->count++;
	return packet;
}

/* --- InfiniteSource --- */

static int infinite_initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	if (!element->more->output_is_pull[0] && may_send((struct source *)element))
		click_task_schedule(element);
	return 0;
}

static bool infinite_run_task(struct click_element *element)
{
	struct source *source = (struct source *)element;
	bool did = false;
	for (int32_t i = 0; i < source->burst; i++) {
		struct click_packet *packet = make(source);
		if (packet == NULL)
			break;
		did = true;
		click_push(element, 0, packet);
	}
	return did && may_send(source);
}

static struct click_packet *infinite_pull(struct click_element *element, unsigned port)
{
	(void)port;
	return make((struct source *)element);
}

/* --- RatedSource --- */

static uint64_t due_ns(const struct source *source)
{
	return source->start_ns + source->due / source->rate * SECOND_NS +
	       source->due % source->rate * SECOND_NS / source->rate;
}

static void skip_missed(struct source *source, uint64_t now)
{
	if (due_ns(source) + LATE_NS < now) {
		source->start_ns = now;
		source->due = 0;
	}
}

static void wait_for_next(struct click_element *element)
{
	struct source *source = (struct source *)element;
	if (!may_send(source) || source->rate == 0) {
		click_timer_cancel(element);
		return;
	}
	skip_missed(source, click_now_ns());
	/* Whoever pulls is told when there is something. */
	click_timer_set(element, due_ns(source));
}

static int rated_initialize(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	(void)args;
	source->start_ns = click_now_ns();
	source->due = 0;
	wait_for_next(element);
	return 0;
}

static struct click_packet *rated_pull(struct click_element *element, unsigned port)
{
	struct source *source = (struct source *)element;
	(void)port;
	if (source->rate == 0 || click_now_ns() < due_ns(source))
		return NULL;
	struct click_packet *packet = make(source);
	source->due += packet != NULL;
	wait_for_next(element);
	return packet;
}

static void rated_run_timer(struct click_element *element)
{
	struct source *source = (struct source *)element;
	if (element->more->output_is_pull[0]) {
		click_notify(element);
		return;
	}
	uint64_t now = click_now_ns();
	skip_missed(source, now);
	for (unsigned i = 0; i < BURST_MAX && due_ns(source) <= now; i++) {
		struct click_packet *packet = make(source);
		if (packet == NULL)
			break;
		source->due++;
		click_push(element, 0, packet);
	}
	wait_for_next(element);
}

/* --- handlers --- */

static uint64_t count(struct click_element *element)
{
	return ((struct source *)element)->count;
}

static int restart(struct click_element *element, struct click_args *args)
{
	return element->more->class->run_timer != NULL ? rated_initialize(element, args)
						       : infinite_initialize(element, args);
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	((struct source *)element)->count = 0;
	return restart(element, args);
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY,
		       &((struct source *)element)->is_active);
	return click_args_end(args) < 0 ? -1 : restart(element, args);
}

static int write_limit(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	click_arg_int(args, "limit", CLICK_POSITIONAL | CLICK_MANDATORY,
		      &((struct source *)element)->limit);
	return click_args_end(args) < 0 ? -1 : restart(element, args);
}

static int write_rate(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t rate = 0;
	(void)text;
	click_arg_u32(args, "rate", CLICK_POSITIONAL | CLICK_MANDATORY, &rate);
	if (rate > SECOND_NS)
		click_args_error(args, "rate: it is at most %u", SECOND_NS);
	if (click_args_end(args) < 0)
		return -1;
	((struct source *)element)->rate = rate;
	return restart(element, args);
}

static const struct click_handler infinite_handlers[] = {
	{.name = "count", .count = count},
	{.name = "reset", .write = reset},
	{.name = "active", .write = write_active},
	{.name = "limit", .write = write_limit},
	{NULL},
};

static const struct click_handler rated_handlers[] = {
	{.name = "count", .count = count},	   {.name = "reset", .write = reset},
	{.name = "active", .write = write_active}, {.name = "limit", .write = write_limit},
	{.name = "rate", .write = write_rate},	   {NULL},
};

const struct click_class click_class_InfiniteSource = {
	.name = "InfiniteSource",
	.size = sizeof(struct source),
	.port_count = "0/1",
	.processing = "a",
	.configure = infinite_configure,
	.initialize = infinite_initialize,
	.pull = infinite_pull,
	.run_task = infinite_run_task,
	.handlers = infinite_handlers,
};

const struct click_class click_class_RatedSource = {
	.name = "RatedSource",
	.size = sizeof(struct source),
	.port_count = "0/1",
	.processing = "a",
	.configure = rated_configure,
	.initialize = rated_initialize,
	.pull = rated_pull,
	.run_timer = rated_run_timer,
	.handlers = rated_handlers,
};
