/*
 * SetTimestamp([TIMESTAMP], FIRST): sets the timestamp annotation to TIMESTAMP seconds since 1970,
 * or to the current time; with FIRST the annotation of the first timestamp.
 */
#include <string.h>

#include <click.h>

/* Where Click has the first timestamp: eight bytes, here as nanoseconds in the host's order. */
#define FIRST_ANNO 40u

struct set_timestamp {
	struct click_element element;
	uint64_t time_ns; /* UINT64_MAX: the current time */
	bool is_first;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct set_timestamp *self = (struct set_timestamp *)element;
	self->time_ns = UINT64_MAX;
	click_arg_duration_ns(args, "TIMESTAMP", CLICK_POSITIONAL, &self->time_ns);
	click_arg_bool(args, "FIRST", 0, &self->is_first);
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	const struct set_timestamp *self = (const struct set_timestamp *)element;
	uint64_t time_ns = self->time_ns == UINT64_MAX ? click_wall_ns() : self->time_ns;
	if (!self->is_first) {
		packet->time_ns = time_ns;
		return packet;
	}
	packet->has_anno = true;
	memcpy(packet->anno + FIRST_ANNO, &time_ns, sizeof(time_ns));
	return packet;
}

const struct click_class click_class_SetTimestamp = {
	.name = "SetTimestamp",
	.size = sizeof(struct set_timestamp),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
};
