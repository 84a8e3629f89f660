/*
 * The inside of FWPs and engines, shared by the files of this folder.
 *
 * A struct fwp is a place in the engine's pool, with its slot; it is made once, then given to one
 * FWP after another. Files: fwp.c (life cycle), fwp_run.c (switches), fwp_turns.c (the stack for
 * turns), fwp_shared.c (the shared page), fwp_host.c (host functions and the services for generated
 * code), fwp_engine.c (engine and timer), fwp_pool.c (places), fwp_template.c (capture),
 * fwp_image.c and fwp_elf.c (loading), fwp_slot.c (addresses), fwp_signal.c and fwp_report.c
 * (faults and preemption).
 *
 * Fault points, named after the call that fails: fwp.calloc, fwp.mmap, fwp.mprotect, fwp.madvise,
 * fwp.memfd (also its size and seals), fwp.pagemap_scan, fwp.getrusage, fwp.sigaction,
 * fwp.sigaltstack, fwp.timer_create, fwp.timer_settime.
 */
#pragma once

#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <time.h>
#include <ucontext.h>

#include "base/assert.h"
#include "base/list.h"
#include "base/ticks.h"
#include "fwp/fwp.h"
#include "fwp/fwp_elf_priv.h"
#include "fwp/fwp_machine_priv.h"
#include "fwp/fwp_names_priv.h"
#include "fwp/fwp_slot_priv.h"
#include "fwp/fwp_template.h"
#include "sched/context.h"

#define FWP_HISTORY_MAX 32u /* a power of two */
#define FWP_DEATH_KINDS (FWP_DEATH_KILLED + 1)

struct fwp_change {
	uint64_t when_ns : 56; /* two years */
	uint64_t state : 8;    /* enum fwp_state */
	const struct fwp *fwp; /* the place; whose it is now */
};

/* What the timer, or a host function, leaves for fwp_host_leave(). */
#define FWP_PENDING_EXPIRED 1u /* its time is over */
#define FWP_PENDING_YIELD   2u /* its slice is */

/* Tables and memory of an instance that is to be captured. */
struct fwp_notes {
	unsigned count;
	bool is_full; /* there are more */
	struct {
		uint32_t kind; /* enum image_note */
		void *object;
	} notes[FWP_TEMPLATE_TABLES_MAX];
};

/*
 * The order of the fields is that of a start: the fewer cache lines it touches, the sooner the
 * guest runs, as on a busy node most of them come from memory. A turn touches the first two.
 */
struct fwp {
	/* Between the FWP and the signal handlers of its thread. */
	alignas(64) _Atomic bool in_host; /* host code runs on its stack; false only in guest code
					   */
	bool has_memory;		  /* memory_reserve() was called */
	bool is_initialising;		  /* from fwp_new_for_template() */
	uint8_t state;			  /* enum fwp_state; assigned by fwp_move() only */
	_Atomic unsigned pending;	  /* FWP_PENDING_… */
	uint64_t end_ns;		  /* of its slice or of its time, whichever is first */
	void *frame;			  /* the last frame of its preemption; NULL: it never was */

	/* This FWP, from fwp_new() to fwp_free(). */
	struct fwp_engine *engine;			/* made once */
	void (*entry)(struct fwp *fwp, void *instance); /* NULL: "_start" */
	struct fwp_image *image;			/* a reference, or the template's */
	bool is_for_turns, has_started;
	uint32_t host_calls_left; /* until the rate must be looked at */
	uint64_t resume_ns;	  /* fwp_resume_ns() */

	/* Of one for turns: where it goes on when it was interrupted; the bounds of its stack are
	 * always right. */
	alignas(64) struct sched_context context;
	void *instance; /* in the arena; NULL until the first run without template */
	void *user;	/* fwp_context() */
	uint64_t deadline_ns;
	_Atomic uint64_t memory_bytes; /* linear memory now; only grows */

	void (*on_return)(struct fwp *fwp); /* NULL: nothing */
	struct fwp_template *template;	    /* a reference; NULL: it makes its own instance */
	uint64_t timeout_ns;		    /* 0: none */
	uint64_t rate_from_ns; /* the time up to which host calls have been allowed; 0: never */
	uint64_t id;	       /* counts up from 1 */
	uint32_t arena_used;
	uint32_t memory_pages_max;
	uint32_t host_calls_per_s; /* 0: no limit */

	/* Pool: made once. */
	alignas(64) struct fwp_pool *pool; /* as its slot is bound */
	struct fwp *next_clean;		   /* in the pool's stack of clean places, or the engine's
					      of free ones */
	struct eos_list node;		   /* in the pool's dirty list, or in none */
	struct eos_list dirty_node;	   /* in the engine's list of dirty places, or in none */
	bool is_warm; /* clean, and the pages that its last FWP wrote are there */

	alignas(64) struct fwp_slot slot; /* made once */
	struct fwp_death death;		  /* also written by the signal handlers */

	struct fwp_notes *notes;   /* owned; NULL unless is_initialising */
	struct eos_list made_node; /* pool: of all that the engine made */
};
_Static_assert(offsetof(struct fwp, context) == 64 && offsetof(struct fwp, on_return) == 128 &&
		       offsetof(struct fwp, pool) == 192 && offsetof(struct fwp, slot) == 256 &&
		       offsetof(struct fwp, slot.low) == 320,
	       "a life touches six cache lines");

/* The places that are bound to one template, or to none, and have no FWP. */
struct fwp_pool {
	struct fwp *clean;     /* a stack: the place used last is first */
	struct eos_list dirty; /* the same */
	unsigned clean_count, warm_count, dirty_count;
	struct eos_list node;		     /* of the engine's pools of templates */
	const struct fwp_snapshot *snapshot; /* NULL: the engine's pool of plain places */
	struct fwp_engine *engine;
};

struct fwp_template {
	unsigned references;
	struct fwp_image *image; /* a reference */
	struct fwp_snapshot snapshot;
	uint32_t *pointers; /* the snapshot's, owned */
	struct fwp_pool pool;
	size_t instance_distance; /* below the linear memory */
	bool has_memory;
};

/* The stack that FWPs for turns share: a reservation whose upper part is accessible. */
struct fwp_turns {
	struct sched_context context; /* serve_turns(); sp is NULL: it is to be begun */
	struct fwp *user;	      /* in a turn which is not over; NULL: nobody */
	char *low;		      /* NULL: there was no FWP for turns yet */
	char *open, *top;
};

struct fwp_engine {
	struct sched_context context; /* of the thread, while an FWP runs */
	_Atomic(struct fwp *) current;
	/* Of fwp_run_turns(); NULL in all others. TURN is what NEXT said last. */
	fwp_next_fn next;
	void *next_ctx;
	struct fwp_turn turn;
	struct fwp *last; /* who had the processor last */
	struct fwp_turns turns;
	bool shares_page; /* as its configuration says */
	int page_fd;	  /* of the shared page; -1: there is none */
	uint8_t *page;	  /* the same, mapped; NULL */
	/* What places became last, for crash reports: a ring. */
	unsigned changes;
	struct fwp_change history[FWP_HISTORY_MAX];
	/* When the timer's signal comes; UINT64_MAX: it is not armed. */
	_Atomic uint64_t armed_ns;
	timer_t timer;

	/* Counted here and not in the process's counters, whose atomic additions would wait for all
	 * stores of a start; fwp_engine_count() adds them there. */
	struct {
		unsigned created, deaths[FWP_DEATH_KINDS];
	} counts;

	/* The time as far as it is known: read when an FWP starts to run, unless the owner has told
	 * it, and when it stops. */
	struct eos_fast_clock clock;
	uint64_t now_ns;
	bool is_now_set;

	unsigned fwps_max, made_count, alive_count, alive_max;
	uint64_t next_id;
	struct fwp_pool plain;
	struct eos_list pools; /* of templates; from the first one places are taken first */
	struct eos_list dirty; /* places of all pools; the oldest first */
	unsigned pool_low, pool_high;
	int pagemap_fd;	      /* -1: this kernel cannot tell written pages */
	bool counts_faults;   /* this kernel does */
	struct eos_list made; /* all places */
	/* Memory for FWPS_MAX places, owned; the first PLACES_TAKEN were in use, and those in the
	 * stack PLACES_FREE no longer are. */
	struct fwp *places, *places_free;
	unsigned places_taken;

	void *signal_stack;
	stack_t previous_stack;
	sigset_t previous_mask;
};

struct fwp_image {
	_Atomic unsigned references;
	struct fwp_elf elf;
	struct fwp_names *names; /* owned */
	uint32_t memory_pages_initial;
	struct image_exports exports;  /* a copy whose pointers were checked */
	void (*start)(void *instance); /* "_start", or NULL */
	/* What a template runs; NULL where the module has none. */
	void (*initialize)(void *instance), (*edgeos_init)(void *instance);
};

/* The engine of the calling thread, or NULL. */
extern _Thread_local struct fwp_engine *fwp_engine_here;
extern const struct image_host_ops fwp_host_ops;

/* Which states may follow one: bits. fwp.c has the picture. */
extern const uint8_t fwp_states_allowed[];

/* Inline, as it is part of each switch. */
static inline __attribute__((always_inline)) void fwp_move(struct fwp *fwp, enum fwp_state to)
{
	struct fwp_engine *engine = fwp->engine;
	EOS_ASSERT((fwp_states_allowed[fwp->state] & 1u << to) != 0);
	fwp->state = (uint8_t)to;
	engine->history[engine->changes++ % FWP_HISTORY_MAX] =
		(struct fwp_change){.when_ns = engine->now_ns, .state = to, .fwp = fwp};
}

/* fwp.c */
/* The state of a place that no FWP has had yet. */
void fwp_place_init(struct fwp *fwp);
const char *fwp_state_text(enum fwp_state state);
void fwp_count_death(const struct fwp *fwp);

/* fwp_run.c */
/* The last act of an FWP on its own stack: it is dead of fwp->death. ARG is the FWP. */
void fwp_finish(void *arg) __attribute__((noreturn));
/* The processor was taken from it in guest code: yields. ARG is the FWP, whose stack this is. */
void fwp_preempted(void *arg);
/* From the FWP's stack, however little is left of it: dies of DEATH. */
void fwp_die(struct fwp *fwp, struct fwp_death death) __attribute__((noreturn));

/* fwp.c: a place of POOL, whose memory begins with MEMORY_BYTES, for an FWP with these limits;
 * where *LIMITS is NULL they become the defaults. It has a stack, unless it is one for turns. */
int fwp_place_take(struct fwp_pool *pool, uint64_t memory_bytes, const struct fwp_limits **limits,
		   bool has_stack, struct fwp **ret_place, struct eos_why *why) EOS_MUST_CHECK;
/* A READY FWP in PLACE, of IMAGE, with nothing decided that LIMITS do not say. */
void fwp_place_start(struct fwp *place, struct fwp_image *image, const struct fwp_limits *limits,
		     void *context);

/* fwp_turns.c */
/* FWP, which was just made, is for turns, with STACK_BYTES of stack. -ENOMEM. */
int fwp_turns_join(struct fwp *fwp, uint64_t stack_bytes) EOS_MUST_CHECK;
/* The stack is empty, and SERVE(ENGINE) begins on it at the next switch to its context. */
void fwp_turns_begin(struct fwp_engine *engine, void (*serve)(void *engine));
/* FWP is dead, or about to be freed: its turn, if it is in one, is over. Any stack. */
void fwp_turns_leave(struct fwp *fwp);
void fwp_turns_fini(struct fwp_engine *engine);

/* fwp_shared.c */
/* Makes the page, unless it is there, or this machine's pages are larger. -ENOMEM. */
int fwp_shared_make(struct fwp_engine *engine) EOS_MUST_CHECK;
void fwp_shared_fini(struct fwp_engine *engine);

/* Where an address or a stack pointer lies; any context, also signal. The second: overflowed or
 * not. */
bool fwp_is_stack_guard(const struct fwp *fwp, uintptr_t address);
bool fwp_is_stack(const struct fwp *fwp, uintptr_t sp);

/* fwp_host.c: zeroed bytes of the arena, or the FWP dies. On its stack, as the host. */
void *fwp_arena_allocate(struct fwp *fwp, uint64_t size);
/* What came in while the host ran. */
void fwp_host_leave_pending(struct fwp *fwp);

/* fwp_host_leave(), inline for what switches. */
static inline void fwp_host_leave_now(struct fwp *fwp)
{
	/* The flag first: a timer that comes before it leaves a note, one that comes after it acts
	 * by itself. */
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&fwp->in_host, false, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	if (EOS_UNLIKELY(atomic_load_explicit(&fwp->pending, memory_order_relaxed) != 0))
		fwp_host_leave_pending(fwp);
}

/* Counts host calls against the rate; blocks. On its stack, as the host. */
void fwp_host_calls_refill(struct fwp *fwp);

/* fwp_pool.c */
void fwp_pool_init(struct fwp_pool *pool, struct fwp_engine *engine,
		   const struct fwp_snapshot *snapshot);
/* Its places become the engine's plain ones, still to be cleaned; none of them has an FWP. */
void fwp_pool_fini(struct fwp_pool *pool);
/* A place with a clean slot, bound as POOL says. -EAGAIN: fwps_max; -ENOMEM. */
int fwp_pool_take(struct fwp_pool *pool, struct fwp **ret_fwp, struct eos_why *why) EOS_MUST_CHECK;
/* Reads what the next start from POOL will need, so that it is in the caches and the TLB. */
void fwp_pool_warm(const struct fwp_pool *pool);
/* Puts it back, to be cleaned. */
void fwp_pool_give(struct fwp *fwp);
bool fwp_pool_maintain(struct fwp_engine *engine);
void fwp_pool_shrink(struct fwp_engine *engine);
/* Memory for places, once an engine. -ENOMEM. */
int fwp_pool_reserve_places(struct fwp_engine *engine) EOS_MUST_CHECK;
/* Frees all places, of which none has an FWP, and their memory. */
void fwp_pool_free_places(struct fwp_engine *engine);

/* fwp_engine.c */
/* Lets the timer's signal come at END_NS, unless it comes before. Any context, also signal. When
 * it fails no signal comes, and the FWP that runs must not go on. */
int fwp_engine_arm(struct fwp_engine *engine, uint64_t end_ns) EOS_MUST_CHECK;
/* What such an FWP dies of. */
extern const struct fwp_death fwp_death_no_timer;

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

/* fwp_image.c */
/* "function+0x1f" for PC, or "image+0x101f" where there is no name; "" where PC is not in the
 * image's code. Any context, also signal. SIZE is not 0. */
void fwp_image_describe(const struct fwp_image *image, uintptr_t pc, char *out, size_t size);
/* The half of fwp_image_load() that runs no code of the image. */
int fwp_image_map(const void *elf, size_t size, struct fwp_image *image,
		  struct eos_why *why) EOS_MUST_CHECK;
