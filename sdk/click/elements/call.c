#include "elements/call.h"

#include <string.h>

#include "../core.h"

static bool can_be_written(const struct click_element *element, const char *name, size_t len)
{
	const struct click_handler *handler = element->more->class->handlers;
	for (; handler != NULL && handler->name != NULL; handler++)
		if (strlen(handler->name) == len && memcmp(handler->name, name, len) == 0)
			return handler->write != NULL;
	return false;
}

/* "ELEMENT.HANDLER" of LEN bytes into PATH. */
static bool find_path(struct click_element *element, const char *text, size_t len, char *path)
{
	char name[CLICK_NAME_MAX + 1];
	struct click_text out = {path, CLICK_CALL_PATH_MAX, 0};
	size_t dot = len;
	while (dot > 0 && text[dot - 1] != '.')
		dot--;
	if (dot < 2 || dot - 1 > CLICK_NAME_MAX || len - dot > 64)
		return false;
	memcpy(name, text, dot - 1);
	name[dot - 1] = '\0';
	const struct click_element *found = click_find(element, name);
	if (found == NULL || !can_be_written(found, text + dot, len - dot))
		return false;
	click_text_printf(&out, "%s.%.*s", found->more->name, (int)(len - dot), text + dot);
	return true;
}

const char *click_call_number(const char *text, uint64_t *ret)
{
	uint64_t value = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');
		/* More is never reached. */
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	if (at == text || (*at != '\0' && !click_is_space(*at)))
		return NULL;
	while (click_is_space(*at))
		at++;
	*ret = value;
	return at;
}

bool click_call_set(struct click_call *call, struct click_element *element, const char *text,
		    struct click_args *args)
{
	struct click_call made = {.is_set = true};
	size_t len = 0;
	while (text[len] != '\0' && !click_is_space(text[len]))
		len++;
	const char *value = text + len;
	while (click_is_space(*value))
		value++;
	bool is_stop = len == 4 && memcmp(text, "stop", 4) == 0;
	if (!is_stop && !find_path(element, text, len, made.path)) {
		click_args_error(args, "'%.*s' is no handler that can be written", 60, text);
		return false;
	}
	if (strlen(value) >= sizeof(made.value)) {
		click_args_error(args, "a value has at most %u bytes", CLICK_CALL_VALUE_MAX - 1);
		return false;
	}
	memcpy(made.value, value, strlen(value) + 1);
	*call = made;
	return true;
}

static void log_line(void *ctx, const char *line)
{
	click_log(ctx, line);
}

void click_call_run(struct click_call *call, struct click_router *router)
{
	struct click_errors errors = {.ctx = router, .tell = log_line};
	if (call == NULL || !call->is_set || call->is_running || call->path[0] == '\0')
		return;
	call->is_running = true;
	if (call->is_refused)
		errors.tell = NULL;
	if (click_router_write(router, call->path, call->value, &errors) < 0)
		call->is_refused = true;
	call->is_running = false;
}
