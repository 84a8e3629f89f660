/*
 * Bench "compute": the same C, compiled natively by gcc -O2, and as an FWP (by clang -O2 to
 * WebAssembly, and from there as functions are on a node).
 *
 *     NAME_native, NAME_fwp    one call of a kernel (compute_kernels.h)
 *
 * Both are called in turns on one thread, and each time the results must be the same. A time is
 * that of the call alone: no start, no switch. The ratios are of the times and must not be
 * exceeded; 1 is as fast as native.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/why.h"
#include "compute_kernels.h"
#include "fwp/fwp.h"
#include "image/image.h"
#include "report.h"

#define ROUNDS		 200
#define WARM_UP		 5
#define MODULE_BYTES_MAX (1u << 20)
#define PATH_SIZE	 4096
#define MOST		 1.9
#define MOST_MEAN	 1.35

struct kernel {
	const char *name; /* also of the export */
	uint64_t (*native)(void);
	const char *native_row, *fwp_row, *ratio;
};

#define KERNEL(name)                                                                               \
	{                                                                                          \
#name, kernel_##name, #name "_native", #name "_fwp", #name "_fwp/" #name "_native" \
	}
static const struct kernel kernels[] = {
	KERNEL(sha256), KERNEL(crc32), KERNEL(sort), KERNEL(json), KERNEL(matmul),
};
#define KERNELS EOS_ARRAY_SIZE(kernels)

typedef uint64_t guest_kernel(void *instance);

struct bench {
	char work_dir[PATH_SIZE];
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct fwp *fwp;
	/* What the FWP is to call when it goes on, and what came of it. */
	guest_kernel *next;
	uint64_t result, ns;
	uint64_t native_ns[KERNELS][ROUNDS], fwp_ns[KERNELS][ROUNDS];
	struct report report;
};

/* The module is a program, so it imports this; nobody calls it. */
static void host_proc_exit(struct fwp *fwp, uint32_t code)
{
	fwp_host_enter(fwp);
	fwp_exit(fwp, code);
}

static const struct fwp_import imports[] = {
	{"wasi_snapshot_preview1", "proc_exit", "i:", (void (*)(void))host_proc_exit},
};

/* On the FWP's stack: one call after the other, for ever. */
static void serve(struct fwp *fwp, void *instance)
{
	struct bench *bench = fwp_context(fwp);

	for (;;) {
		fwp_block(fwp);
		guest_kernel *kernel = bench->next;

		fwp_host_leave(fwp);
		uint64_t start_ns = eos_now_ns();
		uint64_t result = kernel(instance);
		uint64_t end_ns = eos_now_ns();

		fwp_host_enter(fwp);
		bench->result = result;
		bench->ns = end_ns - start_ns;
	}
}

static int read_module(struct eos_buf *module, struct eos_why *why)
{
	char dir[PATH_SIZE - 64], path[PATH_SIZE];
	int err = eos_program_dir(dir, sizeof(dir));

	if (err < 0)
		return err;
	snprintf(path, sizeof(path), "%s/compute.wasm", dir);
	err = eos_read_file(AT_FDCWD, path, MODULE_BYTES_MAX, module);
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

static int load_image(struct bench *bench, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	EOS_CLEANUP(eos_close_ptr)
	int dir_fd = open(bench->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image_key key;
	struct image *image;

	if (dir_fd < 0)
		return eos_why(why, -errno, "%s: %s", bench->work_dir, strerror(errno));
	int err = read_module(&module, why);

	if (err == 0)
		err = image_key_load(dir_fd, "key", &key, why);
	if (err < 0)
		return err;
	struct aot_config config = {
		.cache_dir_fd = dir_fd, .work_dir = bench->work_dir, .key = &key};

	err = aot_build(&config, "compute.wasm", module.data, module.len, &image, why);
	if (err < 0)
		return err;
	err = fwp_image_load(image, imports, EOS_ARRAY_SIZE(imports), &bench->image, why);
	image_close(image);
	return err;
}

/* Lets the FWP call KERNEL, and compares with what the native one gives. */
static int call_both(struct bench *bench, const struct kernel *kernel, uint64_t *ret_native_ns,
		     uint64_t *ret_fwp_ns, struct eos_why *why)
{
	bench->next = (guest_kernel *)fwp_image_find_export(bench->image, kernel->name, ":I");
	if (bench->next == NULL)
		return eos_why(why, -ENOENT, "compute.wasm has no kernel %s", kernel->name);
	uint64_t start_ns = eos_now_ns();
	uint64_t result = kernel->native();

	*ret_native_ns = eos_now_ns() - start_ns;
	if (fwp_run(bench->fwp) != FWP_BLOCKED)
		return eos_why(why, -EIO, "kernel %s died: %s", kernel->name,
			       fwp_death(bench->fwp)->text);
	*ret_fwp_ns = bench->ns;
	if (bench->result != result)
		return eos_why(why, -EIO, "kernel %s: the FWP's result is not the native one",
			       kernel->name);
	return 0;
}

static int measure(struct bench *bench, struct eos_why *why)
{
	int err = fwp_new_with_entry(bench->engine, bench->image, NULL, bench, serve, &bench->fwp,
				     why);

	if (err < 0)
		return err;
	/* Until it waits for the first call. */
	if (fwp_run(bench->fwp) != FWP_BLOCKED)
		return eos_why(why, -EIO, "compute.wasm does not start: %s",
			       fwp_death(bench->fwp)->text);
	for (int round = -WARM_UP; round < ROUNDS; round++) {
		int at = round < 0 ? 0 : round;

		for (size_t i = 0; i < KERNELS; i++) {
			err = call_both(bench, &kernels[i], &bench->native_ns[i][at],
					&bench->fwp_ns[i][at], why);
			if (err < 0)
				return err;
		}
	}
	return 0;
}

static void report(struct bench *bench)
{
	double logarithms = 0;

	for (size_t i = 0; i < KERNELS; i++) {
		struct report *to = &bench->report;

		report_add_samples(to, kernels[i].native_row, "ns", bench->native_ns[i], ROUNDS);
		report_add_samples(to, kernels[i].fwp_row, "ns", bench->fwp_ns[i], ROUNDS);
		/* Sorted by now. */
		double ratio = (double)bench->fwp_ns[i][ROUNDS / 2] /
			       (double)bench->native_ns[i][ROUNDS / 2];

		report_add_limit(to, kernels[i].ratio, ratio, MOST);
		logarithms += log(ratio);
	}
	report_add_limit(&bench->report, "geomean_fwp/native", exp(logarithms / (double)KERNELS),
			 MOST_MEAN);
}

static int run_bench(struct bench *bench, struct eos_why *why)
{
	int err = load_image(bench, why);

	if (err == 0)
		err = fwp_engine_new(NULL, &bench->engine, why);
	if (err == 0)
		err = measure(bench, why);
	if (err == 0)
		report(bench);
	fwp_free(bench->fwp);
	if (bench->engine != NULL)
		fwp_engine_free(bench->engine);
	fwp_image_unref(bench->image);
	return err;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	return remove(path);
}

int main(int argc, char **argv)
{
	static struct bench bench = {.report = {.bench = "compute"}};
	bool as_json = argc > 1 && strcmp(argv[1], "--json") == 0;
	struct eos_why why = {0};

	if (argc > (as_json ? 2 : 1)) {
		fprintf(stderr, "bench compute: wrong use; expected: compute [--json]\n");
		return 2;
	}
	snprintf(bench.work_dir, sizeof(bench.work_dir), "/tmp/edgeos-bench-XXXXXX");
	if (mkdtemp(bench.work_dir) == NULL) {
		fprintf(stderr, "bench compute: %s: %s\n", bench.work_dir, strerror(errno));
		return 1;
	}
	int err = run_bench(&bench, &why);

	if (nftw(bench.work_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
		fprintf(stderr, "bench compute: could not remove %s\n", bench.work_dir);
	if (err < 0) {
		fprintf(stderr, "bench compute: %s\n", why.text[0] ? why.text : strerror(-err));
		return 1;
	}
	return report_print(&bench.report, as_json) ? 0 : 1;
}
