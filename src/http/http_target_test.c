#include "http/http_target.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_split(void **state)
{
	const char *path, *query;
	char a[] = "/x?y?z", b[] = "/", c[] = "/a b", d[] = "*", e[] = "";
	assert_int_equal(http_target_split(a, 6, &path, &query), 0);
	assert_string_equal(path, "/x");
	assert_string_equal(query, "y?z");
	assert_int_equal(http_target_split(b, 1, &path, &query), 0);
	assert_string_equal(query, "");
	assert_int_equal(http_target_split(c, 4, &path, &query), -EINVAL);
	assert_int_equal(http_target_split(d, 1, &path, &query), -EINVAL);
	assert_int_equal(http_target_split(e, 0, &path, &query), -EINVAL);
}

static void test_bytes(void **state)
{
	const char *path, *query;
	(void)state;
	/* Each byte at each place, as eight are looked at at once. */
	for (size_t at = 1; at < 18; at++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			char text[] = "/!\x80~\xff\"!0z/!\x80~\xff\"!0z";
			bool is_good = byte > 0x20 && byte != 0x7f;
			text[at] = (char)byte;
			assert_int_equal(http_target_split(text, sizeof(text) - 1, &path, &query),
					 is_good ? 0 : -EINVAL);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
