#include "cli/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"

#define MODULE_MAX (64u << 20)

int cli_path_beside(const char *manifest, const char *file, char *out, size_t size)
{
	const char *slash = strrchr(manifest, '/');
	int dir_len = file[0] == '/' || slash == NULL ? 0 : (int)(slash - manifest) + 1;
	int n = snprintf(out, size, "%.*s%s", dir_len, manifest, file);
	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

int cli_read_file(const char *path, size_t max, struct eos_buf *buf)
{
	int err = eos_read_file(AT_FDCWD, path, max, buf);
	if (err == -EFBIG)
		return cli_fail("%s: over the limit of %zu bytes", path, max);
	if (err < 0)
		return cli_fail("%s: %s", path, strerror(-err));
	return 0;
}

int cli_read_module(const char *path, struct eos_buf *buf)
{
	return cli_read_file(path, MODULE_MAX, buf);
}
