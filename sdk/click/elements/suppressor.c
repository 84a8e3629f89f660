/*
 * Suppressor: passes packets from each input to the output of that number, except at ports that a
 * handler made inactive: what is pushed there is dropped, and nothing can be pulled.
 *
 * Handlers are of the class, not of the element: so there are some for PORTS ports, and further
 * ones are always active.
 */
#include "click.h"
#include "elements/out.h"

struct suppressor {
	struct click_element element;
	uint32_t is_suppressed[CLICK_PORTS_MAX / 32];
};

static bool is_suppressed(const struct click_element *element, unsigned port)
{
	const struct suppressor *self = (const struct suppressor *)element;
	return self->is_suppressed[port / 32] >> port % 32 & 1;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	if (is_suppressed(element, port))
		click_kill(element, packet);
	else
		click_push(element, port, packet);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	return is_suppressed(element, port) ? NULL : click_pull(element, port);
}

static int no_arguments(struct click_element *element, struct click_args *args)
{
	(void)element;
	return click_args_end(args);
}

/* --- handlers --- */

static uint32_t read_active(const struct click_element *element, unsigned port, char *out,
			    uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	if (port < element->inputs_count)
		click_out_add(&text, is_suppressed(element, port) ? "false" : "true");
	return text.len;
}

static int write_active(struct click_element *element, unsigned port, const char *text,
			struct click_args *args)
{
	uint32_t *word = &((struct suppressor *)element)->is_suppressed[port / 32];
	bool is_active;
	if (port >= element->inputs_count || !click_parse_bool(text, &is_active)) {
		click_args_error(args, "'%.*s' is not whether one of %u ports is active", 60, text,
				 element->inputs_count);
		return -1;
	}
	*word = (*word & ~(1u << port % 32)) | (uint32_t)!is_active << port % 32;
	/* There may have been something to pull for long. */
	if (is_active)
		click_notify(element);
	return 0;
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	for (unsigned i = 0; i < CLICK_PORTS_MAX / 32; i++)
		((struct suppressor *)element)->is_suppressed[i] = 0;
	click_notify(element);
	return 0;
}

#define PORTS(DO)                                                                                  \
	DO(0)                                                                                      \
	DO(1)                                                                                      \
	DO(2)                                                                                      \
	DO(3)                                                                                      \
	DO(4)                                                                                      \
	DO(5)                                                                                      \
	DO(6)                                                                                      \
	DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

#define FUNCTIONS(PORT)                                                                            \
	static uint32_t read_active##PORT(struct click_element *element, char *out, uint32_t size) \
	{                                                                                          \
		return read_active(element, PORT, out, size);                                      \
	}                                                                                          \
	static int write_active##PORT(struct click_element *element, const char *text,             \
				      struct click_args *args)                                     \
	{                                                                                          \
		return write_active(element, PORT, text, args);                                    \
	}
PORTS(FUNCTIONS)

#define HANDLER(PORT)                                                                              \
	{.name = "active" #PORT, .read = read_active##PORT, .write = write_active##PORT},

static const struct click_handler handlers[] = {
	PORTS(HANDLER){.name = "reset", .write = reset},
	{.name = NULL},
};

const struct click_class click_class_Suppressor = {
	.name = "Suppressor",
	.size = sizeof(struct suppressor),
	.port_count = "-/=",
	.processing = "a/a",
	.flow_code = "#/#",
	.configure = no_arguments,
	.push = push,
	.pull = pull,
	.handlers = handlers,
};
