/*
 * Ports: their number, push and pull, and that each is connected as it must be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_fixture_test.h"

/* Each class only has ports. */
#define PORTS(NAME, COUNT, PROCESSING, FLOW)                                                       \
	static const struct click_class class_##NAME = {                                           \
		.name = #NAME,                                                                     \
		.size = sizeof(struct click_element),                                              \
		.port_count = COUNT,                                                               \
		.processing = PROCESSING,                                                          \
		.flow_code = FLOW,                                                                 \
	}

PORTS(Push, "0/1", "h", NULL);
PORTS(PushIn, "1/0", "h", NULL);
PORTS(Pull, "0/1", "l", NULL);
PORTS(PullIn, "1/0", "l", NULL);
PORTS(Any, "1/1", "a", NULL);
PORTS(Both, "2/2", "a", "#/#");
PORTS(Mixed, "2/2", "a", "xy/xy");
PORTS(Apart, "1/1", "a", "x/y");
PORTS(Same, "-/=", "a", "#/#");
PORTS(More, "1/2-3", "h", NULL);
PORTS(Extra, "1/=+", "a/ah", NULL);
PORTS(Negated, "2/2", "a", "xy/[^x][^y]");

static const struct click_class *const classes[] = {
	&class_Push,  &class_PushIn,  &class_Pull,  &class_PullIn, &class_Any,
	&class_Both,  &class_Mixed,   &class_Apart, &class_Same,   &class_More,
	&class_Extra, &class_Negated, NULL};

static void good(const char *text)
{
	struct test_router test;
	if (!test_load(&test, text, classes))
		fail_msg("%s\n%s", text, test.errors);
	test_unload(&test);
}

static void bad(const char *text, const char *beginning)
{
	struct test_router test;
	if (test_load(&test, text, classes))
		fail_msg("it could be loaded: %s", text);
	if (strncmp(test.errors, beginning, strlen(beginning)) != 0)
		fail_msg("expected: %s\nerrors:   %s", beginning, test.errors);
	test_unload(&test);
}

static void test_counts(void **state)
{
	good("Push -> m :: More; m [1] -> PushIn; m -> PushIn");
	bad("Push -> m :: More; m [3] -> PushIn",
	    "f:1: m :: More: output 3 is connected, but it has at most 3 outputs\n");
	bad("Push -> m :: More -> PushIn", "f:1: m :: More: its output 1 is not connected\n");
	bad("Push -> [1] p :: PushIn",
	    "f:1: p :: PushIn: input 1 is connected, but it has 1 input\n");
	bad("p :: Push\nq :: Push -> PushIn", "f:1: p :: Push: its output 0 is not connected\n");
	bad("p :: PushIn", "f:1: p :: PushIn: its input 0 is not connected\n");
	/* As many outputs as inputs. */
	good("s :: Same; Push -> s -> PushIn; Push -> [1] s [1] -> PushIn");
	bad("s :: Same; Push -> s -> PushIn; Push -> [1] s",
	    "f:1: s :: Same: its output 1 is not connected\n");
	good("Push -> e :: Extra -> PushIn; e [1] -> PushIn");
	bad("Push -> e :: Extra -> PushIn", "f:1: e :: Extra: its output 1 is not connected\n");
}

static void test_push_and_pull(void **state)
{
	struct test_router test;
	good("Push -> Any -> Any -> PushIn; Pull -> Any -> PullIn");
	bad("p :: Push\n-> q :: PullIn", "f:2: 'p' push output 0 is connected to 'q' pull input 0; "
					 "is a Queue missing?\n");
	bad("p :: Pull -> q :: PushIn", "f:1: 'p' pull output 0 is connected to 'q' push input 0; "
					"is an Unqueue missing?\n");
	bad("p :: Push -> a :: Any -> q :: PullIn", "f:1: a");
	bad("Pull -> Any -> Any -> PushIn", "f:1: ");
	/* What is not settled pushes. */
	assert_true(test_load(&test, "a, b :: Same; a -> b -> a", classes));
	assert_false(click_router_find(test.router, "a")->more->output_is_pull[0]);
	test_unload(&test);
	/* Agnostic ports are settled from far away, backwards too. */
	assert_true(
		test_load(&test, "Pull -> a :: Any -> b :: Any -> c :: Any -> PullIn", classes));
	assert_true(click_router_find(test.router, "b")->more->input_is_pull[0]);
	assert_true(click_router_find(test.router, "b")->more->output_is_pull[0]);
	test_unload(&test);
}

static void test_flow_codes(void **state)
{
	/* Ports of the same number only. */
	good("b :: Both; Push -> b -> PushIn; Pull -> [1] b [1] -> PullIn");
	bad("b :: Both; Push -> b -> PullIn; Pull -> [1] b [1] -> PushIn", "f:1: ");
	good("m :: Mixed; Push -> m -> PushIn; Pull -> [1] m [1] -> PullIn");
	good("Push -> Apart -> PullIn");
	/* Each output has the packets of the other input. */
	good("n :: Negated; Push -> n -> PullIn; Pull -> [1] n [1] -> PushIn");
	bad("n :: Negated; Push -> n -> PushIn; Pull -> [1] n [1] -> PullIn", "f:1: ");
}

static void test_twice(void **state)
{
	bad("p :: Push; p -> PushIn; p -> PushIn",
	    "f:1: 'p' push output 0 is connected twice; use a Tee\n");
	bad("q :: PullIn; Pull -> q; Pull -> q",
	    "f:1: 'q' pull input 0 is connected twice; use a scheduler such as RoundRobinSched\n");
	good("q :: PushIn; Push -> q; Push -> q");
	good("p :: Pull; p -> PullIn; p -> PullIn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_push_and_pull),
		cmocka_unit_test(test_flow_codes),
		cmocka_unit_test(test_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
