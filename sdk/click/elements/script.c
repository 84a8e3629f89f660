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

static bool does_nothing(const char *text)
{
	return text[0] == '\0' || is_word(text, "end") || is_word(text, "exit") ||
	       strcmp(text, "TYPE ACTIVE") == 0;
}

static int configure(struct click_element *element, struct click_args *args)
{
	(void)element;
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i);
		if (is_write(text) && *behind_word(text) == '\0')
			click_args_error(args, "write: which handler?");
		else if (!is_write(text) && !does_nothing(text))
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

static int start(struct click_element *element, struct click_args *args)
{
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *text = click_args_at(args, i), *handler = behind_word(text);
		char path[CLICK_NAME_MAX + 100];
		size_t len = 0;
		if (does_nothing(text))
			continue;
		while (handler[len] != '\0' && !click_is_space(handler[len]))
			len++;
		if (!resolve(element, handler, len, path, sizeof(path))) {
			click_args_error(args, "write: there is no element for '%.*s'",
					 len > 60 ? 60 : (int)len, handler);
			continue;
		}
		if (click_router_write(element->router, path, behind_word(handler), NULL) < 0)
			click_args_error(args, "write: '%.*s' was refused", 60, handler);
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
