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

#define SENDERS_MAX  64u
#define DIGITS_MAX   100000000
#define EXPONENT_MAX 100000

EDGEOS_PACKETS(2048)

/* Found by the address: the node numbers anew who was silent for ten minutes. */
struct sender {
	uint8_t address[16];
	uint16_t port;
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

/* What is behind the "e" of a number. False: it is no number. */
static bool parse_exponent(struct piece text, int32_t *ret)
{
	bool is_negative = text.len > 0 && text.text[0] == '-';
	uint32_t i = is_negative || (text.len > 0 && text.text[0] == '+');
	int32_t value = 0;
	if (i == text.len)
		return false;
	for (; i < text.len; i++) {
		if (text.text[i] < '0' || text.text[i] > '9')
			return false;
		value = value < EXPONENT_MAX ? value * 10 + (text.text[i] - '0') : EXPONENT_MAX;
	}
	*ret = is_negative ? -value : value;
	return true;
}

/* "-1.25", ".5", "3", "1e-05": in hundredths, further digits are left out, limited to what an input
 * may be. False: it is no number. */
static bool parse_value(struct piece text, int8_t *ret)
{
	bool is_negative = text.len > 0 && text.text[0] == '-', has_point = false;
	uint32_t i = is_negative || (text.len > 0 && text.text[0] == '+'), digits = 0;
	int32_t value = 0, scale = 2, exponent = 0;
	for (; i < text.len && (text.text[i] | 0x20) != 'e'; i++) {
		char c = text.text[i];
		if (c == '.' && !has_point) {
			has_point = true;
			continue;
		}
		if (c < '0' || c > '9')
			return false;
		digits++;
		/* Of many digits the first count. */
		bool has_room = value < DIGITS_MAX;
		if (has_room)
			value = value * 10 + (c - '0');
		scale += has_room ? -has_point : !has_point;
	}
	if (i < text.len &&
	    !parse_exponent((struct piece){text.text + i + 1, text.len - i - 1}, &exponent))
		return false;
	for (scale += exponent; scale < 0 && value > 0; scale++)
		value /= 10;
	for (; scale > 0 && value > 0 && value <= 127; scale--)
		value *= 10;
	if (value > 127)
		value = 127;
	*ret = (int8_t)(is_negative ? -value : value);
	return digits > 0;
}

/* Another such server's answer. Answering it would be answered, and so on for ever: one datagram in
 * the name of the one is enough to begin that. */
static bool is_answer(struct piece text)
{
	static const char *const beginnings[] = {"error: ", "needs ", "score "};
	for (unsigned i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
		size_t len = strlen(beginnings[i]);
		if (text.len >= len && memcmp(text.text, beginnings[i], len) == 0)
			return true;
	}
	return false;
}

static struct sender *find_sender(const struct edgeos_packet *info)
{
	uint64_t now_ns = info->time_ns;
	struct sender *oldest = &senders[0];
	for (unsigned i = 0; i < SENDERS_MAX; i++) {
		if (senders[i].heard_ns != 0 && senders[i].port == info->peer_port &&
		    memcmp(senders[i].address, info->peer_address, 16) == 0) {
			senders[i].heard_ns = now_ns;
			return &senders[i];
		}
		if (senders[i].heard_ns < oldest->heard_ns)
			oldest = &senders[i];
	}
	counters[FORGOTTEN].value += oldest->heard_ns != 0;
	*oldest = (struct sender){.port = info->peer_port, .heard_ns = now_ns};
	memcpy(oldest->address, info->peer_address, 16);
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
	const struct piece datagram = {buf, len};
	if (edgeos_slot.info.kind != EDGEOS_DATAGRAM)
		return EDGEOS_DROP;
	if (is_answer(datagram)) {
		counters[MALFORMED].value++;
		return EDGEOS_DROP;
	}
	struct sender *sender = find_sender(&edgeos_slot.info);
	uint64_t before = counters[VALUES].value;
	if (!take_values(sender, datagram)) {
		counters[MALFORMED].value++;
		return answer("error: not a number\n");
	}
	if (sender->count < MODEL_WINDOW) {
		snprintf(text, sizeof(text), "needs %u more\n", MODEL_WINDOW - sender->count);
		return answer(text);
	}
	uint32_t score = model_score(sender->window);
	bool is_odd = score > threshold;
	/* Without a value it is the one before, asked for again. */
	bool is_new = counters[VALUES].value != before;
	counters[WINDOWS].value += is_new;
	counters[ANOMALIES].value += is_new && is_odd;
	snprintf(text, sizeof(text), "score %u %s\n", score, is_odd ? "anomaly" : "normal");
	return answer(text);
}
