/*
 * What is at the edge of being a mistake, and limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memcached_fixture.h"

/* Who wants no answer gets none to mistakes either, and what stands in the place of "noreply" is
 * not looked at. */
static void test_mistakes_unanswered(void **state)
{
	begin(1 << 20);
	ASK("set a x 0 1 noreply\r\nincr a x noreply\r\ntouch a x noreply\r\n"
	    "delete a 7 noreply\r\nflush_all x noreply\r\nverbosity x noreply\r\n"
	    "set a 0 0 1 noreply\r\nx\n\nmn\r\n",
	    "MN\r\n");
	ASK("set a 0 0 2000000 noreply\r\n", "");
	begin(1 << 20);
	ASK("set a 0 0 1 anything\r\nx\r\nincr a 1 anything\r\ndelete noreply\r\n",
	    "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
	    "NOT_FOUND\r\n");
	/* But to those of meta commands. */
	ASK("ms a 1 q\r\nx\n\nmg a q !\r\n",
	    "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR invalid flag\r\n");
}

static void test_numbers(void **state)
{
	begin(1 << 20);
	ASK("set n +3 -0 02\r\n 9\r\nincr n +1\r\nget n\r\n",
	    "STORED\r\n10\r\nVALUE n 3 2\r\n10\r\nEND\r\n");
	/* Shorter ones keep their place, and what is known of the item. */
	ASK("mg n\r\nmd n I\r\nma n MD D5 v\r\nmg n v h\r\n",
	    "HD\r\nHD\r\nVA 1\r\n5\r\nVA 2 h1 X W\r\n5 \r\n");
	ASK("set n 0 0 5\r\n12 ab\r\ndecr n 1\r\n", "STORED\r\n11\r\n");
	ASK("incr n 1x\r\nincr n -1\r\nincr n 18446744073709551616\r\n",
	    "CLIENT_ERROR invalid numeric delta argument\r\n"
	    "CLIENT_ERROR invalid numeric delta argument\r\n"
	    "CLIENT_ERROR invalid numeric delta argument\r\n");
	ASK("set n 0 0 0\r\n\r\nma n C1 k Ox\r\n",
	    "STORED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
}

static void test_keys(void **state)
{
	begin(1 << 20);
	ASK("set \x01\t\x7f 0 0 1\r\nx\r\nget \x01\t\x7f\r\n",
	    "STORED\r\nVALUE \x01\t\x7f 0 1\r\nx\r\nEND\r\n");
	/* One that was given in base64 is told so, by whatever name it is asked for. */
	ASK("ms DQo= 1 b k\r\n1\r\nma DQo= b\r\nmg DQo= b k v\r\n",
	    "HD kDQo= b\r\nHD\r\nVA 1 kDQo= b\r\n2\r\n");
	assert_int_equal(strncmp(ask("me DQo= b\r\n"), "ME DQo= exp=-1 la=0 cas=", 24), 0);
	ASK("ms YQ== 1 b\r\n1\r\nmg a k\r\nset a 0 0 1\r\nx\r\nmg YQ== b k\r\n",
	    "HD\r\nHD kYQ== b\r\nSTORED\r\nHD ka\r\n");
	ASK("mg YmI= b N0 k\r\n", "HD kYmI= b W\r\n");
	/* A line ends at a zero byte. */
	talk.out_len = 0;
	talk_input(&talk, "get a\0 b\r\n", 10);
	assert_int_equal(talk.out_len, 21);
}

/* A get may have as many keys as it likes, within a mebibyte; in pieces, too. */
static void test_many_keys(void **state)
{
	uint32_t len = 600000;
	char *line = malloc(2 * len);
	assert_non_null(line);
	memset(line, ' ', 2 * len);
	begin(1 << 20);
	ask("set a 0 0 1\r\nx\r\n");
	memcpy(line, "get", 3);
	line[300000] = line[len - 4] = 'a';
	line[len - 1] = '\n';
	talk.out_len = 0;
	for (uint32_t at = 0; at < len; at += 1000)
		talk_input(&talk, line + at, 1000);
	assert_int_equal(talk.out_len, 2 * strlen("VALUE a 0 1\r\nx\r\n") + 5);
	assert_null(talk.line);
	/* With a bad key nothing is told of those before it. */
	begin(1 << 20);
	memset(line, ' ', len);
	memcpy(line, "get a", 5);
	memset(line + 100, 'k', 251);
	strcpy(line + 400, "\r\n");
	ask("set a 0 0 1\r\nx\r\n");
	ASK(line, "CLIENT_ERROR bad command line format\r\n");
	ASK("mg a h\r\n", "HD h1\r\n");
	memset(line, ' ', 2 * len);
	memcpy(line, "get", 3);
	talk.out_len = 0;
	talk_input(&talk, line, 2 * len);
	assert_true(talk.must_close);
	free(line);
}

/* Sets one of LEN bytes under the key "K"; whether it was stored. */
static bool set_sized(uint32_t flags, uint32_t len)
{
	char head[64];
	char *value = malloc(len + 3);
	assert_non_null(value);
	memset(value, 'v', len);
	strcpy(value + len, "\r\n");
	snprintf(head, sizeof(head), "set K %u 0 %u\r\n", flags, len);
	bool is_refused = strcmp(ask(head), "SERVER_ERROR object too large for cache\r\n") == 0;
	const char *end = ask(value);
	assert_string_equal(end, is_refused ? "" : "STORED\r\n");
	free(value);
	return !is_refused;
}

static void test_item_size(void **state)
{
	const uint32_t most = (1 << 20) - 60;
	begin(4 << 20);
	assert_true(set_sized(0, most));
	assert_false(set_sized(0, most + 1));
	ASK("mg K\r\n", "EN\r\n");
	assert_true(set_sized(5, most - 4));
	assert_false(set_sized(5, most - 3));
	assert_true(set_sized(0, most));
	/* What is only added to what is there leaves it. */
	ASK("append K 0 0 1\r\nx\r\n", "SERVER_ERROR out of memory storing object\r\n");
	ASK("add K 0 0 1048576\r\n", "SERVER_ERROR object too large for cache\r\n");
	begin(4 << 20);
	ASK("get K\r\n", "END\r\n");
}

static void test_cas_numbers(void **state)
{
	unsigned long long cas;
	char text[64];
	begin(1 << 20);
	ask("set a 0 0 1\r\nx\r\n");
	assert_int_equal(sscanf(ask("mg a c\r\n"), "HD c%llu", &cas), 1);
	/* A number that a client chose is not given to the next value of the same item. */
	snprintf(text, sizeof(text), "ms a 1 E%llu c\r\n1\r\n", cas + 1);
	ask(text);
	snprintf(text, sizeof(text), "ms a 1 c\r\n2\r\n");
	assert_int_equal(sscanf(ask(text), "HD c%llu", &cas), 1);
	for (unsigned i = 0; i < 6; i++) {
		unsigned long long next;
		snprintf(text, sizeof(text), "ms a 1 E%llu\r\n1\r\n", cas + 1);
		ask(text);
		ask(i % 3 == 0	 ? "incr a 1\r\n"
		    : i % 3 == 1 ? "md a I\r\n"
				 : "append a 0 0 1\r\n1\r\n");
		assert_int_equal(sscanf(ask("mg a c\r\n"), "HD c%llu", &next), 1);
		assert_int_not_equal(next, cas + 1);
		cas = next;
	}
	ASK("ms none 1 C1 c\r\nx\r\nma a C0\r\nms none 1 C9 MA\r\nx\r\nms none 1 C9 ME\r\nx\r\n",
	    "NF c0\r\nHD\r\nNS\r\nHD\r\n");
}

static void test_dumps(void **state)
{
	begin(1 << 20);
	ASK("set a 0 0 2\r\nxy\r\nset % 0 10 1\r\nx\r\nset gone 0 -1 1\r\nx\r\n"
	    "stats cachedump 1 0\r\n",
	    "STORED\r\nSTORED\r\nSTORED\r\n"
	    "ITEM % [1 b; 1700000012 s]\r\nITEM a [2 b; 0 s]\r\nEND\r\n");
	ASK("stats cachedump 1 1\r\nstats cachedump 2 0\r\nstats cachedump 64 0\r\n",
	    "ITEM % [1 b; 1700000012 s]\r\nEND\r\nEND\r\nCLIENT_ERROR Illegal slab id\r\n");
	const char *dump = ask("lru_crawler metadump all\r\n");
	assert_int_equal(strncmp(dump, "key=%25 exp=1700000012 la=1700000002 cas=", 41), 0);
	assert_non_null(strstr(dump, "\nkey=a exp=-1 "));
	ASK("lru_crawler metadump 3,4\r\nlru_crawler metadump x\r\n",
	    "END\r\nBADCLASS invalid class id\r\n");
}

/* Values that take their time do not make it more than the limit. */
static void test_limit_of_many(void **state)
{
	static struct talk many[40];
	char value[4002];
	begin(64 * 1024);
	memset(value, 'v', 4000);
	memcpy(value + 4000, "\r\n", 2);
	for (unsigned i = 0; i < 40; i++) {
		char head[32];
		int len = snprintf(head, sizeof(head), "set k%u 0 0 4000\r\n", i);
		talk_init(&many[i], i);
		talk_input(&many[i], head, (uint32_t)len);
	}
	for (unsigned i = 0; i < 40; i++) {
		talk_input(&many[i], value, sizeof(value));
		assert_int_equal(many[i].out_len, 8);
		assert_memory_equal(many[i].out, "STORED\r\n", 8);
		assert_true(items_stats()->bytes <= 64 * 1024);
		talk_fini(&many[i]);
	}
	/* The oldest went first. */
	ASK("mg k0\r\nmg k39\r\n", "EN\r\nHD\r\n");
}

/* A connection keeps no more for its answers than goes at once, however large they are. */
static uint32_t told;

static void tell(struct talk *to)
{
	told += to->out_len;
	assert_true(to->out_len <= 1000);
	to->out_len = 0;
}

static void test_large_answers(void **state)
{
	begin(4 << 20);
	assert_true(set_sized(0, 1000000));
	talk.flush = tell;
	talk.flush_bytes = 1000;
	talk.out_len = 0;
	talk_input(&talk, "get K K\r\n", 9);
	assert_int_equal(told + talk.out_len,
			 2 * (strlen("VALUE K 0 1000000\r\n\r\n") + 1000000) + 5);
	assert_true(talk.out_cap <= 2048);
}

/* Many items are found as few are; to flush them, or to have less room for them, takes no long
 * time at once, but as items come. */
static void test_many_items(void **state)
{
	const unsigned count = 40000;
	char text[64];
	begin(8 << 20);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "set k%u 0 0 5 noreply\r\n%05u\r\n", i, i);
		ASK(text, "");
	}
	assert_int_equal(items_stats()->count, count);
	for (unsigned i = 0; i < count; i += 2) {
		snprintf(text, sizeof(text), "delete k%u\r\n", i);
		ASK(text, "DELETED\r\n");
	}
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "mg k%u\r\n", i);
		ASK(text, i % 2 == 0 ? "EN\r\n" : "HD\r\n");
	}
	items_set_limit(100000, proto_now);
	assert_true(items_stats()->count > 0 && items_stats()->bytes > 100000);
	ask("set a 0 0 1\r\nx\r\nset a 0 0 1\r\nx\r\n");
	assert_true(items_stats()->bytes <= 100000);
	ASK("mg k39999\r\nflush_all\r\nmg k39999\r\nmg a\r\n", "HD\r\nOK\r\nEN\r\nEN\r\n");
	assert_true(items_stats()->count > 100);
	ASK("stats cachedump 1 0\r\nset a 0 0 1\r\ny\r\nget a\r\n",
	    "END\r\nSTORED\r\nVALUE a 0 1\r\ny\r\nEND\r\n");
	/* What was flushed makes room before what was not. */
	uint64_t evictions = items_stats()->evictions;
	for (unsigned i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "set n%u 0 0 5 noreply\r\n%05u\r\n", i, i);
		ASK(text, "");
	}
	assert_int_equal(items_stats()->evictions, evictions);
	ASK("mg a\r\n", "HD\r\n");
}

static void test_settings(void **state)
{
	begin(1 << 20);
	host_set("memory", "0");
	assert_false(host_start());
	host_set("memory", "1");
	host_set("item_size", "1000");
	assert_false(host_start());
	host_set("item_size", "2MiB");
	assert_false(host_start());
	host_set("item_size", "2KiB");
	assert_true(host_start());
	assert_true(set_sized(0, 2048 - 60));
	assert_false(set_sized(0, 2048 - 59));
	assert_non_null(strstr(ask("stats settings\r\n"), "STAT item_size_max 2048\r\n"));
	host_set("item_size", NULL);
}

static void test_stats(void **state)
{
	begin(1 << 20);
	ask("stats reset\r\nset a 0 0 1\r\nx\r\nset b 0 5 1\r\nx\r\nget a b c\r\n");
	proto_now = 10;
	ask("get b\r\nset c 0 0 1\r\nx\r\nflush_all 2\r\n");
	proto_now = 13;
	ask("get a\r\ndelete a\r\nset d 0 0 2000000\r\n");
	begin(1 << 20);
	const char *stats = ask("stats\r\n");
	static const char *const lines[] = {
		"cmd_get 5",	 "get_hits 2",	       "get_misses 3", "get_expired 1",
		"get_flushed 1", "delete_misses 1",    "cmd_flush 1",  "store_too_large 1",
		"total_items 3", "curr_connections 0",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char line[64];
		snprintf(line, sizeof(line), "\r\nSTAT %s\r\n", lines[i]);
		if (strstr(stats, line) == NULL)
			fail_msg("%s is not in\n%s", lines[i], stats);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mistakes_unanswered),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_item_size),
		cmocka_unit_test(test_cas_numbers),
		cmocka_unit_test(test_dumps),
		cmocka_unit_test(test_limit_of_many),
		cmocka_unit_test(test_large_answers),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_many_items),
		cmocka_unit_test(test_settings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
