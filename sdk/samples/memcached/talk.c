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

void talk_put(struct talk *talk, const char *data, size_t len)
{
	if (talk->flush_bytes != 0 && talk->out_len + len > talk->flush_bytes && talk->out_len > 0)
		talk->flush(talk);
	if (talk->out_len + len > talk->out_cap) {
		uint32_t cap = talk->out_cap == 0 ? 2048 : talk->out_cap;
		while (cap < talk->out_len + len)
			cap *= 2;
		char *out = cap > OUT_MAX ? NULL : realloc(talk->out, cap);
		if (out == NULL) {
			talk->is_broken = true;
			return;
		}
		talk->out = out;
		talk->out_cap = cap;
	}
	memcpy(talk->out + talk->out_len, data, len);
	talk->out_len += (uint32_t)len;
}

void talk_puts(struct talk *talk, const char *text)
{
	talk_put(talk, text, strlen(text));
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

bool word_u64(const struct word *word, uint64_t *ret)
{
	uint64_t value = 0;
	if (word->len == 0 || word->len > 20)
		return false;
	for (uint32_t i = 0; i < word->len; i++) {
		unsigned digit = (unsigned)(unsigned char)word->text[i] - '0';
		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret = value;
	return true;
}

bool word_i64(const struct word *word, int64_t *ret)
{
	struct word digits = *word;
	uint64_t value;
	bool is_negative = digits.len > 0 && digits.text[0] == '-';
	if (is_negative) {
		digits.text++;
		digits.len--;
	}
	if (!word_u64(&digits, &value) || value > INT64_MAX)
		return false;
	*ret = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool is_key(const struct word *word)
{
	if (word->len == 0 || word->len > KEY_MAX)
		return false;
	for (uint32_t i = 0; i < word->len; i++) {
		unsigned char c = (unsigned char)word->text[i];
		if (c <= ' ' || c == 0x7f)
			return false;
	}
	return true;
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

static void run_line(struct talk *talk, const char *line, uint32_t len)
{
	if (len > 0 && line[len - 1] == '\r')
		len--;
	bool is_known = len >= 2 && line[0] == 'm' && (len == 2 || line[2] == ' ')
				? meta_command(talk, line, len)
				: classic_command(talk, line, len);
	if (!is_known)
		talk_puts(talk, "ERROR\r\n");
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
		item_free(item);
		talk->item = NULL;
		talk_puts(talk, "CLIENT_ERROR bad data chunk\r\n");
	} else {
		talk->stored(talk);
		talk->item = NULL;
	}
	return n;
}

/* Keeps what has no end yet. */
static void keep_line(struct talk *talk, const char *data, uint32_t len)
{
	if (talk->line == NULL)
		talk->line = malloc(LINE_MAX);
	if (talk->line == NULL || talk->line_len + len > LINE_MAX) {
		talk_puts(talk, "CLIENT_ERROR line too long\r\n");
		talk->must_close = true;
		return;
	}
	memcpy(talk->line + talk->line_len, data, len);
	talk->line_len += len;
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
