/*
 * Bench "start": from the decision to start something until its first instruction of its own runs.
 *
 *     vfork_exec_musl    vfork and exec of a static program (musl), until its main
 *     vfork_exec_glibc   the same with glibc
 *     fwp_load           an image of the cache: its file opened, its signature verified, its code
 *                        mapped, and an FWP started
 *     fwp_cold           a new FWP of a loaded image: addresses are reserved, memory and stack made
 *                        accessible, and it runs
 *     fwp_reused         the same in a place that another FWP has left
 *
 * Process and FWP tell the time themselves as the first thing that they do, with the same clock:
 * the process in main, the FWP in a host call that is the first instruction of its _start. All are
 * measured in one process, in turns, so that whatever else this machine does hits all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/why.h"
#include "fwp/fwp.h"
#include "image/image.h"
#include "report.h"

#define ROUNDS		  100
#define COLD_PER_ROUND	  50
#define LOAD_PER_ROUND	  3
#define PROCESS_PER_ROUND 5
#define PATH_SIZE	  4096

/*
 * (module (import "bench" "first" (func)) (memory (export "memory") 1)
 *         (func (export "_start") (call 0)))
 */
static const uint8_t module[] = {
	0x00, 'a',  's',  'm',	0x01, 0x00, 0x00, 0x00,				/* version 1 */
	0x01, 0x04, 0x01, 0x60, 0x00, 0x00,					/* type () */
	0x02, 0x0f, 0x01, 0x05, 'b',  'e',  'n',  'c',	'h',			/* import */
	0x05, 'f',  'i',  'r',	's',  't',  0x00, 0x00, 0x03, 0x02, 0x01, 0x00, /* function */
	0x05, 0x03, 0x01, 0x00, 0x01,						/* memory */
	0x07, 0x13, 0x02, 0x06, 'm',  'e',  'm',  'o',	'r',  'y',  0x02, 0x00, /* exports */
	0x06, '_',  's',  't',	'a',  'r',  't',  0x00, 0x01, 0x0a, 0x06, 0x01, 0x04, /* code */
	0x00, 0x10, 0x00, 0x0b,
};

struct bench {
	char work_dir[PATH_SIZE];
	char image_path[PATH_SIZE + 16];
	struct image_key key;
	struct fwp_engine *engine;
	struct fwp_image *image; /* loaded, for fwp_cold */
	struct report report;
};

struct samples {
	const char *name;
	size_t count, room;
	uint64_t *ns;
};

static uint64_t first_ns;

/* The guest's first instruction. */
static void host_first(struct fwp *fwp)
{
	first_ns = eos_now_ns();
	fwp_host_enter(fwp);
	fwp_host_leave(fwp);
}

static const struct fwp_import imports[] = {{"bench", "first", ":", (void (*)(void))host_first}};

static int samples_add(struct samples *samples, uint64_t ns)
{
	if (samples->count == samples->room)
		return -ENOSPC;
	samples->ns[samples->count++] = ns;
	return 0;
}

/* Runs an FWP to its end, which the caller frees. */
static int run_fwp(struct bench *bench, struct fwp_image *image, struct fwp **ret_fwp,
		   struct eos_why *why)
{
	struct fwp *fwp;
	int err = fwp_new(bench->engine, image, &fwp_limits_default, NULL, &fwp, why);

	if (err < 0)
		return err;
	if (fwp_run(fwp) != FWP_DEAD || fwp_death(fwp)->kind != FWP_DEATH_EXIT) {
		fwp_free(fwp);
		return eos_why(why, -EIO, "the guest did not end as it should");
	}
	*ret_fwp = fwp;
	return 0;
}

/* COUNT FWPs one after the other; while they are kept, each needs a place of its own. */
static int measure_new(struct bench *bench, struct samples *samples, unsigned count, bool is_kept,
		       struct eos_why *why)
{
	struct fwp *kept[COLD_PER_ROUND] = {NULL};
	int err = 0;

	for (unsigned i = 0; i < count && err == 0; i++) {
		uint64_t start_ns = eos_now_ns();
		err = run_fwp(bench, bench->image, &kept[i], why);
		if (err == 0)
			err = samples_add(samples, first_ns - start_ns);
		if (!is_kept)
			kept[i] = fwp_free(kept[i]);
	}
	for (unsigned i = 0; i < count; i++)
		fwp_free(kept[i]);
	return err;
}

static int load_image(struct bench *bench, struct fwp_image **ret_image, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr) int fd = open(bench->image_path, O_RDONLY | O_CLOEXEC);
	struct image *image;

	if (fd < 0)
		return eos_why(why, -errno, "%s: %s", bench->image_path, strerror(errno));
	int err = image_open(fd, bench->key.public_key, &image, why);

	if (err < 0)
		return err;
	err = fwp_image_load(image, imports, EOS_ARRAY_SIZE(imports), ret_image, why);
	image_close(image);
	return err;
}

static int measure_load(struct bench *bench, struct samples *samples, struct eos_why *why)
{
	struct fwp_image *image;
	uint64_t start_ns = eos_now_ns();
	int err = load_image(bench, &image, why);

	if (err < 0)
		return err;
	struct fwp *fwp = NULL;
	err = run_fwp(bench, image, &fwp, why);
	fwp_free(fwp);
	fwp_image_unref(image);
	return err < 0 ? err : samples_add(samples, first_ns - start_ns);
}

static int measure_process(const char *program, struct samples *samples, struct eos_why *why)
{
	int pipe_fds[2], status;
	char fd_text[16];
	uint64_t main_ns = 0;

	if (pipe(pipe_fds) < 0)
		return eos_why(why, -errno, "pipe: %s", strerror(errno));
	snprintf(fd_text, sizeof(fd_text), "%d", pipe_fds[1]);
	char *const argv[] = {(char *)(uintptr_t)program, fd_text, NULL};
	char *const environment[] = {NULL};
	uint64_t start_ns = eos_now_ns();
	pid_t pid = vfork();

	if (pid == 0) {
		execve(program, argv, environment);
		_exit(127);
	}
	close(pipe_fds[1]);
	int err = pid < 0 ? -errno : eos_read_full(pipe_fds[0], &main_ns, sizeof(main_ns));

	close(pipe_fds[0]);
	if (pid > 0 && waitpid(pid, &status, 0) < 0 && err == 0)
		err = -errno;
	if (err < 0)
		return eos_why(why, err, "%s: %s", program, strerror(-err));
	return samples_add(samples, main_ns - start_ns);
}

/* Compiles the module and leaves its image in a file, as a node's cache does. */
static int build_image(struct bench *bench, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int dir_fd = open(bench->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image *image;
	size_t size, names_size;

	if (dir_fd < 0)
		return eos_why(why, -errno, "%s: %s", bench->work_dir, strerror(errno));
	int err = image_key_load(dir_fd, "key", &bench->key, why);

	if (err < 0)
		return err;
	struct aot_config config = {
		.cache_dir_fd = dir_fd, .work_dir = bench->work_dir, .key = &bench->key};

	err = aot_build(&config, "bench", module, sizeof(module), &image, why);
	if (err < 0)
		return err;
	snprintf(bench->image_path, sizeof(bench->image_path), "%s/image", bench->work_dir);
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(bench->image_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const void *elf = image_elf(image, &size);

	const void *names = image_names(image, &names_size);

	err = fd < 0 ? -errno : image_write(fd, image_info(image), elf, names, &bench->key, why);
	image_close(image);
	return err;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

/* The cache's files have names that are not ours to know. */
static int remove_work_dir(const char *dir)
{
	return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A baseline program beside this one; it may be missing where its compiler is. */
static bool find_child(const char *name, char *out)
{
	char dir[PATH_SIZE - 64];

	if (eos_program_dir(dir, sizeof(dir)) < 0)
		return false;
	snprintf(out, PATH_SIZE, "%s/%s", dir, name);
	return access(out, X_OK) == 0;
}

enum { MUSL, GLIBC, LOAD, COLD, REUSED, KINDS };

/* On an engine of its own, so that its places are new. */
static int measure_fwps(struct bench *bench, struct samples samples[KINDS], struct eos_why *why)
{
	int err = fwp_engine_new(NULL, &bench->engine, why);

	if (err < 0)
		return err;
	err = measure_new(bench, &samples[COLD], COLD_PER_ROUND, true, why);
	if (err == 0)
		err = measure_new(bench, &samples[REUSED], COLD_PER_ROUND, false, why);
	for (int i = 0; i < LOAD_PER_ROUND && err == 0; i++)
		err = measure_load(bench, &samples[LOAD], why);
	bench->engine = fwp_engine_free(bench->engine);
	return err;
}

static int measure_all(struct bench *bench, struct samples samples[KINDS],
		       char programs[2][PATH_SIZE], struct eos_why *why)
{
	int err = 0;

	for (int round = 0; round < ROUNDS; round++) {
		for (int kind = MUSL; kind <= GLIBC; kind++)
			for (int i = 0; i < PROCESS_PER_ROUND && programs[kind][0]; i++)
				if ((err = measure_process(programs[kind], &samples[kind], why)) <
				    0)
					return err;
		err = measure_fwps(bench, samples, why);
		if (err < 0)
			return err;
	}
	return 0;
}

static int run_bench(struct bench *bench, struct eos_why *why)
{
	static struct samples samples[KINDS] = {{.name = "vfork_exec_musl"},
						{.name = "vfork_exec_glibc"},
						{.name = "fwp_load"},
						{.name = "fwp_cold"},
						{.name = "fwp_reused"}};
	static char programs[2][PATH_SIZE];
	int err = build_image(bench, why);

	if (err < 0)
		return err;
	if (!find_child("start_child_musl", programs[MUSL]))
		programs[MUSL][0] = '\0';
	if (!find_child("start_child_glibc", programs[GLIBC]))
		programs[GLIBC][0] = '\0';
	err = load_image(bench, &bench->image, why);
	for (int kind = 0; kind < KINDS; kind++) {
		samples[kind].room = (size_t)ROUNDS * COLD_PER_ROUND;
		samples[kind].ns = calloc(samples[kind].room, sizeof(uint64_t));
		if (samples[kind].ns == NULL && err == 0)
			err = -ENOMEM;
	}
	if (err == 0)
		err = measure_all(bench, samples, programs, why);
	for (int kind = 0; kind < KINDS; kind++) {
		struct samples *s = &samples[kind];

		if (s->count > 0)
			report_add_samples(&bench->report, s->name, "ns", s->ns, s->count);
		else
			report_add_skipped(&bench->report, s->name,
					   "its program was not built: tools/deps bench");
		free(s->ns);
	}
	fwp_image_unref(bench->image);
	report_add_ratio(&bench->report, "vfork_exec_musl", "fwp_cold", 1);
	report_add_ratio(&bench->report, "vfork_exec_glibc", "fwp_cold", 1);
	report_add_ratio(&bench->report, "vfork_exec_musl", "fwp_reused", 1);
	report_add_ratio(&bench->report, "vfork_exec_musl", "fwp_load", 0);
	return err;
}

int main(int argc, char **argv)
{
	static struct bench bench = {.report = {.bench = "start"}};
	bool as_json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct eos_why why = {0};

	if (argc > (as_json ? 2 : 1)) {
		fprintf(stderr, "bench start: wrong use; expected: start [--json]\n");
		return 2;
	}
	snprintf(bench.work_dir, sizeof(bench.work_dir), "/tmp/edgeos-bench-XXXXXX");
	if (mkdtemp(bench.work_dir) == NULL) {
		fprintf(stderr, "bench start: %s: %s\n", bench.work_dir, strerror(errno));
		return 1;
	}
	int err = run_bench(&bench, &why);

	if (remove_work_dir(bench.work_dir) != 0)
		fprintf(stderr, "bench start: could not remove %s\n", bench.work_dir);
	if (err < 0) {
		fprintf(stderr, "bench start: %s\n", why.text[0] ? why.text : strerror(-err));
		return 1;
	}
	return report_print(&bench.report, as_json) ? 0 : 1;
}
