/*
 * Memcached's protocol over talk_input(), and the function's framing of UDP and TCP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"
#include "proto.h"

static struct talk talk;

/* What TEXT is answered with, given at once. */
static const char *ask(const char *text)
{
	static char answer[1 << 16];
	talk.out_len = 0;
	talk_input(&talk, text, (uint32_t)strlen(text));
	assert_true(talk.out_len < sizeof(answer));
	if (talk.out_len > 0)
		memcpy(answer, talk.out, talk.out_len);
	answer[talk.out_len] = '\0';
	return answer;
}

#define ASK(text, expected) assert_string_equal(ask(text), expected)

/* Empty, with a limit of all items, at second 2. */
static void begin(uint64_t limit)
{
	talk_fini(&talk);
	talk_init(&talk, 1);
	items_flush_all(proto_now);
	items_set_limit(limit);
	proto_now = 2;
	proto_epoch = 1700000000;
}

static int setup(void **state)
{
	/* Once: the table of items is made by edgeos_init(). */
	host_tail_is_usable = true;
	host_set("memory", "1");
	return host_start() ? 0 : -1;
}

static int teardown(void **state)
{
	begin(1 << 20);
	talk_fini(&talk);
	return 0;
}

static void test_storing(void **state)
{
	begin(1 << 20);
	ASK("get a\r\n", "END\r\n");
	ASK("set a 5 0 3\r\nabc\r\n", "STORED\r\n");
	ASK("get a\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n");
	ASK("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("add b 0 0 0\r\n\r\n", "STORED\r\n");
	ASK("replace c 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("replace b 1 0 1\r\nx\r\n", "STORED\r\n");
	ASK("append a 9 0 2\r\nde\r\n", "STORED\r\n");
	ASK("prepend a 9 0 2\r\n>>\r\n", "STORED\r\n");
	ASK("append none 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("get a c b\r\n", "VALUE a 5 7\r\n>>abcde\r\nVALUE b 1 1\r\nx\r\nEND\r\n");
	ASK("delete a\r\n", "DELETED\r\n");
	ASK("delete a\r\n", "NOT_FOUND\r\n");
	/* Values are bytes. */
	ASK("set a 0 0 6\r\n\r\nget\r\r\n", "STORED\r\n");
	ASK("get a\r\n", "VALUE a 0 6\r\n\r\nget\r\r\nEND\r\n");
}

static void test_cas(void **state)
{
	unsigned long long cas;
	char text[64];
	begin(1 << 20);
	ask("set a 0 0 1\r\nx\r\n");
	assert_int_equal(sscanf(ask("gets a\r\n"), "VALUE a 0 1 %llu", &cas), 1);
	snprintf(text, sizeof(text), "cas a 0 0 1 %llu\r\ny\r\n", cas + 1);
	ASK(text, "EXISTS\r\n");
	snprintf(text, sizeof(text), "cas a 0 0 1 %llu\r\ny\r\n", cas);
	ASK(text, "STORED\r\n");
	ASK(text, "EXISTS\r\n");
	ASK("cas none 0 0 1 1\r\ny\r\n", "NOT_FOUND\r\n");
}

static void test_counting(void **state)
{
	begin(1 << 20);
	ask("set n 0 0 2\r\n99\r\n");
	ASK("incr n 1\r\n", "100\r\n");
	ASK("decr n 1\r\n", "99\r\n");
	ASK("decr n 1000\r\n", "0\r\n");
	ASK("incr n 18446744073709551615\r\n", "18446744073709551615\r\n");
	ASK("incr n 2\r\n", "1\r\n");
	ASK("incr none 2\r\n", "NOT_FOUND\r\n");
	ASK("incr n -2\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n");
	ask("set s 0 0 1\r\nx\r\n");
	ASK("incr s 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
}

static void test_noreply(void **state)
{
	begin(1 << 20);
	ASK("set a 0 0 1 noreply\r\n1\r\nincr a 1 noreply\r\ntouch a 0 noreply\r\n"
	    "append a 0 0 1 noreply\r\n3\r\nadd a 0 0 1 noreply\r\nx\r\nget a\r\n",
	    "VALUE a 0 2\r\n23\r\nEND\r\n");
	ASK("delete a noreply\r\nflush_all noreply\r\nverbosity 1 noreply\r\nget a\r\n", "END\r\n");
}

static void test_expiry(void **state)
{
	char text[64];
	begin(1 << 20);
	ask("set a 0 10 1\r\nx\r\n");
	ask("set b 0 -1 1\r\nx\r\n");
	snprintf(text, sizeof(text), "set c 0 %u 1\r\nx\r\n", 1700000000u + 30);
	ask(text);
	ASK("get b\r\n", "END\r\n");
	proto_now = 11;
	ASK("get a c\r\n", "VALUE a 0 1\r\nx\r\nVALUE c 0 1\r\nx\r\nEND\r\n");
	ASK("touch c 100\r\n", "TOUCHED\r\n");
	ASK("touch none 100\r\n", "NOT_FOUND\r\n");
	proto_now = 12;
	ASK("get a\r\n", "END\r\n");
	proto_now = 110;
	ASK("gat 50 c\r\n", "VALUE c 0 1\r\nx\r\nEND\r\n");
	proto_now = 159;
	ASK("get c\r\n", "VALUE c 0 1\r\nx\r\nEND\r\n");
	proto_now = 160;
	ASK("get c\r\n", "END\r\n");
	/* Flushed later. */
	ask("set d 0 0 1\r\nx\r\n");
	ASK("flush_all 5\r\n", "OK\r\n");
	ASK("get d\r\n", "VALUE d 0 1\r\nx\r\nEND\r\n");
	proto_now = 165;
	ASK("get d\r\n", "END\r\n");
	ask("set d 0 0 1\r\ny\r\n");
	ASK("get d\r\n", "VALUE d 0 1\r\ny\r\nEND\r\n");
}

static void test_mistakes(void **state)
{
	static char key[400], line[500];
	begin(1 << 20);
	ASK("\r\n", "ERROR\r\n");
	ASK("nonsense\r\n", "ERROR\r\n");
	ASK("get\r\n", "ERROR\r\n");
	ASK("set a 0 0\r\n", "ERROR\r\n");
	ASK("set a x 0 1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 0 0 -1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 4294967296 0 1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 0 0 1\r\nxyz\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
	ASK("get a\r\n", "END\r\n");
	memset(key, 'k', 250);
	snprintf(line, sizeof(line), "set %s 0 0 1\r\nx\r\n", key);
	ASK(line, "STORED\r\n");
	memset(key, 'k', 251);
	snprintf(line, sizeof(line), "get %s\r\n", key);
	ASK(line, "CLIENT_ERROR bad command line format\r\n");
	/* A value beyond the limit is read away, and what was there is gone. */
	ask("set a 0 0 1\r\nx\r\n");
	ASK("set a 0 0 1048577\r\n", "SERVER_ERROR object too large for cache\r\n");
	char *value = calloc(1, 1048577 + 3);
	assert_non_null(value);
	memset(value, 'v', 1048577);
	memcpy(value + 1048577, "\r\n", 3);
	ASK(value, "");
	free(value);
	ASK("get a\r\n", "END\r\n");
	/* A line without an end. */
	char *endless = malloc(LINE_MAX + 2);
	assert_non_null(endless);
	memset(endless, 'x', LINE_MAX + 1);
	endless[LINE_MAX + 1] = '\0';
	ASK(endless, "CLIENT_ERROR line too long\r\n");
	assert_true(talk.must_close);
	free(endless);
}

static void test_meta(void **state)
{
	begin(1 << 20);
	ASK("mn\r\n", "MN\r\n");
	ASK("mg a v\r\n", "EN\r\n");
	ASK("ms a 2 F7 T100\r\nxy\r\n", "HD\r\n");
	ASK("mg a v f t s k Oabc\r\n", "VA 2 f7 t100 s2 ka Oabc\r\nxy\r\n");
	ASK("mg a\r\n", "HD\r\n");
	/* The longest opaque token. */
	ASK("mg a O1234567890123456789012345678901\r\n", "HD O1234567890123456789012345678901\r\n");
	ASK("ms none 1 MR C9 O1234567890123456789012345678901\r\nz\r\n",
	    "NF O1234567890123456789012345678901\r\n");
	/* The value of a set that is refused is no command. */
	ASK("ms a 4 O12345678901234567890123456789012\r\nmn\r\n\r\nmg a\r\n",
	    "CLIENT_ERROR opaque token too long\r\nHD\r\n");
	ASK("ms a 2 c c\r\nmn\r\n", "CLIENT_ERROR duplicate flag\r\n");
	ASK("ms Y*== 2 b\r\nmn\r\n", "CLIENT_ERROR error decoding key\r\n");
	ASK("mg none v q\r\nmn\r\n", "MN\r\n");
	ASK("ms a 1 ME\r\nz\r\n", "NS\r\n");
	ASK("ms a 1 MA\r\nz\r\n", "HD\r\n");
	ASK("ms a 1 MP q\r\n<\r\nmg a v\r\n", "VA 4\r\n<xyz\r\n");
	ASK("ms a 1 C999999\r\nz\r\n", "EX\r\n");
	ASK("ms none 1 MR\r\nz\r\n", "NS\r\n");
	ASK("ms n 1\r\n5\r\n", "HD\r\n");
	ASK("ma n v\r\n", "VA 1\r\n6\r\n");
	ASK("ma n MD D2 v\r\n", "VA 1\r\n4\r\n");
	ASK("ma new v\r\n", "NF\r\n");
	ASK("ma new N0 J13 v\r\n", "VA 2\r\n13\r\n");
	/* Keys as base64: "YQ==" is "a". */
	ASK("mg YQ== b v\r\n", "VA 4\r\n<xyz\r\n");
	ASK("mg Y*== b v\r\n", "CLIENT_ERROR error decoding key\r\n");
	ASK("mg a v v\r\n", "CLIENT_ERROR duplicate flag\r\n");
	/* Invalid, but better than nothing: one is told to make it anew. */
	ASK("md a I\r\n", "HD\r\n");
	ASK("mg a v\r\n", "VA 4 X W\r\n<xyz\r\n");
	ASK("mg a v\r\n", "VA 4 Z X\r\n<xyz\r\n");
	ASK("md a\r\n", "HD\r\n");
	ASK("md a\r\n", "NF\r\n");
	ASK("md a q\r\nmn\r\n", "NF\r\nMN\r\n");
	ASK("ms a 1 q\r\nx\r\nmd a q\r\nmn\r\n", "MN\r\n");
}

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

/* However it is cut into two, or into bytes, the answers are the same. */
static void test_split_anywhere(void **state)
{
	static const char session[] =
		"set a 1 0 5\r\nab\r\nc\r\nget a b\r\nms m 3 F2\r\nxyz\r\nmg m v f\r\nincr a 1\r\n"
		"set long 0 0 3\r\nabcdef\r\nset b 0 0 1 noreply\r\n7\r\nincr b 3\r\nbad\r\n"
		"set big 0 0 2000000\r\n";
	uint32_t len = sizeof(session) - 1;
	char expected[1024];
	begin(1 << 20);
	strcpy(expected, ask(session));
	assert_true(strlen(expected) > 100);
	for (uint32_t cut = 0; cut <= len; cut++) {
		char *first = malloc(cut + 1), *second = malloc(len - cut + 1);
		assert_true(first != NULL && second != NULL);
		memcpy(first, session, cut);
		memcpy(second, session + cut, len - cut);
		begin(1 << 20);
		talk_input(&talk, first, cut);
		talk_input(&talk, second, len - cut);
		assert_int_equal(talk.out_len, strlen(expected));
		assert_memory_equal(talk.out, expected, talk.out_len);
		free(first);
		free(second);
	}
	begin(1 << 20);
	for (uint32_t i = 0; i < len; i++)
		talk_input(&talk, session + i, 1);
	assert_int_equal(talk.out_len, strlen(expected));
	assert_memory_equal(talk.out, expected, talk.out_len);
}

static void test_eviction(void **state)
{
	char text[1200];
	const struct items_stats *stats = items_stats();
	begin(64 * 1024);
	uint64_t evicted = stats->evictions;
	for (unsigned i = 0; i < 200; i++) {
		int len = sprintf(text, "set key%u 0 0 1000\r\n", i);
		memset(text + len, 'x', 1000);
		strcpy(text + len + 1000, "\r\n");
		ASK(text, "STORED\r\n");
		assert_true(stats->bytes <= 64 * 1024);
		/* The first one is asked for all the time, and so it stays. */
		assert_int_equal(strncmp(ask("get key0\r\n"), "VALUE", 5), 0);
	}
	assert_true(stats->evictions - evicted > 100);
	ASK("get key1\r\n", "END\r\n");
	assert_int_equal(strncmp(ask("get key199\r\n"), "VALUE", 5), 0);
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

static void test_random_input(void **state)
{
	static const char *const words[] = {"get ", "set ",  "a ",    "b ",	 "0 ",	    "1 ",
					    "\r\n", "x\r\n", "mg ",   "ms ",	 "ma ",	    "v ",
					    "q ",   "b ",    "incr ", "N0 ",	 "noreply", "\n",
					    "T1 ",  "MA ",   "cas ",  "append ", "999999 "};
	begin(1 << 20);
	for (unsigned i = 0; i < 50000; i++) {
		char text[64] = "";
		for (unsigned k = 0; k < 1 + host_random() % 4; k++)
			strcat(text, words[host_random() % (sizeof(words) / sizeof(words[0]))]);
		uint32_t len = (uint32_t)strlen(text);
		for (unsigned k = 0; i % 3 == 0 && k < 2; k++)
			text[host_random() % len] = (char)host_random();
		talk_input(&talk, text, len);
		talk.out_len = 0;
		proto_now += i % 64 == 0;
		if (talk.must_close || talk.is_broken || talk.value_left > 100000)
			begin(1 << 20);
	}
}

/* --- the function --- */

static void start(void)
{
	begin(1 << 20);
	host_forget_sent();
}

static const char *datagram(const char *frame, const char *text)
{
	char data[512];
	size_t len = strlen(text);
	memcpy(data, frame, 8);
	memcpy(data + 8, text, len);
	if (host_datagram(1, data, (uint32_t)(8 + len)) != EDGEOS_ANSWER)
		return "";
	host_result.data[host_result.len] = '\0';
	return (const char *)host_result.data + 8;
}

static void test_datagrams(void **state)
{
	start();
	assert_string_equal(datagram("\x12\x34\0\0\0\1\0\0", "set a 0 0 1\r\nx\r\nget a\r\n"),
			    "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	assert_memory_equal(host_result.data, "\x12\x34\0\0\0\1\0\0", 8);
	/* Of several datagrams, or without a frame. */
	assert_string_equal(datagram("\x12\x34\0\0\0\2\0\0", "get a\r\n"), "");
	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(host_datagram(1, "\0\1\0\0\0\1\0\0", n), EDGEOS_DROP);
	/* What is not complete is forgotten, and is not part of the next one. */
	assert_string_equal(datagram("\0\1\0\0\0\1\0\0", "set b 0 0 10\r\nabc"), "");
	assert_string_equal(datagram("\0\1\0\0\0\1\0\0", "get a"), "");
	assert_string_equal(datagram("\0\2\0\0\0\1\0\0", "get b\r\n"), "END\r\n");
	/* A value set over TCP, longer than a datagram: the answer comes in several. */
	char value[4096];
	int len = sprintf(value, "set big 0 0 4000\r\n");
	host_stream(9, EDGEOS_FIRST, value, (uint32_t)len);
	memset(value, 'x', 2000);
	host_stream(9, 0, value, 2000);
	host_stream(9, 0, value, 2000);
	host_stream(9, EDGEOS_LAST, "\r\n", 2);
	host_forget_sent();
	datagram("\0\7\0\0\0\1\0\0", "get big\r\n");
	assert_int_equal(host_sent_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t frame[8] = {0, 7, 0, (uint8_t)i, 0, 3, 0, 0};
		assert_memory_equal(host_sent[i].data, frame, 8);
		assert_int_equal(host_sent[i].len, 1400);
	}
	assert_memory_equal(host_result.data, "\0\7\0\2\0\3\0\0", 8);
}

static void test_streams(void **state)
{
	start();
	host_stream(5, EDGEOS_FIRST, "set s 0 0 1\r\n1\r", 15);
	host_stream(6, EDGEOS_FIRST, "get", 3);
	host_stream(5, 0, "\nget s\r\n", 8);
	host_stream(6, 0, " s\r\n", 4);
	assert_int_equal(host_sent_count, 2);
	assert_int_equal(host_sent[0].peer, 5);
	assert_int_equal(host_sent[1].peer, 6);
	assert_memory_equal(host_sent[1].data, "VALUE s 0 1\r\n1\r\nEND\r\n", 21);
	unsigned closed = host_closed;
	host_stream(5, 0, "quit\r\n", 6);
	assert_int_equal(host_closed, closed + 1);
	host_stream(6, EDGEOS_LAST, "", 0);
	/* A client who reads nothing is ended, and more connections than there are places. */
	host_send_error = -11;
	host_stream(7, EDGEOS_FIRST, "version\r\n", 9);
	host_send_error = 0;
	assert_int_equal(host_closed, closed + 2);
	for (uint32_t peer = 100; peer < 400; peer++)
		host_stream(peer, EDGEOS_FIRST, "", 0);
	assert_int_equal(host_closed, closed + 2 + 300 - 256);
	for (uint32_t peer = 100; peer < 400; peer++)
		host_stream(peer, EDGEOS_LAST, "", 0);
	host_forget_sent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storing),
		cmocka_unit_test(test_cas),
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_noreply),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_split_anywhere),
		cmocka_unit_test(test_mistakes_unanswered),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_item_size),
		cmocka_unit_test(test_cas_numbers),
		cmocka_unit_test(test_dumps),
		cmocka_unit_test(test_limit_of_many),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_random_input),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_streams),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
