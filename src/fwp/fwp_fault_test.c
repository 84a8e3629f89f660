/*
 * What the kernel refuses. Every call of this folder that may fail has a fault point; each point
 * fails at its first pass, then at its second, and so on, while one scenario runs that does all
 * there is, until the scenario runs through without having met the fault. What fails must say so
 * or be made up for, must leave nothing behind, and must not be in the way of the next run.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "fwp/fixtures/fixture.h"
#include "fwp/fwp_priv.h"
#include "sched/core.h"

#define PASSES_MAX   500u
#define MEMORY_PAGES 6u
/* A leaked stack for turns is more; what the C library keeps for itself is less. */
#define RESERVED_MORE_MAX (UINT64_C(4) << 20)
#define SLICE_NS	  (300 * EOS_NS_PER_US)
#define TIMEOUT_NS	  (1 * EOS_NS_PER_MS)
/* Long enough to begin, on a busy machine too. */
#define LONG_NS (200 * EOS_NS_PER_MS)

static struct fwp_engine *engine;
static struct fwp_image *image;
static struct eos_why why;

/* What a process has that a leak would add to. */
struct holdings {
	unsigned files, codes, snapshots, pages;
	uint64_t reserved; /* bytes of addresses that nothing may touch */
};

static struct holdings count_holdings(void)
{
	struct holdings h = {0};
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		h.files++;
	closedir(dir);
	FILE *maps = fopen("/proc/self/maps", "re");
	assert_non_null(maps);
	char line[4352];
	while (fgets(line, sizeof(line), maps) != NULL) {
		unsigned long long low, end, inode;
		char access[5];
		int n = sscanf(line, "%llx-%llx %4s %*s %*s %llu", &low, &end, access, &inode);
		assert_int_equal(n, 4);
		h.snapshots += strstr(line, "edgeos-template") != NULL;
		h.pages += strstr(line, "edgeos-page") != NULL;
		h.codes += strcmp(access, "r-xp") == 0 && inode == 0;
		h.reserved += strcmp(access, "---p") == 0 ? end - low : 0;
	}
	(void)fclose(maps);
	return h;
}

static void check_holdings(const struct holdings *before, const char *spec)
{
	struct holdings now = count_holdings();
	if (now.files != before->files || now.codes != before->codes || now.snapshots != 0 ||
	    now.pages != 0 || now.reserved > before->reserved + RESERVED_MORE_MAX)
		fail_msg("%s: %u files after %u, %u codes after %u, %u snapshots, %u pages, "
			 "%llu KiB more",
			 spec, now.files, before->files, now.codes, before->codes, now.snapshots,
			 now.pages, (unsigned long long)(now.reserved - before->reserved) >> 10);
}

static int died_of(const struct fwp *fwp, enum fwp_death_kind kind, uint32_t trap)
{
	const struct fwp_death *death = fwp_death(fwp);
	/* A limit of this test's, or something the kernel refused: never an unbounded run. */
	return death->kind == kind && death->trap == trap ? 0 : -EIO;
}

static int use_template(struct fwp_template *template)
{
	struct fixture fixture = {.program = PROGRAM_TEMPLATE};
	struct fwp *fwps[2] = {NULL};
	int err = 0;
	for (int i = 0; err == 0 && i < 2; i++) {
		err = fwp_new_from(template, NULL, &fixture, &fwps[i], &why);
		if (err == 0 && fwp_run(fwps[i]) == FWP_DEAD)
			err = -EIO;
	}
	/* A page or two here, more than are worth keeping there. */
	for (uint32_t i = 0; err == 0 && i < 2; i++) {
		fixture.answer = i;
		if (fwp_run(fwps[i]) != FWP_DEAD)
			fail_msg("it waits again");
		err = died_of(fwps[i], FWP_DEATH_EXIT, 0);
	}
	fwp_free(fwps[0]);
	fwp_free(fwps[1]);
	return err;
}

static void be_served(struct fwp *fwp, void *instance)
{
	void (*start)(void *) = (void (*)(void *))fwp_image_find_export(fwp->image, "_start", ":");
	fwp_host_leave(fwp);
	start(instance);
	fwp_host_enter(fwp);
}

/* Two for turns with the shared page, the second with the larger stack; one of them again when it
 * is dead. */
static int take_turns(void)
{
	struct fixture fixture = {.program = PROGRAM_COUNT};
	struct fwp_limits limits = fwp_limits_default;
	struct fwp_template *template = NULL;
	struct fwp *fwps[2] = {NULL};
	int err = fwp_template_new(engine, image, NULL, &fixture, &template, &why);
	if (err < 0)
		return err;
	err = fwp_template_share_page(template, FIXTURE_PAGE_AT);
	const uint8_t *page = fwp_engine_page(engine);
	if (err == -ENOTSUP) /* larger pages */
		err = 0;
	else if (err < 0)
		err = eos_why(&why, err, "no memory for the page");
	for (int i = 0; err == 0 && i < 3; i++) {
		fwps[i % 2] = fwp_free(fwps[i % 2]);
		err = fwp_new_from_for_turns(template, &limits, &fixture, be_served, &fwps[i % 2],
					     &why);
		limits.stack_bytes *= 2;
		if (err == 0 && fwp_run(fwps[i % 2]) != FWP_BLOCKED)
			fail_msg("a turn does not end");
		if (err == 0 && page != NULL && page[0] != i + 1)
			fail_msg("%d turns counted %d", i + 1, page[0]);
	}
	fwp_free(fwps[0]);
	fwp_free(fwps[1]);
	fwp_template_unref(template);
	return err;
}

static int grow_memory(void)
{
	struct fixture fixture = {.program = PROGRAM_GROW};
	struct fwp_limits limits = fwp_limits_default;
	struct fwp *fwp = NULL;
	limits.memory_bytes = MEMORY_PAGES * FWP_PAGE_SIZE;
	int err = fwp_new(engine, image, &limits, &fixture, &fwp, &why);
	if (err < 0)
		return err;
	(void)fwp_run(fwp);
	err = died_of(fwp, FWP_DEATH_TRAP, IMAGE_TRAP_OUT_OF_BOUNDS);
	/* What could not be had was refused, and was not there. */
	if (fixture.notes_count == 0 || fixture.notes[0] != MEMORY_PAGES)
		err = -EIO;
	fwp_free(fwp);
	return err;
}

/* One that never ends by itself is ended, with a timer or without. */
static int be_preempted(void)
{
	struct fixture fixture = {.program = PROGRAM_SPIN};
	struct fwp_limits limits = fwp_limits_default;
	struct fwp *fwp = NULL;
	limits.timeout_ns = TIMEOUT_NS;
	int err = fwp_new(engine, image, &limits, &fixture, &fwp, &why);
	if (err < 0)
		return err;
	while (fwp_run_until(fwp, eos_now_ns() + SLICE_NS) != FWP_DEAD)
		;
	err = died_of(fwp, FWP_DEATH_TIMEOUT, 0);
	if (err < 0 && fwp_death(fwp)->kind == FWP_DEATH_KILLED)
		assert_string_equal(fwp_death(fwp)->text, fwp_death_no_timer.text);
	fwp_free(fwp);
	return err;
}

static enum sched_turn no_turn(void *ctx, struct sched_task *task, uint64_t slice_end_ns)
{
	fail_msg("there are no tasks");
	return SCHED_TURN_GONE;
}

static int use_core(void)
{
	static const struct sched_core_ops ops = {.run = no_turn};
	struct sched_core *core = NULL;
	int err = sched_core_new(NULL, &ops, NULL, &core, &why);
	sched_core_free(core);
	return err;
}

static int use_image(void)
{
	struct fixture fixture = {.program = PROGRAM_RETURN};
	struct fwp_template *template = NULL;
	int err = fwp_template_new(engine, image, NULL, &fixture, &template, &why);
	for (int round = 0; err == 0 && round < 2; round++) {
		err = use_template(template);
		while (fwp_engine_maintain(engine))
			;
	}
	if (err == 0)
		err = take_turns();
	if (err == 0)
		err = grow_memory();
	if (err == 0)
		err = be_preempted();
	fwp_engine_shrink(engine);
	fwp_template_unref(template);
	return err;
}

/* Everything once, with whatever fault is armed; returns the first error. */
static int run_all(void)
{
	struct fwp_engine_config config = {.fwps_max = 4, .pool_low = 1, .pool_high = 1};
	int err = fwp_engine_new(&config, &engine, &why);
	if (err < 0)
		return err;
	err = use_core();
	if (err == 0)
		err = fixture_try_load("image", FIXTURE_PAGES, &image, &why);
	if (err == 0)
		err = use_image();
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
	return err;
}

/* True when the fault that is armed for the pass NTH has not struck. */
static bool is_untouched(const char *point, unsigned nth)
{
	for (unsigned i = 0; i < nth; i++) {
		if (eos_fault(point) < 0)
			return true;
	}
	return false;
}

/* Returns how many passes there were; FAILURES of them made the scenario fail. ALSO is armed with
 * it, to get to where the point is. */
static unsigned fail_each(const char *point, const char *also, unsigned *ret_failures)
{
	struct holdings before = count_holdings();
	unsigned failures = 0;
	for (unsigned nth = 1; nth <= PASSES_MAX; nth++) {
		char spec[128];
		(void)snprintf(spec, sizeof(spec), "%s%s:%u=ENOMEM", also, point, nth);
		assert_int_equal(eos_fault_arm(spec, NULL), 0);
		why.text[0] = '\0';
		int err = run_all();
		bool is_last = is_untouched(point, nth);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		if (is_last) {
			if (err < 0)
				fail_msg("%s: %d %s, without a fault", spec, err, why.text);
			*ret_failures = failures;
			return nth - 1;
		}
		if (err < 0 && err != -EIO && why.text[0] == '\0')
			fail_msg("%s: %d without a reason", spec, err);
		failures += err < 0;
		check_holdings(&before, spec);
		/* Nothing of it is in the way. */
		err = run_all();
		if (err < 0)
			fail_msg("after %s: %d %s", spec, err, why.text);
	}
	fail_msg("%s has more than %u passes", point, PASSES_MAX);
	return 0;
}

static void faults_are_survived(void **state)
{
	/* What is cleaned without success is given up, and another place found: nothing fails. */
	static const struct {
		const char *point, *also;
		bool is_hidden;
	} points[] = {
		{"fwp.calloc", "", false},	  {"fwp.mmap", "", false},
		{"fwp.mprotect", "", false},	  {"fwp.madvise", "fwp.pagemap_scan:*=EIO,", true},
		{"fwp.memfd", "", false},	  {"fwp.pagemap_scan", "", true},
		{"fwp.getrusage", "", true},	  {"fwp.sigaction", "", false},
		{"fwp.sigaltstack", "", false},	  {"fwp.timer_create", "", false},
		{"fwp.timer_settime", "", false}, {"sched.core_new", "", false},
	};
	assert_int_equal(run_all(), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(points); i++) {
		unsigned failures = 0;
		unsigned passes = fail_each(points[i].point, points[i].also, &failures);
		print_message("%-18s %3u passes, %3u failures\n", points[i].point, passes,
			      failures);
		if (passes == 0 || (failures == 0) != points[i].is_hidden)
			fail_msg("%s: %u passes, %u failures", points[i].point, passes, failures);
	}
}

/* What could not be ended in time does not start. */
static void without_a_timer_nothing_runs(void **state)
{
	struct fixture fixture = {.program = PROGRAM_SPIN};
	struct fwp *fwp = NULL;
	engine = fixture_engine(NULL);
	image = fixture_load("image");
	assert_int_equal(eos_fault_arm("fwp.timer_settime:*=EIO", NULL), 0);
	/* A slice cannot be ended either. */
	assert_int_equal(fwp_new(engine, image, NULL, &fixture, &fwp, &why), 0);
	assert_int_equal(fwp_run_until(fwp, eos_now_ns() + SLICE_NS), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_KILLED);
	assert_string_equal(fwp_death(fwp)->text, fwp_death_no_timer.text);
	fwp_free(fwp);
	/* Who has all the time needs no timer. */
	fixture.program = PROGRAM_RETURN;
	fwp = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
	fwp_free(fwp);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
}

/* The timer that fires for somebody else must be armed anew by its handler. Where that fails the
 * guest loses the processor early; where it fails again, too, for good. */
static void a_timer_lost_on_the_way_ends_the_slice(void **state)
{
	static const struct {
		const char *spec;
		enum fwp_death_kind kind;
	} cases[] = {
		{"fwp.timer_settime:2=EIO", FWP_DEATH_TIMEOUT},
		/* The first that strikes keeps the pass from the other. */
		{"fwp.timer_settime:2=EIO,fwp.timer_settime:2=EIO", FWP_DEATH_KILLED},
	};
	engine = fixture_engine(NULL);
	image = fixture_load("image");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct fixture waits = {.program = PROGRAM_WAIT}, spins = {.program = PROGRAM_SPIN};
		struct fwp_limits limits = fwp_limits_default;
		limits.timeout_ns = 2 * LONG_NS;
		struct fwp *first = fixture_new(engine, image, NULL, &waits);
		struct fwp *second = fixture_new(engine, image, &limits, &spins);
		assert_int_equal(eos_fault_arm(cases[i].spec, NULL), 0);
		/* Arms the timer, and waits before it fires. */
		assert_int_equal(fwp_run_until(first, eos_now_ns() + LONG_NS), FWP_BLOCKED);
		assert_int_equal(fwp_run_until(second, UINT64_MAX), FWP_READY);
		assert_int_equal(fwp_run_until(second, UINT64_MAX), FWP_DEAD);
		assert_int_equal(fwp_death(second)->kind, cases[i].kind);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		fwp_free(first);
		fwp_free(second);
	}
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_are_survived),
		cmocka_unit_test(without_a_timer_nothing_runs),
		cmocka_unit_test(a_timer_lost_on_the_way_ends_the_slice),
	};
	return cmocka_run_group_tests_name("fwp_fault", tests, NULL, NULL);
}
