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
