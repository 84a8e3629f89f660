#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/spares.h"

static void gives_back_what_it_was_given(void **state)
{
	struct eos_spares spares = {{{NULL}}};
	int things[EOS_SPARES_MAX + 1];
	(void)state;
	assert_null(eos_spares_take(&spares));
	assert_null(eos_spares_give(&spares, NULL));
	assert_null(eos_spares_take(&spares));
	for (size_t i = 0; i < EOS_SPARES_MAX; i++)
		assert_null(eos_spares_give(&spares, &things[i]));
	assert_ptr_equal(eos_spares_give(&spares, &things[EOS_SPARES_MAX]),
			 &things[EOS_SPARES_MAX]);
	for (size_t i = 0; i < EOS_SPARES_MAX; i++) {
		int *thing = eos_spares_take(&spares);
		assert_in_range(thing - things, 0, EOS_SPARES_MAX - 1);
		*thing = 0;
	}
	assert_null(eos_spares_take(&spares));
}

#define THREADS 4
#define ROUNDS	50000

static struct eos_spares shared;

/* Each thing has one owner at a time, who sees what the last one wrote. */
static void *take_and_give(void *ctx)
{
	_Atomic unsigned *made = ctx;
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned *thing = eos_spares_take(&shared);
		if (thing == NULL) {
			thing = calloc(2, sizeof(*thing));
			assert_non_null(thing);
			atomic_fetch_add(made, 1);
		}
		assert_int_equal(thing[0], thing[1]);
		thing[0]++;
		thing[1]++;
		free(eos_spares_give(&shared, thing));
	}
	return NULL;
}

static void has_one_owner_at_a_time(void **state)
{
	pthread_t threads[THREADS];
	_Atomic unsigned made = 0;
	unsigned sum = 0, *thing;
	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &made), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	/* There was always room: so none was made but where all were in use. */
	assert_in_range(made, 1, THREADS * ROUNDS / 10);
	while ((thing = eos_spares_take(&shared)) != NULL) {
		sum += thing[0];
		free(thing);
	}
	assert_in_range(sum, 1, THREADS * ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_back_what_it_was_given),
		cmocka_unit_test(has_one_owner_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
