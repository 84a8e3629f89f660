/*
 * Text without the C library's formatted output, which functions shall not carry.
 */
#include <string.h>

#include "core.h"

void click_text_add(struct click_text *text, const char *bytes, size_t len)
{
	if (text->size == 0)
		return;
	size_t room = text->size - 1 - text->len;
	if (len > room)
		len = room;
	memcpy(text->at + text->len, bytes, len);
	text->len += (uint32_t)len;
	text->at[text->len] = '\0';
}

void click_text_puts(struct click_text *text, const char *string)
{
	click_text_add(text, string, strlen(string));
}

static void add_number(struct click_text *text, uint64_t value, unsigned base)
{
	char digits[20];
	unsigned count = 0;
	do {
		digits[sizeof(digits) - ++count] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value > 0);
	click_text_add(text, digits + sizeof(digits) - count, count);
}

void click_text_u64(struct click_text *text, uint64_t value)
{
	add_number(text, value, 10);
}

/* What follows a '%'; returns the last character of it. */
static const char *add_one(struct click_text *text, const char *format, va_list *list)
{
	char c;
	int number;
	const char *string;
	switch (*format) {
	case 's':
		string = va_arg(*list, const char *);
		click_text_puts(text, string != NULL ? string : "-");
		break;
	case 'u':
		add_number(text, va_arg(*list, unsigned), 10);
		break;
	case 'x':
		add_number(text, va_arg(*list, unsigned), 16);
		break;
	case 'd':
		number = va_arg(*list, int);
		if (number < 0)
			click_text_puts(text, "-");
		add_number(text, number < 0 ? 0u - (unsigned)number : (unsigned)number, 10);
		break;
	case 'c':
		c = (char)va_arg(*list, int);
		click_text_add(text, &c, 1);
		break;
	case 'l': /* %llu */
		add_number(text, va_arg(*list, unsigned long long), 10);
		return format + 2;
	case '.': /* %.*s */
		number = va_arg(*list, int);
		string = va_arg(*list, const char *);
		click_text_add(text, string, strnlen(string, number > 0 ? (size_t)number : 0));
		return format + 2;
	default:
		click_text_add(text, format, 1);
	}
	return format;
}

void click_text_format(struct click_text *text, const char *format, va_list list)
{
	va_list copy;
	va_copy(copy, list);
	for (const char *at = format; *at != '\0'; at++) {
		if (*at != '%') {
			click_text_add(text, at, 1);
			continue;
		}
		if (at[1] == '\0')
			break;
		at = add_one(text, at + 1, &copy);
	}
	va_end(copy);
}

void click_text_printf(struct click_text *text, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	click_text_format(text, format, list);
	va_end(list);
}

/* The bytes of the character at AT, which has LEFT bytes; 0: it is malformed, or a control. */
static uint32_t utf8_len(const unsigned char *at, uint32_t left)
{
	unsigned char c = at[0];
	uint32_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (c < ' ' || (c >= 127 && c < 0xc2) || c > 0xf4 || len > left)
		return 0;
	for (uint32_t i = 1; i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	/* U+0080 to U+009F are controls; what is longer than needed, surrogates, beyond U+10FFFF */
	if ((c == 0xc2 && at[1] < 0xa0) || (c == 0xe0 && at[1] < 0xa0) ||
	    (c == 0xed && at[1] >= 0xa0) || (c == 0xf0 && at[1] < 0x90) ||
	    (c == 0xf4 && at[1] >= 0x90))
		return 0;
	return len;
}

void click_text_clean(struct click_text *text)
{
	for (uint32_t i = 0; i < text->len;) {
		unsigned char *at = (unsigned char *)text->at + i;
		uint32_t len = utf8_len(at, text->len - i);
		if (len == 0)
			*at = *at < ' ' ? ' ' : '?';
		i += len > 0 ? len : 1;
	}
}

bool click_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

bool click_is_variable(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

bool click_is_name(char c)
{
	return click_is_variable(c) || c == '@';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Levenshtein's, with a row; the case of a letter does not count. */
unsigned click_distance(const char *a, const char *b, unsigned limit)
{
	enum { MAX = 64 };
	uint8_t row[MAX + 1];
	size_t a_len = strnlen(a, MAX + 1), b_len = strnlen(b, MAX + 1);
	size_t apart = a_len > b_len ? a_len - b_len : b_len - a_len;
	if (a_len > MAX || b_len > MAX || apart > limit)
		return limit + 1;
	for (size_t j = 0; j <= b_len; j++)
		row[j] = (uint8_t)j;
	for (size_t i = 1; i <= a_len; i++) {
		unsigned before = row[0];
		row[0] = (uint8_t)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned change = before + (lower(a[i - 1]) != lower(b[j - 1]));
			before = row[j];
			unsigned least = row[j] < row[j - 1] ? row[j] + 1u : row[j - 1] + 1u;
			row[j] = (uint8_t)(change < least ? change : least);
		}
	}
	return row[b_len] <= limit ? row[b_len] : limit + 1;
}

struct click_nearest click_nearest_to(const char *word)
{
	size_t len = strlen(word);
	/* Of short words fewer letters may be wrong. */
	return (struct click_nearest){word, NULL, len < 3 ? 1 : len < 6 ? 2 : 3};
}

void click_nearest_offer(struct click_nearest *nearest, const char *candidate)
{
	unsigned distance = click_distance(nearest->word, candidate, nearest->distance);
	if (distance > nearest->distance || (distance == nearest->distance && nearest->best))
		return;
	nearest->best = candidate;
	nearest->distance = distance;
}

void click_nearest_say(const struct click_nearest *nearest, struct click_text *text)
{
	if (nearest->best != NULL)
		click_text_printf(text, "; did you mean '%s'?", nearest->best);
}
