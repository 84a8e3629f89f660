/*
 * Arguments of elements: splitting, finding, and the kinds that are not about networks (those are
 * in args_net.c).
 *
 * An argument that begins with a word of capitals and has more behind it is a keyword's, if
 * somebody reads that keyword; as positional it is never taken, so that a typo is reported.
 */
#include <string.h>

#include "lex.h"

/* --- splitting --- */

/* The text from AT to END, without blanks around it and with one for comments and the blanks
 * around those. */
static char *copy_clean(struct click_arena *arena, const char *at, const char *end)
{
	char *out = click_arena_alloc(arena, (size_t)(end - at) + 1);
	if (out == NULL)
		return NULL;
	size_t len = 0;
	while (at < end) {
		const char *behind = click_skip_comment(at, end);
		if (behind != at) {
			while (len > 0 && click_is_space(out[len - 1]))
				len--;
			while (behind < end && click_is_space(*behind))
				behind++;
			out[len++] = ' ';
			at = behind;
			continue;
		}
		behind = click_skip_quoted(at, end);
		if (behind == at)
			behind = at + 1;
		memcpy(out + len, at, (size_t)(behind - at));
		len += (size_t)(behind - at);
		at = behind;
	}
	size_t blank = 0;
	while (blank < len && click_is_space(out[blank]))
		blank++;
	while (len > blank && click_is_space(out[len - 1]))
		len--;
	memmove(out, out + blank, len - blank);
	out[len - blank] = '\0';
	return out;
}

static void find_keyword(struct click_arg *arg)
{
	const char *at = arg->text;
	while ((*at >= 'A' && *at <= 'Z') || *at == '_' ||
	       (at > arg->text && *at >= '0' && *at <= '9'))
		at++;
	const char *value = at;
	while (click_is_space(*value))
		value++;
	if (at == arg->text || value == at || *value == '\0')
		return;
	arg->keyword_len = (uint32_t)(at - arg->text);
	arg->value = value;
}

static const char *next_comma(const char *at, const char *end)
{
	while (at < end && *at != ',') {
		const char *behind = click_skip_comment(at, end);
		if (behind == at)
			behind = click_skip_quoted(at, end);
		at = behind != at ? behind : at + 1;
	}
	return at;
}

int click_args_split(struct click_arena *arena, const char *config, struct click_arg **ret_args,
		     uint32_t *ret_count)
{
	const char *at = config, *end = config + strlen(config);
	struct click_arg *args = NULL;
	uint32_t count = 0, capacity = 0, line = 0;
	for (;;) {
		const char *comma = next_comma(at, end), *start = at;
		struct click_arg arg = {.text = copy_clean(arena, at, comma)};
		if (arg.text == NULL ||
		    !click_arena_grow(arena, &args, count, &capacity, sizeof(*args)))
			return -1;
		const char *first = start;
		while (first < comma && click_is_space(*first))
			first++;
		arg.line = line + click_count_lines(start, first, end);
		line += click_count_lines(start, comma, end);
		find_keyword(&arg);
		/* "()", and a comma at the end, have nothing behind them. */
		if (comma < end || arg.text[0] != '\0')
			args[count++] = arg;
		if (comma == end)
			break;
		at = comma + 1;
	}
	*ret_args = args;
	*ret_count = count;
	return 0;
}

int click_args_init(struct click_args *args, struct click_element *element, const char *config)
{
	const struct click_place *place = &element->router->places[element->more->index];
	*args = (struct click_args){.router = element->router,
				    .element = element,
				    .file = place->file,
				    .line = place->line,
				    .name = element->more->name,
				    .class = element->more->class->name,
				    .current = UINT32_MAX};
	element->router->naming = element->more->name;
	return click_args_split(click_args_arena(element->router), config, &args->args,
				&args->count);
}

/* --- errors --- */

void click_args_error(struct click_args *args, const char *format, ...)
{
	char prefix[CLICK_NAME_MAX + 80];
	struct click_text text = CLICK_TEXT(prefix);
	prefix[0] = '\0';
	if (args->name != NULL)
		click_text_printf(&text, "%s :: %s: ", args->name, args->class);
	uint32_t line = args->line;
	if (args->current < args->count)
		line += args->args[args->current].line;
	va_list list;
	va_start(list, format);
	click_tell_va(args->router, args->file, line, prefix, format, list);
	va_end(list);
	args->errors++;
}

void click_args_expected(struct click_args *args, const char *key, const char *value,
			 const char *what)
{
	click_args_error(args, "%s: '%.*s' is not %s", key, 60, value, what);
}

static bool is_key(const struct click_arg *arg, const char *key)
{
	return arg->value != NULL && strlen(key) == arg->keyword_len &&
	       memcmp(arg->text, key, arg->keyword_len) == 0;
}

const char *click_args_take(struct click_args *args, const char *key, unsigned flags)
{
	if (args->keys_count < CLICK_KEYS_MAX)
		args->keys[args->keys_count++] = key;
	const char *found = NULL;
	for (uint32_t i = 0; i < args->count; i++) {
		struct click_arg *arg = &args->args[i];
		if (arg->is_read || !is_key(arg, key))
			continue;
		arg->is_read = true;
		args->current = i;
		found = arg->value; /* of several the last, so that what is in front are defaults */
	}
	for (uint32_t i = 0; found == NULL && (flags & CLICK_POSITIONAL) && i < args->count; i++) {
		struct click_arg *arg = &args->args[i];
		if (arg->is_read || arg->value != NULL)
			continue;
		arg->is_read = true;
		args->current = i;
		if (arg->text[0] == '\0')
			break; /* left out, to be as it is by default */
		found = arg->text;
	}
	if (found == NULL && (flags & CLICK_MANDATORY)) {
		args->current = UINT32_MAX;
		click_args_error(args, "the argument %s is missing", key);
	}
	return found;
}

unsigned click_args_count(const struct click_args *args)
{
	return args->count;
}

const char *click_args_at(struct click_args *args, unsigned index)
{
	if (index >= args->count)
		return NULL;
	args->args[index].is_read = true;
	args->current = index;
	return args->args[index].text;
}

int click_args_end(struct click_args *args)
{
	for (uint32_t i = 0; i < args->count; i++) {
		const struct click_arg *arg = &args->args[i];
		if (arg->is_read)
			continue;
		args->current = i;
		if (arg->value == NULL) {
			if (arg->text[0] != '\0')
				click_args_error(args, "'%.*s' is one argument too many", 60,
						 arg->text);
			continue;
		}
		char word[64], guess[120];
		struct click_text keyword = CLICK_TEXT(word), text = CLICK_TEXT(guess);
		guess[0] = word[0] = '\0';
		click_text_add(&keyword, arg->text, arg->keyword_len);
		struct click_nearest nearest = click_nearest_to(word);
		for (unsigned k = 0; k < args->keys_count; k++)
			click_nearest_offer(&nearest, args->keys[k]);
		click_nearest_say(&nearest, &text);
		click_args_error(args, "unknown argument '%s'%s", word, guess);
	}
	args->current = UINT32_MAX;
	return args->errors > 0 ? -1 : 0;
}

/* --- kinds --- */

bool click_parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"false", "true", "no",  "yes", "f", "t",
					    "n",     "y",    "off", "on",  "0", "1"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i], text) == 0) {
			*ret = i % 2 == 1;
			return true;
		}
	}
	return false;
}

void click_arg_bool(struct click_args *args, const char *key, unsigned flags, bool *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !click_parse_bool(value, ret))
		click_args_expected(args, key, value, "true or false");
}

/* Decimal, 0x…, 0b…, or octal with a leading 0, with "_" between digits; the whole of TEXT. */
static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	unsigned base = 10;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		base = 16;
	else if (text[0] == '0' && (text[1] == 'b' || text[1] == 'B'))
		base = 2;
	else if (text[0] == '0' && text[1] != '\0')
		base = 8;
	text += base == 16 || base == 2 ? 2 : base == 8;
	uint64_t value = 0;
	if (*text == '\0' || (*text == '_' && base != 8))
		return false;
	for (; *text != '\0'; text++) {
		if (*text == '_' && text[1] != '_' && text[1] != '\0')
			text++;
		unsigned digit = *text >= '0' && *text <= '9'	? (unsigned)(*text - '0')
				 : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
				 : *text >= 'A' && *text <= 'F' ? (unsigned)(*text - 'A') + 10
								: 99;
		if (digit >= base || value > (max - digit) / base)
			return false;
		value = value * base + digit;
	}
	*ret = value;
	return true;
}

bool click_parse_u32(const char *text, uint32_t *ret)
{
	uint64_t value;
	if (!parse_number(text + (*text == '+'), UINT32_MAX, &value))
		return false;
	*ret = (uint32_t)value;
	return true;
}

void click_arg_int(struct click_args *args, const char *key, unsigned flags, int32_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	uint64_t number;
	if (value == NULL)
		return;
	bool is_negative = value[0] == '-';
	const char *digits = value + (is_negative || value[0] == '+');
	if (!parse_number(digits, (uint64_t)INT32_MAX + is_negative, &number))
		click_args_expected(args, key, value, "an integer of 32 bits");
	else
		*ret = (int32_t)(is_negative ? -(int64_t)number : (int64_t)number);
}

void click_arg_u32(struct click_args *args, const char *key, unsigned flags, uint32_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !click_parse_u32(value, ret))
		click_args_expected(args, key, value, "a number of 32 bits");
}

void click_arg_u64(struct click_args *args, const char *key, unsigned flags, uint64_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !parse_number(value + (*value == '+'), UINT64_MAX, ret))
		click_args_expected(args, key, value, "a number of 64 bits");
}

void click_arg_text(struct click_args *args, const char *key, unsigned flags, const char **ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL)
		*ret = value;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "<00 FF>" behind a backslash, in which there may be comments: its bytes to OUT; AT behind it.
 * False: it is not one. */
static bool add_hex(const char **at, char *out, uint32_t *len)
{
	int high = -1;
	for (const char *in = *at + 1; *in != '\0'; in++) {
		if (*in == '/') {
			const char *end = in + strlen(in), *behind = click_skip_comment(in, end);
			if (behind == in)
				return false;
			in = behind - 1;
			continue;
		}
		if (*in == '>') {
			*at = in + 1;
			return high < 0;
		}
		int digit = hex_digit(*in);
		if (digit < 0 && !click_is_space(*in))
			return false;
		if (digit < 0)
			continue;
		if (high >= 0) {
			out[(*len)++] = (char)(high << 4 | digit);
			high = -1;
		} else {
			high = digit;
		}
	}
	return false;
}

/* A backslash is before AT: what it and that mean. */
static bool add_escape(const char **at, char *out, uint32_t *len)
{
	static const char names[] = "abtnvfr", bytes[] = "\a\b\t\n\v\f\r";
	char c = **at;
	const char *name = strchr(names, c);
	unsigned value = 0, digits = 0;
	if (c == '<')
		return add_hex(at, out, len);
	if (c >= '0' && c <= '7') {
		for (; digits < 3 && **at >= '0' && **at <= '7'; digits++, ++*at)
			value = value * 8 + (unsigned)(**at - '0');
		out[(*len)++] = (char)value;
		return true;
	}
	if (c == 'x' && hex_digit((*at)[1]) >= 0) {
		for (++*at; hex_digit(**at) >= 0; ++*at)
			value = (value << 4 | (unsigned)hex_digit(**at)) & 0xff;
		out[(*len)++] = (char)value;
		return true;
	}
	++*at;
	if (c == '\r' && **at == '\n')
		++*at;
	else if (c != '\n' && c != '\r')
		out[(*len)++] = name != NULL ? bytes[name - names] : c;
	return true;
}

char *click_args_unquote(struct click_args *args, const char *key, const char *text,
			 uint32_t *ret_len)
{
	char *out = click_arena_alloc(click_args_arena(args->router), strlen(text) + 1);
	uint32_t len = 0;
	char quote = 0;
	if (out == NULL) {
		click_args_error(args, "out of memory");
		return NULL;
	}
	for (const char *at = text; *at != '\0';) {
		if (*at == '\\' && quote != '\'' && at[1] != '\0') {
			at++;
			/* Without quotes only "\<…>" means something. */
			if (quote == 0 && *at != '<') {
				out[len++] = '\\';
			} else if (!add_escape(&at, out, &len)) {
				click_args_expected(args, key, text, "a string: bad '\\<…>'");
				return NULL;
			}
		} else if (quote == 0 && (*at == '"' || *at == '\'')) {
			quote = *at++;
		} else if (*at == quote) {
			quote = 0;
			at++;
		} else {
			out[len++] = *at++;
		}
	}
	if (quote != 0) {
		click_args_expected(args, key, text, "a string: its quote is never closed");
		return NULL;
	}
	out[len] = '\0';
	*ret_len = len;
	return out;
}

void click_arg_string(struct click_args *args, const char *key, unsigned flags, const char **ret,
		      uint32_t *ret_len)
{
	const char *value = click_args_take(args, key, flags);
	uint32_t len;
	char *bytes = value != NULL ? click_args_unquote(args, key, value, &len) : NULL;
	if (bytes != NULL) {
		*ret = bytes;
		*ret_len = len;
	}
}

void click_arg_element(struct click_args *args, const char *key, unsigned flags,
		       struct click_element **ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value == NULL)
		return;
	struct click_element *found = click_find(args->element, value);
	if (found != NULL) {
		*ret = found;
		return;
	}
	char guess[CLICK_NAME_MAX + 40];
	struct click_text text = CLICK_TEXT(guess);
	struct click_nearest nearest = click_nearest_to(value);
	guess[0] = '\0';
	for (uint32_t i = 0; i < args->router->elements_count; i++)
		click_nearest_offer(&nearest, args->router->elements[i]->more->name);
	click_nearest_say(&nearest, &text);
	click_args_error(args, "%s: there is no element '%.*s'%s", key, 80, value, guess);
}

/* --- words --- */

static const char *word_end(const char *at)
{
	const char *end = at + strlen(at);
	unsigned depth = 0;
	while (at < end && (depth > 0 || !click_is_space(*at))) {
		const char *behind = click_skip_quoted(at, end);
		if (behind != at) {
			at = behind;
			continue;
		}
		if (*at == '(')
			depth++;
		else if (*at == ')' && depth > 0)
			depth--;
		at++;
	}
	return at;
}

unsigned click_words(struct click_router *router, const char *text, const char **words,
		     unsigned max)
{
	unsigned count = 0;
	while (count < max) {
		while (click_is_space(*text))
			text++;
		if (*text == '\0')
			break;
		const char *end = word_end(text);
		words[count] =
			click_arena_text(click_args_arena(router), text, (size_t)(end - text));
		if (words[count] == NULL)
			break;
		count++;
		text = end;
	}
	return count;
}
