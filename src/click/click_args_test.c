/*
 * Arguments: how they are split and found, and each kind of value.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_fixture_test.h"

/* What the element of this test read; a test sets which arguments it reads. */
static struct {
	bool boolean;
	int32_t integer;
	uint32_t number, fraction, ip, mask, anno, text_len;
	uint64_t large, duration, bandwidth;
	uint8_t ether[6];
	uint16_t port;
	const char *string, *text;
	struct click_element *element;
	char copy[64];
} got;

static int configure(struct click_element *element, struct click_args *args)
{
	memset(&got, 0, sizeof(got));
	got.boolean = false;
	click_arg_bool(args, "BOOL", 0, &got.boolean);
	click_arg_int(args, "INT", 0, &got.integer);
	click_arg_u32(args, "U32", CLICK_POSITIONAL, &got.number);
	click_arg_u64(args, "U64", 0, &got.large);
	click_arg_fraction(args, "FRACTION", 0, 16, &got.fraction);
	click_arg_duration_ns(args, "DURATION", 0, &got.duration);
	click_arg_bandwidth(args, "BANDWIDTH", 0, &got.bandwidth);
	click_arg_ip(args, "IP", 0, &got.ip);
	click_arg_ip_prefix(args, "PREFIX", 0, &got.ip, &got.mask);
	click_arg_ether(args, "ETHER", 0, got.ether);
	click_arg_port(args, "PORT", 0, &got.port);
	click_arg_string(args, "STRING", CLICK_POSITIONAL, &got.string, &got.text_len);
	click_arg_text(args, "TEXT", 0, &got.text);
	click_arg_element(args, "ELEMENT", 0, &got.element);
	click_arg_anno(args, "ANNO", 0, 4, &got.anno);
	click_arg_anno(args, "ANNO1", 0, 1, &got.anno);
	/* The router is gone when a test looks. */
	if (got.string != NULL)
		memcpy(got.copy, got.string, got.text_len < 64 ? got.text_len : 64);
	if (got.text != NULL)
		(void)snprintf(got.copy, sizeof(got.copy), "%s", got.text);
	return click_args_end(args);
}

static int configure_mandatory(struct click_element *element, struct click_args *args)
{
	uint32_t first = 0;
	click_arg_u32(args, "FIRST", CLICK_POSITIONAL | CLICK_MANDATORY, &first);
	return click_args_end(args);
}

static const struct click_class class_T = {.name = "T",
					   .size = sizeof(struct click_element),
					   .port_count = "0/0",
					   .processing = "a",
					   .configure = configure};
static const struct click_class class_M = {.name = "M",
					   .size = sizeof(struct click_element),
					   .port_count = "0/0",
					   .processing = "a",
					   .configure = configure_mandatory};
extern const struct click_class click_class_AddressInfo, click_class_PortInfo;
static const struct click_class *const classes[] = {&class_T, &class_M, &click_class_AddressInfo,
						    &click_class_PortInfo, NULL};

static void good(const char *text)
{
	struct test_router test;
	if (!test_load(&test, text, classes))
		fail_msg("%s\n%s", text, test.errors);
	test_unload(&test);
}

static void bad(const char *text, const char *expected)
{
	struct test_router test;
	if (test_load(&test, text, classes))
		fail_msg("it could be loaded: %s", text);
	assert_string_equal(test.errors, expected);
	test_unload(&test);
}

static void test_splitting(void **state)
{
	good("t :: T(5)");
	assert_int_equal(got.number, 5);
	good("t :: T(5, \"a, (b)\",)");
	assert_int_equal(got.number, 5);
	assert_string_equal(got.copy, "a, (b)");
	good("t :: T(, x)"); /* the first stays as it is */
	assert_int_equal(got.number, 0);
	assert_string_equal(got.copy, "x");
	good("t :: T(U32 7 // seven\n, INT /* minus */ -3)");
	assert_int_equal(got.number, 7);
	assert_int_equal(got.integer, -3);
	good("t :: T(INT 1, 9)"); /* keywords stand anywhere */
	assert_int_equal(got.number, 9);
	bad("t :: T(1, x, y)", "f:1: t :: T: 'y' is one argument too many\n");
	bad("t :: T(1,\n x,\n BOLO true)",
	    "f:3: t :: T: unknown argument 'BOLO'; did you mean 'BOOL'?\n");
	bad("t :: T(1,\r x,\r\n BOLO true)",
	    "f:3: t :: T: unknown argument 'BOLO'; did you mean 'BOOL'?\n");
	good("t :: T(INT 1, INT 2)"); /* what comes first is a default */
	assert_int_equal(got.integer, 2);
	bad("m :: M", "f:1: m :: M: the argument FIRST is missing\n");
	bad("m :: M(x)\nt :: T(BOOL maybe)", "f:1: m :: M: FIRST: 'x' is not a number of 32 bits\n"
					     "f:2: t :: T: BOOL: 'maybe' is not true or false\n");
}

/* None is passed over, however many there are. */
static void test_many(void **state)
{
	char text[20000] = "t :: T(";
	memset(text + 7, ',', 10000);
	(void)strcpy(text + 10007, "1)");
	bad(text, "f:1: t :: T: '1' is one argument too many\n");
}

static void test_numbers(void **state)
{
	good("t :: T(BOOL true, INT -2147483648, U32 0xffffffff, U64 18446744073709551615)");
	assert_true(got.boolean);
	assert_int_equal(got.integer, INT32_MIN);
	assert_int_equal(got.number, UINT32_MAX);
	assert_true(got.large == UINT64_MAX);
	good("t :: T(010)");
	assert_int_equal(got.number, 8);
	static const char *const wrong[] = {"INT 2147483648",
					    "INT -2147483649",
					    "INT -",
					    "U32 4294967296",
					    "U32 -1",
					    "U32 08",
					    "U32 0x",
					    "U32 0b2",
					    "U32 1_",
					    "U32 _1",
					    "U32 1__0",
					    "INT +-1",
					    "INT -_1",
					    "U32 1x",
					    "U64 18446744073709551616",
					    "FRACTION 1.1",
					    "FRACTION 101%",
					    "FRACTION x",
					    "DURATION 5parsecs",
					    "DURATION .",
					    "DURATION 99999999999999999999",
					    "DURATION 1e",
					    "DURATION 1e30",
					    "DURATION 1e999999999999",
					    "DURATION e3",
					    "DURATION 1_s",
					    "BANDWIDTH 3miles",
					    "BANDWIDTH 3k",
					    "BANDWIDTH 99999999999Gbps",
					    "BANDWIDTH -1"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct test_router test;
		char text[100];
		(void)snprintf(text, sizeof(text), "t :: T(%s)", wrong[i]);
		if (test_load(&test, text, classes))
			fail_msg("it could be loaded: %s", text);
		assert_non_null(strstr(test.errors, "is not a"));
		test_unload(&test);
	}
	good("t :: T(FRACTION 0.25)");
	assert_int_equal(got.fraction, 16384);
	good("t :: T(FRACTION 100%)");
	assert_int_equal(got.fraction, 65536);
	good("t :: T(DURATION 1.5, BANDWIDTH 1000)");
	assert_true(got.duration == 1500000000u && got.bandwidth == 1000);
	good("t :: T(DURATION 20ms, BANDWIDTH 10Mbps)");
	assert_true(got.duration == 20000000u && got.bandwidth == 1250000);
	good("t :: T(DURATION 2 min, BANDWIDTH 384 kbps)");
	assert_true(got.duration == UINT64_C(120000000000) && got.bandwidth == 48000);
	good("t :: T(DURATION 7us, BANDWIDTH 1.5MBps)");
	assert_true(got.duration == 7000 && got.bandwidth == 1500000);
	good("t :: T(+0x1_F, INT +5, U64 0b1_01)");
	assert_true(got.number == 31 && got.integer == 5 && got.large == 5);
	good("t :: T(1_000_000, INT -0_17)");
	assert_true(got.number == 1000000 && got.integer == -15);
	good("t :: T(DURATION 3.6e6 msec, BANDWIDTH 1_000.5KB/s)");
	assert_true(got.duration == UINT64_C(3600000000000) && got.bandwidth == 1000500);
	good("t :: T(DURATION 25E-1, BANDWIDTH 8 kbaud, FRACTION 250e-3)");
	assert_true(got.duration == 2500000000u && got.bandwidth == 1000 && got.fraction == 16384);
	good("t :: T(DURATION 0e999, BANDWIDTH 4bps, FRACTION 1e-999)");
	assert_true(got.duration == 0 && got.bandwidth == 1 && got.fraction == 0);
}

static void test_addresses(void **state)
{
	good("t :: T(IP 10.1.2.3, ETHER 0:a0:c9:9C:fd:9c, PORT http)");
	assert_int_equal(got.ip, htonl(0x0a010203));
	assert_memory_equal(got.ether, "\x00\xa0\xc9\x9c\xfd\x9c", 6);
	assert_int_equal(got.port, 80);
	good("t :: T(PREFIX 10.0.0.0/9, PORT 65535)");
	assert_int_equal(got.mask, htonl(0xff800000));
	assert_int_equal(got.port, 65535);
	good("t :: T(PREFIX 10.0.0.0/255.255.0.0)");
	assert_int_equal(got.mask, htonl(0xffff0000));
	good("t :: T(PREFIX 1.2.3.4/0)");
	assert_int_equal(got.mask, 0);
	good("t :: T(PREFIX 1.2.3.4/32)");
	assert_int_equal(got.mask, UINT32_MAX);
	good("t :: T(PREFIX 18.26.4/24)");
	assert_int_equal(got.ip, htonl(0x121a0400));
	assert_int_equal(got.mask, htonl(0xffffff00));
	good("t :: T(PREFIX 18/255.0.0.0)");
	/* Bytes that count may not be left out. */
	bad("t :: T(PREFIX 18.26/24)", "f:1: t :: T: PREFIX: '18.26/24' is not an IP address or "
				       "network (10.0.0.0/8)\n");
	bad("t :: T(PREFIX 18.26/0.0.0.255)", "f:1: t :: T: PREFIX: '18.26/0.0.0.255' is not an IP "
					      "address or network (10.0.0.0/8)\n");
	good("t :: T(ETHER 00-A0-c9-9c-fd-9c)");
	assert_memory_equal(got.ether, "\x00\xa0\xc9\x9c\xfd\x9c", 6);
	bad("t :: T(IP 10.0.0.256)", "f:1: t :: T: IP: '10.0.0.256' is not an IP address\n");
	bad("t :: T(IP 10.0.0)", "f:1: t :: T: IP: '10.0.0' is not an IP address\n");
	bad("t :: T(PREFIX 10.0.0.0/33)",
	    "f:1: t :: T: PREFIX: '10.0.0.0/33' is not an IP address or network (10.0.0.0/8)\n");
	bad("t :: T(ETHER 1:2:3:4:5)",
	    "f:1: t :: T: ETHER: '1:2:3:4:5' is not an Ethernet address\n");
	bad("t :: T(PORT 65536)",
	    "f:1: t :: T: PORT: '65536' is not a port (0 to 65535) or a service's name\n");
}

static void test_names_of_addresses(void **state)
{
	static const char info[] = "AddressInfo(gw 10.0.0.1 00:11:22:33:44:55, net 10.2.0.0/16)\n";
	char text[300];
	/* Known before others are configured, wherever they stand. */
	(void)snprintf(text, sizeof(text), "t :: T(IP gw, ETHER gw:eth); %s", info);
	good(text);
	assert_int_equal(got.ip, htonl(0x0a000001));
	assert_memory_equal(got.ether, "\x00\x11\x22\x33\x44\x55", 6);
	(void)snprintf(text, sizeof(text), "%st :: T(PREFIX net:ipnet)", info);
	good(text);
	assert_int_equal(got.mask, htonl(0xffff0000));
	(void)snprintf(text, sizeof(text), "%st :: T(ETHER net)", info);
	bad(text, "f:2: t :: T: ETHER: 'net' is not an Ethernet address\n");
	good("PortInfo(game 3000/udp, web 8080); t :: T(PORT game)");
	assert_int_equal(got.port, 3000);
	good("PortInfo(two 10/tcp, two 20/udp, http 80 www # comment); t :: T(PORT www)");
	assert_int_equal(got.port, 80);
	good("PortInfo(two 20/udp, two 10/tcp); t :: T(PORT two)");
	assert_int_equal(got.port, 20);
	bad("i :: PortInfo(x # 5)", "f:1: i :: PortInfo: 'x # 5': a port is missing\n");
	bad("i :: PortInfo(x 70000)", "f:1: i :: PortInfo: '70000' is not a port\n");
	bad("i :: AddressInfo(x)", "f:1: i :: AddressInfo: 'x': an address is missing\n");
	bad("i :: AddressInfo(x 1.2.3.4.5)",
	    "f:1: i :: AddressInfo: '1.2.3.4.5' is not an address\n");
}

/* A name may be an address and a network. */
static void test_names_of_networks(void **state)
{
	static const char info[] = "AddressInfo(lan 10.1.2.9/16, net 10.2.0.0/16, h 1.2.3.4)\n";
	static const struct {
		const char *text;
		uint32_t ip, mask;
	} good_ones[] = {
		{"PREFIX lan", 0x0a010209, 0xffffffff},
		{"PREFIX lan:IPNET", 0x0a010209, 0xffff0000},
		{"PREFIX net", 0x0a020000, 0xffff0000},
		{"PREFIX net:net", 0x0a020000, 0xffff0000},
		{"PREFIX h/24", 0x01020304, 0xffffff00},
		{"PREFIX h/255.0.0.0", 0x01020304, 0xff000000},
		{"PREFIX lan:bcast/8", 0x0a01ffff, 0xff000000},
		{"IP lan", 0x0a010209, 0},
		{"IP lan:bcast", 0x0a01ffff, 0},
		{"IP net:gw", 0x0a020001, 0},
		{"IP lan:ip4", 0x0a010209, 0},
	};
	static const char *const wrong[] = {"IP net",	      "IP lan:ipnet", "IP h:gw",
					    "PREFIX h:ipnet", "PREFIX h/33",  "PREFIX net/8"};
	char text[300];
	for (size_t i = 0; i < sizeof(good_ones) / sizeof(good_ones[0]); i++) {
		(void)snprintf(text, sizeof(text), "%st :: T(%s)", info, good_ones[i].text);
		good(text);
		assert_int_equal(got.ip, htonl(good_ones[i].ip));
		assert_int_equal(got.mask, htonl(good_ones[i].mask));
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct test_router test;
		(void)snprintf(text, sizeof(text), "%st :: T(%s)", info, wrong[i]);
		if (test_load(&test, text, classes))
			fail_msg("it could be loaded: %s", text);
		assert_non_null(strstr(test.errors, "is not an IP address"));
		test_unload(&test);
	}
}

/* Names hold in their compound, and in those within it. */
static void test_scopes_of_addresses(void **state)
{
	good("AddressInfo(me 10.0.0.1)\n"
	     "elementclass C { AddressInfo(me 10.0.0.2); t :: T(IP me) } C");
	assert_int_equal(got.ip, htonl(0x0a000002));
	good("AddressInfo(me 10.0.0.2)\n"
	     "{ AddressInfo(me 10.0.0.1); }; c :: { { t :: T(IP me) } }");
	assert_int_equal(got.ip, htonl(0x0a000002));
	/* Each kind for itself. */
	good("AddressInfo(me 10.0.0.2)\n"
	     "{ AddressInfo(me 00:11:22:33:44:55); t :: T(IP me, ETHER me) }");
	assert_int_equal(got.ip, htonl(0x0a000002));
	assert_memory_equal(got.ether, "\x00\x11\x22\x33\x44\x55", 6);
	bad("{ AddressInfo(me 10.0.0.1) }\nt :: T(IP me)",
	    "f:2: t :: T: IP: 'me' is not an IP address\n");
	bad("c :: { AddressInfo(me 10.0.0.1) }; cc :: { t :: T(IP me) }",
	    "f:1: cc/t :: T: IP: 'me' is not an IP address\n");
	bad("{ PortInfo(p 80) }\nt :: T(PORT p)",
	    "f:2: t :: T: PORT: 'p' is not a port (0 to 65535) or a service's name\n");
}

static void check_string(const char *text, const char *expected, size_t len)
{
	good(text);
	assert_int_equal(got.text_len, len);
	assert_memory_equal(got.copy, expected, len);
}

static void test_strings(void **state)
{
	check_string("t :: T(1, plain)", "plain", 5);
	check_string("t :: T(1, \"a\\tb\\\"c\\\\\")", "a\tb\"c\\", 6);
	check_string("t :: T(1, 'a\\t')", "a\\t", 3);
	check_string("t :: T(1, \"\\<48 45 4c4C 00>!\")", "HELL\0!", 6);
	check_string("t :: T(1, \\<00ff>)", "\0\xff", 2);
	check_string("t :: T(1, \\<00 /* > */ ff // >\n>)", "\0\xff", 2);
	check_string("t :: T(1, \"\\<4 /* >\" */ 1>\")", "A", 1);
	/* Without quotes a backslash is one. */
	check_string("t :: T(1, a\\)", "a\\", 2);
	check_string("t :: T(1, \"a\\\\\")", "a\\", 2);
	check_string("t :: T(1, \"\\101\\x42\\0\")", "AB\0", 3);
	check_string("t :: T(1, \"a\"'b'c)", "abc", 3);
	check_string("t :: T(1, \"\")", "", 0);
	bad("t :: T(1, \\<0g>)", "f:1: t :: T: STRING: '\\<0g>' is not a string: bad '\\<…>'\n");
	bad("t :: T(1, \\<0>)", "f:1: t :: T: STRING: '\\<0>' is not a string: bad '\\<…>'\n");
	good("t :: T(TEXT a  b /* c */ // d\n  /**/e)");
	assert_string_equal(got.copy, "a  b e");
	good("t :: T(TEXT \"as (it)\" is)");
	assert_string_equal(got.copy, "\"as (it)\" is");
}

static void test_elements_and_annotations(void **state)
{
	good("a :: T; t :: T(ELEMENT a)");
	/* In the compound first, then around it. */
	good("a :: T; { a :: T; t :: T(ELEMENT a) }");
	bad("abc :: T; t :: T(ELEMENT abd)",
	    "f:1: t :: T: ELEMENT: there is no element 'abd'; did you mean 'abc'?\n");
	good("t :: T(ANNO AGGREGATE)");
	assert_int_equal(got.anno, 20);
	good("t :: T(ANNO 44)");
	assert_int_equal(got.anno, 44);
	good("t :: T(ANNO 16/4)");
	assert_int_equal(got.anno, 16);
	good("t :: T(ANNO1 PAINT)");
	assert_int_equal(got.anno, CLICK_ANNO_PAINT);
	bad("t :: T(ANNO 45)",
	    "f:1: t :: T: ANNO: an annotation of 4 bytes does not fit at '45'\n");
	bad("t :: T(ANNO 4294967295)",
	    "f:1: t :: T: ANNO: an annotation of 4 bytes does not fit at '4294967295'\n");
	bad("t :: T(ANNO 16/2)",
	    "f:1: t :: T: ANNO: an annotation of 4 bytes does not fit at '16/2'\n");
	bad("t :: T(ANNO PAINT)", "f:1: t :: T: ANNO: the annotation PAINT has 1 bytes, not 4\n");
	bad("t :: T(ANNO X)", "f:1: t :: T: ANNO: 'X' is not an annotation's name or offset\n");
}

static void test_words(void **state)
{
	struct test_router test;
	const char *words[4];
	assert_true(test_load(&test, "", classes));
	assert_int_equal(click_words(test.router, "  a \"b c\" (d e) f g", words, 4), 4);
	assert_string_equal(words[0], "a");
	assert_string_equal(words[1], "\"b c\"");
	assert_string_equal(words[2], "(d e)");
	assert_string_equal(words[3], "f");
	assert_int_equal(click_words(test.router, " ", words, 4), 0);
	test_unload(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_splitting),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names_of_addresses),
		cmocka_unit_test(test_names_of_networks),
		cmocka_unit_test(test_scopes_of_addresses),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_elements_and_annotations),
		cmocka_unit_test(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
