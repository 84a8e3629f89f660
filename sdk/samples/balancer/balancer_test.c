#include "balancer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"

#define SERVICE "192.0.2.10"
#define CLIENT	"10.9.0.1"

/* --- Maglev --- */

static void fill(uint8_t *table, unsigned count, unsigned without, const uint32_t *weights)
{
	struct maglev_backend named[MAGLEV_BACKENDS_MAX];
	uint8_t names[MAGLEV_BACKENDS_MAX];
	unsigned n = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i == without)
			continue;
		uint8_t address[16] = {[10] = 0xff, 0xff, 10, 0, 0, (uint8_t)(i + 1)};
		named[n] = (struct maglev_backend){maglev_hash(address, 16, 0),
						   weights == NULL ? 1 : weights[i]};
		names[n++] = (uint8_t)i;
	}
	maglev_fill(table, named, n);
	for (unsigned i = 0; i < MAGLEV_PLACES; i++) {
		assert_true(table[i] < n);
		table[i] = names[table[i]];
	}
}

static void test_shares(void **state)
{
	static const uint32_t weights[] = {1, 2, 3, 4};
	uint8_t table[MAGLEV_PLACES];
	unsigned places[MAGLEV_BACKENDS_MAX] = {0};
	fill(table, 32, 99, NULL);
	for (unsigned i = 0; i < MAGLEV_PLACES; i++)
		places[table[i]]++;
	for (unsigned i = 0; i < 32; i++)
		assert_in_range(places[i], MAGLEV_PLACES / 32, MAGLEV_PLACES / 32 + 1);
	memset(places, 0, sizeof(places));
	fill(table, 4, 99, weights);
	for (unsigned i = 0; i < MAGLEV_PLACES; i++)
		places[table[i]]++;
	for (unsigned i = 0; i < 4; i++)
		assert_in_range(places[i], MAGLEV_PLACES * (i + 1) / 10 - 2,
				MAGLEV_PLACES * (i + 1) / 10 + 2);
}

/* Without one of N backends, its places are taken by others; of theirs few may change. */
static void test_disruption(void **state)
{
	uint8_t before[MAGLEV_PLACES], after[MAGLEV_PLACES];
	unsigned worst = 0;
	for (unsigned count = 2; count <= 32; count += 3) {
		fill(before, count, 99, NULL);
		for (unsigned gone = 0; gone < count; gone++) {
			unsigned moved = 0;
			fill(after, count, gone, NULL);
			for (unsigned i = 0; i < MAGLEV_PLACES; i++) {
				assert_int_not_equal(after[i], gone);
				moved += before[i] != gone && before[i] != after[i];
			}
			if (moved > worst)
				worst = moved;
		}
	}
	print_message("moved without need: at most %u of %u places\n", worst, MAGLEV_PLACES);
	/* hash % N would move nearly all of them. */
	assert_in_range(worst, 0, MAGLEV_PLACES * 5 / 100);
}

/* --- frames --- */

static uint8_t data[2048];

static const uint8_t *bytes_of(const char *text)
{
	static uint8_t address[16];
	assert_true(frame_parse_address(text, (uint32_t)strlen(text), address));
	return address;
}

static void start(const char *mode, const char *backends_text)
{
	host_set(NULL, NULL);
	host_set("service", SERVICE);
	host_set("mode", mode);
	host_set("ports", "80-81");
	host_set("backends", backends_text);
	assert_true(host_start());
}

#define THREE "10.0.0.1 02:00:00:00:00:01; 10.0.0.2 02:00:00:00:00:02; 10.0.0.3 02:00:00:00:00:03"
#define TWO   "10.0.0.1 02:00:00:00:00:01; 10.0.0.3 02:00:00:00:00:03"

/* Sends one of the client's PORT; returns which backend it went to (its last byte), 0: none. */
static unsigned ask(uint8_t proto, uint16_t port, uint16_t service_port)
{
	struct frame frame;
	const struct host_packet packet = {.proto = proto,
					   .source = CLIENT,
					   .target = SERVICE,
					   .source_port = port,
					   .target_port = service_port,
					   .source_mac = 9,
					   .target_mac = 8,
					   .flags = FRAME_ACK,
					   .payload = "abc",
					   .payload_len = 3};
	uint32_t len = host_make(data, &packet);
	if (host_frame(EDGEOS_PORT_CLIENT, data, len) != EDGEOS_FORWARD)
		return 0;
	assert_true(host_checksums_are_right(host_result.data, host_result.len));
	assert_true(frame_parse(&frame, host_result.data, host_result.len));
	return host_result.data[5];
}

static void test_stickiness(void **state)
{
	unsigned chosen[2000], counts[4] = {0}, moved = 0;
	start("ip", THREE);
	for (uint16_t i = 0; i < 2000; i++) {
		chosen[i] = ask(FRAME_TCP, (uint16_t)(1000 + i), 80);
		assert_in_range(chosen[i], 1, 3);
		counts[chosen[i]]++;
	}
	for (unsigned i = 1; i <= 3; i++)
		assert_in_range(counts[i], 550, 780);
	/* The second one goes: what was there moves, the rest does not, though the table changed.
	 */
	start("ip", TWO);
	host_now_ns -= 24 * 3600 * HOST_SECOND;
	for (uint16_t i = 0; i < 2000; i++) {
		unsigned now = ask(FRAME_TCP, (uint16_t)(1000 + i), 80);
		assert_true(chosen[i] == 2 ? now == 1 || now == 3 : now == chosen[i]);
		moved += chosen[i] == 2;
	}
	assert_int_equal(host_counter("flows_moved"), moved);
	/* Without the memory of flows, too, but for a few. */
	host_now_ns += 25 * 3600 * HOST_SECOND;
	moved = 0;
	for (uint16_t i = 0; i < 2000; i++)
		moved += ask(FRAME_TCP, (uint16_t)(1000 + i), 80) != chosen[i] && chosen[i] != 2;
	assert_in_range(moved, 0, 100);
}

static void test_rewriting_and_back(void **state)
{
	struct frame frame;
	start("ip", THREE);
	static const uint8_t protos[] = {FRAME_TCP, FRAME_UDP};
	for (unsigned i = 0; i < 200; i++) {
		char backend[] = "10.0.0.0";
		uint16_t port = (uint16_t)(3000 + i);
		unsigned number = ask(protos[i % 2], port, 81);
		assert_in_range(number, 1, 3);
		backend[7] = (char)('0' + number);
		struct host_packet answer = {.proto = protos[i % 2],
					     .source = backend,
					     .target = CLIENT,
					     .source_port = 81,
					     .target_port = port,
					     .flags = FRAME_ACK,
					     .payload = "defg",
					     .payload_len = 4};
		uint32_t len = host_make(data, &answer);
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, len), EDGEOS_FORWARD);
		assert_true(host_checksums_are_right(host_result.data, host_result.len));
		assert_true(frame_parse(&frame, host_result.data, host_result.len));
		assert_memory_equal(frame.source, bytes_of(SERVICE), 16);
		assert_int_equal(host_result.data[5], 9);
		/* Another backend has nothing to say in it. */
		backend[7] = (char)('1' + number % 3);
		len = host_make(data, &answer);
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, len), EDGEOS_DROP);
	}
	assert_int_equal(ask(FRAME_TCP, 1, 82), 0);
	assert_int_equal(ask(FRAME_TCP, 1, 79), 0);
	assert_int_equal(ask(47, 0, 0), 0);
}

static void test_mac_mode(void **state)
{
	struct frame frame;
	start("mac", THREE);
	assert_in_range(ask(FRAME_UDP, 5, 80), 1, 3);
	assert_true(frame_parse(&frame, host_result.data, host_result.len));
	assert_memory_equal(frame.target, bytes_of(SERVICE), 16);
}

static void test_errors_reach_the_backend(void **state)
{
	uint8_t quoted_data[256];
	struct frame frame, quoted;
	char backend[] = "10.0.0.0";
	start("ip", THREE);
	backend[7] = (char)('0' + ask(FRAME_TCP, 4000, 80));
	const struct host_packet inner = {.proto = FRAME_TCP,
					  .source = SERVICE,
					  .target = CLIENT,
					  .source_port = 80,
					  .target_port = 4000};
	struct host_packet error = {.proto = FRAME_ICMP,
				    .icmp_type = 3,
				    .icmp_code = 4,
				    .source = "198.51.100.1",
				    .target = SERVICE,
				    .payload = quoted_data + 14,
				    .payload_len = 28};
	host_make(quoted_data, &inner);
	uint32_t len = host_make(data, &error);
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, len), EDGEOS_FORWARD);
	assert_true(host_checksums_are_right(host_result.data, host_result.len));
	assert_true(frame_parse(&frame, host_result.data, host_result.len));
	assert_true(frame_parse_quoted(&quoted, &frame));
	assert_memory_equal(quoted.source, bytes_of(backend), 16);
	assert_memory_equal(frame.target, bytes_of(backend), 16);
	/* And one of the backend reaches the client. */
	const struct host_packet asked = {.proto = FRAME_TCP,
					  .source = CLIENT,
					  .target = backend,
					  .source_port = 4000,
					  .target_port = 80};
	host_make(quoted_data, &asked);
	error.source = backend;
	error.target = CLIENT;
	len = host_make(data, &error);
	assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, len), EDGEOS_FORWARD);
	assert_true(host_checksums_are_right(host_result.data, host_result.len));
	assert_true(frame_parse(&frame, host_result.data, host_result.len));
	assert_true(frame_parse_quoted(&quoted, &frame));
	assert_memory_equal(quoted.target, bytes_of(SERVICE), 16);
	assert_memory_equal(frame.source, bytes_of(SERVICE), 16);
}

/* Is what the error quotes, whole, a packet with right checksums? */
static bool is_quoted_right(void)
{
	uint8_t copy[512];
	struct frame frame, quoted;
	assert_true(frame_parse(&frame, host_result.data, host_result.len));
	assert_true(frame_parse_quoted(&quoted, &frame));
	memcpy(copy, host_result.data, 14);
	memcpy(copy + 14, host_result.data + quoted.ip, quoted.end - quoted.ip);
	return host_checksums_are_right(copy, 14 + quoted.end - quoted.ip);
}

/* What is quoted is what its sender has sent, for all who look closely. */
static void test_errors_quote_rightly(void **state)
{
	static const uint8_t protos[] = {FRAME_TCP, FRAME_UDP, FRAME_UDP, FRAME_ICMP6};
	uint8_t quoted_data[256];
	for (unsigned i = 0; i < 400; i++) {
		bool is_6 = i % 4 == 3;
		const char *client = is_6 ? "2001:db8::9" : CLIENT;
		char backend[] = "10.0.0.0", backend6[] = "fd00::0";
		uint16_t port = (uint16_t)(6000 + i);
		host_set(NULL, NULL);
		host_set("service", is_6 ? "2001:db8::10" : SERVICE);
		host_set("backends",
			 is_6 ? "fd00::1 02:00:00:00:00:01; fd00::2 02:00:00:00:00:02" : THREE);
		assert_true(host_start());
		struct host_packet asked = {.proto = protos[i % 4],
					    .icmp_type = 128,
					    .source = client,
					    .target = is_6 ? "2001:db8::10" : SERVICE,
					    .source_port = port,
					    .target_port = 80,
					    .flags = FRAME_ACK,
					    .payload = "abc",
					    .payload_len = 3};
		uint32_t len = host_make(data, &asked);
		assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, data, len), EDGEOS_FORWARD);
		backend[7] = backend6[6] = (char)('0' + host_result.data[5]);
		asked.target = is_6 ? backend6 : backend;
		struct host_packet error = {.proto = is_6 ? FRAME_ICMP6 : FRAME_ICMP,
					    .icmp_type = is_6 ? 1 : 3,
					    .source = asked.target,
					    .target = client,
					    .payload = quoted_data + 14};
		error.payload_len = host_make(quoted_data, &asked) - 14;
		/* One without a checksum keeps none. */
		if (i % 4 == 2)
			frame_put_u16(quoted_data + 14 + 20 + 6, 0);
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, host_make(data, &error)),
				 EDGEOS_FORWARD);
		assert_true(host_checksums_are_right(host_result.data, host_result.len));
		assert_true(is_quoted_right());
		assert_true(i % 4 != 2 || frame_u16(host_result.data + 14 + 28 + 26) == 0);
		/* 8 bytes of it are enough; there is no checksum of TCP in those. */
		error.payload_len = (is_6 ? 40 : 20) + 8;
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, data, host_make(data, &error)),
				 EDGEOS_FORWARD);
		assert_true(host_checksums_are_right(host_result.data, host_result.len));
	}
}

static void test_configuration(void **state)
{
	static const char *const bad[] = {
		"",
		"10.0.0.1",
		"10.0.0.1 02:00:00:00:00:01 weight",
		"10.0.0.1 02:00:00:00:00:01 weight 0",
		"10.0.0.1 02:00:00:00:00:01 weight 1 2",
		"10.0.0.1 02:00:00:00:00:01; 10.0.0.1 02:00:00:00:00:02",
		"2001:db8::1 02:00:00:00:00:01",
	};
	start("ip", THREE);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		host_set("backends", bad[i]);
		assert_false(host_start());
		assert_non_null(strstr(host_log, "backends"));
	}
	/* Ports from 80 on, or only that? */
	host_set("backends", THREE);
	host_set("ports", "80-");
	assert_false(host_start());
	host_set("ports", "80");
	assert_true(host_start());
}

static void test_hostile(void **state)
{
	uint8_t quoted_data[256];
	start("ip", THREE);
	for (uint16_t i = 0; i < 40; i++) {
		ask(i % 2 != 0 ? FRAME_TCP : FRAME_UDP, (uint16_t)(5000 + i), 80);
		if (i < 4)
			host_be_hostile(data, 14 + 20 + (i % 2 != 0 ? 20 : 8) + 3, 3000);
	}
	const struct host_packet inner = {.proto = FRAME_UDP,
					  .source = SERVICE,
					  .target = CLIENT,
					  .source_port = 80,
					  .target_port = 5000};
	const struct host_packet error = {.proto = FRAME_ICMP,
					  .icmp_type = 3,
					  .source = "198.51.100.1",
					  .target = SERVICE,
					  .payload = quoted_data + 14,
					  .payload_len = 28};
	host_make(quoted_data, &inner);
	host_be_hostile(data, host_make(data, &error), 5000);
	/* More flows than places: each still gets a backend. */
	for (unsigned i = 0; i < 40000; i++)
		assert_in_range(ask(FRAME_UDP, (uint16_t)i, 80), 1, 3);
	assert_true(host_counter("flows_evicted") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_disruption),
		cmocka_unit_test(test_stickiness),
		cmocka_unit_test(test_rewriting_and_back),
		cmocka_unit_test(test_mac_mode),
		cmocka_unit_test(test_errors_reach_the_backend),
		cmocka_unit_test(test_errors_quote_rightly),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
