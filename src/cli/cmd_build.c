/*
 * `edgeos build`: a module, or a Click configuration, compiled to an image file, for this machine
 * or for another; of a configuration also the module.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot.h"
#include "aot/aot_user.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/cli.h"
#include "click/click_build.h"

struct build {
	const char *file, *out;
	enum image_target target;
	bool is_click, is_module; /* FILE is a configuration; OUT is to be a module */
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

/* BYTES as the file PATH, which is replaced at once. */
static int write_file(const void *bytes, size_t size, const char *path, struct eos_why *why)
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
	int fd = open(slash == NULL ? "." : directory.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : eos_replace_file(fd, name, bytes, size, 0644);
	(void)eos_close(fd);
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

/* The module of the file: its bytes, or what is built of the configuration, whose mistakes are
 * printed, a line each. */
static int read_module(const struct build *build, const struct aot_user *user,
		       struct eos_buf *module, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0}, errors = {0};
	uint32_t max = build->is_click ? CLICK_CONFIG_BYTES_MAX : AOT_MODULE_BYTES_MAX;
	struct eos_buf *file = build->is_click ? &text : module;
	int err = eos_read_file(AT_FDCWD, build->file, max, file);
	if (err == -EFBIG)
		return eos_why(why, err, "%s: larger than %u MiB", build->file, max >> 20);
	if (err < 0)
		return eos_why(why, err, "%s: %s", build->file, strerror(-err));
	if (!build->is_click)
		return 0;
	show_progress((void *)(uintptr_t)build, "linking");
	err = click_build(build->file, text.len > 0 ? text.data : "", text.len, user->work_dir.data,
			  module, &errors, why);
	if (isatty(STDERR_FILENO) == 1)
		fputs("\r\033[K", stderr);
	if (err < 0 && errors.len > 0) {
		fputs(errors.data, stderr);
		(void)eos_why(why, err, "%s: not built", build->file);
	}
	return err;
}

static int compile(const struct build *build, const struct aot_user *user, struct image **ret_image,
		   struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	int err = read_module(build, user, &module, why);
	if (err == 0 && build->is_module)
		err = write_file(module.data, module.len, build->out, why);
	if (err < 0 || build->is_module)
		return err;
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
	const char *target = "wasm32";
	size_t size = 0;
	struct stat status;
	if (image != NULL) {
		target = image_target_name((uint32_t)image_info(image)->target);
		(void)image_file(image, &size);
	} else if (stat(build->out, &status) == 0) {
		size = (size_t)status.st_size;
	}
	if (!cli->is_json) {
		(void)eos_buf_printf(&text, "%s: %s for %s, %zu bytes\n", build->out,
				     image != NULL ? "an image" : "a module", target, size);
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
	if (err == 0 && image != NULL) {
		size_t size;
		const void *bytes = image_file(image, &size);
		err = write_file(bytes, size, build->out, &why);
	}
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
	build.is_click = eos_str_ends_with(build.file, ".click");
	char own[PATH_MAX];
	if (build.out == NULL && build.is_click) {
		/* Beside the configuration. */
		int stem = (int)strlen(build.file) - (int)strlen(".click");
		int n = snprintf(own, sizeof(own), "%.*s.fwp", stem, build.file);
		if (n > 0 && n < (int)sizeof(own))
			build.out = own;
	}
	if (build.out == NULL || build.out[0] == '\0')
		return cli_usage("build", "build: where to? -o FILE.fwp");
	build.is_module = build.is_click && eos_str_ends_with(build.out, ".wasm");
	if (target != NULL && parse_target(target, &build.target) < 0)
		return cli_usage("build", "build: --target is x86_64 or aarch64, not \"%s\"",
				 target);
	return build_and_write(cli, &build);
}
