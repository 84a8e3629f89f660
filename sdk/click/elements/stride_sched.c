/*
 * StrideSched(TICKETS0, …): pulls from its inputs in proportion to their tickets.
 * StrideSwitch(TICKETS0, …): pushes to its outputs, likewise; without any tickets it drops.
 *
 * Each input has a pass, and a stride of 2^16 / tickets. The input with the lowest pass is tried
 * first; the one that gave a packet has its pass moved on by its stride, and is put among the
 * others by its new pass. An input that gives nothing keeps its pass, so that it comes first once
 * it has something; it is tried once a pull. An input with 0 tickets is never tried.
 *
 * The order is an array of inputs, as there are few of them. Passes wrap around and are compared
 * by their difference; so that an input that was long idle is not preferred for as long, it
 * returns with a pass of at most one stride behind the one that was served.
 */
#include <string.h>

#include <click.h>

#include "elements/out.h"

#define STRIDE_ONE  65536u
#define TICKETS_MAX 32768u
#define INPUTS_MAX  64u /* or outputs */

struct client {
	uint32_t pass, stride, tickets;
};

struct stride_sched {
	struct click_element element;
	uint32_t clients_count;
	struct client clients[INPUTS_MAX];
	uint8_t order[INPUTS_MAX]; /* inputs by their pass, those without tickets left out */
	uint32_t order_count;
};

static bool is_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

/* Puts INPUT into the order, as Click in front of those with the same pass. */
static void insert(struct stride_sched *self, unsigned input)
{
	uint32_t at = self->order_count++;
	const uint32_t pass = self->clients[input].pass;
	while (at && !is_before(self->clients[self->order[at - 1]].pass, pass)) {
		self->order[at] = self->order[at - 1];
		at--;
	}
	self->order[at] = (uint8_t)input;
}

static void take_out(struct stride_sched *self, uint32_t at)
{
	self->order_count--;
	for (; at < self->order_count; at++)
		self->order[at] = self->order[at + 1];
}

/* What is nearly in order already, and stays in place where passes are equal. */
static void sort(struct stride_sched *self)
{
	uint8_t before[INPUTS_MAX];
	uint32_t count = self->order_count;
	memcpy(before, self->order, count);
	self->order_count = 0;
	while (count--)
		insert(self, before[count]);
}

static void set_tickets(struct client *client, uint32_t tickets)
{
	client->tickets = tickets;
	client->stride = tickets ? STRIDE_ONE / tickets : 0;
}

static int configure_for(struct click_element *element, uint32_t clients_count, const char *what,
			 struct click_args *args)
{
	struct stride_sched *self = (struct stride_sched *)element;
	if (click_args_count(args) != clients_count) {
		click_args_error(args, "expected the tickets of each of %u %s", clients_count,
				 what);
		return -1;
	}
	if (clients_count > INPUTS_MAX) {
		click_args_error(args, "more than %u %s", INPUTS_MAX, what);
		return -1;
	}
	self->clients_count = clients_count;
	for (unsigned i = 0; i < clients_count; i++) {
		uint32_t tickets = 0;
		const char *text = click_args_at(args, i);
		if (!click_parse_u32(text, &tickets) || tickets > TICKETS_MAX) {
			click_args_error(args, "tickets must be 0 to %u, not '%s'", TICKETS_MAX,
					 text);
			continue;
		}
		set_tickets(&self->clients[i], tickets);
		self->clients[i].pass = self->clients[i].stride;
	}
	/* From the last one, so that the first comes first of those with equal tickets. */
	for (unsigned i = clients_count; i-- > 0;)
		if (self->clients[i].tickets)
			insert(self, i);
	return click_args_end(args);
}

static int configure(struct click_element *element, struct click_args *args)
{
	return configure_for(element, element->inputs_count, "inputs", args);
}

static int switch_configure(struct click_element *element, struct click_args *args)
{
	return configure_for(element, element->outputs_count, "outputs", args);
}

static uint32_t place_of(const struct stride_sched *self, unsigned input)
{
	uint32_t at = 0;
	while (at < self->order_count && self->order[at] != input)
		at++;
	return at;
}

/* INPUT gave a packet. */
static void move_on(struct stride_sched *self, unsigned input)
{
	struct client *client = &self->clients[input];
	uint32_t at = place_of(self, input), served = client->pass;
	/* What was called on the packet's way can have taken its tickets. */
	if (at == self->order_count)
		return;
	/* Those in front had nothing: they may catch up one stride, not more. */
	for (uint32_t i = 0; i < at; i++) {
		struct client *idle = &self->clients[self->order[i]];
		if (is_before(idle->pass, served - idle->stride))
			idle->pass = served - idle->stride;
	}
	take_out(self, at);
	sort(self);
	client->pass = served + client->stride;
	insert(self, input);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	struct stride_sched *self = (struct stride_sched *)element;
	(void)port;
	for (uint32_t at = 0; at < self->order_count; at++) {
		unsigned input = self->order[at];
		struct click_packet *packet = click_pull(element, input);
		if (!packet)
			continue;
		move_on(self, input);
		return packet;
	}
	return NULL;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct stride_sched *self = (struct stride_sched *)element;
	(void)port;
	if (!self->order_count) {
		click_kill(element, packet);
		return;
	}
	unsigned output = self->order[0];
	move_on(self, output);
	click_push(element, output, packet);
}

static uint32_t read_tickets(struct click_element *element, char *out, uint32_t size)
{
	const struct stride_sched *self = (const struct stride_sched *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	for (uint32_t i = 0; i < self->clients_count; i++) {
		if (i)
			click_out_char(&to, ' ');
		click_out_u64(&to, self->clients[i].tickets);
	}
	return to.len;
}

/* "INPUT TICKETS" */
static int write_tickets(struct click_element *element, const char *text, struct click_args *args)
{
	struct stride_sched *self = (struct stride_sched *)element;
	char word[16] = "";
	uint32_t input = 0, tickets = 0, len = 0;
	while (text[len] && text[len] != ' ' && len < sizeof(word) - 1) {
		word[len] = text[len];
		len++;
	}
	if (!click_parse_u32(word, &input) || text[len] != ' ' ||
	    !click_parse_u32(text + len + 1, &tickets) || input >= self->clients_count ||
	    tickets > TICKETS_MAX) {
		click_args_error(args, "expected 'INPUT TICKETS'");
		return -1;
	}
	uint32_t at = place_of(self, input);
	if (at < self->order_count)
		take_out(self, at);
	struct client *client = &self->clients[input];
	set_tickets(client, tickets);
	if (self->order_count)
		client->pass = self->clients[self->order[0]].pass + client->stride;
	if (tickets)
		insert(self, input);
	click_notify(element);
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "tickets", .read = read_tickets, .write = write_tickets},
	{.name = NULL},
};

const struct click_class click_class_StrideSched = {
	.name = "StrideSched",
	.size = sizeof(struct stride_sched),
	.port_count = "1-/1",
	.processing = "l/l",
	.configure = configure,
	.pull = pull,
	.handlers = handlers,
};

const struct click_class click_class_StrideSwitch = {
	.name = "StrideSwitch",
	.size = sizeof(struct stride_sched),
	.port_count = "1/1-",
	.processing = "h/h",
	.configure = switch_configure,
	.push = push,
	.handlers = handlers,
};
