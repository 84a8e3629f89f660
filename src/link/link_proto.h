/*
 * What edged and a cell say to each other over the link.
 *
 * A message is a struct that begins with struct link_header, followed by payload_len bytes. Both
 * sides run on the same machine: fields are in its byte order, fixed in width, padding is named
 * and zero. Decoding checks everything that can be checked without knowing the state of the link:
 * sizes, sums of lengths, ranges, texts without NUL. What fails is -EBADMSG and ends the link.
 * Whether a call, image or handle exists is for the receiver to check against its own state.
 *
 * A call's life:
 *
 *   edged                                   cell
 *   (descriptor over the socket) LOAD  ──►
 *                                      ◄──  LOADED                      once an image
 *   INVOKE                             ──►
 *                                      ◄──  OUTPUT, FILE_REQUEST        0 … n
 *   FILE_REPLY                         ──►                              one a FILE_REQUEST
 *   CANCEL                             ──►                              0 or 1
 *                                      ◄──  DONE                        exactly one
 *
 * A call has at most one FILE_REQUEST without its reply (LINK_OP_DROP has none). A small call is
 * one INVOKE with its input and one DONE with its output. A reply for a call that is done is
 * ignored.
 *
 * Beside the calls a cell that has something new to count says so with COUNTERS, at most once a
 * second; one in which nothing happens says nothing.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define LINK_PROTO_VERSION    4u
#define LINK_PAYLOAD_MAX      (64u << 10)
#define LINK_MESSAGE_MAX      (LINK_PAYLOAD_MAX + 128u)
#define LINK_CALLS_MAX	      1024u /* a power of two: a call's slot is its id modulo this */
#define LINK_IMAGES_MAX	      256u
#define LINK_PREOPENS_MAX     32u
#define LINK_HANDLES_MAX      64u	  /* open files of a call */
#define LINK_DATA_MAX	      (60u << 10) /* bytes in a reply or in a write */
#define LINK_INPUT_INLINE_MAX (32u << 10)
#define LINK_VARIABLES_MAX    512u	  /* environment variables of a call */
#define LINK_OUTPUT_MAX	      (16u << 20) /* of standard output a call */
#define LINK_TEXT_MAX	      511u
#define LINK_NAME_MAX	      63u
#define LINK_PATH_MAX	      1024u
#define LINK_CLASSES	      8u /* 0 goes first */
#define LINK_BUDGET_NS_MIN    UINT64_C(100000)
#define LINK_PERIOD_NS_MIN    UINT64_C(1000000)
#define LINK_PERIOD_NS_MAX    UINT64_C(60000000000)
#define LINK_HOST_CALLS_MAX   UINT32_C(1000000000) /* a second */
#define LINK_COUNTERS_COUNT   26u
#define LINK_COUNTER_MAX      (UINT64_C(1) << 53) /* what a double still tells from its neighbours */

enum link_kind {
	/* edged to the cell */
	LINK_LOAD = 1,
	LINK_UNLOAD,
	LINK_INVOKE,
	LINK_FILE_REPLY,
	LINK_CANCEL,
	/* the cell to edged */
	LINK_READY = 65,
	LINK_LOADED,
	LINK_OUTPUT,
	LINK_FILE_REQUEST,
	LINK_DONE,
	LINK_COUNTERS,
};

struct link_header {
	uint32_t kind;
	uint32_t payload_len;
};

/* What the function's manifest says of its instances, which must fit what the image exports. */
enum link_isolation {
	LINK_ISOLATION_ANY,
	LINK_ISOLATION_REQUEST, /* one a call: `_start` */
	LINK_ISOLATION_TENANT,	/* one for all calls: `edgeos_message`, and no `_start` */
	LINK_ISOLATION_LAST = LINK_ISOLATION_TENANT,
};

/* The next descriptor on the socket, tagged with the image's id, is an image to verify and load. */
struct link_load {
	struct link_header header;
	uint32_t image_id;
	uint32_t isolation; /* enum link_isolation */
};

struct link_unload {
	struct link_header header;
	uint32_t image_id;
	uint32_t reserved;
};

enum link_access { LINK_ACCESS_READ = 1, LINK_ACCESS_WRITE = 2 };
struct link_preopen {
	char bucket[LINK_NAME_MAX + 1]; /* seen by the guest as "/BUCKET" */
	uint32_t access;
	uint32_t reserved;
};

/* Running time: at most BUDGET_NS in each PERIOD_NS. Both 0: no limit. */
struct link_budget {
	uint64_t budget_ns;
	uint64_t period_ns;
};

enum link_invoke_flags { LINK_INVOKE_EVENT = 1 /* there is an /event/object */ };
/*
 * Payload: preopens, name (argv[0]), tenant, environment ("K=V\0" …), the first bytes of the input.
 * Calls of one tenant (by name and budget) share its budget; calls of one function (by tenant,
 * name, deployment and budget) share the function's, and may begin from the same state of memory.
 */
struct link_invoke {
	struct link_header header;
	uint64_t call_id; /* never 0, never used again */
	uint64_t memory_bytes, stack_bytes;
	uint64_t timeout_ns; /* from the receipt; 0: none. Its end is the call's deadline */
	uint64_t input_len;  /* all of it */
	uint64_t deployment; /* tells those of NAME apart; a later one's is greater */
	struct link_budget function, tenant;
	uint32_t host_calls_per_s; /* 0: no limit */
	uint32_t task_class;	   /* < LINK_CLASSES */
	uint32_t image_id;
	uint32_t flags;
	uint32_t preopens_count;
	uint32_t name_len, tenant_len;
	uint32_t environment_len, environment_count;
	uint32_t input_inline_len;
};

/* Payload: what the operation returns beside RESULT. */
struct link_file_reply {
	struct link_header header;
	uint64_t call_id;
	int64_t result; /* >= 0, or a negative errno */
	uint32_t request_id;
	uint32_t reserved;
};

struct link_cancel {
	struct link_header header;
	uint64_t call_id;
};

struct link_ready {
	struct link_header header;
	uint32_t version; /* LINK_PROTO_VERSION */
	uint32_t reserved;
};

/* Payload: why not, for people. */
struct link_loaded {
	struct link_header header;
	uint32_t image_id;
	int32_t err; /* 0 or a negative errno */
};

enum link_stream { LINK_STREAM_OUTPUT = 1, LINK_STREAM_ERRORS = 2 };
/* Payload: the bytes. */
struct link_output {
	struct link_header header;
	uint64_t call_id;
	uint32_t stream;
	uint32_t reserved;
};

/*
 * What a cell asks of edged. "Returns" is RESULT of the reply; any may be a negative errno.
 */
enum link_op {
	/* OFFSET, SIZE: bytes of the call's input. Returns their count, 0 at the end; the bytes. */
	LINK_OP_READ_INPUT = 1,
	/* BUCKET, path, FLAGS (enum link_open). Returns a handle; a struct link_stat. */
	LINK_OP_OPEN,
	/* HANDLE, OFFSET, SIZE. Returns the count of bytes, 0 at the end; the bytes. */
	LINK_OP_READ,
	/* HANDLE, OFFSET, payload. Returns the count, always all of it. */
	LINK_OP_WRITE,
	/* HANDLE, OFFSET: the new size. */
	LINK_OP_TRUNCATE,
	/* HANDLE. Makes what was written visible and durable. The handle is gone in any case. */
	LINK_OP_CLOSE,
	/* HANDLE. The same without making anything visible. Has no reply. */
	LINK_OP_DROP,
	/* BUCKET, path ("": the bucket). Returns 0; a struct link_stat. */
	LINK_OP_STAT,
	/* BUCKET, path of a directory, path2: the name after which to go on (with a slash behind
	 * it when it is a directory's), or "", SIZE: bytes of entries wanted. Returns the count of
	 * struct link_dirent that follow, in order; 0 at the end. */
	LINK_OP_LIST,
	/* BUCKET, path. */
	LINK_OP_UNLINK,
	/* BUCKET, path, path2: the new one. */
	LINK_OP_RENAME,
	/* BUCKET, path. */
	LINK_OP_MAKE_DIR,
	LINK_OP_REMOVE_DIR,
	LINK_OP_LAST = LINK_OP_REMOVE_DIR,
};

/* BUCKET is an index into the call's preopens, or this: the object of its event. */
#define LINK_BUCKET_EVENT UINT32_MAX

enum link_open {
	LINK_OPEN_READ = 1,
	LINK_OPEN_WRITE = 2,
	LINK_OPEN_CREATE = 4,
	LINK_OPEN_EXCLUSIVE = 8,
	LINK_OPEN_TRUNCATE = 16,
	LINK_OPEN_ALL = 31,
};

/* Payload: path and path2, or the bytes to write. */
struct link_file_request {
	struct link_header header;
	uint64_t call_id;
	uint64_t offset;
	uint32_t request_id; /* any; comes back in the reply */
	uint32_t op;
	uint32_t bucket;
	uint32_t handle;
	uint32_t flags;
	uint32_t size;
	uint32_t path_len, path2_len;
};

enum link_file_kind { LINK_FILE = 1, LINK_DIRECTORY = 2 };
struct link_stat {
	uint64_t size;
	uint64_t modified_ns;
	uint32_t kind;
	uint32_t reserved;
};

/* The name follows; no padding. */
struct link_dirent {
	uint16_t name_len;
	uint8_t kind;
	uint8_t reserved;
};

enum link_outcome {
	LINK_EXITED = 1, /* code */
	LINK_TRAPPED,	 /* text */
	LINK_TIMED_OUT,
	LINK_CANCELLED,
	LINK_NOT_STARTED,  /* text; code: enum link_fault */
	LINK_OUTPUT_LIMIT, /* over LINK_OUTPUT_MAX */
	LINK_OUTCOME_LAST = LINK_OUTPUT_LIMIT,
};
/* Whose fault it is that a call was not started: a function's will be the same the next time. */
enum link_fault { LINK_FAULT_CELL, LINK_FAULT_FUNCTION };
/* Payload: text, the rest of the output, the rest of the errors. */
struct link_done {
	struct link_header header;
	uint64_t call_id;
	uint32_t outcome;
	uint32_t code;
	uint32_t text_len, output_len, errors_len;
	uint32_t reserved;
};

/*
 * What a cell has counted since it started, all of it each time. Payload: as many uint64_t as the
 * list of link_counters.h is long, in its order, none above LINK_COUNTER_MAX. Those that only grow
 * are never less than in the message before: that is for the receiver to check.
 */
struct link_counters_report {
	struct link_header header;
};

static_assert(sizeof(struct link_header) == 8, "version the protocol");
static_assert(sizeof(struct link_load) == 16, "version the protocol");
static_assert(sizeof(struct link_unload) == 16, "version the protocol");
static_assert(sizeof(struct link_preopen) == 72, "version the protocol");
static_assert(sizeof(struct link_invoke) == 128, "version the protocol");
static_assert(offsetof(struct link_invoke, image_id) == 96, "version the protocol");
static_assert(sizeof(struct link_invoke) + LINK_PAYLOAD_MAX <= LINK_MESSAGE_MAX, "it fits");
static_assert(sizeof(struct link_file_reply) == 32, "version the protocol");
static_assert(sizeof(struct link_cancel) == 16, "version the protocol");
static_assert(sizeof(struct link_ready) == 16, "version the protocol");
static_assert(sizeof(struct link_loaded) == 16, "version the protocol");
static_assert(sizeof(struct link_output) == 24, "version the protocol");
static_assert(sizeof(struct link_file_request) == 56, "version the protocol");
static_assert(sizeof(struct link_stat) == 24, "version the protocol");
static_assert(sizeof(struct link_dirent) == 4, "version the protocol");
static_assert(sizeof(struct link_done) == 40, "version the protocol");
static_assert(sizeof(struct link_counters_report) == 8, "version the protocol");

struct link_span {
	const char *data; /* borrowed from the message; not NUL-terminated */
	uint32_t len;
};

/* A decoded message: its struct, copied, and its payload in parts. */
struct link_message {
	union {
		struct link_header header;
		struct link_load load;
		struct link_unload unload;
		struct link_invoke invoke;
		struct link_file_reply file_reply;
		struct link_cancel cancel;
		struct link_ready ready;
		struct link_loaded loaded;
		struct link_output output;
		struct link_file_request file_request;
		struct link_done done;
	};
	union {
		struct link_span payload; /* LOADED, OUTPUT, FILE_REPLY, WRITE, COUNTERS */
		struct {
			const struct link_preopen *preopens;
			struct link_span name, tenant, environment, input;
		} invoke_parts;
		struct {
			struct link_span path, path2;
		} file_parts;
		struct {
			struct link_span text, output, errors;
		} done_parts;
	};
};

/*
 * Checks what was received, LEN bytes at DATA (8-aligned). RET_MESSAGE borrows from DATA.
 * -EBADMSG.
 */
int link_decode_to_cell(const void *data, size_t len,
			struct link_message *ret_message) EOS_MUST_CHECK;
int link_decode_to_node(const void *data, size_t len,
			struct link_message *ret_message) EOS_MUST_CHECK;

/* The entry at *OFFSET of a LIST reply's payload; moves *OFFSET behind it. 1, 0 at the end,
 * -EBADMSG. NAME is borrowed, holds no NUL and is not empty. */
int link_dirent_next(struct link_span payload, uint32_t *offset, struct link_dirent *ret_entry,
		     struct link_span *ret_name) EOS_MUST_CHECK;
/* Appends an entry to OUT, of which *USED bytes of SIZE are in use. -ENOSPC: it does not fit. */
int link_dirent_append(char *out, size_t size, size_t *used, const char *name, size_t name_len,
		       enum link_file_kind kind) EOS_MUST_CHECK;
