/*
 * Spares: a few objects of one kind that were given back, for whoever needs the next one. For what
 * each request needs for a moment and what is large: malloc() keeps small things close at hand for
 * each thread, but large ones are behind a lock that all threads share.
 *
 * No locks, and no memory of its own. What is taken has what its last owner left in it. Who gives
 * wipes what is secret, and frees what did not fit. All zeros is empty. Any thread.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/macros.h"

/* As many as requests are computed at once on a small machine; who waits, waits without one. */
#define EOS_SPARES_MAX 8u

/* A slot has a line of the processor's cache for itself, wherever the struct begins. */
struct eos_spares {
	struct {
		_Atomic(void *) thing;
		char unused[64 - sizeof(void *)];
	} slots[EOS_SPARES_MAX];
};

/* One, which is the caller's then, or NULL. */
void *eos_spares_take(struct eos_spares *spares) EOS_MUST_CHECK;
/* Keeps THING and returns NULL, or returns THING: there are enough. NULL is no thing. */
void *eos_spares_give(struct eos_spares *spares, void *thing) EOS_MUST_CHECK;
