#include "tlsproxy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

uint32_t next_peer;
static char got[16][1 << 17];

const char *sent_by(uint32_t port, uint32_t peer)
{
	size_t len = 0;
	for (unsigned i = 0; i < host_sent_count; i++) {
		if (host_sent[i].port != port || host_sent[i].peer != peer)
			continue;
		assert_true(len + host_sent[i].len < sizeof(got[0]));
		memcpy(got[port] + len, host_sent[i].data, host_sent[i].len);
		len += host_sent[i].len;
	}
	got[port][len] = '\0';
	return got[port];
}

void forget(void)
{
	host_forget_sent();
	host_closed = host_shuts_count = 0;
}

void client(uint32_t peer, uint32_t flags, const char *text)
{
	host_stream(peer, flags, text, (uint32_t)strlen(text));
}

void server(uint32_t port, uint32_t peer, uint32_t flags, const char *text)
{
	host_stream_by(port, peer, flags, text, (uint32_t)strlen(text));
}

uint32_t open_with(const char *text)
{
	forget();
	client(++next_peer, EDGEOS_FIRST, text);
	return next_peer;
}

void end(uint32_t peer)
{
	host_stream(peer, EDGEOS_LAST | EDGEOS_BROKEN, "", 0);
	forget();
}

bool was_shut(uint32_t port, uint32_t how)
{
	for (unsigned i = 0; i < host_shuts_count; i++)
		if (host_shuts[i].port == port && host_shuts[i].how == how)
			return true;
	return false;
}

int set_up(void **state)
{
	(void)state;
	static bool has_ports;
	if (!has_ports)
		host_add_port("api");
	has_ports = true;
	host_set(NULL, NULL);
	host_set("routes", "www.test/api/ api; www.test out; * api");
	memset(host_infos, 0, sizeof(host_infos));
	return host_start() ? 0 : -1;
}
