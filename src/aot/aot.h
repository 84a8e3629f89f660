/*
 * From a WebAssembly module to a signed native image, ahead of time.
 *
 * aot_build() is what everybody calls. It looks into the cache (a directory of images named by the
 * hash of the module and of the toolchain) and, if the image is not there, runs the program
 * edge-aot on the module and puts its result there, signed. edge-aot is a sandboxed process that
 * may read the system's compiler, write one directory, and nothing else; what it prints on failure
 * is one line for people. So a module, or wabt, or a compiler gone wild can harm neither the
 * caller nor the machine: there are limits of time, memory and file size, and a killed child is an
 * error text. The signing key never enters edge-aot.
 *
 * The rest of this folder is edge-aot's inside: aot_module.h (the checks and the list of imports
 * and exports), aot_translate.h (wabt), aot_glue.h, aot_compile.h (C compiler).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "image/image.h"

#define AOT_MODULE_BYTES_MAX (64u << 20)

struct aot_config {
	int cache_dir_fd;	     /* borrowed; images are DIR/<key>.fwp */
	const char *work_dir;	     /* where a private temporary directory may be made */
	const struct image_key *key; /* signs and verifies the cache's images */
	uint64_t timeout_ns;	     /* of one build; 0: 300 s */
	uint64_t memory_bytes;	     /* address space of each compiler process; 0: 4 GiB */
	enum image_target target;    /* 0: this machine's */
	const char *compiler;	     /* path, for that target; NULL: as aot_toolchain.c finds it */
	const char *program;	     /* path of edge-aot; NULL: as eos_find_program() finds it */
	/* Becomes readable when the build shall be given up; 0: never. Borrowed. */
	int cancel_fd;
	/* Called now and then with a phase ("checking", "translating", "compiling"), on the
	 * caller's thread; may be NULL. */
	void (*on_progress)(void *ctx, const char *phase);
	void *progress_ctx;
};

/*
 * The image of MODULE, from the cache or built. NAME stands for the module in messages, which
 * start with it. -EINVAL: not WebAssembly, truncated, invalid, or it uses what is not supported;
 * WHY is one line that names the feature or import. -ETIMEDOUT, -ENOMEM, -EFBIG: beyond a limit.
 * -ECANCELED: as CANCEL_FD asked for. -ENOENT: no compiler (WHY names the package that has it),
 * wabt or edge-aot here. Other errors are the machine's (-ENOSPC, -EIO). A cached image that does
 * not verify is dropped and built again. Blocks; any thread. The caller must not reap children that
 * are not its own (wait() or waitpid(-1)).
 *
 * Which host functions a module imports is not judged here: fwp_image_load() names a missing one.
 */
int aot_build(const struct aot_config *config, const char *name, const void *module, size_t len,
	      struct image **ret_image, struct eos_why *why) EOS_MUST_CHECK;

/* Removes what builds left behind whose process was killed. For the only user of the work directory
 * and the cache, while nothing is built. What cannot be removed stays. */
void aot_clean(const struct aot_config *config);
