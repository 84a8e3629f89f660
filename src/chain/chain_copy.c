/*
 * Bytes between memories: into a guest's slot, out of it, from and to any address that a guest
 * names. Nothing else in this folder looks at guests' bytes.
 *
 * A slot's place is what the guest said when its template was made; what it writes into its struct
 * later misleads nobody. Of that only address and length are read, once, and their copies are
 * checked against the slot's place, and all of that against the present memory.
 */
#include <errno.h>
#include <string.h>

#include "chain/chain_priv.h"

/* fwp_memory(), without a look at where its memory is. */
static inline void *memory_at(const struct chain_fwp *c, uint32_t address, uint64_t len)
{
	uint64_t bytes = fwp_memory_bytes(c->fwp);
	return address > bytes || len > bytes - address ? NULL : c->memory + address;
}

int chain_copy_in(struct chain_fwp *to, const struct chain_abi_packet *head, const uint8_t *data,
		  uint32_t len)
{
	const struct chain_stage *stage = to->stage;
	if (EOS_UNLIKELY(len > stage->room))
		return -EMSGSIZE;
	struct chain_abi_packet *slot = memory_at(to, stage->slot, sizeof(*slot));
	uint8_t *buffer = memory_at(to, stage->buffer, CHAIN_ABI_HEADROOM + (uint64_t)len);
	if (EOS_UNLIKELY(slot == NULL || buffer == NULL))
		return -EFAULT;
	struct chain_abi_packet copy = *head;
	copy.version = CHAIN_ABI_VERSION;
	copy.buffer = stage->buffer;
	copy.capacity = stage->capacity;
	copy.address = stage->buffer + CHAIN_ABI_HEADROOM;
	copy.len = len;
	memcpy(slot, &copy, sizeof(copy));
	memcpy(buffer + CHAIN_ABI_HEADROOM, data, len);
	to->argument = copy.address;
	to->len = len;
	return 0;
}

bool chain_copy_result(const struct chain_fwp *from, bool may_be_empty, const uint8_t **ret_data,
		       uint32_t *ret_len)
{
	const struct chain_stage *stage = from->stage;
	const struct chain_abi_packet *slot = memory_at(from, stage->slot, sizeof(*slot));
	if (EOS_UNLIKELY(slot == NULL))
		return false;
	uint32_t address = __atomic_load_n(&slot->address, __ATOMIC_RELAXED);
	uint32_t len = __atomic_load_n(&slot->len, __ATOMIC_RELAXED);
	uint32_t offset = address - stage->buffer; /* wraps where it is below */
	if (EOS_UNLIKELY(offset > stage->capacity || len > stage->capacity - offset ||
			 (len == 0 && !may_be_empty) || len > CHAIN_ABI_PACKET_MAX))
		return false;
	const uint8_t *data = memory_at(from, address, len);
	if (EOS_UNLIKELY(data == NULL))
		return false;
	*ret_data = data;
	*ret_len = len;
	return true;
}

int chain_copy_from(struct fwp *fwp, void *to, uint32_t from, uint32_t len)
{
	const void *bytes = fwp_memory(fwp, from, len);
	if (bytes == NULL)
		return -EFAULT;
	memcpy(to, bytes, len);
	return 0;
}

int chain_copy_to(struct fwp *fwp, uint32_t to, const void *from, uint32_t len)
{
	void *bytes = fwp_memory(fwp, to, len);
	if (bytes == NULL)
		return -EFAULT;
	memcpy(bytes, from, len);
	return 0;
}

const uint8_t *chain_copy_look(struct fwp *fwp, uint32_t address, uint32_t len)
{
	return fwp_memory(fwp, address, len);
}
