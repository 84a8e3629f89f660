#include "fwp/fwp_template.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "fwp/fixtures/fixture.h"
#include "fwp/fwp_slot_priv.h"
#include "sched/sanitizer.h"

static struct fwp_engine *engine;
static struct fwp_image *image;

static void begin(const struct fwp_engine_config *config)
{
	engine = fixture_engine(config);
	image = fixture_load("image");
}

static void end(void)
{
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
}

static struct fwp_template *make_template(void)
{
	struct eos_why why = {""};
	struct fixture fixture = {0};
	struct fwp_template *template = NULL;
	if (fwp_template_new(engine, image, NULL, &fixture, &template, &why) < 0)
		fail_msg("%s", why.text);
	return template;
}

static struct fwp *new_from(struct fwp_template *template, struct fixture *fixture)
{
	struct eos_why why = {""};
	struct fwp *fwp = NULL;
	if (fwp_new_from(template, NULL, fixture, &fwp, &why) < 0)
		fail_msg("%s", why.text);
	return fwp;
}

/* What PROGRAM_TEMPLATE must have seen. */
static void check_fresh(const struct fixture *fixture)
{
	assert_int_equal(fixture->notes[0], 42);
	assert_int_equal(fixture->notes[1], 42);
	assert_int_equal(fixture->notes[2], 7);
	assert_int_equal(fixture->notes[3], 0);
	/* The table is below the memory, in the same slot. */
	assert_in_range(fixture->notes[4], 1, 16 << 20);
	assert_int_equal(fixture->notes_count, 7);
	assert_int_equal(fixture->notes[5], 0);
	assert_int_equal(fixture->notes[6], 0);
}

static void run_one(struct fwp_template *template, bool writes_much)
{
	struct fixture fixture = {.program = PROGRAM_TEMPLATE, .answer = writes_much};
	struct fwp *fwp = new_from(template, &fixture);
	assert_int_equal(fwp_memory_bytes(fwp), FIXTURE_PAGES * FWP_PAGE_SIZE);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
	check_fresh(&fixture);
	fwp_free(fwp);
}

static void fwps_start_where_the_initialisation_ended(void **state)
{
	begin(NULL);
	struct fwp_template *template = make_template();
	for (int i = 0; i < 300; i++) {
		run_one(template, i % 3 == 0);
		if (i % 5 == 0)
			while (fwp_engine_maintain(engine))
				;
		if (i % 50 == 0)
			fwp_engine_shrink(engine);
	}
	assert_null(fwp_template_unref(template));
	assert_null(fwp_template_unref(NULL));
	end();
}

static void fwps_of_a_template_are_apart(void **state)
{
	begin(NULL);
	struct fwp_template *template = make_template();
	struct fixture fixtures[20];
	struct fwp *fwps[20];
	for (int i = 0; i < 20; i++) {
		fixtures[i] = (struct fixture){.program = PROGRAM_TEMPLATE, .answer = 1};
		fwps[i] = new_from(template, &fixtures[i]);
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED);
	}
	/* The template lives as long as they do. */
	fwp_template_unref(template);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(fwp_run(fwps[i]), FWP_DEAD);
		check_fresh(&fixtures[i]);
	}
	for (int i = 0; i < 20; i++)
		fwp_free(fwps[i]);
	end();
}

struct writing {
	uint8_t *at;
	uint8_t value;
};

static void *write_one(void *arg)
{
	const struct writing *writing = arg;
	*writing->at = writing->value;
	return NULL;
}

/* Dirties what FWP has: one page again and again, now and then another one, now and then by a
 * thread whose page faults are its own. */
static void scribble(struct fwp *fwp, unsigned round)
{
	size_t bytes = fwp_memory_bytes(fwp);
	for (unsigned i = 0; i < 3; i++) {
		bool is_rare = rand() % 16 == 0;
		size_t at = is_rare ? (size_t)rand() % bytes : bytes / 2 + (size_t)rand() % 64;
		*(uint8_t *)fwp_memory(fwp, (uint32_t)at, 1) ^= (uint8_t)(1 + rand() % 255);
	}
	if (round % 10 == 7) {
		struct writing writing = {fwp_memory_view(fwp).base + (size_t)rand() % bytes, 0xa5};
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, write_one, &writing), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
}

/* Whatever was written, where, and by whom: the next one sees nothing of it. */
static void nothing_is_left_behind(void **state)
{
	enum { ALIVE = 3 };
	struct fwp_engine_config config = {.fwps_max = 6, .pool_high = 6};
	struct fixture fixture = {.program = PROGRAM_WAIT};
	struct fwp *fwps[ALIVE] = {NULL};
	begin(&config);
	struct fwp_template *template = make_template();
	uint8_t *fresh = NULL;
	srand(7);
	for (unsigned round = 0; round < 900; round++) {
		struct fwp **fwp = &fwps[rand() % ALIVE];
		if (*fwp != NULL)
			fwp_free(*fwp);
		*fwp = new_from(template, &fixture);
		assert_int_equal(fwp_run(*fwp), FWP_BLOCKED);
		size_t bytes = fwp_memory_bytes(*fwp);
		const void *memory = fwp_memory(*fwp, 0, bytes);
		if (fresh == NULL) {
			fresh = malloc(bytes);
			assert_non_null(fresh);
			memcpy(fresh, memory, bytes);
		}
		if (memcmp(fresh, memory, bytes) != 0)
			fail_msg("round %u: something is left of the one before", round);
		scribble(*fwp, round);
		if (round % 40 == 0)
			(void)fwp_engine_maintain(engine);
	}
	for (unsigned i = 0; i < ALIVE; i++) {
		if (fwps[i] != NULL)
			fwp_free(fwps[i]);
	}
	free(fresh);
	fwp_template_unref(template);
	end();
}

/* Three places for four templates: each takes them from the others. */
static void places_change_their_template(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 3, .pool_low = 1, .pool_high = 2};
	begin(&config);
	struct fwp_template *templates[4];
	for (int i = 0; i < 4; i++)
		templates[i] = make_template();
	for (int round = 0; round < 20; round++) {
		struct fixture fixture = {.program = PROGRAM_DIRTY};
		struct fwp *plain = fixture_new(engine, image, NULL, &fixture);
		assert_int_equal(fwp_run(plain), FWP_DEAD);
		assert_int_equal(fixture.notes[0], 0);
		run_one(templates[round % 4], round % 2 == 0);
		run_one(templates[round % 3], false);
		fwp_free(plain);
		if (round % 3 == 0)
			while (fwp_engine_maintain(engine))
				;
		struct fwp_engine_stats stats;
		fwp_engine_stats(engine, &stats);
		assert_true(stats.made <= 3 && stats.alive == 0);
	}
	for (int i = 0; i < 4; i++)
		fwp_template_unref(templates[i]);
	end();
}

static void marks_are_kept(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 50, .pool_low = 3, .pool_high = 7};
	begin(&config);
	struct fwp_template *template = make_template();
	struct fwp_engine_stats stats;
	while (fwp_engine_maintain(engine))
		;
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.clean, 3);
	struct fixture fixture = {.program = PROGRAM_WAIT};
	struct fwp *fwps[20];
	for (int i = 0; i < 20; i++) {
		fwps[i] = new_from(template, &fixture);
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED);
	}
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.alive, 20);
	for (int i = 0; i < 20; i++)
		fwp_free(fwps[i]);
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.dirty, 20);
	while (fwp_engine_maintain(engine))
		;
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.dirty, 0);
	assert_int_equal(stats.clean, 7);
	assert_int_equal(stats.alive_max, 20);
	fwp_engine_shrink(engine);
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.clean, 3);
	assert_int_equal(stats.made, 3);
	fwp_template_unref(template);
	end();
}

static void expect_failure(uint32_t program, int err, const char *text)
{
	struct eos_why why = {""};
	struct fixture fixture = {.program = program};
	struct fwp_template *template = NULL;
	assert_int_equal(fwp_template_new(engine, image, NULL, &fixture, &template, &why), err);
	if (strstr(why.text, text) == NULL)
		fail_msg("%s", why.text);
	assert_null(template);
}

static void initialisations_that_fail(void **state)
{
	begin(NULL);
	expect_failure(PROGRAM_INIT_TRAPS, -EIO, "unreachable");
	expect_failure(PROGRAM_INIT_WAITS, -EIO, "waits");
	/* One that waits can be run to its end by who knows for what. */
	struct eos_why why = {""};
	struct fixture fixture = {.program = PROGRAM_INIT_WAITS};
	struct fwp *fwp = NULL;
	struct fwp_template *template = NULL;
	assert_int_equal(fwp_new_for_template(engine, image, NULL, &fixture, &fwp, &why), 0);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_template_capture(fwp, &template, &why), -EINVAL);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_template_capture(fwp, &template, &why), 0);
	fwp_free(fwp);
	run_one(template, false);
	/* Any other dead one is none. */
	fixture.program = PROGRAM_RETURN;
	fwp = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	struct fwp_template *none = NULL;
	assert_int_equal(fwp_template_capture(fwp, &none, &why), -EINVAL);
	fwp_free(fwp);
	fwp_template_unref(template);
	fwp_image_unref(image);
	image = fixture_load("bad_init");
	expect_failure(PROGRAM_RETURN, -EIO, "reference of the host");
	end();
}

static void limits_are_checked(void **state)
{
	begin(NULL);
	struct fwp_template *template = make_template();
	struct fwp_limits limits = fwp_limits_default;
	struct fixture fixture = {.program = PROGRAM_GROW};
	struct fwp *fwp = NULL;
	limits.memory_bytes = FIXTURE_PAGES * FWP_PAGE_SIZE - 1;
	assert_int_equal(fwp_new_from(template, &limits, &fixture, &fwp, NULL), -EINVAL);
	limits.memory_bytes = 5 * FWP_PAGE_SIZE;
	for (uint64_t stack = 16 << 10; stack <= 1 << 20; stack *= 2) {
		limits.stack_bytes = stack;
		fixture.notes_count = 0;
		assert_int_equal(fwp_new_from(template, &limits, &fixture, &fwp, NULL), 0);
		assert_int_equal(fwp_run(fwp), FWP_DEAD);
		assert_int_equal(fwp_death(fwp)->trap, IMAGE_TRAP_OUT_OF_BOUNDS);
		assert_int_equal(fixture.notes[0], 5);
		fwp_free(fwp);
	}
	fwp_template_unref(template);
	end();
}

/* Who dies has the next place warmed. That one has had no FWP yet, so no stack, and the arena's
 * last page, where a stack may begin, has no room for one. */
static void places_without_a_stack_are_warmed(void **state)
{
	const struct fwp_engine_config config = {.pool_low = 4};
	begin(&config);
	struct fixture fixture = {.program = PROGRAM_INIT_FILLS};
	struct fwp_template *template = NULL;
	assert_int_equal(fwp_template_new(engine, image, NULL, &fixture, &template, NULL), 0);
	while (fwp_engine_maintain(engine))
		;
	fixture.program = PROGRAM_EXIT_42;
	struct fwp *fwp = new_from(template, &fixture);
	struct fwp_engine_stats stats;
	fwp_engine_stats(engine, &stats);
	assert_int_equal(stats.clean, 3);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	fwp_free(fwp);
	fwp_template_unref(template);
	end();
}

static void (*start_of_image)(void *instance);

static void take_turn(struct fwp *fwp, void *instance)
{
	fwp_host_leave(fwp);
	start_of_image(instance);
	fwp_host_enter(fwp);
}

static struct fwp *new_for_turns(struct fwp_template *template, uint64_t stack_bytes,
				 struct fixture *fixture)
{
	struct fwp_limits limits = fwp_limits_default;
	struct fwp *fwp = NULL;
	limits.stack_bytes = stack_bytes;
	assert_int_equal(fwp_new_from_for_turns(template, &limits, fixture, take_turn, &fwp, NULL),
			 0);
	return fwp;
}

/* The shared stack is as large as the largest limit; host functions still have their room only
 * where the limit of the FWP that runs leaves it. */
static void stacks_of_turns_end_at_the_own_limit(void **state)
{
	begin(NULL);
	struct fwp_template *template = make_template();
	void (*found)(void) = fwp_image_find_export(image, "_start", ":");
	assert_non_null(found);
	start_of_image = (void (*)(void *))found;
	struct fixture small_fixture = {.program = PROGRAM_RECURSE_THEN_HOST};
	struct fixture large_fixture = small_fixture;
	struct fwp *large = new_for_turns(template, 2 * FIXTURE_DEEP_BYTES, &large_fixture);
	struct fwp *small = new_for_turns(template, FWP_STACK_BYTES_MIN, &small_fixture);
	assert_int_equal(fwp_run(large), FWP_BLOCKED);
	assert_int_equal(large_fixture.notes_count, 1);
	assert_int_equal(fwp_run(small), FWP_DEAD);
	assert_int_equal(fwp_death(small)->trap, IMAGE_TRAP_STACK_OVERFLOW);
	assert_int_equal(small_fixture.notes_count, 0);
	fwp_free(small);
	assert_int_equal(fwp_run(large), FWP_BLOCKED);
	assert_int_equal(large_fixture.notes_count, 2);
	fwp_free(large);
	fwp_template_unref(template);
	end();
}

/* One that waits in the middle of its turn and may not go on leaves the stack to the others. */
static void unwatched_turns_are_over(void **state)
{
	begin(NULL);
	struct fwp_template *template = make_template();
	start_of_image = (void (*)(void *))fwp_image_find_export(image, "_start", ":");
	struct fixture waiting_fixture = {.program = PROGRAM_WAIT}, fixture = {0};
	struct fwp *waiting = new_for_turns(template, FWP_STACK_BYTES_MIN, &waiting_fixture);
	struct fwp *other = new_for_turns(template, FWP_STACK_BYTES_MIN, &fixture);
	assert_int_equal(fwp_run(waiting), FWP_BLOCKED);
	assert_int_equal(eos_fault_arm("fwp.timer_settime:*=EIO", NULL), 0);
	assert_int_equal(fwp_run_until(waiting, eos_now_ns() + EOS_NS_PER_S), FWP_DEAD);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	assert_int_equal(fwp_run(other), FWP_BLOCKED);
	fwp_free(waiting);
	assert_int_equal(fwp_run(other), FWP_BLOCKED);
	fwp_free(other);
	fwp_template_unref(template);
	end();
}

static unsigned count_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	assert_non_null(file);
	unsigned count = 0;
	for (int c = getc(file); c != EOF; c = getc(file))
		count += c == '\n';
	(void)fclose(file);
	return count;
}

/* Memory and tables that grew, and the shared page between the halves of the snapshot. */
static void slots_cost_the_mappings_that_are_checked(void **state)
{
	enum { COUNT = 50 };
	/* TSan maps some of its own. */
	if (SCHED_TSAN)
		return;
	const struct fwp_engine_config config = {.shares_page = true};
	begin(&config);
	struct fwp_template *template = make_template();
	assert_int_equal(fwp_template_share_page(template, FWP_PAGE_SIZE - FWP_PAGE_BYTES), 0);
	start_of_image = (void (*)(void *))fwp_image_find_export(image, "_start", ":");
	struct fixture fixture = {.program = PROGRAM_TEMPLATE};
	struct fwp *fwps[COUNT];
	unsigned before = count_mappings();
	for (int i = 0; i < COUNT; i++) {
		fwps[i] = new_for_turns(template, FWP_STACK_BYTES_MIN, &fixture);
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED); /* waits */
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED); /* its turn is over */
	}
	/* Two for the shared stack, and what the C library may have mapped. */
	assert_in_range(count_mappings() - before, 1, COUNT * FWP_SLOT_MAPPINGS_PAGED + 8);
	for (int i = 0; i < COUNT; i++)
		fwp_free(fwps[i]);
	fwp_template_unref(template);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fwps_start_where_the_initialisation_ended),
		cmocka_unit_test(fwps_of_a_template_are_apart),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(places_change_their_template),
		cmocka_unit_test(marks_are_kept),
		cmocka_unit_test(initialisations_that_fail),
		cmocka_unit_test(limits_are_checked),
		cmocka_unit_test(places_without_a_stack_are_warmed),
		cmocka_unit_test(stacks_of_turns_end_at_the_own_limit),
		cmocka_unit_test(unwatched_turns_are_over),
		cmocka_unit_test(slots_cost_the_mappings_that_are_checked),
	};
	return cmocka_run_group_tests_name("fwp_template", tests, NULL, NULL);
}
