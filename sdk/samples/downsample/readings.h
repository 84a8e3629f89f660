/*
 * A table of readings, from CSV of many makes, reduced to one row a period while it is read.
 *
 * Separators are comma, semicolon or tab, whichever the first line has most of; fields may be
 * quoted. The first line is a header unless it holds a time. The time is the first column that can
 * be read as one (times.h). Lines without a time, or with another number of fields than the first,
 * are counted as bad and left out. A column is numeric if most of its values are numbers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "times.h"

#define READINGS_COLUMNS_MAX 64
#define READINGS_NO_COLUMN   (-1)

struct row;

/* Zero but for time_column, which is READINGS_NO_COLUMN, before the first use. */
struct readings {
	char separator;
	int columns;	 /* 0 until the first line was seen */
	int time_column; /* READINGS_NO_COLUMN until a line had a time */
	char *names[READINGS_COLUMNS_MAX];
	uint64_t numbers[READINGS_COLUMNS_MAX], texts[READINGS_COLUMNS_MAX];
	struct row **rows; /* in order of time */
	size_t rows_count, rows_room;
	uint64_t lines, bad_lines; /* without header and empty lines */
};

/* Reads IN to its end. False: no memory or too many rows (ENOMEM), or a read error, in errno. */
bool readings_read(struct readings *readings, enum times_period period, FILE *in);
/* Writes a header and the rows: NAME_min, NAME_mean, NAME_max of every numeric column. */
void readings_write(const struct readings *readings, FILE *out);
