/*
 * The inside of FWPs and engines, shared by the files of this folder.
 *
 * A struct fwp is a place in the engine's pool, with its slot; it is made once, then given to one
 * FWP after another. Files: fwp.c (life cycle), fwp_host.c (host functions and the services for
 * generated code), fwp_engine.c (pool and timer), fwp_image.c and fwp_elf.c (loading),
 * fwp_slot.c (addresses), fwp_signal.c and fwp_report.c (faults).
 */
#pragma once

#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <ucontext.h>

#include "base/list.h"
#include "fwp/fwp.h"
#include "fwp/fwp_elf_priv.h"
#include "fwp/fwp_machine_priv.h"
#include "fwp/fwp_slot_priv.h"
#include "sched/context.h"

#define FWP_HISTORY_MAX 16u /* a power of two */

struct fwp_change {
	uint64_t ticks; /* fwp_machine_ticks() */
	enum fwp_state state;
};

struct fwp {
	/* Pool: made once. */
	struct eos_list node;  /* in the engine's free list, or in none */
	struct fwp *next_made; /* of all that the engine made */
	struct fwp_engine *engine;
	struct fwp_slot slot;

	/* This FWP, from fwp_new() to fwp_free(). */
	uint64_t id;					/* counts up from 1 */
	struct fwp_image *image;			/* a reference */
	void *user;					/* fwp_context() */
	void (*on_return)(struct fwp *fwp);		/* NULL: nothing */
	void (*entry)(struct fwp *fwp, void *instance); /* NULL: "_start" */
	struct fwp_limits limits;
	uint64_t deadline_ns;
	struct sched_context context;
	void *instance;	       /* in the arena; NULL until the first run */
	uint64_t memory_bytes; /* linear memory now */
	uint32_t memory_pages_max;
	bool has_memory; /* memory_reserve() was called */
	size_t arena_used;
	struct fwp_death death; /* also written by the signal handlers */
	enum fwp_state state;	/* assigned by move() in fwp.c only */
	struct fwp_change history[FWP_HISTORY_MAX];
	unsigned changes; /* since fwp_new(); history is a ring */

	/* Between the FWP and the signal handlers of its thread. */
	_Atomic bool in_host;	 /* host code runs on its stack; false only in guest code */
	_Atomic bool is_expired; /* the timer found its time over while it was in host code */
};

struct fwp_engine {
	struct sched_context context; /* of the thread, while an FWP runs */
	_Atomic(struct fwp *) current;
	unsigned fwps_max, made_count, alive_count;
	uint64_t next_id;
	struct eos_list free; /* the place used last is first */
	unsigned free_count, warm_max;
	int pagemap_fd;	  /* -1: this kernel cannot tell touched pages */
	struct fwp *made; /* all, linked by next_made */

	/* The timer, armed for at most tick_ns, only while somebody with a timeout runs. */
	uint64_t tick_ns;
	timer_t timer;
	_Atomic bool is_armed;

	/* To tell times from ticks: both clocks at the start. */
	uint64_t start_ns, start_ticks;

	void *signal_stack;
	stack_t previous_stack;
	sigset_t previous_mask;
};

struct fwp_image {
	_Atomic unsigned references;
	struct fwp_elf elf;
	uint32_t memory_pages_initial;
	struct image_exports exports;  /* a copy whose pointers were checked */
	void (*start)(void *instance); /* "_start", or NULL */
};

/* The engine of the calling thread, or NULL. */
extern _Thread_local struct fwp_engine *fwp_engine_here;
extern const struct image_host_ops fwp_host_ops;

/* fwp.c */
/* The state of a place that no FWP has had yet. */
void fwp_place_init(struct fwp *fwp);
const char *fwp_state_text(enum fwp_state state);
/* The last act of an FWP on its own stack: it is dead of fwp->death. ARG is the FWP. */
void fwp_finish(void *arg) __attribute__((noreturn));
/* From the FWP's stack, however little is left of it: dies of DEATH. */
void fwp_die(struct fwp *fwp, struct fwp_death death) __attribute__((noreturn));

/* fwp_host.c: zeroed bytes of the arena, or the FWP dies. On its stack, as the host. */
void *fwp_arena_allocate(struct fwp *fwp, uint64_t size);

/* fwp_engine.c */
/* A place in the pool with a clean slot. -EAGAIN: fwps_max; -ENOMEM. */
int fwp_engine_take(struct fwp_engine *engine, struct fwp **ret_fwp,
		    struct eos_why *why) EOS_MUST_CHECK;
/* Cleans the slot and puts it back. */
void fwp_engine_give(struct fwp *fwp);
/* Lets the timer signal come in at most REMAINING_NS. Any context, also signal. */
void fwp_engine_arm(struct fwp_engine *engine, uint64_t remaining_ns);

/* fwp_signal.c */
/* Makes the process's handlers ours, if they are not. */
int fwp_signal_install(struct eos_why *why) EOS_MUST_CHECK;
int fwp_signal_timer(void);
/* Alternate stack and signal mask of the calling thread, kept in ENGINE. */
int fwp_signal_thread_start(struct fwp_engine *engine) EOS_MUST_CHECK;
void fwp_signal_thread_stop(struct fwp_engine *engine);

/* fwp_report.c */
/* What must be known before a crash: the build id. */
void fwp_report_init(void);
/* Writes the crash report to standard error. Signal context. */
void fwp_report_crash(int sig, const siginfo_t *info, const ucontext_t *context);

/* fwp_image.c: the half of fwp_image_load() that runs no code of the image. */
int fwp_image_map(const void *elf, size_t size, struct fwp_image *image,
		  struct eos_why *why) EOS_MUST_CHECK;
