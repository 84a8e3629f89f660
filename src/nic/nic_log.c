/*
 * DPDK writes to a FILE. Ours hands each line to eos_log(): nothing of it goes to standard output,
 * and its errors are repeated by peers as often as those like, so there is a limit a second.
 *
 * While a port is opened, or the environment made, the caller is the one who handles errors: they
 * are kept for its WHY, and logged for debugging only.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>

#include "base/clock.h"
#include "base/log.h"

#define LINES_A_SECOND 10u

/* Guarded by the FILE's own lock, under which write_lines() runs. */
static struct {
	FILE *file;
	uint64_t second;
	unsigned lines, dropped;
} dpdk_log;

static _Thread_local struct {
	bool is_kept;
	char text[200];
} kept;

static enum eos_log_level level_of(int level)
{
	if (level <= (int)RTE_LOG_ERR)
		return EOS_LOG_WARN;
	return level == (int)RTE_LOG_WARNING ? EOS_LOG_INFO : EOS_LOG_DEBUG;
}

static void log_line(enum eos_log_level level, const char *line, int len)
{
	uint64_t second = eos_now_ns() / EOS_NS_PER_S;
	if (level == EOS_LOG_DEBUG) {
		eos_log(level, "nic", "%.*s", len, line);
		return;
	}
	if (second != dpdk_log.second) {
		if (dpdk_log.dropped > 0)
			eos_log(EOS_LOG_WARN, "nic", "more lines of DPDK's were dropped count=%u",
				dpdk_log.dropped);
		dpdk_log.second = second;
		dpdk_log.lines = dpdk_log.dropped = 0;
	}
	if (dpdk_log.lines++ < LINES_A_SECOND)
		eos_log(level, "nic", "%.*s", len, line);
	else
		dpdk_log.dropped++;
}

static void take_line(const char *line, int len)
{
	enum eos_log_level level = level_of(rte_log_cur_msg_loglevel());
	if (level == EOS_LOG_WARN && kept.is_kept) {
		/* The first says why; those behind it, of its callers, say that. */
		if (kept.text[0] == '\0')
			(void)snprintf(kept.text, sizeof(kept.text), "%.*s", len, line);
		level = EOS_LOG_DEBUG;
	}
	log_line(level, line, len);
}

static ssize_t write_lines(void *cookie, const char *text, size_t size)
{
	for (size_t at = 0; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t len = end != NULL ? (size_t)(end - text) - at : size - at;
		if (len > 0)
			take_line(text + at, (int)EOS_MIN(len, (size_t)1024));
		at += len + 1;
	}
	return (ssize_t)size;
}

int nic_log_open(void)
{
	const cookie_io_functions_t functions = {.write = write_lines};
	dpdk_log.file = fopencookie(NULL, "w", functions);
	if (dpdk_log.file == NULL)
		return -ENOMEM;
	(void)setvbuf(dpdk_log.file, NULL, _IOLBF, 1024);
	int err = rte_openlog_stream(dpdk_log.file);
	if (err < 0) {
		(void)fclose(dpdk_log.file);
		dpdk_log.file = NULL;
	}
	return err < 0 ? -EIO : 0;
}

void nic_log_close(void)
{
	/* Threads of DPDK's may write until the end of the process, so the FILE stays. */
	(void)fflush(dpdk_log.file);
}

void nic_log_begin(void)
{
	kept.is_kept = true;
	kept.text[0] = '\0';
}

int nic_log_failed(struct eos_why *why, int err, const char *fmt, ...)
{
	char text[256];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	kept.is_kept = false;
	if (err == 0)
		return 0;
	if (kept.text[0] == '\0')
		return eos_why(why, err, "%s: %s", text, strerror(-err));
	return eos_why(why, err, "%s: %s (%s)", text, strerror(-err), kept.text);
}
