/*
 * The form of the JSON is a contract with those who compare runs: bench, machine, rows, ratios.
 */
#include "report.h"

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

void report_add_samples(struct report *report, const char *name, const char *unit,
			uint64_t *samples, size_t count)
{
	EOS_ASSERT(report->rows_count < REPORT_ROWS_MAX && count > 0);
	qsort(samples, count, sizeof(*samples), compare_u64);
	report->rows[report->rows_count++] = (struct report_row){
		.name = name,
		.unit = unit,
		.count = count,
		.p50 = samples[count / 2],
		.p99 = samples[count * 99 / 100],
	};
}

void report_add_skipped(struct report *report, const char *name, const char *why)
{
	EOS_ASSERT(report->rows_count < REPORT_ROWS_MAX);
	report->rows[report->rows_count++] = (struct report_row){.name = name, .skipped = why};
}

static const struct report_row *find_row(const struct report *report, const char *name)
{
	for (unsigned i = 0; i < report->rows_count; i++)
		if (strcmp(report->rows[i].name, name) == 0 && report->rows[i].skipped == NULL)
			return &report->rows[i];
	return NULL;
}

void report_add_ratio(struct report *report, const char *baseline, const char *ours, double must)
{
	const struct report_row *a = find_row(report, baseline), *b = find_row(report, ours);

	if (a == NULL || b == NULL || b->p50 == 0)
		return;
	EOS_ASSERT(report->ratios_count < REPORT_RATIOS_MAX);
	struct report_ratio *ratio = &report->ratios[report->ratios_count++];

	snprintf(ratio->name, sizeof(ratio->name), "%s/%s", baseline, ours);
	ratio->value = (double)a->p50 / (double)b->p50;
	ratio->must = must;
}

static bool ratio_is_ok(const struct report_ratio *ratio)
{
	return ratio->value >= ratio->must;
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

static void print_json(const struct report *report)
{
	struct eos_buf buf = {0};
	struct eos_json json = eos_json_begin(&buf);

	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "bench", report->bench);
	write_machine(&json);
	eos_json_open(&json, "rows", '[');
	for (unsigned i = 0; i < report->rows_count; i++) {
		const struct report_row *row = &report->rows[i];

		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, "name", row->name);
		if (row->skipped != NULL) {
			eos_json_text(&json, "skipped", row->skipped);
		} else {
			eos_json_text(&json, "unit", row->unit);
			eos_json_u64(&json, "n", row->count);
			eos_json_u64(&json, "p50", row->p50);
			eos_json_u64(&json, "p99", row->p99);
		}
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_open(&json, "ratios", '[');
	for (unsigned i = 0; i < report->ratios_count; i++) {
		const struct report_ratio *ratio = &report->ratios[i];

		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, "name", ratio->name);
		eos_json_f64(&json, "value", ratio->value);
		if (ratio->must > 0)
			eos_json_f64(&json, "must", ratio->must);
		eos_json_bool(&json, "ok", ratio_is_ok(ratio));
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	fwrite(buf.data, 1, buf.len, stdout);
	putchar('\n');
	eos_buf_fini(&buf);
}

static void print_table(const struct report *report)
{
	for (unsigned i = 0; i < report->rows_count; i++) {
		const struct report_row *row = &report->rows[i];

		if (row->skipped != NULL)
			printf("%-28s skipped: %s\n", row->name, row->skipped);
		else
			printf("%-28s p50 %10llu %s   p99 %10llu %s   n %zu\n", row->name,
			       (unsigned long long)row->p50, row->unit,
			       (unsigned long long)row->p99, row->unit, row->count);
	}
	for (unsigned i = 0; i < report->ratios_count; i++) {
		const struct report_ratio *ratio = &report->ratios[i];

		printf("%-40s %8.2f", ratio->name, ratio->value);
		if (ratio->must > 0)
			printf("   must be at least %g: %s", ratio->must,
			       ratio_is_ok(ratio) ? "ok" : "NOT REACHED");
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
