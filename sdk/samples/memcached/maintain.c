/*
 * "slabs", "lru" and "lru_crawler": the original's maintenance. There are no slabs here, one list
 * of items by use, and nobody crawls, so what is set is taken and changes nothing.
 */
#include <string.h>

#include "proto.h"

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"

static bool is_word(const struct request *request, unsigned at, const char *text)
{
	return at < request->count && word_is(&request->words[at], text);
}

/* A number with a point, at least 0, as DIGITS[.DIGITS], in thousandths; false: none. */
static bool word_thousandths(const struct word *word, uint64_t *ret)
{
	uint64_t value = 0, unit = 1000;
	bool has_point = false, has_digit = false;
	for (uint32_t i = 0; i < word->len; i++) {
		char c = word->text[i];
		if (c == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (c < '0' || c > '9' || value > UINT32_MAX)
			return false;
		has_digit = true;
		if (has_point) {
			unit /= 10;
			value += (uint64_t)(c - '0') * unit;
		} else {
			value = value * 10 + (uint64_t)(c - '0') * 1000;
		}
	}
	*ret = value;
	return has_digit;
}

static const char *reassign(const struct request *request)
{
	int64_t from, to;
	if (!word_i64(&request->words[2], &from) || !word_i64(&request->words[3], &to))
		return BAD_FORMAT;
	if (from == to)
		return "SAME src and dst class are identical\r\n";
	if (from < -1 || from >= CLASSES_MAX || to < 0 || to >= CLASSES_MAX)
		return "BADCLASS invalid src or dst class id\r\n";
	return "NOSPARE source class has no spare pages\r\n";
}

void run_slabs(struct talk *talk, const struct request *request)
{
	uint64_t level;
	const char *text = "ERROR\r\n";
	if (is_word(request, 1, "reassign") && request->count == 4) {
		talk_puts(talk, reassign(request));
		return;
	}
	if (!is_word(request, 1, "automove") || request->count < 3) {
		talk_puts(talk, text);
		return;
	}
	if (is_word(request, 2, "ratio")) {
		if (request->count > 3 && word_thousandths(&request->words[3], &level))
			text = "OK\r\n";
	} else if (!word_u64(&request->words[2], &level)) {
		text = BAD_FORMAT;
	} else if (level <= 2) {
		text = "OK\r\n";
	}
	talk_answer(talk, request, text);
}

static const char *tune(const struct request *request)
{
	uint64_t hot, warm, hot_factor, warm_factor;
	if (!word_u64(&request->words[2], &hot) || !word_u64(&request->words[3], &warm) ||
	    !word_thousandths(&request->words[4], &hot_factor) ||
	    !word_thousandths(&request->words[5], &warm_factor))
		return "ERROR\r\n";
	if (hot > 80 || warm > 80 || hot + warm > 80)
		return "ERROR hot and warm pcts must not exceed 80\r\n";
	if (hot_factor == 0 || warm_factor == 0)
		return "ERROR hot/warm age factors must be greater than 0\r\n";
	return "OK\r\n";
}

void run_lru(struct talk *talk, const struct request *request)
{
	int64_t seconds;
	const char *text = "ERROR\r\n";
	if (request->count < 2) {
		talk_puts(talk, text);
		return;
	}
	if (is_word(request, 1, "tune") && request->count >= 6)
		text = tune(request);
	else if (is_word(request, 1, "mode") &&
		 (is_word(request, 2, "flat") || is_word(request, 2, "segmented")))
		text = "OK\r\n";
	else if (is_word(request, 1, "temp_ttl") && request->count >= 3 &&
		 word_i64(&request->words[2], &seconds))
		text = "OK\r\n";
	talk_answer(talk, request, text);
}

/* --- lru_crawler --- */

/* As in a URI. */
static void put_escaped(struct talk *talk, const char *key, uint32_t key_len)
{
	for (uint32_t i = 0; i < key_len; i++) {
		unsigned char c = (unsigned char)key[i];
		bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				(c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;
		if (is_plain && c != 0)
			talk_put(talk, &key[i], 1);
		else
			talk_printf(talk, "%%%02X", c);
	}
}

/* Those that were used last, as many as a request may take time for. */
static void put_items(struct talk *talk)
{
	const struct item *item = items_newest();
	for (unsigned i = 0; item != NULL && i < DUMP_MAX; i++, item = item->older) {
		if (!item_is_valid(item, proto_now))
			continue;
		talk_puts(talk, "key=");
		put_escaped(talk, item->data, item->key_len);
		talk_printf(talk, " exp=%lld la=%llu cas=%llu fetch=%s cls=1 size=%u\n",
			    item->expires == 0 ? -1ll : (long long)(proto_epoch + item->expires),
			    (unsigned long long)(proto_epoch + item->used),
			    (unsigned long long)item->cas, item->was_fetched ? "yes" : "no",
			    (unsigned)(sizeof(*item) + item->key_len + item->value_len + 2));
	}
	talk_puts(talk, "END\r\n");
}

/* "all", or numbers of classes with commas between them. *RET_HAS_ONE: that of our items is there.
 */
static bool read_classes(const struct word *word, bool *ret_has_one)
{
	uint64_t class = 0;
	*ret_has_one = word_is(word, "all");
	if (*ret_has_one)
		return true;
	for (uint32_t at = 0; at < word->len;) {
		uint32_t end = at;
		while (end < word->len && word->text[end] != ',')
			end++;
		const struct word number = {word->text + at, end - at};
		if (!word_u64(&number, &class) || class == 0 || class >= CLASSES_MAX)
			return false;
		*ret_has_one |= class == 1;
		at = end + 1;
	}
	return true;
}

static void crawl(struct talk *talk, const struct word *classes, bool is_dump)
{
	bool has_one;
	if (!read_classes(classes, &has_one))
		talk_puts(talk, "BADCLASS invalid class id\r\n");
	else if (!is_dump)
		talk_puts(talk, "OK\r\n");
	else if (has_one)
		put_items(talk);
	else
		talk_puts(talk, "END\r\n");
}

void run_crawler(struct talk *talk, const struct request *request)
{
	uint64_t value;
	bool sleeps = is_word(request, 1, "sleep");
	if (request->count == 3 &&
	    (is_word(request, 1, "crawl") || is_word(request, 1, "metadump"))) {
		crawl(talk, &request->words[2], is_word(request, 1, "metadump"));
	} else if (request->count == 3 && (sleeps || is_word(request, 1, "tocrawl"))) {
		if (!word_u64(&request->words[2], &value))
			talk_puts(talk, BAD_FORMAT);
		else if (sleeps && value > 1000000)
			talk_puts(talk, "CLIENT_ERROR sleep must be one second or less\r\n");
		else
			talk_puts(talk, "OK\r\n");
	} else if (request->count == 2 &&
		   (is_word(request, 1, "enable") || is_word(request, 1, "disable"))) {
		talk_puts(talk, "OK\r\n");
	} else {
		talk_puts(talk, "ERROR\r\n");
	}
}
