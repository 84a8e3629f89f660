/*
 * InfiniteSource, RatedSource: packets of fixed contents, as fast as they are taken, or so many a
 * second.
 *
 * An infinite source that pushes into nothing but queues waits while these are full. A rated one
 * has a token bucket of a hundredth of a second, at least two packets: what it could not send
 * while it was not asked is lost.
 */
#include <string.h>

#include "click.h"
#include "elements/call.h"
#include "elements/out.h"
#include "elements/queue.h"
#include "elements/token_bucket.h"

#define RATE_MAX 1000000000u
/* In one run; a longer burst takes more of them, as a router's turn has a thousand runs. */
#define BURST_MAX  32u
#define TIMER_MAX  256u
#define SEARCH_MAX 256u
#define QUEUES_MAX 16u

struct source {
	struct click_element element;
	const char *data;
	uint32_t data_len, len; /* of DATA; of packets */
	int32_t wanted_len;	/* LENGTH; below zero: as DATA */
	int32_t limit, burst;	/* limit below zero: without end */
	bool is_active, is_stamped, is_rated, has_begun;
	uint64_t count;
	struct click_bucket bucket; /* of a rated one */
	uint64_t rate;
	/* Of an infinite one. */
	struct click_element **queues; /* all that it pushes to, or none */
	uint32_t queues_count;
	struct click_call *end;
	char *written; /* CLICK_PACKET_MAX bytes for the handler */
};

static const char default_data[] =
	"A packet of a source without DATA, which has at least 64 bytes.";

/* --- configuration --- */

static int set_len(struct source *source, struct click_args *args)
{
	uint32_t len = source->wanted_len >= 0 ? (uint32_t)source->wanted_len : source->data_len;
	if (len > CLICK_PACKET_MAX) {
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
		return -1;
	}
	source->len = len;
	return 0;
}

static int configure_others(struct source *source, struct click_args *args)
{
	bool stop = false;
	const char *end = NULL;
	click_arg_int(args, "LENGTH", 0, &source->wanted_len);
	click_arg_int(args, "DATASIZE", 0, &source->wanted_len);
	click_arg_bool(args, "TIMESTAMP", 0, &source->is_stamped);
	/* There is no driver that could stop. */
	click_arg_bool(args, "STOP", 0, &stop);
	click_arg_text(args, "END_CALL", 0, &end);
	if (stop && end != NULL)
		click_args_error(args, "END_CALL and STOP exclude each other");
	if (click_args_end(args) < 0)
		return -1;
	source->written = click_cold_alloc(source->element.router, CLICK_PACKET_MAX);
	if (end != NULL)
		source->end = click_cold_alloc(source->element.router, sizeof(*source->end));
	if (source->written == NULL || (end != NULL && source->end == NULL)) {
		click_args_error(args, "out of memory");
		return -1;
	}
	return set_len(source, args);
}

static void set_defaults(struct source *source)
{
	source->data = default_data;
	source->data_len = sizeof(default_data);
	source->wanted_len = -1;
	source->limit = -1;
	source->burst = 1;
	source->is_active = source->is_stamped = true;
}

static int infinite_configure(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	set_defaults(source);
	click_arg_string(args, "DATA", CLICK_POSITIONAL, &source->data, &source->data_len);
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL, &source->limit);
	click_arg_int(args, "BURST", CLICK_POSITIONAL, &source->burst);
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL, &source->is_active);
	if (source->burst < 1)
		click_args_error(args, "BURST: it is at least 1");
	return configure_others(source, args);
}

static int rated_configure(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	uint32_t rate = 10;
	uint64_t bandwidth = 0;
	set_defaults(source);
	source->is_rated = true;
	click_arg_string(args, "DATA", CLICK_POSITIONAL, &source->data, &source->data_len);
	click_arg_u32(args, "RATE", CLICK_POSITIONAL, &rate);
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL, &source->limit);
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL, &source->is_active);
	click_arg_bandwidth(args, "BANDWIDTH", 0, &bandwidth);
	if (configure_others(source, args) < 0)
		return -1;
	source->rate = rate;
	if (bandwidth > 0) {
		uint64_t packets = bandwidth / (source->len > 0 ? source->len : 1);
		source->rate = packets > RATE_MAX ? RATE_MAX : packets > 0 ? packets : 1;
	}
	if (source->rate > RATE_MAX) {
		click_args_error(args, "RATE: it is at most %u", RATE_MAX);
		return -1;
	}
	return 0;
}

static int set_end(struct source *source, struct click_args *args)
{
	const char *end = NULL;
	click_arg_text(args, "END_CALL", 0, &end);
	return end == NULL || click_call_set(source->end, &source->element, end, args) ? 0 : -1;
}

/* --- packets --- */

static bool is_at_limit(const struct source *source)
{
	return source->limit >= 0 && source->count >= (uint64_t)source->limit;
}

static bool may_send(const struct source *source)
{
	return source->is_active && !is_at_limit(source);
}

/* Calls END_CALL if that was the last one; what it does may be to begin again. */
static void end(struct source *source)
{
	if (source->is_active && is_at_limit(source))
		click_call_run(source->end, source->element.router);
}

static struct click_packet *make(struct source *source)
{
	if (!may_send(source))
		return NULL;
	struct click_packet *packet = click_packet_new(source->element.router, source->len);
	if (packet == NULL)
		return NULL;
	/* The data again and again. */
	for (uint32_t at = 0; at < source->len;) {
		uint32_t part = source->len - at;
		if (source->data_len == 0) {
			memset(packet->data, 0, part);
		} else {
			part = part < source->data_len ? part : source->data_len;
			memcpy(packet->data + at, source->data, part);
		}
		at += part;
	}
	packet->time_ns = source->is_stamped ? click_wall_ns() : 0;
	source->count++;
	return packet;
}

/* --- InfiniteSource --- */

/* Where packets go that ELEMENT gets, behind the COUNT elements that were SEEN. Their new number;
 * 0: to somewhere that is never full. */
static uint32_t look_behind(const struct click_element *element, struct click_element **seen,
			    uint32_t count)
{
	if (element->outputs_count == 0)
		return 0;
	for (uint32_t port = 0; port < element->outputs_count; port++) {
		struct click_element *peer = element->outputs[port].element;
		bool is_new = true;
		if (element->more->output_is_pull[port] || peer == NULL)
			return 0;
		for (uint32_t i = 0; i < count && is_new; i++)
			is_new = seen[i] != peer;
		if (!is_new)
			continue;
		if (count == SEARCH_MAX)
			return 0;
		seen[count++] = peer;
	}
	return count;
}

static int find_queues(struct source *source, struct click_args *args)
{
	struct click_element *seen[SEARCH_MAX], *found[QUEUES_MAX];
	uint32_t count = 1, queues = 0;
	seen[0] = &source->element;
	for (uint32_t at = 0; at < count; at++) {
		if (click_queue_tells_room(seen[at])) {
			if (queues == QUEUES_MAX)
				return 0;
			found[queues++] = seen[at];
			continue;
		}
		count = look_behind(seen[at], seen, count);
		if (count == 0)
			return 0;
	}
	source->queues = click_alloc(source->element.router, sizeof(found));
	if (source->queues == NULL) {
		click_args_error(args, "out of memory");
		return -1;
	}
	memcpy(source->queues, found, queues * sizeof(*found));
	source->queues_count = queues;
	for (uint32_t i = 0; i < queues; i++) {
		if (!click_queue_wake(found[i], &source->element)) {
			click_args_error(args, "out of memory");
			return -1;
		}
	}
	return 0;
}

static void infinite_restart(struct source *source)
{
	struct click_element *element = &source->element;
	if (!may_send(source))
		return;
	if (element->more->output_is_pull[0])
		click_notify(element);
	else
		click_task_schedule(element);
}

static int infinite_initialize(struct click_element *element, struct click_args *args)
{
	struct source *source = (struct source *)element;
	if (!element->more->output_is_pull[0] && find_queues(source, args) < 0)
		return -1;
	infinite_restart(source);
	return set_end(source, args);
}

static bool is_blocked(const struct source *source)
{
	for (uint32_t i = 0; i < source->queues_count; i++)
		if (!click_queue_is_full(source->queues[i]))
			return false;
	return source->queues_count > 0;
}

static bool infinite_run_task(struct click_element *element)
{
	struct source *source = (struct source *)element;
	uint32_t burst = source->burst < (int32_t)BURST_MAX ? (uint32_t)source->burst : BURST_MAX;
	bool did = false;
	if (!may_send(source) || is_blocked(source))
		return false;
	for (uint32_t i = 0; i < burst; i++) {
		struct click_packet *packet = make(source);
		if (packet == NULL)
			break;
		did = true;
		click_push(element, 0, packet);
	}
	end(source);
	return did && may_send(source);
}

static struct click_packet *infinite_pull(struct click_element *element, unsigned port)
{
	struct source *source = (struct source *)element;
	(void)port;
	struct click_packet *packet = make(source);
	if (packet == NULL)
		end(source);
	return packet;
}

/* --- RatedSource --- */

static uint64_t capacity_of(uint64_t rate)
{
	return rate < 200 ? 2 : rate / 100;
}

static void wait_for_next(struct source *source)
{
	if (!may_send(source) || source->rate == 0) {
		click_timer_cancel(&source->element);
		return;
	}
	uint64_t now_ns = click_now_ns();
	(void)click_bucket_has(&source->bucket, 1, now_ns);
	/* Whoever pulls is told when there is something. */
	click_timer_set(&source->element, now_ns + click_bucket_wait_ns(&source->bucket, 1));
}

/* With one packet that may go at once. */
static void fill_bucket(struct source *source)
{
	uint64_t capacity = capacity_of(source->rate), now_ns = click_now_ns();
	click_bucket_init(&source->bucket, source->rate, capacity, now_ns);
	(void)click_bucket_take(&source->bucket, capacity - 1, now_ns);
}

static void rated_restart(struct source *source)
{
	fill_bucket(source);
	wait_for_next(source);
}

/* The first turn can be long after the router was made. */
static void begin(struct source *source)
{
	if (!source->has_begun)
		fill_bucket(source);
	source->has_begun = true;
}

static int rated_initialize(struct click_element *element, struct click_args *args)
{
	rated_restart((struct source *)element);
	return set_end((struct source *)element, args);
}

static struct click_packet *rated_pull(struct click_element *element, unsigned port)
{
	struct source *source = (struct source *)element;
	(void)port;
	if (!may_send(source)) {
		end(source);
		return NULL;
	}
	begin(source);
	if (source->rate == 0 || !click_bucket_take(&source->bucket, 1, click_now_ns())) {
		wait_for_next(source);
		return NULL;
	}
	return make(source);
}

static void rated_run_timer(struct click_element *element)
{
	struct source *source = (struct source *)element;
	if (element->more->output_is_pull[0]) {
		click_notify(element);
		return;
	}
	begin(source);
	uint64_t now_ns = click_now_ns();
	for (unsigned i = 0; i < TIMER_MAX && may_send(source); i++) {
		if (!click_bucket_take(&source->bucket, 1, now_ns))
			break;
		click_push(element, 0, make(source));
	}
	end(source);
	wait_for_next(source);
}

/* --- handlers --- */

static uint64_t count(struct click_element *element)
{
	return ((struct source *)element)->count;
}

static void restart(struct source *source)
{
	if (source->is_rated)
		rated_restart(source);
	else
		infinite_restart(source);
}

/* What changes does not begin anew. */
static void go_on(struct source *source)
{
	if (source->is_rated)
		wait_for_next(source);
	else
		infinite_restart(source);
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	((struct source *)element)->count = 0;
	restart((struct source *)element);
	return 0;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct source *)element)->is_active ? "true" : "false");
	return to.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	struct source *source = (struct source *)element;
	bool is_active = source->is_active;
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY, &is_active);
	if (click_args_end(args) < 0)
		return -1;
	bool begins = is_active && !source->is_active;
	source->is_active = is_active;
	if (begins)
		restart(source);
	else
		go_on(source);
	return 0;
}

static uint32_t read_int(int32_t value, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_i64(&to, value);
	return to.len;
}

static uint32_t read_limit(struct click_element *element, char *out, uint32_t size)
{
	return read_int(((const struct source *)element)->limit, out, size);
}

static int write_limit(struct click_element *element, const char *text, struct click_args *args)
{
	int32_t limit = 0;
	(void)text;
	click_arg_int(args, "limit", CLICK_POSITIONAL | CLICK_MANDATORY, &limit);
	if (click_args_end(args) < 0)
		return -1;
	((struct source *)element)->limit = limit;
	go_on((struct source *)element);
	return 0;
}

static uint32_t read_burst(struct click_element *element, char *out, uint32_t size)
{
	return read_int(((const struct source *)element)->burst, out, size);
}

static int write_burst(struct click_element *element, const char *text, struct click_args *args)
{
	int32_t burst = 0;
	(void)text;
	click_arg_int(args, "burst", CLICK_POSITIONAL | CLICK_MANDATORY, &burst);
	if (burst < 1)
		click_args_error(args, "burst: it is at least 1");
	if (click_args_end(args) < 0)
		return -1;
	((struct source *)element)->burst = burst;
	return 0;
}

static uint32_t read_length(struct click_element *element, char *out, uint32_t size)
{
	return read_int(((const struct source *)element)->wanted_len, out, size);
}

static int write_length(struct click_element *element, const char *text, struct click_args *args)
{
	struct source *source = (struct source *)element;
	int32_t len = 0, before = source->wanted_len;
	(void)text;
	click_arg_int(args, "length", CLICK_POSITIONAL | CLICK_MANDATORY, &len);
	if (click_args_end(args) < 0)
		return -1;
	source->wanted_len = len;
	if (set_len(source, args) == 0)
		return 0;
	source->wanted_len = before;
	return -1;
}

static uint32_t read_data(struct click_element *element, char *out, uint32_t size)
{
	const struct source *source = (const struct source *)element;
	uint32_t len = source->data_len < size ? source->data_len : size;
	memcpy(out, source->data, len);
	return len;
}

/* The text as it stands. */
static int write_data(struct click_element *element, const char *text, struct click_args *args)
{
	struct source *source = (struct source *)element;
	size_t len = strlen(text);
	if (len > CLICK_PACKET_MAX) {
		click_args_error(args, "data has at most %u bytes", CLICK_PACKET_MAX);
		return -1;
	}
	memcpy(source->written, text, len);
	source->data = source->written;
	source->data_len = (uint32_t)len;
	return set_len(source, args);
}

static uint32_t read_rate(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct source *)element)->rate);
}

static int write_rate(struct click_element *element, const char *text, struct click_args *args)
{
	struct source *source = (struct source *)element;
	uint32_t rate = 0;
	(void)text;
	click_arg_u32(args, "rate", CLICK_POSITIONAL | CLICK_MANDATORY, &rate);
	if (rate > RATE_MAX)
		click_args_error(args, "rate: it is at most %u", RATE_MAX);
	if (click_args_end(args) < 0)
		return -1;
	source->rate = rate;
	click_bucket_change(&source->bucket, rate, capacity_of(rate), click_now_ns());
	go_on(source);
	return 0;
}

#define SOURCE_HANDLERS                                                                            \
	{.name = "count", .count = count}, {.name = "reset", .write = reset},                      \
		{.name = "active", .read = read_active, .write = write_active},                    \
		{.name = "limit", .read = read_limit, .write = write_limit},                       \
		{.name = "data", .read = read_data, .write = write_data},                          \
	{                                                                                          \
		.name = "length", .read = read_length, .write = write_length                       \
	}

static const struct click_handler infinite_handlers[] = {
	SOURCE_HANDLERS,
	{.name = "burst", .read = read_burst, .write = write_burst},
	{NULL},
};

static const struct click_handler rated_handlers[] = {
	SOURCE_HANDLERS,
	{.name = "rate", .read = read_rate, .write = write_rate},
	{NULL},
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
