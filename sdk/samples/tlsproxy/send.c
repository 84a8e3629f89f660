#include <errno.h>
#include <string.h>

#include "proxy.h"

static struct {
	uint32_t port, peer, len;
	int32_t error; /* of the first that failed; 0: none */
	char data[8192];
} out;

bool send_flush(void)
{
	if (out.len > 0 && out.error == 0) {
		int32_t result = edgeos_packet_send(out.port, out.peer, out.data, out.len);
		out.error = result < 0 ? result : 0;
	}
	out.len = 0;
	return out.error == 0;
}

bool send_was_too_much(void)
{
	return out.error == -EAGAIN;
}

void send_to(uint32_t port, uint32_t peer)
{
	(void)send_flush();
	out.port = port;
	out.peer = peer;
	out.error = 0;
}

void send_put(const void *data, uint32_t len)
{
	const char *at = data;
	while (len > 0) {
		uint32_t room = (uint32_t)sizeof(out.data) - out.len;
		uint32_t n = len < room ? len : room;
		memcpy(out.data + out.len, at, n);
		out.len += n;
		at += n;
		len -= n;
		if (out.len == sizeof(out.data))
			(void)send_flush();
	}
}

void send_text(const char *text)
{
	send_put(text, (uint32_t)strlen(text));
}

void send_number(uint64_t number, unsigned base)
{
	char text[24];
	uint32_t at = sizeof(text);
	do {
		text[--at] = "0123456789abcdef"[number % base];
		number /= base;
	} while (number > 0);
	send_put(text + at, (uint32_t)sizeof(text) - at);
}
