#include "base/counter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

EOS_COUNTER(second, "counter_test.b_total", "Counts b.")
EOS_COUNTER(first, "counter_test.a_total", "Counts a.")
EOS_COUNTER(third, "counter_test.c_now", "Counts c.")

static void *add_many(void *arg)
{
	for (int i = 0; i < 10000; i++)
		eos_counter_add(&third, 2);
	for (int i = 0; i < 10000; i++)
		eos_counter_sub(&third, 1);
	return NULL;
}

static void test_threads_lose_nothing(void **state)
{
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(eos_counter_read(&third), 40000);
}

static void collect(void *ctx, const struct eos_counter *counter)
{
	const char **names = ctx;
	if (strncmp(counter->name, "counter_test.", 13) != 0)
		return;
	assert_true(strlen(counter->help) > 0);
	while (*names != NULL)
		names++;
	*names = counter->name;
}

static void test_each_in_order_of_names(void **state)
{
	const char *names[8] = {NULL};
	eos_counter_add(&first, 1);
	eos_counter_add(&second, 1);
	eos_counter_each(collect, names);
	assert_string_equal(names[0], "counter_test.a_total");
	assert_string_equal(names[1], "counter_test.b_total");
	assert_string_equal(names[2], "counter_test.c_now");
	assert_null(names[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_lose_nothing),
		cmocka_unit_test(test_each_in_order_of_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
