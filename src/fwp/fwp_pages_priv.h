/*
 * Which pages of a range were touched, asked from the kernel (PAGEMAP_SCAN, Linux 6.7).
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"

/* A descriptor for fwp_pages_zero(), or -1 where the kernel does not have it. */
int fwp_pages_open(void);
/*
 * Makes [LOW, END), private anonymous memory, read as zero again by writing zeros to the pages that
 * are there; they stay resident, so that the next user of the range takes no faults. -E2BIG: more
 * than PAGES_MAX pages or too scattered, and nothing was done; other errors: the kernel cannot.
 * LOW and END are page-aligned.
 */
int fwp_pages_zero(int fd, char *low, char *end, unsigned pages_max) EOS_MUST_CHECK;
