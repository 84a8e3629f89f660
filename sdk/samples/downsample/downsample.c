/*
 * downsample: sensor readings (CSV) to one line an hour, with minimum, mean and maximum of every
 * numeric column. Runs when an object is created: the event comes as JSON on standard input, the
 * object is /event/object, and the result is written with ordinary file calls into the directory
 * of another bucket. KEY.csv becomes KEY.hour.csv.
 *
 * Settings (environment; `config` in the manifest):
 *     PERIOD  hour (default), day or month: what one line of the result stands for
 *     OUTPUT  the directory for the result, /cooked
 *
 * Two arguments are input and output file; so it can be tried without a node:
 *     edgeos run --dir .::. build/samples/downsample.wasm in.csv out.csv
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "readings.h"

#define PATH_BYTES_MAX 2048

static const char *const period_names[] = {"hour", "day", "month"};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "downsample: %s: %s\n", what, why);
	return 1;
}

static bool find_period(const char *name, enum times_period *ret_period)
{
	for (int i = TIMES_HOUR; i <= TIMES_MONTH; i++)
		if (strcmp(name, period_names[i]) == 0) {
			*ret_period = (enum times_period)i;
			return true;
		}
	return false;
}

/* Writes the result whole or not at all: a file that is not closed without error is no object. */
static int write_result(const struct readings *readings, const char *path)
{
	FILE *out = event_open_result(path);

	if (!out)
		return fail(path, strerror(errno));
	readings_write(readings, out);
	if (ferror(out) || fclose(out) != 0)
		return fail(path, strerror(errno));
	return 0;
}

static int downsample(const char *name, const char *in_path, const char *out_path,
		      enum times_period period)
{
	static struct readings readings = {.time_column = READINGS_NO_COLUMN};
	FILE *in = fopen(in_path, "rb");

	if (!in)
		return fail(in_path, strerror(errno));
	if (!readings_read(&readings, period, in))
		return fail(name, strerror(errno));
	fclose(in);
	if (readings.rows_count == 0)
		return fail(name, "no line with a time in it: not a table of readings");
	if (write_result(&readings, out_path) != 0)
		return 1;
	printf("{\"lines\": %llu, \"bad_lines\": %llu, \"rows\": %zu}\n",
	       (unsigned long long)readings.lines, (unsigned long long)readings.bad_lines,
	       readings.rows_count);
	fprintf(stderr, "downsample: %s: %llu lines (%llu bad) became %zu\n", name,
		(unsigned long long)readings.lines, (unsigned long long)readings.bad_lines,
		readings.rows_count);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *period_name = getenv("PERIOD");
	const char *directory = getenv("OUTPUT");
	char path[PATH_BYTES_MAX], ending[16];
	enum times_period period = TIMES_HOUR;
	struct event event;

	if (period_name && !find_period(period_name, &period))
		return fail(period_name, "PERIOD must be hour, day or month");
	if (argc == 3)
		return downsample(argv[1], argv[1], argv[2], period);
	if (argc > 1)
		return fail("wrong use", "expected an event on standard input, or IN.csv OUT.csv");
	if (event_read(stdin, &event) != 0)
		return fail("standard input", "not an event of an object");
	snprintf(ending, sizeof(ending), ".%s.csv", period_names[period]);
	if (event_result_path(&event, directory ? directory : "/cooked", ending, path,
			      sizeof(path)) != 0)
		return fail(event.key, "the name of the result would be too long");
	return downsample(event.key, EVENT_OBJECT, path, period);
}
