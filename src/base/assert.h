/*
 * Assertions: for our own bugs only, never for what a packet, guest, peer, disk or user can cause.
 */
#pragma once

#include "base/macros.h"

/* Stays on in release. Prints the claim and its place, then aborts. */
#define EOS_ASSERT(claim)                                                                          \
	do {                                                                                       \
		if (EOS_UNLIKELY(!(claim)))                                                        \
			eos_assert_failed(#claim, __FILE__, __LINE__);                             \
	} while (0)

/* Hot loops: compiled in debug builds only. */
#ifdef NDEBUG
#define EOS_DCHECK(claim) ((void)sizeof(claim))
#else
#define EOS_DCHECK(claim) EOS_ASSERT(claim)
#endif

EOS_NORETURN void eos_assert_failed(const char *claim, const char *file, int line);
