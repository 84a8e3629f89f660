/*
 * What cells count: edged has a counter of its own for each of link_counters.h, which shows the sum
 * over all cells since edged started. A cell says how far it has come, the difference to what it
 * said before is added. So a new cell, which begins at zero, takes nothing away; what the last one
 * counted after its last report (a second's worth at most) is lost.
 *
 * Gauges are what the present cell has: they are zero while there is none.
 *
 * Hostile cells. A value is bounded (link_proto.c) and may not go back where it only grows: that
 * costs the cell its life. Sums stay at their end when they reach it. Nothing here is more than the
 * cell's own word, and nothing in edged depends on it.
 */
#include <errno.h>
#include <string.h>

#include "base/counter.h"
#include "link/link_counters.h"
#include "supervisor/supervisor_priv.h"

static struct eos_counter counters[LINK_COUNTERS_COUNT];

__attribute__((constructor)) static void register_counters(void)
{
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++) {
		counters[i].name = link_counters[i].name;
		counters[i].help = link_counters[i].help;
		eos_counter_register(&counters[i]);
	}
}

/* The loop's thread is the only one that adds. */
static void add(struct eos_counter *counter, uint64_t n)
{
	eos_counter_add(counter, EOS_MIN(n, UINT64_MAX - eos_counter_read(counter)));
}

int supervisor_counters_take(struct supervisor *supervisor, const struct link_message *message)
{
	uint64_t values[LINK_COUNTERS_COUNT];
	uint64_t *seen = supervisor->counters_seen;
	link_counters_get(message->payload, values);
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++)
		if (values[i] < seen[i] && !link_counters_is_gauge(i))
			return -EBADMSG;
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++) {
		if (values[i] >= seen[i])
			add(&counters[i], values[i] - seen[i]);
		else
			eos_counter_sub(&counters[i], seen[i] - values[i]);
	}
	memcpy(seen, values, sizeof(values));
	return 0;
}

void supervisor_counters_lost(struct supervisor *supervisor)
{
	uint64_t *seen = supervisor->counters_seen;
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++) {
		if (link_counters_is_gauge(i))
			eos_counter_sub(&counters[i], seen[i]);
		seen[i] = 0;
	}
}
