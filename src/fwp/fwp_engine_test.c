#include "fwp/fwp.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fwp/fixtures/fixture.h"

static void used_slots_are_clean(void **state)
{
	struct fwp_engine *engine = fixture_engine(NULL);
	struct fwp_image *image = fixture_load("image");
	for (unsigned i = 0; i < 2000; i++) {
		struct fixture fixture = {.program = PROGRAM_DIRTY};
		struct fwp_limits limits = fwp_limits_default;
		limits.stack_bytes = (32u << 10) << (i % 3);
		struct fwp *fwp = fixture_new(engine, image, &limits, &fixture);
		assert_int_equal(fwp_run(fwp), FWP_DEAD);
		assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
		assert_int_equal(fixture.notes_count, 1);
		assert_int_equal(fixture.notes[0], 0);
		fwp_free(fwp);
	}
	fwp_image_unref(image);
	fwp_engine_free(engine);
}

static void pool_has_a_limit(void **state)
{
	struct fwp_engine_config config = {.fwps_max = 3};
	struct fwp_engine *engine = fixture_engine(&config);
	struct fwp_image *image = fixture_load("image");
	struct fixture fixture = {.program = PROGRAM_WAIT};
	struct fwp *fwps[3];
	for (size_t i = 0; i < 3; i++) {
		fwps[i] = fixture_new(engine, image, NULL, &fixture);
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED);
	}
	struct eos_why why = {""};
	struct fwp *more = NULL;
	assert_int_equal(fwp_new(engine, image, NULL, &fixture, &more, &why), -EAGAIN);
	assert_non_null(strstr(why.text, "3"));
	fwp_free(fwps[1]);
	fwps[1] = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(fwps[1]), FWP_BLOCKED);
	/* The image lives as long as its FWPs. */
	fwp_image_unref(image);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(fwp_run(fwps[i]), FWP_BLOCKED);
		fwp_free(fwps[i]);
	}
	fwp_engine_free(engine);
}

static void too_many_are_refused(void **state)
{
	struct eos_why why = {""};
	struct fwp_engine *engine = NULL;
	struct fwp_engine_config config = {.fwps_max = 1000000};
	assert_int_equal(fwp_engine_new(&config, &engine, &why), -ERANGE);
	assert_non_null(strstr(why.text, "1000000"));
	/* Whatever this kernel's vm.max_map_count is, it is not beyond the address space. */
	config.fwps_max = UINT32_MAX;
	assert_int_equal(fwp_engine_new(&config, &engine, &why), -ERANGE);
	assert_null(engine);
	/* A refusal leaves nothing behind. */
	engine = fixture_engine(NULL);
	struct fwp_engine *second = NULL;
	assert_int_equal(fwp_engine_new(NULL, &second, &why), -EBUSY);
	assert_null(second);
	assert_null(fwp_engine_free(engine));
	assert_null(fwp_engine_free(NULL));
}

static void *run_in_thread(void *arg)
{
	struct fwp_image *image = arg;
	struct fwp_engine_config config = {.fwps_max = 4};
	struct fwp_engine *engine = NULL;
	if (fwp_engine_new(&config, &engine, NULL) < 0)
		return NULL;
	uintptr_t traps = 0;
	for (unsigned i = 0; i < 50; i++) {
		struct fixture fixture = {.program = PROGRAM_LOAD_SIZE};
		struct fwp *fwp = NULL;
		if (fwp_new(engine, image, NULL, &fixture, &fwp, NULL) < 0)
			break;
		traps += fwp_run(fwp) == FWP_DEAD && fwp_death(fwp)->kind == FWP_DEATH_TRAP;
		fwp_free(fwp);
	}
	fwp_engine_free(engine);
	return (void *)traps;
}

static void threads_have_engines_of_their_own(void **state)
{
	struct fwp_engine *engine = fixture_engine(NULL);
	struct fwp_image *image = fixture_load("image");
	pthread_t threads[2];
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, image), 0);
	for (size_t i = 0; i < 2; i++) {
		void *traps;
		assert_int_equal(pthread_join(threads[i], &traps), 0);
		assert_int_equal((uintptr_t)traps, 50);
	}
	fwp_image_unref(image);
	fwp_engine_free(engine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(used_slots_are_clean),
		cmocka_unit_test(pool_has_a_limit),
		cmocka_unit_test(too_many_are_refused),
		cmocka_unit_test(threads_have_engines_of_their_own),
	};
	return cmocka_run_group_tests_name("fwp_engine", tests, NULL, NULL);
}
