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

/* "ELEMENT.HANDLER" as seen from the script's compound, into PATH. */
static bool resolve(struct click_element *element, const char *text, size_t len, char *path,
		    uint32_t size)
{
	char name[CLICK_NAME_MAX + 1];
	size_t dot = len;
	while (dot > 0 && text[dot] != '.')
		dot--;
	if (dot == 0 || dot > CLICK_NAME_MAX)
		return false;
	memcpy(name, text, dot);
	name[dot] = '\0';
	const struct click_element *found = click_find(element, name);
	struct click_text out = {path, size, 0};
	if (found == NULL)
		return false;
	click_text_printf(&out, "%s%.*s", found->more->name, (int)(len - dot), text + dot);
	return true;
}

static void write_one(struct click_element *element, struct click_args *args, const char *text)
{
	const char *handler = behind_word(text), *value = behind_word(handler);
	char path[CLICK_NAME_MAX + 100];
	size_t len = 0;
	uint32_t value_len;
	while (handler[len] != '\0' && !click_is_space(handler[len]))
		len++;
	if (!resolve(element, handler, len, path, sizeof(path))) {
		click_args_error(args, "write: there is no element for '%.*s'",
				 len > 60 ? 60 : (int)len, handler);
		return;
	}
	/* writeq takes a layer of quotes away. */
	if (is_word(text, "writeq"))
		value = click_args_unquote(args, "writeq", value, &value_len);
	if (value != NULL && click_router_write(element->router, path, value, NULL) < 0)
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
