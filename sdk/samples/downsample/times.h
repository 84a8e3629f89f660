/*
 * Times in the words that files of measurements use, as seconds since 1970 in UTC.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum times_period { TIMES_HOUR, TIMES_DAY, TIMES_MONTH };

/*
 * ISO 8601 with or without a zone ("2012-01-01", "2012-01-01T13:05:00+02:00"; without one it is
 * UTC), "2012/01/01 13:05", "Jan 1 2000". Digits alone are a time only where NAME, the column's,
 * says so: four in a "year"; ten or thirteen (seconds or milliseconds since 1970) in a "time",
 * "ts" or "epoch". False: TEXT is no time.
 */
bool times_parse(const char *name, const char *text, int64_t *ret_seconds);

/* When the period that SECONDS lies in began. */
int64_t times_period_start(enum times_period period, int64_t seconds);
/* VALUE rounded down to a multiple of UNIT. */
int64_t times_floor(int64_t value, int64_t unit);
/* The date that is DAYS after 1970-01-01. */
void times_date(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
