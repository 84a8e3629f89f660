/* For the benches "chain" and "chain_churn": a stage that counts what it sees and lets it pass.
 * With `stages` in its configuration it does so many stages' work for each packet. */
#include <edgeos_packet.h>

#include "guest.h"

EDGEOS_PACKETS(1536)

/* volatile: each stage's work is done as if it were alone. */
static _Alignas(64) struct {
	uint32_t stages;
	struct {
		volatile uint64_t packets, bytes, ipv4, short_ones;
	} counts[6];
} state = {.stages = 1};

static __attribute__((noinline)) uint32_t count(uint32_t stage, const uint8_t *packet, uint32_t len)
{
	state.counts[stage].packets++;
	state.counts[stage].bytes += len;
	state.counts[stage].ipv4 += packet[12] == 8 && packet[13] == 0;
	if (len < 60) {
		state.counts[stage].short_ones++;
		return EDGEOS_DROP;
	}
	return EDGEOS_FORWARD;
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	char value[1];

	if (edgeos_config("stages", 6, value, sizeof(value)) == 1)
		state.stages = (uint32_t)(value[0] - '0');
	uint32_t used = (uint32_t)((char *)&state.counts[state.stages % 7] - (char *)&state);
	if (edgeos_open_packets() < 0 || edgeos_packet_state(&state, used) < 0)
		__builtin_trap();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	uint32_t verdict = EDGEOS_FORWARD;

	for (uint32_t i = 0; i < state.stages && verdict == EDGEOS_FORWARD; i++)
		verdict = count(i % 6, buf, len);
	return verdict;
}
