#include "meta.h"

#include <string.h>

/* --- keys in base64 --- */

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* False: not base64. */
static bool decode_key(struct meta *meta)
{
	const struct word *word = &meta->words[1];
	uint32_t len = word->len, bits = 0, have = 0;
	while (len > 0 && word->text[len - 1] == '=' && word->len - len < 2)
		len--;
	meta->key_len = 0;
	if (word->len % 4 != 0)
		return false;
	for (uint32_t i = 0; i < len; i++) {
		int digit = base64_digit(word->text[i]);
		if (digit < 0)
			return false;
		bits = bits << 6 | (uint32_t)digit;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		meta->key[meta->key_len++] = (char)(bits >> have);
	}
	return meta->key_len > 0;
}

void meta_put_name(struct talk *talk, const char *key, uint32_t key_len, bool is_base64)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (!is_base64) {
		talk_put(talk, key, key_len);
		return;
	}
	for (uint32_t i = 0; i < key_len; i += 3) {
		uint32_t have = key_len - i < 3 ? key_len - i : 3, bits = 0;
		char four[5] = "====";
		for (uint32_t k = 0; k < 3; k++)
			bits = bits << 8 | (k < have ? (uint8_t)key[i + k] : 0);
		for (uint32_t k = 0; k <= have; k++)
			four[k] = digits[bits >> (18 - 6 * k) & 63];
		talk_puts(talk, four);
	}
}

void meta_put_key(struct talk *talk, const char *key, uint32_t key_len, bool is_base64)
{
	talk_puts(talk, " k");
	meta_put_name(talk, key, key_len, is_base64);
	if (is_base64)
		talk_puts(talk, " b");
}

/* --- flags --- */

#define BAD_FORMAT "CLIENT_ERROR bad command line format\r\n"
#define BAD_TOKEN  "CLIENT_ERROR bad token in command line format\r\n"

static const char *read_number(const struct word *token, uint64_t *ret, const char *wrong)
{
	return word_u64(token, ret) ? NULL : wrong;
}

static const char *read_time(const struct word *token, uint32_t *ret)
{
	int64_t given;
	if (!word_i64(token, &given))
		return BAD_TOKEN;
	*ret = expiry_of(given);
	return NULL;
}

/* Those with a token that is looked at; NULL, or what is wrong with it. */
static const char *read_token(struct meta *meta, char letter, const struct word *token)
{
	uint64_t flags = 0;
	switch (letter) {
	case 'N':
		meta->vivifies = true;
		return read_time(token, &meta->vivified);
	case 'T':
		meta->touches = true;
		return read_time(token, &meta->touch);
	case 'R':
		return read_time(token, &meta->recache);
	case 'F':
		if (!word_u64(token, &flags) || flags > UINT32_MAX)
			return BAD_FORMAT;
		meta->flags = (uint32_t)flags;
		return NULL;
	case 'C':
		meta->has_cas = true;
		return read_number(token, &meta->cas, BAD_TOKEN);
	case 'E':
		return read_number(token, &meta->new_cas, BAD_TOKEN);
	case 'D':
		return read_number(token, &meta->delta,
				   "CLIENT_ERROR invalid numeric delta value\r\n");
	case 'J':
		return read_number(token, &meta->initial,
				   "CLIENT_ERROR invalid numeric initial value\r\n");
	default: /* M */
		if (token->len != 1)
			return "CLIENT_ERROR incorrect length for M token\r\n";
		meta->mode = token->text[0];
		return NULL;
	}
}

/* Those without. */
static const char *read_letter(struct meta *meta, char letter)
{
	switch (letter) {
	case 'b':
		meta->is_base64 = true;
		return decode_key(meta) ? NULL : "CLIENT_ERROR error decoding key\r\n";
	case 'q':
		meta->is_quiet = true;
		break;
	case 'v':
		meta->with_value = true;
		break;
	case 'u':
		meta->keeps_use = true;
		break;
	case 'I':
		meta->invalidates = true;
		break;
	default:
		break;
	}
	return NULL;
}

/* One flag; NULL, or what is wrong with it. *RET_IS_END: the others are not looked at. */
static const char *read_flag(struct meta *meta, const struct word *word, bool seen[128],
			     bool *ret_is_end)
{
	const struct word token = {word->text + 1, word->len - 1};
	char letter = word->text[0];
	unsigned index = (unsigned char)letter;
	*ret_is_end = true;
	if (index >= 127 || seen[index])
		return "CLIENT_ERROR duplicate flag\r\n";
	seen[index] = true;
	bool has_token = strchr("NTRFCEDJM", letter) != NULL;
	if (!has_token && strchr("bkstcfvhluqIPLO", letter) == NULL)
		return "CLIENT_ERROR invalid flag\r\n";
	*ret_is_end = false;
	return has_token ? read_token(meta, letter, &token) : read_letter(meta, letter);
}

/* NULL, or the last mistake. */
static const char *read_flags(struct meta *meta)
{
	bool seen[128] = {false}, is_end = false;
	const char *wrong = NULL;
	const struct word *opaque = NULL;
	for (unsigned i = meta->flags_at; i < meta->count && !is_end; i++) {
		const char *now = read_flag(meta, &meta->words[i], seen, &is_end);
		/* As the original: what is wrong with flags of the client has no text of its own.
		 */
		if (now != NULL && (wrong == NULL || is_end || meta->words[i].text[0] != 'F'))
			wrong = now;
		if (meta->words[i].text[0] == 'O')
			opaque = &meta->words[i];
	}
	meta->has_bad_flag = wrong != NULL;
	if (wrong == NULL && opaque != NULL && opaque->len > 1 + OPAQUE_MAX)
		return "CLIENT_ERROR opaque token too long\r\n";
	return wrong;
}

const char *meta_read(struct meta *meta, const char *line, uint32_t len, unsigned flags_at)
{
	*meta = (struct meta){.flags_at = flags_at, .delta = 1};
	meta->count = split_words(line, len, meta->words, WORDS_MAX);
	if (meta->count < 2)
		return "ERROR\r\n";
	if (!is_key(&meta->words[1]) || meta->count < flags_at)
		return BAD_FORMAT;
	if (meta->count >= META_WORDS_MAX + 1)
		return meta->words[0].text[1] == 'g' ? "CLIENT_ERROR options flags are too long\r\n"
						     : "CLIENT_ERROR options flags too long\r\n";
	meta->key_len = meta->words[1].len;
	memcpy(meta->key, meta->words[1].text, meta->key_len);
	return read_flags(meta);
}
