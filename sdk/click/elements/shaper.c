/*
 * Shaper(RATE), BandwidthShaper(RATE): let packets or bytes be pulled at no more than RATE a
 * second, evenly.
 *
 * A Shaper's bucket holds one packet: after one was pulled, the next can be 1/RATE seconds later.
 * A BandwidthShaper's holds nothing: a packet passes when there is no debt, and owes its length,
 * so that the next can be LENGTH/RATE seconds later.
 *
 * Who is refused would wait for a notification that never comes, as the queue before did not
 * change: a timer tells him when the next packet may go.
 */
#include <click.h>

#include "elements/out.h"
#include "elements/rate.h"

struct shaper {
	struct click_element element;
	struct click_rate rate;
};

static int configure_as(struct shaper *self, bool is_bandwidth, struct click_args *args)
{
	self->rate.is_bandwidth = is_bandwidth;
	click_bucket_init(&self->rate.bucket, 0, is_bandwidth ? 0 : 1, click_now_ns());
	return click_rate_change(&self->rate, args);
}

static int shaper_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct shaper *)element, false, args);
}

static int bandwidth_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct shaper *)element, true, args);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	struct shaper *self = (struct shaper *)element;
	uint64_t tokens = self->rate.is_bandwidth ? 0 : 1;
	uint64_t now_ns = click_now_ns();
	(void)port;
	if (self->rate.bucket.rate == 0)
		return NULL;
	if (!click_bucket_has(&self->rate.bucket, tokens, now_ns)) {
		click_timer_set(element, now_ns + click_bucket_wait_ns(&self->rate.bucket, tokens));
		return NULL;
	}
	struct click_packet *packet = click_pull(element, 0);
	if (packet)
		click_bucket_owe(&self->rate.bucket, self->rate.is_bandwidth ? packet->len : 1);
	return packet;
}

static void run_timer(struct click_element *element)
{
	click_notify(element);
}

static uint32_t read_rate(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct shaper *)element)->rate.bucket.rate);
}

static int write_rate(struct click_element *element, const char *text, struct click_args *args)
{
	struct shaper *self = (struct shaper *)element;
	(void)text;
	if (click_rate_change(&self->rate, args) < 0)
		return -1;
	click_notify(element);
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "rate", .read = read_rate, .write = write_rate},
	{.name = NULL},
};

const struct click_class click_class_Shaper = {
	.name = "Shaper",
	.size = sizeof(struct shaper),
	.port_count = "1/1",
	.processing = "l/l",
	.configure = shaper_configure,
	.pull = pull,
	.run_timer = run_timer,
	.handlers = handlers,
};

const struct click_class click_class_BandwidthShaper = {
	.name = "BandwidthShaper",
	.size = sizeof(struct shaper),
	.port_count = "1/1",
	.processing = "l/l",
	.configure = bandwidth_configure,
	.pull = pull,
	.run_timer = run_timer,
	.handlers = handlers,
};
