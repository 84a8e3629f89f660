/*
 * First the strings become a trie, in which 0 stands for no transition, as none leads to the
 * root. Then, breadth first, each state gets the transitions that it lacks from its failure state:
 * that of the longest proper suffix of its string that is in the trie, which is nearer to the root
 * and therefore complete.
 */
#include "elements/matcher.h"

#include <errno.h>
#include <string.h>

static void assign_columns(struct click_matcher *matcher, const struct click_string *strings,
			   uint32_t count)
{
	bool occurs[256] = {false};
	unsigned different = 0;
	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t at = 0; at < strings[i].len; at++) {
			different += !occurs[strings[i].data[at]];
			occurs[strings[i].data[at]] = true;
		}
	}
	/* Column 0 is for the others, unless there are none. */
	matcher->columns = different < 256;
	for (unsigned byte = 0; byte < 256; byte++)
		matcher->column[byte] = occurs[byte] ? (uint8_t)matcher->columns++ : 0;
}

static uint16_t *row(const struct click_matcher *matcher, uint32_t state)
{
	return matcher->next + (size_t)state * matcher->columns;
}

static void add_string(struct click_matcher *matcher, const struct click_string *string)
{
	uint32_t state = 0;
	for (uint32_t at = 0; at < string->len; at++) {
		uint16_t *next = &row(matcher, state)[matcher->column[string->data[at]]];
		if (*next == 0)
			*next = (uint16_t)matcher->states++;
		state = *next;
	}
	matcher->is_end[state] = 1;
}

/* QUEUE and FAIL have room for all states. */
static void complete(struct click_matcher *matcher, uint16_t *queue, uint16_t *fail)
{
	uint32_t head = 0, tail = 0;
	for (uint32_t i = 0; i < matcher->columns; i++)
		if (matcher->next[i])
			queue[tail++] = matcher->next[i];
	while (head < tail) {
		uint32_t state = queue[head++];
		uint16_t *next = row(matcher, state);
		const uint16_t *other = row(matcher, fail[state]);
		matcher->is_end[state] |= matcher->is_end[fail[state]];
		for (uint32_t i = 0; i < matcher->columns; i++) {
			if (next[i]) {
				fail[next[i]] = other[i];
				queue[tail++] = next[i];
			} else {
				next[i] = other[i];
			}
		}
	}
}

int click_matcher_build(struct click_matcher *matcher, struct click_router *router,
			const struct click_string *strings, uint32_t count)
{
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++)
		bytes += strings[i].len;
	if (bytes > CLICK_MATCHER_BYTES_MAX)
		return -E2BIG;
	uint32_t states = (uint32_t)bytes + 1;
	assign_columns(matcher, strings, count);
	size_t table = (size_t)states * matcher->columns * sizeof(*matcher->next);
	if (table > CLICK_MATCHER_TABLE_MAX)
		return -E2BIG;
	matcher->next = click_alloc(router, table);
	matcher->is_end = click_alloc(router, states);
	uint16_t *queue = click_cold_alloc(router, states * sizeof(*queue));
	uint16_t *fail = click_cold_alloc(router, states * sizeof(*fail));
	if (!matcher->next || !matcher->is_end || !queue || !fail)
		return -ENOMEM;
	matcher->states = 1;
	for (uint32_t i = 0; i < count; i++)
		add_string(matcher, &strings[i]);
	complete(matcher, queue, fail);
	return 0;
}

bool click_matcher_finds(const struct click_matcher *matcher, const uint8_t *data, uint32_t len)
{
	uint32_t state = 0;
	for (uint32_t at = 0; at < len; at++) {
		state = matcher->next[state * matcher->columns + matcher->column[data[at]]];
		if (matcher->is_end[state])
			return true;
	}
	return false;
}
