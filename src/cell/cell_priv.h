/*
 * The inside of a cell: its state and its calls. Everything belongs to the cell's one thread; host
 * functions (the vfs back ends) run on it too, on an FWP's stack.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/list.h"
#include "cell/cell.h"
#include "fwp/fwp.h"
#include "fwp/fwp_template.h"
#include "link/link_counters.h"
#include "link/link_proto.h"
#include "mma/mma_host.h"
#include "sched/core.h"
#include "wasi/edgeos.h"
#include "wasi/wasi.h"

#define CELL_INPUT_BYTES  LINK_INPUT_INLINE_MAX
#define CELL_OUTPUT_BYTES (16u << 10)
#define CELL_ERRORS_BYTES (4u << 10)
#define CELL_TMP_BYTES	  (16u << 20)
#define CELL_TMP_FILES	  256u

#define CELL_FUNCTION_BUCKETS 256u  /* of the hash over names; a power of two */
#define CELL_FUNCTIONS_MAX    8192u /* twice as many as can be deployed */

#define CELL_RESIDENTS_MAX    64u
#define CELL_RESIDENT_BYTES   LINK_PAYLOAD_MAX /* of a message to one, and of its answer */
#define CELL_RESIDENT_IDLE_NS (30 * EOS_NS_PER_S)

/*
 * States of a call; cell_call_move() in cell_call.c has the table.
 *
 *   FREE → READY ⇄ RUNNING → WAITS_REPLY | WAITS_ROOM | WAITS_TEMPLATE | WAITS_RESIDENT |
 *                            WAITS_ANSWER | SLEEPS → READY
 *   any but FREE → ENDED (dead; its DONE waits for room) → FREE
 *
 * Whether a ready one is in the run queue or waits for its budget is the scheduler's to know.
 */
enum cell_call_state {
	CELL_CALL_FREE,
	CELL_CALL_READY,
	CELL_CALL_RUNNING,
	CELL_CALL_WAITS_REPLY,	  /* for the FILE_REPLY of its request */
	CELL_CALL_WAITS_ROOM,	  /* for room in the ring to edged */
	CELL_CALL_WAITS_TEMPLATE, /* for another call of its function to make it */
	CELL_CALL_WAITS_RESIDENT, /* for the calls before it to be answered */
	CELL_CALL_WAITS_ANSWER,	  /* of the resident FWP */
	CELL_CALL_SLEEPS,	  /* until its timer */
	CELL_CALL_ENDED,
	CELL_CALL_STATES,
};

/* A directory of a bucket, or the root of one. */
struct cell_bucket_dir {
	struct wasi_node node;
	struct cell_call *call; /* borrowed: the call outlives its nodes */
	uint32_t bucket;	/* as in LINK_OP_OPEN */
	bool is_root;		/* part of the call, not allocated */
	uint32_t prefix_len;
	char *prefix;		       /* without a slash at the end; NULL for a root */
	struct cell_bucket_list *list; /* the listing under way; NULL until somebody reads it */
};

/* The one request a call may have at edged. */
struct cell_request {
	uint32_t id;
	void *out; /* where the reply's payload goes; borrowed from the waiting host function */
	uint32_t out_size, out_len;
	int64_t result;
};

/* What the scheduler runs: a call, or a resident FWP. */
struct cell_task {
	struct sched_task task;
	/* A turn, from the engine's thread. */
	enum sched_turn (*run)(struct cell_task *task, uint64_t slice_end_ns);
	/* Begins a turn on the stack of the FWP that had the one before: the FWP that continues, or
	 * NULL: run() must begin it. RESUME may be NULL. */
	struct fwp *(*resume)(struct cell_task *task);
	/* What it means that the FWP which resume() named has stopped, alive. On its stack. */
	enum sched_turn (*stopped)(struct cell_task *task);
};

/* The turns that follow each other from FWP to FWP; cell_turns.c. */
struct cell_turns {
	struct cell_task *running; /* whose turn it is */
	struct cell_task *next;	   /* has a turn that run() must begin; NULL: none */
	uint64_t next_end_ns;
	bool is_over; /* sched_core_next() was told, and no FWP continues */
};

/* The FWP that answers the calls of a function that stays; see cell_resident.c. */
struct cell_resident {
	struct cell *cell;
	struct cell_function *function; /* borrowed: it has us */
	struct eos_list link;		/* of the cell's, the one that was used last at the end */
	struct cell_task task;
	struct sched_timer wake_timer, idle_timer;
	uint64_t resume_ns; /* it makes more host calls than it may: not before; 0: now */
	struct mma *mma;
	struct mma_host *host; /* the cell's side */
	struct wasi *wasi;
	struct edgeos *edgeos;
	struct fwp *fwp; /* NULL: it died after its answer, which is still to be taken */
	bool is_woken;
	/* The call under way, if it has begun: */
	bool is_full; /* its message finds no room behind those of cancelled calls */
	bool is_connected;
	uint32_t to_guest, to_host; /* handles of the host's and the guest's port */
	uint64_t dropped_before;    /* by the host's port */
	bool has_answer;	    /* at the host's port, not released */
	bool has_refused;	    /* its buffer is too small for the message */
	char *environment;	    /* of the last call: "K=V\0" … */
	uint32_t environment_len;
	struct wasi_node input, output;
	uint32_t log_len; /* lines that were written without a call, for the next */
	char log[CELL_ERRORS_BYTES];
};

/* One tenant with one budget. */
struct cell_tenant {
	struct eos_list link; /* of the cell's tenants */
	struct sched_server server;
	struct link_budget budget;
	unsigned functions_count;
	char name[LINK_NAME_MAX + 1];
};

/* One deployment of a function with one image and budget; see cell_function.c. */
struct cell_function {
	struct eos_list link; /* of its hash bucket */
	struct eos_list idle; /* of the idle ones, or in itself */
	struct sched_server server;
	struct cell_tenant *tenant;
	struct fwp_image *image; /* a reference */
	struct link_budget budget;
	uint64_t deployment;
	uint64_t idle_since_ns;
	struct fwp_template *template;	/* NULL: none yet */
	struct cell_call *initialiser;	/* it makes the template; NULL: nobody */
	struct eos_list waiting;	/* calls that wait for it */
	bool stays;			/* its calls are answered by one resident FWP */
	struct edgeos_saved saved;	/* with the template, if it stays */
	struct cell_resident *resident; /* NULL: none now */
	char *last_words; /* log of one that died without a call, for the next; owned */
	uint32_t last_words_len;
	struct cell_call *current; /* the call that it answers, or will answer next */
	struct eos_list queue;	   /* calls behind that */
	unsigned calls_count;
	bool is_unloaded;   /* edged took the image away: it goes with its last call */
	bool is_superseded; /* there is a newer deployment of its name */
	char name[LINK_NAME_MAX + 1];
};

struct cell_call {
	struct cell *cell;
	struct eos_list link; /* waiting for room or a template, ended, free: as the state says */
	enum cell_call_state state;
	uint64_t id;
	struct cell_function *function; /* NULL when ended */
	struct cell_task task;		/* initialised while there is a function */
	struct sched_timer deadline_timer, wake_timer;
	struct wasi *wasi;
	struct fwp *fwp; /* NULL until its first turn; the initialiser's first one initialises */
	struct wasi *init_wasi; /* of that one */
	struct mma *init_mma;	/* the same, if the function stays */
	struct edgeos *init_edgeos;
	uint64_t init_left_ns; /* running time it still has */
	char *environment;     /* if the function stays: the INVOKE's */
	uint32_t environment_len;
	struct fwp_limits limits;
	uint64_t timeout_ns;
	uint64_t deadline_ns; /* UINT64_MAX: none */
	struct cell_request request;
	uint32_t last_request_id;
	bool is_ending;		   /* no more requests: its nodes are being freed */
	uint64_t drops;		   /* handles to be dropped before the next request, one bit each */
	enum link_outcome outcome; /* 0 while it lives */
	uint32_t exit_code;
	char text[LINK_TEXT_MAX + 1];

	struct wasi_node input, output, errors;
	struct cell_bucket_dir roots[LINK_PREOPENS_MAX];
	struct cell_bucket_dir event;
	uint64_t input_len;    /* all of it */
	uint64_t input_offset; /* of input_bytes[0] */
	uint32_t input_at;     /* next byte of input_bytes to give */
	uint32_t input_have;   /* valid bytes in input_bytes */
	uint64_t output_total; /* bytes written to standard output */
	uint32_t output_len, errors_len;
	char input_bytes[CELL_INPUT_BYTES];
	char output_bytes[CELL_OUTPUT_BYTES];
	char errors_bytes[CELL_ERRORS_BYTES];
};

struct cell_image {
	struct fwp_image *image; /* NULL: the slot is free */
};

struct cell {
	struct link *link;
	struct fwp_engine *engine;
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE];
	struct sched_core *core;
	struct cell_turns turns;
	int err;	       /* not 0: the link is broken, stop */
	struct eos_list room;  /* calls in that state */
	struct eos_list ended; /* their DONE waits for room */
	struct eos_list free;
	unsigned calls_count;	  /* not free */
	uint64_t quantum_ns;	  /* of the scheduler */
	uint64_t init_timeout_ns; /* running time of an initialisation */
	int meminfo_fd;		  /* -1: memory pressure is not seen */
	uint64_t memory_low_kib;  /* pressure is when less is available */
	uint64_t memory_check_ns; /* when it is looked at again */
	uint64_t memory_used_ns;  /* when the last FWP was made */
	bool has_used_memory;	  /* since it was given back */
	bool may_spin;		  /* another processor may be about to write to the ring */
	uint64_t next_look_ns;	  /* when a busy cell looks at its descriptors again */
	struct eos_list tenants;  /* struct cell_tenant */
	struct eos_list residents;
	unsigned residents_count;
	uint64_t resident_idle_ns;
	struct eos_list idle; /* functions without calls, the longest idle first */
	unsigned functions_idle, functions_count;
	struct eos_list functions[CELL_FUNCTION_BUCKETS]; /* by name */
	/* By place in link_counters; NULL: this build has none of that name. */
	const struct eos_counter *counters[LINK_COUNTERS_COUNT];
	uint64_t counters_sent[LINK_COUNTERS_COUNT];
	uint64_t counters_next_ns; /* no report before */
	bool has_counted;	   /* what the next report will say is known to be new */
	/* A LOADED that found no room; nothing is received meanwhile. */
	bool has_loaded;
	struct link_loaded loaded;
	char loaded_text[LINK_TEXT_MAX + 1];
	struct cell_image images[LINK_IMAGES_MAX];
	struct cell_call *calls[LINK_CALLS_MAX]; /* by id modulo LINK_CALLS_MAX; NULL: none */
	_Alignas(64) char message[LINK_MESSAGE_MAX];
	char scratch[LINK_PAYLOAD_MAX]; /* a payload in the making; not kept across a block */
};

/* cell.c: all of cell_node() but what concerns the process. ENTER, the way into the sandbox, is
 * called before the first message, unless it is NULL. Returns why it ended: -EPIPE when edged
 * closed the link, -EBADMSG when a message made no sense. */
int cell_serve(const struct cell_config *config, int (*enter)(struct eos_why *why)) EOS_MUST_CHECK;

/* cell_turns.c */
/* There is a reason to leave the scheduler. While a LOADED waits nothing is received: then a
 * message is none. */
bool cell_has_message(const struct cell *cell);
extern const struct sched_core_ops cell_sched_ops; /* the context is the cell */
/* The turn of TASK, whose FWP this is, and those behind it as far as they can be handed on. NULL:
 * they are over, SCHED_TURN_OVER; else the task whose FWP died in its turn. */
struct cell_task *cell_run_turns(struct cell *cell, struct cell_task *task, struct fwp *fwp,
				 uint64_t slice_end_ns);

/* cell_message.c: applies what edged sent. -EBADMSG, -EPIPE: the link is broken. */
int cell_receive(struct cell *cell, unsigned messages_max);
/* Sends a LOADED that found no room earlier. */
void cell_flush_loaded(struct cell *cell);
void cell_images_free(struct cell *cell);

/* cell_function.c: tenants, functions and their budgets. */
void cell_functions_init(struct cell *cell);
/* No calls are left. */
void cell_functions_free(struct cell *cell);
/* The function of an INVOKE whose image is there, which then has one more call. -ENOMEM; -ENOSPC:
 * CELL_FUNCTIONS_MAX have calls, or had some in their last period. */
int cell_function_take(struct cell *cell, const struct link_message *message,
		       struct cell_function **ret_function, struct eos_why *why) EOS_MUST_CHECK;
/* A call of it has ended; it may be freed. Returns NULL; NULL is fine. */
struct cell_function *cell_function_give(struct cell *cell, struct cell_function *function);
/* Its resident FWP is gone; it may be freed. */
void cell_function_settle(struct cell *cell, struct cell_function *function);
/* edged took IMAGE away: functions that have it are not kept. */
void cell_functions_unload(struct cell *cell, const struct fwp_image *image);
/* Gives up the templates and resident FWPs of functions without calls. */
void cell_functions_shrink(struct cell *cell);

/* cell_call.c */
/* The call with this id, or NULL. */
struct cell_call *cell_call_find(struct cell *cell, uint64_t id);
/* Takes an INVOKE; what goes wrong beyond the protocol is the call's outcome. -EBADMSG. */
int cell_call_start(struct cell *cell, const struct link_message *message) EOS_MUST_CHECK;
/* cell_call_turn.c: what the scheduler calls for it. A call may be freed in its turn. */
void cell_call_set_turns(struct cell_call *call);
/* Why FWP died, as the call's outcome, unless there is one already. */
void cell_call_note_death(struct cell_call *call, const struct fwp *fwp);
/* Gives back what it holds; its DONE, with the outcome that was set, is sent when there is room. */
void cell_call_end(struct cell_call *call);
/* Ends a call that could not be started, or not go on, as NOT_STARTED. Not while it runs. */
void cell_call_refuse(struct cell_call *call, int err, const struct eos_why *why);
/* What its struct wasi needs; the context is the call. */
extern const struct wasi_host_ops cell_call_host_ops;
/* An FWP's /tmp. -ENOMEM. */
int cell_add_tmp(struct wasi *wasi) EOS_MUST_CHECK;
/* Moves it and puts it into the list of its new state. */
void cell_call_move(struct cell_call *call, enum cell_call_state state);
/* Ends a call that is not running: it dies, and its DONE is sent as soon as there is room. */
void cell_call_kill(struct cell_call *call, enum link_outcome outcome);
/* Tries to send the DONE of an ended call; frees the call then. */
void cell_call_flush(struct cell_call *call);
/* Frees a call without a word, in any state but running. */
void cell_call_abandon(struct cell_call *call);
void cell_call_pool_free(struct cell *cell);

/* cell_template.c */
/* The function of a ready call has no template: makes the FWP that initialises, or lets the call
 * wait for the one that does so already. Errors as fwp_new(). */
int cell_template_join(struct cell_call *call, struct eos_why *why) EOS_MUST_CHECK;
/* The end of the initialiser's turn, given that of the scheduler. */
uint64_t cell_template_slice(const struct cell_call *call, uint64_t slice_end_ns);
/* It has run for RAN_NS. -ETIMEDOUT: that is all it may. */
int cell_template_charge(struct cell_call *call, uint64_t ran_ns,
			 struct eos_why *why) EOS_MUST_CHECK;
/* The initialisation is dead: the function has its template, and the calls that waited are ready.
 * -EIO: it failed; others as fwp_template_capture(). */
int cell_template_capture(struct cell_call *call, struct eos_why *why) EOS_MUST_CHECK;
/* Ends the initialiser, and with it all that wait. */
void cell_template_fail(struct cell_call *call, int err, const struct eos_why *why);
/* A call ends or goes on: if it is the initialiser, another one may be. */
void cell_template_leave(struct cell_call *call);

/* cell_resident.c */
/*
 * A turn of a ready call of a function that stays and has its template: the call begins, waits for
 * those before it, or ends with the answer. Errors, with which the call is to be refused:
 * -EMSGSIZE: its message is too long; -EAGAIN: too many functions stay; others as fwp_new().
 */
int cell_resident_join(struct cell_call *call, struct eos_why *why) EOS_MUST_CHECK;
/* A call ends: if it was the one under way, the next one is. */
void cell_resident_leave(struct cell_call *call);
/* NULL is fine. Whoever calls this lets cell_function_settle() follow. */
struct cell_resident *cell_resident_free(struct cell_resident *resident);
/* Gives up those without calls. */
void cell_residents_shrink(struct cell *cell);

/* cell_resident_host.c: what a resident FWP gets from its host. */
extern const struct edgeos_host_ops cell_resident_ops;
extern const struct wasi_host_ops cell_resident_wasi_ops;
/* Standard input (empty), output and errors (its log), and /tmp. */
int cell_resident_add_files(struct cell_resident *resident) EOS_MUST_CHECK;
/* To the call's standard errors; what finds no room is lost. */
void cell_resident_report(struct cell_call *call, const char *text, size_t len);
/* For the initialiser: the same host calls, but no connections and no configuration. -ENOMEM. */
int cell_resident_init_new(struct cell_call *call) EOS_MUST_CHECK;
/* Before its FWP. */
void cell_resident_init_free(struct cell_call *call);

/* cell_memory.c */
/* Before the sandbox. Without the kernel's figures the cell works, and says so in the log. */
void cell_memory_open(struct cell *cell);
void cell_memory_close(struct cell *cell);
/* An FWP was made. */
void cell_memory_note_use(struct cell *cell, uint64_t now_ns);
/* Gives back what is kept, if it is time. Returns when to call again if nothing happens before. */
uint64_t cell_memory_check(struct cell *cell);
/* The value of NAME in a text like /proc/meminfo. -ENOENT, -EBADMSG. */
int cell_memory_parse(const char *text, const char *name, uint64_t *ret_kib) EOS_MUST_CHECK;

/* cell_counters.c */
/* Once, when the engine is there. */
void cell_counters_init(struct cell *cell);
/* Reports to edged, if it is time and there is something to say. Errors of link_send(). */
int cell_counters_report(struct cell *cell, uint64_t now_ns) EOS_MUST_CHECK;
/* When the next report is due if nothing happens before; UINT64_MAX: there is nothing to say. */
uint64_t cell_counters_due(struct cell *cell);

/* cell_request.c: for host functions on the FWP's stack; they block it. */
/* Leaves the processor in STATE until the call is ready again. */
void cell_call_block(struct cell_call *call, enum cell_call_state state);
/* Sends until there is room. */
void cell_call_send(struct cell_call *call, const void *header, size_t header_len,
		    const void *payload, size_t payload_len);
/*
 * Sends REQUEST (whose call, id and lengths are filled in here) with its PATHs or DATA, and waits
 * for the reply. Its payload goes to OUT, at most OUT_SIZE bytes; *RET_LEN may be NULL. Returns
 * the result.
 */
int64_t cell_call_request_paths(struct cell_call *call, struct link_file_request *request,
				struct link_span path, struct link_span path2, void *out,
				uint32_t out_size, uint32_t *ret_len) EOS_MUST_CHECK;
int64_t cell_call_request_data(struct cell_call *call, struct link_file_request *request,
			       const void *data, uint32_t len) EOS_MUST_CHECK;
/* Gives a handle back without waiting. */
void cell_call_drop_handle(struct cell_call *call, uint32_t handle);
/* Takes the reply. -EBADMSG: it does not fit what was asked. */
int cell_call_reply(struct cell_call *call, const struct link_message *message) EOS_MUST_CHECK;

/* cell_streams.c: standard input, output and errors. */
void cell_call_streams_init(struct cell_call *call);
/* For the streams of calls and of resident FWPs, which have them as parts of themselves: nothing is
 * released. */
int cell_stream_stat(struct wasi_node *node, struct wasi_stat *ret_stat);
void cell_stream_release(struct wasi_node *node);

/* vfs_bucket.c */
void cell_bucket_root_init(struct cell_bucket_dir *dir, struct cell_call *call, uint32_t bucket);
/* A number for (bucket, path), the same each time. */
uint64_t cell_bucket_inode(uint32_t bucket, const char *path, size_t len);
void cell_bucket_stat(const struct link_stat *from, uint64_t inode, struct wasi_stat *ret_stat);

/* vfs_bucket_file.c: the file behind HANDLE of edged. On failure the handle is dropped. */
int cell_bucket_file_new(struct cell_call *call, uint32_t handle, uint64_t inode,
			 const struct link_stat *stat, bool is_writable,
			 struct wasi_node **ret_node) EOS_MUST_CHECK;
