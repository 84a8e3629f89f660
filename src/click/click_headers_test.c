/*
 * Handlers of the elements about headers, and the bounds of ARP's table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/ip.h>

#include "click/click_elements_fixture.h"

#define NS_PER_S 1000000000ull

static struct fixture fixture;

static void load(const char *text)
{
	if (fixture_load(&fixture, text) < 0)
		fail_msg("%s", fixture.errors);
	fixture.sent_count = 0;
}

static void assert_reads(const char *handler, const char *expected)
{
	char text[1024];
	assert_true(click_router_read(fixture.router, handler, text, sizeof(text)) >= 0);
	assert_string_equal(text, expected);
}

static int write_to(const char *handler, const char *text)
{
	return click_router_write(fixture.router, handler, text, NULL);
}

/* Each: what it reads after its configuration, what is written, and what it reads then; a text that
 * is no value is refused and changes nothing. */
static const struct {
	const char *element, *handler, *before, *write, *after, *wrong;
} handlers[] = {
	{"EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2)", "src", "02-00-00-00-00-01", "2:0:0:0:0:a",
	 "02-00-00-00-00-0A", "2:0:0"},
	{"EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2)", "dst", "02-00-00-00-00-02", "2:0:0:0:0:a",
	 "02-00-00-00-00-0A", "x"},
	{"EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2)", "ethertype", "2048", "0x86dd", "34525",
	 "0x10000"},
	{"HostEtherFilter(2:0:0:0:0:1)", "ether", "02-00-00-00-00-01", "2:0:0:0:0:a",
	 "02-00-00-00-00-0A", "2:0:0"},
	{"SetVLANAnno(VLAN_ID 5, VLAN_PCP 3)", "vlan_tci", "24581", "5", "5", "65536"},
	{"SetVLANAnno(VLAN_ID 5, VLAN_PCP 3)", "vlan_id", "5", "0xfff", "4095", "4096"},
	{"SetVLANAnno(VLAN_ID 5, VLAN_PCP 3)", "vlan_pcp", "3", "7", "7", "8"},
	{"SetVLANAnno(5)", "vlan_tci", "5", "6", "6", "ANNO"},
	{"VLANEncap(ANNO)", "vlan_tci", "ANNO", "9", "9", "x"},
	{"VLANEncap(5)", "native_vlan", "0", "-1", "-1", "4096"},
	{"VLANEncap(5, ETHERTYPE 0x88a8)", "ethertype", "0x88a8", "0x9100", "0x9100", "0x10000"},
	{"EtherRewrite(2:0:0:0:0:1, 2:0:0:0:0:2)", "src", "02-00-00-00-00-01", "2:0:0:0:0:a",
	 "02-00-00-00-00-0A", "x"},
	{"EtherRewrite(2:0:0:0:0:1, 2:0:0:0:0:2)", "dst", "02-00-00-00-00-02", "2:0:0:0:0:a",
	 "02-00-00-00-00-0A", "x"},
	{"EtherVLANEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2, 5)", "src", "02-00-00-00-00-01",
	 "2:0:0:0:0:a", "02-00-00-00-00-0A", "x"},
	{"EtherVLANEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2, 5)", "dst", "02-00-00-00-00-02",
	 "2:0:0:0:0:a", "02-00-00-00-00-0A", "x"},
	{"EtherVLANEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2, 5)", "ethertype", "2048", "0x86dd",
	 "34525", "0x10000"},
	{"EtherVLANEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2, ANNO)", "vlan_tci", "ANNO", "9", "9",
	 "x"},
	{"EtherVLANEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2, 5)", "native_vlan", "0", "-1", "-1",
	 "4096"},
	{"ICMPError(10.0.0.1, 3)", "src", "10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0"},
	{"ICMPError(10.0.0.1, 3)", "mtu", "576", "68", "68", "67"},
	{"ICMPError(10.0.0.1, 3)", "pmtu", "0", "1400", "1400", "65536"},
	{"CheckLength(9)", "length", "9", "10", "10", "-1"},
	{"CheckPaint(9)", "color", "9", "255", "255", "256"},
	{"SetIPAddress(1.2.3.4)", "addr", "1.2.3.4", "4.3.2.1", "4.3.2.1", "4.3.2"},
	{"DecIPTTL", "active", "true", "off", "false", "maybe"},
	{"Print", "active", "true", "0", "false", "maybe"},
	{"SetIPDSCP(5)", "dscp", "5", "63", "63", "64"},
	{"IPEncap(6, 1.1.1.1, 2.2.2.2)", "src", "1.1.1.1", "3.3.3.3", "3.3.3.3", "x"},
	{"IPEncap(6, 1.1.1.1, 2.2.2.2)", "dst", "2.2.2.2", "DST_ANNO", "DST_ANNO", "x"},
	{"UDPIPEncap(1.1.1.1, 5, 2.2.2.2, 6)", "sport", "5", "7", "7", "65536"},
	{"UDPIPEncap(1.1.1.1, 5, 2.2.2.2, 6)", "dport", "6", "7", "7", "x"},
	{"ARPResponder(10.0.0.1 2:0:0:0:0:1)", "table", "10.0.0.1/32 02-00-00-00-00-01\n", NULL,
	 NULL, NULL},
};

static void handlers_read_and_write(void **state)
{
	for (unsigned i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		char text[512], path[64];
		snprintf(text, sizeof(text), "FromDevice(in) -> e :: %s -> ToDevice(out);",
			 handlers[i].element);
		snprintf(path, sizeof(path), "e.%s", handlers[i].handler);
		load(text);
		assert_reads(path, handlers[i].before);
		if (handlers[i].write) {
			assert_int_equal(write_to(path, handlers[i].wrong), -1);
			assert_reads(path, handlers[i].before);
			assert_int_equal(write_to(path, handlers[i].write), 0);
			assert_reads(path, handlers[i].after);
		}
		fixture_fini(&fixture);
	}
}

static void checks_count(void **state)
{
	uint8_t packet[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 9, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
	load("FromDevice(in) -> e :: CheckIPHeader(DETAILS true) -> ToDevice(out);");
	click_ip_set_checksum(packet, 20);
	fixture_receive(&fixture, "in", packet, 28);
	fixture_receive(&fixture, "in", packet, 19);
	packet[8]++;
	fixture_receive(&fixture, "in", packet, 28);
	fixture_receive(&fixture, "in", packet, 28);
	assert_reads("e.count", "1");
	assert_reads("e.drops", "3");
	assert_reads("e.drop_details", "1\ttiny packet\n0\tbad IP version\n"
				       "0\tbad IP header length\n0\tbad IP length\n"
				       "2\tbad IP checksum\n0\tbad source address\n");
	fixture_fini(&fixture);
}

static void arp_responders_change(void **state)
{
	load("FromDevice(in) -> e :: ARPResponder(10.0.0.0/24 2:0:0:0:0:1) -> ToDevice(out);");
	assert_int_equal(write_to("e.add", "10.0.0.9 10.0.0.0/8 2:0:0:0:0:2"), 0);
	assert_reads("e.table", "10.0.0.9/32 02-00-00-00-00-02\n"
				"10.0.0.0/24 02-00-00-00-00-01\n"
				"10.0.0.0/8 02-00-00-00-00-02\n");
	assert_int_equal(write_to("e.lookup", "10.0.0.8"), 0);
	assert_reads("e.lookup", "02-00-00-00-00-01");
	assert_int_equal(write_to("e.lookup", "11.0.0.8"), 0);
	assert_reads("e.lookup", "");
	assert_int_equal(write_to("e.lookup", "11.0.0"), -1);
	/* The same prefix again is no second one. */
	assert_int_equal(write_to("e.add", "10.0.0.0/24 2:0:0:0:0:3"), 0);
	assert_int_equal(write_to("e.remove", "10.0.0.9"), 0);
	assert_int_equal(write_to("e.remove", "10.0.0.9"), -1);
	assert_int_equal(write_to("e.add", "10.0.0.9"), -1);
	assert_int_equal(write_to("e.add", ""), -1);
	/* Not two Ethernet addresses, nor something else, and then nothing of it. */
	assert_int_equal(write_to("e.add", "10.0.0.9 2:0:0:0:0:1 2:0:0:0:0:2"), -1);
	assert_int_equal(write_to("e.add", "10.0.0.9 x 2:0:0:0:0:1"), -1);
	assert_int_equal(write_to("e.add", "2:0:0:0:0:1"), -1);
	assert_reads("e.table", "10.0.0.0/24 02-00-00-00-00-03\n10.0.0.0/8 02-00-00-00-00-02\n");
	for (unsigned i = 0; i < 300; i++) {
		char entry[64];
		snprintf(entry, sizeof(entry), "10.1.%u.%u 2:0:0:0:0:4", i / 250, i % 250);
		assert_int_equal(write_to("e.add", entry), i < 254 ? 0 : -1);
	}
	fixture_fini(&fixture);
}

/* A packet to 10.N: a query, unless there is an answer. */
static void send_to(uint32_t n)
{
	uint8_t packet[20] = {0x45};
	click_put_u32(packet + 16, 0x0a000000 | n);
	fixture_receive_more(&fixture, "in", packet, sizeof(packet));
}

static void load_querier(const char *args)
{
	char text[512];
	snprintf(text, sizeof(text),
		 "FromDevice(in) -> GetIPAddress(16) -> e :: ARPQuerier(10.0.0.1, 2:0:0:0:0:1%s)"
		 "-> ToDevice(out); FromDevice(arp) -> [1]e;",
		 args);
	fixture_now_ns = NS_PER_S;
	load(text);
}

/* Whoever scans a network costs a bounded number of entries and packets. */
static void arp_tables_are_bounded(void **state)
{
	load_querier("");
	for (uint32_t n = 2; n < 20002; n++)
		send_to(n);
	assert_int_equal(fixture_read(&fixture, "e.queries"), 20000);
	assert_int_equal(fixture_read(&fixture, "e.count"), 1024);
	assert_int_equal(fixture_read(&fixture, "e.length"), 1024);
	assert_int_equal(fixture_read(&fixture, "e.drops"), 20000 - 1024);
	/* What nobody answered is forgotten. */
	fixture_run_at(&fixture, 600 * NS_PER_S);
	assert_int_equal(fixture_read(&fixture, "e.count"), 0);
	assert_int_equal(fixture_read(&fixture, "e.length"), 0);
	fixture_fini(&fixture);

	load_querier(", ENTRY_CAPACITY 3, ENTRY_PACKET_CAPACITY 2");
	for (uint32_t i = 0; i < 20; i++)
		send_to(2 + i % 4);
	assert_int_equal(fixture_read(&fixture, "e.count"), 3);
	for (uint32_t i = 0; i < 5; i++)
		send_to(9);
	assert_int_equal(fixture_read(&fixture, "e.length"), 4);
	fixture_fini(&fixture);
}

/* Ten a second at most, and after ten in vain one each two seconds. */
static void arp_queries_are_few(void **state)
{
	load_querier("");
	for (unsigned ms = 0; ms < 1000; ms += 10) {
		fixture_run_at(&fixture, NS_PER_S + ms * 1000000ull);
		send_to(7);
	}
	assert_int_equal(fixture_read(&fixture, "e.queries"), 10);
	for (unsigned ms = 1000; ms < 11000; ms += 10) {
		fixture_run_at(&fixture, NS_PER_S + ms * 1000000ull);
		send_to(7);
	}
	assert_in_range(fixture_read(&fixture, "e.queries"), 14, 16);
	fixture_fini(&fixture);
}

static void arp_tables_are_written(void **state)
{
	load_querier("");
	send_to(7);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].len, 42);
	assert_reads("e.table", "10.0.0.7 0 FF-FF-FF-FF-FF-FF 0.000000\n");
	/* Who waited is sent. */
	assert_int_equal(write_to("e.insert", "10.0.0.7 2:0:0:0:0:7"), 0);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(fixture.sent[1].len, 34);
	fixture_run_at(&fixture, fixture_now_ns + 2003000999);
	assert_reads("e.table", "10.0.0.7 1 02-00-00-00-00-07 2.003000\n");
	assert_int_equal(write_to("e.insert", "10.0.0.7"), -1);
	assert_int_equal(write_to("e.delete", "10.0.0"), -1);
	assert_int_equal(write_to("e.delete", "10.0.0.7"), 0);
	assert_reads("e.table", "");
	assert_int_equal(write_to("e.insert", "10.0.0.8 2:0:0:0:0:8"), 0);
	assert_int_equal(write_to("e.clear", ""), 0);
	assert_reads("e.count", "0");
	assert_reads("e.queries", "0");
	assert_reads("e.broadcast", "255.255.255.255");
	assert_int_equal(write_to("e.broadcast", "10.0.0.255"), 0);
	assert_int_equal(write_to("e.broadcast", "10.0.0"), -1);
	assert_reads("e.broadcast", "10.0.0.255");
	assert_reads("e.ipaddr", "10.0.0.1");
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_read_and_write), cmocka_unit_test(checks_count),
		cmocka_unit_test(arp_responders_change),   cmocka_unit_test(arp_tables_are_bounded),
		cmocka_unit_test(arp_queries_are_few),	   cmocka_unit_test(arp_tables_are_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
