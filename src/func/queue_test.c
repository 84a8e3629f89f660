#include <errno.h>

#include "base/counter.h"
#include "func/func_test_priv.h"

/* An executor that collects what it is given, or ends it at once. */
static struct {
	struct func_call *running[FUNC_RUNNING_MAX];
	unsigned count, cancelled;
	bool is_instant;
} cell;

/* What on_done saw: the names of the functions, in order. */
static char trail[8192];
static unsigned done_count;
static enum func_outcome last_outcome;

static struct func_queue *queue;
static struct func *a, *b;

static void start(void *ctx, struct func_call *call)
{
	call->outcome = FUNC_OK;
	if (cell.is_instant) {
		func_queue_done(queue, call);
		return;
	}
	assert_true(cell.count < FUNC_RUNNING_MAX);
	cell.running[cell.count++] = call;
}

static void end_call(unsigned index, enum func_outcome outcome)
{
	struct func_call *call = cell.running[index];
	memmove(&cell.running[index], &cell.running[index + 1],
		(cell.count - index - 1) * sizeof(cell.running[0]));
	cell.count--;
	call->outcome = outcome;
	func_queue_done(queue, call);
}

static void cancel(void *ctx, struct func_call *call)
{
	cell.cancelled++;
	for (unsigned i = 0; i < cell.count; i++) {
		if (cell.running[i] == call) {
			end_call(i, FUNC_TIMEOUT);
			return;
		}
	}
	fail();
}

static const struct func_executor executor = {start, cancel, NULL};

static void on_done(void *ctx, struct func_call *call)
{
	done_count++;
	last_outcome = call->outcome;
	if (strlen(trail) + 2 < sizeof(trail))
		strcat(trail, call->func->manifest->name);
	assert_true(call->ended_ns >= call->submitted_ns && call->submitted_ns > 0);
}

static int setup(void **state)
{
	memset(&cell, 0, sizeof(cell));
	trail[0] = '\0';
	done_count = 0;
	a = make_func("function: a\nimage: x\nlimits: {concurrency: 2}\n", 1);
	b = make_func("function: b\nimage: x\nlimits: {concurrency: 3}\n", 1);
	return func_queue_new(&queue);
}

static int teardown(void **state)
{
	queue = func_queue_free(queue);
	func_unref(a);
	func_unref(b);
	return 0;
}

static int submit(struct func *func, struct func_call **ret_call)
{
	struct func_call *call;
	assert_int_equal(func_call_new(func, &call), 0);
	call->on_done = on_done;
	int err = func_queue_submit(queue, call);
	if (err < 0)
		func_call_free(call);
	else if (ret_call != NULL)
		*ret_call = call;
	return err;
}

static void test_concurrency_of_a_function(void **state)
{
	struct func_queue_stats stats;
	func_queue_set_executor(queue, &executor);
	for (int i = 0; i < 5; i++)
		assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(cell.count, 2);
	func_queue_stats(queue, &stats);
	assert_int_equal(stats.running, 2);
	assert_int_equal(stats.waiting, 3);
	assert_int_equal(submit(b, NULL), 0);
	assert_int_equal(cell.count, 3);
	uint64_t third = cell.running[1]->id + 1;
	end_call(0, FUNC_TRAP);
	assert_int_equal(last_outcome, FUNC_TRAP);
	assert_int_equal(cell.count, 3);
	assert_int_equal(cell.running[2]->id, third);
	while (cell.count > 0)
		end_call(0, FUNC_OK);
	assert_int_equal(done_count, 6);
}

static void test_nothing_starts_without_an_executor(void **state)
{
	for (int i = 0; i < 3; i++)
		assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(cell.count, 0);
	func_queue_set_executor(queue, &executor);
	assert_int_equal(cell.count, 2);
	func_queue_set_executor(queue, NULL);
	end_call(0, FUNC_OK);
	assert_int_equal(cell.count, 1);
	end_call(0, FUNC_OK);
}

static void test_a_backlog_starves_nobody(void **state)
{
	cell.is_instant = true;
	for (int i = 0; i < 6; i++)
		assert_int_equal(submit(a, NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(submit(b, NULL), 0);
	func_queue_set_executor(queue, &executor);
	assert_string_equal(trail, "abababaaa");
}

static void test_too_many_wait(void **state)
{
	for (unsigned i = 0; i < FUNC_QUEUE_MAX; i++)
		assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(submit(a, NULL), -EAGAIN);
	assert_int_equal(submit(b, NULL), 0);
	/* All of them, each ending before it is returned: the stack must not grow with them. */
	cell.is_instant = true;
	func_queue_set_executor(queue, &executor);
	assert_int_equal(done_count, FUNC_QUEUE_MAX + 1);
}

static void test_all_functions_together_are_bounded(void **state)
{
	struct func *many[4];
	for (int i = 0; i < 4; i++) {
		char yaml[128];
		snprintf(yaml, sizeof(yaml),
			 "function: m%d\ntenant: t%d\nimage: x\nlimits: {concurrency: 1000}\n", i,
			 i);
		many[i] = make_func(yaml, 1);
		for (unsigned k = 0; k < FUNC_RUNNING_MAX / 2; k++)
			assert_int_equal(submit(many[i], NULL), 0);
	}
	func_queue_set_executor(queue, &executor);
	assert_int_equal(cell.count, FUNC_RUNNING_MAX);
	while (cell.count > 0)
		end_call(cell.count - 1, FUNC_OK);
	assert_int_equal(done_count, 2 * FUNC_RUNNING_MAX);
	for (int i = 0; i < 4; i++)
		func_unref(many[i]);
}

/* Tenant "acme" may run two calls, others three; five of all. */
static void test_tenants_have_limits(void **state)
{
	static struct func_tenants tenants;
	func_tenants_init(&tenants);
	tenants.others.running_max = 3;
	tenants.count = 1;
	strcpy(tenants.named[0].name, "acme");
	tenants.named[0].running_max = 2;
	func_queue_set_limits(queue, &tenants, 5);
	func_queue_set_executor(queue, &executor);
	struct func *c = make_func("function: c\ntenant: acme\nimage: x\n", 1);
	struct func *d = make_func("function: d\ntenant: acme\nimage: x\n", 1);
	struct func *e = make_func("function: e\ntenant: other\nimage: x\n", 1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(submit(c, NULL), 0);
		assert_int_equal(submit(d, NULL), 0);
	}
	assert_int_equal(cell.count, 2);
	assert_ptr_equal(cell.running[0]->tenant, &tenants.named[0]);
	/* Those that wait hold up nobody else, up to the limit of all. */
	assert_int_equal(submit(e, NULL), 0);
	assert_int_equal(submit(e, NULL), 0);
	assert_int_equal(cell.count, 4);
	assert_ptr_equal(cell.running[3]->tenant, &tenants.others);
	assert_int_equal(submit(b, NULL), 0);
	assert_int_equal(submit(b, NULL), 0);
	assert_int_equal(cell.count, 5);
	/* Of all that ended, acme's make room for acme, whichever function they were of. */
	end_call(0, FUNC_OK);
	assert_string_equal(cell.running[4]->func->manifest->tenant, "default");
	end_call(4, FUNC_OK);
	assert_string_equal(cell.running[4]->func->manifest->tenant, "acme");
	while (cell.count > 0) {
		unsigned of_acme = 0;
		for (unsigned i = 0; i < cell.count; i++)
			of_acme += strcmp(cell.running[i]->func->manifest->tenant, "acme") == 0;
		assert_true(of_acme <= 2);
		end_call(0, FUNC_OK);
	}
	assert_int_equal(done_count, 12);
	func_unref(c);
	func_unref(d);
	func_unref(e);
}

/* A tenant's turn comes as often with one function as with three. */
static void test_tenants_take_turns(void **state)
{
	struct func *funcs[3];
	cell.is_instant = true;
	for (int i = 0; i < 3; i++) {
		char yaml[64];
		snprintf(yaml, sizeof(yaml), "function: %c\ntenant: acme\nimage: x\n", 'x' + i);
		funcs[i] = make_func(yaml, 1);
		assert_int_equal(submit(funcs[i], NULL), 0);
		assert_int_equal(submit(funcs[i], NULL), 0);
		func_unref(funcs[i]);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(submit(a, NULL), 0);
	func_queue_set_executor(queue, &executor);
	assert_string_equal(trail, "xayazaxayz");
}

static void look_for_limit(void *ctx, const struct eos_counter *counter)
{
	if (strcmp(counter->name, "func.tenant_limit_total") == 0)
		*(uint64_t *)ctx = eos_counter_read(counter);
}

static uint64_t tenant_limit_total(void)
{
	uint64_t value = UINT64_MAX;
	eos_counter_each(look_for_limit, &value);
	return value;
}

/* Each call that has to wait for its tenant is counted, and once, however long the others wait. */
static void test_counts_who_meets_the_limit(void **state)
{
	static struct func_tenants tenants;
	uint64_t before = tenant_limit_total();
	func_tenants_init(&tenants);
	tenants.others.running_max = 1;
	func_queue_set_limits(queue, &tenants, 5);
	func_queue_set_executor(queue, &executor);
	assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(tenant_limit_total(), before);
	assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(tenant_limit_total(), before + 1);
	assert_int_equal(submit(b, NULL), 0);
	assert_int_equal(cell.count, 1);
	while (cell.count > 0)
		end_call(0, FUNC_OK);
	assert_int_equal(done_count, 3);
	assert_int_equal(tenant_limit_total(), before + 2);
}

/* A new version of a function may belong to another tenant. */
static void test_a_function_changes_its_tenant(void **state)
{
	struct func *old = make_func("function: x\ntenant: acme\nimage: x\n", 1);
	struct func *new = make_func("function: x\ntenant: other\nimage: x\n", 2);
	func_queue_set_executor(queue, &executor);
	assert_int_equal(submit(old, NULL), 0);
	assert_int_equal(submit(new, NULL), 0);
	assert_int_equal(cell.count, 2);
	end_call(0, FUNC_OK);
	end_call(0, FUNC_OK);
	func_unref(old);
	func_unref(new);
}

static void test_cancel(void **state)
{
	struct func_call *calls[4];
	func_queue_set_executor(queue, &executor);
	for (int i = 0; i < 4; i++)
		assert_int_equal(submit(a, &calls[i]), 0);
	func_queue_cancel(queue, calls[2]);
	assert_int_equal(done_count, 1);
	assert_int_equal(last_outcome, FUNC_REFUSED);
	assert_int_equal(cell.cancelled, 0);
	func_queue_cancel(queue, calls[0]);
	assert_int_equal(cell.cancelled, 1);
	assert_int_equal(done_count, 2);
	assert_int_equal(last_outcome, FUNC_TIMEOUT);
	/* The last waiting one took its place. */
	assert_int_equal(cell.count, 2);
	while (cell.count > 0)
		end_call(0, FUNC_OK);
}

static void submit_again(void *ctx, struct func_call *call)
{
	int *left = ctx;
	done_count++;
	if (--*left <= 0)
		return;
	struct func_call *next;
	assert_int_equal(func_call_new(call->func, &next), 0);
	next->on_done = submit_again;
	next->ctx = ctx;
	if (func_queue_submit(queue, next) < 0)
		func_call_free(next);
}

static void test_on_done_may_submit(void **state)
{
	int left = 100000;
	struct func_call *call;
	cell.is_instant = true;
	func_queue_set_executor(queue, &executor);
	assert_int_equal(func_call_new(a, &call), 0);
	call->on_done = submit_again;
	call->ctx = &left;
	assert_int_equal(func_queue_submit(queue, call), 0);
	assert_int_equal(done_count, 100000);
}

static void test_free_ends_waiting_calls(void **state)
{
	int left = 10;
	struct func_call *call;
	for (int i = 0; i < 3; i++)
		assert_int_equal(submit(a, NULL), 0);
	assert_int_equal(func_call_new(b, &call), 0);
	call->on_done = submit_again;
	call->ctx = &left;
	assert_int_equal(func_queue_submit(queue, call), 0);
	queue = func_queue_free(queue);
	assert_null(queue);
	assert_int_equal(done_count, 4);
	assert_int_equal(left, 9); /* its new call was refused */
	assert_int_equal(last_outcome, FUNC_REFUSED);
}

static void test_many_lanes(void **state)
{
	cell.is_instant = true;
	func_queue_set_executor(queue, &executor);
	for (int i = 0; i < 1000; i++) {
		char yaml[64];
		snprintf(yaml, sizeof(yaml), "function: f%d\ntenant: t%d\nimage: x\n", i, i / 2);
		struct func *func = make_func(yaml, 1);
		assert_int_equal(submit(func, NULL), 0);
		func_unref(func);
	}
	assert_int_equal(done_count, 1000);
}

static void test_pooled_calls_are_clean(void **state)
{
	struct func_call *call;
	assert_int_equal(func_call_new(a, &call), 0);
	uint64_t id = call->id;
	eos_buf_puts(&call->input, "secret");
	eos_buf_puts(&call->environment, "SECRET=1");
	assert_int_equal(eos_buf_reserve(&call->output, 1 << 20), 0);
	call->event = calloc(1, sizeof(*call->event));
	call->outcome = FUNC_TRAP;
	strcpy(call->text, "x");
	assert_null(func_call_free(call));
	assert_null(func_call_free(NULL));
	assert_int_equal(func_call_new(b, &call), 0);
	assert_true(call->id > id);
	assert_int_equal(call->input.len, 0);
	assert_int_equal(call->environment.len, 0);
	assert_null(call->event);
	assert_int_equal(call->outcome, FUNC_OK);
	assert_string_equal(call->text, "");
	assert_ptr_equal(call->func, b);
	func_call_free(call);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_concurrency_of_a_function, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_starts_without_an_executor, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_backlog_starves_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_functions_together_are_bounded, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_tenants_have_limits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_who_meets_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tenants_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_function_changes_its_tenant, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_on_done_may_submit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_ends_waiting_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_lanes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pooled_calls_are_clean, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
