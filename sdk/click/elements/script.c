/*
 * Script, as far as it writes handlers once, when the router starts:
 *
 *	Script(write q.capacity 100, write c.active false)
 *
 * What Click's Script can do besides is refused, not ignored.
 */
#include <string.h>

#include "../core.h"

/* Behind the first word of TEXT and the blanks after it. */
static const char *behind_word(const char *text)
{
	while (*text != '\0' && !click_is_space(*text))
		text++;
	while (click_is_space(*text))
		text++;
	return text;
}

static bool is_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	return strncmp(text, word, len) == 0 && (text[len] == '\0' || click_is_space(text[len]));
}

static bool is_write(const char *text)
{
	return is_word(text, "write") || is_word(text, "writeq");
}

static bool ends(const char *text)
{
	return is_word(text, "end") || is_word(text, "exit");
}

static bool does_nothing(const char *text)
{
	return text[0] == '\0' || strcmp(text, "TYPE ACTIVE") == 0;
}

static int configure(struct click_element *element, struct click_args *args)
{
	(void)element;
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i);
		if (is_write(text) && *behind_word(text) == '\0')
			click_args_error(args, "write: which handler?");
		else if (!is_write(text) && !ends(text) && !does_nothing(text))
			click_args_error(args, "'%.*s' is not supported; only 'write' is", 40,
					 text);
	}
	return click_args_end(args);
}

/* "ELEMENT.HANDLER" as seen from the script's compound, into PATH. False: told. */
static bool resolve(struct click_element *element, struct click_args *args, const char *text,
		    size_t len, struct click_text *path)
{
	char name[CLICK_NAME_MAX + 1], handler[100], guess[120];
	struct click_text last = CLICK_TEXT(handler), hint = CLICK_TEXT(guess);
	size_t dot = len;
	while (dot > 0 && text[dot] != '.')
		dot--;
	memcpy(name, text, dot <= CLICK_NAME_MAX ? dot : 0);
	name[dot <= CLICK_NAME_MAX ? dot : 0] = '\0';
	const struct click_element *found = dot > 0 ? click_find(element, name) : NULL;
	if (found == NULL) {
		click_args_error(args, "write: there is no element for '%.*s'",
				 len > 60 ? 60 : (int)len, text);
		return false;
	}
	handler[0] = guess[0] = '\0';
	click_text_add(&last, text + dot + 1, len - dot - 1);
	if (!click_can_write(found, handler, &hint)) {
		click_args_error(args, "write: there is no handler '%.*s' to write%s",
				 len > 60 ? 60 : (int)len, text, guess);
		return false;
	}
	click_text_printf(path, "%s.%s", found->more->name, handler);
	return true;
}

static void write_one(struct click_element *element, struct click_args *args, const char *text)
{
	const char *handler = behind_word(text), *value = behind_word(handler);
	char bytes[CLICK_NAME_MAX + 110];
	struct click_text path = CLICK_TEXT(bytes);
	size_t len = 0;
	uint32_t value_len;
	while (handler[len] != '\0' && !click_is_space(handler[len]))
		len++;
	if (!resolve(element, args, handler, len, &path))
		return;
	/* writeq takes a layer of quotes away. */
	if (is_word(text, "writeq"))
		value = click_args_unquote(args, "writeq", value, &value_len);
	if (value != NULL && click_router_write(element->router, bytes, value, NULL) < 0)
		click_args_error(args, "write: '%.*s' was refused", 60, handler);
}

static int start(struct click_element *element, struct click_args *args)
{
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i);
		if (ends(text))
			break;
		if (!does_nothing(text))
			write_one(element, args, text);
	}
	return args->errors > 0 ? -1 : 0;
}

const struct click_class click_class_Script = {
	.name = "Script",
	.size = sizeof(struct click_element),
	.port_count = "0/0",
	.processing = "a",
	.configure = configure,
	.start = start,
};
