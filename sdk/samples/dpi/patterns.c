#include "patterns.h"

#include <string.h>

#define NONE 0xffffu

/* Bytes that no pattern has behave alike: they are one class, and a state has a way on for each
 * class only. */
static struct {
	uint8_t bytes[STATES_MAX];
	uint16_t starts[PATTERNS_MAX + 1];
	unsigned count;
	uint8_t class_of[256];
	uint32_t classes, states;
	uint16_t next[TABLE_MAX];      /* [state * classes + class] */
	uint16_t matched[STATES_MAX];  /* which pattern ends here, or NONE */
	uint16_t fallback[STATES_MAX]; /* the longest other beginning that ends here */
	uint16_t queue[STATES_MAX];
} it;

void patterns_clear(void)
{
	it.count = 0;
	it.starts[0] = 0;
}

unsigned patterns_count(void)
{
	return it.count;
}

/* One byte of a pattern off the front. False: a bad escape. */
static bool take_byte(struct piece *rest, uint8_t *ret)
{
	uint32_t n = 1;
	*ret = (uint8_t)rest->text[0];
	if (rest->text[0] == '\\') {
		if (rest->len < 2)
			return false;
		*ret = (uint8_t)rest->text[1];
		n = 2;
		if (*ret == 'x') {
			int high = rest->len < 4 ? -1 : piece_hex(rest->text[2]);
			int low = rest->len < 4 ? -1 : piece_hex(rest->text[3]);
			if (high < 0 || low < 0)
				return false;
			*ret = (uint8_t)(high << 4 | low);
			n = 4;
		} else if (*ret != ';' && *ret != '\\') {
			return false;
		}
	}
	rest->text += n;
	rest->len -= n;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool add_one(struct piece *rest)
{
	uint32_t at = it.starts[it.count], end = at;
	while (rest->len > 0 && rest->text[0] != ';') {
		bool is_space = is_blank(rest->text[0]);
		uint8_t byte;
		if (!take_byte(rest, &byte) || at == STATES_MAX - 1)
			return false;
		/* Blanks count once something follows them. */
		if (is_space && at == it.starts[it.count])
			continue;
		it.bytes[at++] = byte;
		if (!is_space)
			end = at;
	}
	if (rest->len > 0) {
		rest->text++;
		rest->len--;
	}
	if (end == it.starts[it.count] || it.count == PATTERNS_MAX)
		return false;
	it.starts[++it.count] = (uint16_t)end;
	return true;
}

bool patterns_add(struct piece text, struct piece *ret_wrong)
{
	while (text.len > 0) {
		*ret_wrong = text;
		/* Nothing behind the last separator is fine. */
		struct piece rest = text, word;
		if (!piece_word(&rest, &word))
			return true;
		if (!add_one(&text))
			return false;
	}
	return true;
}

static uint8_t folded(uint8_t byte, bool ignores_case)
{
	return ignores_case && byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

static bool make_classes(bool ignores_case)
{
	memset(it.class_of, 0, sizeof(it.class_of));
	it.classes = 1;
	for (uint32_t i = 0; i < it.starts[it.count]; i++) {
		uint8_t byte = folded(it.bytes[i], ignores_case);
		if (it.class_of[byte] != 0)
			continue;
		/* With all 256 bytes in use there is nothing left for the class of others. */
		if (it.classes == 256)
			return false;
		it.class_of[byte] = (uint8_t)it.classes++;
	}
	for (unsigned c = 'A'; ignores_case && c <= 'Z'; c++)
		it.class_of[c] = it.class_of[c | 0x20];
	return true;
}

static bool add_states(void)
{
	it.states = 1;
	memset(it.next, 0xff, it.classes * sizeof(it.next[0]));
	it.matched[0] = NONE;
	for (unsigned p = 0; p < it.count; p++) {
		uint32_t state = 0;
		for (uint32_t i = it.starts[p]; i < it.starts[p + 1]; i++) {
			uint16_t *next = &it.next[state * it.classes + it.class_of[it.bytes[i]]];
			if (*next == NONE) {
				if (it.states == STATES_MAX ||
				    (it.states + 1) * it.classes > TABLE_MAX)
					return false;
				memset(&it.next[it.states * it.classes], 0xff,
				       it.classes * sizeof(it.next[0]));
				it.matched[it.states] = NONE;
				*next = (uint16_t)it.states++;
			}
			state = *next;
		}
		if (it.matched[state] == NONE)
			it.matched[state] = (uint16_t)p;
	}
	return true;
}

/* Breadth first: what a state falls back to is nearer to the root, and complete already. */
static void connect_states(void)
{
	uint32_t head = 0, tail = 0;
	for (uint32_t c = 0; c < it.classes; c++) {
		if (it.next[c] == NONE) {
			it.next[c] = 0;
			continue;
		}
		it.fallback[it.next[c]] = 0;
		it.queue[tail++] = it.next[c];
	}
	while (head < tail) {
		uint32_t state = it.queue[head++], other = it.fallback[state];
		if (it.matched[state] == NONE)
			it.matched[state] = it.matched[other];
		for (uint32_t c = 0; c < it.classes; c++) {
			uint16_t *next = &it.next[state * it.classes + c];
			uint16_t instead = it.next[other * it.classes + c];
			if (*next == NONE) {
				*next = instead;
				continue;
			}
			it.fallback[*next] = instead;
			it.queue[tail++] = *next;
		}
	}
}

bool patterns_compile(bool ignores_case)
{
	if (!make_classes(ignores_case) || !add_states())
		return false;
	connect_states();
	return true;
}

int patterns_scan(uint16_t *state, const uint8_t *data, uint32_t len)
{
	uint32_t at = *state;
	for (uint32_t i = 0; i < len; i++) {
		at = it.next[at * it.classes + it.class_of[data[i]]];
		if (it.matched[at] != NONE) {
			*state = (uint16_t)at;
			return it.matched[at];
		}
	}
	*state = (uint16_t)at;
	return -1;
}
