#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"

static void start(const char *rate, const char *up, const char *down, const char *burst)
{
	host_set(NULL, NULL);
	const char *const settings[][2] = {
		{"rate", rate}, {"up", up}, {"down", down}, {"burst", burst}};
	for (unsigned i = 0; i < 4; i++)
		host_set(settings[i][0], settings[i][1]);
}

/* How many bytes of packets of LEN pass in SECONDS, when one comes every EVERY_NS. */
static uint64_t passed(uint32_t port, uint32_t len, uint64_t every_ns, unsigned seconds)
{
	static const uint8_t data[EDGEOS_PACKET_MAX];
	uint64_t bytes = 0, end_ns = host_now_ns + seconds * HOST_SECOND;
	for (; host_now_ns < end_ns; host_now_ns += every_ns) {
		if (host_frame(port, data, len) == EDGEOS_FORWARD)
			bytes += len;
	}
	return bytes;
}

static void test_rate_is_kept(void **state)
{
	start("8Mbit", NULL, NULL, "20000B");
	assert_true(host_start());
	/* 10 times too much; what is allowed is 1,000,000 a second and the burst. */
	uint64_t bytes = passed(EDGEOS_PORT_CLIENT, 1000, 100000, 2);
	assert_in_range(bytes, 2000000 + 20000 - 1000, 2000000 + 20000);
	/* The other direction has a bucket of its own. */
	bytes = passed(EDGEOS_PORT_OUT, 1000, 100000, 2);
	assert_in_range(bytes, 2000000 + 20000 - 1000, 2000000 + 20000);
	assert_int_equal(host_counter("down/passed_bytes"), bytes);
	assert_int_equal(host_counter("down/passed_packets"), bytes / 1000);
	assert_int_equal(host_counter("down/dropped_bytes"), 20000000 - bytes);
	/* Less than the rate loses nothing. */
	host_now_ns += HOST_SECOND;
	assert_int_equal(passed(EDGEOS_PORT_CLIENT, 1000, 1000000, 5), 5000000);
}

static void test_burst(void **state)
{
	static const uint8_t data[1500];
	start("1Mbit", NULL, NULL, "15000B");
	assert_true(host_start());
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 1500),
					 EDGEOS_FORWARD);
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 1500), EDGEOS_DROP);
		/* A short one does not fit either, the bucket is empty. */
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 60), EDGEOS_DROP);
		/* 12 ms are 1,500 bytes. */
		host_now_ns += 12000000;
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 1500), EDGEOS_FORWARD);
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 60), EDGEOS_DROP);
		host_now_ns += 3600 * HOST_SECOND;
	}
}

/* All at one moment, where a nanosecond is 7 to 1,000 bytes. */
static void test_burst_is_exact(void **state)
{
	static const char *const rates[] = {"8bit", "100kbit", "7GB", "33GB", "700GB", "1000GB"};
	static const uint8_t data[60];
	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		start(rates[i], NULL, NULL, "10500B");
		assert_true(host_start());
		for (unsigned n = 1; n <= 10500 / 60 + 3; n++)
			assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 60),
					 n <= 10500 / 60 ? EDGEOS_FORWARD : EDGEOS_DROP);
	}
}

static void test_odd_rates_are_exact(void **state)
{
	/* Each packet's time is no whole number of nanoseconds: without what divisions leave, 64
	 * bytes would take 9 ns instead of 9.14. */
	static const uint8_t data[64];
	uint64_t bytes = 0;
	start("7GB", NULL, NULL, "10000B");
	assert_true(host_start());
	for (uint64_t end_ns = host_now_ns + 1000000; host_now_ns < end_ns; host_now_ns += 3)
		bytes += host_frame(EDGEOS_PORT_CLIENT, data, 64) == EDGEOS_FORWARD ? 64 : 0;
	assert_in_range(bytes, 7000000 + 10000 - 128, 7000000 + 10000);
	start("1bit", NULL, NULL, NULL);
	assert_false(host_start());
	start("8bit", NULL, NULL, "10000B");
	assert_true(host_start());
	assert_int_equal(passed(EDGEOS_PORT_CLIENT, 100, HOST_SECOND, 1000), 10000 + 900);
}

static void test_one_direction(void **state)
{
	static const uint8_t data[1500];
	start(NULL, "1Mbit", NULL, "10000B");
	assert_true(host_start());
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, 1500), EDGEOS_FORWARD);
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, 1500),
				 i < 6 ? EDGEOS_FORWARD : EDGEOS_DROP);
	}
}

static void test_configuration(void **state)
{
	static const char *const bad[] = {"",
					  "10",
					  "12bit",
					  "Mbit",
					  "-1Mbit",
					  "1 2Mbit",
					  "10mbit",
					  "0Mbit",
					  "1Mbit ;",
					  "99999999999999999999Gbit",
					  "9000000000000GB"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(bad[i], NULL, NULL, NULL);
		assert_false(host_start());
		assert_non_null(strstr(host_log, "rate"));
	}
	start(NULL, NULL, NULL, "64KiB");
	assert_false(host_start());
	start("1Mbit", NULL, NULL, "1000B");
	assert_false(host_start());
	assert_non_null(strstr(host_log, "burst"));
	start("1Mbit", NULL, NULL, "8000000MiB");
	assert_false(host_start());
	start("1 Gbit", NULL, NULL, "10000");
	assert_true(host_start());
}

static void test_hostile(void **state)
{
	uint8_t frame[2048];
	const struct host_packet packet = {.proto = 17, .source = "10.0.0.1", .target = "10.0.0.2"};
	start("1Mbit", NULL, NULL, NULL);
	assert_true(host_start());
	host_be_hostile(frame, host_make(frame, &packet), 5000);
	/* A clock that stands still, or the longest packets, change nothing. */
	static const uint8_t longest[EDGEOS_PACKET_MAX];
	for (unsigned i = 0; i < 1000; i++)
		host_frame(EDGEOS_PORT_CLIENT, longest, sizeof(longest));
	host_now_ns += HOST_SECOND;
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, longest, sizeof(longest)), EDGEOS_FORWARD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate_is_kept),   cmocka_unit_test(test_burst),
		cmocka_unit_test(test_burst_is_exact), cmocka_unit_test(test_odd_rates_are_exact),
		cmocka_unit_test(test_one_direction),  cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
