/*
 * What a byte of a head may be part of (RFC 9110, 5.5 and 5.6.2). A table, because each byte of
 * each request and of each answer's head is looked up.
 */
#pragma once

#include <stdint.h>

#define HTTP_TOKEN 1u /* of a name or method */
#define HTTP_VALUE 2u /* of a header's value: no controls but HTAB */

/* NUL is of no class. */
extern const uint8_t http_char_classes[256];

/* The first byte from TEXT on that is not of CLASS. */
static inline const char *http_skip(const char *text, unsigned class)
{
	while ((http_char_classes[(unsigned char)*text] & class) != 0)
		text++;
	return text;
}
