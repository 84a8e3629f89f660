/*
 * Where a stage's packets are in its memory: what the guest says in its initialisation, checked
 * once. Each packet uses what is kept here, whatever the guest writes into its struct later.
 */
#include <errno.h>
#include <stdalign.h>

#include "chain/chain_priv.h"

/* An instance without tables of functions: what little of it is used is not worth fetching. */
#define INSTANCE_BYTES 128u

int chain_slot_set(struct chain_fwp *c, uint32_t address, bool wants_page)
{
	struct chain_stage *stage = c->is_init ? c->stage : NULL;
	struct chain_abi_packet slot;
	/* Who has no place yet is being initialised. */
	if (stage == NULL || stage->capacity != 0)
		return -EEXIST;
	int err = chain_copy_from(c->fwp, &slot, address, sizeof(slot));
	if (err < 0)
		return err;
	if (address % alignof(struct chain_abi_packet) != 0 || slot.version != CHAIN_ABI_VERSION ||
	    slot.capacity < CHAIN_ABI_CAPACITY_MIN)
		return -EINVAL;
	if (chain_copy_look(c->fwp, slot.buffer, slot.capacity) == NULL)
		return -EFAULT;
	if (wants_page) {
		uint32_t offset = slot.buffer - address; /* wraps where it is below */
		if (address % CHAIN_ABI_PAGE != 0 || offset < sizeof(slot) ||
		    offset > CHAIN_ABI_PAGE - CHAIN_ABI_CAPACITY_MIN)
			return -EINVAL;
		if (chain_copy_look(c->fwp, address, CHAIN_ABI_PAGE) == NULL)
			return -EFAULT;
	}
	stage->slot = address;
	stage->buffer = slot.buffer;
	stage->capacity = slot.capacity;
	stage->room = EOS_MIN(slot.capacity - CHAIN_ABI_HEADROOM, CHAIN_ABI_PACKET_MAX);
	stage->has_page = wants_page;
	return 0;
}

int chain_slot_set_state(struct chain_fwp *c, uint32_t address, uint32_t len)
{
	struct chain_stage *stage = c->is_init ? c->stage : NULL;
	if (stage == NULL || stage->state_len != 0)
		return -EEXIST;
	if (len == 0 || len > CHAIN_ABI_STATE_MAX)
		return -EINVAL;
	if (chain_copy_look(c->fwp, address, len) == NULL)
		return -EFAULT;
	stage->state = address;
	stage->state_len = len;
	return 0;
}

static bool has_counters_in_page(const struct chain_stage *stage)
{
	uint64_t low = stage->counters, page = stage->slot, len = chain_counters_len(stage);
	return len > 0 && low < page + CHAIN_ABI_PAGE && page < low + len;
}

int chain_slot_share(struct chain_stage *stage, struct eos_why *why)
{
	size_t tables_len = EOS_ALIGN_UP(fwp_template_arena_bytes(stage->template), (size_t)64);
	/* One line at least: where the translations of its addresses come from. Who does not say
	 * what packets touch may well call by pointers. */
	if (stage->state_len == 0) {
		stage->state = stage->slot;
		if (tables_len > INSTANCE_BYTES && tables_len <= CHAIN_ABI_STATE_MAX)
			stage->tables_len = (uint32_t)tables_len;
	}
	if (!stage->has_page)
		return 0;
	/* The host reads them when others' packets are there. */
	if (has_counters_in_page(stage))
		return eos_why(why, -EINVAL,
			       "stage %s: its counters are in the page of its packets",
			       stage->name);
	int err = fwp_template_share_page(stage->template, stage->slot);
	if (err == -ENOTSUP) {
		/* The machine's pages are larger: the slot is like any other. */
		stage->has_page = false;
		return 0;
	}
	if (err < 0)
		return eos_why(why, err, "stage %s: no memory for the page of its packets",
			       stage->name);
	return 0;
}
