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

void eos_format_iso8601(uint64_t wall_ns, char out[EOS_ISO8601_SIZE])
{
	time_t seconds = (time_t)(wall_ns / EOS_NS_PER_S);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	char date[20];
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
	unsigned ms = (unsigned)(wall_ns / EOS_NS_PER_MS % 1000);
	snprintf(out, EOS_ISO8601_SIZE, "%s.%03uZ", date, ms);
}

void eos_format_http_date(uint64_t wall_ns, char out[EOS_HTTP_DATE_SIZE])
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t seconds = (time_t)(wall_ns / EOS_NS_PER_S);
	struct tm t;
	gmtime_r(&seconds, &t);
	snprintf(out, EOS_HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
		 days + 3 * t.tm_wday, (unsigned)t.tm_mday % 100, months + 3 * t.tm_mon,
		 (unsigned)(t.tm_year + 1900) % 10000, (unsigned)t.tm_hour % 100,
		 (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
}
