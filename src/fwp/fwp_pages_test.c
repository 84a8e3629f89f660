#include "fwp/fwp_pages_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 4096u

static size_t page;
static char *range;
static int fd;

static int setup(void **state)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	range = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(range != MAP_FAILED);
	assert_int_equal(madvise(range, PAGES * page, MADV_NOHUGEPAGE), 0);
	fd = fwp_pages_open();
	return 0;
}

static int teardown(void **state)
{
	munmap(range, PAGES * page);
	if (fd >= 0)
		close(fd);
	return 0;
}

static unsigned resident_count(void)
{
	static unsigned char vec[PAGES];
	unsigned count = 0;
	assert_int_equal(mincore(range, PAGES * page, vec), 0);
	for (unsigned i = 0; i < PAGES; i++)
		count += vec[i] & 1;
	return count;
}

static int written(struct fwp_pages_region *regions, unsigned pages_max)
{
	return fwp_pages_written(fd, range, range + PAGES * page, pages_max, regions);
}

/* A page that becomes the mapping's own is a fault more, also where the kernel writes to it; what
 * is written to pages that are its own already is none. */
static void test_counts_faults(void **state)
{
	int pipes[2];
	unsigned unchanged = 0;
	assert_true(fwp_pages_counts_faults());
	uint64_t before = fwp_pages_faults();
	for (unsigned i = 0; i < 10; i++)
		range[i * page] = 1;
	assert_true(fwp_pages_faults() >= before + 10);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	before = fwp_pages_faults();
	assert_int_equal(read(pipes[0], range + 20 * page, 1), 1);
	assert_true(fwp_pages_faults() > before);
	close(pipes[0]);
	close(pipes[1]);
	/* The machine may take a page away in between, but hardly each time. */
	for (unsigned i = 0; i < 100; i++) {
		before = fwp_pages_faults();
		for (unsigned at = 0; at < 10; at++)
			range[at * page]++;
		unchanged += fwp_pages_faults() == before;
	}
	assert_true(unchanged > 0);
}

/* Kernels before 6.7 answer at once; then there is nothing to test but that. */
static void test_finds_what_was_written(void **state)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	if (fd < 0)
		return;
	assert_int_equal(written(regions, 32), 0);
	assert_int_equal(resident_count(), 0);
	for (unsigned i = 0; i < PAGES; i += PAGES / 16)
		memset(range + i * page, 0xab, (1 + i % 2) * page);
	assert_int_equal(written(regions, 32), 16);
	for (unsigned i = 0; i < 16; i++) {
		unsigned first = i * (PAGES / 16);
		assert_ptr_equal(regions[i].low, range + first * page);
		assert_ptr_equal(regions[i].end, range + (first + 1 + first % 2) * page);
	}
}

static void test_too_many_are_left_alone(void **state)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	if (fd < 0)
		return;
	memset(range, 0xab, 33 * page);
	assert_int_equal(written(regions, 32), -E2BIG);
	/* Few pages, but more pieces than one answer holds. */
	assert_int_equal(madvise(range, PAGES * page, MADV_DONTNEED), 0);
	for (unsigned i = 0; i < 40; i++)
		range[2 * i * page] = 1;
	assert_int_equal(written(regions, 64), -E2BIG);
}

static void test_reading_is_not_writing(void **state)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	if (fd < 0)
		return;
	char sum = 0;
	for (unsigned i = 0; i < 100; i++)
		sum |= ((volatile char *)range)[i * page];
	assert_int_equal(sum, 0);
	assert_int_equal(written(regions, 8), 0);
}

/* A private mapping of a file: its own pages do not count, what was written to does. */
static void test_pages_of_a_file_do_not_count(void **state)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	if (fd < 0)
		return;
	int file = memfd_create("pages", MFD_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, 64 * (off_t)page), 0);
	assert_int_equal(pwrite(file, "x", 1, 3 * (off_t)page), 1);
	assert_ptr_equal(
		mmap(range, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file, 0),
		range);
	assert_int_equal(((volatile char *)range)[3 * page], 'x');
	assert_int_equal(written(regions, 8), 0);
	range[5 * page] = 1;
	range[6 * page] = 1;
	assert_int_equal(written(regions, 8), 1);
	assert_ptr_equal(regions[0].low, range + 5 * page);
	assert_ptr_equal(regions[0].end, range + 7 * page);
	close(file);
}

static void test_a_bad_descriptor_is_an_error(void **state)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	assert_int_equal(fwp_pages_written(-1, range, range + PAGES * page, 8, regions), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts_faults, setup, teardown),
		cmocka_unit_test_setup_teardown(test_finds_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading_is_not_writing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages_of_a_file_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_bad_descriptor_is_an_error, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
