/*
 * The stack that FWPs for turns share, from low to high addresses:
 *
 *	guard	64 KiB, and what nobody's limit has asked for yet
 *	open	as much as the largest limit, plus the host's and the preemption's room; grows down
 *
 * Nobody can read what another one left there: guests have no addresses of their stacks, and the
 * code that is generated for them writes each of its variables before it reads it. Each FWP's own
 * limit holds where it is looked at (fwp_host_enter(), preemption); in between it may use what the
 * largest one does.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/fault.h"
#include "fwp/fwp_priv.h"

#define GUARD_BYTES (64u << 10)
#define ROOM_BYTES(stack_bytes)                                                                    \
	EOS_ALIGN_UP((stack_bytes) + FWP_HOST_STACK_BYTES + FWP_PREEMPT_STACK_BYTES,               \
		     (uint64_t)FWP_SLOT_PAGE)
#define AREA_BYTES (GUARD_BYTES + ROOM_BYTES((uint64_t)FWP_STACK_BYTES_MAX))

static int reserve(struct fwp_turns *turns)
{
	int err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	char *low = mmap(NULL, AREA_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);
	if (low == MAP_FAILED)
		return -errno;
	turns->low = low;
	turns->open = turns->top = low + AREA_BYTES;
	return 0;
}

static int open_more(struct fwp_turns *turns, uint64_t room)
{
	char *open = turns->top - room;
	if (open >= turns->open)
		return 0;
	int err = eos_fault("fwp.mprotect");
	if (err < 0)
		return err;
	if (mprotect(open, (size_t)(turns->open - open), PROT_READ | PROT_WRITE) < 0)
		return -errno;
	turns->open = open;
	turns->context.stack_low = open;
	turns->context.stack_size = room;
	return 0;
}

int fwp_turns_join(struct fwp *fwp, uint64_t stack_bytes)
{
	struct fwp_turns *turns = &fwp->engine->turns;
	uint64_t room = ROOM_BYTES(stack_bytes);
	int err = turns->low == NULL ? reserve(turns) : 0;
	if (err == 0)
		err = open_more(turns, room);
	if (err < 0)
		return err;
	fwp->is_for_turns = true;
	fwp->context.stack_low = turns->top - room;
	fwp->context.stack_size = room;
	return 0;
}

void fwp_turns_begin(struct fwp_engine *engine, void (*serve)(void *engine))
{
	struct fwp_turns *turns = &engine->turns;
	sched_context_fini(&turns->context);
	sched_context_init(&turns->context, turns->open, (size_t)(turns->top - turns->open), serve,
			   engine);
}

void fwp_turns_leave(struct fwp *fwp)
{
	struct fwp_turns *turns = &fwp->engine->turns;
	if (turns->user != fwp)
		return;
	turns->user = NULL;
	turns->context.sp = NULL;
}

void fwp_turns_fini(struct fwp_engine *engine)
{
	struct fwp_turns *turns = &engine->turns;
	if (turns->low == NULL)
		return;
	sched_context_fini(&turns->context);
	sched_stack_forget(turns->open, (size_t)(turns->top - turns->open));
	(void)munmap(turns->low, AREA_BYTES);
	turns->low = NULL;
}

bool fwp_is_stack_guard(const struct fwp *fwp, uintptr_t address)
{
	const struct fwp_turns *turns = &fwp->engine->turns;
	if (fwp->is_for_turns)
		return address >= (uintptr_t)turns->low && address < (uintptr_t)turns->open;
	return fwp_slot_is_stack_guard(&fwp->slot, address);
}

bool fwp_is_stack(const struct fwp *fwp, uintptr_t sp)
{
	const struct fwp_turns *turns = &fwp->engine->turns;
	if (fwp->is_for_turns)
		return sp >= (uintptr_t)turns->low && sp <= (uintptr_t)turns->top;
	return fwp_slot_is_stack(&fwp->slot, sp);
}
