/*
 * `edgeos build`: a module compiled to an image file, for this machine or for another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot.h"
#include "aot/aot_user.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/cli.h"

struct build {
	const char *file, *out;
	enum image_target target;
};

/* Only what takes long enough to be read is ever called. */
static void show_progress(void *ctx, const char *phase)
{
	const struct build *build = ctx;
	if (isatty(STDERR_FILENO) != 1)
		return;
	fprintf(stderr, "\r\033[K%s: %s", build->file, phase);
	fflush(stderr);
}

static int parse_target(const char *text, enum image_target *ret_target)
{
	static const enum image_target targets[] = {IMAGE_TARGET_X86_64, IMAGE_TARGET_AARCH64};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(targets); i++) {
		if (strcmp(text, image_target_name(targets[i])) == 0) {
			*ret_target = targets[i];
			return 0;
		}
	}
	return -EINVAL;
}

/* The file of IMAGE as PATH, which is replaced at once. */
static int write_image(const struct image *image, const char *path, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf directory = {0};
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	struct stat status;
	/* A device or a directory is not to be replaced by a file. */
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		return eos_why(why, -EINVAL, "%s: not a file", path);
	if (eos_buf_printf(&directory, "%.*s", (int)(name - path), path) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	size_t size;
	const void *bytes = image_file(image, &size);
	int fd = open(slash == NULL ? "." : directory.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : eos_replace_file(fd, name, bytes, size, 0644);
	(void)eos_close(fd);
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

static int compile(const struct build *build, const struct aot_user *user, struct image **ret_image,
		   struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	int err = eos_read_file(AT_FDCWD, build->file, AOT_MODULE_BYTES_MAX, &module);
	if (err == -EFBIG)
		return eos_why(why, err, "%s: larger than %u MiB", build->file,
			       AOT_MODULE_BYTES_MAX >> 20);
	if (err < 0)
		return eos_why(why, err, "%s: %s", build->file, strerror(-err));
	const struct aot_config config = {
		.cache_dir_fd = user->cache_dir_fd,
		.work_dir = user->work_dir.data,
		.key = &user->key,
		.target = build->target,
		.on_progress = show_progress,
		.progress_ctx = (void *)(uintptr_t)build,
	};
	err = aot_build(&config, build->file, module.data, module.len, ret_image, why);
	if (isatty(STDERR_FILENO) == 1)
		fputs("\r\033[K", stderr);
	return err;
}

static int print_result(const struct cli *cli, const struct build *build, const struct image *image)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	const char *target = image_target_name((uint32_t)image_info(image)->target);
	size_t size;
	(void)image_file(image, &size);
	if (!cli->is_json) {
		(void)eos_buf_printf(&text, "%s: an image for %s, %zu bytes\n", build->out, target,
				     size);
	} else {
		struct eos_json json = eos_json_begin(&text);
		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, "file", build->out);
		eos_json_text(&json, "target", target);
		eos_json_u64(&json, "bytes", size);
		eos_json_close(&json, '}');
		(void)eos_buf_puts(&text, "\n");
	}
	return eos_buf_failed(&text) ? cli_fail("out of memory") : cli_print(text.data, text.len);
}

static int build_and_write(const struct cli *cli, const struct build *build)
{
	struct eos_why why = {""};
	struct aot_user user;
	struct image *image = NULL;
	if (aot_user_open(&user, &why) < 0)
		return cli_fail("%s", why.text);
	int err = compile(build, &user, &image, &why);
	aot_user_close(&user);
	if (err == 0)
		err = write_image(image, build->out, &why);
	int code = err < 0 ? cli_fail("%s", why.text) : print_result(cli, build, image);
	image_close(image);
	return code;
}

int cmd_build(struct cli *cli, int argc, char **argv)
{
	const char *target = NULL;
	struct build build = {.target = image_target_native()};
	const struct cli_option options[] = {
		{.name = "out", .letter = 'o', .value = &build.out},
		{.name = "target", .value = &target},
		{.name = NULL},
	};
	int operands = cli_parse(cli, cli_find_verb("build"), argc, argv, options);
	if (operands < 0)
		return -operands;
	if (operands != 1)
		return cli_usage("build", "build: one module, please");
	build.file = argv[0];
	if (build.out == NULL || build.out[0] == '\0')
		return cli_usage("build", "build: where to? -o FILE.fwp");
	if (target != NULL && parse_target(target, &build.target) < 0)
		return cli_usage("build", "build: --target is x86_64 or aarch64, not \"%s\"",
				 target);
	return build_and_write(cli, &build);
}
