#include "aot/aot_priv.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot_compile.h"
#include "aot/aot_glue.h"
#include "aot/aot_translate.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

/* Appends what a change of the tool would change. */
static int describe_tool(struct eos_buf *text, const char *path, struct eos_why *why)
{
	struct stat status;
	if (stat(path, &status) < 0)
		return eos_why(why, -errno, "cannot find %s: %s%s", path, strerror(errno),
			       strstr(path, "/wasm") != NULL ? " (install Debian's package wabt)"
							     : "");
	(void)eos_buf_printf(text, "%s %lld %lld.%09ld %llu\n", path, (long long)status.st_size,
			     (long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
			     (unsigned long long)status.st_ino);
	return 0;
}

/* Debian's cross compilers. Only gcc's: clang would need the other processor's headers too. */
static const struct cross {
	const char *path, *packages;
} cross_compilers[] = {
	[IMAGE_TARGET_X86_64] = {"/usr/bin/x86_64-linux-gnu-gcc",
				 "gcc-x86-64-linux-gnu and libc6-dev-amd64-cross"},
	[IMAGE_TARGET_AARCH64] = {"/usr/bin/aarch64-linux-gnu-gcc",
				  "gcc-aarch64-linux-gnu and libc6-dev-arm64-cross"},
};

/* The compiler's own path, behind the links that lead to it. */
static int find_compiler(const struct aot_config *config, enum image_target target,
			 char out[AOT_PATH_SIZE], struct eos_why *why)
{
	static_assert(AOT_PATH_SIZE >= PATH_MAX, "realpath() writes up to PATH_MAX");
	const char *const native[] = {AOT_COMPILERS}; /* the build's option */
	const char *candidates[EOS_ARRAY_SIZE(native) + 1] = {NULL};
	if (config->compiler != NULL)
		candidates[0] = config->compiler;
	else if (target != image_target_native())
		candidates[0] = cross_compilers[target].path;
	else
		memcpy(candidates, native, sizeof(native));
	bool is_cross = target != image_target_native();
	for (size_t i = 0; candidates[i] != NULL; i++) {
		if (access(candidates[i], X_OK) == 0 && realpath(candidates[i], out) != NULL)
			return 0;
	}
	if (config->compiler != NULL)
		return eos_why(why, -ENOENT, "there is no compiler %s", config->compiler);
	if (is_cross)
		return eos_why(why, -ENOENT,
			       "there is no compiler for %s (install Debian's packages %s)",
			       image_target_name(target), cross_compilers[target].packages);
	return eos_why(why, -ENOENT, "there is no C compiler (install gcc or clang)");
}

static int find_program(const struct aot_config *config, char out[AOT_PATH_SIZE],
			struct eos_why *why)
{
	int err = config->program != NULL ? eos_str_copy(out, AOT_PATH_SIZE, config->program)
					  : eos_find_program("edge-aot", out, AOT_PATH_SIZE);
	if (err == 0 && access(out, X_OK) < 0)
		err = -errno;
	return err < 0 ? eos_why(why, err, "cannot find the program edge-aot") : 0;
}

int aot_toolchain_find(const struct aot_config *config, struct aot_toolchain *ret_toolchain,
		       struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	enum image_target target = config->target != 0 ? config->target : image_target_native();
	ret_toolchain->target = target;
	int err = find_program(config, ret_toolchain->program, why);
	if (err == 0)
		err = find_compiler(config, target, ret_toolchain->compiler, why);
	if (err < 0)
		return err;
	(void)eos_buf_printf(&text, "%s\n", image_target_name(target));
	const char *const tools[] = {ret_toolchain->compiler, AOT_WASM_VALIDATE, AOT_WASM2C};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(tools); i++) {
		err = describe_tool(&text, tools[i], why);
		if (err < 0)
			return err;
	}
	for (const char *const *flag = aot_compile_flags; *flag != NULL; flag++)
		(void)eos_buf_printf(&text, "%s\n", *flag);
	/* edge-aot refuses to work for a build of other sources. */
	(void)eos_buf_puts(&text, aot_text_sources);
	if (eos_buf_failed(&text) || crypto_sha256(text.data, text.len, ret_toolchain->sha256) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	return 0;
}
