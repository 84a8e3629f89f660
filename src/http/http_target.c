#include "http/http_target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether one of eight bytes is a control character, a space or DEL. A byte that is less than the
 * limit borrows the top bit of its own place; what it borrows from the next can only be seen where
 * there is one already. */
static bool has_bad_byte(uint64_t eight)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
	uint64_t del = eight ^ (ones * 0x7f);
	return ((((eight - ones * 0x21) & ~eight) | ((del - ones) & ~del)) & tops) != 0;
}

static bool are_good(const char *text, size_t len)
{
	uint64_t eight;
	size_t i = 0;
	for (; len - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, text + i, sizeof(eight));
		if (has_bad_byte(eight))
			return false;
	}
	for (; i < len; i++)
		if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
			return false;
	return true;
}

int http_target_split(char *text, size_t len, const char **ret_path, const char **ret_query)
{
	if (len == 0 || text[0] != '/' || !are_good(text, len))
		return -EINVAL;
	char *mark = memchr(text, '?', len);
	if (mark != NULL)
		*mark = '\0';
	*ret_path = text;
	*ret_query = mark != NULL ? mark + 1 : text + len;
	return 0;
}
