/*
 * What aot_build() and the program edge-aot say to each other.
 *
 *     edge-aot --sources HASH --module-fd N --out-fd M --names-fd K --progress-fd P --dir WORKDIR
 *              --cc COMPILER --memory BYTES --seconds CPU_SECONDS
 *
 * HASH is aot_text_sources: an edge-aot that was built from other sources than its caller refuses
 * to work, as the caller names images in its cache by its own.
 *
 * The module is read from --module-fd; the ELF object is written to --out-fd and the section of its
 * functions' names (image/image_names.h) to --names-fd. Lines on --progress-fd: "phase checking"
 * and so on, and "pages N", the module's initial memory, before it ends with exit code 0. Otherwise
 * one line on standard error says what is wrong with the module, and the exit code is one of those
 * below.
 */
#pragma once

enum aot_exit {
	AOT_EXIT_OK,
	AOT_EXIT_INVALID,   /* -EINVAL: the module's fault */
	AOT_EXIT_USAGE,	    /* edge-aot was called wrongly */
	AOT_EXIT_NO_MEMORY, /* -ENOMEM */
	AOT_EXIT_TOO_LARGE, /* -EFBIG */
	AOT_EXIT_TOO_SLOW,  /* -ETIMEDOUT */
	AOT_EXIT_NO_TOOL,   /* -ENOENT */
	AOT_EXIT_FAILED,    /* -EIO: anything else */
};

/* Where aot_build() puts the descriptors. */
enum {
	AOT_FD_PROGRESS = 3,
	AOT_FD_MODULE = 4,
	AOT_FD_OUT = 5,
	AOT_FD_NAMES = 6,
	AOT_FDS_END = 7,
};

/* Results of the compiler, and what wasm2c writes on the way there. */
#define AOT_ELF_BYTES_MAX  (128u << 20)
#define AOT_FILE_BYTES_MAX (2048u << 20)
