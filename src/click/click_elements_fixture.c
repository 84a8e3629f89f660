#include "click/click_elements_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_clock.h"

uint64_t fixture_now_ns = 1000000000;

static void tell(void *ctx, const char *line)
{
	struct fixture *fixture = ctx;
	size_t len = strlen(fixture->errors);
	snprintf(fixture->errors + len, sizeof(fixture->errors) - len, "%s\n", line);
}

static void take(void *ctx, unsigned device, const struct click_packet *packet)
{
	struct fixture *fixture = ctx;
	if (fixture->sent_count < SENT_MAX) {
		struct sent *sent = &fixture->sent[fixture->sent_count];
		assert_true(packet->len <= sizeof(sent->data));
		sent->device = device;
		sent->len = packet->len;
		memcpy(sent->data, packet->data, packet->len);
	}
	fixture->sent_count++;
}

static struct click_host host_of(struct fixture *fixture)
{
	return (struct click_host){.ctx = fixture, .send = take};
}

/* The router borrows it. */
static struct click_host host;

int fixture_load(struct fixture *fixture, const char *text)
{
	*fixture = (struct fixture){.sent = calloc(SENT_MAX, sizeof(struct sent))};
	assert_non_null(fixture->sent);
	click_clock_set(fixture_now_ns, fixture_now_ns);
	host = host_of(fixture);
	fixture->router = click_router_new(&host, NULL);
	assert_non_null(fixture->router);
	struct click_errors errors = {.ctx = fixture, .tell = tell};
	return click_router_load(fixture->router, text, strlen(text), "test", &errors);
}

void fixture_fini(struct fixture *fixture)
{
	click_router_free(fixture->router);
	free(fixture->sent);
}

unsigned fixture_device(const struct fixture *fixture, const char *name)
{
	for (unsigned i = 0; i < click_router_devices(fixture->router); i++) {
		const char *device = click_router_device_name(fixture->router, i);
		if (device && strcmp(device, name) == 0)
			return i;
	}
	fail_msg("no device %s", name);
	return 0;
}

void fixture_receive_more(struct fixture *fixture, const char *device, const void *data, size_t len)
{
	struct click_packet *packet = click_packet_new(fixture->router, (uint32_t)len);
	assert_non_null(packet);
	if (len)
		memcpy(packet->data, data, len);
	click_router_receive(fixture->router, fixture_device(fixture, device), packet);
}

void fixture_receive(struct fixture *fixture, const char *device, const void *data, size_t len)
{
	fixture->sent_count = 0;
	fixture_receive_more(fixture, device, data, len);
}

void fixture_run_at(struct fixture *fixture, uint64_t now_ns)
{
	fixture_now_ns = now_ns;
	click_clock_set(now_ns, now_ns);
	click_router_run(fixture->router);
}

uint64_t fixture_read(const struct fixture *fixture, const char *handler)
{
	char text[64];
	assert_true(click_router_read(fixture->router, handler, text, sizeof(text)) > 0);
	return strtoull(text, NULL, 10);
}
