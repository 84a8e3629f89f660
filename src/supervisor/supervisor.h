/*
 * edged's side of a cell: starts it, watches it, restarts it, carries calls to it over the link,
 * and serves the files that functions open in buckets.
 *
 * One cell each; src/router has those of a node. If it dies, the calls it had end as
 * FUNC_CELL_LOST, uploads they had open are aborted, and a new cell is started at once (after five
 * deaths within ten seconds, once a second). Everything is on the loop's thread, but for file
 * operations and images, which worker threads do that several supervisors share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/macros.h"
#include "base/why.h"
#include "base/workers.h"
#include "func/func.h"
#include "image/image.h"
#include "link/link_config.h"
#include "store/store.h"

struct supervisor;

#define SUPERVISOR_FILE_THREADS	 4u
#define SUPERVISOR_IMAGE_THREADS 2u
#define SUPERVISOR_ANY_PROCESSOR (-1)

struct supervisor_config {
	struct eos_loop *loop;
	/* Both of LOOP, with as many threads as said above. */
	struct eos_workers *file_workers, *image_workers;
	struct store *store;
	struct func_registry *registry;
	struct func_queue *queue;
	struct func_log *log;
	const char *cell_program; /* path of edge-cell */
	struct link_config cell;  /* how it is set up; all 0: link_config_default */
	int processor; /* where the cell stays, if it may; SUPERVISOR_ANY_PROCESSOR: anywhere */
	const uint8_t *image_public_key; /* CRYPTO_SIGN_PUBLIC_SIZE bytes: whose images may run */
	/* The image of a function, from the cache or built. Called on a worker thread. Returns an
	 * image that the supervisor closes, or a negative errno. */
	int (*open_image)(void *ctx, const struct func *func, struct image **ret_image,
			  struct eos_why *why);
	void *ctx;
};

/* Starts the cell; it is ready when supervisor_is_ready(). CONFIG is copied, what it points to is
 * borrowed until supervisor_free(), but for the workers. The loop's thread, which must live as long
 * as the supervisor: the cell dies with it. */
int supervisor_new(const struct supervisor_config *config, struct supervisor **ret_supervisor,
		   struct eos_why *why) EOS_MUST_CHECK;
/* Ends the cell; calls under way end as FUNC_REFUSED, and so does what is started from now on. Does
 * not block; callers of supervisor_check_image() get their answer. */
void supervisor_stop(struct supervisor *supervisor);
/* Stops, and waits for the cell, at most a second from supervisor_stop() on: then it is killed. The
 * workers have gone before (eos_workers_free(), after supervisor_stop()), so nothing of this
 * supervisor is under way in them. Nobody is in supervisor_check_image() any more. */
struct supervisor *supervisor_free(struct supervisor *supervisor);
/* Any thread; the cell may be gone a moment later. */
bool supervisor_is_ready(const struct supervisor *supervisor);

/* What struct func_executor says of start() and cancel(). start()'s CTX is the supervisor, which
 * keeps the call's executor_data for itself; cancel() finds it by the call, and ignores CTX. */
void supervisor_call_start(void *ctx, struct func_call *call);
void supervisor_call_cancel(void *ctx, struct func_call *call);

struct supervisor_stats {
	int cell_pid; /* 0 while there is none */
	bool is_ready;
	uint64_t restarts, calls_started;
	unsigned calls_running;	  /* the cell has them */
	unsigned calls_under_way; /* these, and those that wait for it or are being cleaned up */
};
void supervisor_stats(const struct supervisor *supervisor, struct supervisor_stats *ret_stats);

/*
 * Tries whether the cell can load IMAGE (imports, ABI, and that ISOLATION fits its exports) before
 * a function is deployed with it. Any thread but the loop's; blocks, at most ten seconds. -ENOSYS:
 * an import that is missing or exports that do not fit, named in WHY; -EAGAIN: no cell now; others
 * as image_open().
 */
int supervisor_check_image(struct supervisor *supervisor, const struct image *image,
			   enum func_isolation isolation, struct eos_why *why) EOS_MUST_CHECK;
