/*
 * The commands of memcached's first protocol.
 */
#include <stdio.h>
#include <string.h>

#include "proto.h"

enum { MODE_SET, MODE_ADD, MODE_REPLACE, MODE_APPEND, MODE_PREPEND, MODE_CAS };

struct request {
	struct word words[WORDS_MAX];
	unsigned count;
	bool is_quiet; /* its last word is "noreply" */
};

static void answer(struct talk *talk, bool is_quiet, const char *text)
{
	if (!is_quiet)
		talk_puts(talk, text);
}

static void put_bad_format(struct talk *talk)
{
	talk_puts(talk, "CLIENT_ERROR bad command line format\r\n");
}

/* --- get, gets, gat, gats --- */

static void put_value(struct talk *talk, struct item *item, bool with_cas)
{
	char cas[24] = "";
	if (with_cas)
		snprintf(cas, sizeof(cas), " %llu", (unsigned long long)item->cas);
	talk_printf(talk, "VALUE %.*s %u %u%s\r\n", item->key_len, item->data, item->flags,
		    item->value_len, cas);
	talk_put(talk, item_value(item), item->value_len + 2);
}

static void get_one(struct talk *talk, const struct word *key, bool with_cas, bool touches,
		    uint32_t expires)
{
	struct item *item = items_find(key->text, key->len, proto_now);
	proto_stats.cmd_get++;
	proto_stats.cmd_touch += touches;
	if (item == NULL) {
		proto_stats.get_misses++;
		proto_stats.touch_misses += touches;
		return;
	}
	proto_stats.get_hits++;
	proto_stats.touch_hits += touches;
	if (touches)
		item->expires = expires;
	item_touch(item, proto_now);
	put_value(talk, item, with_cas);
}

/* LINE behind the command's name; keys to the end of it. */
static void run_get(struct talk *talk, const char *line, uint32_t len, bool with_cas, bool touches)
{
	struct word word;
	int64_t given = 0;
	unsigned keys = 0;
	uint32_t at = 0;
	for (unsigned i = 0; split_words(line + at, len - at, &word, 1) == 1; i++) {
		at = (uint32_t)(word.text - line) + word.len;
		if (i == 0 && touches) {
			if (!word_i64(&word, &given)) {
				talk_puts(talk, "CLIENT_ERROR invalid exptime argument\r\n");
				return;
			}
			continue;
		}
		if (!is_key(&word)) {
			put_bad_format(talk);
			return;
		}
		keys++;
		get_one(talk, &word, with_cas, touches, touches ? expiry_of(given) : 0);
	}
	talk_puts(talk, keys > 0 ? "END\r\n" : "ERROR\r\n");
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
		/* As memcached does: it was asked for. */
		item_touch(old, proto_now);
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
	answer(talk, talk->set.is_quiet, store(talk, item));
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
	if (request->count != wanted + request->is_quiet) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1]) || !word_u64(&words[2], &flags) || flags > UINT32_MAX ||
	    !word_i64(&words[3], &expires) || !word_i64(&words[4], &len) || len < 0 ||
	    len > INT32_MAX - 2 || (mode == MODE_CAS && !word_u64(&words[5], &cas))) {
		put_bad_format(talk);
		return;
	}
	memset(&talk->set, 0, sizeof(talk->set));
	talk->set.mode = mode;
	talk->set.is_quiet = request->is_quiet;
	talk->set.cas = cas;
	talk->set.given_len = (uint32_t)len;
	struct item *item = NULL;
	if (len <= VALUE_MAX)
		item = item_new(words[1].text, words[1].len, (uint32_t)len, proto_now);
	if (item == NULL) {
		answer(talk, false,
		       len > VALUE_MAX ? "SERVER_ERROR object too large for cache\r\n"
				       : "SERVER_ERROR out of memory storing object\r\n");
		/* What was there is not what the client means any more. */
		struct item *old = items_find(words[1].text, words[1].len, proto_now);
		if (old != NULL)
			items_remove(old);
	} else {
		item->flags = (uint32_t)flags;
		item->expires = expiry_of(expires);
	}
	talk_take_value(talk, item, (uint32_t)len, value_is_there);
}

/* --- the others --- */

static void run_delete(struct talk *talk, const struct request *request)
{
	const struct word *words = request->words;
	unsigned count = request->count - request->is_quiet;
	/* A time of 0 is of older protocols. */
	if (count < 2 || count > 3 || (count == 3 && !word_is(&words[2], "0"))) {
		talk_puts(talk, count < 2 ? "ERROR\r\n"
					  : "CLIENT_ERROR bad command line format.  Usage: delete "
					    "<key> [noreply]\r\n");
		return;
	}
	if (!is_key(&words[1])) {
		put_bad_format(talk);
		return;
	}
	struct item *item = items_find(words[1].text, words[1].len, proto_now);
	*(item == NULL ? &proto_stats.delete_misses : &proto_stats.delete_hits) += 1;
	if (item != NULL)
		items_remove(item);
	answer(talk, request->is_quiet, item != NULL ? "DELETED\r\n" : "NOT_FOUND\r\n");
}

static void run_count(struct talk *talk, const struct request *request, bool is_increment)
{
	const struct word *words = request->words;
	uint64_t delta, value;
	char text[24];
	if (request->count != 3u + request->is_quiet) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1])) {
		put_bad_format(talk);
		return;
	}
	if (!word_u64(&words[2], &delta)) {
		talk_puts(talk, "CLIENT_ERROR invalid numeric delta argument\r\n");
		return;
	}
	struct item *item = items_find(words[1].text, words[1].len, proto_now);
	if (item == NULL) {
		*(is_increment ? &proto_stats.incr_misses : &proto_stats.decr_misses) += 1;
		answer(talk, request->is_quiet, "NOT_FOUND\r\n");
		return;
	}
	if (!count_item(item, is_increment, delta, &value)) {
		talk_puts(talk, "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
		return;
	}
	*(is_increment ? &proto_stats.incr_hits : &proto_stats.decr_hits) += 1;
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (item_replace_value(item, text, (uint32_t)len) == NULL) {
		talk_puts(talk, "SERVER_ERROR out of memory in incr\r\n");
	} else if (!request->is_quiet) {
		talk_put(talk, text, (size_t)len);
		talk_puts(talk, "\r\n");
	}
}

static void run_touch(struct talk *talk, const struct request *request)
{
	const struct word *words = request->words;
	int64_t expires;
	if (request->count != 3u + request->is_quiet) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (!is_key(&words[1])) {
		put_bad_format(talk);
		return;
	}
	if (!word_i64(&words[2], &expires)) {
		talk_puts(talk, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	struct item *item = items_find(words[1].text, words[1].len, proto_now);
	proto_stats.cmd_touch++;
	*(item == NULL ? &proto_stats.touch_misses : &proto_stats.touch_hits) += 1;
	if (item != NULL) {
		item->expires = expiry_of(expires);
		item_touch(item, proto_now);
	}
	answer(talk, request->is_quiet, item != NULL ? "TOUCHED\r\n" : "NOT_FOUND\r\n");
}

static void run_flush(struct talk *talk, const struct request *request)
{
	int64_t delay = 0;
	unsigned count = request->count - request->is_quiet;
	if (count > 2) {
		put_bad_format(talk);
		return;
	}
	if (count == 2 && !word_i64(&request->words[1], &delay)) {
		talk_puts(talk, "CLIENT_ERROR invalid exptime argument\r\n");
		return;
	}
	proto_stats.cmd_flush++;
	if (delay > 0)
		items_flush(expiry_of(delay));
	else
		items_flush_all(proto_now);
	answer(talk, request->is_quiet, "OK\r\n");
}

static void run_limit(struct talk *talk, const struct request *request)
{
	uint64_t mebibytes;
	if (request->count < 2 || !word_u64(&request->words[1], &mebibytes)) {
		talk_puts(talk, "ERROR\r\n");
		return;
	}
	if (mebibytes < 8 || mebibytes > 4095) {
		talk_puts(talk, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
		return;
	}
	items_set_limit(mebibytes << 20);
	answer(talk, request->is_quiet, "OK\r\n");
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

static void run_verbosity(struct talk *talk, const struct request *request)
{
	uint64_t level = 0;
	unsigned count = request->count - request->is_quiet;
	/* There is one log, and it is the node's: nothing changes. */
	if (count > 2 || (count < 2 && !request->is_quiet))
		talk_puts(talk, "ERROR\r\n");
	else if (count == 2 && !word_u64(&request->words[1], &level))
		put_bad_format(talk);
	else
		answer(talk, request->is_quiet, "OK\r\n");
}

static void run_stats(struct talk *talk, const struct request *request)
{
	static const struct word none = {"", 0};
	put_stats(talk, request->count > 1 ? &request->words[1] : &none);
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
		{"get", false, false},
		{"gets", true, false},
		{"gat", false, true},
		{"gats", true, true},
	};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!word_is(name, commands[i].name))
			continue;
		const char *rest = name->text + name->len;
		run_get(talk, rest, len - (uint32_t)(rest - line), commands[i].with_cas,
			commands[i].touches);
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
