/*
 * dpi: looks for patterns in what TCP and UDP carry, both ways, also where a pattern is spread over
 * segments. A flow in which one was found is dropped from then on, or leaves by another port.
 *
 *     sdk/build dpi && edgeos chain apply sdk/samples/dpi/manifest.yaml
 *     curl http://SERVER/etc/passwd     # is seen on port trap, not on wan
 *
 * Configuration:
 *     patterns, patterns2 … patterns9   "PATTERN; PATTERN": see patterns.h
 *     ignore_case  yes or no (default)
 *     verdict      drop (default) or mark: by the next hop named
 *     hop          (default "suspicious")
 *     gaps         drop (default): segments ahead of what was seen wait to be sent again in order,
 *                  so that nothing hides in their order, and a SYN in the middle of a conversation
 *                  is dropped, as is what no receiver takes: segments with a wrong checksum, or
 *                  without an acknowledgement; pass: they are looked at by themselves
 * Counters: one for each pattern, by its place in the configuration.
 *
 * Urgent bytes of TCP are made bytes like the others, as the receiver would take them out of what
 * it reads, and a pattern would be there that was not seen here.
 *
 * Limits: a segment that is sent twice is looked at by itself the second time, so a pattern can be
 * hidden by sending other bytes under the same numbers, and by a pause of five minutes within it.
 * Fragments are dropped with gaps: drop, as the later ones cannot be told apart. Encrypted data is
 * opaque.
 */
#include <stdlib.h>
#include <string.h>

#include "edgeos_packet.h"
#include "flows.h"
#include "patterns.h"

#define NS_PER_S     UINT64_C(1000000000)
#define FLOWS_PLACES 4096u
#define IDLE_NS	     (300 * NS_PER_S)
#define SINCE_MAX    (1u << 31)

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

/* Of one direction. */
struct half {
	uint32_t next_seq;
	uint32_t begin; /* behind its SYN, if it has_syn */
	uint32_t since; /* bytes from there on; no more than SINCE_MAX */
	uint16_t state;
	bool is_known; /* NEXT_SEQ is */
	bool has_syn, has_bytes, has_fin;
};

struct seen {
	struct flow flow;
	struct half halves[2]; /* by the port where it comes in */
	bool has_match;
	bool is_over; /* TCP: both have sent their FIN, or one a reset */
};

static struct seen seen[FLOWS_PLACES];
static struct flows flows = FLOWS_OF(seen);
static bool drops_gaps, has_begun;
static uint32_t verdict;

enum {
	CLEAN,
	MATCHED,
	BYTES,
	GAPS,
	FRAGMENTS,
	MALFORMED,
	EVICTED,
	URGENT,
	REFUSED,
	FIXED_COUNTERS
};
#define NAMED_MAX 99u
static struct edgeos_counter counters[FIXED_COUNTERS + NAMED_MAX] = {
	[CLEAN] = {"clean", 0},		  [MATCHED] = {"matched", 0},
	[BYTES] = {"bytes", 0},		  [GAPS] = {"gaps", 0},
	[FRAGMENTS] = {"fragments", 0},	  [MALFORMED] = {"malformed", 0},
	[EVICTED] = {"flows_evicted", 0}, [URGENT] = {"urgent", 0},
	[REFUSED] = {"refused", 0},
};

static void read_patterns(void)
{
	char key[] = "patterns\0";
	struct piece text, wrong;
	patterns_clear();
	for (char digit = '1'; digit <= '9'; digit++) {
		key[8] = digit == '1' ? '\0' : digit;
		if (settings_text(key, &text) && !patterns_add(text, &wrong))
			settings_fail(key, "not a pattern, or too many", wrong);
	}
	if (patterns_count() == 0)
		settings_fail("patterns", "needed", (struct piece){"", 0});
	if (!patterns_compile(settings_bool("ignore_case", false)))
		settings_fail("patterns", "too many", (struct piece){"", 0});
}

static void read_verdict(void)
{
	struct piece text;
	verdict = EDGEOS_DROP;
	if (!settings_text("verdict", &text) || piece_is(text, "drop"))
		return;
	if (!piece_is(text, "mark"))
		settings_fail("verdict", "neither drop nor mark", text);
	if (!settings_text("hop", &text))
		text = (struct piece){"suspicious", 10};
	int32_t port = edgeos_port(text.text, text.len);
	if (port < 0)
		settings_fail("hop", "no such next hop", text);
	verdict = EDGEOS_HOP + (uint32_t)port;
}

static unsigned named_count(void)
{
	return patterns_count() < NAMED_MAX ? patterns_count() : NAMED_MAX;
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	struct piece text;
	read_patterns();
	read_verdict();
	drops_gaps = true;
	if (settings_text("gaps", &text)) {
		drops_gaps = piece_is(text, "drop");
		if (!drops_gaps && !piece_is(text, "pass"))
			settings_fail("gaps", "neither drop nor pass", text);
	}
	for (unsigned i = 0; i < named_count(); i++) {
		char *name = counters[FIXED_COUNTERS + i].name;
		memcpy(name, "pattern_00", 11);
		name[8] = (char)('0' + (i + 1) / 10);
		name[9] = (char)('0' + (i + 1) % 10);
	}
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, FIXED_COUNTERS + named_count()) < 0)
		abort();
}

static int scan(uint16_t *state, const uint8_t *data, uint32_t len)
{
	counters[BYTES].value += len;
	return patterns_scan(state, data, len);
}

static uint32_t first_seq(const struct frame *frame)
{
	return frame->seq + ((frame->tcp_flags & FRAME_SYN) != 0);
}

/* The SYN that HALF began with, once more. */
static bool is_again(const struct half *half, const struct frame *frame)
{
	return half->has_syn && first_seq(frame) == half->begin;
}

/* A SYN begins the search anew. In the middle of a conversation it would do so only here: the other
 * end takes none there, and what is before it and what is behind it are one text. */
static bool may_begin(const struct seen *entry, const struct frame *frame, unsigned side)
{
	const struct half *one = &entry->halves[0], *other = &entry->halves[1];
	bool is_begun = one->has_syn || other->has_syn;
	return !is_begun || entry->is_over || !(one->has_bytes || other->has_bytes) ||
	       is_again(&entry->halves[side], frame);
}

/* What SIDE ends with a segment that has been let through. */
static void take_end(struct seen *entry, const struct frame *frame, unsigned side)
{
	struct half *half = &entry->halves[side];
	uint32_t end = first_seq(frame) + (frame->end - frame->payload);
	if ((frame->tcp_flags & FRAME_RST) && end == half->next_seq + half->has_fin)
		entry->is_over = true;
	half->has_fin |= (frame->tcp_flags & FRAME_FIN) && end == half->next_seq;
	entry->is_over |= entry->halves[0].has_fin && entry->halves[1].has_fin;
}

/* Would its receiver refuse it? Then its bytes are not what he reads, and those that hide nothing
 * here could be put between those of a pattern. */
static bool is_refused(const struct frame *frame, bool has_good_checksum)
{
	return (frame->tcp_flags & (FRAME_SYN | FRAME_RST | FRAME_ACK)) == 0 ||
	       (!has_good_checksum && !frame_checksum_is_right(frame));
}

static void clear_urgent(const struct frame *frame)
{
	uint8_t *tcp = frame->data + frame->transport, old[2];
	memcpy(old, tcp + 12, 2);
	tcp[13] &= (uint8_t)~FRAME_URG;
	frame_adjust(tcp + 16, old, tcp + 12, 2);
	memcpy(old, tcp + 18, 2);
	frame_put_u16(tcp + 18, 0);
	frame_adjust(tcp + 16, old, tcp + 18, 2);
	counters[URGENT].value++;
}

/* Bytes from before HALF began. Behind a SYN they are of another conversation than is followed: who
 * did not take this SYN would read them. Without one it began earlier than it seemed. False: these
 * are not looked at. */
static bool take_earlier(struct half *half, uint32_t seq)
{
	if (half->has_syn)
		return false;
	*half = (struct half){.next_seq = seq, .begin = seq, .is_known = true, .has_bytes = true};
	return true;
}

/* What a segment of TCP has, in the order of its numbers. -1: nothing; *RET_DROPS: it comes too
 * early. */
static int scan_segment(struct half *half, const struct frame *frame, bool *ret_drops)
{
	const uint8_t *data = frame->data + frame->payload;
	uint32_t len = frame->end - frame->payload;
	uint32_t seq = first_seq(frame);
	bool has_syn = (frame->tcp_flags & FRAME_SYN) != 0;
	if (!half->is_known || (has_syn && !is_again(half, frame)))
		*half = (struct half){
			.next_seq = seq, .begin = seq, .is_known = true, .has_syn = has_syn};
	half->has_bytes |= len > 0;
	int32_t ahead = (int32_t)(seq - half->next_seq);
	uint32_t known = half->next_seq - seq; /* if it is not ahead */
	uint16_t alone = 0;
	/* One before the first, where the SYN is, is what asks whether somebody is there. */
	if (drops_gaps && ahead < 0 && len > 0 && known > half->since + half->has_syn) {
		*ret_drops = !take_earlier(half, seq);
		counters[GAPS].value += *ret_drops;
		if (*ret_drops)
			return -1;
		ahead = 0;
	}
	/* Nor would an end that comes too early be seen again. */
	if (ahead > 0 && (len > 0 || (frame->tcp_flags & FRAME_FIN))) {
		counters[GAPS].value++;
		*ret_drops = drops_gaps;
		if (drops_gaps)
			return -1;
		half->next_seq = seq;
		half->state = 0;
		ahead = 0;
	}
	if (ahead < 0) {
		/* By itself, and then what is new of it, behind what came before. */
		int found = scan(&alone, data, len);
		if (found >= 0 || len <= known)
			return found;
		data += known;
		len -= known;
	}
	half->next_seq += len;
	half->since = len > SINCE_MAX - half->since ? SINCE_MAX : half->since + len;
	return scan(&half->state, data, len);
}

static uint32_t take(const struct frame *frame, unsigned side, uint64_t now_ns)
{
	struct flow_key key = flow_key_of(frame, side == EDGEOS_PORT_CLIENT);
	struct seen *entry = flows_find(&flows, &key, now_ns);
	bool was_evicted = false, drops = false;
	int found;
	if (entry == NULL)
		entry = flows_add(&flows, &key, now_ns, &was_evicted);
	counters[EVICTED].value += was_evicted;
	if (entry == NULL)
		return EDGEOS_DROP;
	bool has_syn = frame->proto == FRAME_TCP && (frame->tcp_flags & FRAME_SYN);
	if (has_syn && drops_gaps && !may_begin(entry, frame, side)) {
		counters[GAPS].value++;
		return entry->has_match ? verdict : EDGEOS_DROP;
	}
	entry->flow.ends_ns = now_ns + IDLE_NS;
	if (frame->proto == FRAME_TCP) {
		if (frame->tcp_flags & FRAME_URG)
			clear_urgent(frame);
		/* The ports are used again: by another conversation. */
		if (has_syn && !(frame->tcp_flags & FRAME_ACK) &&
		    !is_again(&entry->halves[side], frame)) {
			memset(entry->halves, 0, sizeof(entry->halves));
			entry->has_match = entry->is_over = false;
		}
		found = scan_segment(&entry->halves[side], frame, &drops);
	} else {
		uint16_t state = 0;
		found = scan(&state, frame->data + frame->payload, frame->end - frame->payload);
	}
	if (found >= 0) {
		entry->has_match = true;
		if ((unsigned)found < named_count())
			counters[FIXED_COUNTERS + found].value++;
	}
	if (entry->has_match) {
		counters[MATCHED].value++;
		return verdict;
	}
	if (drops)
		return EDGEOS_DROP;
	if (frame->proto == FRAME_TCP)
		take_end(entry, frame, side);
	counters[CLEAN].value++;
	return EDGEOS_FORWARD;
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	struct frame frame;
	if (!has_begun) {
		flows_seed(&flows);
		has_begun = true;
	}
	if (!frame_parse(&frame, buf, len)) {
		counters[MALFORMED].value++;
		return EDGEOS_DROP;
	}
	if (frame.is_fragment) {
		counters[FRAGMENTS].value++;
		return drops_gaps ? EDGEOS_DROP : EDGEOS_FORWARD;
	}
	if (frame.proto != FRAME_TCP && frame.proto != FRAME_UDP) {
		counters[CLEAN].value++;
		return EDGEOS_FORWARD;
	}
	bool has_good_checksum = (edgeos_slot.info.flags & EDGEOS_CHECKSUM_GOOD) != 0;
	if (frame.proto == FRAME_TCP && drops_gaps && is_refused(&frame, has_good_checksum)) {
		counters[REFUSED].value++;
		return EDGEOS_DROP;
	}
	unsigned side = edgeos_slot.info.port == EDGEOS_PORT_CLIENT ? 0 : 1;
	return take(&frame, side, edgeos_slot.info.time_ns);
}
