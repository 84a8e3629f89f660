#include "fwp/fwp_pages_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

/* From the kernel's linux/fs.h of version 6.7, which Debian 12's headers precede. */
struct page_region {
	uint64_t start, end, categories;
};
struct pm_scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
_Static_assert(sizeof(struct pm_scan_arg) == 96, "the kernel's layout");
#define PAGEMAP_SCAN	_IOWR('f', 16, struct pm_scan_arg)
#define PAGE_IS_FILE	(UINT64_C(1) << 2)
#define PAGE_IS_PRESENT (UINT64_C(1) << 3)
#define PAGE_IS_SWAPPED (UINT64_C(1) << 4)
#define PAGE_IS_PFNZERO (UINT64_C(1) << 5)

/* The pages that were written to, as regions. Not among them: pages of a mapped file that are still
 * the file's, and the shared page of zeros, which reading brings. */
static int scan(int fd, char *low, char *end, unsigned pages_max, struct page_region *regions)
{
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)low,
		.end = (uintptr_t)end,
		.vec = (uintptr_t)regions,
		.vec_len = FWP_PAGES_REGIONS_MAX,
		.max_pages = pages_max,
		.category_inverted = PAGE_IS_PFNZERO | PAGE_IS_FILE,
		.category_mask = PAGE_IS_PFNZERO | PAGE_IS_FILE,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT,
	};
	int err = eos_fault("fwp.pagemap_scan");
	if (err < 0)
		return err;
	int count = ioctl(fd, PAGEMAP_SCAN, &arg);
	if (count < 0)
		return -errno;
	return arg.walk_end < (uintptr_t)end ? -E2BIG : count;
}

uint64_t fwp_pages_faults(void)
{
	struct rusage usage;
	if (eos_fault("fwp.getrusage") < 0 || getrusage(RUSAGE_THREAD, &usage) < 0)
		return FWP_PAGES_FAULTS_UNKNOWN;
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

bool fwp_pages_counts_faults(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	char *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return false;
	uint64_t before = fwp_pages_faults();
	*(volatile char *)page = 1;
	uint64_t after = fwp_pages_faults();
	(void)munmap(page, size);
	return before != FWP_PAGES_FAULTS_UNKNOWN && after != FWP_PAGES_FAULTS_UNKNOWN &&
	       after > before;
}

int fwp_pages_open(void)
{
	struct page_region regions[FWP_PAGES_REGIONS_MAX];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* Older kernels have the file and not the request. */
	int err = scan(fd, NULL, NULL, 1, regions);
	return err < 0 ? eos_close(fd) : fd;
}

int fwp_pages_written(int fd, char *low, char *end, unsigned pages_max,
		      struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX])
{
	struct page_region found[FWP_PAGES_REGIONS_MAX];
	int count = scan(fd, low, end, pages_max, found);
	for (int i = 0; i < count; i++) {
		regions[i].low = low + (found[i].start - (uintptr_t)low);
		regions[i].end = low + (found[i].end - (uintptr_t)low);
	}
	return count;
}
