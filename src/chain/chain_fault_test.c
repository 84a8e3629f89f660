/* Each allocation, mapping and system call fails in turn: an error, nothing leaked (the sanitizers
 * look), nothing changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/fault.h"
#include "chain/fixtures/chain_fixture.h"

static const char *const points[] = {
	"chain.calloc", "chain.strdup", "chain.mmap",  "fwp.calloc",	   "fwp.mmap",
	"fwp.mprotect", "fwp.memfd",	"fwp.madvise", "fwp.pagemap_scan",
};

static void arm(const char *point, unsigned nth)
{
	char spec[64];
	(void)snprintf(spec, sizeof(spec), "%s:%u=ENOMEM", point, nth);
	assert_int_equal(eos_fault_arm(spec, NULL), 0);
}

static void applying_fails_whole_or_not_at_all(void **state)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(points); i++) {
		struct fixture *f = fixture_with(64, 16);
		unsigned nth = 1;
		fixture_apply(f, &(struct stages){.ids = "ab"});
		assert_non_null(tell(f, 1, '-', 0));
		for (int err = -1; err < 0; nth++) {
			struct eos_why why = {""};
			assert_true(nth < 200);
			arm(points[i], nth);
			err = fixture_try(f, &(struct stages){.ids = "abc"}, &why);
			assert_int_equal(eos_fault_arm(NULL, NULL), 0);
			if (err == 0)
				break;
			assert_true(why.text[0] != '\0');
			assert_int_equal(stats(f).version, 1);
			assert_int_equal(tell(f, 1, '-', 0)->data[SEEN], (nth + 1) & 0xffu);
		}
		assert_int_equal(tell(f, 1, '-', 0)->data[SEEN], 1);
		fixture_free(f);
	}
}

static void packet_is_dropped_where_no_chain_can_be_made(void **state)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(points); i++) {
		struct fixture *f = fixture_with(64, 16);
		fixture_apply(f, &(struct stages){.ids = "ab"});
		for (unsigned nth = 1; nth < 12; nth++) {
			arm(points[i], nth);
			unsigned before = f->sent_count;
			uint64_t limit = stats(f).limit, died = f->died_count;
			(void)tell(f, nth, '-', 0);
			(void)tell(f, nth, 'a', 't');
			(void)tell(f, nth, '-', 0);
			assert_int_equal(eos_fault_arm(NULL, NULL), 0);
			/* Each left, was refused a chain, or died. */
			assert_int_equal(f->sent_count - before + stats(f).limit - limit +
						 f->died_count - died,
					 3);
			assert_non_null(tell(f, nth, '-', 0));
		}
		fixture_free(f);
	}
}

static void core_is_made_whole_or_not_at_all(void **state)
{
	struct fixture *f = *state;
	struct eos_why why = {""};
	struct chains *chains = NULL;
	const struct chains_config config = {.engine = f->engine, .ops = f->chains->ops};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(points); i++) {
		for (unsigned nth = 1; nth < 20; nth++) {
			arm(points[i], nth);
			int err = chains_new(&config, &chains, &why);
			assert_int_equal(eos_fault_arm(NULL, NULL), 0);
			if (err == 0) {
				chains = chains_free(chains);
				break;
			}
			assert_int_equal(err, -ENOMEM);
			assert_null(chains);
		}
	}
	struct chains_config bad = config;
	bad.chains_max = CHAIN_CHAINS_MAX + 1;
	assert_int_equal(chains_new(&bad, &chains, &why), -EINVAL);
	bad = config;
	bad.flows_max = FLOW_TABLE_FLOWS_MAX + 1;
	assert_int_equal(chains_new(&bad, &chains, &why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(applying_fails_whole_or_not_at_all),
		cmocka_unit_test(packet_is_dropped_where_no_chain_can_be_made),
		cmocka_unit_test_setup_teardown(core_is_made_whole_or_not_at_all, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
