/* For the bench "churn": writes to four pages, and ends. churn_child.c does the same. */
#include "guest.h"

static volatile char pages[5 * PAGE];

void _start(void)
{
	for (unsigned i = 0; i < 4; i++)
		pages[i * PAGE + PAGE / 2] = 1;
}
