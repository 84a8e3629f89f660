/*
 * Bytes between memories: into a guest's slot, out of it, from and to any address that a guest
 * names. Nothing else in this folder looks at guests' bytes.
 *
 * A slot's place is what the guest said when its template was made; what it writes into its struct
 * later misleads nobody. Of that only address and length are read, once, and their copies are
 * checked against the slot's place, and all of that against the present memory.
 *
 * The shared page. A slot that begins a page of its own stands in the engine's shared page
 * (fwp_template_share_page()). A packet that goes from stage to stage stays where it is then, in
 * the processor's nearest cache, and nothing of it is written to memories that are in none. What
 * makes that a copy as far as guests can see: before each turn everything in the page but the
 * packet is cleared, stages take turns to the end of their work, and what leaves a stage is looked
 * at only between turns. So nobody finds what another one left, and nobody can change a packet that
 * he has passed on.
 */
#include <errno.h>
#include <string.h>

#include "chain/chain_priv.h"

#define TYPE_AT 12u /* in a frame: behind the addresses */

/* fwp_memory(), without a look at where its memory is. */
static inline void *memory_at(const struct chain_fwp *c, uint32_t address, uint64_t len)
{
	uint64_t bytes = fwp_memory_bytes(c->fwp);
	return address > bytes || len > bytes - address ? NULL : c->memory + address;
}

/* In two halves: for 2 KiB and more the C library takes an instruction that begins slowly. */
static inline void clear(uint8_t *bytes, uint32_t len)
{
	uint32_t half = len / 2;
	memset(bytes, 0, half);
	memset(bytes + half, 0, len - half);
}

/* The shared page, where C sees it: it is written there, as bytes that were just stored at one
 * address and are loaded at another have to reach the cache first. */
static inline uint8_t *page_of(const struct chain_fwp *c)
{
	return c->memory + c->stage->slot;
}

/*
 * DATA, which is in the memory of FROM, for somebody who will have the shared page at TO_PAGE: what
 * is in the page is there, too. Of what is only partly in it a copy is made.
 */
static const uint8_t *find_in_page(const struct chain_fwp *from, const uint8_t *to_page,
				   const uint8_t *data, uint32_t len)
{
	struct chains *chains = chain_chains(from);
	uintptr_t offset = (uintptr_t)data - (uintptr_t)page_of(from);
	if (!from->stage->has_page || offset >= CHAIN_ABI_PAGE)
		return data;
	if (EOS_LIKELY(len <= CHAIN_ABI_PAGE - offset))
		return to_page + offset;
	memcpy(chains->bounce, data, len);
	return chains->bounce;
}

/*
 * A slot that begins the shared page. What is in the page may be the packet itself, as another
 * stage left it; everything else in it goes. What of the packet does not fit into the page has its
 * place behind it, in memory of TO's own.
 */
static void fill_page(const struct chain_fwp *to, const struct chain_fwp *from, const uint8_t *data,
		      uint32_t len)
{
	uint8_t *page = page_of(to);
	uint32_t start = to->stage->buffer - to->stage->slot + CHAIN_ABI_HEADROOM;
	uint32_t head_len = EOS_MIN(len, CHAIN_ABI_PAGE - start);
	if (from != NULL)
		data = find_in_page(from, page, data, len);
	/* First what lies behind: the page may be where it comes from. */
	if (EOS_UNLIKELY(len > head_len))
		memcpy(page + CHAIN_ABI_PAGE, data + head_len, len - head_len);
	if (data != page + start)
		memmove(page + start, data, head_len);
	clear(page, start);
	clear(page + start + head_len, CHAIN_ABI_PAGE - start - head_len);
}

void chain_copy_nothing(struct chain_fwp *to)
{
	if (to->stage->has_page)
		clear(page_of(to), CHAIN_ABI_PAGE);
}

/*
 * Each field is read as it was written a moment ago. Wider loads, which compilers make of many
 * fields, would have to wait until all that was stored before has reached the cache, and some of
 * that goes to lines that still have to come.
 */
#define FILL(field)                                                                                \
	__atomic_store_n(&slot->field, __atomic_load_n(&head->field, __ATOMIC_RELAXED),            \
			 __ATOMIC_RELAXED)
static inline void fill_head(struct chain_abi_packet *slot, const struct chain_abi_packet *head)
{
	FILL(port);
	FILL(kind);
	FILL(flags);
	FILL(peer);
	FILL(time_ns);
	FILL(peer_port);
	FILL(local_port);
	slot->reserved = 0;
	if (head->kind == CHAIN_FRAME)
		memset(slot->peer_address, 0, sizeof(slot->peer_address));
	else
		memcpy(slot->peer_address, head->peer_address, sizeof(slot->peer_address));
}

int chain_copy_in(struct chain_fwp *to, const struct chain_abi_packet *head,
		  const struct chain_fwp *from, const uint8_t *data, uint32_t len)
{
	const struct chain_stage *stage = to->stage;
	if (EOS_UNLIKELY(len > stage->room))
		return -EMSGSIZE;
	struct chain_abi_packet *slot = memory_at(to, stage->slot, sizeof(*slot));
	uint8_t *buffer = memory_at(to, stage->buffer, CHAIN_ABI_HEADROOM + (uint64_t)len);
	if (EOS_UNLIKELY(slot == NULL || buffer == NULL))
		return -EFAULT;
	if (EOS_LIKELY(stage->has_page))
		fill_page(to, from, data, len);
	else
		memcpy(buffer + CHAIN_ABI_HEADROOM, data, len);
	slot->version = CHAIN_ABI_VERSION;
	slot->buffer = stage->buffer;
	slot->capacity = stage->capacity;
	slot->address = stage->buffer + CHAIN_ABI_HEADROOM;
	slot->len = len;
	fill_head(slot, head);
	to->argument = stage->buffer + CHAIN_ABI_HEADROOM;
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

bool chain_copy_has_tag(const uint8_t *frame, uint32_t len)
{
	static const uint8_t type[2] = {0x81, 0x00};
	return len >= TYPE_AT + sizeof(type) && memcmp(frame + TYPE_AT, type, sizeof(type)) == 0;
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
