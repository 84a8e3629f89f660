/*
 * A double of an FWP for the unit tests of this folder: guest memory is an array between two
 * inaccessible pages, and what host functions ask of an FWP is recorded.
 */
#pragma once

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fwp/fwp.h"

#define DOUBLE_MEMORY_SIZE 65536u

struct fwp {
	uint8_t *memory; /* DOUBLE_MEMORY_SIZE bytes */
	_Atomic uint64_t memory_bytes;
	void *context;
	uint64_t deadline_ns; /* UINT64_MAX: none */
	unsigned entered, left;
	/* Where fwp_exit() goes, and its code. */
	jmp_buf on_exit;
	bool has_exited;
	uint32_t exit_code;
};

/* An image that exports these; the last has no name. */
struct fwp_image {
	const struct fwp_double_export {
		const char *name, *signature;
		void (*call)(void);
	} * exports;
};

struct fwp *fwp_double_new(void *context);
struct fwp *fwp_double_free(struct fwp *fwp);

/* Guest memory, for tests: out of bounds is a failure of the test itself. */
void *fwp_double_at(struct fwp *fwp, uint32_t address, uint32_t len);
uint32_t fwp_double_u32(struct fwp *fwp, uint32_t address);
uint64_t fwp_double_u64(struct fwp *fwp, uint32_t address);
/* Writes TEXT without its NUL; returns its length. */
uint32_t fwp_double_put(struct fwp *fwp, uint32_t address, const char *text);
