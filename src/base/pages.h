/*
 * Memory for tables of many items that are looked up at random, from the kernel in whole pages.
 *
 * A processor knows the addresses of some thousand pages at a time; items of a table in pages of
 * 4 KiB are then mostly ones that it has to look up first. So tables that became large get pages of
 * 2 MiB, where the kernel has some; small ones do not, as each of these costs 2 MiB.
 *
 * Any thread, one at a time for one table.
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"

#define EOS_LARGE_PAGE_BYTES ((size_t)2 << 20)

/* BYTES of address space, zero, aligned to a large page. What is never touched costs no memory.
 * Release with eos_pages_release() and the same BYTES. -ENOMEM. */
int eos_pages_reserve(size_t bytes, void **ret_start) EOS_MUST_CHECK;
/* NULL is fine. */
void eos_pages_release(void *start, size_t bytes);
/* From now on the reservation [START, START + BYTES) has large pages, also where it was touched
 * before. */
void eos_pages_make_large(void *start, size_t bytes);
