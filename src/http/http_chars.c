#include "http/http_chars.h"

#define TOKEN HTTP_TOKEN
#define VALUE HTTP_VALUE

const uint8_t http_char_classes[256] = {
	['\t'] = VALUE,
	[' '] = VALUE,
	['"'] = VALUE,
	['('] = VALUE,
	[')'] = VALUE,
	[','] = VALUE,
	['/'] = VALUE,
	[':' ... '@'] = VALUE,
	['['] = VALUE,
	['\\'] = VALUE,
	[']'] = VALUE,
	['{'] = VALUE,
	['}'] = VALUE,
	[0x80 ... 0xff] = VALUE,
	['!'] = TOKEN | VALUE,
	['#' ... '\''] = TOKEN | VALUE,
	['*'] = TOKEN | VALUE,
	['+'] = TOKEN | VALUE,
	['-'] = TOKEN | VALUE,
	['.'] = TOKEN | VALUE,
	['0' ... '9'] = TOKEN | VALUE,
	['A' ... 'Z'] = TOKEN | VALUE,
	['^' ... 'z'] = TOKEN | VALUE,
	['|'] = TOKEN | VALUE,
	['~'] = TOKEN | VALUE,
};
