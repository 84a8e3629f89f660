/*
 * ratelimit: so many bytes a second for each client, in one direction or in both; more is dropped.
 * A token bucket each: BURST bytes may go at once, RATE fills it again.
 *
 *     sdk/build ratelimit && edgeos chain apply sdk/samples/ratelimit/manifest.yaml
 *     iperf3 -c SERVER        # from behind port lan: 10 Mbit/s
 *
 * Configuration:
 *     rate   of both directions, each with a bucket of its own ("10Mbit", "1MB")
 *     up     of what the clients send, instead of rate
 *     down   of what comes back, instead of rate
 *     burst  bytes ("64KiB"); default: what RATE is in 100 ms, at least 32 KiB
 * A direction without a rate has no limit. Bytes are those of the frames.
 */
#include <stdlib.h>

#include "edgeos_packet.h"
#include "settings.h"

#define NS_PER_S  UINT64_C(1000000000)
#define RATE_MAX  (UINT64_C(1) << 40)
#define BURST_MIN 10000u /* the longest packet must fit */
#define BURST_MAX (UINT64_C(1) << 32)

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

/*
 * A full bucket is one whose FULL_NS has passed. A packet of LEN bytes moves that by the time in
 * which its bytes come back, LEN / RATE, and passes as long as FULL_NS stays within BURST / RATE
 * from now. What the divisions leave is kept, so that the rate and the burst are exact.
 */
struct bucket {
	uint64_t rate;	   /* bytes a second; 0: no limit */
	uint64_t depth_ns; /* BURST / RATE */
	uint64_t depth_rest;
	uint64_t full_ns;
	uint64_t rest; /* of FULL_NS, in 1 / RATE ns; of DEPTH_NS likewise */
};

static struct bucket buckets[2]; /* by the port where packets come in */

enum { PASSED_PACKETS, PASSED_BYTES, DROPPED_PACKETS, DROPPED_BYTES, COUNTERS_EACH };
static struct edgeos_counter counters[] = {
	{"up/passed_packets", 0},    {"up/passed_bytes", 0},	 {"up/dropped_packets", 0},
	{"up/dropped_bytes", 0},     {"down/passed_packets", 0}, {"down/passed_bytes", 0},
	{"down/dropped_packets", 0}, {"down/dropped_bytes", 0},
};

static void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t burst)
{
	*bucket = (struct bucket){.rate = rate};
	if (rate == 0)
		return;
	if (burst == 0)
		burst = rate / 10 > 32768 ? rate / 10 : 32768;
	if (burst > BURST_MAX)
		burst = BURST_MAX;
	bucket->depth_ns = burst * NS_PER_S / rate;
	bucket->depth_rest = burst * NS_PER_S % rate;
}

static bool bucket_take(struct bucket *bucket, uint64_t now_ns, uint32_t len)
{
	if (bucket->rate == 0)
		return true;
	uint64_t full_ns = bucket->full_ns, rest = bucket->rest;
	if (full_ns < now_ns) {
		full_ns = now_ns;
		rest = 0;
	}
	uint64_t cost = len * NS_PER_S + rest;
	full_ns += cost / bucket->rate;
	rest = cost % bucket->rate;
	uint64_t ahead_ns = full_ns - now_ns;
	if (ahead_ns > bucket->depth_ns ||
	    (ahead_ns == bucket->depth_ns && rest > bucket->depth_rest))
		return false;
	bucket->full_ns = full_ns;
	bucket->rest = rest;
	return true;
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	uint64_t rate = settings_rate("rate", 0);
	uint64_t up = settings_rate("up", rate), down = settings_rate("down", rate);
	uint64_t burst = settings_size("burst", 0);
	struct piece piece = {"", 0};
	if (up == 0 && down == 0)
		settings_fail("rate", "needed, or up, or down", piece);
	if (up > RATE_MAX || down > RATE_MAX)
		settings_fail("rate", "too much", piece);
	if (settings_text("burst", &piece) && (burst < BURST_MIN || burst > BURST_MAX))
		settings_fail("burst", "not from 10000 bytes to 4 GiB", piece);
	bucket_init(&buckets[EDGEOS_PORT_CLIENT], up, burst);
	bucket_init(&buckets[EDGEOS_PORT_OUT], down, burst);
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	(void)buf;
	unsigned side = edgeos_slot.info.port == EDGEOS_PORT_CLIENT ? 0 : 1;
	struct edgeos_counter *counter = &counters[side * COUNTERS_EACH];
	bool passes = bucket_take(&buckets[side], edgeos_slot.info.time_ns, len);
	counter[passes ? PASSED_PACKETS : DROPPED_PACKETS].value++;
	counter[passes ? PASSED_BYTES : DROPPED_BYTES].value += len;
	return passes ? EDGEOS_FORWARD : EDGEOS_DROP;
}
