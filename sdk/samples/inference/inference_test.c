#include "inference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"
#include "reference.h"

#define CASES (sizeof(reference) / sizeof(reference[0]))

static const char *ask(uint32_t peer, const char *text)
{
	assert_int_equal(host_datagram(peer, text, (uint32_t)strlen(text)), EDGEOS_ANSWER);
	assert_true(host_result.len < 64);
	host_result.data[host_result.len] = '\0';
	return (const char *)host_result.data;
}

static void test_reference_results(void **state)
{
	for (unsigned i = 0; i < CASES; i++)
		assert_int_equal(model_score(reference[i].window), reference[i].score);
}

static void test_verdicts(void **state)
{
	unsigned found = 0, odd = 0;
	for (unsigned i = 0; i < CASES; i++) {
		bool is_found = reference[i].score > model.threshold;
		odd += reference[i].is_odd;
		found += reference[i].is_odd && is_found;
		assert_false(!reference[i].is_odd && is_found);
	}
	assert_true(found * 100 >= odd * 90);
}

static void put_window(char *text, const int8_t *window)
{
	for (unsigned i = 0; i < MODEL_WINDOW; i++)
		text += sprintf(text, "%s%d.%02d ", window[i] < 0 ? "-" : "", abs(window[i]) / 100,
				abs(window[i]) % 100);
}

static void test_as_a_service(void **state)
{
	char text[256], expected[64];
	host_set(NULL, NULL);
	assert_true(host_start());
	for (unsigned i = 0; i < CASES; i++) {
		put_window(text, reference[i].window);
		snprintf(expected, sizeof(expected), "score %u %s\n", reference[i].score,
			 reference[i].score > model.threshold ? "anomaly" : "normal");
		assert_string_equal(ask(1 + i % 3, text), expected);
	}
	assert_string_equal(ask(60, "0 .57 .8 .57 0 -.57 -.8 -.57 0 .57 .8 .57 0 -.57 -.8 -.57"),
			    "score 0 normal\n");
	/* Value by value; each sender has a window of his own. */
	assert_string_equal(ask(50, ".5"), "needs 15 more\n");
	assert_string_equal(ask(51, "1,2;3\n"), "needs 13 more\n");
	/* He was silent for long: the double gives this number to the same address. */
	assert_string_equal(ask(50 + 65536, "-.5"), "needs 14 more\n");
	/* Nothing of what is not right is taken. */
	assert_string_equal(ask(50, "1 2 x"), "error: not a number\n");
	assert_string_equal(ask(50, "."), "error: not a number\n");
	assert_string_equal(ask(50, "1.2.3"), "error: not a number\n");
	assert_string_equal(ask(50, "99999999999999999999 -99999999999.99999999999"),
			    "needs 12 more\n");
	assert_string_equal(ask(50, ""), "needs 12 more\n");
	uint64_t windows = host_counter("windows");
	assert_string_equal(ask(60, " "), "score 0 normal\n");
	assert_int_equal(host_counter("windows"), windows);
	host_set("threshold", "99999");
	assert_true(host_start());
	put_window(text, reference[CASES - 1].window);
	assert_non_null(strstr(ask(1, text), "normal"));
	host_set("threshold", "0");
	assert_false(host_start());
}

static void test_numbers(void **state)
{
	/* As other languages write them, and what none does. */
	static const char *const good[] = {"1e-05",  "5E-1",	 "+0.5",
					   "-5.e-1", ".5e+00",	 "1e99999999999",
					   "0e9999", "1e-99999", "000000000000000.5"};
	static const char *const bad[] = {"e5", "1e", "1e+", "1e1.5", "+", "-+1", "1e5e5", "nan"};
	char expected[64], text[256];
	host_set(NULL, NULL);
	assert_true(host_start());
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		sprintf(expected, "needs %u more\n", MODEL_WINDOW - 1 - i);
		assert_string_equal(ask(70, good[i]), expected);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_string_equal(ask(70, bad[i]), "error: not a number\n");
	/* They are the same values. */
	put_window(text, reference[CASES - 1].window);
	snprintf(expected, sizeof(expected), "%s", ask(71, text));
	for (unsigned i = 0, at = 0; i < MODEL_WINDOW; i++)
		at += (unsigned)sprintf(text + at, "%de-2 ", reference[CASES - 1].window[i]);
	assert_string_equal(ask(71, text), expected);
	for (unsigned i = 0, at = 0; i < MODEL_WINDOW; i++)
		at += (unsigned)sprintf(text + at, "%+.4fE1,",
					reference[CASES - 1].window[i] / 1e3);
	assert_string_equal(ask(71, text), expected);
}

/* What another one answers: nothing is said to that, or both would go on for ever. */
static void test_no_loops(void **state)
{
	char text[256];
	host_set(NULL, NULL);
	assert_true(host_start());
	put_window(text, reference[0].window);
	const char *const first[] = {"x", "1", text};
	for (unsigned i = 0; i < 3; i++) {
		char said[64];
		snprintf(said, sizeof(said), "%s", ask(80, first[i]));
		assert_int_equal(host_datagram(81, said, (uint32_t)strlen(said)), EDGEOS_DROP);
	}
	assert_string_equal(ask(81, "1"), "needs 15 more\n");
}

static void test_hostile(void **state)
{
	static const char letters[] = "012345e789.-, \nx";
	char text[300];
	host_set(NULL, NULL);
	assert_true(host_start());
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t len = host_random() % sizeof(text);
		for (uint32_t k = 0; k < len; k++)
			text[k] = i % 2 != 0 ? letters[host_random() % 16] : (char)host_random();
		host_datagram(host_random() % 200, text, len);
		host_now_ns++;
	}
	int8_t window[MODEL_WINDOW];
	for (unsigned i = 0; i < 20000; i++) {
		for (unsigned k = 0; k < MODEL_WINDOW; k++)
			window[k] = (int8_t)host_random();
		assert_in_range(model_score(window), 0, 255 * 255);
	}
}

static int setup(void **state)
{
	host_tail_is_usable = true;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_results), cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_as_a_service),	  cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_no_loops),	  cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
