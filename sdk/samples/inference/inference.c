/*
 * inference: an anomaly detector for sensors. Each sends its values as text, in datagrams as it
 * likes; from the 16th value on the answer says how odd the last 16 are, for this sender.
 *
 *     sdk/build inference && edgeos chain apply sdk/samples/inference/manifest.yaml
 *     printf '0 .57 .8 .57 0 -.57 -.8 -.57 0 .57 .8 .57 0 -.57 -.8 -.57' | nc -u -w1 127.0.0.1 7000
 *
 * answers "score 0 normal". The model (train.py makes it, and says of what) has 6 hidden units and
 * weights of one byte; there is no floating point in here.
 *
 * Configuration: threshold, of the score, instead of the model's.
 */
#include "inference.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgeos_packet.h"
#include "settings.h"

#define SENDERS_MAX 64u
#define WHOLE_MAX   1000000

EDGEOS_PACKETS(2048)

struct sender {
	uint32_t peer;
	uint64_t heard_ns; /* 0: the place is free */
	uint32_t count;
	int8_t window[MODEL_WINDOW]; /* the latest is the last */
};

static struct sender senders[SENDERS_MAX];
static uint64_t threshold;

enum { VALUES, WINDOWS, ANOMALIES, MALFORMED, FORGOTTEN };
static struct edgeos_counter counters[] = {
	[VALUES] = {"values", 0},
	[WINDOWS] = {"windows", 0},
	[ANOMALIES] = {"anomalies", 0},
	[MALFORMED] = {"malformed", 0},
	[FORGOTTEN] = {"senders_forgotten", 0},
};

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	threshold = settings_u64("threshold", 1, 100000, model.threshold);
	if (edgeos_open_packets() < 0 ||
	    edgeos_counters(counters, sizeof(counters) / sizeof(counters[0])) < 0)
		abort();
}

/* "-1.25", ".5", "3": in hundredths, further digits are left out, limited to what an input may be.
 * False: it is no number. */
static bool parse_value(struct piece text, int8_t *ret)
{
	bool is_negative = text.len > 0 && text.text[0] == '-', has_point = false;
	int32_t value = 0;
	uint32_t digits = 0, decimals = 0;
	for (uint32_t i = is_negative; i < text.len; i++) {
		char c = text.text[i];
		if (c == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		digits++;
		if (has_point && ++decimals > 2)
			continue;
		value = value * 10 + (c - '0');
		if (value > WHOLE_MAX)
			value = WHOLE_MAX;
	}
	for (; decimals < 2; decimals++)
		value = value > WHOLE_MAX / 10 ? WHOLE_MAX : value * 10;
	if (value > 127)
		value = 127;
	*ret = (int8_t)(is_negative ? -value : value);
	return digits > 0;
}

static struct sender *find_sender(uint32_t peer, uint64_t now_ns)
{
	struct sender *oldest = &senders[0];
	for (unsigned i = 0; i < SENDERS_MAX; i++) {
		if (senders[i].heard_ns != 0 && senders[i].peer == peer) {
			senders[i].heard_ns = now_ns;
			return &senders[i];
		}
		if (senders[i].heard_ns < oldest->heard_ns)
			oldest = &senders[i];
	}
	counters[FORGOTTEN].value += oldest->heard_ns != 0;
	*oldest = (struct sender){.peer = peer, .heard_ns = now_ns};
	return oldest;
}

static void add_value(struct sender *sender, int8_t value)
{
	memmove(sender->window, sender->window + 1, MODEL_WINDOW - 1);
	sender->window[MODEL_WINDOW - 1] = value;
	if (sender->count < MODEL_WINDOW)
		sender->count++;
	counters[VALUES].value++;
}

/* Takes all values, or none where one is no number. */
static bool take_values(struct sender *sender, struct piece text)
{
	struct sender copy = *sender;
	struct piece word;
	uint64_t before = counters[VALUES].value;
	int8_t value;
	while (piece_split(&text, " ,;\t\r\n", &word)) {
		if (word.len == 0)
			continue;
		if (!parse_value(word, &value)) {
			counters[VALUES].value = before;
			return false;
		}
		add_value(&copy, value);
	}
	*sender = copy;
	return true;
}

static uint32_t answer(const char *text)
{
	uint8_t *at = edgeos_slot.data + EDGEOS_HEADROOM;
	uint32_t len = (uint32_t)strlen(text);
	memcpy(at, text, len);
	edgeos_slot.info.address = (uint32_t)(uintptr_t)at;
	edgeos_slot.info.len = len;
	return EDGEOS_ANSWER;
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	char text[64];
	if (edgeos_slot.info.kind != EDGEOS_DATAGRAM)
		return EDGEOS_DROP;
	struct sender *sender = find_sender(edgeos_slot.info.peer, edgeos_slot.info.time_ns);
	if (!take_values(sender, (struct piece){buf, len})) {
		counters[MALFORMED].value++;
		return answer("error: not a number\n");
	}
	if (sender->count < MODEL_WINDOW) {
		snprintf(text, sizeof(text), "needs %u more\n", MODEL_WINDOW - sender->count);
		return answer(text);
	}
	uint32_t score = model_score(sender->window);
	bool is_odd = score > threshold;
	counters[WINDOWS].value++;
	counters[ANOMALIES].value += is_odd;
	snprintf(text, sizeof(text), "score %u %s\n", score, is_odd ? "anomaly" : "normal");
	return answer(text);
}
