#include "elements/ip_words.h"

bool ip_words_init(struct ip_words *words, struct click_arena *arena, uint32_t size)
{
	*words = (struct ip_words){.size_max = size};
	/* Each byte may be a word, which has a NUL behind it. */
	words->text = click_arena_alloc(arena, 2 * (size_t)size + 1);
	words->words = click_arena_alloc(arena, ((size_t)size + 1) * sizeof(*words->words));
	return words->text && words->words;
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '/' || c == '@' || c == '_' || c == ':';
}

/* How many bytes the word at AT has; 0: it is none (a space, a quote). */
static uint32_t measure(const char *at)
{
	uint32_t len = 0;
	while (is_word(at[len]))
		len++;
	if (len)
		return len;
	switch (at[0]) {
	case ' ':
	case '\t':
	case '\n':
	case '\r':
	case '"':
		return 0;
	case '&':
	case '|':
		return at[1] == at[0] ? 2 : 1;
	case '<':
	case '>':
	case '!':
	case '=':
		return at[1] == '=' ? 2 : 1;
	default:
		return 1;
	}
}

void ip_words_split(struct ip_words *words, const char *text)
{
	char *to = words->text;
	uint32_t at = 0;
	words->count = 0;
	while (at < words->size_max && text[at]) {
		uint32_t len = measure(text + at);
		if (!len) {
			at++;
			continue;
		}
		words->words[words->count++] = to;
		for (; len && at < words->size_max; len--)
			*to++ = text[at++];
		*to++ = '\0';
	}
	words->words[words->count] = "";
}

bool ip_word_number(const char *word, uint32_t *ret)
{
	uint32_t base = 10;
	uint64_t value = 0;
	if (word[0] == '0' && (word[1] == 'x' || word[1] == 'X')) {
		base = 16;
		word += 2;
	} else if (word[0] == '0' && word[1]) {
		base = 8;
		word++;
	}
	if (!*word)
		return false;
	for (; *word; word++) {
		uint32_t digit = 99;
		if (*word >= '0' && *word <= '9')
			digit = (uint32_t)(*word - '0');
		else if ((*word | 32) >= 'a' && (*word | 32) <= 'f')
			digit = (uint32_t)((*word | 32) - 'a' + 10);
		if (digit >= base)
			return false;
		value = value * base + digit;
		if (value > UINT32_MAX)
			return false;
	}
	*ret = (uint32_t)value;
	return true;
}
