/*
 * The main of a packet function that is a Click configuration.
 *
 * edgeos_init() makes the router from the configuration, which the module has as data, once, in
 * the chain's template: what a client's instance costs then is the pages that its packets change.
 *
 * A packet is handled in the slot itself. If it leaves from there, which is what most do, the
 * verdict says so, and nothing is copied; what elements keep beyond the call gets a buffer of the
 * pool's; all that leaves besides is sent by edgeos_packet_send().
 *
 * Random numbers begin anew in each instance: the template's would be the same in all.
 *
 * Timers of elements share timer 0. It is never set in edgeos_init(): timers are an instance's.
 * Counters are the router's table, which the host reads when it likes. Most values are right at any
 * time; where others are few they are computed after each packet, where they are many by timer 1.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../c/edgeos_packet.h"
#include "core.h"

#define COUNTERS_DIRECT	 16u
#define COUNTERS_LATE_NS 20000000u
#define TIMER_ROUTER	 0u
#define TIMER_COUNTERS	 1u
#define LINES_AHEAD	 (EDGEOS_STATE_MAX / CLICK_LINE)
#define LINES_MAX	 16u

/* Made by `edgeos build`. */
extern const char click_config_name[];
extern const char click_config_text[];
extern const unsigned click_config_len;

EDGEOS_PACKETS(CLICK_PACKET_MAX)

/* The router, and behind it what packets touch, as far as there is room. */
#define MEMORY_BYTES 16384u
static _Alignas(4096) uint8_t memory[MEMORY_BYTES];
static struct click_router *const router = (struct click_router *)memory;

/* What packets touch of ours is in the router's first line of that. */
struct hot {
	uint64_t timer_ns;
	uint64_t wall_offset_ns; /* wall clock less monotonic clock */
	int32_t verdict; /* the port by which the slot's packet leaves; below zero: none so far */
	bool is_late_set, is_in_packet, has_started;
	uint8_t computed_count; /* as far as it goes */
	uint8_t lines_behind;	/* see touch() */
};
_Static_assert(sizeof(struct hot) <= CLICK_ROOM, "there is no more room");
static struct hot *const hot = (struct hot *)(memory + offsetof(struct click_router, room));
static const uint8_t *const first_line =
	memory + sizeof(struct click_router) - CLICK_HOT_LINES * CLICK_LINE;

uint64_t click_now_ns(void)
{
	return edgeos_now_ns();
}

/* The host's wall clock is asked once: an instance that lives for months is off by what was
 * corrected since. */
uint64_t click_wall_ns(void)
{
	return edgeos_now_ns() + hot->wall_offset_ns;
}

static void log_line(void *ctx, const char *line)
{
	(void)ctx;
	edgeos_log(EDGEOS_INFO, line, (uint32_t)strlen(line));
}

static void tell(void *ctx, const char *line)
{
	(void)ctx;
	edgeos_log(EDGEOS_ERROR, line, (uint32_t)strlen(line));
}

static int find_device(void *ctx, const char *name)
{
	(void)ctx;
	int port = edgeos_port(name, (uint32_t)strlen(name));
	return port < (int)CLICK_DEVICES_MAX ? port : -1;
}

/* What is refused is counted by the host as dropped. */
void click_host_send(struct click_router *sender, unsigned device,
		     const struct click_packet *packet)
{
	struct edgeos_packet *info = &edgeos_slot.info;
	(void)sender;
	/* Packets by one port keep their order. */
	if (hot->verdict == (int)device) {
		edgeos_packet_send(device, 0, (const void *)(uintptr_t)info->address, info->len);
		hot->verdict = -1;
	}
	if (hot->is_in_packet && packet->buffer == edgeos_slot.data) {
		info->address = (uint32_t)(uintptr_t)packet->data;
		info->len = packet->len;
		hot->verdict = (int)device;
	} else {
		edgeos_packet_send(device, 0, packet->data, packet->len);
	}
}

static const struct click_host host = {.device = find_device, .log = log_line};

static void finish(void)
{
	uint64_t deadline = click_router_deadline(router);
	if (deadline < hot->timer_ns) {
		uint64_t now = edgeos_now_ns();
		hot->timer_ns = deadline;
		edgeos_timer_set(TIMER_ROUTER, deadline > now ? deadline - now : 1);
	}
	if (hot->computed_count == 0)
		return;
	if (hot->computed_count <= COUNTERS_DIRECT) {
		click_router_compute(router);
	} else if (!hot->is_late_set) {
		hot->is_late_set = true;
		edgeos_timer_set(TIMER_COUNTERS, COUNTERS_LATE_NS);
	}
}

/* An instance's first turn. What is on the stack here must not be in edgeos_packet()'s frame: the
 * stack is one more cache line, and its pointer a second one. */
static __attribute__((noinline)) void start(void)
{
	struct timespec wall = {0, 0};
	uint8_t seed[CLICK_SEED_BYTES];
	uint64_t now = edgeos_now_ns();
	hot->has_started = true;
	if (clock_gettime(CLOCK_REALTIME, &wall) == 0)
		hot->wall_offset_ns =
			(uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec - now;
	if (getentropy(seed, sizeof(seed)) < 0)
		abort();
	click_router_seed(router, seed);
}

static void open_counters(void)
{
	const uint64_t *values;
	uint32_t count, computed = click_router_computed(router);
	const struct click_counter *table = click_router_table(router, &count, &values);
	_Static_assert(sizeof(*table) == sizeof(struct edgeos_counter) &&
			       sizeof(table->name) == sizeof(((struct edgeos_counter *)0)->name) &&
			       CLICK_TABLE_MAX <= EDGEOS_COUNTERS_MAX,
		       "the host reads it");
	hot->computed_count = (uint8_t)(computed <= UINT8_MAX ? computed : UINT8_MAX);
	if (edgeos_counter_values((const struct edgeos_counter *)table, count, values) < 0)
		tell(NULL, "click: the counters cannot be shown");
}

/* What a packet finds behind what the node brings ahead. It would go from line to line, and with
 * thousands of instances each is a miss in all caches, one after the other: looked at all at once
 * they cost little more than one. */
static void touch(void)
{
	const volatile uint8_t *line = first_line + LINES_AHEAD * CLICK_LINE;
	for (uint32_t i = hot->lines_behind; i > 0; i--, line += CLICK_LINE)
		(void)*line;
}

/* The elements and their counters, but for those at the end, which nearly no packet touches. */
static void open_lines(void)
{
	uint32_t count, lines = LINES_MAX;
	const uint64_t *values;
	(void)click_router_table(router, &count, &values);
	uintptr_t first = (uintptr_t)first_line, end = (uintptr_t)(values + count - 2);
	if (end > first && end <= (uintptr_t)memory + sizeof(memory))
		lines = (uint32_t)(end - first + CLICK_LINE - 1) / CLICK_LINE;
	lines = lines < LINES_MAX ? lines : LINES_MAX;
	uint32_t ahead = lines < LINES_AHEAD ? lines : LINES_AHEAD;
	hot->lines_behind = (uint8_t)(lines - ahead);
	(void)edgeos_packet_state(first_line, ahead * CLICK_LINE);
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	struct click_errors errors = {.tell = tell};
	if (edgeos_open_packets() < 0)
		abort();
	if (click_router_new_in(memory, sizeof(memory), &host, NULL) == NULL)
		abort();
	hot->timer_ns = UINT64_MAX;
	/* `edgeos build` made the same with success; but ports and memory are not the same here. */
	if (click_router_load(router, click_config_text, click_config_len, click_config_name,
			      &errors) < 0)
		abort();
	open_counters();
	open_lines();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	const struct edgeos_packet *info = &edgeos_slot.info;
	touch();
	if (!hot->has_started)
		start();
	struct click_packet *packet = click_packet_borrow(router, edgeos_slot.data, buf, len);
	if (packet == NULL)
		return EDGEOS_DROP;
	packet->time_ns = info->time_ns + hot->wall_offset_ns;
	hot->verdict = -1;
	hot->is_in_packet = true;
	click_router_receive(router, info->port, packet);
	click_packet_settle(router);
	hot->is_in_packet = false;
	int result = hot->verdict;
	hot->verdict = -1;
	finish();
	return result < 0 ? EDGEOS_DROP : EDGEOS_HOP + (uint32_t)result;
}

EDGEOS_EXPORT(edgeos_timer) void edgeos_timer(uint32_t id)
{
	if (!hot->has_started)
		start();
	if (id == TIMER_COUNTERS) {
		hot->is_late_set = false;
		click_router_compute(router);
		return;
	}
	hot->timer_ns = UINT64_MAX;
	hot->verdict = -1;
	(void)click_router_run(router);
	finish();
}
