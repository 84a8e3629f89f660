#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/counter.h"
#include "link/link_counters.h"
#include "supervisor/supervisor_priv.h"

struct wanted {
	const char *name;
	uint64_t value;
	unsigned times;
};

static void look(void *ctx, const struct eos_counter *counter)
{
	struct wanted *wanted = ctx;
	if (strcmp(counter->name, wanted->name) == 0) {
		wanted->value = eos_counter_read(counter);
		wanted->times++;
	}
}

static uint64_t value_of(const char *name)
{
	struct wanted wanted = {.name = name};
	eos_counter_each(look, &wanted);
	assert_int_equal(wanted.times, 1);
	return wanted.value;
}

/* A cell says VALUE of each counter, but OTHER of the one called NAME. */
static int say_but(struct supervisor *supervisor, uint64_t value, const char *name, uint64_t other)
{
	_Alignas(8) char bytes[sizeof(struct link_header) + LINK_COUNTERS_COUNT * sizeof(uint64_t)];
	uint64_t values[LINK_COUNTERS_COUNT];
	struct link_header header = {.kind = LINK_COUNTERS, .payload_len = sizeof(values)};
	struct link_message message;
	for (size_t i = 0; i < LINK_COUNTERS_COUNT; i++)
		values[i] = value;
	if (name != NULL)
		values[link_counters_find(name)] = other;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), values, sizeof(values));
	assert_int_equal(link_decode_to_node(bytes, sizeof(bytes), &message), 0);
	return supervisor_counters_take(supervisor, &message);
}

static int say(struct supervisor *supervisor, uint64_t value)
{
	return say_but(supervisor, value, NULL, 0);
}

static void sums_over_cells(void **state)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	assert_non_null(supervisor);
	assert_int_equal(value_of("fwp.created_total"), 0);
	assert_int_equal(say(supervisor, 3), 0);
	assert_int_equal(say(supervisor, 3), 0);
	assert_int_equal(say(supervisor, 5), 0);
	assert_int_equal(value_of("fwp.created_total"), 5);
	assert_int_equal(value_of("cell.residents"), 5);
	assert_int_equal(say_but(supervisor, 5, "cell.residents", 2), 0);
	assert_int_equal(value_of("cell.residents"), 2);
	/* Told twice, as when a condemned cell is then reaped. */
	supervisor_counters_lost(supervisor);
	supervisor_counters_lost(supervisor);
	assert_int_equal(value_of("fwp.created_total"), 5);
	assert_int_equal(value_of("cell.residents"), 0);
	assert_int_equal(say(supervisor, 1), 0);
	assert_int_equal(value_of("fwp.created_total"), 6);
	assert_int_equal(value_of("cell.residents"), 1);
	supervisor_counters_lost(supervisor);
	free(supervisor);
}

/* What is refused has changed nothing. */
static void refuses_to_go_back(void **state)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	assert_non_null(supervisor);
	uint64_t before = value_of("cell.calls_total"), traps = value_of("fwp.traps_total");
	assert_int_equal(say(supervisor, 5), 0);
	assert_int_equal(say_but(supervisor, 9, "fwp.traps_total", 4), -EBADMSG);
	assert_int_equal(value_of("fwp.traps_total"), traps + 5);
	assert_int_equal(value_of("cell.calls_total"), before + 5);
	assert_int_equal(say(supervisor, 6), 0);
	assert_int_equal(value_of("cell.calls_total"), before + 6);
	supervisor_counters_lost(supervisor);
	free(supervisor);
}

/* Last: it leaves the sums where they cannot grow. */
static void never_wraps(void **state)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	assert_non_null(supervisor);
	uint64_t before = value_of("mma.bytes_total");
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(say(supervisor, LINK_COUNTER_MAX), 0);
		supervisor_counters_lost(supervisor);
		uint64_t now = value_of("mma.bytes_total");
		assert_true(now >= before);
		before = now;
	}
	assert_true(before == UINT64_MAX);
	assert_int_equal(value_of("cell.residents"), 0);
	free(supervisor);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_over_cells),
		cmocka_unit_test(refuses_to_go_back),
		cmocka_unit_test(never_wraps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
