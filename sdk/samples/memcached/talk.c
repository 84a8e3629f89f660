/*
 * From bytes to lines and values.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

#define OUT_MAX (4u << 20)

uint32_t proto_now = 1;
uint64_t proto_epoch;
struct proto_stats proto_stats;

void talk_init(struct talk *talk, uint32_t peer)
{
	memset(talk, 0, sizeof(*talk));
	talk->peer = peer;
}

void talk_fini(struct talk *talk)
{
	item_free(talk->item);
	free(talk->line);
	free(talk->out);
	talk->item = NULL;
	talk->line = talk->out = NULL;
}

/* --- answers --- */

static bool make_out_room(struct talk *talk, size_t len)
{
	uint32_t cap = talk->out_cap == 0 ? 2048 : talk->out_cap;
	if (talk->out_len + len <= talk->out_cap)
		return true;
	while (cap < talk->out_len + len && cap <= OUT_MAX)
		cap *= 2;
	char *out = cap > OUT_MAX ? NULL : realloc(talk->out, cap);
	if (out == NULL) {
		talk->is_broken = true;
		return false;
	}
	talk->out = out;
	talk->out_cap = cap;
	return true;
}

void talk_put(struct talk *talk, const char *data, size_t len)
{
	/* In pieces: a connection keeps no more for its answers than goes at once. */
	while (len > 0 && !talk->is_broken) {
		size_t n = len;
		if (talk->flush_bytes != 0 && n > talk->flush_bytes - talk->out_len)
			n = talk->flush_bytes - talk->out_len;
		if (!make_out_room(talk, n))
			return;
		memcpy(talk->out + talk->out_len, data, n);
		talk->out_len += (uint32_t)n;
		data += n;
		len -= n;
		if (talk->out_len == talk->flush_bytes)
			talk->flush(talk);
	}
}

void talk_puts(struct talk *talk, const char *text)
{
	talk_put(talk, text, strlen(text));
}

void talk_answer(struct talk *talk, const struct request *request, const char *text)
{
	if (!request->is_quiet)
		talk_puts(talk, text);
}

void talk_printf(struct talk *talk, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n > 0)
		talk_put(talk, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* --- words --- */

unsigned split_words(const char *line, uint32_t len, struct word *words, unsigned max)
{
	unsigned count = 0;
	uint32_t at = 0;
	while (count < max) {
		while (at < len && line[at] == ' ')
			at++;
		if (at == len)
			break;
		uint32_t begin = at;
		while (at < len && line[at] != ' ')
			at++;
		words[count++] = (struct word){line + begin, at - begin};
	}
	return count;
}

bool word_is(const struct word *word, const char *text)
{
	return strlen(text) == word->len && memcmp(word->text, text, word->len) == 0;
}

bool is_key(const struct word *word)
{
	return word->len > 0 && word->len <= KEY_MAX;
}

uint32_t expiry_of(int64_t given)
{
	const int64_t relative_max = 60 * 60 * 24 * 30;
	if (given == 0)
		return 0;
	/* In the past; 1 is as early as there is. */
	if (given < 0)
		return 1;
	if (given > relative_max)
		given -= (int64_t)proto_epoch;
	else
		given += proto_now;
	if (given <= 1)
		return 1;
	return given > UINT32_MAX ? UINT32_MAX : (uint32_t)given;
}

/* --- input --- */

void talk_take_value(struct talk *talk, struct item *item, uint32_t len,
		     void (*stored)(struct talk *talk))
{
	talk->item = item;
	talk->stored = stored;
	talk->tail_seen = 0;
	talk->is_tail_bad = false;
	talk->value_left = item != NULL ? len : 0;
	/* With its end of line. */
	talk->skip_left = item != NULL ? 0 : len + 2;
}

/* A browser that was sent here. */
static bool is_http(const char *line, uint32_t len)
{
	uint32_t at = len;
	while (at > 0 && line[at - 1] != ' ')
		at--;
	return at > 0 && len - at >= 5 && memcmp(line + at, "HTTP/", 5) == 0;
}

static void run_line(struct talk *talk, const char *line, uint32_t len)
{
	struct word name;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	/* As the original, for which a line is a string of C. */
	const char *zero = memchr(line, '\0', len);
	if (zero != NULL)
		len = (uint32_t)(zero - line);
	bool is_known = split_words(line, len, &name, 1) == 1 &&
			(name.len == 2 && name.text[0] == 'm' ? meta_command(talk, line, len)
							      : classic_command(talk, line, len));
	if (is_known)
		return;
	if (is_http(line, len))
		talk->must_close = true;
	else
		talk_puts(talk, "ERROR\r\n");
}

const char *no_room(const struct word *key, bool is_large, bool is_replaced)
{
	struct item *old = items_find(key->text, key->len, proto_now);
	if (old != NULL && is_replaced)
		items_remove(old);
	*(is_large ? &proto_stats.too_large : &proto_stats.no_memory) += 1;
	return is_large ? "SERVER_ERROR object too large for cache\r\n"
			: "SERVER_ERROR out of memory storing object\r\n";
}

static uint32_t take_value(struct talk *talk, const char *data, uint32_t len)
{
	struct item *item = talk->item;
	uint32_t n = len < talk->value_left ? len : talk->value_left;
	memcpy(item_value(item) + (talk->set.given_len - talk->value_left), data, n);
	talk->value_left -= n;
	for (; n < len && talk->value_left == 0 && talk->tail_seen < 2; n++)
		talk->is_tail_bad |= data[n] != "\r\n"[talk->tail_seen++];
	if (talk->value_left > 0 || talk->tail_seen < 2)
		return n;
	if (talk->is_tail_bad) {
		proto_stats.cmd_set++;
		item_free(item);
		talk->item = NULL;
		if (talk->set.is_meta || !talk->set.is_quiet)
			talk_puts(talk, "CLIENT_ERROR bad data chunk\r\n");
	} else {
		talk->stored(talk);
		talk->item = NULL;
	}
	return n;
}

/* How long a line may be that begins like this. */
static uint32_t line_max(const char *line, uint32_t len)
{
	static const char *const names[] = {"get", "gets", "gat", "gats"};
	struct word name;
	if (split_words(line, len, &name, 1) == 0)
		return LINE_MAX;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (word_is(&name, names[i]))
			return LINE_MAX_GET;
	}
	return LINE_MAX;
}

static bool make_room(struct talk *talk, uint32_t len)
{
	uint32_t cap = talk->line_cap == 0 ? 1024 : talk->line_cap;
	while (cap < len)
		cap *= 2;
	if (cap == talk->line_cap)
		return true;
	char *line = realloc(talk->line, cap);
	if (line == NULL)
		return false;
	talk->line = line;
	talk->line_cap = cap;
	return true;
}

/* Keeps what has no end yet. */
static void keep_line(struct talk *talk, const char *data, uint32_t len)
{
	uint32_t sum = talk->line_len + len;
	bool is_short = sum <= LINE_MAX;
	if ((is_short || sum <= LINE_MAX_GET) && make_room(talk, sum)) {
		memcpy(talk->line + talk->line_len, data, len);
		talk->line_len = sum;
		if (is_short || sum <= line_max(talk->line, sum))
			return;
	}
	talk_puts(talk, "CLIENT_ERROR line too long\r\n");
	talk->must_close = true;
}

/* One that was long is not kept for the next. */
static void forget_line(struct talk *talk)
{
	if (talk->line_cap <= LINE_MAX)
		return;
	free(talk->line);
	talk->line = NULL;
	talk->line_cap = 0;
}

static uint32_t take_line(struct talk *talk, const char *data, uint32_t len)
{
	const char *end = memchr(data, '\n', len);
	uint32_t n = end == NULL ? len : (uint32_t)(end - data) + 1;
	if (end != NULL && talk->line_len == 0) {
		run_line(talk, data, n - 1);
	} else {
		keep_line(talk, data, n);
		if (end != NULL && !talk->must_close) {
			uint32_t line_len = talk->line_len - 1;
			talk->line_len = 0;
			run_line(talk, talk->line, line_len);
			forget_line(talk);
		}
	}
	return n;
}

void talk_input(struct talk *talk, const char *data, uint32_t len)
{
	proto_stats.bytes_read += len;
	while (len > 0 && !talk->must_close && !talk->is_broken) {
		uint32_t n;
		if (talk->skip_left > 0) {
			n = len < talk->skip_left ? len : talk->skip_left;
			talk->skip_left -= n;
		} else if (talk->item != NULL) {
			n = take_value(talk, data, len);
		} else {
			n = take_line(talk, data, len);
		}
		data += n;
		len -= n;
	}
}
