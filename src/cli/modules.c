#include "cli/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/cli.h"
#include "click/click_build.h"

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
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0}, errors = {0};
	struct eos_why why = {""};
	const char *work_dir = getenv("TMPDIR");
	if (!eos_str_ends_with(path, ".click"))
		return cli_read_file(path, MODULE_MAX, buf);
	int code = cli_read_file(path, CLICK_CONFIG_BYTES_MAX, &text);
	if (code != 0)
		return code;
	int err = click_build(path, text.len > 0 ? text.data : "", text.len,
			      work_dir == NULL || work_dir[0] == '\0' ? "/tmp" : work_dir, buf,
			      &errors, &why);
	if (err == 0)
		return 0;
	/* A line for each mistake. */
	if (errors.len > 0)
		fputs(errors.data, stderr);
	return cli_fail("%s", errors.len > 0 ? "nothing was changed" : why.text);
}
