/*
 * What a bench prints: rows of measured times and rates, and ratios of them, as JSON or as a table
 * for people. bench/lib.py is the same for benches in Python.
 *
 * A row is what was measured, of us or of a baseline. A ratio is a claim about rows, with its bound
 * if it has one: most are how many times better we are than a baseline and have a least value,
 * some are values that must not be exceeded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_ROWS_MAX	  32
#define REPORT_RATIOS_MAX 32
#define REPORT_NAME_SIZE  64

struct report_row {
	const char *name, *unit; /* static */
	size_t count;
	bool is_rate; /* RATE counts, not P50 and P99 */
	double p50, p99, rate;
	bool is_skipped;
	char skipped[192]; /* why it could not run */
};

struct report_ratio {
	char name[REPORT_NAME_SIZE];
	double value, must; /* must 0: no bound */
	bool is_limit;	    /* VALUE must be at most MUST, not at least */
};

struct report {
	const char *bench;
	struct report_row rows[REPORT_ROWS_MAX];
	struct report_ratio ratios[REPORT_RATIOS_MAX];
	unsigned rows_count, ratios_count;
};

/* Sorts SAMPLES and adds their row. NAMEs and UNITs are static. */
void report_add_samples(struct report *report, const char *name, const char *unit,
			uint64_t *samples, size_t count);
/* The same for samples that are each the sum of EACH times, where one is too short to be measured:
 * the percentiles are those of their means. */
void report_add_sums(struct report *report, const char *name, const char *unit, uint64_t *samples,
		     size_t count, unsigned each);
/* COUNT things done at RATE of UNIT ("1/s"). */
void report_add_rate(struct report *report, const char *name, const char *unit, size_t count,
		     double rate);
/* WHY is copied, and cut where it is long. */
void report_add_skipped(struct report *report, const char *name, const char *why);

/*
 * Ratios of rows; nothing is added where one of the two did not run. MUST 0: no bound.
 */

/* "BASELINE/OURS": p50 of row BASELINE divided by p50 of row OURS. */
void report_add_ratio(struct report *report, const char *baseline, const char *ours, double must);
/* "OURS/BASELINE": rate of row OURS divided by that of BASELINE. */
void report_add_rate_ratio(struct report *report, const char *ours, const char *baseline,
			   double must);

/* A value of the bench's own that must be at least LEAST, or at most MOST. */
void report_add_least(struct report *report, const char *name, double value, double least);
void report_add_limit(struct report *report, const char *name, double value, double most);

/* The row that ran under NAME, or NULL. Valid until the next row is added. */
const struct report_row *report_find(const struct report *report, const char *name);
/* Prints to standard output. True when every ratio is as it must be. */
bool report_print(const struct report *report, bool as_json);
