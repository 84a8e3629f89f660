#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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

static void put_two(char *out, unsigned number)
{
	out[0] = (char)('0' + number / 10 % 10);
	out[1] = (char)('0' + number % 10);
}

/* Without printf, as each answer has one or two. */
void eos_format_http_date(uint64_t wall_ns, char out[EOS_HTTP_DATE_SIZE])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct date d = date_of(wall_ns);
	memcpy(out, "Day, 00 Mon 0000 00:00:00 GMT", EOS_HTTP_DATE_SIZE);
	memcpy(out, days + 3 * (size_t)d.weekday, 3);
	put_two(out + 5, d.day);
	memcpy(out + 8, months + 3 * (size_t)(d.month - 1), 3);
	put_two(out + 12, d.year / 100);
	put_two(out + 14, d.year);
	put_two(out + 17, d.hour);
	put_two(out + 20, d.minute);
	put_two(out + 23, d.second);
}

/* The inverse of date_of(), by the same author. */
uint64_t eos_days_of(unsigned year, unsigned month, unsigned day)
{
	unsigned y = year - (month <= 2);
	unsigned year_of_era = y % 400;
	unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return (uint64_t)(y / 400) * 146097 + day_of_era - 719468;
}

static unsigned days_of_month(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && is_leap);
}

/* Exactly COUNT digits at *TEXT, which moves behind them. */
static bool take_digits(const char **text, unsigned count, unsigned *ret_value)
{
	unsigned value = 0;
	for (; count > 0; count--, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		value = value * 10 + (unsigned)(**text - '0');
	}
	*ret_value = value;
	return true;
}

static bool take_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

/* "01:02", "01:02:03" or "01:02:03.456"; digits beyond nanoseconds are dropped. */
static bool take_time(const char **text, uint64_t *ret_ns)
{
	unsigned hour, minute, second = 0, digit;
	uint64_t fraction_ns = 0;
	if (!take_digits(text, 2, &hour) || !take_char(text, ':') ||
	    !take_digits(text, 2, &minute) || hour > 23 || minute > 59)
		return false;
	if (take_char(text, ':')) {
		if (!take_digits(text, 2, &second) || second > 59)
			return false;
		bool has_fraction = take_char(text, '.');
		if (has_fraction && (**text < '0' || **text > '9'))
			return false;
		for (uint64_t unit = EOS_NS_PER_S / 10;
		     has_fraction && take_digits(text, 1, &digit); unit /= 10)
			fraction_ns += digit * unit;
	}
	*ret_ns = (hour * 3600 + minute * 60 + second) * EOS_NS_PER_S + fraction_ns;
	return true;
}

/* "Z", "+02:00", "-05:30" or nothing: what must be added to reach UTC. */
static bool take_zone(const char **text, int64_t *ret_ns)
{
	unsigned hour, minute;
	bool is_east = **text == '+';
	*ret_ns = 0;
	if (take_char(text, 'Z') || **text == '\0')
		return true;
	if (!take_char(text, is_east ? '+' : '-') || !take_digits(text, 2, &hour) ||
	    !take_char(text, ':') || !take_digits(text, 2, &minute) || hour > 23 || minute > 59)
		return false;
	int64_t offset_ns = (int64_t)((hour * 3600 + minute * 60) * EOS_NS_PER_S);
	*ret_ns = is_east ? -offset_ns : offset_ns;
	return true;
}

int eos_parse_iso8601(const char *text, uint64_t *ret_wall_ns)
{
	unsigned year, month, day;
	uint64_t time_ns = 0;
	int64_t zone_ns = 0;
	if (!take_digits(&text, 4, &year) || !take_char(&text, '-') ||
	    !take_digits(&text, 2, &month) || !take_char(&text, '-') ||
	    !take_digits(&text, 2, &day) || month < 1 || month > 12 || day < 1 ||
	    day > days_of_month(year, month))
		return -EINVAL;
	if (take_char(&text, 'T') && (!take_time(&text, &time_ns) || !take_zone(&text, &zone_ns)))
		return -EINVAL;
	if (*text != '\0')
		return -EINVAL;
	/* 2554 is the last year that begins within 64 bits. */
	if (year < 1970 || year > 2554)
		return -ERANGE;
	uint64_t wall_ns;
	if (__builtin_mul_overflow(eos_days_of(year, month, day), 86400 * EOS_NS_PER_S, &wall_ns) ||
	    __builtin_add_overflow(wall_ns, time_ns, &wall_ns) ||
	    __builtin_add_overflow(wall_ns, zone_ns, &wall_ns))
		return -ERANGE;
	*ret_wall_ns = wall_ns;
	return 0;
}
