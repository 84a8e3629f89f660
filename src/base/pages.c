#include "base/pages.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

/* Linux 6.1; Debian 12's C library does not have it. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

int eos_pages_reserve(size_t bytes, void **ret_start)
{
	size_t size = EOS_ALIGN_UP(bytes, EOS_LARGE_PAGE_BYTES);
	if (bytes == 0 || size < bytes || size > SIZE_MAX - EOS_LARGE_PAGE_BYTES)
		return -ENOMEM;
	size_t room = size + EOS_LARGE_PAGE_BYTES;
	char *low = mmap(NULL, room, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (low == MAP_FAILED)
		return -ENOMEM;
	size_t before = -(uintptr_t)low & (EOS_LARGE_PAGE_BYTES - 1);
	char *start = low + before;
	if (before > 0)
		(void)munmap(low, before);
	(void)munmap(start + size, EOS_LARGE_PAGE_BYTES - before);
	*ret_start = start;
	return 0;
}

void eos_pages_release(void *start, size_t bytes)
{
	if (start != NULL)
		(void)munmap(start, EOS_ALIGN_UP(bytes, EOS_LARGE_PAGE_BYTES));
}

void eos_pages_make_large(void *start, size_t bytes)
{
	size_t size = EOS_ALIGN_UP(bytes, EOS_LARGE_PAGE_BYTES);
	(void)madvise(start, size, MADV_HUGEPAGE);
	/* Of what nobody has touched it makes nothing. */
	for (size_t at = 0; at < size; at += EOS_LARGE_PAGE_BYTES) {
		if (madvise((char *)start + at, EOS_LARGE_PAGE_BYTES, MADV_COLLAPSE) < 0)
			break;
	}
}
