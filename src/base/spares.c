#include "base/spares.h"

/* The first slots are used before the others: what was used last is in the processor's cache. */

void *eos_spares_take(struct eos_spares *spares)
{
	for (size_t i = 0; i < EOS_SPARES_MAX; i++) {
		/* A look is cheaper than an exchange, which takes the line from the others. */
		if (atomic_load_explicit(&spares->slots[i], memory_order_relaxed) == NULL)
			continue;
		/* Acquires what the giver wrote into it. */
		void *thing =
			atomic_exchange_explicit(&spares->slots[i], NULL, memory_order_acquire);
		if (thing != NULL)
			return thing;
	}
	return NULL;
}

void *eos_spares_give(struct eos_spares *spares, void *thing)
{
	for (size_t i = 0; i < EOS_SPARES_MAX && thing != NULL; i++) {
		void *nothing = NULL;
		if (atomic_load_explicit(&spares->slots[i], memory_order_relaxed) == NULL &&
		    atomic_compare_exchange_strong_explicit(&spares->slots[i], &nothing, thing,
							    memory_order_release,
							    memory_order_relaxed))
			return NULL;
	}
	return thing;
}
