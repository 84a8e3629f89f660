/*
 * Bench "density": the memory of one that waits, having computed a little and written to two pages.
 *
 *     fork_pss         a process: a static program (musl) is started once and forks; the
 *                      proportional set size of its children, so that what they share counts once
 *     fork_pss_tables  the same with their page tables, as they are counted for us
 *     fwp_rss          an FWP with a linear memory of 64 KiB, blocked in a host call: what the
 *                      resident set and the page tables of the process grow by, per FWP
 *
 * A process also has a stack and more in the kernel, which is not counted here. A sample of fwp_rss
 * is the mean of a part of the FWPs; the bound is on the mean of all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "bench.h"
#include "fwp/fwp.h"
#include "fwp/fwp_template.h"
#include "guest.h"
#include "process.h"
#include "report.h"
#include "samples.h"

#define PROCESSES	300u
#define PROCESSES_QUICK 3u
#define FWPS		10000u
#define FWPS_QUICK	200u
#define GROUPS		20u
#define KIB_MOST	40
#define PROC_BYTES_MAX	(64u << 10)

struct density {
	struct bench *bench;
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct fwp_template *template;
	struct fwp *fwps[FWPS];
	unsigned alive;
};

/* The line "KEY: N kB" of a file in /proc, in bytes. */
static int read_kib(const char *path, const char *key, uint64_t *ret_bytes, struct eos_why *why)
{
	struct eos_buf buf EOS_CLEANUP(eos_buf_fini);

	eos_buf_init(&buf);
	int err = eos_read_file(AT_FDCWD, path, PROC_BYTES_MAX, &buf);

	if (err < 0)
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	char *line = strstr(buf.data, key);

	if (line == NULL)
		return eos_why(why, -EPROTO, "%s has no \"%s\"", path, key);
	*ret_bytes = strtoull(line + strlen(key), NULL, 10) * 1024;
	return 0;
}

static int own_bytes(uint64_t *ret_bytes, struct eos_why *why)
{
	uint64_t resident = 0, tables = 0;
	int err = read_kib("/proc/self/smaps_rollup", "\nRss:", &resident, why);

	if (err == 0)
		err = read_kib("/proc/self/status", "\nVmPTE:", &tables, why);
	if (err == 0)
		*ret_bytes = resident + tables;
	return err;
}

static void host_wait(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	fwp_block(fwp);
	fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "wait", ":", (void (*)(void))host_wait}};

static int add_fwps(struct density *density, unsigned count, struct eos_why *why)
{
	for (unsigned i = 0; i < count; i++) {
		struct fwp *fwp;
		int err = fwp_new_from(density->template, NULL, NULL, &fwp, why);

		if (err < 0)
			return err;
		density->fwps[density->alive++] = fwp;
		if (fwp_run(fwp) != FWP_BLOCKED)
			return eos_why(why, -EIO, "the guest did not wait as it should");
	}
	return 0;
}

static int measure_fwps(struct density *density, unsigned count, struct samples *samples,
			struct eos_why *why)
{
	uint64_t first, before, after;
	/* Once for what is made at the first use of anything. */
	int err = own_bytes(&before, why);

	if (err == 0)
		err = own_bytes(&before, why);
	first = after = before;
	while (density->alive < count && err == 0) {
		err = add_fwps(density, count / GROUPS, why);
		if (err == 0)
			err = own_bytes(&after, why);
		if (err < 0)
			return err;
		samples_add(samples, (after - before) / (count / GROUPS));
		before = after;
	}
	if (err < 0)
		return err;
	report_add_samples(&density->bench->report, "fwp_rss", "B", samples->values,
			   samples->count);
	report_add_limit(&density->bench->report, "fwp_rss_kib",
			 (double)(after - first) / count / 1024, KIB_MOST);
	return 0;
}

static int with_fwps(struct bench *bench, struct samples *samples, struct eos_why *why)
{
	static struct density density;
	unsigned count = bench_count(bench, FWPS, FWPS_QUICK);
	struct fwp_engine_config config = {.fwps_max = count + 1};

	density.bench = bench;
	int err = guest_make(bench, "idle", imports, EOS_ARRAY_SIZE(imports), &density.image, why);

	if (err == 0)
		err = fwp_engine_new(&config, &density.engine, why);
	if (err == 0)
		err = fwp_template_new(density.engine, density.image, NULL, NULL, &density.template,
				       why);
	if (err == 0)
		err = measure_fwps(&density, count, samples, why);
	while (density.alive > 0)
		fwp_free(density.fwps[--density.alive]);
	fwp_template_unref(density.template);
	fwp_engine_free(density.engine);
	fwp_image_unref(density.image);
	return err;
}

static int process_bytes(pid_t pid, uint64_t *ret_pss, uint64_t *ret_tables, struct eos_why *why)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", (long)pid);
	int err = read_kib(path, "\nPss:", ret_pss, why);

	if (err < 0)
		return err;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	return read_kib(path, "\nVmPTE:", ret_tables, why);
}

/* The program names its children one by one, each when it is as it stays. */
static int measure_children(int fd, unsigned count, struct samples *pss, struct samples *all,
			    struct eos_why *why)
{
	int32_t pids[PROCESSES];
	int err = eos_read_full(fd, pids, count * sizeof(pids[0]));

	if (err < 0)
		return eos_why(why, err, "density_child: %s", strerror(-err));
	for (unsigned i = 0; i < count; i++) {
		uint64_t bytes, tables;

		err = process_bytes(pids[i], &bytes, &tables, why);
		if (err < 0)
			return err;
		samples_add(pss, bytes);
		samples_add(all, bytes + tables);
	}
	return 0;
}

static int with_processes(struct bench *bench, struct samples *pss, struct samples *all,
			  struct eos_why *why)
{
	unsigned count = bench_count(bench, PROCESSES, PROCESSES_QUICK);
	char program[BENCH_PATH_SIZE], count_text[16];
	struct eos_why missing = {0};
	struct process process;

	snprintf(count_text, sizeof(count_text), "%u", count);
	if (bench_find("density_child", program, &missing) < 0) {
		report_add_skipped(&bench->report, "fork_pss", missing.text);
		report_add_skipped(&bench->report, "fork_pss_tables", missing.text);
		return 0;
	}
	char *const argv[] = {program, count_text, NULL};
	int err = process_open(argv, &process, why);

	if (err < 0)
		return err;
	err = measure_children(process.out_fd, count, pss, all, why);
	if (err < 0) {
		(void)!process_close(&process, NULL);
		return err;
	}
	err = process_close(&process, why);
	if (err < 0)
		return err;
	report_add_samples(&bench->report, "fork_pss", "B", pss->values, pss->count);
	report_add_samples(&bench->report, "fork_pss_tables", "B", all->values, all->count);
	return 0;
}

static int run(struct bench *bench, struct eos_why *why)
{
	struct samples pss = {0}, all = {0}, ours = {0};
	int err = samples_init(&pss, PROCESSES, why);

	if (err == 0)
		err = samples_init(&all, PROCESSES, why);
	if (err == 0)
		err = samples_init(&ours, GROUPS, why);
	if (err == 0)
		err = with_processes(bench, &pss, &all, why);
	if (err == 0)
		err = with_fwps(bench, &ours, why);
	if (err == 0) {
		report_add_ratio(&bench->report, "fork_pss", "fwp_rss", 0);
		report_add_ratio(&bench->report, "fork_pss_tables", "fwp_rss", 0);
	}
	samples_fini(&pss);
	samples_fini(&all);
	samples_fini(&ours);
	return err;
}

int main(int argc, char **argv)
{
	return bench_main(argc, argv, "density", run);
}
