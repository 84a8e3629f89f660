#include "base/counter.h"

#include <string.h>

static struct eos_counter *registry; /* sorted by name; written by constructors only */

void eos_counter_register(struct eos_counter *counter)
{
	struct eos_counter **link = &registry;
	while (*link != NULL && strcmp((*link)->name, counter->name) < 0)
		link = &(*link)->next;
	counter->next = *link;
	*link = counter;
}

void eos_counter_each(void (*visit)(void *ctx, const struct eos_counter *counter), void *ctx)
{
	for (const struct eos_counter *c = registry; c != NULL; c = c->next)
		visit(ctx, c);
}
