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

static void assert_all_zero(void)
{
	for (size_t i = 0; i < PAGES * page; i++)
		assert_int_equal(range[i], 0);
}

/* Kernels before 6.7 answer at once; then there is nothing to test but that. */
static void test_zeroes_what_was_touched(void **state)
{
	if (fd < 0)
		return;
	assert_int_equal(fwp_pages_zero(fd, range, range + PAGES * page, 32), 0);
	assert_int_equal(resident_count(), 0);
	unsigned touched = 0;
	for (unsigned i = 0; i < PAGES; i += PAGES / 16, touched++)
		memset(range + i * page, 0xab, page);
	assert_int_equal(fwp_pages_zero(fd, range, range + PAGES * page, 32), 0);
	assert_int_equal(resident_count(), touched);
	assert_all_zero();
}

static void test_too_many_are_left_alone(void **state)
{
	if (fd < 0)
		return;
	memset(range, 0xab, 33 * page);
	assert_int_equal(fwp_pages_zero(fd, range, range + PAGES * page, 32), -E2BIG);
	assert_int_equal(range[0], (char)0xab);
	assert_int_equal(range[33 * page - 1], (char)0xab);
	/* Few pages, but more pieces than one answer holds. */
	assert_int_equal(madvise(range, PAGES * page, MADV_DONTNEED), 0);
	for (unsigned i = 0; i < 40; i++)
		range[2 * i * page] = 1;
	assert_int_equal(fwp_pages_zero(fd, range, range + PAGES * page, 64), -E2BIG);
	assert_int_equal(range[0], 1);
}

static void test_reading_costs_nothing(void **state)
{
	if (fd < 0)
		return;
	char sum = 0;
	for (unsigned i = 0; i < 100; i++)
		sum |= ((volatile char *)range)[i * page];
	assert_int_equal(sum, 0);
	assert_int_equal(fwp_pages_zero(fd, range, range + PAGES * page, 8), 0);
}

static void test_a_bad_descriptor_is_an_error(void **state)
{
	assert_int_equal(fwp_pages_zero(-1, range, range + PAGES * page, 8), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_zeroes_what_was_touched, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reading_costs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_bad_descriptor_is_an_error, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
