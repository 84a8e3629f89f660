/*
 * Dates of the Gregorian calendar without the C library's time zones, which a function has not.
 */
#include "times.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the
 * leap day comes last; 400 years have 146,097 days, and 719,468 lie between 0000-03-01 and 1970. */
static int64_t days_from_date(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

void times_date(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = yoe + era * 400 + (*ret_month <= 2);
}

/* Reads MIN to MAX digits at *P and moves it; -1 when there are fewer. */
static int64_t take_digits(const char **p, int min, int max)
{
	int64_t value = 0;
	int n = 0;

	for (; n < max && isdigit((unsigned char)**p); n++)
		value = value * 10 + (*(*p)++ - '0');
	return n < min ? -1 : value;
}

/* 31 April is the first of May to days_from_date(), so the way back tells. */
static bool is_date(int64_t year, int64_t month, int64_t day)
{
	int64_t same_year;
	int same_month, same_day;

	if (year < 1 || month < 1 || month > 12 || day < 1 || day > 31)
		return false;
	times_date(days_from_date(year, (int)month, (int)day), &same_year, &same_month, &same_day);
	return same_month == month && same_day == day;
}

/* "13:05", "13:05:00", "13:05:00.123", with "Z", "+02:00", "+0200", "+02" or nothing after it.
 * Seconds of the day in UTC; false when TEXT is anything else. */
static bool parse_clock(const char *text, int64_t *ret_seconds)
{
	const char *p = text;
	int64_t hour, minute, second = 0, zone = 0;

	hour = take_digits(&p, 1, 2);
	if (hour < 0 || hour > 24 || *p++ != ':')
		return false;
	minute = take_digits(&p, 2, 2);
	if (minute < 0 || minute > 59)
		return false;
	if (*p == ':') {
		p++;
		second = take_digits(&p, 2, 2);
		if (second < 0 || second > 60)
			return false;
		if (*p == '.' || *p == ',')
			for (p++; isdigit((unsigned char)*p);)
				p++;
	}
	while (*p == ' ')
		p++;
	if (*p == 'Z' || *p == 'z') {
		p++;
	} else if (*p == '+' || *p == '-') {
		int sign = *p++ == '-' ? -1 : 1;
		int64_t zone_hours = take_digits(&p, 2, 2), zone_minutes;

		if (*p == ':')
			p++;
		zone_minutes = *p ? take_digits(&p, 2, 2) : 0;
		if (zone_hours < 0 || zone_hours > 14 || zone_minutes < 0 || zone_minutes > 59)
			return false;
		zone = sign * (zone_hours * 60 + zone_minutes) * 60;
	}
	*ret_seconds = hour * 3600 + minute * 60 + second - zone;
	return *p == '\0';
}

/* "Jan" to 1 and so on; full names, too. Moves *P over the letters. 0: no month. */
static int take_month(const char **p)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	const char *q = *p;
	int month;

	for (month = 0; month < 12; month++) {
		const char *name = names + 3 * month;

		if (tolower((unsigned char)q[0]) == name[0] &&
		    tolower((unsigned char)q[1]) == name[1] &&
		    tolower((unsigned char)q[2]) == name[2])
			break;
	}
	if (month == 12)
		return 0;
	while (isalpha((unsigned char)**p))
		(*p)++;
	return month + 1;
}

/* The date at *P, moved over it. */
static bool take_date(const char **p, int64_t *ret_days)
{
	int64_t year, day, month;

	if (isalpha((unsigned char)**p)) { /* Jan 1 2000; Jan 1, 2000 */
		month = take_month(p);
		if (!month || *(*p)++ != ' ')
			return false;
		day = take_digits(p, 1, 2);
		if (**p == ',')
			(*p)++;
		if (*(*p)++ != ' ')
			return false;
		year = take_digits(p, 4, 4);
	} else { /* 2012-01-01; 2012/1/1 */
		char between;

		year = take_digits(p, 4, 4);
		between = **p;
		if (year < 0 || (between != '-' && between != '/'))
			return false;
		(*p)++;
		month = take_digits(p, 1, 2);
		if (*(*p)++ != between)
			return false;
		day = take_digits(p, 1, 2);
	}
	if (!is_date(year, month, day))
		return false;
	*ret_days = days_from_date(year, (int)month, (int)day);
	return true;
}

static bool name_says(const char *name, const char *word)
{
	size_t len = strlen(word);

	for (; *name; name++)
		if (strncasecmp(name, word, len) == 0)
			return true;
	return false;
}

bool times_parse(const char *name, const char *text, int64_t *ret_seconds)
{
	const char *p = text;
	int64_t days, clock = 0;
	size_t len = strlen(text);

	if (len && strspn(text, "0123456789") == len) {
		if (len == 4 && strcasecmp(name, "year") == 0) {
			*ret_seconds = days_from_date(atoi(text), 1, 1) * 86400;
			return true;
		}
		if ((len == 10 || len == 13) && (name_says(name, "time") || name_says(name, "ts") ||
						 name_says(name, "epoch"))) {
			*ret_seconds = strtoll(text, NULL, 10) / (len == 13 ? 1000 : 1);
			return true;
		}
		return false;
	}
	if (!take_date(&p, &days))
		return false;
	if (*p == 'T' || *p == 't' || *p == ' ') {
		if (!parse_clock(p + 1, &clock))
			return false;
	} else if (*p != '\0') {
		return false;
	}
	*ret_seconds = days * 86400 + clock;
	return true;
}

int64_t times_floor(int64_t value, int64_t unit)
{
	return (value >= 0 ? value / unit : -((-value + unit - 1) / unit)) * unit;
}

int64_t times_period_start(enum times_period period, int64_t seconds)
{
	int64_t year;
	int month, day;

	if (period == TIMES_HOUR)
		return times_floor(seconds, 3600);
	if (period == TIMES_DAY)
		return times_floor(seconds, 86400);
	times_date(times_floor(seconds, 86400) / 86400, &year, &month, &day);
	return days_from_date(year, month, 1) * 86400;
}
