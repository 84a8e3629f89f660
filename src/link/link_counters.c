#include "link/link_counters.h"

#include <string.h>

#include "base/assert.h"

const struct link_counter link_counters[LINK_COUNTERS_COUNT] = {
	{"cell.calls_throttled_total",
	 "Times that a call had to wait because of its host-call rate."},
	{"cell.calls_total", "Calls that were started."},
	{"cell.functions", "Functions that the cell knows."},
	{"cell.memory_pressure_total", "Of these, because the machine had little memory left."},
	{"cell.resident_log_lost_bytes_total",
	 "Bytes that functions that stay logged when there was no room."},
	{"cell.residents", "Instances of functions that stay."},
	{"cell.residents_made_total", "Instances of functions that stay, ever."},
	{"cell.residents_timed_out_total",
	 "Of these, ended because a call was not answered in time."},
	{"cell.shrinks_total", "Times that unused memory was given back."},
	{"cell.templates_failed_total", "Initialisations of functions that failed."},
	{"cell.templates_total", "Initialisations of functions that succeeded."},
	{"fwp.created_total", "Featherweight processes made."},
	{"fwp.exits_total", "Featherweight processes that exited."},
	{"fwp.host_call_waits_total", "Waits of featherweight processes for their host-call rate."},
	{"fwp.kills_total", "Featherweight processes that were killed."},
	{"fwp.refused_total", "Featherweight processes refused at the limit."},
	{"fwp.slots_lost_total", "Reservations that could not be cleaned."},
	{"fwp.slots_total", "Address-space reservations made."},
	{"fwp.templates_total", "Templates captured."},
	{"fwp.timeouts_total", "Featherweight processes that ran out of time."},
	{"fwp.traps_total", "Featherweight processes that died of a trap."},
	{"mma.bytes_total", "Bytes moved between memories."},
	{"mma.dropped_total", "Messages dropped, as nobody could take them."},
	{"mma.faults_total", "Bad descriptors of guests."},
	{"mma.messages_total", "Messages moved between memories."},
	{"mma.ports_killed_total", "Ports killed, as a ring was nonsense."},
};

int link_counters_find(const char *name)
{
	for (int i = 0; i < (int)LINK_COUNTERS_COUNT; i++)
		if (strcmp(link_counters[i].name, name) == 0)
			return i;
	return -1;
}

bool link_counters_is_gauge(unsigned index)
{
	static const char total[] = "_total";
	const char *name = link_counters[index].name;
	size_t len = strlen(name), end = sizeof(total) - 1;
	return len < end || strcmp(name + len - end, total) != 0;
}

void link_counters_get(struct link_span payload, uint64_t ret_values[LINK_COUNTERS_COUNT])
{
	EOS_ASSERT(payload.len == LINK_COUNTERS_COUNT * sizeof(uint64_t));
	memcpy(ret_values, payload.data, payload.len);
}
