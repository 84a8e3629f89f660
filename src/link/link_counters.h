/*
 * The counters of a cell that edged shows among its own: one list, in one order, which both sides
 * are built with. LINK_COUNTERS carries their values and nothing else, so that a cell gone wild can
 * lie about how often, but cannot make up names, nor speak for edged's own.
 *
 * A counter that is not in the list stays in the cell; cell_counters_test finds what was forgotten.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "link/link_proto.h"

/* As in base/counter.h, word for word. */
struct link_counter {
	const char *name;
	const char *help;
};
extern const struct link_counter link_counters[LINK_COUNTERS_COUNT];

/* The place of NAME in the list; -1: it is not there. */
int link_counters_find(const char *name);
/* May its value go down? Names that end in _total only grow. */
bool link_counters_is_gauge(unsigned index);
/* The values of a message that was decoded, by place in the list. */
void link_counters_get(struct link_span payload, uint64_t ret_values[LINK_COUNTERS_COUNT]);
