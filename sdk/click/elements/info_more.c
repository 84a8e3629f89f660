/*
 * Align(MODULUS, OFFSET), AlignmentInfo(ELEMENT [MODULUS OFFSET ...], ...) and
 * ScheduleInfo(ELEMENT PARAM, ...): what Click's tools and tuning leave in configurations.
 *
 * Their arguments are checked and mean nothing here: headers are read a byte at a time wherever
 * they are, and each task has its turn.
 */
#include <string.h>

#include "click.h"

/* --- Align --- */

static int align_configure(struct click_element *element, struct click_args *args)
{
	uint32_t modulus = 2, offset = 0;
	(void)element;
	click_arg_u32(args, "MODULUS", CLICK_POSITIONAL | CLICK_MANDATORY, &modulus);
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL | CLICK_MANDATORY, &offset);
	if (modulus != 2 && modulus != 4 && modulus != 8)
		click_args_error(args, "MODULUS is 2, 4 or 8");
	else if (offset >= modulus)
		click_args_error(args, "OFFSET must be less than MODULUS");
	return click_args_end(args);
}

static struct click_packet *align_simple(struct click_element *element, struct click_packet *packet)
{
	(void)element;
	return packet;
}

const struct click_class click_class_Align = {
	.name = "Align",
	.size = sizeof(struct click_element),
	.port_count = "1/1",
	.processing = "a",
	.configure = align_configure,
	.simple = align_simple,
};

/* --- AlignmentInfo --- */

/* A name, and two numbers for each input. */
#define WORDS_MAX (1 + 2 * CLICK_PORTS_MAX)

static bool are_numbers(const char *const *words, unsigned count)
{
	uint32_t number;
	for (unsigned i = 0; i < count; i++)
		if (!click_parse_u32(words[i], &number))
			return false;
	return true;
}

static int alignment_configure(struct click_element *element, struct click_args *args)
{
	const char *words[WORDS_MAX + 1];
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i);
		unsigned count = click_words(element->router, text, words, WORDS_MAX + 1);
		/* As in Click, elements need not be there. */
		if (count == 0 || click_find(element, words[0]) == NULL)
			continue;
		if (count % 2 != 1 || count > WORDS_MAX || !are_numbers(words + 1, count - 1))
			click_args_error(args, "'%.*s' is not 'ELEMENT [MODULUS OFFSET ...]'", 60,
					 text);
	}
	return click_args_end(args);
}

const struct click_class click_class_AlignmentInfo = {
	.name = "AlignmentInfo",
	.size = sizeof(struct click_element),
	.port_count = "0/0",
	.processing = "a",
	.configure = alignment_configure,
	.configures_first = true,
};

/* --- ScheduleInfo --- */

/* Beyond these the parameter, in 1,024ths, does not fit into 32 bits. */
#define PARAM_END 2097152.0

static const char *skip_digits(const char *at, double *value, int *decimals)
{
	for (; *at >= '0' && *at <= '9'; at++, (*decimals)++)
		*value = *value * 10 + (*at - '0');
	return at;
}

/* "1.5", "-2", ".5e2" */
static bool is_param(const char *text)
{
	double value = 0, power = 0;
	int whole = 0, decimals = 0, digits = 0;
	const char *at = text + (*text == '-' || *text == '+');
	at = skip_digits(at, &value, &whole);
	if (*at == '.')
		at = skip_digits(at + 1, &value, &decimals);
	if (whole + decimals == 0)
		return false;
	bool is_small = false;
	if (*at == 'e' || *at == 'E') {
		is_small = at[1] == '-';
		at = skip_digits(at + 1 + (at[1] == '-' || at[1] == '+'), &power, &digits);
		if (digits == 0 || power > 99)
			return false;
	}
	for (int exponent = (is_small ? -(int)power : (int)power) - decimals; exponent != 0;
	     exponent += exponent < 0 ? 1 : -1)
		value = exponent < 0 ? value / 10 : value * 10;
	return *at == '\0' && value < PARAM_END;
}

static int schedule_configure(struct click_element *element, struct click_args *args)
{
	const char *words[3];
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i);
		unsigned count = click_words(element->router, text, words, 3);
		if (count > 0 && (count != 2 || !is_param(words[1])))
			click_args_error(args, "expected 'ELEMENT PARAM', not '%.*s'", 60, text);
	}
	return click_args_end(args);
}

const struct click_class click_class_ScheduleInfo = {
	.name = "ScheduleInfo",
	.size = sizeof(struct click_element),
	.port_count = "0/0",
	.processing = "a",
	.configure = schedule_configure,
	.configures_first = true,
};
