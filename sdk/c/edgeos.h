/*
 * For functions that live longer than one request, in C: messages to and from other functions and
 * the host, timers, log, configuration. Import module "edgeos"; the layouts are version 1.
 *
 * Such a function exports handlers instead of having a main():
 *
 *	EDGEOS_RINGS(16, 16, 2048)
 *
 *	EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
 *	{
 *		if (edgeos_open() < 0)
 *			abort();
 *	}
 *
 *	EDGEOS_EXPORT(edgeos_message) void edgeos_message(uint32_t conn, void *buf, uint32_t len)
 *	{
 *		edgeos_send(conn, buf, len, 0);
 *	}
 *
 * and is compiled with -mexec-model=reactor (sdk/build does). Programs with a main() cannot use
 * this: neither a node nor `edgeos run` gives them these functions.
 *
 * In a node (`isolation: tenant` in the manifest; docs/manifest.md) each call of such a function,
 * by HTTP or by an event, is one message: the call's environment as lines NAME=value (a line break
 * in a value is a space), an empty line, and the body. What is sent to its CONN, once, is the
 * answer: header lines, an empty line, the body, as a program would write to its standard output.
 * It may be sent later, from edgeos_timer(). One call is under way at a time; when it is over, CONN
 * is a stale handle (-EBADF). An answer has at most 64 KiB (-EMSGSIZE).
 *
 * Results below zero are errors: -EAGAIN and so on, with the numbers of <errno.h>. Each function
 * answers -EFAULT where something is not in your memory.
 */
#pragma once

#include <stdint.h>

#define EDGEOS_ABI_VERSION 1u

#ifdef __wasm__
#define EDGEOS_IMPORT(name) __attribute__((import_module("edgeos"), import_name(#name)))
#define EDGEOS_EXPORT(name) __attribute__((export_name(#name)))
#else
#define EDGEOS_IMPORT(name)
#define EDGEOS_EXPORT(name)
#endif

/*
 * Rings, for those who handle them themselves. A ring is the header, aligned to 64 bytes, and COUNT
 * (a power of two, at most 1,024) descriptors behind it. Positions go from 0 up and wrap at 2^32;
 * position p is slot p % COUNT. You move head, the mover moves tail.
 *
 * Outbound: fill in address, len, conn and flags, set status to EDGEOS_PENDING, head++, call
 * edgeos_kick(). When tail is beyond a slot, its status says what became of it, and it and its
 * message are yours again. A message to one who is slow is passed by messages to others.
 * Inbound: put empty buffers there (address, capacity, status EDGEOS_PENDING), head++,
 * edgeos_kick(). When tail is beyond a slot, and its status is EDGEOS_DONE, len bytes of conn are
 * in its buffer.
 * Your compiler may move stores and loads of rings across each other, but not across these
 * functions.
 */
enum edgeos_status {
	EDGEOS_PENDING = 0,
	EDGEOS_DONE = 1,
	EDGEOS_FAULT = 2,      /* not in your memory */
	EDGEOS_TOO_LONG = 3,   /* beyond the connection's limit */
	EDGEOS_BAD_HANDLE = 4, /* no such connection */
	EDGEOS_BAD_FLAGS = 5,  /* what must be zero is not */
	EDGEOS_DROPPED = 6,    /* the receiver had no buffer, and it was not to wait */
	EDGEOS_TOO_SMALL = 7,  /* the receiver's next buffer is too small */
	EDGEOS_GONE = 8,       /* the receiver is no more */
};

#define EDGEOS_NO_WAIT 1u /* flags: be dropped instead of waiting for a buffer */

struct edgeos_descriptor {
	uint32_t address;
	uint32_t len;
	uint32_t conn;
	uint32_t capacity;
	uint16_t flags;
	uint16_t status; /* enum edgeos_status */
	uint32_t reserved;
	uint64_t cookie; /* yours */
};
_Static_assert(sizeof(struct edgeos_descriptor) == 32, "the layout of version 1");

struct edgeos_ring {
	uint32_t version; /* EDGEOS_ABI_VERSION */
	uint32_t count;
	uint32_t flags; /* 0 */
	uint32_t reserved[13];
	volatile uint32_t head;
	uint32_t reserved2[15];
	volatile uint32_t tail;
	uint32_t reserved3[15];
};
_Static_assert(sizeof(struct edgeos_ring) == 192, "the layout of version 1");

/* Says where the rings are, once; 0: without this one. -EFAULT, -EINVAL, -EEXIST. */
EDGEOS_IMPORT(edgeos_rings) int32_t edgeos_rings(struct edgeos_ring *out, struct edgeos_ring *in);
/* You put something into a ring. -EPIPE: your rings were nonsense, nothing moves any more. */
EDGEOS_IMPORT(edgeos_kick) int32_t edgeos_kick(void);
/*
 * Sends LEN bytes to CONN through the outbound ring and returns when they were handed over, so that
 * BUF is yours again. Waits for the receiver's buffer; with EDGEOS_NO_WAIT that is -EAGAIN.
 * -EBADF: no such connection; -EMSGSIZE: too long for it; -ENOBUFS: for the receiver's buffer;
 * -EPIPE: the receiver is no more, or your rings were nonsense; -ENOTCONN: you have no outbound
 * ring; -EINVAL: other flags.
 * Two that wait for each other so, both with all their buffers full, wait for ever.
 */
EDGEOS_IMPORT(edgeos_send)
int32_t edgeos_send(uint32_t conn, const void *buf, uint32_t len, uint32_t flags);

#define EDGEOS_EVENT_RECEIVED 1
#define EDGEOS_EVENT_SENT     2
/* Waits until the inbound ring's tail is not RECEIVED, or the outbound's not SENT, or TIMEOUT_NS is
 * over (0: only looks; UINT64_MAX: for ever). Which of the two it was; 0: time is over. -EPIPE:
 * your rings were nonsense. */
EDGEOS_IMPORT(edgeos_wait)
int32_t edgeos_wait(uint32_t received, uint32_t sent, uint64_t timeout_ns);

#define EDGEOS_TIMERS_MAX 16u
/* edgeos_timer(ID) is called once, DELAY_NS from now; 0: not at all. -EINVAL: ID is not below
 * EDGEOS_TIMERS_MAX; -ENOTSUP: you export no edgeos_timer(). */
EDGEOS_IMPORT(edgeos_timer_set) int32_t edgeos_timer_set(uint32_t id, uint64_t delay_ns);
/* Monotonic. */
EDGEOS_IMPORT(edgeos_now_ns) uint64_t edgeos_now_ns(void);

enum { EDGEOS_ERROR, EDGEOS_WARNING, EDGEOS_INFO, EDGEOS_DEBUG };
/* One line of the function's log; at most 4,096 bytes of it. -EINVAL: no such level. */
EDGEOS_IMPORT(edgeos_log) int32_t edgeos_log(uint32_t level, const char *text, uint32_t len);
/* The value of KEY in the function's configuration: up to SIZE bytes of it into OUT, without a NUL.
 * Returns its length. -ENOENT; -ENAMETOOLONG: KEY has more than 255 bytes; -EINVAL: it has a NUL.
 */
EDGEOS_IMPORT(edgeos_config)
int32_t edgeos_config(const char *key, uint32_t key_len, char *out, uint32_t size);
/* The handle of the connection that was granted under NAME. Errors as edgeos_config(). */
EDGEOS_IMPORT(edgeos_connection)
int32_t edgeos_connection(const char *name, uint32_t len, uint32_t *ret_conn);

/* What a function with handlers exports; edgeos_init() and edgeos_timer() may be missing.
 * edgeos_init() runs once, maybe long before the first message and for many copies of the
 * function. */
void edgeos_init(void);
void edgeos_message(uint32_t conn, void *buf, uint32_t len);
void edgeos_timer(uint32_t id);

/*
 * Defines rings of OUT_COUNT and IN_COUNT descriptors, IN_COUNT inbound buffers of BUFFER_BYTES
 * each, and
 *
 *	static int edgeos_open(void)
 *
 * which posts all buffers and says where the rings are: 0 or a negative error. Once in a program.
 */
#define EDGEOS_RINGS(out_count, in_count, buffer_bytes)                                            \
	static _Alignas(64) struct {                                                               \
		struct edgeos_ring ring;                                                           \
		struct edgeos_descriptor slots[out_count];                                         \
	} edgeos_out;                                                                              \
	static _Alignas(64) struct {                                                               \
		struct edgeos_ring ring;                                                           \
		struct edgeos_descriptor slots[in_count];                                          \
	} edgeos_in;                                                                               \
	static _Alignas(64) unsigned char edgeos_buffers[in_count][buffer_bytes];                  \
	static int edgeos_open(void)                                                               \
	{                                                                                          \
		edgeos_out.ring.version = edgeos_in.ring.version = EDGEOS_ABI_VERSION;             \
		edgeos_out.ring.count = (out_count);                                               \
		edgeos_in.ring.count = (in_count);                                                 \
		for (uint32_t i = 0; i < (in_count); i++) {                                        \
			edgeos_in.slots[i].address = (uint32_t)(uintptr_t)edgeos_buffers[i];       \
			edgeos_in.slots[i].capacity = (buffer_bytes);                              \
		}                                                                                  \
		edgeos_in.ring.head = (in_count);                                                  \
		return edgeos_rings(&edgeos_out.ring, &edgeos_in.ring);                            \
	}
