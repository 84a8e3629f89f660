/*
 * Which pages of a range were written to, asked from the kernel (PAGEMAP_SCAN, Linux 6.7), and
 * whether that can have changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define FWP_PAGES_REGIONS_MAX 32

struct fwp_pages_region {
	char *low, *end;
};

/* How many page faults the calling thread has had, or FWP_PAGES_FAULTS_UNKNOWN. As long as this
 * does not change, the thread has given no page anything of its own: neither the thread itself nor
 * the kernel for it. */
uint64_t fwp_pages_faults(void);
#define FWP_PAGES_FAULTS_UNKNOWN UINT64_MAX
/* Tries whether it does count them: kernels that only look like Linux may say the same each time.
 */
bool fwp_pages_counts_faults(void);

/* A descriptor for fwp_pages_written(), or -1 where the kernel does not have it. */
int fwp_pages_open(void);
/*
 * Finds the pages of [LOW, END), private memory with or without a file behind it, that hold
 * something of their own, and returns in how many regions. -E2BIG: more than PAGES_MAX pages or too
 * scattered; other errors: the kernel cannot. LOW and END are page-aligned.
 */
int fwp_pages_written(int fd, char *low, char *end, unsigned pages_max,
		      struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX]) EOS_MUST_CHECK;
