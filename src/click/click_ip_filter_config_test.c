/*
 * What configurations of IPFilter mean: names, which other elements give; and what they cost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_elements_fixture.h"

/* A name may be an address, a network and a MAC address: what is asked for decides, then what comes
 * first in this sentence. */
static void names_are_addresses(void **state)
{
	static const struct {
		const char *pattern, *same;
	} rows[] = {
		{"src all", "src host 10.0.0.1"},
		{"src net all", "src net 10.0.0.0/8"},
		{"src all:ip", "src host 10.0.0.1"},
		{"src all:ipnet", "src net 10.0.0.0/8"},
		{"src ether host all", "src ether host 0:1:2:3:4:5"},
		{"src all:eth", "src ether host 0:1:2:3:4:5"},
		{"src network", "src net 10.1.0.0/16"},
		{"src mac", "src ether host 9:9:9:9:9:9"},
		{"src mac or all", "src ether host 9:9:9:9:9:9 or src ether host 0:1:2:3:4:5"},
		{"src mac or 10.0.0.1", "src ether host 9:9:9:9:9:9 or src host 10.0.0.1"},
		{"port game", "port 3000"},
		{"udp dst port game", "udp dst port 3000"},
		{"dst http or web", "dst port 8080 or 8080"},
		{"tcp port two", "tcp port 10"},
		{"udp port two or one", "udp port 20 or udp port 9"},
		{"tcp portrange two-game", "tcp portrange 10-3000"},
		{"src host www", "src host 10.7.7.7"},
		{"src www", "src port 80"},
		{"host & mask = all", "host & 255.255.0.0 = 10.0.0.1"},
		{"ether host & ff:ff:ff:ff:0:0 = 1:2:3:4:5:6",
		 "ether host & ff:ff:ff:ff:0:0 = 1:2:3:4:0:0"},
	};
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[512], programs[2][512];
		for (unsigned j = 0; j < 2; j++) {
			struct fixture fixture;
			snprintf(text, sizeof(text),
				 "AddressInfo(all 10.0.0.1 10.0.0.0/8 0:1:2:3:4:5, "
				 "network 10.1.0.0/16, mac 9:9:9:9:9:9, mask 255.255.0.0,"
				 "www 10.7.7.7);"
				 "PortInfo(game 3000, http 8080/tcp web # comment, http 8080/udp,"
				 "two 10/tcp, two 20/udp one, one 9);"
				 "FromDevice(in) -> f :: IPFilter(allow %s) -> ToDevice(out);",
				 j ? rows[i].same : rows[i].pattern);
			if (fixture_load(&fixture, text) < 0)
				fail_msg("%s: %s", text, fixture.errors);
			uint32_t len = click_router_read(fixture.router, "f.program", programs[j],
							 sizeof(programs[j]));
			assert_in_range(len, 1, sizeof(programs[j]) - 1);
			programs[j][len] = '\0';
			fixture_fini(&fixture);
		}
		assert_string_equal(programs[0], programs[1]);
	}
}

/* What is only needed to read patterns is given back: else these would take 100 MB. */
static void many_long_patterns_fit(void **state)
{
	static char text[768u << 10];
	struct fixture fixture;
	char *to = text + sprintf(text, "FromDevice(in)");
	for (unsigned i = 0; i < 200; i++) {
		to += sprintf(to, " -> IPFilter(allow dst port 79");
		for (unsigned j = 0; j < 250; j++)
			to += sprintf(to, " or %u", 10000 + j);
		to += sprintf(to, ") -> Classifier(");
		for (unsigned j = 0; j < 60; j++)
			to += sprintf(to, "%u/00 ", j);
		to += sprintf(to, ")");
	}
	sprintf(to, " -> ToDevice(out);");
	if (fixture_load(&fixture, text) < 0)
		fail_msg("%s", fixture.errors);
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_addresses),
		cmocka_unit_test(many_long_patterns_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
