#include "base/spares.h"

#include <sched.h>

/* Each processor begins at a slot of its own, so that it mostly gets what it used last, and takes
 * no line of memory from the others. */
static unsigned first_slot(void)
{
	int cpu = sched_getcpu();
	return cpu < 0 ? 0 : (unsigned)cpu;
}

void *eos_spares_take(struct eos_spares *spares)
{
	unsigned first = first_slot();
	for (unsigned i = 0; i < EOS_SPARES_MAX; i++) {
		_Atomic(void *) *slot = &spares->slots[(first + i) % EOS_SPARES_MAX].thing;
		/* A look is cheaper than an exchange. */
		if (atomic_load_explicit(slot, memory_order_relaxed) == NULL)
			continue;
		/* Acquires what the giver wrote into it. */
		void *thing = atomic_exchange_explicit(slot, NULL, memory_order_acquire);
		if (thing != NULL)
			return thing;
	}
	return NULL;
}

void *eos_spares_give(struct eos_spares *spares, void *thing)
{
	unsigned first = first_slot();
	for (unsigned i = 0; i < EOS_SPARES_MAX && thing != NULL; i++) {
		_Atomic(void *) *slot = &spares->slots[(first + i) % EOS_SPARES_MAX].thing;
		void *nothing = NULL;
		if (atomic_load_explicit(slot, memory_order_relaxed) == NULL &&
		    atomic_compare_exchange_strong_explicit(
			    slot, &nothing, thing, memory_order_release, memory_order_relaxed))
			return NULL;
	}
	return thing;
}
