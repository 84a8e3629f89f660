#include "samples.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int samples_init(struct samples *samples, size_t room, struct eos_why *why)
{
	uint64_t *values = malloc(room * sizeof(*values));

	if (values == NULL)
		return eos_why(why, -ENOMEM, "no memory for %zu samples", room);
	/* Not calloc(), whose pages come with the first write. */
	memset(values, 0xff, room * sizeof(*values));
	*samples = (struct samples){.values = values, .room = room};
	return 0;
}

void samples_fini(struct samples *samples)
{
	free(samples->values);
	*samples = (struct samples){0};
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

uint64_t samples_median(struct samples *samples)
{
	if (samples->count == 0)
		return 0;
	qsort(samples->values, samples->count, sizeof(uint64_t), compare_u64);
	return samples->values[samples->count / 2];
}
