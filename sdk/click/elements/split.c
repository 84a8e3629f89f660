#include "elements/split.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool click_split(struct click_split *split, const char *text, uint32_t len)
{
	split->count = 0;
	if (len >= sizeof(split->text))
		return false;
	memcpy(split->text, text, len);
	split->text[len] = '\0';
	bool is_in_word = false;
	for (uint32_t i = 0; i < len; i++) {
		if (is_space(split->text[i])) {
			split->text[i] = '\0';
			is_in_word = false;
		} else if (!is_in_word) {
			if (split->count == CLICK_SPLIT_WORDS)
				return false;
			split->words[split->count++] = split->text + i;
			is_in_word = true;
		}
	}
	return true;
}
