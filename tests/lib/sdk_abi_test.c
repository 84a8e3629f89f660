/*
 * Holds the layouts and numbers of sdk/c/edgeos.h, which guests compile against, to those of the
 * host, src/mma/mma_abi.h. All of it is decided by the compiler.
 */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>

#include "edgeos.h"
#include "mma/mma.h"
#include "wasi/edgeos.h"

#define SAME_FIELD(ours, theirs, field)                                                            \
	static_assert(offsetof(struct ours, field) == offsetof(struct theirs, field) &&            \
			      sizeof(((struct ours *)0)->field) ==                                 \
				      sizeof(((struct theirs *)0)->field),                         \
		      #field)
#define SAME(ours, theirs) static_assert((int)(ours) == (int)(theirs), #ours)

SAME(sizeof(struct mma_abi_descriptor), sizeof(struct edgeos_descriptor));
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, address);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, len);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, conn);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, capacity);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, flags);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, status);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, reserved);
SAME_FIELD(mma_abi_descriptor, edgeos_descriptor, cookie);
SAME(sizeof(struct mma_abi_ring), sizeof(struct edgeos_ring));
SAME_FIELD(mma_abi_ring, edgeos_ring, version);
SAME_FIELD(mma_abi_ring, edgeos_ring, count);
SAME_FIELD(mma_abi_ring, edgeos_ring, flags);
SAME_FIELD(mma_abi_ring, edgeos_ring, head);
SAME_FIELD(mma_abi_ring, edgeos_ring, tail);

SAME(MMA_ABI_VERSION, EDGEOS_ABI_VERSION);
SAME(MMA_ABI_FLAG_NO_WAIT, EDGEOS_NO_WAIT);
SAME(MMA_ABI_PENDING, EDGEOS_PENDING);
SAME(MMA_ABI_DONE, EDGEOS_DONE);
SAME(MMA_ABI_FAULT, EDGEOS_FAULT);
SAME(MMA_ABI_TOO_LONG, EDGEOS_TOO_LONG);
SAME(MMA_ABI_BAD_HANDLE, EDGEOS_BAD_HANDLE);
SAME(MMA_ABI_BAD_FLAGS, EDGEOS_BAD_FLAGS);
SAME(MMA_ABI_DROPPED, EDGEOS_DROPPED);
SAME(MMA_ABI_TOO_SMALL, EDGEOS_TOO_SMALL);
SAME(MMA_ABI_GONE, EDGEOS_GONE);
SAME(MMA_EVENT_RECEIVED, EDGEOS_EVENT_RECEIVED);
SAME(MMA_EVENT_SENT, EDGEOS_EVENT_SENT);
SAME(EDGEOS_LOG_ERROR, EDGEOS_ERROR);
SAME(EDGEOS_LOG_WARNING, EDGEOS_WARNING);
SAME(EDGEOS_LOG_INFO, EDGEOS_INFO);
SAME(EDGEOS_LOG_DEBUG, EDGEOS_DEBUG);

int main(void)
{
	printf("the layouts of version %u agree\n", MMA_ABI_VERSION);
	return 0;
}
