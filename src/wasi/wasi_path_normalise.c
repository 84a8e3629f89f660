#include <errno.h>
#include <string.h>

#include "wasi/wasi_priv.h"

/* Takes the last component of OUT[0..LEN) away; returns the new length, or -EPERM. */
static long drop_component(const char *out, size_t len)
{
	if (len == 0)
		return -EPERM;
	while (len > 0 && out[len - 1] != '/')
		len--;
	return len > 0 ? (long)len - 1 : 0;
}

int wasi_path_normalise(const char *path, size_t len, char *out, bool *ret_is_directory)
{
	if (len == 0)
		return -ENOENT;
	if (len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	if (memchr(path, '\0', len) != NULL)
		return -EINVAL;
	if (path[0] == '/')
		return -EPERM;
	/* What is written never gets ahead of what is read, so OUT may be PATH. */
	bool is_directory = false;
	size_t used = 0;
	for (size_t at = 0; at < len;) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t end = slash != NULL ? (size_t)(slash - path) : len;
		size_t size = end - at;
		if (size == 0 || (size == 1 && path[at] == '.')) {
			is_directory = true;
		} else if (size == 2 && path[at] == '.' && path[at + 1] == '.') {
			long left = drop_component(out, used);
			if (left < 0)
				return (int)left;
			used = (size_t)left;
			is_directory = true;
		} else {
			if (used > 0)
				out[used++] = '/';
			memmove(out + used, path + at, size);
			used += size;
			is_directory = slash != NULL && end + 1 == len;
		}
		at = end + 1;
	}
	out[used] = '\0';
	*ret_is_directory = is_directory;
	return 0;
}
