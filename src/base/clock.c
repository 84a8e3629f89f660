#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * EOS_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t eos_now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t eos_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

struct date {
	unsigned year, month, day, weekday; /* month and day from 1, Sunday is 0 */
	unsigned hour, minute, second;
};

/*
 * The civil date in UTC. Not gmtime_r(): the C library reads /etc/localtime on the way, which a
 * process that gave up the file system cannot. The calendar repeats every 400 years (146,097
 * days); years are counted from March, so that the leap day is the last of its year. The
 * arithmetic is H. Hinnant's, "chrono-Compatible Low-Level Date Algorithms", days to civil.
 */
static struct date date_of(uint64_t wall_ns)
{
	uint64_t seconds = wall_ns / EOS_NS_PER_S;
	unsigned days = (unsigned)(seconds / 86400); /* since 1970-01-01, a Thursday */
	unsigned second_of_day = (unsigned)(seconds % 86400);
	unsigned shifted = days + 719468; /* since 0000-03-01 */
	unsigned era = shifted / 146097;
	unsigned day_of_era = shifted % 146097;
	unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month = (5 * day_of_year + 2) / 153; /* 0 is March */
	return (struct date){
		.year = year_of_era + era * 400 + (month >= 10),
		.month = month < 10 ? month + 3 : month - 9,
		.day = day_of_year - (153 * month + 2) / 5 + 1,
		.weekday = (days + 4) % 7,
		.hour = second_of_day / 3600,
		.minute = second_of_day / 60 % 60,
		.second = second_of_day % 60,
	};
}

void eos_format_iso8601(uint64_t wall_ns, char out[EOS_ISO8601_SIZE])
{
	struct date d = date_of(wall_ns);
	snprintf(out, EOS_ISO8601_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", d.year % 10000,
		 d.month % 100, d.day % 100, d.hour % 100, d.minute % 100, d.second % 100,
		 (unsigned)(wall_ns / EOS_NS_PER_MS % 1000));
}

void eos_format_http_date(uint64_t wall_ns, char out[EOS_HTTP_DATE_SIZE])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct date d = date_of(wall_ns);
	snprintf(out, EOS_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
		 days + 3 * d.weekday, d.day % 100, months + 3 * (d.month - 1), d.year % 10000,
		 d.hour % 100, d.minute % 100, d.second % 100);
}
