/*
 * An encoded word is "=?" charset "?" encoding "?" text "?=", at most 75 characters; white space
 * between two of them belongs to the coding and is dropped.
 */
#include "s3/s3_mime_word.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "crypto/crypto.h"

#define WORD_LEN_MAX 75u
/* Base64 of this, in "=?UTF-8?B?" and "?=", makes 72 characters. */
#define WORD_BYTES 45u

struct word {
	const char *charset, *text;
	size_t charset_len, text_len;
	char encoding; /* 'B' or 'Q' */
	size_t len;    /* of the whole */
};

static bool parse_word(const char *at, struct word *word)
{
	if (at[0] != '=' || at[1] != '?')
		return false;
	word->charset = at + 2;
	word->charset_len = strcspn(word->charset, "? ");
	const char *mark = word->charset + word->charset_len;
	if (word->charset_len == 0 || mark[0] != '?' || mark[1] == '\0' || mark[2] != '?')
		return false;
	word->encoding = mark[1] >= 'a' ? (char)(mark[1] - 'a' + 'A') : mark[1];
	word->text = mark + 3;
	word->text_len = strcspn(word->text, "? ");
	const char *end = word->text + word->text_len;
	word->len = (size_t)(end - at) + 2;
	return end[0] == '?' && end[1] == '=' && word->len <= WORD_LEN_MAX &&
	       (word->encoding == 'B' || word->encoding == 'Q');
}

static bool is_charset(const struct word *word, const char *name)
{
	return word->charset_len == strlen(name) &&
	       strncasecmp(word->charset, name, word->charset_len) == 0;
}

/* "=E9" is a byte and '_' a space. The count of bytes, or -1. */
static long decode_q(const struct word *word, char *out)
{
	long n = 0;
	for (size_t i = 0; i < word->text_len; i++) {
		char c = word->text[i];
		if (c == '=') {
			char digits[3] = {0};
			if (i + 2 >= word->text_len)
				return -1;
			memcpy(digits, word->text + i + 1, 2);
			if (eos_hex_decode(digits, &c, 1) < 0)
				return -1;
			i += 2;
		} else if (c == '_') {
			c = ' ';
		}
		out[n++] = c;
	}
	return n;
}

/* Appends the word's text as UTF-8; false: it is none. */
static bool put_word(struct eos_buf *out, const struct word *word)
{
	uint8_t bytes[WORD_LEN_MAX];
	long n = word->encoding == 'B' ? crypto_base64_decode(word->text, word->text_len, bytes)
				       : decode_q(word, (char *)bytes);

	if (n < 0 || memchr(bytes, '\0', (size_t)n) != NULL)
		return false;
	if (is_charset(word, "iso-8859-1")) {
		for (long i = 0; i < n; i++) {
			char utf8[2] = {(char)(0xc0 | bytes[i] >> 6),
					(char)(0x80 | (bytes[i] & 0x3f))};
			if (bytes[i] < 0x80)
				eos_buf_append(out, &bytes[i], 1);
			else
				eos_buf_append(out, utf8, 2);
		}
		return true;
	}
	/* A character must not be cut between two words. */
	if ((!is_charset(word, "utf-8") && !is_charset(word, "us-ascii")) ||
	    !eos_utf8_is_valid(bytes, (size_t)n))
		return false;
	eos_buf_append(out, bytes, (size_t)n);
	return true;
}

void s3_mime_decode(struct eos_buf *out, const char *text)
{
	bool was_word = false;

	/* So that there is a text even if TEXT is empty. */
	eos_buf_append(out, "", 0);
	while (*text != '\0') {
		struct word word;
		size_t blanks = was_word ? strspn(text, " \t") : 0;
		was_word = parse_word(text + blanks, &word) && put_word(out, &word);
		if (was_word) {
			text += blanks + word.len;
			continue;
		}
		eos_buf_append(out, text, blanks + (text[blanks] != '\0'));
		text += blanks + (text[blanks] != '\0');
	}
}

static bool is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

void s3_mime_encode(struct eos_buf *out, const char *text)
{
	size_t len = strlen(text);

	if (is_plain(text) || !eos_utf8_is_valid(text, len)) {
		eos_buf_append(out, text, len);
		return;
	}
	for (size_t at = 0; at < len;) {
		char base64[4 * ((WORD_BYTES + 2) / 3) + 1];
		size_t n = len - at < WORD_BYTES ? len - at : WORD_BYTES;
		/* Not in the middle of a character: its later bytes are 10xxxxxx. */
		while (at + n < len && ((unsigned char)text[at + n] & 0xc0) == 0x80)
			n--;
		crypto_base64_encode(text + at, n, base64);
		eos_buf_printf(out, "%s=?UTF-8?B?%s?=", at > 0 ? " " : "", base64);
		at += n;
	}
}
