#include "elements/reasons.h"

#include "elements/out_more.h"

void click_check_configure(struct click_check *check, struct click_args *args)
{
	click_arg_bool(args, "VERBOSE", 0, &check->is_verbose);
	click_arg_bool(args, "DETAILS", 0, &check->has_details);
}

static void tell(struct click_check *check, unsigned reason)
{
	char line[128];
	struct click_out text;
	click_out_init(&text, line, sizeof(line) - 1);
	click_out_add(&text, check->element.more->name);
	click_out_add(&text, ": ");
	click_out_add(&text, check->what);
	click_out_add(&text, " header check failed: ");
	click_out_add(&text, check->reasons[reason]);
	line[text.len] = '\0';
	click_log(check->element.router, line);
}

struct click_packet *click_check_drop(struct click_check *check, unsigned reason,
				      struct click_packet *packet)
{
	if (*check->drops == 0 || check->is_verbose)
		tell(check, reason);
	(*check->drops)++;
	check->by_reason[reason]++;
	click_push(&check->element, 1, packet);
	return NULL;
}

static uint32_t read_details(struct click_element *element, char *out, uint32_t size)
{
	struct click_check *check = (struct click_check *)element;
	struct click_out text;
	click_out_init(&text, out, size);
	for (uint32_t i = 0; check->has_details && i < check->reasons_count; i++) {
		click_out_u64(&text, check->by_reason[i]);
		click_out_char(&text, '\t');
		click_out_add(&text, check->reasons[i]);
		click_out_char(&text, '\n');
	}
	return text.len;
}

const struct click_handler click_check_handlers[] = {
	{.name = "count", .counter = offsetof(struct click_check, passed)},
	{.name = "drops", .counter = offsetof(struct click_check, drops)},
	{.name = "drop_details", .read = read_details},
	{.name = NULL},
};
