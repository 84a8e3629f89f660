/*
 * The input is read once, line by line, and may be in any order; the rows are an array in order of
 * time, because readings come in order more often than not and the result has to be.
 */
#include "readings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 65536
#define ROWS_MAX       1000000
#define NO_COLUMN      READINGS_NO_COLUMN
#define COLUMNS_MAX    READINGS_COLUMNS_MAX

struct value {
	double min, max, sum;
	uint64_t count;
};

/* One period, with a struct value a column. */
struct row {
	int64_t start_s;
	struct value values[];
};

static bool parse_number(const char *text, double *ret_value)
{
	char *end;

	/* strtod would take "nan", "inf" and hexadecimal numbers as well. */
	if (!*text || text[strspn(text, "+-.0123456789eE")] != '\0')
		return false;
	*ret_value = strtod(text, &end);
	return *end == '\0' && isfinite(*ret_value);
}

/* Splits LINE in place into FIELDS, trimmed and unquoted. Returns their number, or -1: too many,
 * or a quote is not closed. */
static int split_line(char *line, char separator, char *fields[COLUMNS_MAX])
{
	char *in = line;
	int count = 0;

	for (;;) {
		char *out, *start;

		if (count == COLUMNS_MAX)
			return -1;
		while (*in == ' ')
			in++;
		start = out = in;
		if (*in == '"') {
			for (in++; *in && (*in != '"' || in[1] == '"'); *out++ = *in++)
				if (*in == '"')
					in++;
			if (*in++ != '"')
				return -1;
		}
		while (*in && *in != separator)
			*out++ = *in++;
		while (out > start && out[-1] == ' ')
			out--;
		fields[count++] = start;
		if (!*in) {
			*out = '\0';
			return count;
		}
		in++;
		*out = '\0';
	}
}

/* Whichever of comma, semicolon and tab is most frequent in the first line. */
static char find_separator(const char *line)
{
	static const char candidates[] = ",;\t";
	size_t best_count = 0;
	char best = ',';

	for (const char *candidate = candidates; *candidate; candidate++) {
		size_t count = 0;

		for (const char *p = line; *p; p++)
			count += *p == *candidate;
		if (count > best_count) {
			best_count = count;
			best = *candidate;
		}
	}
	return best;
}

static int find_time_column(const struct readings *readings, char *fields[], int count)
{
	int64_t seconds;

	for (int i = 0; i < count; i++)
		if (times_parse(readings->names[i] ? readings->names[i] : "", fields[i], &seconds))
			return i;
	return NO_COLUMN;
}

/* The row of START, made if it is not there. NULL: no memory, or too many rows. */
static struct row *readings_row(struct readings *readings, int64_t start)
{
	size_t low = 0, high = readings->rows_count;
	struct row *row;

	/* Readings come in order more often than not: look at the end first. */
	if (high && readings->rows[high - 1]->start_s < start)
		low = high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (readings->rows[middle]->start_s < start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < readings->rows_count && readings->rows[low]->start_s == start)
		return readings->rows[low];
	if (readings->rows_count == ROWS_MAX)
		return NULL;
	if (readings->rows_count == readings->rows_room) {
		size_t room = readings->rows_room ? readings->rows_room * 2 : 256;
		struct row **rows = realloc(readings->rows, room * sizeof(*rows));

		if (!rows)
			return NULL;
		readings->rows = rows;
		readings->rows_room = room;
	}
	row = calloc(1, sizeof(*row) + (size_t)readings->columns * sizeof(row->values[0]));
	if (!row)
		return NULL;
	row->start_s = start;
	memmove(readings->rows + low + 1, readings->rows + low,
		(readings->rows_count - low) * sizeof(struct row *));
	readings->rows[low] = row;
	readings->rows_count++;
	return row;
}

static void value_add(struct value *value, double number)
{
	if (!value->count || number < value->min)
		value->min = number;
	if (!value->count || number > value->max)
		value->max = number;
	value->sum += number;
	value->count++;
}

/* Takes the names from a header, or makes some up where the first line holds a time already.
 * Returns 1 when the line was a header, 0 when it is data, -1 without memory. */
static int readings_begin(struct readings *readings, char *fields[], int count)
{
	bool is_header = find_time_column(readings, fields, count) == NO_COLUMN;

	readings->columns = count;
	for (int i = 0; i < count; i++) {
		char made_up[16];

		snprintf(made_up, sizeof(made_up), "c%d", i + 1);
		readings->names[i] = strdup(is_header && *fields[i] ? fields[i] : made_up);
		if (!readings->names[i])
			return -1;
	}
	return is_header;
}

/* One line of the input. False: no memory. */
static bool readings_add(struct readings *readings, enum times_period period, char *line)
{
	char *fields[COLUMNS_MAX];
	struct row *row;
	int64_t seconds;
	int count;

	if (!readings->columns)
		readings->separator = find_separator(line);
	count = split_line(line, readings->separator, fields);
	if (!readings->columns && count > 0) {
		int header = readings_begin(readings, fields, count);

		if (header)
			return header > 0;
	}
	readings->lines++;
	if (readings->time_column == NO_COLUMN && count == readings->columns)
		readings->time_column = find_time_column(readings, fields, count);
	if (count != readings->columns || readings->time_column == NO_COLUMN ||
	    !times_parse(readings->names[readings->time_column], fields[readings->time_column],
			 &seconds)) {
		readings->bad_lines++;
		return true;
	}
	row = readings_row(readings, times_period_start(period, seconds));
	if (!row)
		return false;
	for (int i = 0; i < count; i++) {
		double number;

		if (i == readings->time_column || !*fields[i])
			continue;
		if (parse_number(fields[i], &number)) {
			value_add(&row->values[i], number);
			readings->numbers[i]++;
		} else {
			readings->texts[i]++;
		}
	}
	return true;
}

bool readings_read(struct readings *readings, enum times_period period, FILE *in)
{
	static char line[LINE_BYTES_MAX];
	bool is_first = true;

	while (fgets(line, sizeof(line), in)) {
		size_t len = strlen(line);
		char *start = line;

		if (len == sizeof(line) - 1 && line[len - 1] != '\n') {
			int c;

			while ((c = getc(in)) != EOF && c != '\n')
				;
			readings->lines++;
			readings->bad_lines++;
			continue;
		}
		while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (is_first && strncmp(line, "\xef\xbb\xbf", 3) == 0)
			start += 3;
		is_first = false;
		if (!*start)
			continue;
		if (!readings_add(readings, period, start)) {
			errno = ENOMEM;
			return false;
		}
	}
	return !ferror(in);
}

static bool column_is_numeric(const struct readings *readings, int i)
{
	return i != readings->time_column && readings->numbers[i] > readings->texts[i];
}

static void write_name(FILE *out, const char *name, const char *suffix)
{
	bool quote = name[strcspn(name, ",\"\r\n")] != '\0';

	fputs(quote ? ",\"" : ",", out);
	for (; *name; name++) {
		if (*name == '"')
			putc('"', out);
		putc(*name, out);
	}
	fprintf(out, "_%s%s", suffix, quote ? "\"" : "");
}

void readings_write(const struct readings *readings, FILE *out)
{
	fputs("time", out);
	for (int i = 0; i < readings->columns; i++) {
		if (!column_is_numeric(readings, i))
			continue;
		write_name(out, readings->names[i], "min");
		write_name(out, readings->names[i], "mean");
		write_name(out, readings->names[i], "max");
	}
	putc('\n', out);
	for (size_t r = 0; r < readings->rows_count; r++) {
		const struct row *row = readings->rows[r];
		int64_t days = times_floor(row->start_s, 86400) / 86400, year;
		int month, day;

		times_date(days, &year, &month, &day);
		fprintf(out, "%04lld-%02d-%02dT%02d:00:00Z", (long long)year, month, day,
			(int)((row->start_s - days * 86400) / 3600));
		for (int i = 0; i < readings->columns; i++) {
			const struct value *value = &row->values[i];

			if (!column_is_numeric(readings, i))
				continue;
			if (value->count)
				fprintf(out, ",%.10g,%.10g,%.10g", value->min,
					value->sum / (double)value->count, value->max);
			else
				fputs(",,,", out);
		}
		putc('\n', out);
	}
}
