/*
 * A slot, from low to high addresses:
 *
 *	colour		0 to 60 × 3 pages
 *	extension	what does not fit into the arena; grows up, to 16 MiB
 *	guard		64 KiB and what the stack limit leaves of the next area
 *	stack		the guest's limit, plus the host's and the preemption's room; grows down
 *	arena		instance and tables; grows down from the linear memory
 *	linear memory	accessible up to its present size
 *	guard		up to 8 GiB + 64 KiB from the start of the linear memory
 *
 * A plain slot keeps 16 MiB for its arena, as nobody knows yet what the instance needs, and has no
 * extension. A bound one has an arena as large as the snapshot's, so that stack, instance and the
 * start of the memory share a page of page tables, and takes from the extension what tables need
 * when they grow. Nothing is between stack and arena: the stack grows away from it.
 *
 * Where the arena's lowest page has room below the instance, a bound slot's stack begins in it, so
 * that a short life writes to one page less.
 *
 * Invariants
 * 1. A guest's address is a 32-bit index plus a 32-bit offset plus at most 16 bytes, counted from
 *    MEMORY. So it is in the linear memory or in the guard above it, which is never accessible.
 * 2. memory_open is exact: a byte beyond the present size faults, also in a slot used before.
 * 3. Accessible bytes that no guest has written since the last cleaning are zero or as in the
 *    snapshot.
 * 4. The stack's guard is larger than any frame that is pushed without touching each page, so no
 *    overflow can step over it (guests are compiled with stack probes; host functions use less
 *    than FWP_HOST_STACK_BYTES).
 *
 * The snapshot is a private mapping of its file: pages are shared until the guest writes to them.
 * Where the template has a shared page, that is mapped into the memory, the same one in all slots;
 * it is never copied back. A page that the kernel does not count to the file is one that was
 * written to; these are copied back and stay, as the next guest will write to the same ones.
 *
 * The unused parts of neighbouring slots touch, so that the kernel merges them. The colours keep
 * thousands of slots from falling into the same sets of caches and TLBs.
 */
#include "fwp/fwp_slot_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/fault.h"
#include "fwp/fwp.h"
#include "fwp/fwp_pages_priv.h"
#include "sched/context.h"

#define PAGE		   FWP_SLOT_PAGE
#define GUARD_BYTES	   (64u << 10)
#define COLOURS		   61u
#define COLOUR_BYTES	   (3u * PAGE)
#define STACK_COLOURS	   32u
#define STACK_COLOUR_BYTES 192u /* three cache lines */
#define STACK_ALIGN	   64u
/* So much of the stack is to be in the arena's page, or none. */
#define STACK_SHARED_MIN 2048u
#define STACK_AREA_BYTES (9u << 20)
#define MEMORY_BYTES	 (UINT64_C(8) << 30)
/* What lies below the linear memory, without the colour. */
#define BELOW_BYTES                                                                                \
	((uint64_t)FWP_ARENA_BYTES_MAX + GUARD_BYTES + STACK_AREA_BYTES + FWP_ARENA_BYTES_MAX)
#define SLOT_BYTES ((COLOURS - 1) * COLOUR_BYTES + BELOW_BYTES + MEMORY_BYTES + GUARD_BYTES)
/* Enough for the instances of most modules. */
#define ARENA_OPEN_BYTES (4u * PAGE)
#define ARENA_STEP_BYTES (64u << 10)
/* Copying more pages back than this costs more than giving them up and faulting them in again. */
#define WARM_PAGES_MAX 32u

#define STACK_ROOM_BYTES(stack_bytes)                                                              \
	EOS_ALIGN_UP((stack_bytes) + FWP_HOST_STACK_BYTES + FWP_PREEMPT_STACK_BYTES +              \
			     STACK_COLOURS * STACK_COLOUR_BYTES,                                   \
		     (uint64_t)PAGE)

_Static_assert(FWP_STACK_BYTES_MAX + FWP_HOST_STACK_BYTES + FWP_PREEMPT_STACK_BYTES +
			       STACK_COLOURS * STACK_COLOUR_BYTES <=
		       STACK_AREA_BYTES,
	       "the largest stack fits");
_Static_assert(FWP_PAGE_SIZE % PAGE == 0, "a WebAssembly page is whole pages");

static int set_access(char *low, uint64_t bytes, int prot)
{
	if (bytes == 0)
		return 0;
	int err = eos_fault("fwp.mprotect");
	if (err == 0 && mprotect(low, bytes, prot) < 0)
		err = -errno;
	return err;
}

static char *extension_low(const struct fwp_slot *slot)
{
	return slot->memory - BELOW_BYTES;
}

/* Where things are in a slot in which nothing is accessible. */
static void lay_out(struct fwp_slot *slot, size_t arena_room)
{
	slot->arena_room = arena_room;
	slot->stack_low = slot->stack_end = slot->memory - arena_room;
	slot->stack_top = slot->stack_end - (slot->index % STACK_COLOURS) * STACK_COLOUR_BYTES;
	slot->arena_open = 0;
	slot->extension_open = 0;
	slot->memory_open = 0;
	slot->snapshot = NULL;
	slot->is_dirty = slot->has_writers = false;
	slot->known_faults = FWP_PAGES_FAULTS_UNKNOWN;
}

/* The same for a slot that is bound: see the top. */
static void lay_out_bound(struct fwp_slot *slot, const struct fwp_snapshot *snapshot)
{
	size_t used = EOS_ALIGN_UP(snapshot->arena_used, (size_t)STACK_ALIGN);
	size_t left = snapshot->arena_bytes - EOS_MIN(used, snapshot->arena_bytes);
	lay_out(slot, snapshot->arena_bytes);
	if (left >= STACK_SHARED_MIN) {
		size_t colours = (left - STACK_SHARED_MIN) / STACK_COLOUR_BYTES + 1;
		colours = EOS_MIN(colours, (size_t)STACK_COLOURS);
		slot->arena_room = used;
		slot->stack_end = slot->memory - used;
		slot->stack_top = slot->stack_end - slot->index % colours * STACK_COLOUR_BYTES;
	}
	slot->arena_open = snapshot->arena_bytes;
	slot->memory_open = snapshot->memory_bytes;
	slot->snapshot = snapshot;
}

int fwp_slot_map(struct fwp_slot *slot, unsigned index, void *owner)
{
	int err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	char *low = mmap(NULL, SLOT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (low == MAP_FAILED)
		return -errno;
	*slot = (struct fwp_slot){
		.low = low,
		.memory = low + (index % COLOURS) * COLOUR_BYTES + BELOW_BYTES,
		.owner = owner,
		.index = (uint16_t)index,
	};
	lay_out(slot, FWP_ARENA_BYTES_MAX);
	return 0;
}

static void forget_stack(const struct fwp_slot *slot)
{
	sched_stack_forget(slot->stack_low, (size_t)(slot->stack_end - slot->stack_low));
}

void fwp_slot_unmap(struct fwp_slot *slot)
{
	if (slot->low == NULL)
		return;
	forget_stack(slot);
	(void)munmap(slot->low, SLOT_BYTES);
	slot->low = NULL;
}

int fwp_slot_reset(struct fwp_slot *slot)
{
	int err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	forget_stack(slot);
	char *low = slot->extension_open > 0 ? extension_low(slot) : slot->stack_low;
	char *end = slot->memory + slot->memory_open;
	if (end > low &&
	    mmap(low, (size_t)(end - low), PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -errno;
	lay_out(slot, FWP_ARENA_BYTES_MAX);
	return 0;
}

static int set_stack(struct fwp_slot *slot, uint64_t bytes)
{
	/* From where the pages of the arena begin. */
	size_t above = slot->snapshot != NULL ? slot->arena_open : slot->arena_room;
	char *low = slot->memory - above - (bytes > 0 ? STACK_ROOM_BYTES(bytes) : 0);
	int err = 0;
	if (low < slot->stack_low)
		err = set_access(low, (uint64_t)(slot->stack_low - low), PROT_READ | PROT_WRITE);
	else if (low > slot->stack_low)
		err = set_access(slot->stack_low, (uint64_t)(low - slot->stack_low), PROT_NONE);
	if (err == 0)
		slot->stack_low = low;
	return err;
}

int fwp_slot_set_memory(struct fwp_slot *slot, uint64_t bytes)
{
	EOS_ASSERT(bytes <= (uint64_t)FWP_MEMORY_PAGES_MAX * FWP_PAGE_SIZE);
	uint64_t open = slot->memory_open;
	int err = 0;
	if (bytes > open)
		err = set_access(slot->memory + open, bytes - open, PROT_READ | PROT_WRITE);
	else if (bytes < open)
		err = set_access(slot->memory + bytes, open - bytes, PROT_NONE);
	if (err == 0)
		slot->memory_open = bytes;
	return err;
}

static int open_arena(struct fwp_slot *slot, size_t bytes)
{
	if (bytes <= slot->arena_open)
		return 0;
	size_t open = EOS_ALIGN_UP(bytes, (size_t)ARENA_STEP_BYTES);
	int err = set_access(slot->memory - open, open - slot->arena_open, PROT_READ | PROT_WRITE);
	if (err == 0)
		slot->arena_open = open;
	return err;
}

static int open_extension(struct fwp_slot *slot, size_t bytes)
{
	if (bytes <= slot->extension_open)
		return 0;
	size_t open = EOS_ALIGN_UP(bytes, (size_t)ARENA_STEP_BYTES);
	int err = set_access(extension_low(slot) + slot->extension_open,
			     open - slot->extension_open, PROT_READ | PROT_WRITE);
	if (err == 0)
		slot->extension_open = open;
	return err;
}

void *fwp_slot_arena(struct fwp_slot *slot, uint32_t *used, size_t size)
{
	size_t room = slot->arena_room;
	if (size > FWP_ARENA_BYTES_MAX)
		return NULL;
	size_t bytes = EOS_ALIGN_UP(size, (size_t)16);
	/* What was taken from the extension counts from ROOM on; so USED only grows. */
	size_t extension = *used > room ? *used - room : 0;
	if (extension == 0 && bytes <= room - *used) {
		if (open_arena(slot, *used + bytes) < 0)
			return NULL;
		*used += (uint32_t)bytes;
		return slot->memory - *used;
	}
	if (slot->snapshot == NULL || bytes > FWP_ARENA_BYTES_MAX - extension ||
	    open_extension(slot, extension + bytes) < 0)
		return NULL;
	*used = (uint32_t)(room + extension + bytes);
	return extension_low(slot) + extension;
}

int fwp_slot_prepare(struct fwp_slot *slot, uint64_t stack_bytes, uint64_t memory_bytes)
{
	int err = set_stack(slot, stack_bytes);
	if (err < 0)
		return err;
	if (slot->snapshot != NULL || slot->arena_open > 0)
		return memory_bytes == slot->memory_open ? 0
							 : fwp_slot_set_memory(slot, memory_bytes);
	err = set_access(slot->memory - ARENA_OPEN_BYTES, ARENA_OPEN_BYTES + memory_bytes,
			 PROT_READ | PROT_WRITE);
	if (err == 0) {
		slot->arena_open = ARENA_OPEN_BYTES;
		slot->memory_open = memory_bytes;
	}
	return err;
}

/* Turns the distances that the arena's bytes [from, to) hold into addresses. */
static void place_pointers(const struct fwp_slot *slot, size_t from, size_t to)
{
	const struct fwp_snapshot *snapshot = slot->snapshot;
	char *arena = slot->memory - snapshot->arena_bytes;
	size_t low = 0, high = snapshot->pointers_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (snapshot->pointers[middle] < from)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < snapshot->pointers_count && snapshot->pointers[low] < to; low++) {
		void **place = (void **)(arena + snapshot->pointers[low]);
		int64_t distance;
		memcpy(&distance, snapshot->bytes + snapshot->pointers[low], sizeof(distance));
		*place = distance == FWP_SNAPSHOT_OWNER ? slot->owner : slot->memory + distance;
	}
}

int fwp_slot_bind(struct fwp_slot *slot, const struct fwp_snapshot *snapshot)
{
	EOS_ASSERT(slot->snapshot == NULL && slot->arena_open == 0 && slot->memory_open == 0);
	int err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	size_t bytes = snapshot->arena_bytes + (size_t)snapshot->memory_bytes;
	if (mmap(slot->memory - snapshot->arena_bytes, bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, snapshot->fd, 0) == MAP_FAILED)
		return -errno;
	lay_out_bound(slot, snapshot);
	if (snapshot->page_fd >= 0)
		err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	if (snapshot->page_fd >= 0 &&
	    mmap(slot->memory + snapshot->page_address, FWP_PAGE_BYTES, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_POPULATE, snapshot->page_fd, 0) == MAP_FAILED)
		return -errno;
	place_pointers(slot, 0, snapshot->arena_bytes);
	return 0;
}

/* Copies what a guest has changed in the pages [low, end) back from the snapshot. */
static void copy_back(const struct fwp_slot *slot, char *low, char *end)
{
	const struct fwp_snapshot *snapshot = slot->snapshot;
	char *start = slot->memory - snapshot->arena_bytes;
	char *file_end = slot->memory + snapshot->memory_bytes;
	if (end > file_end) {
		char *from = EOS_MAX(low, file_end);
		memset(from, 0, (size_t)(end - from));
		end = file_end;
	}
	/* Below is the stack, or nothing. */
	low = EOS_MAX(low, slot->memory - slot->arena_room);
	if (low >= end)
		return;
	size_t offset = (size_t)(low - start);
	memcpy(low, snapshot->bytes + offset, (size_t)(end - low));
	if (low < slot->memory)
		place_pointers(slot, offset, offset + (size_t)(end - low));
}

static int give_up_pages(struct fwp_slot *slot)
{
	const struct fwp_snapshot *snapshot = slot->snapshot;
	char *low = slot->memory - snapshot->arena_bytes;
	int err = eos_fault("fwp.madvise");
	if (err < 0)
		return err;
	if (madvise(low, (size_t)(slot->memory + slot->memory_open - low), MADV_DONTNEED) < 0)
		return -errno;
	place_pointers(slot, 0, snapshot->arena_bytes);
	return 0;
}

/* Tables that grew are rare: their room is closed again. */
static int close_extension(struct fwp_slot *slot)
{
	int err = eos_fault("fwp.madvise");
	if (err == 0 && madvise(extension_low(slot), slot->extension_open, MADV_DONTNEED) < 0)
		err = -errno;
	if (err == 0)
		err = set_access(extension_low(slot), slot->extension_open, PROT_NONE);
	if (err == 0)
		slot->extension_open = 0;
	return err;
}

/*
 * The pages that hold something of their own. Asking the kernel takes longer than all else here, so
 * what it said is kept: as a page of a private mapping becomes the slot's own by a page fault, and
 * stays that, the answer is the same until the thread has had another one.
 */
static int find_written(struct fwp_slot *slot, int pagemap_fd, uint64_t faults,
			struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX])
{
	char *low = slot->memory - slot->snapshot->arena_bytes;
	if (faults != FWP_PAGES_FAULTS_UNKNOWN && faults == slot->known_faults &&
	    slot->memory_open == slot->known_open && !slot->has_writers) {
		memcpy(regions, slot->known, slot->known_count * sizeof(regions[0]));
		return (int)slot->known_count;
	}
	slot->known_faults = FWP_PAGES_FAULTS_UNKNOWN;
	int count = fwp_pages_written(pagemap_fd, low, slot->memory + slot->memory_open,
				      WARM_PAGES_MAX, regions);
	if (count < 0 || (unsigned)count > FWP_SLOT_KNOWN_MAX)
		return count;
	memcpy(slot->known, regions, (size_t)count * sizeof(regions[0]));
	slot->known_count = (unsigned)count;
	slot->known_open = slot->memory_open;
	slot->known_faults = faults;
	return count;
}

int fwp_slot_restore(struct fwp_slot *slot, int pagemap_fd, uint64_t faults, bool *ret_warm)
{
	struct fwp_pages_region regions[FWP_PAGES_REGIONS_MAX];
	EOS_ASSERT(slot->snapshot != NULL);
	int err = slot->extension_open > 0 ? close_extension(slot) : 0;
	if (err < 0)
		return err;
	int count = -ENOSYS;
	if (pagemap_fd >= 0)
		count = find_written(slot, pagemap_fd, faults, regions);
	for (int i = 0; i < count; i++)
		copy_back(slot, regions[i].low, regions[i].end);
	if (count < 0)
		err = give_up_pages(slot);
	if (err < 0)
		return err;
	slot->is_dirty = slot->has_writers = false;
	*ret_warm = count >= 0;
	return 0;
}

bool fwp_slot_is_stack_guard(const struct fwp_slot *slot, uintptr_t address)
{
	return address >= (uintptr_t)slot->low && address < (uintptr_t)slot->stack_low;
}

bool fwp_slot_is_memory(const struct fwp_slot *slot, uintptr_t address)
{
	return address >= (uintptr_t)slot->memory && address < (uintptr_t)slot->low + SLOT_BYTES;
}

bool fwp_slot_is_stack(const struct fwp_slot *slot, uintptr_t sp)
{
	return sp >= (uintptr_t)slot->low && sp <= (uintptr_t)slot->stack_top;
}
