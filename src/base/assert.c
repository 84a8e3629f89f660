#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void eos_assert_failed(const char *claim, const char *file, int line)
{
	fprintf(stderr, "edgeos: assertion failed: %s (%s:%d)\n", claim, file, line);
	abort();
}
