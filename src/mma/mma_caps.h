/*
 * The capability table of an FWP: what it may name in host calls, and what it may do with it.
 *
 * A guest knows objects by handles only. A handle is a place in its own table and the place's
 * generation; the entry says the object's kind and the rights that this FWP has to it. So a handle
 * means nothing in another FWP, a guessed one is refused, and one that was revoked stays refused: a
 * place whose generations are used up is not used again. 0 is never a handle.
 *
 * The table is generic: kinds and rights are named by whoever grants. It is of fixed size. No
 * locks: grant, revoke and restrict are for the table's owner while nobody looks up (struct mma
 * sees to that for its ports).
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"

#define MMA_CAPS_MAX	     4096u
#define MMA_CAPS_INDEX_BITS  12u
#define MMA_CAPS_GENERATIONS ((1u << (32u - MMA_CAPS_INDEX_BITS)) - 1u)

enum mma_cap_kind {
	MMA_CAP_NONE,
	MMA_CAP_CONNECTION, /* struct mma_connection */
	MMA_CAP_USER,	    /* this and what follows: kinds of other folders */
};

enum mma_cap_right {
	MMA_RIGHT_SEND = 1,
};

struct mma_cap {
	void *object; /* borrowed */
	uint32_t rights;
	uint16_t kind;
	uint16_t is_retired; /* no generation left */
	uint32_t generation; /* of the handle that is, or will be, valid; from 1 on */
};

struct mma_caps {
	struct mma_cap *entries;
	uint32_t count;
	uint32_t used;
	uint32_t next; /* where the search for a free place begins */
};

/* COUNT from 1 to MMA_CAPS_MAX: -EINVAL. -ENOMEM. */
int mma_caps_init(struct mma_caps *caps, uint32_t count) EOS_MUST_CHECK;
/* The objects are their owners' affair. Harmless on a zeroed table. */
void mma_caps_fini(struct mma_caps *caps);

/* -EMFILE: the table is full. */
int mma_caps_grant(struct mma_caps *caps, uint16_t kind, uint32_t rights, void *object,
		   uint32_t *ret_handle) EOS_MUST_CHECK;
/* Takes all rights away that are not in RIGHTS. -EBADF. */
int mma_caps_restrict(struct mma_caps *caps, uint32_t handle, uint32_t rights) EOS_MUST_CHECK;
/* -EBADF: not a valid handle. */
int mma_caps_revoke(struct mma_caps *caps, uint32_t handle) EOS_MUST_CHECK;

/* The entry, or NULL when HANDLE is not valid. Borrowed until it is revoked. Inline, as it is
 * looked up for each message. */
static inline const struct mma_cap *mma_caps_get(const struct mma_caps *caps, uint32_t handle)
{
	uint32_t index = handle & (MMA_CAPS_MAX - 1);
	if (EOS_UNLIKELY(index >= caps->count))
		return NULL;
	const struct mma_cap *cap = &caps->entries[index];
	if (EOS_UNLIKELY(cap->kind == MMA_CAP_NONE ||
			 cap->generation != handle >> MMA_CAPS_INDEX_BITS))
		return NULL;
	return cap;
}

/* The object of HANDLE, of this KIND and with all RIGHTS. -EBADF: no such handle, or of another
 * kind; -EACCES: a right is missing. */
int mma_caps_find(const struct mma_caps *caps, uint32_t handle, uint16_t kind, uint32_t rights,
		  void **ret_object) EOS_MUST_CHECK;
