/* For the bench "neighbour": takes all the time that it is given. */
#include "guest.h"

static volatile unsigned turns;

void _start(void)
{
	for (;;)
		turns++;
}
