/*
 * A router at work: packets from element to element, tasks, timers, devices.
 *
 * Tasks are a queue; a run takes at most TASKS_MAX steps, so that a source without an end does not
 * keep the processor, and goes on at the next. Timers are a heap by time.
 */
#include <string.h>

#include "core.h"
#include "dispatch.h"

#define TASKS_MAX  1024u
#define TIMERS_MAX 1024u
#define DEPTH_MAX  128u	 /* calls of push and pull in each other */
#define HOPS_MAX   1024u /* elements one behind the other */
#define PAUSE_NS   50000u
#define PULLS_MAX  1024u

/* --- packets --- */

static void drop_looped(struct click_router *router, struct click_packet *packet)
{
	click_count_looped(router);
	click_packet_free(router, packet);
}

/* PACKET to PEER, and on to the first element that takes it. */
static void forward(struct click_router *router, const struct click_port *peer,
		    struct click_packet *packet)
{
	if (router->depth >= DEPTH_MAX) {
		drop_looped(router, packet);
		return;
	}
	router->depth++;
	for (unsigned hops = 0;; hops++) {
		struct click_element *element = peer != NULL ? peer->element : NULL;
		if (element == NULL) {
			click_packet_free(router, packet);
			break;
		}
		if (hops > HOPS_MAX) {
			drop_looped(router, packet);
			break;
		}
		packet = click_dispatch_take(element, peer->port, packet);
		if (packet == NULL)
			break;
		peer = element->outputs_count > 0 ? element->outputs : NULL;
	}
	router->depth--;
}

void click_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	if (packet != NULL)
		forward(element->router,
			port < element->outputs_count ? &element->outputs[port] : NULL, packet);
}

struct click_packet *click_pull(struct click_element *element, unsigned port)
{
	struct click_router *router = element->router;
	if (port >= element->inputs_count || element->inputs[port].element == NULL)
		return NULL;
	if (router->depth >= DEPTH_MAX) {
		click_count_looped(router);
		return NULL;
	}
	struct click_port from = element->inputs[port];
	struct click_packet *packet = NULL;
	router->depth++;
	if (from.element->gives) {
		packet = click_dispatch_give(from.element, from.port);
	} else {
		/* A packet that it drops does not mean that there are no more. */
		for (unsigned i = 0; i < PULLS_MAX && packet == NULL; i++) {
			packet = click_pull(from.element, 0);
			if (packet == NULL)
				break;
			packet = click_dispatch_pass(from.element, packet);
		}
	}
	router->depth--;
	return packet;
}

void click_kill(struct click_element *element, struct click_packet *packet)
{
	click_packet_free(element->router, packet);
}

/* --- tasks --- */

void click_task_schedule(struct click_element *element)
{
	struct click_router *router = element->router;
	if (element->is_scheduled || !element->has_task)
		return;
	element->is_scheduled = true;
	element->task_next = NULL;
	if (router->tasks_last != NULL)
		router->tasks_last->task_next = element;
	else
		router->tasks_first = element;
	router->tasks_last = element;
}

static void run_tasks(struct click_router *router)
{
	for (unsigned i = 0; i < TASKS_MAX && router->tasks_first != NULL; i++) {
		struct click_element *element = router->tasks_first;
		router->tasks_first = element->task_next;
		if (router->tasks_first == NULL)
			router->tasks_last = NULL;
		element->is_scheduled = false;
		if (click_dispatch_run_task(element))
			click_task_schedule(element);
	}
}

void click_notify(struct click_element *element)
{
	for (uint32_t i = 0; i < element->listeners_count; i++)
		click_task_schedule(element->listeners[i]);
}

/* --- timers --- */

static void place(struct click_router *router, uint32_t index, struct click_element *element)
{
	router->timers[index] = element;
	element->more->timer_index = index;
	if (index == 0)
		router->due_ns = element->more->timer_ns;
}

static void sift_up(struct click_router *router, uint32_t index)
{
	struct click_element *element = router->timers[index];
	while (index > 0) {
		uint32_t above = (index - 1) / 2;
		if (router->timers[above]->more->timer_ns <= element->more->timer_ns)
			break;
		place(router, index, router->timers[above]);
		index = above;
	}
	place(router, index, element);
}

static void sift_down(struct click_router *router, uint32_t index)
{
	struct click_element *element = router->timers[index];
	for (;;) {
		uint32_t below = 2 * index + 1;
		if (below >= router->timers_count)
			break;
		if (below + 1 < router->timers_count &&
		    router->timers[below + 1]->more->timer_ns <
			    router->timers[below]->more->timer_ns)
			below++;
		if (router->timers[below]->more->timer_ns >= element->more->timer_ns)
			break;
		place(router, index, router->timers[below]);
		index = below;
	}
	place(router, index, element);
}

void click_timer_set(struct click_element *element, uint64_t when_ns)
{
	struct click_router *router = element->router;
	if (when_ns == UINT64_MAX || element->more->class->run_timer == NULL) {
		click_timer_cancel(element);
		return;
	}
	bool is_new = element->more->timer_ns == UINT64_MAX;
	element->more->timer_ns = when_ns;
	if (is_new)
		place(router, router->timers_count++, element);
	sift_up(router, element->more->timer_index);
	sift_down(router, element->more->timer_index);
}

void click_timer_cancel(struct click_element *element)
{
	struct click_router *router = element->router;
	if (element->more->timer_ns == UINT64_MAX)
		return;
	uint32_t index = element->more->timer_index;
	element->more->timer_ns = UINT64_MAX;
	router->timers_count--;
	if (router->timers_count == 0)
		router->due_ns = UINT64_MAX;
	if (index == router->timers_count)
		return;
	struct click_element *last = router->timers[router->timers_count];
	place(router, index, last);
	sift_up(router, index);
	sift_down(router, last->more->timer_index);
}

uint64_t click_router_deadline(const struct click_router *router)
{
	uint64_t deadline = router->due_ns;
	if (router->tasks_first != NULL) {
		uint64_t soon = click_now_ns() + PAUSE_NS;
		deadline = soon < deadline ? soon : deadline;
	}
	return deadline;
}

uint64_t click_router_run(struct click_router *router)
{
	uint64_t now = click_now_ns();
	for (unsigned i = 0; i < TIMERS_MAX && router->due_ns <= now; i++) {
		if (router->timers_count == 0)
			break;
		struct click_element *element = router->timers[0];
		click_timer_cancel(element);
		click_dispatch_run_timer(element);
	}
	run_tasks(router);
	return click_router_deadline(router);
}

/* --- devices --- */

int click_device(struct click_router *router, const char *name)
{
	static const struct {
		const char *name;
		int number;
	} usual[] = {{"0", 0}, {"in", 0}, {"client", 0}, {"1", 1}, {"out", 1}};
	const struct click_host *host = router->host;
	for (unsigned i = 0; i < CLICK_DEVICES_MAX; i++)
		if (router->devices[i].name != NULL && strcmp(router->devices[i].name, name) == 0)
			return (int)i;
	int number = host->device != NULL ? host->device(host->ctx, name) : -1;
	for (size_t i = 0; number < 0 && i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strcmp(usual[i].name, name) == 0)
			number = usual[i].number;
	if (number < 0)
		number = (int)router->devices_named;
	if (number >= (int)CLICK_DEVICES_MAX)
		return -1;
	if (router->devices[number].name != NULL)
		return number; /* two names of the same one */
	char *copy = click_arena_text(&router->arena, name, strlen(name));
	if (copy == NULL)
		return -1;
	router->devices[number].name = copy;
	router->devices_named++;
	return number;
}

void click_device_send(struct click_router *router, unsigned device, struct click_packet *packet)
{
	click_host_send(router, device, packet);
	click_packet_free(router, packet);
}

int click_device_receive(struct click_element *element, unsigned device, bool is_asked,
			 struct click_args *args)
{
	struct click_device *own = &element->router->devices[device % CLICK_DEVICES_MAX];
	if (own->receiver != NULL) {
		click_args_error(args, "'%s' receives from this device already",
				 own->receiver->more->name);
		return -1;
	}
	own->receiver = element;
	struct click_port *receiver = click_receiver(element->router, device % CLICK_DEVICES_MAX);
	if (is_asked)
		*receiver = (struct click_port){.element = element};
	else if (element->outputs_count > 0)
		*receiver = element->outputs[0];
	return 0;
}

unsigned click_router_devices(const struct click_router *router)
{
	return router->devices_named;
}

const char *click_router_device_name(const struct click_router *router, unsigned device)
{
	return device < CLICK_DEVICES_MAX ? router->devices[device].name : NULL;
}

void click_router_receive(struct click_router *router, unsigned device, struct click_packet *packet)
{
	if (device >= CLICK_DEVICES_MAX) {
		click_packet_free(router, packet);
		return;
	}
	packet->device = (uint16_t)device;
	packet->mac = 0;
	if (packet->len > 0 && (packet->data[0] & 1) != 0) {
		static const uint8_t broadcast[6] = {255, 255, 255, 255, 255, 255};
		bool is_broadcast = packet->len >= 6 && memcmp(packet->data, broadcast, 6) == 0;
		packet->packet_type = is_broadcast ? 1 : 2;
	}
	forward(router, click_receiver(router, device), packet);
	if (router->tasks_first != NULL)
		run_tasks(router);
}

/* --- others --- */

void click_log(struct click_router *router, const char *text)
{
	if (router->host->log != NULL)
		router->host->log(router->host->ctx, text);
}
