/*
 * The parts of aot_build(): finding the tools, and running edge-aot.
 */
#pragma once

#include "aot/aot.h"

#define AOT_PATH_SIZE 4096

struct aot_toolchain {
	char program[AOT_PATH_SIZE];  /* edge-aot */
	char compiler[AOT_PATH_SIZE]; /* resolved */
	enum image_target target;
	uint8_t sha256[CRYPTO_SHA256_SIZE];
};

/*
 * Finds the tools and a hash that changes with them. No process is run: a tool is known by its
 * path, size, time and inode, so that a cache hit costs a few stat() calls. -ENOENT, -ENOMEM.
 */
int aot_toolchain_find(const struct aot_config *config, struct aot_toolchain *ret_toolchain,
		       struct eos_why *why) EOS_MUST_CHECK;

struct aot_result {
	int elf_fd, names_fd; /* owned */
	uint32_t memory_pages_initial;
};

/* Runs edge-aot on the module in WORK_DIR, a directory for it alone. Errors as aot_build(); the
 * text does not have the module's name yet. */
int aot_run(const struct aot_config *config, const struct aot_toolchain *toolchain,
	    const char *work_dir, const void *module, size_t len, struct aot_result *ret_result,
	    struct eos_why *why) EOS_MUST_CHECK;
