/*
 * Click configurations as packet functions: what an element is, and what it may use. For those who
 * write elements; the language is in parse.h and router.h, the guest's main in guest.c.
 *
 * Concepts
 * - A class (struct click_class) is what a configuration names: Counter, IPFilter, … It is one
 *   constant struct click_class_NAME, of which classes.def has a line. Names, arguments, ports and
 * behaviour are those of Click's documentation.
 * - An element is an instance of a class: class->size bytes that begin with struct click_element.
 * - Packets are pushed downstream, or pulled from upstream; each port does one of the two. The
 *   router decides that for ports of agnostic classes.
 * - A packet is owned by whoever has it: push() takes it, pull() gives it. Nobody else frees it.
 *
 * This code is compiled twice: into functions (wasm32), where it handles packets, and natively,
 * where `edgeos build` runs configure() of each element to find mistakes, and where the unit tests
 * run. It uses the C library's string and memory functions only: no stdio, no files, no clock but
 * click_now_ns(). Packets and configurations are hostile: nothing may be read outside of a
 * packet's data, and nothing may assert.
 *
 * Memory: elements allocate in configure() and initialize() only, by click_alloc(), which is never
 * given back but with the router; packets come from the router's pool. What a packet touches is to
 * be few cache lines, as thousands of instances have turns: what packets need comes first in an
 * element's struct, and what they do not is not among it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLICK_HEADROOM	 128u
#define CLICK_PACKET_MAX 2048u /* bytes of data, without headroom */
#define CLICK_ANNO_BYTES 48u
#define CLICK_PORTS_MAX	 256u

struct click_router;
struct click_element;
struct click_args;

/* A packet, and what elements noted about it. Headers' pointers are offsets from DATA that follow
 * it when it moves: those that are not known are CLICK_NO_HEADER. */
#define CLICK_NO_HEADER INT16_MIN
struct click_packet {
	/* Annotations without a field, as Click numbers them. Who writes there says so in has_anno:
	 * most packets have none, and then these bytes are not touched. */
	uint8_t anno[CLICK_ANNO_BYTES];
	uint8_t *data;
	uint32_t len;
	uint8_t *buffer;		 /* CLICK_HEADROOM + CLICK_PACKET_MAX bytes */
	uint8_t *home;			 /* the pool's: the buffer that belongs to it */
	struct click_packet *next;	 /* whoever owns it */
	int16_t mac, network, transport; /* offsets from data; may be negative (stripped) */
	uint16_t device;		 /* by which it came */
	uint8_t packet_type; /* 0 host, 1 broadcast, 2 multicast, 3 other host, 4 outgoing */
	uint8_t paint;
	uint8_t fix_ip_src;
	uint16_t vlan_tci;		   /* VLAN annotation, host order */
	uint32_t destination;		   /* destination address annotation, network order */
	uint32_t extra_len, extra_packets; /* Meters and counters add these */
	uint64_t time_ns;		   /* timestamp annotation */
	bool has_anno;
};

/* An uninitialised packet of LEN bytes, with headroom; NULL: the pool is empty (counted), or LEN is
 * beyond CLICK_PACKET_MAX. */
struct click_packet *click_packet_new(struct click_router *router, uint32_t len);
void click_packet_free(struct click_router *router, struct click_packet *packet);
/* A copy, with annotations; NULL as above. */
struct click_packet *click_packet_clone(struct click_router *router,
					const struct click_packet *packet);
/* N bytes more in front (uninitialised), less in front, more or less behind. False: no room (the
 * packet is unchanged), or it is shorter than that. */
bool click_packet_push(struct click_packet *packet, uint32_t n);
bool click_packet_pull(struct click_packet *packet, uint32_t n);
bool click_packet_put(struct click_packet *packet, uint32_t n);
bool click_packet_take(struct click_packet *packet, uint32_t n);
/* The header at offset MEMBER, if SIZE bytes of it are in the packet; NULL otherwise. */
uint8_t *click_packet_header(const struct click_packet *packet, int16_t offset, uint32_t size);

/*
 * Annotations by number: an offset in anno below CLICK_ANNO_BYTES, or one of these, which have
 * fields of their own. As Click's, multi-byte ones are in the machine's order, addresses in the
 * network's.
 */
enum {
	CLICK_ANNO_DST_IP = 64,
	CLICK_ANNO_PAINT,
	CLICK_ANNO_VLAN_TCI,
	CLICK_ANNO_FIX_IP_SRC,
	CLICK_ANNO_EXTRA_PACKETS,
	CLICK_ANNO_EXTRA_LENGTH,
};
/* What "PAINT" and the like mean; ends with a name of NULL. */
struct click_anno {
	const char *name;
	uint32_t offset, size;
};
extern const struct click_anno click_annos[];
/* The value of SIZE bytes, 1, 2 or 4, at what click_arg_anno() gave. */
uint32_t click_anno_get(const struct click_packet *packet, uint32_t anno, uint32_t size);
void click_anno_set(struct click_packet *packet, uint32_t anno, uint32_t size, uint32_t value);
/* All of them, those with fields too, where Click has them. */
void click_anno_bytes(const struct click_packet *packet, uint8_t ret[CLICK_ANNO_BYTES]);

/* --- classes --- */

#define CLICK_PUSH     'h'
#define CLICK_PULL     'l'
#define CLICK_AGNOSTIC 'a'

/* For reading and writing by configurations, `edgeos chain show` and metrics. */
struct click_handler {
	const char *name;
	/* Text into OUT, as much as fits; its length. NULL: write-only. */
	uint32_t (*read)(struct click_element *element, char *out, uint32_t size);
	/* 0, or -1 with an error told. NULL: read-only. */
	int (*write)(struct click_element *element, const char *text, struct click_args *args);
	/* Its value as a counter; NULL: it is not a number. */
	uint64_t (*count)(struct click_element *element);
	/* In its place, as it costs nothing when packets pass: where in the element's struct a
	 * uint64_t * is, which points to the value from initialize() on, cleared. 0: nowhere. */
	size_t counter;
};

struct click_class {
	const char *name;
	size_t size; /* of the element's struct */
	/* As Click's port_count(): "1/1", "1/-" (any), "1/1-2", "0-1/0", "-/=" … */
	const char *port_count;
	/* As Click's processing(): "a/ah", "h/l" …; the last letter stands for all further ports.
	 */
	const char *processing;
	/* As Click's flow code ("x/x" when NULL): through which ports a packet can pass. */
	const char *flow_code;
	/* Reads the arguments; runs natively at build time, too. 0, or -1 with an error told. */
	int (*configure)(struct click_element *element, struct click_args *args);
	/* All are configured and connected. NULL: nothing to do. As configure(). */
	int (*initialize)(struct click_element *element, struct click_args *args);
	/* Takes PACKET. NULL: use simple. */
	void (*push)(struct click_element *element, unsigned port, struct click_packet *packet);
	/* NULL: nothing there. */
	struct click_packet *(*pull)(struct click_element *element, unsigned port);
	/* For one input and one output: what becomes of PACKET, or NULL if it went elsewhere. */
	struct click_packet *(*simple)(struct click_element *element, struct click_packet *packet);
	/* One step of its task, when scheduled; true: it did something. */
	bool (*run_task)(struct click_element *element);
	void (*run_timer)(struct click_element *element);
	const struct click_handler *handlers; /* ends with a name of NULL; or NULL */
	/* After initialize() of all elements. NULL: nothing to do. As configure(). */
	int (*start)(struct click_element *element, struct click_args *args);
	/* configure() of all elements of this class comes before that of others. */
	bool configures_first;
};

/* What is on the other side. */
struct click_port {
	struct click_element *element; /* NULL: not connected */
	uint32_t port;
};

/* Of an element, what packets do not need. */
struct click_element_more {
	const char *name;
	const struct click_class *class;
	uint32_t index; /* in the router */
	bool *input_is_pull, *output_is_pull;
	/* The router's: place among the timers. */
	uint32_t timer_index;
	uint64_t timer_ns; /* UINT64_MAX: not set */
};

/* Small, and in front of what is the class's own: the path of a packet is to be few cache lines. */
struct click_element {
	struct click_router *router;
	struct click_port *outputs, *inputs; /* push and pull peers */
	uint16_t outputs_count, inputs_count;
	struct click_element_more *more;
	/* The router's: its task, and who pulls from here. */
	struct click_element *task_next;
	struct click_element **listeners;
	uint16_t listeners_count;
	uint8_t class_number; /* in the router's table */
	bool is_scheduled : 1;
	bool gives : 1, has_task : 1; /* the class has pull(), run_task() */
};

/* Pushes PACKET out of output PORT, and takes it. An output beyond outputs_count frees it, as
 * Click's checked_output_push(). */
void click_push(struct click_element *element, unsigned port, struct click_packet *packet);
/* A packet from what is connected to input PORT, or NULL. */
struct click_packet *click_pull(struct click_element *element, unsigned port);
void click_kill(struct click_element *element, struct click_packet *packet);

/* run_task() will be called soon, again and again as long as it returns true or schedules itself.
 * Within a run for one packet the router runs tasks until none has anything to do, or a bound. */
void click_task_schedule(struct click_element *element);
/* run_timer() once, at WHEN_NS or soon after; setting it again moves it. */
void click_timer_set(struct click_element *element, uint64_t when_ns);
void click_timer_cancel(struct click_element *element);
/* Tells those who pull from ELEMENT (found through agnostic elements) that there is something. */
void click_notify(struct click_element *element);
uint64_t click_now_ns(void);  /* monotonic */
uint64_t click_wall_ns(void); /* since 1970 */
/* Nobody outside can predict it (ChaCha20). Each instance has its own seed, but not before its
 * first packet or timer: what is drawn while a router is loaded is the same everywhere, and must
 * not be a secret. */
uint32_t click_random(struct click_router *router);
void click_log(struct click_router *router, const char *text); /* one line */
/* Cleared memory that lives as long as the router; NULL: there is no more. */
void *click_alloc(struct click_router *router, size_t size);
/* The same for what is read only while the router is loaded: apart from what packets touch. */
void *click_cold_alloc(struct click_router *router, size_t size);
/* For elements that keep packets, while the router is loaded: COUNT more will be kept at once. So
 * many are made ready when it is loaded, as far as CLICK_PACKETS_MAX and memory go. */
void click_reserve_packets(struct click_router *router, uint32_t count);
/* The element called NAME as seen from ELEMENT's compound, or NULL. */
struct click_element *click_find(struct click_element *element, const char *name);
/* Devices: the number of the chain's port NAME, which is registered; FromDevice, ToDevice. */
int click_device(struct click_router *router, const char *name);
/* Sends PACKET by DEVICE, and takes it. */
void click_device_send(struct click_router *router, unsigned device, struct click_packet *packet);
/* Packets that come by DEVICE are pushed out of ELEMENT's output 0, or (IS_ASKED) given to itself
 * first. -1: another does that. */
int click_device_receive(struct click_element *element, unsigned device, bool is_asked,
			 struct click_args *args);

/* --- arguments --- */

/* Positional arguments come in the order in which they are read; keywords from anywhere. */
#define CLICK_POSITIONAL 1u
#define CLICK_MANDATORY	 2u

/*
 * Each reads the argument KEY (of capitals, as in Click's documentation), and leaves *RET as it is
 * when it is missing and not mandatory. Mistakes are told once each; click_args_end() fails if
 * there were any, and tells of arguments that nobody read, with the nearest known keyword.
 */
void click_arg_bool(struct click_args *args, const char *key, unsigned flags, bool *ret);
void click_arg_int(struct click_args *args, const char *key, unsigned flags, int32_t *ret);
void click_arg_u32(struct click_args *args, const char *key, unsigned flags, uint32_t *ret);
void click_arg_u64(struct click_args *args, const char *key, unsigned flags, uint64_t *ret);
/* A fraction from 0 to 1, times 2^BITS. "0.25", "25%". */
void click_arg_fraction(struct click_args *args, const char *key, unsigned flags, unsigned bits,
			uint32_t *ret);
/* "1.5s", "20ms", "3" (seconds), "2min" … */
void click_arg_duration_ns(struct click_args *args, const char *key, unsigned flags, uint64_t *ret);
/* "10Mbps", "384 kbps", "1000" (bytes a second): bytes a second. */
void click_arg_bandwidth(struct click_args *args, const char *key, unsigned flags, uint64_t *ret);
/* Network order. Also names of AddressInfo. */
void click_arg_ip(struct click_args *args, const char *key, unsigned flags, uint32_t *ret);
void click_arg_ip_prefix(struct click_args *args, const char *key, unsigned flags,
			 uint32_t *ret_address, uint32_t *ret_mask);
void click_arg_ether(struct click_args *args, const char *key, unsigned flags, uint8_t ret[6]);
/* The port that a PortInfo names NAME, of UDP or of TCP. */
bool click_find_port(const struct click_router *router, const char *name, bool is_udp,
		     uint16_t *ret);
/* A number or a service's name, of UDP if the protocols differ; host order. */
void click_arg_port(struct click_args *args, const char *key, unsigned flags, uint16_t *ret);
/* Without quotes, escapes resolved ("\<00FF>" too); borrowed until the router goes. May hold NULs.
 */
void click_arg_string(struct click_args *args, const char *key, unsigned flags, const char **ret,
		      uint32_t *ret_len);
/* The whole text of it as it stands. */
void click_arg_text(struct click_args *args, const char *key, unsigned flags, const char **ret);
void click_arg_element(struct click_args *args, const char *key, unsigned flags,
		       struct click_element **ret);
/* An annotation of SIZE bytes: "PAINT", "DST_IP", "20", "20/4": the offset in anno, or one of those
 * with a field of their own, as CLICK_ANNO_... */
void click_arg_anno(struct click_args *args, const char *key, unsigned flags, uint32_t size,
		    uint32_t *ret);
/* For classes whose arguments have a form of their own (Classifier, IPFilter, …). */
unsigned click_args_count(const struct click_args *args);
const char *click_args_at(struct click_args *args, unsigned index); /* marks it as read */
/* 0, or -1: something was told. */
int click_args_end(struct click_args *args);
/* Tells a mistake: file, line and element are added. FORMAT has %s, %u, %d, %c and %.*s. */
void click_args_error(struct click_args *args, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Splits TEXT at spaces outside of quotes and parentheses: for rules ("pattern - - 80 0 1").
 * Returns the words' count, at most MAX; words are copies that live with the router. */
unsigned click_words(struct click_router *router, const char *text, const char **words,
		     unsigned max);
/* One value of its kind out of TEXT; false: it is not one. */
bool click_parse_bool(const char *text, bool *ret);
bool click_parse_u32(const char *text, uint32_t *ret);
/* Also names of AddressInfo. */
bool click_parse_ip_name(struct click_router *router, const char *text, uint32_t *ret);
bool click_parse_ip_prefix_name(struct click_router *router, const char *text,
				uint32_t *ret_address, uint32_t *ret_mask);
/* "10.0.0.0/8", "NAME/8", or the network of a name, of which the one above takes the address. */
bool click_parse_net_name(struct click_router *router, const char *text, uint32_t *ret_address,
			  uint32_t *ret_mask);
bool click_parse_ether_name(struct click_router *router, const char *text, uint8_t ret[6]);
bool click_parse_ip(const char *text, uint32_t *ret);
bool click_parse_ip_prefix(const char *text, uint32_t *ret_address, uint32_t *ret_mask);
bool click_parse_ether(const char *text, uint8_t ret[6]);
