/*
 * A router: a configuration in the Click language, made into elements that are connected. For those
 * who run one: the guest's main (guest.c), and native code that checks or tests configurations.
 *
 * A router is made by click_router_new(), gets its configuration once by click_router_load(), and
 * is then given packets and time. It belongs to one thread. Everything it needs from outside comes
 * by struct click_host; click_now_ns() and click_wall_ns() are defined by whoever links it.
 *
 * Configurations are hostile: they have limits (below), and whatever is wrong is told as lines
 * "FILE:LINE: what; did you mean 'x'?".
 */
#pragma once

#include "click.h"

#define CLICK_TEXT_MAX	      (1u << 20) /* bytes of a configuration */
#define CLICK_DEPTH_MAX	      32u	 /* of compounds in compounds, and of groups */
#define CLICK_ELEMENTS_MAX    4096u	 /* after compounds are expanded */
#define CLICK_CONNECTIONS_MAX 16384u
#define CLICK_NAME_MAX	      200u	  /* bytes of an element's whole name */
#define CLICK_MEMORY_MAX      (64u << 20) /* bytes that elements may allocate together */
#define CLICK_PACKETS_MAX     4096u	  /* in the pool */
#define CLICK_DEVICES_MAX     16u
#define CLICK_CLASSES_MAX     256u
#define CLICK_ERRORS_MAX      32u /* told of a configuration */

struct click_host {
	void *ctx;
	/* The port NAME; below zero: there is no such one, and the router numbers it itself. May be
	 * NULL. */
	int (*device)(void *ctx, const char *name);
	/* Sends PACKET, which is borrowed, but its buffer need not stay as it is. */
	void (*send)(void *ctx, unsigned device, const struct click_packet *packet);
	/* A line; may be NULL. */
	void (*log)(void *ctx, const char *line);
};

/* Where mistakes go: a line each, without a line break. */
struct click_errors {
	void *ctx;
	void (*tell)(void *ctx, const char *line);
	unsigned count; /* of those told so far, and of those beyond the limit */
};

/* A class as a configuration finds it. The table ends with NULL. */
extern const struct click_class *const click_classes[];

/* HOST and CLASSES (NULL: click_classes) are borrowed. NULL: no memory. */
struct click_router *click_router_new(const struct click_host *host,
				      const struct click_class *const *classes);
/* The same, with what packets touch in MEMORY, which is cleared, aligned as a cache line and
 * borrowed until the router goes, as far as it goes. NULL also: it is too small for a router. */
struct click_router *click_router_new_in(void *memory, size_t size, const struct click_host *host,
					 const struct click_class *const *classes);
struct click_router *click_router_free(struct click_router *router);
/* Reads, connects, configures and initialises. 0, or -1: ERRORS was told why, and the router may
 * only be freed. NAME is the file's, for messages. Once. */
int click_router_load(struct click_router *router, const char *text, size_t len, const char *name,
		      struct click_errors *errors);

/* Where click_random() begins: SEED, of which nobody outside may know anything. Without it the
 * numbers are the same each time, as tests like them. */
#define CLICK_SEED_BYTES 32u
void click_router_seed(struct click_router *router, const uint8_t seed[CLICK_SEED_BYTES]);

/* Did the configuration name the class at INDEX of the table? Others it can do without. */
bool click_router_uses(const struct click_router *router, size_t index);

/*
 * PACKET, which is taken, came by DEVICE; then tasks run. Where nobody receives from it it is
 * dropped.
 */
void click_router_receive(struct click_router *router, unsigned device,
			  struct click_packet *packet);
/* Timers that are due, and tasks. When it wants to be called again: a click_now_ns(), or
 * UINT64_MAX. */
uint64_t click_router_run(struct click_router *router);
/* That time, without doing anything. */
uint64_t click_router_deadline(const struct click_router *router);

/* A packet around LEN bytes at DATA within a foreign BUFFER of CLICK_HEADROOM + CLICK_PACKET_MAX
 * bytes. NULL: the pool is empty, or it does not fit. */
struct click_packet *click_packet_borrow(struct click_router *router, uint8_t *buffer,
					 uint8_t *data, uint32_t len);
/* The packet that is still somewhere in the router with a borrowed buffer gets one of its own. */
void click_packet_settle(struct click_router *router);

unsigned click_router_devices(const struct click_router *router);
/* NULL: no element has that number. */
const char *click_router_device_name(const struct click_router *router, unsigned device);

/* --- handlers --- */

uint32_t click_router_elements(const struct click_router *router);
struct click_element *click_router_element(const struct click_router *router, uint32_t index);
/* By its whole name, or NULL. */
struct click_element *click_router_find(const struct click_router *router, const char *name);
/* The text of "ELEMENT.HANDLER" into OUT, NUL-terminated; its length, or -1: none, or it cannot be
 * read. Also name, class, config and handlers of every element. */
int click_router_read(struct click_router *router, const char *handler, char *out, uint32_t size);
/* 0, or -1 and ERRORS was told. */
int click_router_write(struct click_router *router, const char *handler, const char *value,
		       struct click_errors *errors);

/* Counters for a host that reads them when it likes: their names, "ELEMENT.HANDLER", cut. */
#define CLICK_TABLE_MAX 256u
struct click_counter {
	char name[56];
	uint64_t unused;
};
/* At most CLICK_TABLE_MAX, of which the last two are packets_exhausted and packets_looped, and
 * their values, which stay where they are, in an array. These are right at any time, but those that
 * have to be computed. */
const struct click_counter *click_router_table(const struct click_router *router,
					       uint32_t *ret_count, const uint64_t **ret_values);
/* How many those are, and making them right. */
uint32_t click_router_computed(const struct click_router *router);
void click_router_compute(struct click_router *router);

/* Handlers that count. */
uint32_t click_router_counters(const struct click_router *router);
/* "ELEMENT.HANDLER" into NAME, cut to SIZE - 1 bytes. */
void click_router_counter_name(const struct click_router *router, uint32_t index, char *name,
			       uint32_t size);
uint64_t click_router_counter(const struct click_router *router, uint32_t index);

/* Packets that the pool could not give, and packets that went in circles. */
uint64_t click_router_exhausted(const struct click_router *router);
uint64_t click_router_looped(const struct click_router *router);
