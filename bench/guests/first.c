/* For the bench "start": its first instruction calls the host, which looks at the clock. */
#include "guest.h"

IMPORT("first") void first(void);

void _start(void)
{
	first();
}
