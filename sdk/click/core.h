/*
 * What the files of the core share. Elements do not include this.
 */
#pragma once

#include <stdarg.h>

#include "router.h"

/* --- text.c --- */

/* Text into a buffer of fixed size: cut, always NUL-terminated. */
struct click_text {
	char *at;
	uint32_t size, len;
};
#define CLICK_TEXT(array) ((struct click_text){(array), sizeof(array), 0})

void click_text_add(struct click_text *text, const char *bytes, size_t len);
void click_text_puts(struct click_text *text, const char *string);
void click_text_u64(struct click_text *text, uint64_t value);
/* FORMAT has %s, %u, %d, %x, %c, %.*s, %llu and %%. */
void click_text_format(struct click_text *text, const char *format, va_list list);
void click_text_printf(struct click_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* What is no text becomes a blank or '?'. */
void click_text_clean(struct click_text *text);

bool click_is_space(char c);
bool click_is_name(char c);
bool click_is_variable(char c); /* those of names of variables */
/* Up to 64 bytes of each: how many changes make one the other, at most LIMIT + 1. */
unsigned click_distance(const char *a, const char *b, unsigned limit);

/* The name nearest to WORD, as candidates are offered. */
struct click_nearest {
	const char *word, *best;
	unsigned distance;
};
struct click_nearest click_nearest_to(const char *word);
void click_nearest_offer(struct click_nearest *nearest, const char *candidate);
/* "; did you mean 'x'?", or nothing. */
void click_nearest_say(const struct click_nearest *nearest, struct click_text *text);

/* --- memory.c --- */

struct click_chunk;
struct click_arena {
	struct click_chunk *chunks;
	size_t total, max;
};
/* Cleared; NULL: no memory. */
void *click_arena_alloc(struct click_arena *arena, size_t size);
/* MEMORY, which is cleared, aligned as a cache line and borrowed until the end, is used first. */
void click_arena_lend(struct click_arena *arena, void *memory, size_t size);
/* Of the router's memory that packets touch; as click_arena_alloc(). */
void *click_hot_alloc(struct click_router *router, size_t size);
/* For arguments, which stay as long as the router, or as a handler is written. */
struct click_arena *click_args_arena(struct click_router *router);
char *click_arena_text(struct click_arena *arena, const char *bytes, size_t len);
void click_arena_fini(struct click_arena *arena);
/* An array that doubles: room for one more of SIZE bytes behind COUNT; false: no memory. */
bool click_arena_grow(struct click_arena *arena, void *array, uint32_t count, uint32_t *capacity,
		      size_t size);

/* --- the configuration, flat (parse.c, expand.c) --- */

struct click_end {
	uint32_t element, port;
};

/* An element with its whole name, or (class NULL) a pseudo element: what comes to its port p goes
 * on from its port p. */
struct click_flat_element {
	const char *name;
	const struct click_class *class;
	const char *config;
	uint32_t line;
	const char *file;
	const char *what; /* pseudo: "input" or "output" of the compound or group NAME */
};

struct click_flat_link {
	struct click_end from, to;
	uint32_t line;
	const char *file;
};

struct click_flat {
	struct click_flat_element *elements;
	uint32_t elements_count, elements_capacity;
	struct click_flat_link *links;
	uint32_t links_count, links_capacity;
};

/* Parses and expands into FLAT, whose memory is ARENA's. 0, or -1 and errors were told. */
int click_parse(struct click_router *router, struct click_arena *arena, const char *text,
		size_t len, const char *file, struct click_flat *flat);
/* Makes FLAT's links ones between real elements (tunnel.c). */
int click_untunnel(struct click_router *router, struct click_arena *arena, struct click_flat *flat);

/* --- router.c --- */

struct click_device {
	const char *name;
	struct click_element *receiver;
};

/* What a name means, within the compound whose elements' names begin with SCOPE. */
enum {
	CLICK_HAS_IP = 1,
	CLICK_HAS_NET = 2,
	CLICK_HAS_ETHER = 4,
	CLICK_HAS_TCP_PORT = 8,
	CLICK_HAS_UDP_PORT = 16,
};
struct click_address {
	const char *name, *scope;
	size_t scope_len;
	uint32_t ip, net, mask;
	uint8_t ether[6];
	uint8_t has;
	uint16_t tcp_port, udp_port;
	struct click_address *next;
};

struct click_counter_ref {
	struct click_element *element;
	const struct click_handler *handler;
};

/* A counter that does not count in the table itself. */
struct click_computed {
	uint64_t (*count)(struct click_element *element);
	struct click_element *element;
	uint64_t *value;
};

struct click_place {
	const char *file;
	uint32_t line;
	const char *config;
	uint32_t inputs_used,
		outputs_room; /* connected ones; of outputs, those behind the element */
};

#define CLICK_SEED_WORDS 8u
/* A key of ChaCha20, and what it gave and is not used yet. */
struct click_random {
	uint32_t key[CLICK_SEED_WORDS];
	uint32_t words[CLICK_SEED_WORDS];
	uint32_t words_count;
};

#define CLICK_LINE 64u /* of a cache */
#define CLICK_ROOM 32u

struct click_slab;
struct click_router {
	const struct click_host *host;
	const struct click_class *const *classes;
	/* What packets touch, and what they do not: names, texts, tables. */
	struct click_arena hot, arena;
	struct click_arena *scratch; /* while a handler is written: arguments; or NULL */
	bool *is_used;		     /* by class */
	bool is_borrowed;	     /* its memory */
	struct click_errors *errors; /* while it is being loaded or a handler is written */
	struct click_element **elements;
	struct click_place *places; /* by element */
	uint32_t elements_count;
	struct click_flat_link *links; /* between real elements */
	uint32_t links_count;
	uint32_t packets_count, packets_reserved;
	struct click_slab *slabs;
	struct click_device devices[CLICK_DEVICES_MAX];
	unsigned devices_named;
	struct click_address *addresses;
	const char *naming; /* the element for which names of addresses are looked up */
	struct click_counter_ref *counters;
	struct click_computed *computed;
	struct click_counter *table;
	uint64_t *values, *own_counters; /* of the table; its last ones */
	uint32_t counters_count, computed_count, table_count;
	struct click_random random;

	/* What packets touch, to the end; in the guest each its last two cache lines: the packet's
	 * fields, and what is the router's and that of who runs it. Elements are behind it. Tasks
	 * are a queue, timers a heap. */
	_Alignas(CLICK_LINE) struct click_element *tasks_last;
	struct click_element **timers;
	uint32_t timers_count;
	struct click_packet *free_packets;
	struct click_port
		receivers[CLICK_DEVICES_MAX]; /* of packets, by device; not of the first */
	struct click_packet own; /* the borrowed one, unless it still waits somewhere */
	_Alignas(CLICK_LINE) uint8_t room[CLICK_ROOM]; /* of whom runs the router */
	uint64_t due_ns; /* when the first timer is; UINT64_MAX: none is set */
	struct click_element *tasks_first;
	struct click_packet *borrowed;
	struct click_port receiver; /* the first device's */
	uint16_t depth;
	bool is_own_taken;
};
#define CLICK_HOT_LINES 2u /* those */
_Static_assert(sizeof(void *) != 4 ||
		       (offsetof(struct click_router, own.data) % CLICK_LINE == 0 &&
			offsetof(struct click_router, room) ==
				offsetof(struct click_router, own.data) + CLICK_LINE &&
			sizeof(struct click_router) ==
				offsetof(struct click_router, room) + CLICK_LINE),
	       "two lines");

static inline struct click_port *click_receiver(struct click_router *router, unsigned device)
{
	return device == 0 ? &router->receiver : &router->receivers[device];
}

/* Sends PACKET, which is borrowed, but its buffer need not stay as it is. */
void click_host_send(struct click_router *router, unsigned device,
		     const struct click_packet *packet);

/* "FILE:LINE: " and the text. */
void click_tell(struct click_router *router, const char *file, uint32_t line, const char *format,
		...) __attribute__((format(printf, 4, 5)));
void click_tell_va(struct click_router *router, const char *file, uint32_t line, const char *prefix,
		   const char *format, va_list list);
/* The line as it stands. */
void click_tell_line(struct click_router *router, const char *line);

/* Checks ports, processing and connectedness, and sets the elements' ports (ports.c). */
int click_connect(struct click_router *router, struct click_arena *arena,
		  const struct click_flat *flat);
/* Do packets flow between the ports, by the flow code of CLASS? */
bool click_flows(const struct click_class *class, uint32_t input, uint32_t output);
/* Who pulls from each element (ports.c). */
int click_find_listeners(struct click_router *router, struct click_arena *arena);

const struct click_class *click_find_class(struct click_router *router, const char *name);
bool click_packets_init(struct click_router *router);
/* Makes what elements have reserved; less if there is no memory for it. */
void click_packets_fill(struct click_router *router);
void click_packets_fini(struct click_router *router);

/* --- handlers.c --- */

/* Whether ELEMENT has NAME to be written; if not, GUESS gets what may have been meant. */
bool click_can_write(const struct click_element *element, const char *name,
		     struct click_text *guess);
/* False: no memory. */
bool click_own_counters(struct click_router *router);
void click_count_exhausted(struct click_router *router);
void click_count_looped(struct click_router *router);
/* All are configured: tells elements where they count. 0, or -1 with an error told. */
int click_make_counters(struct click_router *router);

/* --- args.c --- */

#define CLICK_KEYS_MAX 48u
struct click_arg {
	const char *text;  /* trimmed, without comments */
	const char *value; /* of a keyword: behind it; otherwise NULL */
	uint32_t keyword_len;
	uint32_t line; /* from the element's, 0 first */
	bool is_read;
};
struct click_args {
	struct click_router *router;
	struct click_element *element; /* NULL: of a compound */
	const char *file, *name, *class;
	uint32_t line;
	struct click_arg *args;
	uint32_t count, current;
	unsigned errors;
	const char *keys[CLICK_KEYS_MAX];
	unsigned keys_count;
};
/* Splits CONFIG at its commas; texts live in ARENA. 0 or -1: no memory. */
int click_args_split(struct click_arena *arena, const char *config, struct click_arg **ret_args,
		     uint32_t *ret_count);
int click_args_init(struct click_args *args, struct click_element *element, const char *config);
/* The value of KEY, or NULL; what is missing and mandatory is told. */
const char *click_args_take(struct click_args *args, const char *key, unsigned flags);
/* "bad KEY 'value': expected WHAT" */
void click_args_expected(struct click_args *args, const char *key, const char *value,
			 const char *what);
/* The bytes of a string argument into the router's memory. NULL: told. */
char *click_args_unquote(struct click_args *args, const char *key, const char *text,
			 uint32_t *ret_len);
