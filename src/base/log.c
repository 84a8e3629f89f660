#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

static _Atomic int level_max = EOS_LOG_INFO;
static const char *const level_names[] = {"error", "warn", "info", "debug"};

void eos_log_set_level(enum eos_log_level level)
{
	atomic_store_explicit(&level_max, (int)level, memory_order_relaxed);
}

int eos_log_parse_level(const char *name, enum eos_log_level *ret_level)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum eos_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void eos_log(enum eos_log_level level, const char *folder, const char *fmt, ...)
{
	if ((int)level > atomic_load_explicit(&level_max, memory_order_relaxed))
		return;
	char line[2048];
	char time[EOS_ISO8601_SIZE];
	eos_format_iso8601(eos_wall_ns(), time);
	size_t n =
		(size_t)snprintf(line, sizeof(line), "%s %s %s ", time, level_names[level], folder);
	va_list args;
	va_start(args, fmt);
	int text = vsnprintf(line + n, sizeof(line) - n - 1, fmt, args);
	va_end(args);
	if (text < 0)
		text = 0;
	size_t end = EOS_MIN(n + (size_t)text, sizeof(line) - 2);
	eos_make_printable(line + n, end - n);
	line[end] = '\n';
	/* One write a line, so that lines of several processes do not mix. A log that cannot be
	 * written must not stop the node: the result is not looked at. */
	ssize_t written = write(STDERR_FILENO, line, end + 1);
	(void)written;
}
