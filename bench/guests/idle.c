/* For the bench "density": computes a little, writes to two pages, and waits in the host for good.
 * density_child.c does the same. */
#include "guest.h"

IMPORT("wait") void wait(void);

static volatile unsigned words[3 * PAGE / sizeof(unsigned)];

void _start(void)
{
	for (unsigned i = 0; i < 1000; i++)
		words[(i % 2) * (PAGE / sizeof(unsigned)) + i % 16] += i;
	for (;;)
		wait();
}
