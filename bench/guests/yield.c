/* For the bench "switch": gives the processor away, again and again; and for "neighbour", where the
 * host lets it wait for the next tick. */
#include "guest.h"

IMPORT("yield") void yield(void);

void _start(void)
{
	for (;;)
		yield();
}
