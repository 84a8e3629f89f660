/*
 * Values that are numbers.
 */
#include <string.h>

#include "proto.h"

bool count_item(const struct item *item, bool is_increment, uint64_t delta, uint64_t *ret)
{
	const struct word text = {item->data + item->key_len, item->value_len};
	uint64_t value;
	struct word digits = text;
	/* Blanks stay behind a number that has become shorter. */
	while (digits.len > 0 && digits.text[digits.len - 1] == ' ')
		digits.len--;
	if (!word_u64(&digits, &value))
		return false;
	/* Up wraps at 2^64, down ends at 0. */
	if (is_increment)
		value += delta;
	else
		value = value < delta ? 0 : value - delta;
	*ret = value;
	return true;
}

struct item *item_replace_value(struct item *item, const char *text, uint32_t len)
{
	/* As memcached: a number that becomes shorter keeps its place, with blanks behind it. */
	uint32_t value_len = len < item->value_len && item->value_len <= 20 ? item->value_len : len;
	uint32_t key_len = item->key_len, flags = item->flags, expires = item->expires;
	char key[KEY_MAX];
	/* Making room may take ITEM itself. */
	memcpy(key, item->data, key_len);
	struct item *made = item_new(key, key_len, value_len, proto_now);
	if (made == NULL)
		return NULL;
	memcpy(item_value(made), text, len);
	memset(item_value(made) + len, ' ', value_len - len);
	made->flags = flags;
	made->expires = expires;
	item_link(made, 0, proto_now);
	return made;
}
