/*
 * Tells edged what the cell counts (link/link_counters.h), at most once in REPORT_NS and only when
 * something has changed: a cell without work sends one last report and then sleeps.
 *
 * Not on request at the time of a scrape: an answer would be waited for, in edged and behind
 * whatever guest has the processor, and a second makes no difference to those who read counters.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/counter.h"
#include "cell/cell_priv.h"

#define REPORT_NS EOS_NS_PER_S

static void note_counter(void *ctx, const struct eos_counter *counter)
{
	struct cell *cell = ctx;
	int place = link_counters_find(counter->name);
	if (place >= 0)
		cell->counters[place] = counter;
}

void cell_counters_init(struct cell *cell)
{
	eos_counter_each(note_counter, cell);
	cell->counters_next_ns = eos_now_ns() + REPORT_NS;
}

/* True when they are not what was said last. */
static bool read_counters(struct cell *cell, uint64_t values[LINK_COUNTERS_COUNT])
{
	fwp_engine_count(cell->engine);
	EOS_LIST_FOR_EACH (link, &cell->residents) {
		mma_count(EOS_CONTAINER_OF(link, struct cell_resident, link)->mma);
	}
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++) {
		uint64_t value =
			cell->counters[i] != NULL ? eos_counter_read(cell->counters[i]) : 0;
		values[i] = EOS_MIN(value, LINK_COUNTER_MAX);
	}
	return memcmp(values, cell->counters_sent, sizeof(cell->counters_sent)) != 0;
}

int cell_counters_report(struct cell *cell, uint64_t now_ns)
{
	uint64_t values[LINK_COUNTERS_COUNT];
	struct link_counters_report report = {
		.header = {.kind = LINK_COUNTERS, .payload_len = sizeof(values)},
	};
	if (now_ns < cell->counters_next_ns)
		return 0;
	cell->counters_next_ns = now_ns + REPORT_NS;
	cell->has_counted = false;
	if (!read_counters(cell, values))
		return 0;
	int err = link_send(cell->link, &report, sizeof(report), values, sizeof(values));
	if (err == 0)
		memcpy(cell->counters_sent, values, sizeof(values));
	return err == -EAGAIN ? 0 : err; /* no room: the next one says it all */
}

uint64_t cell_counters_due(struct cell *cell)
{
	uint64_t values[LINK_COUNTERS_COUNT];
	if (!cell->has_counted)
		cell->has_counted = read_counters(cell, values);
	return cell->has_counted ? cell->counters_next_ns : UINT64_MAX;
}
