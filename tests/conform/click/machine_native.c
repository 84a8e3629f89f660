#include <stdio.h>
#include <string.h>

#include <sdk/click/router.h>

#include "click/click_clock.h"
#include "machine.h"

static const struct machine_owner *owner;
static struct click_router *router;

static void send_packet(void *ctx, unsigned device, const struct click_packet *packet)
{
	owner->send(device, packet->data, packet->len);
}

static void print_line(void *ctx, const char *line)
{
	owner->print(line, (uint32_t)strlen(line));
}

static const struct click_host host = {.send = send_packet, .log = print_line};

int machine_open(const char *name, const struct eos_buf *text,
		 const struct machine_owner *for_owner)
{
	struct click_errors errors = {.tell = print_line};
	owner = for_owner;
	router = click_router_new(&host, NULL);
	if (router == NULL)
		return -1;
	return click_router_load(router, text->len > 0 ? text->data : "", text->len, name, &errors);
}

void machine_close(void)
{
	router = click_router_free(router);
}

void machine_set_time(uint64_t now_ns)
{
	click_clock_set(now_ns, now_ns);
}

void machine_receive(unsigned device, const uint8_t *data, uint32_t len)
{
	struct click_packet *packet = click_packet_new(router, len);
	if (packet == NULL) {
		fputs("a packet was too long, or the pool was empty\n", stderr);
		return;
	}
	memcpy(packet->data, data, len);
	packet->time_ns = click_wall_ns();
	click_router_receive(router, device, packet);
}

uint64_t machine_deadline(void)
{
	return click_router_deadline(router);
}

void machine_run(void)
{
	(void)click_router_run(router);
}
