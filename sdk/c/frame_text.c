/*
 * Addresses as people write them.
 */
#include <string.h>

#include "frame.h"

bool frame_is_ipv4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A number of BASE up to MAX at TEXT + *AT, which is moved behind it. */
static bool parse_number(const char *text, uint32_t len, uint32_t *at, int base, uint32_t max,
			 uint32_t *ret)
{
	uint32_t value = 0, begin = *at;
	for (; *at < len; ++*at) {
		int digit = hex_digit(text[*at]);
		if (digit < 0 || digit >= base)
			break;
		value = value * (uint32_t)base + (uint32_t)digit;
		if (value > max)
			return false;
	}
	*ret = value;
	return *at > begin;
}

static bool parse_ipv4(const char *text, uint32_t len, uint8_t ret[4])
{
	uint32_t at = 0, value;
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0 && (at == len || text[at++] != '.'))
			return false;
		if (!parse_number(text, len, &at, 10, 255, &value))
			return false;
		ret[i] = (uint8_t)value;
	}
	return at == len;
}

static bool parse_ipv6(const char *text, uint32_t len, uint8_t ret[16])
{
	uint32_t groups[8], count = 0, at = 0;
	uint32_t gap = 9; /* before which group "::" is; 9: nowhere */
	if (len >= 2 && text[0] == ':' && text[1] == ':') {
		gap = 0;
		at = 2;
	}
	while (at < len) {
		if (count == 8 || !parse_number(text, len, &at, 16, 0xffff, &groups[count++]))
			return false;
		if (at == len)
			break;
		if (text[at++] != ':' || at == len)
			return false;
		if (text[at] == ':') {
			if (gap != 9)
				return false;
			gap = count;
			at++;
		}
	}
	/* "::" stands for at least one group. */
	if (gap == 9 ? count != 8 : count == 8)
		return false;
	memset(ret, 0, 16);
	for (uint32_t i = 0; i < count; i++)
		frame_put_u16(ret + 2 * (i < gap ? i : 8 - count + i), groups[i]);
	return true;
}

bool frame_parse_address(const char *text, uint32_t len, uint8_t ret[16])
{
	uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff};
	if (!parse_ipv4(text, len, bytes + 12) && !parse_ipv6(text, len, bytes))
		return false;
	memcpy(ret, bytes, sizeof(bytes));
	return true;
}

bool frame_parse_prefix(const char *text, uint32_t len, uint8_t ret[16], uint8_t *ret_bits)
{
	const char *slash = memchr(text, '/', len);
	uint32_t address_len = slash == NULL ? len : (uint32_t)(slash - text), bits = 128;
	uint8_t address[16];
	if (!frame_parse_address(text, address_len, address))
		return false;
	if (slash != NULL) {
		uint32_t at = address_len + 1, max = frame_is_ipv4(address) ? 32 : 128;
		if (!parse_number(text, len, &at, 10, max, &bits) || at != len)
			return false;
		bits += 128 - max;
	}
	memcpy(ret, address, sizeof(address));
	*ret_bits = (uint8_t)bits;
	return true;
}

bool frame_prefix_has(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16])
{
	uint32_t bytes = bits / 8, rest = bits % 8;
	/* IPv4's addresses are none of ::/0, though they are written as if. */
	if (frame_is_ipv4(prefix) != frame_is_ipv4(address) || memcmp(prefix, address, bytes) != 0)
		return false;
	return rest == 0 || ((prefix[bytes] ^ address[bytes]) & (0xff00u >> rest) & 0xff) == 0;
}

bool frame_parse_mac(const char *text, uint32_t len, uint8_t ret[6])
{
	uint8_t mac[6];
	if (len != 17)
		return false;
	for (uint32_t i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(ret, mac, sizeof(mac));
	return true;
}
