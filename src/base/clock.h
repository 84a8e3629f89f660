/*
 * Time. Durations are unsigned nanoseconds; 584 years fit.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

#define EOS_NS_PER_US UINT64_C(1000)
#define EOS_NS_PER_MS UINT64_C(1000000)
#define EOS_NS_PER_S  UINT64_C(1000000000)

/* Monotonic time since boot. Any context, also signal. */
uint64_t eos_now_ns(void);
/* Wall-clock time since 1970 in UTC; may jump. Any context, also signal. */
uint64_t eos_wall_ns(void);

#define EOS_ISO8601_SIZE 25
/* "2026-11-22T01:02:03.456Z" and a NUL into OUT. */
void eos_format_iso8601(uint64_t wall_ns, char out[EOS_ISO8601_SIZE]);
/* A date, or a date and a time: "2026-11-22", "2026-11-22T01:02", with seconds, a fraction of them
 * and a zone ("Z", "+02:00"). Without a zone it is UTC, a date alone is its midnight. -EINVAL: not
 * of this form, or no such day; -ERANGE: before 1970 or beyond 64 bits. */
int eos_parse_iso8601(const char *text, uint64_t *ret_wall_ns) EOS_MUST_CHECK;
/* Days from 1970-01-01 to a day in or behind 1970. A month's 31st is the first of the next where it
 * has 30 days, and so on. */
uint64_t eos_days_of(unsigned year, unsigned month, unsigned day);
#define EOS_HTTP_DATE_SIZE 30
/* "Sun, 22 Nov 2026 01:02:03 GMT" and a NUL into OUT (RFC 9110, IMF-fixdate). */
void eos_format_http_date(uint64_t wall_ns, char out[EOS_HTTP_DATE_SIZE]);
