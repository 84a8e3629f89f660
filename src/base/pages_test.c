#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pages.h"

#define BYTES (3 * EOS_LARGE_PAGE_BYTES - 100)

static void is_zero_and_writable(void **state)
{
	void *start;
	(void)state;
	assert_int_equal(eos_pages_reserve(BYTES, &start), 0);
	assert_int_equal((uintptr_t)start % EOS_LARGE_PAGE_BYTES, 0);
	char *bytes = start;
	for (size_t at = 0; at < BYTES; at += 1000) {
		assert_int_equal(bytes[at], 0);
		bytes[at] = 1;
	}
	eos_pages_release(start, BYTES);
	eos_pages_release(NULL, BYTES);
}

/* Half of the table is in use when it becomes large: it stays, and the rest is zero as before. */
static void contents_stay(void **state)
{
	const size_t used = EOS_LARGE_PAGE_BYTES + 12345;
	void *start;
	(void)state;
	assert_int_equal(eos_pages_reserve(BYTES, &start), 0);
	uint8_t *bytes = start;
	for (size_t at = 0; at < used; at++)
		bytes[at] = (uint8_t)(at * 7 + (at >> 12));
	eos_pages_make_large(start, BYTES);
	for (size_t at = 0; at < used; at++) {
		if (bytes[at] != (uint8_t)(at * 7 + (at >> 12)))
			fail_msg("byte %zu", at);
	}
	for (size_t at = used; at < BYTES; at++) {
		if (bytes[at] != 0)
			fail_msg("byte %zu", at);
	}
	eos_pages_release(start, BYTES);
}

static void refuses_what_cannot_be(void **state)
{
	void *start = NULL;
	(void)state;
	assert_int_equal(eos_pages_reserve(0, &start), -ENOMEM);
	assert_int_equal(eos_pages_reserve(SIZE_MAX, &start), -ENOMEM);
	assert_int_equal(eos_pages_reserve(SIZE_MAX - EOS_LARGE_PAGE_BYTES, &start), -ENOMEM);
	assert_int_equal(eos_pages_reserve((size_t)1 << 62, &start), -ENOMEM);
	assert_null(start);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_zero_and_writable),
		cmocka_unit_test(contents_stay),
		cmocka_unit_test(refuses_what_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
