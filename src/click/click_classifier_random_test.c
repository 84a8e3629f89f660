/*
 * Random patterns of Classifier over random packets, also short ones, beside what the documentation
 * says of them.
 *
 * click_classifier_random_test [SEED ROUNDS]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_elements_fixture.h"

#define PACKETS	 32u
#define PATTERNS 3u
#define BYTES	 12u

static unsigned seed = 1, rounds = 3000;
static uint8_t packets[PACKETS][BYTES];
static size_t lens[PACKETS];

static unsigned below(unsigned limit)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16 & 0x7fff) % limit;
}

/* One of few bytes, so that patterns match. */
static uint8_t some_byte(void)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x08, 0x80};
	return bytes[below(4)];
}

/* "[!]OFFSET/VALUE[%MASK]"; the packets that match. */
static uint32_t write_clause(char **to)
{
	bool is_negated = below(3) == 0, has_mask = below(3) == 0;
	unsigned offset = below(BYTES), count = 1 + below(below(3) ? 2 : 6);
	uint8_t value[BYTES], mask[BYTES];
	char values[32] = "", masks[32] = "";
	for (unsigned i = 0; i < count; i++) {
		value[i] = some_byte();
		mask[i] = 0xff;
		sprintf(values + 2 * i, below(2) ? "%02x" : "%02X", value[i]);
		if (below(4) == 0) {
			unsigned low = below(2);
			values[2 * i + low] = '?';
			mask[i] = low ? 0xf0 : 0x0f;
		}
		static const uint8_t some_masks[] = {0xff, 0x0f, 0x80, 0x00, 0x09};
		uint8_t byte = some_masks[below(5)];
		sprintf(masks + 2 * i, "%02x", byte);
		if ((byte & 0x0f) == 0 && below(2))
			masks[2 * i + 1] = '?';
		if (has_mask)
			mask[i] &= byte;
	}
	*to += sprintf(*to, "%s%s%u/%s%s%s", is_negated ? "!" : "",
		       is_negated && below(2) ? " " : "", offset, values, has_mask ? "%" : "",
		       has_mask ? masks : "");
	uint32_t matches = 0;
	for (unsigned packet = 0; packet < PACKETS; packet++) {
		bool is_true = true;
		for (unsigned i = 0; i < count; i++)
			if (mask[i])
				is_true = is_true && offset + i < lens[packet] &&
					  ((packets[packet][offset + i] ^ value[i]) & mask[i]) == 0;
		if (is_true != is_negated)
			matches |= 1u << packet;
	}
	return matches;
}

static void programs_do_what_patterns_say(void **state)
{
	static const char *const devices[] = {"a", "b", "c", "d"};
	struct fixture fixture;
	for (unsigned round = 0; round < rounds; round++) {
		char text[2048], *to = text;
		uint32_t matches[PATTERNS + 1] = {[PATTERNS] = UINT32_MAX};
		for (unsigned i = 0; i < PACKETS; i++) {
			lens[i] = below(3) ? BYTES : below(BYTES);
			for (unsigned j = 0; j < BYTES; j++)
				packets[i][j] = some_byte();
		}
		to += sprintf(to, "FromDevice(in) -> f :: Classifier(");
		for (unsigned i = 0; i < PATTERNS; i++) {
			matches[i] = UINT32_MAX;
			for (unsigned clauses = 1 + below(4); clauses > 0; clauses--) {
				matches[i] &= write_clause(&to);
				*to++ = ' ';
			}
			*to++ = ',';
		}
		to += sprintf(to, "-);");
		for (unsigned i = 0; i <= PATTERNS; i++)
			to += sprintf(to, "f[%u] -> ToDevice(%s);", i, devices[i]);
		if (fixture_load(&fixture, text) < 0)
			fail_msg("%s: %s", text, fixture.errors);
		for (unsigned packet = 0; packet < PACKETS; packet++) {
			unsigned expected = 0;
			while (!(matches[expected] & 1u << packet))
				expected++;
			fixture_receive(&fixture, "in", packets[packet], lens[packet]);
			assert_int_equal(fixture.sent_count, 1);
			if (fixture.sent[0].device != fixture_device(&fixture, devices[expected]))
				fail_msg("round %u: packet %u of %zu bytes is not in %s: %s", round,
					 packet, lens[packet], devices[expected], text);
		}
		fixture_fini(&fixture);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		seed = (unsigned)strtoul(argv[1], NULL, 10);
		rounds = (unsigned)strtoul(argv[2], NULL, 10);
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(programs_do_what_patterns_say)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
