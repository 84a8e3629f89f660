/*
 * The form of the JSON is a contract with those who compare runs: bench, machine, rows, ratios.
 */
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/json.h"

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void add_row(struct report *report, struct report_row row)
{
	EOS_ASSERT(report->rows_count < REPORT_ROWS_MAX);
	report->rows[report->rows_count++] = row;
}

void report_add_sums(struct report *report, const char *name, const char *unit, uint64_t *samples,
		     size_t count, unsigned each)
{
	EOS_ASSERT(count > 0 && each > 0);
	qsort(samples, count, sizeof(*samples), compare_u64);
	add_row(report, (struct report_row){
				.name = name,
				.unit = unit,
				.count = count,
				.p50 = (double)samples[count / 2] / each,
				.p99 = (double)samples[count * 99 / 100] / each,
			});
}

void report_add_samples(struct report *report, const char *name, const char *unit,
			uint64_t *samples, size_t count)
{
	report_add_sums(report, name, unit, samples, count, 1);
}

void report_add_rate(struct report *report, const char *name, const char *unit, size_t count,
		     double rate)
{
	add_row(report,
		(struct report_row){
			.name = name, .unit = unit, .count = count, .is_rate = true, .rate = rate});
}

void report_add_skipped(struct report *report, const char *name, const char *why)
{
	struct report_row row = {.name = name, .is_skipped = true};

	snprintf(row.skipped, sizeof(row.skipped), "%s", why);
	add_row(report, row);
}

const struct report_row *report_find(const struct report *report, const char *name)
{
	for (unsigned i = 0; i < report->rows_count; i++)
		if (strcmp(report->rows[i].name, name) == 0 && !report->rows[i].is_skipped)
			return &report->rows[i];
	return NULL;
}

static void add_ratio(struct report *report, const char *name, double value, double must,
		      bool is_limit)
{
	EOS_ASSERT(report->ratios_count < REPORT_RATIOS_MAX);
	struct report_ratio *ratio = &report->ratios[report->ratios_count++];

	*ratio = (struct report_ratio){.value = value, .must = must, .is_limit = is_limit};
	snprintf(ratio->name, sizeof(ratio->name), "%s", name);
}

void report_add_least(struct report *report, const char *name, double value, double least)
{
	add_ratio(report, name, value, least, false);
}

void report_add_limit(struct report *report, const char *name, double value, double most)
{
	add_ratio(report, name, value, most, true);
}

void report_add_ratio(struct report *report, const char *baseline, const char *ours, double must)
{
	const struct report_row *a = report_find(report, baseline), *b = report_find(report, ours);
	char name[REPORT_NAME_SIZE];

	if (a == NULL || b == NULL)
		return;
	EOS_ASSERT(!a->is_rate && !b->is_rate);
	snprintf(name, sizeof(name), "%s/%s", baseline, ours);
	report_add_least(report, name, a->p50 / b->p50, must);
}

void report_add_rate_ratio(struct report *report, const char *ours, const char *baseline,
			   double must)
{
	const struct report_row *a = report_find(report, ours), *b = report_find(report, baseline);
	char name[REPORT_NAME_SIZE];

	if (a == NULL || b == NULL)
		return;
	EOS_ASSERT(a->is_rate && b->is_rate);
	snprintf(name, sizeof(name), "%s/%s", ours, baseline);
	report_add_least(report, name, a->rate / b->rate, must);
}

/* A value that is not a number is as bad as one out of bounds. */
static bool ratio_is_ok(const struct report_ratio *ratio)
{
	return ratio->is_limit ? ratio->value <= ratio->must : ratio->value >= ratio->must;
}

/* "model name" of /proc/cpuinfo, or the architecture where there is none. */
static void cpu_name(char *out, size_t size, const char *machine)
{
	char line[512];
	FILE *file = fopen("/proc/cpuinfo", "r");

	snprintf(out, size, "%s", machine);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		const char *colon = strchr(line, ':');

		if (strncmp(line, "model name", 10) != 0 || colon == NULL)
			continue;
		colon += 1 + strspn(colon + 1, " ");
		snprintf(out, size, "%.*s", (int)strcspn(colon, "\n"), colon);
		break;
	}
	if (file != NULL)
		fclose(file);
}

static void write_machine(struct eos_json *json)
{
	struct utsname name;
	char cpu[256];

	EOS_ASSERT(uname(&name) == 0);
	cpu_name(cpu, sizeof(cpu), name.machine);
	eos_json_open(json, "machine", '{');
	eos_json_text(json, "cpu", cpu);
	eos_json_u64(json, "cores", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	eos_json_text(json, "kernel", name.release);
	eos_json_close(json, '}');
}

/* Whole numbers where no digit that counts is lost. */
static void write_number(struct eos_json *json, const char *key, double value)
{
	if (value >= 1000 || value == floor(value))
		eos_json_u64(json, key, (uint64_t)llround(value));
	else
		eos_json_f64(json, key, value);
}

static void write_row(struct eos_json *json, const struct report_row *row)
{
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "name", row->name);
	if (row->is_skipped) {
		eos_json_text(json, "skipped", row->skipped);
	} else {
		eos_json_text(json, "unit", row->unit);
		eos_json_u64(json, "n", row->count);
		if (row->is_rate) {
			write_number(json, "rate", row->rate);
		} else {
			write_number(json, "p50", row->p50);
			write_number(json, "p99", row->p99);
		}
	}
	eos_json_close(json, '}');
}

static void write_ratio(struct eos_json *json, const struct report_ratio *ratio)
{
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "name", ratio->name);
	eos_json_f64(json, "value", ratio->value);
	if (ratio->must > 0)
		eos_json_f64(json, "must", ratio->must);
	eos_json_bool(json, "ok", ratio_is_ok(ratio));
	eos_json_close(json, '}');
}

static void print_json(const struct report *report)
{
	struct eos_buf buf = {0};
	struct eos_json json = eos_json_begin(&buf);

	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "bench", report->bench);
	write_machine(&json);
	eos_json_open(&json, "rows", '[');
	for (unsigned i = 0; i < report->rows_count; i++)
		write_row(&json, &report->rows[i]);
	eos_json_close(&json, ']');
	eos_json_open(&json, "ratios", '[');
	for (unsigned i = 0; i < report->ratios_count; i++)
		write_ratio(&json, &report->ratios[i]);
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	fwrite(buf.data, 1, buf.len, stdout);
	putchar('\n');
	eos_buf_fini(&buf);
}

static void print_row(const struct report_row *row)
{
	if (row->is_skipped)
		printf("%-28s skipped: %s\n", row->name, row->skipped);
	else if (row->is_rate)
		printf("%-28s %14.0f %s   n %zu\n", row->name, row->rate, row->unit, row->count);
	else
		printf("%-28s p50 %10.*f %s   p99 %10.*f %s   n %zu\n", row->name,
		       row->p50 < 100 ? 1 : 0, row->p50, row->unit, row->p99 < 100 ? 1 : 0,
		       row->p99, row->unit, row->count);
}

static void print_table(const struct report *report)
{
	for (unsigned i = 0; i < report->rows_count; i++)
		print_row(&report->rows[i]);
	for (unsigned i = 0; i < report->ratios_count; i++) {
		const struct report_ratio *ratio = &report->ratios[i];

		printf("%-40s %10.2f", ratio->name, ratio->value);
		if (ratio->must > 0)
			printf("   must be at %s %g: %s", ratio->is_limit ? "most" : "least",
			       ratio->must, ratio_is_ok(ratio) ? "ok" : "NOT REACHED");
		putchar('\n');
	}
}

bool report_print(const struct report *report, bool as_json)
{
	bool is_ok = true;

	if (as_json)
		print_json(report);
	else
		print_table(report);
	for (unsigned i = 0; i < report->ratios_count; i++)
		is_ok = is_ok && ratio_is_ok(&report->ratios[i]);
	return is_ok;
}
