#include "link/link_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void what_is_written_is_read(void **state)
{
	const struct link_config configs[] = {
		link_config_default,
		{.fwps_max = 1,
		 .pool_high = 1,
		 .quantum_ns = LINK_QUANTUM_NS_MIN,
		 .init_timeout_ns = 1000000},
		{.fwps_max = LINK_FWPS_MAX,
		 .pool_low = LINK_FWPS_MAX,
		 .pool_high = LINK_FWPS_MAX,
		 .quantum_ns = LINK_QUANTUM_NS_MAX,
		 .init_timeout_ns = LINK_INIT_TIMEOUT_NS_MAX,
		 .is_edf = true},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(configs); i++) {
		char text[LINK_CONFIG_TEXT_SIZE];
		struct link_config config;
		link_config_format(&configs[i], text);
		assert_int_equal(link_config_parse(text, &config), 0);
		assert_int_equal(config.fwps_max, configs[i].fwps_max);
		assert_int_equal(config.pool_low, configs[i].pool_low);
		assert_int_equal(config.pool_high, configs[i].pool_high);
		assert_int_equal(config.quantum_ns, configs[i].quantum_ns);
		assert_int_equal(config.init_timeout_ns, configs[i].init_timeout_ns);
		assert_int_equal(config.is_edf, configs[i].is_edf);
	}
}

#define REST ",pool_low=0,pool_high=1,quantum_ns=200000,init_timeout_ns=1000000,is_edf="

static void the_rest_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"fwps_max=1",
		"fwps_max=1" REST,
		"fwps_max=1" REST "2",
		"fwps_max=1" REST "0,",
		"fwps_max=1" REST "0,more=1",
		"fwps_max=0" REST "0",
		"fwps_max=513" REST "0",
		"fwps_max=4294967297" REST "0",
		"fwps_max=x" REST "0",
		"fwps=1" REST "0",
		"fwps_max=1,pool_low=2,pool_high=1,quantum_ns=200000,init_timeout_ns=1000000,"
		"is_edf=0",
		"fwps_max=1,pool_low=0,pool_high=0,quantum_ns=200000,init_timeout_ns=1000000,"
		"is_edf=0",
		"fwps_max=1,pool_low=0,pool_high=2,quantum_ns=200000,init_timeout_ns=1000000,"
		"is_edf=0",
		"fwps_max=1,pool_low=0,pool_high=1,quantum_ns=1,init_timeout_ns=1000000,is_edf=0",
		"fwps_max=1,pool_low=0,pool_high=1,quantum_ns=200000,init_timeout_ns=1,is_edf=0",
	};
	struct link_config config;
	assert_int_equal(link_config_parse("fwps_max=1" REST "0", &config), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(texts); i++)
		assert_int_equal(link_config_parse(texts[i], &config), -EINVAL);
	char large[1000];
	memset(large, '1', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(link_config_parse(large, &config), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_rest_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
