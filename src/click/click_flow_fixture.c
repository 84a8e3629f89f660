#include "click/click_flow_fixture.h"

#include <stdlib.h>
#include <string.h>

uint64_t fixture_now_ns;

uint64_t click_now_ns(void)
{
	return fixture_now_ns;
}

uint64_t click_wall_ns(void)
{
	return fixture_now_ns;
}

static void keep(void *ctx, unsigned device, const struct click_packet *packet)
{
	struct fixture *fixture = ctx;
	if (fixture->sent_count == FIXTURE_SENT_MAX)
		abort();
	struct fixture_packet *sent = &fixture->sent[fixture->sent_count++];
	*sent = (struct fixture_packet){
		.device = device, .time_ns = fixture_now_ns, .len = packet->len};
	/* Of exactly that size, so that sanitizers see what is read behind it. */
	sent->data = malloc(packet->len ? packet->len : 1);
	if (!sent->data)
		abort();
	memcpy(sent->data, packet->data, packet->len);
}

static void tell(void *ctx, const char *line)
{
	struct fixture *fixture = ctx;
	size_t used = strlen(fixture->errors);
	size_t room = sizeof(fixture->errors) - used - 2;
	strncat(fixture->errors, line, room);
	strcat(fixture->errors, "\n");
}

bool fixture_init(struct fixture *fixture, const char *config)
{
	memset(fixture, 0, sizeof(*fixture));
	fixture->host = (struct click_host){.ctx = fixture, .send = keep};
	fixture->router = click_router_new(&fixture->host, NULL);
	if (!fixture->router)
		return false;
	struct click_errors errors = {.ctx = fixture, .tell = tell};
	return click_router_load(fixture->router, config, strlen(config), "test", &errors) == 0;
}

void fixture_clear(struct fixture *fixture)
{
	for (unsigned i = 0; i < fixture->sent_count; i++)
		free(fixture->sent[i].data);
	fixture->sent_count = 0;
}

void fixture_fini(struct fixture *fixture)
{
	fixture_clear(fixture);
	fixture->router = click_router_free(fixture->router);
}

bool fixture_send(struct fixture *fixture, unsigned device, const void *data, uint32_t len)
{
	struct click_packet *packet = click_packet_new(fixture->router, len);
	if (!packet)
		return false;
	if (len)
		memcpy(packet->data, data, len);
	packet->time_ns = fixture_now_ns;
	click_router_receive(fixture->router, device, packet);
	return true;
}

void fixture_run_until(struct fixture *fixture, uint64_t when_ns)
{
	for (;;) {
		uint64_t next_ns = click_router_run(fixture->router);
		if (next_ns > when_ns)
			break;
		if (next_ns > fixture_now_ns)
			fixture_now_ns = next_ns;
	}
	fixture_now_ns = when_ns;
	click_router_run(fixture->router);
}

const char *fixture_read(struct fixture *fixture, const char *handler)
{
	static char text[65536];
	return click_router_read(fixture->router, handler, text, sizeof(text)) < 0 ? "?" : text;
}

uint64_t fixture_count(struct fixture *fixture, const char *handler)
{
	return strtoull(fixture_read(fixture, handler), NULL, 10);
}

bool fixture_write(struct fixture *fixture, const char *handler, const char *value)
{
	struct click_errors errors = {.ctx = fixture, .tell = tell};
	fixture->errors[0] = '\0';
	return click_router_write(fixture->router, handler, value, &errors) == 0;
}
