/*
 * SetRandIPAddress(PREFIX [, LIMIT]): sets the destination annotation to an address of PREFIX by
 * chance; to one of LIMIT addresses, if that is more than 0.
 *
 * Each of those is drawn when it is first needed: before the first packet all instances would draw
 * the same.
 */
#include "click.h"
#include "ip.h"

#define LIMIT_MAX 65536

struct random_address {
	struct click_element element;
	uint32_t address, mask;
	uint32_t drawn_max, drawn_count;
	uint32_t *drawn; /* in the order of their first use; NULL: there is no limit */
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct random_address *self = (struct random_address *)element;
	int32_t limit = -1;
	click_arg_ip_prefix(args, "PREFIX", CLICK_POSITIONAL | CLICK_MANDATORY, &self->address,
			    &self->mask);
	click_arg_int(args, "LIMIT", CLICK_POSITIONAL, &limit);
	if (limit > LIMIT_MAX)
		click_args_error(args, "LIMIT is at most %u", LIMIT_MAX);
	if (click_args_end(args) < 0)
		return -1;
	if (limit <= 0)
		return 0;
	self->drawn_max = (uint32_t)limit;
	self->drawn = click_alloc(element->router, self->drawn_max * sizeof(*self->drawn));
	if (self->drawn)
		return 0;
	click_args_error(args, "no memory for %u addresses", self->drawn_max);
	return -1;
}

static uint32_t draw(const struct random_address *self)
{
	uint32_t chance = click_random(self->element.router);
	return (chance & ~self->mask) | (self->address & self->mask);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct random_address *self = (struct random_address *)element;
	if (!self->drawn) {
		packet->destination = draw(self);
		return packet;
	}
	/* The upper half of a product: a number below drawn_max. */
	uint64_t product = (uint64_t)click_random(element->router) * self->drawn_max;
	uint32_t at = (uint32_t)(product >> 32);
	if (at >= self->drawn_count) {
		at = self->drawn_count++;
		self->drawn[at] = draw(self);
	}
	packet->destination = self->drawn[at];
	return packet;
}

const struct click_class click_class_SetRandIPAddress = {
	.name = "SetRandIPAddress",
	.size = sizeof(struct random_address),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
};
