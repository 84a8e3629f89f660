/*
 * Numbers: the protocol's, and values that are numbers.
 */
#include <string.h>

#include "proto.h"

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* As the original, which has C's strtoull() read them: white space and a sign may come first, and
 * what is behind white space, or a zero byte, does not count. */
static bool read_number(const struct word *word, bool *ret_is_negative, uint64_t *ret)
{
	uint32_t at = 0;
	while (at < word->len && is_space(word->text[at]))
		at++;
	bool is_negative = at < word->len && word->text[at] == '-';
	if (at < word->len && (is_negative || word->text[at] == '+'))
		at++;
	uint64_t value = 0;
	uint32_t begin = at;
	for (; at < word->len; at++) {
		unsigned digit = (unsigned)(unsigned char)word->text[at] - '0';
		if (digit > 9)
			break;
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (at == begin)
		return false;
	if (at < word->len && word->text[at] != '\0' && !is_space(word->text[at]))
		return false;
	*ret_is_negative = is_negative;
	*ret = value;
	return true;
}

bool word_u64(const struct word *word, uint64_t *ret)
{
	bool is_negative;
	uint64_t value;
	if (!read_number(word, &is_negative, &value) || (is_negative && value != 0))
		return false;
	*ret = value;
	return true;
}

bool word_i64(const struct word *word, int64_t *ret)
{
	bool is_negative;
	uint64_t value;
	if (!read_number(word, &is_negative, &value) || value > INT64_MAX)
		return false;
	*ret = is_negative ? -(int64_t)value : (int64_t)value;
	return true;
}

bool count_item(const struct item *item, bool is_increment, uint64_t delta, uint64_t *ret)
{
	const struct word text = {item_value_of(item), item->value_len};
	uint64_t value;
	if (!word_u64(&text, &value))
		return false;
	/* Up wraps at 2^64, down ends at 0. */
	if (is_increment)
		value += delta;
	else
		value = value < delta ? 0 : value - delta;
	*ret = value;
	return true;
}

struct item *item_replace_number(struct item *item, const char *text, uint32_t len)
{
	/* As the original: what is not longer keeps its place, with blanks behind it, and all that
	 * is known of the item. */
	if (len <= item->value_len) {
		memcpy(item_value(item), text, len);
		memset(item_value(item) + len, ' ', item->value_len - len);
		item->cas = items_new_cas(item);
		item_bump(item, proto_now);
		return item;
	}
	uint32_t key_len = item->key_len, flags = item->flags, expires = item->expires;
	bool is_binary = item->is_binary;
	char key[KEY_MAX];
	/* Making room may take ITEM itself. */
	memcpy(key, item->data, key_len);
	struct item *made = item_new(key, key_len, len, proto_now);
	if (made == NULL)
		return NULL;
	memcpy(item_value(made), text, len);
	made->flags = flags;
	made->expires = expires;
	made->is_binary = is_binary;
	item_link(made, 0, proto_now);
	return made;
}
