#include "mma/mma_caps.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static_assert(MMA_CAPS_MAX == 1u << MMA_CAPS_INDEX_BITS, "an index fits its bits");

int mma_caps_init(struct mma_caps *caps, uint32_t count)
{
	if (count == 0 || count > MMA_CAPS_MAX)
		return -EINVAL;
	*caps = (struct mma_caps){.count = count};
	caps->entries = calloc(count, sizeof(*caps->entries));
	if (caps->entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		caps->entries[i].generation = 1;
	return 0;
}

void mma_caps_fini(struct mma_caps *caps)
{
	free(caps->entries);
	*caps = (struct mma_caps){0};
}

int mma_caps_grant(struct mma_caps *caps, uint16_t kind, uint32_t rights, void *object,
		   uint32_t *ret_handle)
{
	/* Round and round, so that a place rests before it is used again. */
	for (uint32_t i = 0; i < caps->count; i++) {
		uint32_t index = (caps->next + i) % caps->count;
		struct mma_cap *cap = &caps->entries[index];
		if (cap->kind != MMA_CAP_NONE || cap->is_retired)
			continue;
		cap->object = object;
		cap->rights = rights;
		cap->kind = kind;
		caps->used++;
		caps->next = (index + 1) % caps->count;
		*ret_handle = cap->generation << MMA_CAPS_INDEX_BITS | index;
		return 0;
	}
	return -EMFILE;
}

static struct mma_cap *get(struct mma_caps *caps, uint32_t handle)
{
	return mma_caps_get(caps, handle) != NULL ? &caps->entries[handle & (MMA_CAPS_MAX - 1)]
						  : NULL;
}

int mma_caps_restrict(struct mma_caps *caps, uint32_t handle, uint32_t rights)
{
	struct mma_cap *cap = get(caps, handle);
	if (cap == NULL)
		return -EBADF;
	cap->rights &= rights;
	return 0;
}

int mma_caps_revoke(struct mma_caps *caps, uint32_t handle)
{
	struct mma_cap *cap = get(caps, handle);
	if (cap == NULL)
		return -EBADF;
	cap->object = NULL;
	cap->rights = 0;
	cap->kind = MMA_CAP_NONE;
	if (cap->generation == MMA_CAPS_GENERATIONS)
		cap->is_retired = 1;
	else
		cap->generation++;
	caps->used--;
	return 0;
}

int mma_caps_find(const struct mma_caps *caps, uint32_t handle, uint16_t kind, uint32_t rights,
		  void **ret_object)
{
	const struct mma_cap *cap = mma_caps_get(caps, handle);
	if (cap == NULL || cap->kind != kind)
		return -EBADF;
	if ((rights & ~cap->rights) != 0)
		return -EACCES;
	*ret_object = cap->object;
	return 0;
}
