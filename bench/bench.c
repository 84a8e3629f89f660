#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define BUSY_PERCENT 10

unsigned bench_count(const struct bench *bench, unsigned full, unsigned quick)
{
	return bench->is_quick ? quick : full;
}

int bench_find(const char *name, char out[BENCH_PATH_SIZE], struct eos_why *why)
{
	char dir[BENCH_PATH_SIZE - 64];
	int err = eos_program_dir(dir, sizeof(dir));

	if (err < 0)
		return eos_why(why, err, "this program's directory: %s", strerror(-err));
	snprintf(out, BENCH_PATH_SIZE, "%s/%s", dir, name);
	if (access(out, R_OK) < 0)
		return eos_why(why, -errno, "%s: %s", out, strerror(errno));
	return 0;
}

int bench_pin(struct eos_why *why)
{
	cpu_set_t allowed, one;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return eos_why(why, -errno, "sched_getaffinity: %s", strerror(errno));
	CPU_ZERO(&one);
	for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
		if (CPU_ISSET(cpu, &allowed)) {
			CPU_SET(cpu, &one);
			break;
		}
	}
	if (sched_setaffinity(0, sizeof(one), &one) < 0)
		return eos_why(why, -errno, "sched_setaffinity: %s", strerror(errno));
	return 0;
}

bool bench_go_first(bool is_first)
{
	struct sched_param param = {.sched_priority = is_first ? 1 : 0};
	int policy = is_first ? SCHED_FIFO | SCHED_RESET_ON_FORK : SCHED_OTHER;

	return sched_setscheduler(0, policy, &param) == 0;
}

/* Who reads the figures should know that they are those of a busy machine. What we do ourselves is
 * not in it yet. */
static void warn_if_busy(const char *name)
{
	FILE *file = fopen("/proc/pressure/cpu", "re"); /* not on every kernel */
	double waited;

	if (file == NULL)
		return;
	if (fscanf(file, "some avg10=%lf", &waited) == 1 && waited > BUSY_PERCENT)
		fprintf(stderr,
			"bench %s: other programs wait for this machine's processors %.0f %% of "
			"the "
			"time: the figures are not to be relied on\n",
			name, waited);
	fclose(file);
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

/* What others leave there has names that are not ours to know. It stays on its file system: a
 * container that did not end may have mounted something below. */
static int remove_work_dir(const char *dir)
{
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int bench_main(int argc, char **argv, const char *name,
	       int (*run)(struct bench *bench, struct eos_why *why))
{
	const char *quick = getenv("BENCH_QUICK");
	struct bench bench = {
		.report = {.bench = name},
		.is_quick = quick != NULL && strcmp(quick, "1") == 0,
		.work_dir = "/tmp/edgeos-bench-XXXXXX",
	};
	bool as_json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct eos_why why = {0};

	if (argc > (as_json ? 2 : 1)) {
		fprintf(stderr, "bench %s: wrong use; expected: %s [--json]\n", name, name);
		return 2;
	}
	if (mkdtemp(bench.work_dir) == NULL) {
		fprintf(stderr, "bench %s: %s: %s\n", name, bench.work_dir, strerror(errno));
		return 1;
	}
	warn_if_busy(name);
	int err = run(&bench, &why);

	if (remove_work_dir(bench.work_dir) != 0)
		fprintf(stderr, "bench %s: could not remove %s\n", name, bench.work_dir);
	if (err < 0) {
		fprintf(stderr, "bench %s: %s\n", name, why.text[0] ? why.text : strerror(-err));
		return 1;
	}
	bool is_ok = report_print(&bench.report, as_json);
	return is_ok || bench.is_quick ? 0 : 1;
}
