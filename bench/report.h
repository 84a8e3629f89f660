/*
 * What a bench prints: rows of measured times and ratios of them, as JSON or as a table for people.
 * bench/lib.py is the same for benches in Python.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_ROWS_MAX	  16
#define REPORT_RATIOS_MAX 16

struct report_row {
	const char *name, *unit; /* static */
	size_t count;
	uint64_t p50, p99;
	const char *skipped; /* why it could not run; NULL: it ran */
};

struct report_ratio {
	char name[64];
	double value, must; /* must 0: none */
};

struct report {
	const char *bench;
	struct report_row rows[REPORT_ROWS_MAX];
	struct report_ratio ratios[REPORT_RATIOS_MAX];
	unsigned rows_count, ratios_count;
};

/* Sorts SAMPLES and adds their row. */
void report_add_samples(struct report *report, const char *name, const char *unit,
			uint64_t *samples, size_t count);
void report_add_skipped(struct report *report, const char *name, const char *why);
/* p50 of row BASELINE divided by p50 of row OURS; nothing where one of them did not run. */
void report_add_ratio(struct report *report, const char *baseline, const char *ours, double must);
/* Prints to standard output. True when every ratio is as it must be. */
bool report_print(const struct report *report, bool as_json);
