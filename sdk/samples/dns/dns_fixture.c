#include "dns_fixture.h"

#include <string.h>

#include "frame.h"

uint32_t make_query(uint8_t *message, uint16_t id, const char *name, uint16_t type, unsigned edns)
{
	static const uint8_t opt[11] = {0, 0, TYPE_OPT, 0x04, 0xd0};
	uint32_t at = HEADER_BYTES;
	memset(message, 0, HEADER_BYTES);
	frame_put_u16(message, id);
	frame_put_u16(message + 2, FLAG_RECURSE | (edns == AD ? FLAG_AUTHENTIC : 0));
	frame_put_u16(message + 4, 1);
	/* Not name_parse(): large letters stay. */
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		message[at++] = (uint8_t)len;
		memcpy(message + at, name, len);
		at += (uint32_t)len;
		name += len + (name[len] == '.');
	}
	message[at++] = 0;
	frame_put_u16(message + at, type);
	frame_put_u16(message + at + 2, CLASS_IN);
	at += 4;
	if (edns != 0 && edns != AD) {
		memcpy(message + at, opt, sizeof(opt));
		message[at + 7] = (edns & DNSSEC) != 0 ? 0x80 : 0;
		at += sizeof(opt);
		frame_put_u16(message + 10, 1);
	}
	return at;
}

unsigned rcode_of(const uint8_t *message)
{
	return message[3] & 15;
}
