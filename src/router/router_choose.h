/*
 * Which cell runs a call: a function of the call, the state of the cells and whose turn it is.
 */
#pragma once

#include <stdbool.h>

#include "func/func.h"

struct router_cell {
	unsigned calls; /* under way */
	bool is_ready;
};

/*
 * The index of the cell for CALL, whose tenant is set, among COUNT (at least 1) CELLS.
 *
 * Calls that must stay together get the cell that a hash of their tenant's name (a tenant with a
 * CPU budget) or of tenant and function (a function with one, or one that stays) says, ready or
 * not. The tenant's budget comes first: it holds for such functions, too.
 *
 * The others get the one with the fewest calls of those that are ready, and of all where none is;
 * among equals the first from *NEXT on. *NEXT (any value) then is the one behind it.
 */
unsigned router_choose(const struct func_call *call, const struct router_cell *cells,
		       unsigned count, unsigned *next);
