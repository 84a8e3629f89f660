#include "mma/mma_caps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define KIND  MMA_CAP_USER
#define READ  1u
#define WRITE 2u

static void sizes(void **state)
{
	struct mma_caps caps;
	assert_int_equal(mma_caps_init(&caps, 0), -EINVAL);
	assert_int_equal(mma_caps_init(&caps, MMA_CAPS_MAX + 1), -EINVAL);
	assert_int_equal(mma_caps_init(&caps, MMA_CAPS_MAX), 0);
	mma_caps_fini(&caps);
	mma_caps_fini(&caps);
}

static void grant_find_revoke(void **state)
{
	struct mma_caps caps;
	int a, b;
	uint32_t of_a, of_b;
	void *object = NULL;
	assert_int_equal(mma_caps_init(&caps, 2), 0);
	assert_int_equal(mma_caps_grant(&caps, KIND, READ | WRITE, &a, &of_a), 0);
	assert_int_equal(mma_caps_grant(&caps, KIND, READ, &b, &of_b), 0);
	assert_int_not_equal(of_a, 0);
	assert_int_not_equal(of_a, of_b);
	uint32_t more;
	assert_int_equal(mma_caps_grant(&caps, KIND, READ, &b, &more), -EMFILE);

	assert_int_equal(mma_caps_find(&caps, of_a, KIND, READ | WRITE, &object), 0);
	assert_ptr_equal(object, &a);
	assert_int_equal(mma_caps_find(&caps, of_b, KIND, 0, &object), 0);
	assert_ptr_equal(object, &b);
	assert_int_equal(mma_caps_find(&caps, of_b, KIND, WRITE, &object), -EACCES);
	assert_int_equal(mma_caps_find(&caps, of_b, MMA_CAP_CONNECTION, 0, &object), -EBADF);

	assert_int_equal(mma_caps_restrict(&caps, of_a, READ), 0);
	assert_int_equal(mma_caps_restrict(&caps, of_a, READ | WRITE), 0);
	assert_int_equal(mma_caps_find(&caps, of_a, KIND, WRITE, &object), -EACCES);

	assert_int_equal(mma_caps_revoke(&caps, of_a), 0);
	assert_int_equal(mma_caps_revoke(&caps, of_a), -EBADF);
	assert_int_equal(mma_caps_restrict(&caps, of_a, READ), -EBADF);
	assert_int_equal(mma_caps_find(&caps, of_a, KIND, 0, &object), -EBADF);
	/* The same place, another generation. */
	uint32_t again;
	assert_int_equal(mma_caps_grant(&caps, KIND, READ, &b, &again), 0);
	assert_int_equal(again & (MMA_CAPS_MAX - 1), of_a & (MMA_CAPS_MAX - 1));
	assert_int_not_equal(again, of_a);
	assert_int_equal(mma_caps_find(&caps, of_a, KIND, 0, &object), -EBADF);
	mma_caps_fini(&caps);
}

/* No number but the granted one finds anything. */
static void guesses(void **state)
{
	struct mma_caps caps;
	int a;
	uint32_t handle;
	assert_int_equal(mma_caps_init(&caps, 3), 0);
	assert_int_equal(mma_caps_grant(&caps, KIND, READ, &a, &handle), 0);
	for (uint32_t i = 0; i < 1u << 20; i++)
		assert_true((mma_caps_get(&caps, i) != NULL) == (i == handle));
	for (uint32_t bit = 0; bit < 32; bit++)
		assert_null(mma_caps_get(&caps, handle ^ 1u << bit));
	mma_caps_fini(&caps);
}

static void generations_end(void **state)
{
	struct mma_caps caps;
	int a;
	uint32_t handle = 0, last = 0;
	assert_int_equal(mma_caps_init(&caps, 1), 0);
	for (uint32_t i = 0; i < MMA_CAPS_GENERATIONS; i++) {
		assert_int_equal(mma_caps_grant(&caps, KIND, READ, &a, &handle), 0);
		assert_true(handle > last);
		last = handle;
		assert_int_equal(mma_caps_revoke(&caps, handle), 0);
	}
	assert_int_equal(mma_caps_grant(&caps, KIND, READ, &a, &handle), -EMFILE);
	mma_caps_fini(&caps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(grant_find_revoke),
		cmocka_unit_test(guesses),
		cmocka_unit_test(generations_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
