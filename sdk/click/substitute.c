/*
 * Variables in arguments: $name, ${name}, ${name-default}, and ${name[2]}, a word of the value.
 *
 * Nothing is replaced within single quotes and comments. Within double quotes a value stands for
 * its own bytes, whatever they are, so they are escaped there.
 *
 * Definitions of one compound hold at once, whatever their order; so each is computed when it is
 * asked for first. One that refers to itself means the variable of that name further outside.
 */
#include <string.h>

#include "parse.h"

struct place {
	const char *file;
	uint32_t line;
};

/* Of a definition that is being computed. */
static const char under_way[] = "";

static const char *expand(struct click_expansion *expansion, const struct click_environment *env,
			  const char *text, const struct place *place);

static int complain(struct click_expansion *expansion, const struct place *place,
		    const char *format, ...)
{
	va_list list;
	va_start(list, format);
	click_tell_va(expansion->parser->router, place->file, place->line, NULL, format, list);
	va_end(list);
	expansion->failed = true;
	return -1;
}

const char *click_variable_value(struct click_expansion *expansion,
				 const struct click_environment *env, uint32_t index)
{
	const struct click_variable *variable = &env->compound->variables[index];
	if (env->values[index] == NULL) {
		const struct place place = {variable->file, variable->line};
		env->values[index] = under_way;
		env->values[index] = expand(expansion, env, variable->value, &place);
	}
	return env->values[index];
}

static const char *lookup(struct click_expansion *expansion, const struct click_environment *env,
			  const char *name, size_t len)
{
	for (; env != NULL; env = env->parent) {
		uint32_t i = click_names_find(&env->compound->variable_names, name, len);
		if (i != CLICK_NONE && env->values[i] != under_way)
			return click_variable_value(expansion, env, i);
	}
	return NULL;
}

/* Word INDEX of TEXT; words are separated by blanks outside of quotes. */
static const char *word_of(struct click_expansion *expansion, const char *text, uint32_t index)
{
	const char *end = text + strlen(text), *at = text;
	for (;; index--) {
		while (at < end && click_is_space(*at))
			at++;
		const char *start = at;
		while (at < end && !click_is_space(*at)) {
			const char *behind = click_skip_quoted(at, end);
			at = behind != at ? behind : at + 1;
		}
		if (index == 0 || start == at)
			return click_parse_copy(expansion->parser, start, (size_t)(at - start));
	}
}

static const char *skip_space(const char *at)
{
	while (click_is_space(*at))
		at++;
	return at;
}

/* What is between the braces: a name, maybe an index, maybe a default. NULL: it is not defined. */
static const char *braced_value(struct click_expansion *expansion,
				const struct click_environment *env, const char *text)
{
	const char *name = skip_space(text), *at = name, *digits;
	uint32_t index = 0;
	while (click_is_variable(*at))
		at++;
	size_t len = (size_t)(at - name);
	at = skip_space(at);
	bool has_index = *at == '[';
	if (has_index) {
		at = digits = skip_space(at + 1);
		for (; *at >= '0' && *at <= '9'; at++)
			index = index < CLICK_TEXT_MAX ? index * 10 + (uint32_t)(*at - '0') : index;
		has_index = at > digits && *at == ']';
		at = skip_space(at + (*at == ']'));
	}
	const char *value = len > 0 ? lookup(expansion, env, name, len) : NULL;
	if (value != NULL)
		return has_index ? word_of(expansion, value, index) : value;
	return *at == '-' ? at + 1 : NULL;
}

/* The variable that begins at AT: its value, and RET_END behind it. NULL: it is none of ours. */
static const char *variable_at(struct click_expansion *expansion,
			       const struct click_environment *env, const char *at,
			       const struct place *place, const char **ret_end)
{
	const char *end = at + 1;
	if (*end != '{') {
		while (click_is_variable(*end))
			end++;
		*ret_end = end;
		return end > at + 1 ? lookup(expansion, env, at + 1, (size_t)(end - at - 1)) : NULL;
	}
	end = strchr(at, '}');
	if (end == NULL)
		return NULL;
	*ret_end = end + 1;
	const char *text = click_parse_copy(expansion->parser, at + 2, (size_t)(end - at - 2));
	text = expand(expansion, env, text, place);
	return text != NULL ? braced_value(expansion, env, text) : NULL;
}

/* Between double quotes: so that it means the same bytes there. */
static void add_quoted(struct click_text *out, const char *value)
{
	static const char names[] = "trn", bytes[] = "\t\r\n";
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		const char *named = strchr(bytes, *value);
		char octal[] = {'\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)),
				(char)('0' + (c & 7))};
		if (named != NULL)
			click_text_add(out, (char[]){'\\', names[named - bytes]}, 2);
		else if (c < ' ' || c >= 127)
			click_text_add(out, octal, sizeof(octal));
		else if (c == '\\' || c == '"' || c == '$')
			click_text_add(out, (char[]){'\\', *value}, 2);
		else
			click_text_add(out, value, 1);
	}
}

static void replace(struct click_expansion *expansion, const struct click_environment *env,
		    const char *text, const struct place *place, struct click_text *out)
{
	const char *text_end = text + strlen(text);
	char quote = 0;
	for (const char *at = text; at < text_end && !expansion->failed;) {
		const char *end = at, *value = NULL;
		if (*at == '$' && quote != '\'')
			value = variable_at(expansion, env, at, place, &end);
		if (value != NULL && quote == '"')
			add_quoted(out, value);
		else if (value != NULL)
			click_text_puts(out, value);
		if (value != NULL) {
			at = end;
			continue;
		}
		end = quote == 0 ? click_skip_comment(at, text_end) : at;
		if (quote == '"' && *at == '\\' && text_end - at >= 2)
			end = at + 2;
		else if (quote == 0 && (*at == '"' || *at == '\''))
			quote = *at;
		else if (quote == *at)
			quote = 0;
		end = end > at ? end : at + 1;
		click_text_add(out, at, (size_t)(end - at));
		at = end;
	}
}

static const char *expand(struct click_expansion *expansion, const struct click_environment *env,
			  const char *text, const struct place *place)
{
	if (strchr(text, '$') == NULL)
		return text;
	if (expansion->value_depth >= CLICK_VALUE_DEPTH_MAX) {
		(void)complain(expansion, place, "variables refer to each other deeper than %u",
			       CLICK_VALUE_DEPTH_MAX);
		return NULL;
	}
	char **scratch = &expansion->scratch[expansion->value_depth];
	if (*scratch == NULL)
		*scratch = click_arena_alloc(expansion->parser->arena, CLICK_ARGUMENTS_MAX + 1);
	if (*scratch == NULL) {
		expansion->parser->no_memory = expansion->failed = true;
		return NULL;
	}
	struct click_text out = {*scratch, CLICK_ARGUMENTS_MAX + 1, 0};
	out.at[0] = '\0';
	expansion->value_depth++;
	replace(expansion, env, text, place, &out);
	expansion->value_depth--;
	if (out.len >= CLICK_ARGUMENTS_MAX && !expansion->failed)
		(void)complain(expansion, place, "the arguments are longer than %u bytes",
			       CLICK_ARGUMENTS_MAX);
	return expansion->failed ? NULL : click_parse_copy(expansion->parser, out.at, out.len);
}

const char *click_substitute(struct click_expansion *expansion, const struct click_environment *env,
			     const char *text, const char *file, uint32_t line)
{
	const struct place place = {file, line};
	return expand(expansion, env, text, &place);
}
