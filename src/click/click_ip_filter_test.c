/*
 * The language of IPFilter, IPClassifier and Classifier: expressions, packets, and which match.
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

/* --- packets --- */

static void put_address(uint8_t *at, unsigned a, unsigned b, unsigned c, unsigned d)
{
	at[0] = (uint8_t)a;
	at[1] = (uint8_t)b;
	at[2] = (uint8_t)c;
	at[3] = (uint8_t)d;
}

/* An IP header from 10.0.0.1 to 192.168.1.2 with ttl 64, id 0x1234 and OPTIONS bytes of options. */
static size_t put_ip(uint8_t *out, unsigned protocol, unsigned fragment, unsigned options,
		     size_t payload)
{
	memset(out, 0, 128);
	size_t header = 20 + options;
	out[0] = (uint8_t)(0x40 | header / 4);
	click_put_u16(out + 2, (uint32_t)(header + payload));
	click_put_u16(out + 4, 0x1234);
	click_put_u16(out + 6, fragment);
	out[8] = 64;
	out[9] = (uint8_t)protocol;
	put_address(out + 12, 10, 0, 0, 1);
	put_address(out + 16, 192, 168, 1, 2);
	memset(out + 20, 1, options);
	return header;
}

/* The packets of the table. */
enum { TCP, TCP_OPTIONS, UDP, ICMP, FRAGMENT, FIRST, SHORT, NOTHING, TOS, PACKETS };

static uint8_t packets[PACKETS][128];
static size_t lens[PACKETS];

static void make_tcp(unsigned index, unsigned fragment, unsigned options)
{
	uint8_t *out = packets[index];
	size_t at = put_ip(out, 6, fragment, options, 20);
	click_put_u16(out + at, 1024);
	click_put_u16(out + at + 2, 80);
	out[at + 12] = 0x50;
	out[at + 13] = 0x12; /* SYN, ACK */
	click_put_u16(out + at + 14, 4096);
	lens[index] = at + 20;
}

static int make_packets(void **state)
{
	make_tcp(TCP, 0x4000, 0);
	make_tcp(TCP_OPTIONS, 0, 8);
	make_tcp(FRAGMENT, 0x2003, 0);
	make_tcp(FIRST, 0x2000, 0);
	make_tcp(SHORT, 0, 0);
	lens[SHORT] = 22; /* a source port, and no more */
	lens[NOTHING] = 0;
	size_t at = put_ip(packets[UDP], 17, 0, 0, 12);
	click_put_u16(packets[UDP] + at, 53);
	click_put_u16(packets[UDP] + at + 2, 5353);
	lens[UDP] = at + 12;
	at = put_ip(packets[ICMP], 1, 0, 0, 8);
	packets[ICMP][at] = 8;
	lens[ICMP] = at + 8;
	at = put_ip(packets[TOS], 50, 0, 0, 0);
	packets[TOS][1] = 0xb9; /* DSCP 46, ECT(1) */
	lens[TOS] = at;
	return 0;
}

/* --- the table: which packets match --- */

#define M(packet) (1u << (packet))
#define ALL	  (M(PACKETS) - 1)
#define IP_ALL	  (ALL & ~M(NOTHING))
#define TCP_ALL	  (M(TCP) | M(TCP_OPTIONS) | M(FRAGMENT) | M(FIRST) | M(SHORT))
/* With a port of TCP, and with the whole header. */
#define TCP_SRC	 (M(TCP) | M(TCP_OPTIONS) | M(FIRST) | M(SHORT))
#define TCP_FULL (M(TCP) | M(TCP_OPTIONS) | M(FIRST))

static const struct {
	const char *pattern;
	unsigned matches;
} patterns[] = {
	{"-", ALL},
	{"any", ALL},
	{"all", ALL},
	{"none", 0},
	{"true", ALL},
	{"false", 0},
	{"not false", ALL},
	/* protocols */
	{"tcp", TCP_ALL},
	{"ip proto tcp", TCP_ALL},
	{"ip proto 6", TCP_ALL},
	{"proto 6", TCP_ALL},
	{"ip proto 0x11", M(UDP)},
	{"udp", M(UDP)},
	{"icmp", M(ICMP)},
	{"ip proto != tcp", IP_ALL & ~TCP_ALL},
	{"ip proto > 17", M(TOS)},
	{"ip proto & 0xf0 = 0x10", M(UDP)},
	{"tcp or udp", TCP_ALL | M(UDP)},
	{"tcp && udp", 0},
	{"!tcp", ALL & ~TCP_ALL},
	{"not tcp and not udp", ALL & ~TCP_ALL & ~M(UDP)},
	{"not (tcp or udp)", ALL & ~TCP_ALL & ~M(UDP)},
	/* addresses */
	{"src host 10.0.0.1", IP_ALL},
	{"dst host 10.0.0.1", 0},
	{"host 10.0.0.1", IP_ALL},
	{"host 192.168.1.2", IP_ALL},
	{"10.0.0.1", IP_ALL},
	{"src and dst host 10.0.0.1", 0},
	{"src or dst host 10.0.0.1", IP_ALL},
	{"src host != 10.0.0.1", 0},
	{"src host != 10.0.0.2", IP_ALL},
	{"host == 10.0.0.9", 0},
	{"src net 10.0.0.0/8", IP_ALL},
	{"src 10.0.0.0/8", IP_ALL},
	{"dst net 192.168.0.0 mask 255.255.0.0", IP_ALL},
	{"192.168.0.0/16", IP_ALL},
	{"dst net 192.168.0.0/24", 0},
	{"src net 10.0.0.99/24", IP_ALL},
	{"src host 10.0.0.2 or 10.0.0.1", IP_ALL},
	{"src host & 0xff000000 = 10.0.0.0", IP_ALL},
	{"src host & 255.0.0.0 == 10.9.9.9", IP_ALL},
	{"src host & 255.0.0.255 != 10.0.0.1", 0},
	{"src 10.0.0.1 & 8.0.0.0 = 8.0.0.0", IP_ALL},
	{"net & 255.0.0.0 = 10.9.9.9/24", IP_ALL},
	/* ports */
	{"src port 1024", TCP_SRC},
	{"dst port 80", TCP_FULL},
	{"port 80", TCP_FULL},
	{"port www", TCP_FULL},
	{"www", TCP_FULL},
	{"port 53", M(UDP)},
	{"dns", M(UDP)},
	{"src tcp port 1024", TCP_SRC},
	{"tcp src port 1024", TCP_SRC},
	{"src udp port 1024", 0},
	{"udp port 53", M(UDP)},
	{"udp port domain", M(UDP)},
	{"udp port https", 0},
	{"tcp port ntp", 0},
	{"dccp port 1024", 0},
	{"tcp port 53", 0},
	{"dst port 79 or 80", TCP_FULL},
	{"dst port 79 or 81 or 5353", M(UDP)},
	{"src port > 1023", TCP_SRC},
	{"src port >= 1024", TCP_SRC},
	{"src port > 1024", 0},
	{"src port < 1024", M(UDP)},
	{"src port <= 1024", TCP_SRC | M(UDP)},
	{"src port < 0", 0},
	{"src port >= 0", TCP_SRC | M(UDP)},
	{"src port > 65535", 0},
	{"src port <= 70000", TCP_SRC | M(UDP)},
	/* What is not there is neither equal to anything nor different, less or greater. */
	{"dst port != 80", M(UDP)},
	{"dst port < 80", 0},
	{"dst port <= 80", TCP_FULL},
	{"dst portrange != 79-81", M(UDP)},
	{"port != 80", M(UDP)},
	{"src and dst port != 80", TCP_SRC | M(UDP)},
	{"not dst port 80", ALL & ~TCP_FULL},
	{"src tcp port != 5", TCP_SRC | M(SHORT)},
	{"!(src tcp port == 5)", ALL},
	{"src tcp port & 0x400 == 1024", TCP_SRC},
	{"src tcp port & 1024", TCP_SRC},
	{"src tcp port & 512", 0},
	{"src portrange 1000-1100", TCP_SRC},
	{"portrange 50-55", M(UDP)},
	{"tcp portrange 50-55", 0},
	{"dst portrange www-https", TCP_FULL},
	/* the header's fields */
	{"ip vers 4", IP_ALL},
	{"ip vers != 4", 0},
	{"ip hl 5", IP_ALL & ~M(TCP_OPTIONS)},
	{"ip hl > 5", M(TCP_OPTIONS)},
	{"hl 7", M(TCP_OPTIONS)},
	{"ip id 0x1234", IP_ALL},
	{"ip id 4660", IP_ALL},
	{"ip tos 0xb9", M(TOS)},
	{"ip dscp 46", M(TOS)},
	{"ip dscp > 45", M(TOS)},
	{"ip dscp < 46", IP_ALL & ~M(TOS)},
	{"ip ect", M(TOS)},
	{"ip ect 1", M(TOS)},
	{"ip ect 2", 0},
	{"ip ce", 0},
	{"ip ttl 64", IP_ALL},
	{"ip ttl < 64", 0},
	{"not ip ttl >= 64", M(NOTHING)},
	{"ip ttl > 63", IP_ALL},
	{"ip len 32", M(UDP)},
	{"ip len > 40", M(TCP_OPTIONS)},
	{"ip frag", M(FRAGMENT) | M(FIRST)},
	{"frag", M(FRAGMENT) | M(FIRST)},
	{"ip unfrag", IP_ALL & ~M(FRAGMENT) & ~M(FIRST)},
	{"unfrag and tcp", M(TCP) | M(TCP_OPTIONS) | M(SHORT)},
	{"frag tcp", M(FRAGMENT) | M(FIRST)},
	{"ip[0] 0x45", IP_ALL & ~M(TCP_OPTIONS)},
	{"ip[0:2] & 0xff = 0", IP_ALL & ~M(TOS)},
	{"ip[0:2]&0xff=0xb9", M(TOS)},
	{"ip[12:4] = 0x0a000001", IP_ALL},
	{"\"ip[12,15] = 0x0a000001\"", IP_ALL},
	{"ip[ 9 : 1 ] == 17", M(UDP)},
	{"ip[8] & 0x40", IP_ALL},
	{"ip[8] & 0x40 != 0", IP_ALL},
	/* The mask is of the value, too. */
	{"ip[8] & 0x40 = 0xff", IP_ALL},
	{"ip[8] & 0xf > 0", 0},
	{"ip[2:2] >= 40", TCP_ALL},
	{"transp[0:2] 1024", TCP_SRC},
	{"transp[0:2] 53", M(UDP)},
	{"tcp[13] & 2 = 2", TCP_FULL},
	{"tcp[0:2] 53", 0},
	{"udp[2:2] 5353", M(UDP)},
	{"icmp[0] 8", M(ICMP)},
	/* TCP and ICMP */
	{"tcp opt syn", TCP_FULL},
	{"syn", TCP_FULL},
	{"syn ack", TCP_FULL},
	{"syn and not ack", 0},
	{"fin", 0},
	{"tcp opt 0x12", TCP_FULL},
	{"rst or psh or urg or ack", TCP_FULL},
	{"tcp win 4096", TCP_FULL},
	{"tcp win > 4096", 0},
	{"win <= 4096", TCP_FULL},
	{"tcp[13]&2 != 0 or tcp[13]&2 = 0", TCP_FULL},
	{"tcp[13]&2 != 0 or not tcp[13]&2 != 0", ALL},
	{"icmp type 8", M(ICMP)},
	{"icmp type echo", M(ICMP)},
	{"icmp echo", M(ICMP)},
	{"icmp type echo-reply or echo", M(ICMP)},
	{"icmp type != 8", 0},
	{"icmp type != 3", M(ICMP)},
	{"unreachable", 0},
	/* connectives */
	{"tcp and dst port 80 or udp", TCP_FULL | M(UDP)},
	{"tcp && (dst port 79 || src port 1024)", TCP_SRC},
	{"!(!(tcp))", TCP_ALL},
	{"! ! tcp", TCP_ALL},
	{"tcp ? src port 1024 : icmp", TCP_SRC | M(ICMP)},
	{"udp ? true : icmp ? true : false", M(UDP) | M(ICMP)},
	{"src 10.0.0.1 and dst 192.168.1.2 and (tcp or udp) and port 53", M(UDP)},
	{"src host 10.0.0.1 tcp dst port 80", TCP_FULL},
	{"tcp dst port 80 syn", TCP_FULL},
	{"((((tcp))))", TCP_ALL},
};

static struct fixture fixture;

/* Which packets go to the device "yes". */
static unsigned run_all(void)
{
	unsigned matches = 0;
	for (unsigned i = 0; i < PACKETS; i++) {
		fixture_receive(&fixture, "in", packets[i], lens[i]);
		assert_int_equal(fixture.sent_count, 1);
		if (fixture.sent[0].device == fixture_device(&fixture, "yes"))
			matches |= M(i);
	}
	return matches;
}

static int load(const char *format, const char *pattern)
{
	char text[4096];
	snprintf(text, sizeof(text), format, pattern);
	return fixture_load(&fixture, text);
}

static const char one[] = "FromDevice(in) -> MarkIPHeader(0) -> f :: IPClassifier(%s, -);"
			  "f[0] -> ToDevice(yes); f[1] -> ToDevice(no);";

static void patterns_match(void **state)
{
	unsigned wrong = 0;
	for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		bool is_loaded = load(one, patterns[i].pattern) == 0;
		unsigned matches = is_loaded ? run_all() : 0;
		if (!is_loaded || matches != patterns[i].matches) {
			print_error("'%s' matches 0x%x, not 0x%x %s\n", patterns[i].pattern,
				    matches, patterns[i].matches, fixture.errors);
			wrong++;
		}
		fixture_fini(&fixture);
	}
	assert_int_equal(wrong, 0);
}

/* Each with its opposite goes the other way: what a program leaves out must not change it. The
 * first four are no expressions but whole patterns. */
static void opposites_do_not_match(void **state)
{
	unsigned wrong = 0;
	for (unsigned i = 4; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), "!(%s)", patterns[i].pattern);
		bool is_loaded = load(one, text) == 0;
		unsigned matches = is_loaded ? run_all() : 0;
		if (!is_loaded || matches != (ALL & ~patterns[i].matches)) {
			print_error("'%s' matches 0x%x %s\n", text, matches, fixture.errors);
			wrong++;
		}
		fixture_fini(&fixture);
	}
	assert_int_equal(wrong, 0);
}

static const char *const wrong_patterns[] = {
	"",
	"tcp and",
	"or tcp",
	"(tcp",
	"tcp)",
	"not",
	"port",
	"host",
	"src",
	"5",
	"ip ttl",
	"ip ttl 256",
	"port 65536",
	"host 10.0.0",
	"net 10.0.0.0/33",
	"ip hl 16",
	"ip proto 256",
	"tcp udp",
	"icmp port 5",
	"echo",
	"tcp echo-reply",
	"tcp port nonsense",
	"ip ether host 0:1:2:3:4:5",
	"ether net 10.0.0.0/8",
	"ether host 10.0.0.1",
	"ether tcp",
	"ip host 0:1:2:3:4:5",
	"net 0:1:2:3:4:5",
	"host & 0:1:2:3:4:5 = 10.0.0.1",
	"ether host & 255.0.0.0 = 0:1:2:3:4:5",
	"host & 0.0.0.0 = 10.0.0.1",
	"ip ttl & 1.0.0.0 = 1",
	"tcp opt 256",
	"udp syn",
	"ip[0:5] 1",
	"ip[0:0] 1",
	"ip[x] 1",
	"ip[0:2 1",
	"ip tos & 0 = 0",
	"ip tos & 0x100 = 0",
	"host > 10.0.0.1",
	"port >",
	"nonsense",
	"tcp ? udp",
	"tcp ? udp icmp",
	"frag 5",
	"src ttl 5",
	"src src port 5",
	"portrange 5",
	"portrange 9-5",
	"portrange 1-65536",
	"ip ce 3",
	"port 80 host",
	"tcp win",
	"tcp : udp",
	"10.0.0.1 mask",
	"ip ttl ttl 5",
	"& 5",
	"tcp & 1 = 1 2 port ",
	"99999999999999999999",
};

static void wrong_patterns_are_told(void **state)
{
	unsigned missed = 0;
	for (unsigned i = 0; i < sizeof(wrong_patterns) / sizeof(wrong_patterns[0]); i++) {
		bool is_loaded = load(one, wrong_patterns[i]) == 0;
		if (is_loaded || fixture.errors[0] == '\0') {
			print_error("'%s' is no mistake\n", wrong_patterns[i]);
			missed++;
		}
		fixture_fini(&fixture);
	}
	assert_int_equal(missed, 0);
}

/* Depth is limited, length is not: neither may end in a crash. */
static void long_patterns_are_bounded(void **state)
{
	static char text[40000];
	size_t len = 0;
	for (unsigned i = 0; i < 31; i++)
		len += (size_t)sprintf(text + len, "(");
	len += (size_t)sprintf(text + len, "tcp");
	for (unsigned i = 0; i < 31; i++)
		len += (size_t)sprintf(text + len, ")");
	assert_int_equal(load(one, text), 0);
	assert_int_equal(run_all(), TCP_ALL);
	fixture_fini(&fixture);

	memset(text, '(', 3000);
	text[3000] = '\0';
	assert_int_equal(load(one, text), -1);
	fixture_fini(&fixture);

	char *config = malloc(sizeof(text) + 200);
	assert_non_null(config);
	len = (size_t)sprintf(text, "dst port 79");
	for (unsigned i = 0; i < 3000; i++)
		len += (size_t)sprintf(text + len, " or %u", 10000 + i % 1000);
	sprintf(text + len, " or 80");
	sprintf(config, one, text);
	assert_int_equal(fixture_load(&fixture, config), 0);
	assert_int_equal(run_all(), TCP_FULL);
	fixture_fini(&fixture);
	free(config);
}

static void filters_act(void **state)
{
	static const char config[] =
		"FromDevice(in) -> MarkIPHeader(0) -> f :: IPFilter(deny src port 53, "
		"1 tcp && dst port 80, drop icmp, allow 10.0.0.0/8 && ip proto 50);"
		"f[0] -> ToDevice(zero); f[1] -> ToDevice(one);";
	static const char *const expected[PACKETS] = {
		[TCP] = "one", [TCP_OPTIONS] = "one", [FIRST] = "one", [TOS] = "zero"};
	assert_int_equal(fixture_load(&fixture, config), 0);
	for (unsigned i = 0; i < PACKETS; i++) {
		fixture_receive(&fixture, "in", packets[i], lens[i]);
		assert_int_equal(fixture.sent_count, expected[i] != NULL);
		if (expected[i])
			assert_int_equal(fixture.sent[0].device,
					 fixture_device(&fixture, expected[i]));
	}
	fixture_fini(&fixture);
	assert_int_equal(load("FromDevice(in) -> IPFilter(%s) -> ToDevice(yes);", "1 tcp"), -1);
	fixture_fini(&fixture);
	assert_int_equal(load("FromDevice(in) -> IPFilter(%s) -> ToDevice(yes);", "permit tcp"),
			 -1);
	fixture_fini(&fixture);
}

/* The first pattern that matches gets a packet, whatever steps the patterns of a program share. */
static void the_first_match_wins(void **state)
{
	static const char *const devices[] = {"a", "b", "c", "d", "e"};
	const unsigned count = sizeof(patterns) / sizeof(patterns[0]);
	srand(7);
	for (unsigned round = 0; round < 400; round++) {
		char text[2048];
		unsigned chosen[4];
		int len = sprintf(text, "FromDevice(in) -> MarkIPHeader(0) -> f :: IPClassifier(");
		for (unsigned i = 0; i < 4; i++) {
			chosen[i] = (unsigned)rand() % count;
			len += sprintf(text + len, "%s, ", patterns[chosen[i]].pattern);
		}
		len += sprintf(text + len, "-);");
		for (unsigned i = 0; i < 5; i++)
			len += sprintf(text + len, "f[%u] -> ToDevice(%s);", i, devices[i]);
		if (fixture_load(&fixture, text) < 0)
			fail_msg("%s: %s", text, fixture.errors);
		for (unsigned packet = 0; packet < PACKETS; packet++) {
			unsigned expected = 0;
			while (expected < 4 && !(patterns[chosen[expected]].matches & M(packet)))
				expected++;
			fixture_receive(&fixture, "in", packets[packet], lens[packet]);
			assert_int_equal(fixture.sent_count, 1);
			if (fixture.sent[0].device != fixture_device(&fixture, devices[expected]))
				fail_msg("%s: packet %u is not in %s", text, packet,
					 devices[expected]);
		}
		fixture_fini(&fixture);
	}
}

/* Packets without a mark have no header to test. */
static void unmarked_packets_match_nothing(void **state)
{
	assert_int_equal(fixture_load(&fixture, "FromDevice(in) -> f :: IPClassifier(tcp, -);"
						"f[0] -> ToDevice(yes); f[1] -> ToDevice(no);"),
			 0);
	assert_int_equal(run_all(), 0);
	fixture_fini(&fixture);
}

/* --- Classifier --- */

static void classifiers_match(void **state)
{
	static const struct {
		const char *pattern;
		unsigned matches;
	} rows[] = {
		{"9/06", TCP_ALL},
		{"9/11", M(UDP)},
		{"!9/11", ALL & ~M(UDP)},
		{"9/0?", TCP_ALL | M(ICMP)},
		{"9/?1", M(UDP) | M(ICMP)},
		{"9/01%0f", M(UDP) | M(ICMP)},
		{"9/01%?f", M(UDP) | M(ICMP)},
		{"! 9/11", ALL & ~M(UDP)},
		{"12/0a000001c0a80102", IP_ALL},
		{"12/0A0000FFC0A80102%ffffff00ffffffff", IP_ALL},
		{"12/0A000000C0A80102%ffffff00ffffffff", IP_ALL},
		{"9/06 22/0050", M(TCP) | M(FRAGMENT) | M(FIRST)},
		{"9/06 !22/0050", M(TCP_OPTIONS) | M(SHORT)},
		{"20/0400", TCP_SRC & ~M(TCP_OPTIONS)},
		/* Bytes that do not matter need not be there. */
		{"20/0400????", (TCP_SRC | M(FRAGMENT)) & ~M(TCP_OPTIONS)},
		{"!20/0400????", ALL & ~((TCP_SRC | M(FRAGMENT)) & ~M(TCP_OPTIONS))},
		{"9/06%00", ALL},
		{"-", ALL},
		{"9/06 9/11", 0},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned expected = rows[i].matches;
		if (strcmp(rows[i].pattern, "20/0400") == 0)
			expected |= M(FRAGMENT);
		if (load("FromDevice(in) -> f :: Classifier(%s, -);"
			 "f[0] -> ToDevice(yes); f[1] -> ToDevice(no);",
			 rows[i].pattern) < 0)
			fail_msg("'%s': %s", rows[i].pattern, fixture.errors);
		unsigned matches = run_all();
		if (matches != expected)
			fail_msg("'%s' matches 0x%x, not 0x%x", rows[i].pattern, matches, expected);
		fixture_fini(&fixture);
	}
	static const char *const wrong[] = {"9",	"9/",	   "9/0",     "9/06%f", "9/06%fff",
					    "9/0g",	"x/06",	   "9/06 x",  "!",	"",
					    "99999/06", "9/06%g0", "9/06,9/7"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		if (load("FromDevice(in) -> f :: Classifier(%s, -);"
			 "f[0] -> ToDevice(yes); f[1] -> ToDevice(no);",
			 wrong[i]) == 0)
			fail_msg("'%s' is no mistake", wrong[i]);
		fixture_fini(&fixture);
	}
}

/* The same program as a table of decisions: each packet, by each order of three patterns. */
static void programs_share_steps(void **state)
{
	char text[1024];
	assert_int_equal(
		fixture_load(&fixture,
			     "FromDevice(in) -> MarkIPHeader(0) -> f :: IPClassifier("
			     "tcp dst port 80, tcp dst port 81, tcp dst port 82, tcp, udp, -);"
			     "f[0] -> ToDevice(a); f[1] -> ToDevice(b); f[2] -> ToDevice(c);"
			     "f[3] -> ToDevice(d); f[4] -> ToDevice(e); f[5] -> ToDevice(f);"),
		0);
	static const char *const expected[PACKETS] = {"a", "a", "e", "f", "d", "a", "d", "f", "f"};
	for (unsigned i = 0; i < PACKETS; i++) {
		fixture_receive(&fixture, "in", packets[i], lens[i]);
		assert_int_equal(fixture.sent_count, 1);
		assert_int_equal(fixture.sent[0].device, fixture_device(&fixture, expected[i]));
	}
	/* Of a packet to port 82 the protocol is asked for once: 5 steps, not 9. */
	assert_true(click_router_read(fixture.router, "f.program", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "start at step"));
	assert_non_null(strstr(text, "transp+2/0050%ffff"));
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_match),
		cmocka_unit_test(opposites_do_not_match),
		cmocka_unit_test(wrong_patterns_are_told),
		cmocka_unit_test(long_patterns_are_bounded),
		cmocka_unit_test(filters_act),
		cmocka_unit_test(the_first_match_wins),
		cmocka_unit_test(unmarked_packets_match_nothing),
		cmocka_unit_test(classifiers_match),
		cmocka_unit_test(programs_share_steps),
	};
	return cmocka_run_group_tests(tests, make_packets, NULL);
}
