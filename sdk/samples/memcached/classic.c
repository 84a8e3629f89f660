/*
 * The commands of memcached's first protocol.
 */
#include <stdio.h>
#include <string.h>

#include "proto.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

enum { MODE_SET, MODE_ADD, MODE_REPLACE, MODE_APPEND, MODE_PREPEND, MODE_CAS };

/* --- get, gets, gat, gats --- */

struct get {
	bool with_cas, touches;
	uint32_t expires;
};

static void put_value(struct talk *talk, struct item *item, bool with_cas)
{
	char cas[24] = "";
	if (with_cas)
		snprintf(cas, sizeof(cas), " %llu", (unsigned long long)item->cas);
	talk_printf(talk, "VALUE %.*s %u %u%s\r\n", item->key_len, item->data, item->flags,
		    item->value_len, cas);
	talk_put(talk, item_value(item), item->value_len + 2);
}

/* Told if IS_TOLD. */
static void get_one(struct talk *talk, const struct word *key, const struct get *get, bool is_told)
{
	struct item *item = items_find(key->text, key->len, proto_now);
	/* As the original counts: what touches is no get. */
	*(get->touches ? &proto_stats.cmd_touch : &proto_stats.cmd_get) += 1;
	if (item == NULL) {
		*(get->touches ? &proto_stats.touch_misses : &proto_stats.get_misses) += 1;
		return;
	}
	*(get->touches ? &proto_stats.touch_hits : &proto_stats.get_hits) += 1;
	if (get->touches)
		item->expires = get->expires;
	item_touch(item, proto_now);
	if (is_told)
		put_value(talk, item, get->with_cas);
}

/* The next word of LINE from *AT on. */
static bool next_word(const char *line, uint32_t len, uint32_t *at, struct word *ret)
{
	if (split_words(line + *at, len - *at, ret, 1) == 0)
		return false;
	*at = (uint32_t)(ret->text - line) + ret->len;
	return true;
}

static bool has_bad_key(const char *line, uint32_t len, uint32_t at)
{
	struct word word;
	while (next_word(line, len, &at, &word)) {
		if (!is_key(&word))
			return true;
	}
	return false;
}

/* LINE behind the command's name; keys to the end of it. */
static void run_get(struct talk *talk, const char *line, uint32_t len, struct get *get)
{
	struct word word;
	int64_t given = 0;
	uint32_t at = 0;
	if (!next_word(line, len, &at, &word)) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (get->touches && !word_i64(&word, &given)) {
		talk_puts(talk, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	if (!get->touches)
		at = 0;
	get->expires = expiry_of(given);
	/* With a bad key nothing is told of those before it, which are used even so. */
	bool is_bad = has_bad_key(line, len, at);
	while (next_word(line, len, &at, &word) && is_key(&word) && !talk->is_broken)
		get_one(talk, &word, get, !is_bad);
	talk_puts(talk, is_bad ? BAD_FORMAT : "END\r\n");
}

/* --- storing --- */

static const char *store(struct talk *talk, struct item *item)
{
	struct item *old = items_find(item->data, item->key_len, proto_now);
	uint8_t mode = talk->set.mode;
	if (mode == MODE_CAS) {
		if (old == NULL) {
			proto_stats.cas_misses++;
			return "NOT_FOUND\r\n";
		}
		if (old->cas != talk->set.cas) {
			proto_stats.cas_badval++;
			return "EXISTS\r\n";
		}
		proto_stats.cas_hits++;
	}
	if (mode == MODE_ADD && old != NULL) {
		item_bump(old, proto_now);
		return "NOT_STORED\r\n";
	}
	if ((mode == MODE_REPLACE || mode == MODE_APPEND || mode == MODE_PREPEND) && old == NULL)
		return "NOT_STORED\r\n";
	if (mode == MODE_APPEND || mode == MODE_PREPEND) {
		struct item *joined = items_join(item, mode == MODE_PREPEND, proto_now);
		if (joined == NULL)
			return "SERVER_ERROR out of memory storing object\r\n";
		item_link(joined, 0, proto_now);
		return "STORED\r\n";
	}
	item_link(item, 0, proto_now);
	talk->item = NULL;
	return "STORED\r\n";
}

static void value_is_there(struct talk *talk)
{
	struct item *item = talk->item;
	proto_stats.cmd_set++;
	const char *text = store(talk, item);
	if (!talk->set.is_quiet)
		talk_puts(talk, text);
	/* One that was not stored. */
	if (talk->item != NULL)
		item_free(item);
}

static void run_set(struct talk *talk, const struct request *request, uint8_t mode)
{
	const struct word *words = request->words;
	unsigned wanted = mode == MODE_CAS ? 6 : 5;
	uint64_t flags = 0, cas = 0;
	int64_t expires = 0, len = 0;
	/* What stands where "noreply" may be is not looked at. */
	if (request->count < wanted || request->count > wanted + 1) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1]) || !word_u64(&words[2], &flags) || flags > UINT32_MAX ||
	    !word_i64(&words[3], &expires) || !word_i64(&words[4], &len) || len < 0 ||
	    len > INT32_MAX - 2 || (mode == MODE_CAS && !word_u64(&words[5], &cas))) {
		talk_answer(talk, request, BAD_FORMAT);
		return;
	}
	memset(&talk->set, 0, sizeof(talk->set));
	talk->set.mode = mode;
	talk->set.is_quiet = request->is_quiet;
	talk->set.cas = cas;
	talk->set.given_len = (uint32_t)len;
	struct item *item = NULL;
	bool is_large = item_is_too_large(words[1].len, (uint32_t)flags, (uint64_t)len);
	if (!is_large)
		item = item_new(words[1].text, words[1].len, (uint32_t)len, proto_now);
	if (item != NULL) {
		item->flags = (uint32_t)flags;
		item->expires = expiry_of(expires);
	} else {
		talk_answer(talk, request, no_room(&words[1], is_large, mode == MODE_SET));
	}
	talk_take_value(talk, item, (uint32_t)len, value_is_there);
}

/* --- the others --- */

static void run_delete(struct talk *talk, const struct request *request)
{
	const struct word *words = request->words;
	/* A key may be called "noreply". */
	bool is_quiet = request->is_quiet && request->count > 2;
	unsigned count = request->count - is_quiet;
	if (request->count < 2 || request->count > 4) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	const char *text = NULL;
	/* A time of 0 is of older protocols. */
	if (count > 3 || (count == 3 && !word_is(&words[2], "0")))
		text = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
	else if (!is_key(&words[1]))
		text = BAD_FORMAT;
	if (text == NULL) {
		struct item *item = items_find(words[1].text, words[1].len, proto_now);
		*(item == NULL ? &proto_stats.delete_misses : &proto_stats.delete_hits) += 1;
		if (item != NULL)
			items_remove(item);
		text = item != NULL ? "DELETED\r\n" : "NOT_FOUND\r\n";
	}
	if (!is_quiet)
		talk_puts(talk, text);
}

static void run_count(struct talk *talk, const struct request *request, bool is_increment)
{
	const struct word *words = request->words;
	uint64_t delta, value;
	char text[24];
	if (request->count < 3 || request->count > 4) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1])) {
		talk_answer(talk, request, BAD_FORMAT);
		return;
	}
	if (!word_u64(&words[2], &delta)) {
		talk_answer(talk, request, "CLIENT_ERROR invalid numeric delta argument\r\n");
		return;
	}
	struct item *item = items_find(words[1].text, words[1].len, proto_now);
	if (item == NULL) {
		*(is_increment ? &proto_stats.incr_misses : &proto_stats.decr_misses) += 1;
		talk_answer(talk, request, "NOT_FOUND\r\n");
		return;
	}
	if (!count_item(item, is_increment, delta, &value)) {
		talk_answer(talk, request,
			    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
		return;
	}
	*(is_increment ? &proto_stats.incr_hits : &proto_stats.decr_hits) += 1;
	int len = snprintf(text, sizeof(text), "%llu\r\n", (unsigned long long)value);
	bool is_done = item_replace_number(item, text, (uint32_t)len - 2) != NULL;
	talk_answer(talk, request, is_done ? text : "SERVER_ERROR out of memory\r\n");
}

static void run_touch(struct talk *talk, const struct request *request)
{
	const struct word *words = request->words;
	int64_t expires;
	if (request->count < 3 || request->count > 4) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1])) {
		talk_answer(talk, request, BAD_FORMAT);
		return;
	}
	if (!word_i64(&words[2], &expires)) {
		talk_answer(talk, request, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	struct item *item = items_find(words[1].text, words[1].len, proto_now);
	proto_stats.cmd_touch++;
	*(item == NULL ? &proto_stats.touch_misses : &proto_stats.touch_hits) += 1;
	if (item != NULL) {
		item->expires = expiry_of(expires);
		item_touch(item, proto_now);
	}
	talk_answer(talk, request, item != NULL ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
}

static void run_flush(struct talk *talk, const struct request *request)
{
	int64_t delay = 0;
	if (request->count > 3) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	proto_stats.cmd_flush++;
	if (request->count > 1u + request->is_quiet && !word_i64(&request->words[1], &delay)) {
		talk_answer(talk, request, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	if (delay > 0)
		items_flush(expiry_of(delay));
	else
		items_flush_all();
	talk_answer(talk, request, "OK\r\n");
}

static void run_limit(struct talk *talk, const struct request *request)
{
	uint64_t mebibytes;
	const char *text = "OK\r\n";
	if (request->count < 2 || request->count > 3) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!word_u64(&request->words[1], &mebibytes))
		text = "ERROR\r\n";
	else if (mebibytes < 8)
		text = "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
	else if (mebibytes > 1000000000)
		text = "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
	else if (mebibytes > MEBIBYTES_MAX)
		text = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
	else
		items_set_limit(mebibytes << 20, proto_now);
	talk_answer(talk, request, text);
}

static void run_version(struct talk *talk, const struct request *request)
{
	(void)request;
	talk_puts(talk, "VERSION " VERSION "\r\n");
}

static void run_quit(struct talk *talk, const struct request *request)
{
	(void)request;
	talk->must_close = true;
}

static void run_shutdown(struct talk *talk, const struct request *request)
{
	(void)request;
	talk_puts(talk, "ERROR: shutdown not enabled\r\n");
}

static void run_verbosity(struct talk *talk, const struct request *request)
{
	uint64_t level = 0;
	/* There is one log, and it is the node's: nothing changes. */
	if (request->count < 2 || request->count > 3)
		talk_puts(talk, "ERROR\r\n");
	else
		talk_answer(talk, request,
			    word_u64(&request->words[1], &level) ? "OK\r\n" : BAD_FORMAT);
}

static void run_stats(struct talk *talk, const struct request *request)
{
	put_stats(talk, request->words + 1, request->count - 1);
}

static void run_incr(struct talk *talk, const struct request *request)
{
	run_count(talk, request, true);
}

static void run_decr(struct talk *talk, const struct request *request)
{
	run_count(talk, request, false);
}

static bool get_command(struct talk *talk, const struct word *name, const char *line, uint32_t len)
{
	static const struct {
		const char *name;
		bool with_cas, touches;
	} commands[] = {
		{"get", false, false}, {"gets", true, false},  {"gat", false, true},
		{"gats", true, true},  {"bget", false, false}, /* of older protocols */
	};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!word_is(name, commands[i].name))
			continue;
		const char *rest = name->text + name->len;
		struct get get = {commands[i].with_cas, commands[i].touches, 0};
		run_get(talk, rest, len - (uint32_t)(rest - line), &get);
		return true;
	}
	return false;
}

static bool set_command(struct talk *talk, const struct request *request)
{
	static const char *const names[] = {
		[MODE_SET] = "set",	  [MODE_ADD] = "add",	      [MODE_REPLACE] = "replace",
		[MODE_APPEND] = "append", [MODE_PREPEND] = "prepend", [MODE_CAS] = "cas",
	};
	for (uint8_t mode = 0; mode < sizeof(names) / sizeof(names[0]); mode++) {
		if (word_is(&request->words[0], names[mode])) {
			run_set(talk, request, mode);
			return true;
		}
	}
	return false;
}

bool classic_command(struct talk *talk, const char *line, uint32_t len)
{
	static const struct {
		const char *name;
		void (*run)(struct talk *talk, const struct request *request);
	} commands[] = {
		{"delete", run_delete},
		{"incr", run_incr},
		{"decr", run_decr},
		{"touch", run_touch},
		{"stats", run_stats},
		{"version", run_version},
		{"quit", run_quit},
		{"flush_all", run_flush},
		{"cache_memlimit", run_limit},
		{"verbosity", run_verbosity},
		{"shutdown", run_shutdown},
		{"slabs", run_slabs},
		{"lru", run_lru},
		{"lru_crawler", run_crawler},
	};
	struct request request = {.count = 0};
	request.count = split_words(line, len, request.words, WORDS_MAX);
	if (request.count == 0)
		return false;
	if (get_command(talk, &request.words[0], line, len))
		return true;
	request.is_quiet =
		request.count > 1 && word_is(&request.words[request.count - 1], "noreply");
	if (set_command(talk, &request))
		return true;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (word_is(&request.words[0], commands[i].name)) {
			commands[i].run(talk, &request);
			return true;
		}
	}
	return false;
}
