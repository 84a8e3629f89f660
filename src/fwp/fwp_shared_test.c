/*
 * The page that FWPs share. What one writes there the next one sees: that is the contract, and who
 * runs them clears it. Everything else is theirs alone, whatever becomes of their places.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "fwp/fixtures/stages.h"

#define MEMORY_BYTES (FIXTURE_PAGES * FWP_PAGE_SIZE)
/* The kernel is not asked which pages were written to: all of them are given up. */
#define WITHOUT_SCAN "fwp.pagemap_scan:*=EIO"

/* Machines with larger pages have no such page. */
static bool has_pages(void)
{
	return sysconf(_SC_PAGESIZE) == (long)FWP_PAGE_BYTES;
}

/* A template with the page at ADDRESS. */
static struct fwp_template *make_sharing(uint32_t init, uint32_t address)
{
	struct fwp_template *template = stages_template(init);
	assert_int_equal(fwp_template_share_page(template, address), 0);
	assert_non_null(fwp_engine_page(stages_engine));
	return template;
}

/* One that waits for what the test does to its memory. */
static void make_waiting(struct fwp_template *template, struct stage *stage)
{
	*stage = (struct stage){.fixture.program = PROGRAM_WAIT};
	stage_make(template, NULL, stage_serve, stage);
}

static void addresses_are_checked(void **state)
{
	static const uint32_t wrong[] = {
		1,
		FWP_PAGE_BYTES - 1,
		FWP_PAGE_BYTES / 2,
		MEMORY_BYTES - 1,
		MEMORY_BYTES,
		MEMORY_BYTES + FWP_PAGE_BYTES,
		UINT32_MAX,
		UINT32_MAX - 4095,
		UINT32_C(1) << 31,
	};
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(wrong); i++)
		assert_int_equal(fwp_template_share_page(template, wrong[i]), -EINVAL);
	assert_null(fwp_engine_page(stages_engine));
	if (!has_pages())
		assert_int_equal(fwp_template_share_page(template, 0), -ENOTSUP);
	stages_check(template);
	fwp_template_unref(template);
	stages_end();
}

/* Two templates with the page at one address and two with it at the ends of their memory, and all
 * of them with stacks of their own, too. */
static void everything_else_is_separate(void **state)
{
	enum { COUNT = 12, ROUNDS = 15 };
	static const uint32_t addresses[] = {FIXTURE_PAGE_AT, FIXTURE_PAGE_AT, 0,
					     MEMORY_BYTES - FWP_PAGE_BYTES};
	if (!has_pages())
		return;
	stages_begin(NULL);
	struct fwp_template *templates[4];
	for (size_t i = 0; i < 4; i++)
		templates[i] =
			make_sharing(i % 2 == 0 ? PROGRAM_RETURN : PROGRAM_INIT_FULL, addresses[i]);
	struct stage stages[COUNT] = {0};
	struct line line = {.stages = stages, .count = COUNT};
	for (unsigned i = 0; i < COUNT; i++) {
		stages[i].fixture.program = PROGRAM_COUNT;
		if (i < COUNT / 2)
			stage_make(templates[i % 4], NULL, stage_serve, &stages[i]);
		else
			stage_make_own(templates[i % 4], &stages[i]);
	}
	uint8_t *page = fwp_engine_page(stages_engine);
	for (unsigned round = 1; round <= ROUNDS; round++) {
		unsigned seen = 0;
		*page = 0;
		line_run(&line);
		for (unsigned i = 0; i < COUNT; i++) {
			const struct fixture *fixture = &stages[i].fixture;
			assert_int_equal(fixture->notes[0], 7 + round);
			assert_int_equal(fixture->notes[1], round);
			/* Each goes on with what the one before left there. */
			assert_int_equal(fixture->notes[2], i % 4 < 2 ? ++seen : round);
		}
		assert_int_equal(*page, seen);
	}
	/* The host's functions find it at the guest's address. */
	for (unsigned i = 0; i < COUNT; i++) {
		page[FWP_PAGE_BYTES - 1] = (uint8_t)i;
		const uint8_t *memory = fwp_memory(stages[i].fwp, addresses[i % 4], FWP_PAGE_BYTES);
		assert_non_null(memory);
		assert_memory_equal(memory, page, FWP_PAGE_BYTES);
	}
	line_free(&line);
	for (size_t i = 0; i < 4; i++)
		fwp_template_unref(templates[i]);
	stages_end();
}

/* What the test expects of memories. */
struct expected {
	uint8_t *fresh; /* of an FWP that was just made; the page's place does not count */
	uint8_t page[FWP_PAGE_BYTES];
};

static void look(struct fwp *fwp, const struct expected *expected, unsigned round)
{
	const uint8_t *memory = fwp_memory(fwp, 0, MEMORY_BYTES);
	uint32_t behind = FIXTURE_PAGE_AT + FWP_PAGE_BYTES;
	if (memcmp(memory, expected->fresh, FIXTURE_PAGE_AT) != 0 ||
	    memcmp(memory + behind, expected->fresh + behind, MEMORY_BYTES - behind) != 0)
		fail_msg("round %u: something is left of the one before", round);
	if (memcmp(memory + FIXTURE_PAGE_AT, expected->page, FWP_PAGE_BYTES) != 0 ||
	    memcmp(fwp_engine_page(stages_engine), expected->page, FWP_PAGE_BYTES) != 0)
		fail_msg("round %u: the page is another one", round);
}

/* A few pages mostly, now and then more than are copied back; and always the shared one, now and
 * then by the host. */
static void scribble(struct fwp *fwp, struct expected *expected, unsigned round)
{
	uint8_t *memory = fwp_memory(fwp, 0, MEMORY_BYTES);
	unsigned writes = round % 16 == 3 ? 200 : (unsigned)(rand() % 4);
	for (unsigned i = 0; i < writes; i++) {
		size_t at = (size_t)rand() % MEMORY_BYTES;
		if (at - FIXTURE_PAGE_AT >= FWP_PAGE_BYTES)
			memory[at] ^= (uint8_t)(1 + rand() % 255);
	}
	/* The pages on both sides of it. */
	memory[FIXTURE_PAGE_AT - 1] ^= (uint8_t)round;
	memory[FIXTURE_PAGE_AT + FWP_PAGE_BYTES] ^= (uint8_t)round;
	size_t at = (size_t)rand() % FWP_PAGE_BYTES;
	expected->page[at] ^= (uint8_t)(1 + rand() % 255);
	uint8_t *page = round % 5 == 0 ? fwp_engine_page(stages_engine) : memory + FIXTURE_PAGE_AT;
	page[at] = expected->page[at];
}

static void write_at_random(struct fwp_template *template)
{
	enum { ALIVE = 3, ROUNDS = 900 };
	struct stage stages[ALIVE] = {0};
	struct expected expected = {.fresh = malloc(MEMORY_BYTES)};
	assert_non_null(expected.fresh);
	memset(fwp_engine_page(stages_engine), 0, FWP_PAGE_BYTES);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct stage *stage = &stages[rand() % ALIVE];
		stage->fwp = fwp_free(stage->fwp);
		if (round % 2 == 0) {
			make_waiting(template, stage);
		} else {
			*stage = (struct stage){.fixture.program = PROGRAM_COUNT};
			stage_make_own(template, stage);
		}
		if (round == 0)
			memcpy(expected.fresh, fwp_memory(stage->fwp, 0, MEMORY_BYTES),
			       MEMORY_BYTES);
		look(stage->fwp, &expected, round);
		if (round % 2 == 1) {
			assert_int_equal(fwp_run(stage->fwp), FWP_BLOCKED);
			expected.page[0]++;
		}
		scribble(stage->fwp, &expected, round);
		if (round % 40 == 0)
			(void)fwp_engine_maintain(stages_engine);
		if (round % 150 == 0)
			fwp_engine_shrink(stages_engine);
	}
	for (unsigned i = 0; i < ALIVE; i++)
		fwp_free(stages[i].fwp);
	free(expected.fresh);
}

static void places_are_cleaned_around_it(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 6, .pool_high = 6};
	if (!has_pages())
		return;
	srand(7);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(eos_fault_arm(i == 0 ? NULL : WITHOUT_SCAN, NULL), 0);
		stages_begin(&config);
		struct fwp_template *template = make_sharing(PROGRAM_RETURN, FIXTURE_PAGE_AT);
		write_at_random(template);
		while (fwp_engine_maintain(stages_engine))
			;
		struct fwp_engine_stats stats;
		fwp_engine_stats(stages_engine, &stats);
		assert_true(stats.clean > 0 && (i == 0 || stats.warm == 0));
		fwp_template_unref(template);
		stages_end();
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	}
}

/* Guests that spoil everything, in grown memory too. */
static void memories_grow_around_it(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 2};
	struct fwp_limits limits = fwp_limits_default;
	if (!has_pages())
		return;
	stages_begin(&config);
	struct fwp_template *template = make_sharing(PROGRAM_RETURN, FIXTURE_PAGE_AT);
	uint8_t *page = fwp_engine_page(stages_engine);
	limits.memory_bytes = 6 * FWP_PAGE_SIZE;
	for (unsigned round = 0; round < 100; round++) {
		/* It sums up all that it finds. */
		struct stage stage = {
			.fixture = {.program = PROGRAM_TEMPLATE, .answer = round % 3 == 0}};
		memset(page, 0, FWP_PAGE_BYTES);
		page[100] = (uint8_t)round;
		stage_make(template, &limits, stage_serve, &stage);
		assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
		assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
		assert_true(stage.is_done);
		assert_int_equal(fwp_memory_bytes(stage.fwp), MEMORY_BYTES + FWP_PAGE_SIZE);
		assert_int_equal(stage.fixture.notes[0], 42 + round);
		assert_int_equal(page[0], round % 3 == 0 ? 0xa5 : 0);
		assert_int_equal(page[100], round);
		fwp_free(stage.fwp);
		/* To the limit, and beyond it. */
		stage = (struct stage){.fixture.program = PROGRAM_GROW};
		stage_make(template, &limits, stage_serve, &stage);
		assert_int_equal(fwp_run(stage.fwp), FWP_DEAD);
		assert_int_equal(fwp_death(stage.fwp)->trap, IMAGE_TRAP_OUT_OF_BOUNDS);
		assert_int_equal(stage.fixture.notes[0], 6);
		assert_int_equal(page[100], round);
		fwp_free(stage.fwp);
	}
	fwp_template_unref(template);
	stages_end();
}

static unsigned count_files(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void without_memory_there_is_no_page(void **state)
{
	static const char *const specs[] = {"fwp.memfd:1=ENOMEM", "fwp.mmap:1=ENOMEM"};
	if (!has_pages())
		return;
	unsigned files_before = count_files();
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	unsigned files = count_files();
	for (size_t i = 0; i < EOS_ARRAY_SIZE(specs); i++) {
		assert_int_equal(eos_fault_arm(specs[i], NULL), 0);
		assert_int_equal(fwp_template_share_page(template, FIXTURE_PAGE_AT), -ENOMEM);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		assert_null(fwp_engine_page(stages_engine));
		assert_int_equal(count_files(), files);
	}
	/* It is as any other template, and so it is when it has the page. */
	stages_check(template);
	fwp_template_unref(template);
	template = make_sharing(PROGRAM_RETURN, FIXTURE_PAGE_AT);
	stages_check(template);
	fwp_template_unref(template);
	stages_end();
	assert_int_equal(count_files(), files_before);
}

/* Nothing of the page is in the memory of one that has none. */
static void check_no_page(struct fwp_template *plain)
{
	struct stage stage;
	uint8_t *page = fwp_engine_page(stages_engine);
	memset(page, 0xee, FWP_PAGE_BYTES);
	make_waiting(plain, &stage);
	uint8_t *memory = fwp_memory(stage.fwp, FIXTURE_PAGE_AT, FWP_PAGE_BYTES);
	for (size_t i = 0; i < FWP_PAGE_BYTES; i++)
		assert_int_equal(memory[i], 0);
	memset(memory, 0x11, FWP_PAGE_BYTES);
	for (size_t i = 0; i < FWP_PAGE_BYTES; i++)
		assert_int_equal(page[i], 0xee);
	fwp_free(stage.fwp);
	memset(page, 0, FWP_PAGE_BYTES);
	stages_check(plain);
}

/*
 * There is one place, for those with the page and those without: it is reset, bound to the template
 * and to the page. Each of these mappings fails, by FORMAT. Returns how often there was no FWP.
 */
static unsigned bind_badly(struct fwp_template *sharing, struct fwp_template *plain,
			   const char *format)
{
	enum { PASSES = 6 };
	unsigned failures = 0;
	for (unsigned nth = 1; nth <= PASSES; nth++) {
		char spec[128];
		struct eos_why why = {""};
		struct fwp_engine_stats stats;
		struct stage stage = {.fixture.program = PROGRAM_COUNT};
		check_no_page(plain);
		(void)snprintf(spec, sizeof(spec), format, nth, nth);
		assert_int_equal(eos_fault_arm(spec, NULL), 0);
		int err = fwp_new_from_for_turns(sharing, NULL, &stage, stage_serve, &stage.fwp,
						 &why);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		if (err == 0) {
			fwp_free(stage.fwp);
			continue;
		}
		assert_int_equal(err, -ENOMEM);
		assert_string_not_equal(why.text, "");
		fwp_engine_stats(stages_engine, &stats);
		assert_int_equal(stats.alive, 0);
		assert_true(stats.made <= 1);
		failures++;
		if (nth % 2 == 0)
			check_no_page(plain);
		memset(fwp_engine_page(stages_engine), 0, FWP_PAGE_BYTES);
		stages_check(sharing);
	}
	return failures;
}

static void places_that_were_not_bound_are_as_before(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 1};
	if (!has_pages())
		return;
	stages_begin(&config);
	struct fwp_template *plain = stages_template(PROGRAM_RETURN);
	struct fwp_template *sharing = make_sharing(PROGRAM_RETURN, FIXTURE_PAGE_AT);
	/* One that cannot be reset is given up, and another one made: nobody notices. */
	assert_in_range(bind_badly(sharing, plain, "fwp.mmap:%u=ENOMEM"), 2, 4);
	/* Twice in a row, so that it is also given up when it was bound by half. */
	assert_in_range(bind_badly(sharing, plain, "fwp.mmap:%u=ENOMEM,fwp.mmap:%u=ENOMEM"), 2, 4);
	check_no_page(plain);
	fwp_template_unref(sharing);
	check_no_page(plain);
	fwp_template_unref(plain);
	stages_end();
}

/* Places go from one template to the other, and to FWPs that have none. */
static void places_take_it_nowhere(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 2, .pool_low = 1, .pool_high = 1};
	if (!has_pages())
		return;
	stages_begin(&config);
	struct fwp_template *plain = stages_template(PROGRAM_RETURN);
	struct fwp_template *sharing = make_sharing(PROGRAM_INIT_FULL, FIXTURE_PAGE_AT);
	struct fwp_template *end = make_sharing(PROGRAM_RETURN, MEMORY_BYTES - FWP_PAGE_BYTES);
	uint8_t *page = fwp_engine_page(stages_engine);
	for (unsigned round = 0; round < 60; round++) {
		memset(page, 0, FWP_PAGE_BYTES);
		stages_check(sharing);
		assert_int_equal(page[0], 1);
		stages_check(end);
		assert_int_equal(page[0], 1);
		check_no_page(plain);
		struct fixture fixture = {.program = PROGRAM_DIRTY};
		memset(page, 0xee, FWP_PAGE_BYTES);
		struct fwp *fwp = fixture_new(stages_engine, stages_image, NULL, &fixture);
		assert_int_equal(fwp_run(fwp), FWP_DEAD);
		assert_int_equal(fixture.notes[0], 0);
		assert_int_equal(page[0], 0xee);
		fwp_free(fwp);
		if (round % 3 == 0)
			while (fwp_engine_maintain(stages_engine))
				;
		if (round % 10 == 0)
			fwp_engine_shrink(stages_engine);
	}
	fwp_template_unref(plain);
	fwp_template_unref(sharing);
	fwp_template_unref(end);
	stages_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_checked),
		cmocka_unit_test(everything_else_is_separate),
		cmocka_unit_test(places_are_cleaned_around_it),
		cmocka_unit_test(memories_grow_around_it),
		cmocka_unit_test(without_memory_there_is_no_page),
		cmocka_unit_test(places_that_were_not_bound_are_as_before),
		cmocka_unit_test(places_take_it_nowhere),
	};
	return cmocka_run_group_tests_name("fwp_shared", tests, NULL, NULL);
}
