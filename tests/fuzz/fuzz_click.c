/*
 * Any bytes as a Click configuration: it is refused with a line that says why, or gives a router
 * that can be run, and whose handlers can be read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sdk/click/router.h>

#include "click/click_clock.h"

#define RUNS 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_packet(void *ctx, unsigned device, const struct click_packet *packet)
{
	/* It is there, to its last byte. */
	volatile uint8_t sum = 0;
	for (uint32_t i = 0; i < packet->len; i++)
		sum = (uint8_t)(sum + packet->data[i]);
	if (device >= CLICK_DEVICES_MAX)
		abort();
}

static void tell(void *ctx, const char *line)
{
	if (line[0] == '\0' || strchr(line, '\n') != NULL)
		abort();
	++*(unsigned *)ctx;
}

static void log_line(void *ctx, const char *line)
{
	if (strlen(line) > 8192)
		abort();
}

static void look_at(struct click_router *router)
{
	char text[256];
	for (uint32_t i = 0; i < click_router_elements(router); i++)
		if (click_router_find(router, click_router_element(router, i)->more->name) == NULL)
			abort();
	for (uint32_t i = 0; i < click_router_counters(router); i++) {
		click_router_counter_name(router, i, text, sizeof(text));
		(void)click_router_counter(router, i);
		if (text[0] == '\0')
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct click_host host = {.send = send_packet, .log = log_line};
	unsigned told = 0;
	struct click_errors errors = {.ctx = &told, .tell = tell};
	click_clock_set(1000, 1000);
	struct click_router *router = click_router_new(&host, NULL);
	if (router == NULL)
		return 0;
	int err = click_router_load(router, (const char *)data, size, "fuzz", &errors);
	if ((err == 0) != (told == 0))
		abort();
	if (err == 0)
		look_at(router);
	for (unsigned i = 0; i < RUNS && err == 0; i++) {
		uint64_t deadline = click_router_run(router);
		if (deadline != UINT64_MAX)
			click_clock_set(deadline, deadline);
	}
	(void)click_router_free(router);
	return 0;
}
