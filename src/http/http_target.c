#include "http/http_target.h"

#include <errno.h>
#include <string.h>

int http_target_split(char *text, size_t len, const char **ret_path, const char **ret_query)
{
	if (len == 0 || text[0] != '/')
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c <= 0x20 || c == 0x7f)
			return -EINVAL;
	}
	char *mark = memchr(text, '?', len);
	if (mark != NULL)
		*mark = '\0';
	*ret_path = text;
	*ret_query = mark != NULL ? mark + 1 : text + len;
	return 0;
}
