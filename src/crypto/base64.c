/*
 * Base64 with padding. Decoding is strict: groups of four, padding only at the end, and the bits
 * that padding leaves over must be zero, so that each byte string has exactly one text.
 */
#include "crypto/crypto.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void crypto_base64_encode(const void *data, size_t len, char *out)
{
	const uint8_t *in = data;
	for (; len >= 3; len -= 3, in += 3) {
		*out++ = alphabet[in[0] >> 2];
		*out++ = alphabet[(in[0] & 3) << 4 | in[1] >> 4];
		*out++ = alphabet[(in[1] & 15) << 2 | in[2] >> 6];
		*out++ = alphabet[in[2] & 63];
	}
	if (len > 0) {
		unsigned second = len == 2 ? in[1] : 0;
		*out++ = alphabet[in[0] >> 2];
		*out++ = alphabet[(in[0] & 3u) << 4 | second >> 4];
		*out++ = len == 2 ? alphabet[(second & 15) << 2] : '=';
		*out++ = '=';
	}
	*out = '\0';
}

static int digit_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* The four digits at TEXT, of which the last PADDING are '='; into OUT. */
static int decode_group(const char *text, int padding, uint8_t *out)
{
	uint32_t bits = 0;
	for (int i = 0; i < 4; i++) {
		int value = i >= 4 - padding ? 0 : digit_value(text[i]);
		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
	}
	if ((bits & ((1u << (8 * padding)) - 1)) != 0)
		return -EINVAL;
	for (int i = 0; i < 3 - padding; i++)
		out[i] = (uint8_t)(bits >> (16 - 8 * i));
	return 3 - padding;
}

long crypto_base64_decode(const char *text, size_t len, uint8_t *out)
{
	if (len % 4 != 0)
		return -EINVAL;
	long total = 0;
	for (size_t i = 0; i < len; i += 4) {
		int padding = 0;
		if (i + 4 == len && text[i + 3] == '=')
			padding = text[i + 2] == '=' ? 2 : 1;
		int n = decode_group(text + i, padding, out + total);
		if (n < 0)
			return n;
		total += n;
	}
	return total;
}
