/*
 * The log: one line an event on standard error, `time level folder event key=value …`.
 *
 * Whoever handles an error logs it, once. Per-packet and per-invocation code never logs: it
 * counts (base/counter.h). Values that come from outside are written with %s through
 * eos_log, which replaces control characters, so that nobody can forge a line.
 * Any thread; not from a signal handler.
 */
#pragma once

#include "base/macros.h"

enum eos_log_level { EOS_LOG_ERROR, EOS_LOG_WARN, EOS_LOG_INFO, EOS_LOG_DEBUG };

/* FOLDER is the folder under src/ that speaks. The text is cut at 2 KiB. */
void eos_log(enum eos_log_level level, const char *folder, const char *fmt, ...) EOS_PRINTF(3, 4);

/* What is less important than LEVEL is dropped. The default is EOS_LOG_INFO. */
void eos_log_set_level(enum eos_log_level level);

/* "error", "warn", "info" or "debug"; anything else: -EINVAL. */
int eos_log_parse_level(const char *name, enum eos_log_level *ret_level) EOS_MUST_CHECK;
