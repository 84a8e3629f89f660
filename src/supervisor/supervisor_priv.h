/*
 * The inside of the supervisor. Everything belongs to the loop's thread, but for what a worker does
 * with a job while it has it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/loop.h"
#include "link/link.h"
#include "link/link_proto.h"
#include "supervisor/process_priv.h"
#include "supervisor/supervisor.h"

#define SUPERVISOR_JOBS_KEPT   16u
#define SUPERVISOR_ERRORS_MAX  (64u << 10) /* of standard error a call, the last ones */
#define SUPERVISOR_READY_MS    10000u	   /* for a cell to say READY */
#define SUPERVISOR_GRACE_NS    (3 * UINT64_C(1000000000)) /* beyond a call's own timeout */
#define SUPERVISOR_LOAD_DEATHS 3u /* cells that may die while they load an image */
/* Of messages that wait for room: for each call an INVOKE, a reply (LINK_DATA_MAX) and CANCELs, the
 * small ones of images in what that leaves. */
#define SUPERVISOR_OUTGOING_BYTES_MAX ((size_t)LINK_CALLS_MAX * 2 * LINK_MESSAGE_MAX)

/* An open file of a call. A worker uses it while the call's request is under way. */
enum supervisor_file_kind { SUPERVISOR_FILE_NONE, SUPERVISOR_FILE_READER, SUPERVISOR_FILE_UPLOAD };
struct supervisor_file {
	enum supervisor_file_kind kind;
	union {
		struct store_reader *reader;
		struct store_upload *upload;
	};
	bool may_read;	   /* uploads: what is in it is no secret to the call */
	bool is_dirty;	   /* uploads: closing makes a new version of the object */
	bool is_exclusive; /* uploads: fails if the object exists at the end */
};
struct supervisor_files {
	unsigned count; /* open ones; never more than LINK_HANDLES_MAX */
	struct supervisor_file files[LINK_HANDLES_MAX];
};

/*
 * One request of a call, complete: a worker needs nothing but this and the file it names.
 */
struct supervisor_request {
	struct eos_job job;
	struct supervisor *supervisor;
	struct supervisor_call *call; /* for the loop's thread */
	struct store *store;
	uint32_t op, flags, request_id;
	unsigned access; /* enum func_access of the bucket */
	bool is_event;	 /* the paths are those of /event, and its object is in bucket and key */
	/* Of an event that the bucket's owner asked for: nobody else's bucket may be read. */
	bool has_owner;
	char owner[STORE_TENANT_MAX + 1];
	uint32_t handle;
	struct supervisor_file *file; /* its place, also where OPEN puts a new one */
	uint64_t offset;
	uint32_t size, path_len, path2_len, key_len;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char path[LINK_PATH_MAX + 1], path2[LINK_PATH_MAX + 1], key[STORE_KEY_MAX + 1];
	/* The answer. */
	int64_t result;
	uint32_t data_len;
	/* What to write, what was read. */
	_Alignas(8) char data[LINK_DATA_MAX];
};

enum supervisor_call_state {
	SUPERVISOR_CALL_FREE,
	SUPERVISOR_CALL_WAITING, /* for the cell or its image; in the image's list */
	SUPERVISOR_CALL_RUNNING, /* the cell has it; in the list of running ones */
	SUPERVISOR_CALL_ENDING,	 /* its func_call is done; a request or open files remain */
};
struct supervisor_call {
	struct eos_list link;
	enum supervisor_call_state state;
	struct supervisor *supervisor;
	struct func_call *call; /* NULL when ending */
	struct supervisor_image *image;
	uint64_t id;	   /* the link's: id % LINK_CALLS_MAX is the place in calls[] */
	uint64_t since_ns; /* when it came into this state */
	bool is_cancelled;
	bool is_over_limit;
	struct supervisor_request *request; /* under way, or NULL */
	struct supervisor_files *files;	    /* NULL until it opens one */
	struct eos_job close_job;	    /* closes what it left open */
};

enum supervisor_image_state {
	SUPERVISOR_IMAGE_FREE,
	SUPERVISOR_IMAGE_OPENING, /* a worker fetches or builds it */
	SUPERVISOR_IMAGE_OPENED,  /* waits for a cell that is ready */
	SUPERVISOR_IMAGE_LOADING, /* the cell has it, and has not answered */
	SUPERVISOR_IMAGE_LOADED,
};
struct supervisor_image {
	enum supervisor_image_state state;
	uint8_t module_sha256[32];
	struct func *func;	 /* a reference, to open it again for another cell; NULL: a check */
	struct image *image;	 /* OPENED only; owned */
	uint64_t since_ns;	 /* when it came into this state */
	struct eos_list waiting; /* calls */
	unsigned running;	 /* calls in the cell */
	unsigned deaths;	 /* cells that died while they loaded it */
	uint64_t used;		 /* when it was last used: a count of calls */
	struct supervisor_check *check; /* a reference; somebody tries it */
};

/* A message that found no room; sent before any other. At most a few for each call. */
struct supervisor_message {
	struct eos_list link;
	size_t len;
	char bytes[];
};

struct supervisor_relay;

struct supervisor {
	struct supervisor_config config;
	struct supervisor_relay *relay; /* a reference */
	bool is_stopping;
	uint64_t stopped_ns; /* when it began to stop */

	/* The cell. */
	struct process process;
	struct link *link;	      /* NULL: none, or broken */
	struct eos_watch *link_watch; /* the doorbell */
	struct eos_watch *process_watch;
	struct eos_timer *ready_timer, *restart_timer, *drain_timer, *tick_timer;
	_Atomic bool is_ready; /* written by the loop's thread; a hint for others, relaxed */
	bool is_ticking;
	bool is_draining;      /* messages are being taken in: no second time from inside */
	uint64_t deaths_ns[5]; /* times of the last deaths, a ring */
	unsigned deaths;
	struct eos_list outgoing; /* struct supervisor_message */
	size_t outgoing_bytes;

	/* Calls. */
	uint64_t calls_started, restarts, uses;
	uint64_t call_rounds; /* makes ids of calls unique */
	unsigned calls_running;
	struct eos_list running;
	uint16_t free_slots[LINK_CALLS_MAX]; /* a stack of indices into calls */
	unsigned free_slots_count;
	struct supervisor_call calls[LINK_CALLS_MAX];

	struct supervisor_image images[LINK_IMAGES_MAX];
	struct supervisor_request *kept_requests[SUPERVISOR_JOBS_KEPT];
	unsigned kept_requests_count;

	uint64_t counters_seen[LINK_COUNTERS_COUNT]; /* what the present cell said last */

	_Alignas(64) char message[LINK_MESSAGE_MAX]; /* the one being received */
	char payload[LINK_PAYLOAD_MAX];		     /* one in the making */
};

/* supervisor_cell.c: the process and the link. */
int supervisor_cell_timers(struct supervisor *supervisor) EOS_MUST_CHECK;
/* Starts the first cell; its successors start themselves. */
int supervisor_cell_first(struct supervisor *supervisor) EOS_MUST_CHECK;
/* It broke the protocol or hangs: kills it. What follows its death follows when it is reaped. */
void supervisor_cell_condemn(struct supervisor *supervisor, const char *reason);
/* Closes the link, so that the cell ends by itself. */
void supervisor_cell_close(struct supervisor *supervisor);
/* Sends, now or when there is room. An error of the link condemns the cell. */
void supervisor_send(struct supervisor *supervisor, const void *header, size_t header_len,
		     const void *payload, size_t payload_len);

/* supervisor_calls.c */
/* The image is loaded: sends the INVOKE. */
void supervisor_call_invoke(struct supervisor_call *call);
/* Ends a waiting or running call for func_queue. TEXT may be NULL. */
void supervisor_call_end(struct supervisor_call *call, enum func_outcome outcome, const char *text);
struct supervisor_call *supervisor_call_find(struct supervisor *supervisor, uint64_t id);
/* Gives the slot of an ending call back when nothing of it is under way any more. */
void supervisor_call_settle(struct supervisor_call *call);
/* The cell is gone: all it had end as FUNC_CELL_LOST. */
void supervisor_calls_lost(struct supervisor *supervisor, const char *text);
/* All end as FUNC_REFUSED. */
void supervisor_calls_refuse(struct supervisor *supervisor, const char *text);
/* Looks for calls whose time is over; on_tick's work. */
void supervisor_calls_check(struct supervisor *supervisor);
/* -EBADMSG: not a call that the cell has. */
int supervisor_call_output(struct supervisor *supervisor,
			   const struct link_message *message) EOS_MUST_CHECK;
int supervisor_call_done(struct supervisor *supervisor,
			 const struct link_message *message) EOS_MUST_CHECK;

/* supervisor_images.c */
/* Puts CALL into the list of its function's image, or invokes it at once. -EMFILE: the cell holds
 * as many images as it may, all in use. */
int supervisor_image_join(struct supervisor_call *call) EOS_MUST_CHECK;
int supervisor_image_loaded(struct supervisor *supervisor,
			    const struct link_message *message) EOS_MUST_CHECK;
/* The cell is ready: sends it what was opened meanwhile. */
void supervisor_images_send(struct supervisor *supervisor);
/* The cell is gone, with all images in it. Those that are waited for are opened anew. */
void supervisor_images_lost(struct supervisor *supervisor);
/* Frees all; no call waits any more. */
void supervisor_images_free(struct supervisor *supervisor);

/* supervisor_check.c */
int supervisor_relay_new(struct supervisor *supervisor,
			 struct supervisor_relay **ret_relay) EOS_MUST_CHECK;
/* The supervisor goes: late posts find nobody. */
void supervisor_relay_close(struct supervisor_relay *relay);
int supervisor_check_fd(const struct supervisor_check *check);
enum func_isolation supervisor_check_isolation(const struct supervisor_check *check);
/* The answer; takes the image's reference. */
void supervisor_check_finish(struct supervisor_check *check, int err, const char *text,
			     size_t text_len);
/* Takes CHECK's reference: begins to load the image, or answers at once. */
void supervisor_image_check(struct supervisor *supervisor, struct supervisor_check *check);

/* supervisor_counters.c: what cells count, in edged's counters. */
/* -EBADMSG: something that only grows has become less. */
int supervisor_counters_take(struct supervisor *supervisor,
			     const struct link_message *message) EOS_MUST_CHECK;
/* There is no cell any more that would have what the last one had. */
void supervisor_counters_lost(struct supervisor *supervisor);

/* supervisor_files.c: requests of calls, on the loop's thread. -EBADMSG: a request that an honest
 * cell does not make. */
int supervisor_file_request(struct supervisor *supervisor,
			    const struct link_message *message) EOS_MUST_CHECK;
/* Closes what the call left open, on a worker; supervisor_call_settle() is called afterwards. */
void supervisor_files_close(struct supervisor_call *call);
void supervisor_requests_free(struct supervisor *supervisor);

/* supervisor_file_ops.c: the same on a worker. */
void supervisor_request_run(struct supervisor_request *request);
/* Drops FILE without making anything visible. */
void supervisor_file_drop(struct supervisor_file *file);
