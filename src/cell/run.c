/*
 * Running one program: everything that needs names (the module, the directories, key and cache,
 * the compiler) comes first, then the sandbox, then the program. The image is loaded before the
 * sandbox too: it has been verified, and its code does not run until fwp_run().
 */
#include "cell/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot.h"
#include "aot/aot_user.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "fwp/fwp.h"
#include "image/image.h"
#include "sandbox/sandbox.h"
#include "wasi/vfs_host.h"
#include "wasi/wasi.h"

struct run {
	const struct cell_run_config *config;
	struct eos_why why;
	struct image *image;
	struct fwp_engine *engine;
	struct fwp_image *code;
	struct wasi *wasi;
	struct fwp *fwp;
	bool shows_progress; /* a phase is on the terminal */
};

static int print_error(const char *text)
{
	fprintf(stderr, "edgeos: %s\n", text);
	return CELL_RUN_FAILED;
}

/* Only what takes long enough to be read is ever called. */
static void show_progress(void *ctx, const char *phase)
{
	struct run *run = ctx;
	if (isatty(STDERR_FILENO) != 1)
		return;
	fprintf(stderr, "\r\033[K%s: %s", run->config->file, phase);
	fflush(stderr);
	run->shows_progress = true;
}

static void clear_progress(struct run *run)
{
	if (run->shows_progress)
		fputs("\r\033[K", stderr);
	run->shows_progress = false;
}

static int read_module(struct run *run, struct eos_buf *module)
{
	const char *file = run->config->file;
	if (strcmp(file, "-") == 0)
		return eos_why(&run->why, -EINVAL,
			       "-: standard input belongs to the program; give a file");
	int err = eos_read_file(AT_FDCWD, file, AOT_MODULE_BYTES_MAX, module);
	if (err == -EFBIG)
		return eos_why(&run->why, err, "%s: larger than %u MiB", file,
			       AOT_MODULE_BYTES_MAX >> 20);
	if (err < 0)
		return eos_why(&run->why, err, "%s: %s", file, strerror(-err));
	return 0;
}

static int compile(struct run *run, const struct aot_user *user)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	int err = read_module(run, &module);
	if (err < 0)
		return err;
	const struct aot_config config = {
		.cache_dir_fd = user->cache_dir_fd,
		.work_dir = user->work_dir.data,
		.key = &user->key,
		.on_progress = show_progress,
		.progress_ctx = run,
	};
	err = aot_build(&config, run->config->file, module.data, module.len, &run->image,
			&run->why);
	clear_progress(run);
	return err;
}

/* If FILE is an image of `edgeos build`, opens it. 0 also when it is none. */
static int open_image(struct run *run, const struct aot_user *user)
{
	char magic[IMAGE_MAGIC_SIZE];
	struct stat status;
	/* A pipe can be opened once only. */
	if (stat(run->config->file, &status) < 0 || !S_ISREG(status.st_mode))
		return 0;
	EOS_CLEANUP(eos_close_ptr) int fd = open(run->config->file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || eos_pread_full(fd, magic, sizeof(magic), 0) < 0 ||
	    !image_has_magic(magic, sizeof(magic)))
		return 0;
	int err = image_open(fd, user->key.public_key, &run->image, &run->why);
	if (err < 0)
		eos_why_prefix(&run->why, "%s", run->config->file);
	return err;
}

/* From FILE to run->image. */
static int build(struct run *run)
{
	struct aot_user user;
	int err = aot_user_open(&user, &run->why);
	if (err < 0)
		return err;
	err = open_image(run, &user);
	if (err == 0 && run->image == NULL)
		err = compile(run, &user);
	aot_user_close(&user);
	return err;
}

static int load(struct run *run)
{
	const struct fwp_engine_config config = {.fwps_max = 1};
	int err = fwp_engine_new(&config, &run->engine, &run->why);
	if (err < 0)
		return err;
	size_t count;
	const struct fwp_import *imports = wasi_imports(&count);
	err = fwp_image_load(run->image, imports, count, &run->code, &run->why);
	if (err < 0)
		eos_why_prefix(&run->why, "%s", run->config->file);
	return err;
}

static int add_stream(struct run *run, int fd)
{
	/* One that the caller has closed is closed for the program too. */
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return errno == EBADF ? 0 : -errno;
	struct wasi_node *node;
	int err = vfs_host_stream(copy, &node);
	if (err < 0)
		return err;
	err = wasi_set_stdio(run->wasi, (unsigned)fd, node);
	wasi_node_unref(node);
	return err;
}

static int add_dir(struct run *run, const struct cell_run_dir *dir)
{
	int fd = open(dir->host, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return eos_why(&run->why, -errno, "--dir: %s: %s", dir->host, strerror(errno));
	struct wasi_node *node;
	int err = vfs_host_directory(fd, &node);
	if (err == 0) {
		err = wasi_add_preopen(run->wasi, dir->guest, node, dir->is_read_only);
		wasi_node_unref(node);
	}
	if (err == -ENOSYS)
		return eos_why(&run->why, err, "--dir needs Linux 5.6 or newer");
	if (err < 0)
		return eos_why(&run->why, err, "--dir: %s: %s", dir->host, strerror(-err));
	return 0;
}

static int open_files(struct run *run)
{
	const struct cell_run_config *config = run->config;
	int err = wasi_new(config->args, config->args_count, config->environment,
			   config->environment_count, &run->wasi);
	for (int fd = 0; fd <= 2 && err == 0; fd++)
		err = add_stream(run, fd);
	if (err == 0)
		err = eos_fill_streams();
	if (err < 0)
		return eos_why(&run->why, err, "cannot prepare the program's streams: %s",
			       strerror(-err));
	for (size_t i = 0; i < config->dirs_count && err == 0; i++)
		err = add_dir(run, &config->dirs[i]);
	return err;
}

static int enter_sandbox(struct run *run)
{
	const struct cell_run_config *config = run->config;
	struct sandbox_path *paths = calloc(config->dirs_count + 1, sizeof(*paths));
	if (paths == NULL)
		return eos_why(&run->why, -ENOMEM, "out of memory");
	for (size_t i = 0; i < config->dirs_count; i++) {
		paths[i].path = config->dirs[i].host;
		paths[i].access = config->dirs[i].is_read_only ? SANDBOX_READ : SANDBOX_WRITE;
	}
	const struct sandbox_config sandbox = {
		.profile = SANDBOX_PROFILE_RUN,
		.paths = paths,
		.paths_count = (unsigned)config->dirs_count,
	};
	/* What this kernel cannot do is missed quietly: the FWP's own walls stand without it. */
	struct sandbox_report report;
	int err = sandbox_enter(&sandbox, &report, &run->why);
	free(paths);
	return err;
}

static int exit_code(const struct run *run)
{
	const struct fwp_death *death = fwp_death(run->fwp);
	const char *file = run->config->file;
	char place[FWP_PLACE_SIZE];
	switch (death->kind) {
	case FWP_DEATH_EXIT:
		return (int)(death->code & 0xff); /* as Linux does */
	case FWP_DEATH_TRAP:
		fwp_death_place(run->fwp, place, sizeof(place));
		fprintf(stderr, "edgeos: %s: trap: %s%s%s\n", file, death->text,
			place[0] != '\0' ? " in " : "", place);
		return CELL_RUN_TRAPPED;
	case FWP_DEATH_TIMEOUT:
		fprintf(stderr, "edgeos: %s: timed out after %g s\n", file,
			(double)run->config->timeout_ns / (double)EOS_NS_PER_S);
		return CELL_RUN_TIMED_OUT;
	case FWP_DEATH_KILLED:
		break;
	}
	fprintf(stderr, "edgeos: %s: ended: %s\n", file, death->text);
	return CELL_RUN_FAILED;
}

static int start(struct run *run)
{
	struct fwp_limits limits = fwp_limits_default;
	if (run->config->memory_bytes > 0)
		limits.memory_bytes = run->config->memory_bytes;
	limits.timeout_ns = run->config->timeout_ns;
	/* A program on its own may have as deep a stack as a thread of Linux may. */
	limits.stack_bytes = FWP_STACK_BYTES_MAX;
	int err = fwp_new(run->engine, run->code, &limits, run->wasi, &run->fwp, &run->why);
	if (err < 0)
		eos_why_prefix(&run->why, "%s", run->config->file);
	else
		fwp_set_on_return(run->fwp, wasi_finish);
	return err;
}

int cell_run(const struct cell_run_config *config)
{
	struct run run = {.config = config};
	int code;
	/* A closed pipe is an error that the program sees, not the end of us. */
	signal(SIGPIPE, SIG_IGN);
	int err = open_files(&run);
	if (err == 0)
		err = build(&run);
	if (err == 0)
		err = load(&run);
	if (err == 0)
		err = start(&run);
	if (err == 0)
		err = enter_sandbox(&run);
	if (err < 0) {
		code = print_error(run.why.text);
	} else {
		/* No host function here blocks it; so there is nothing to wait for in between. */
		if (fwp_run(run.fwp) != FWP_DEAD)
			fwp_kill(run.fwp, FWP_DEATH_KILLED, "it waits for nothing");
		code = exit_code(&run);
	}
	fwp_free(run.fwp);
	wasi_free(run.wasi);
	fwp_image_unref(run.code);
	fwp_engine_free(run.engine);
	image_close(run.image);
	return code;
}

int cell_run_main(int argc, char **argv)
{
	struct cell_run_config config;
	struct eos_why why = {0};
	int err = cell_run_parse_args(argc, argv, &config, &why);
	if (err < 0) {
		print_error(why.text);
		return err == -EINVAL ? CELL_RUN_USAGE : CELL_RUN_FAILED;
	}
	int code = cell_run(&config);
	cell_run_config_fini(&config);
	return code;
}
