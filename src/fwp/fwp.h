/*
 * Featherweight processes: instances of native images, each in its own guarded memory and on its
 * own stack, within one Linux process.
 *
 * Concepts
 * - An engine belongs to one thread: the slots of its FWPs, the context to which they return, and
 *   the timer that takes the processor from what runs too long. Everything below is called on that
 *   thread.
 * - A loaded image is code, mapped once and shared by all FWPs made from it.
 * - A template is the state of an image's instance after its initialisation: memory, globals and
 *   tables. FWPs made from it start there, copy-on-write. fwp_template.h.
 * - An FWP runs only inside fwp_run_until() and its like, until it blocks in a host call, dies, or
 *   its slice is over: then the timer's signal takes the processor away, from any instruction of
 *   guest code. It dies by exit, trap, timeout, a limit, or by fwp_kill(); nothing else notices.
 *   The reason is kept in struct fwp_death until fwp_free().
 *
 * Isolation: loads and stores of the guest land in a reservation of 8 GiB and a guard (any 32-bit
 * index plus any 32-bit offset), so that what is out of bounds faults and becomes a trap; the stack
 * ends in a guard; indirect calls are checked by the generated code. Host functions must reach
 * guest memory through fwp_memory() only.
 *
 * States: ready ⇄ running ⇄ blocked, → dead. fwp.c has the table and the one function that moves.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "image/image.h"
#include "image/image_abi.h"
#include "sched/core.h"

#define FWP_PAGE_SIZE	     65536u /* a WebAssembly page, bytes */
#define FWP_PAGE_BYTES	     4096u  /* a shared page: fwp_template.h */
#define FWP_MEMORY_PAGES_MAX 65535u
#define FWP_STACK_BYTES_MIN  (16u << 10)
#define FWP_STACK_BYTES_MAX  (8u << 20)

struct fwp;
struct fwp_engine;
struct fwp_image;

/* A function that guests may import. CALL is result (*)(struct fwp *, parameters…). */
struct fwp_import {
	const char *module, *name, *signature; /* as in struct image_import */
	void (*call)(void);
};

struct fwp_limits {
	uint64_t memory_bytes; /* linear memory; at most FWP_MEMORY_PAGES_MAX pages */
	uint64_t stack_bytes;  /* native stack that the guest may use */
	uint64_t timeout_ns;   /* wall time from the first fwp_run(); 0: none */
	/* Host calls a second; 0: no limit. Who calls more waits: see fwp_resume_ns(). */
	uint32_t host_calls_per_s;
};
/* 64 MiB, 256 KiB, none, none. */
extern const struct fwp_limits fwp_limits_default;

enum fwp_state { FWP_READY, FWP_RUNNING, FWP_BLOCKED, FWP_DEAD };

enum fwp_death_kind {
	FWP_DEATH_EXIT,	   /* _start returned, or proc_exit: code */
	FWP_DEATH_TRAP,	   /* trap, an enum image_trap */
	FWP_DEATH_TIMEOUT, /* limits.timeout_ns */
	FWP_DEATH_KILLED,  /* fwp_kill(), or there was no timer to end its time or slice */
};

struct fwp_death {
	enum fwp_death_kind kind;
	uint32_t code;	  /* exit code */
	uint32_t trap;	  /* enum image_trap */
	const char *text; /* static: "out of bounds memory access", "timed out", … */
	uintptr_t pc;	  /* where in the image, for fwp_death_place(); 0: unknown */
};

struct fwp_engine_config {
	unsigned fwps_max; /* 0: 1,024. Checked against vm.max_map_count */
	/* How many clean places of a template keep the few pages (at most 128 KiB) that their last
	 * FWP touched, so that the next one takes no page faults; 0: 64 */
	unsigned pool_high;
	/* How many clean places of a template fwp_engine_maintain() makes ready in advance; at most
	 * POOL_HIGH */
	unsigned pool_low;
	/* Its templates may share a page (fwp_template.h): each FWP may cost a mapping more. */
	bool shares_page;
};

/*
 * Installs the signal handlers (once a process) and makes the thread's engine. CONFIG may be NULL.
 * -ENOMEM; -EBUSY: the thread has one; -ERANGE: fwps_max is beyond what this kernel allows, and
 * WHY says what to raise. While the engine lives, the thread's system calls can be interrupted by
 * its timer (EINTR), and the thread keeps the alternate signal stack that it is given here.
 */
int fwp_engine_new(const struct fwp_engine_config *config, struct fwp_engine **ret_engine,
		   struct eos_why *why) EOS_MUST_CHECK;
/* All its FWPs and templates must have been freed. */
struct fwp_engine *fwp_engine_free(struct fwp_engine *engine);

/*
 * One step of what was put off: cleans a place that an FWP left, or prepares one up to pool_low.
 * False when nothing is left to do. For when the processor has nothing better to do; nothing
 * depends on it being called, as fwp_new() cleans for itself when it finds no clean place.
 */
bool fwp_engine_maintain(struct fwp_engine *engine);
/* Gives back the memory of all places that no FWP is in, but pool_low of each template. For when
 * memory is short. */
void fwp_engine_shrink(struct fwp_engine *engine);
/* Brings the process's counters up to date: what FWPs do is added to them now and then only. The
 * engine's thread, while no FWP runs. */
void fwp_engine_count(struct fwp_engine *engine);
/* The FWP that runs now yields when it leaves its present host function. On its stack. */
void fwp_engine_preempt(struct fwp_engine *engine);
/* The slice of the FWP that runs now ends at END_NS, if it was to end later. On its stack. */
void fwp_engine_shorten(struct fwp_engine *engine, uint64_t end_ns);
/* The time (of eos_now_ns()) at which the next fwp_run_until() or turn begins, for an owner who has
 * just read it: the engine does not read it again. */
void fwp_engine_set_now(struct fwp_engine *engine, uint64_t now_ns);
/* When the last FWP stopped running. */
uint64_t fwp_engine_stopped_ns(const struct fwp_engine *engine);

struct fwp_engine_stats {
	unsigned alive, alive_max; /* FWPs */
	unsigned made;		   /* places: reservations of addresses */
	unsigned clean, warm;	   /* places ready for a template; of these with their pages */
	unsigned dirty;		   /* places to be cleaned */
};
void fwp_engine_stats(const struct fwp_engine *engine, struct fwp_engine_stats *ret_stats);

/*
 * Maps the code of IMAGE, which may be closed afterwards, and joins its imports with IMPORTS, both
 * of which are borrowed for the call. After that the image's data is read-only: FWPs share nothing
 * that can be written.
 * -ENOSYS: it imports what is not offered, and WHY names it; -ENOEXEC: its ELF is not as our
 * compiler makes it; -ENOMEM. The image starts with one reference.
 */
int fwp_image_load(const struct image *image, const struct fwp_import *imports,
		   size_t imports_count, struct fwp_image **ret_image,
		   struct eos_why *why) EOS_MUST_CHECK;
struct fwp_image *fwp_image_ref(struct fwp_image *image);
/* Unmaps the code with the last reference; each FWP holds one. NULL is fine. References may be
 * taken and dropped by any thread. */
struct fwp_image *fwp_image_unref(struct fwp_image *image);
/* True when the image exports a function NAME with SIGNATURE ("i:" …). */
bool fwp_image_has_export(const struct fwp_image *image, const char *name, const char *signature);
/* That function, or NULL; for fwp_new_with_entry(). Valid as long as the image. */
void (*fwp_image_find_export(const struct fwp_image *image, const char *name,
			     const char *signature))(void);

/*
 * A ready FWP that will run the export "_start". LIMITS may be NULL: the defaults. CONTEXT is what
 * fwp_context() returns, borrowed.
 * -EAGAIN: fwps_max are alive; -ENOMEM; -EINVAL: no "_start", a limit out of range, or the
 * module's initial memory is beyond the limit.
 */
int fwp_new(struct fwp_engine *engine, struct fwp_image *image, const struct fwp_limits *limits,
	    void *context, struct fwp **ret_fwp, struct eos_why *why) EOS_MUST_CHECK;
/*
 * The same, but what runs in the place of "_start", which need not be there, is ENTRY(FWP,
 * INSTANCE): on the FWP's stack and as a host function, when the instance has been made. It calls
 * exports between fwp_host_leave() and fwp_host_enter(), with INSTANCE before the arguments that
 * the signature says; it may block between the calls. When it returns, the FWP goes on as if
 * "_start" had.
 */
int fwp_new_with_entry(struct fwp_engine *engine, struct fwp_image *image,
		       const struct fwp_limits *limits, void *context,
		       void (*entry)(struct fwp *fwp, void *instance), struct fwp **ret_fwp,
		       struct eos_why *why) EOS_MUST_CHECK;
/* Not while it runs. */
struct fwp *fwp_free(struct fwp *fwp);

/*
 * Continues a ready or blocked FWP until it blocks, dies, or has run until END_NS (eos_now_ns()
 * time, UINT64_MAX: without end), which is found out in guest code at once and in a host function
 * at its end. Returns FWP_BLOCKED, FWP_DEAD, or FWP_READY: its slice is over, or it yielded. An FWP
 * that exceeds its host-call rate comes back as blocked too, with fwp_resume_ns() set.
 */
enum fwp_state fwp_run_until(struct fwp *fwp, uint64_t end_ns);
/*
 * The same for FWPs that a scheduler chooses among. Where the one that runs yields, blocks or is
 * preempted, or ends its turn, NEXT(CTX, STOPPED) says who continues, and until when; that one gets
 * the processor from STOPPED's stack, without a switch to the engine's thread. NEXT may name
 * STOPPED itself; while that is in the middle of a turn, no other one for turns (fwp_template.h).
 * It is called on the stack of the engine's thread (STOPPED's would be another one each time, in no
 * cache), may not free FWPs, and finds fwp_engine_stopped_ns() to be now.
 * Returns, to the caller of fwp_run_turns(), when NEXT names nobody, and when an FWP has died or
 * cannot go on, as its time is over: it is dead then. Returns that one or the one that stopped
 * last.
 */
struct fwp_turn {
	struct fwp *fwp; /* NULL: nobody */
	uint64_t end_ns; /* as fwp_run_until()'s */
};
typedef struct fwp_turn (*fwp_next_fn)(void *ctx, struct fwp *stopped);
struct fwp *fwp_run_turns(struct fwp *fwp, uint64_t end_ns, fwp_next_fn next, void *ctx);
/* Without end, and again after each yield: returns FWP_BLOCKED or FWP_DEAD. */
enum fwp_state fwp_run(struct fwp *fwp);
/* Until when a blocked FWP must wait because of its host-call rate; UINT64_MAX: that is not why it
 * is blocked. */
uint64_t fwp_resume_ns(const struct fwp *fwp);
/* A blocked or ready FWP dies; it is not run again. TEXT is static. */
void fwp_kill(struct fwp *fwp, enum fwp_death_kind kind, const char *text);
/* FN(FWP) runs when "_start" has returned, on the FWP's stack and as a host function, before the
 * FWP exits with code 0: for what must be finished in the guest's name, such as open files. It may
 * block and may end the FWP otherwise. Not while it runs. */
void fwp_set_on_return(struct fwp *fwp, void (*fn)(struct fwp *fwp));
enum fwp_state fwp_state(const struct fwp *fwp);
/* Why it died; only when it is dead. */
const struct fwp_death *fwp_death(const struct fwp *fwp);
/* Where it died, as "function+0x1f" in the module's own names; "" when that is not known. */
#define FWP_PLACE_SIZE 272u /* enough for all of it */
void fwp_death_place(const struct fwp *fwp, char *out, size_t size);
/* When its timeout ends (eos_now_ns() time), or UINT64_MAX. For FWPs that wait blocked. */
uint64_t fwp_deadline_ns(const struct fwp *fwp);
/* Bytes of linear memory now. Of an FWP that was not made from a template: 0 before its first run.
 */
uint64_t fwp_memory_bytes(const struct fwp *fwp);
/* The linear memory for others than its own host functions, such as a mover on another thread: its
 * start, and its present size, which only grows until the FWP is freed. */
struct fwp_memory_view {
	uint8_t *base;
	const _Atomic uint64_t *bytes;
};
struct fwp_memory_view fwp_memory_view(struct fwp *fwp);

/* Brings what a turn of FWP will touch of the engine's memory into the caches, for an owner who
 * knows who comes soon. Nothing changes. */
void fwp_prefetch(const struct fwp *fwp);

/*
 * For host functions, which run on the FWP's stack with 16 KiB to spare:
 */

/* LEN bytes of guest memory at ADDRESS, or NULL when they are not all inside. Valid until the
 * host function returns or blocks. Alignment is the guest's affair: use memcpy. */
void *fwp_memory(struct fwp *fwp, uint32_t address, uint64_t len);
void *fwp_context(struct fwp *fwp);
/* Ends the FWP; do not return. A host function that calls one of these or fwp_block() holds
 * nothing that only its stack knows (locks, memory, descriptors): it may never go on. */
void fwp_exit(struct fwp *fwp, uint32_t code) __attribute__((noreturn));
void fwp_trap(struct fwp *fwp, enum image_trap trap) __attribute__((noreturn));
/* Leaves the processor to the engine's thread: fwp_run() returns FWP_BLOCKED there. Returns at
 * the next fwp_run(). */
void fwp_block(struct fwp *fwp);
/* The same, but it stays ready: fwp_run_until() returns FWP_READY. */
void fwp_yield(struct fwp *fwp);
/*
 * The same, with fwp_host_leave() behind them, for host functions that do nothing else at their
 * end. A processor predicts returns from the calls that it has seen, and behind a switch these were
 * another stack's: each return costs some 15 ns there. A call that is the last of its function is a
 * jump, so these save one.
 */
void fwp_block_leave(struct fwp *fwp);
void fwp_yield_leave(struct fwp *fwp);
/*
 * Each host function begins and ends with these. Between them a fault is a fault of the host, and
 * a timeout or the end of a slice waits for fwp_host_leave(). fwp_host_enter() traps when less than
 * the 16 KiB of stack is left, and blocks an FWP that exceeds its host-call rate.
 */
void fwp_host_enter(struct fwp *fwp);
void fwp_host_leave(struct fwp *fwp);

/* "out of bounds memory access" and so on; never NULL. */
const char *fwp_trap_text(uint32_t trap);
