/*
 * What rewriters (IPRewriter, IPAddrRewriter, ICMPPingRewriter, …) share: inputs' specifications,
 * flows that are created by them, their timeouts, and packets' way through.
 *
 * A packet is looked up by its flow. If there is a mapping, the packet is rewritten and goes out of
 * the mapping's output for its direction. Otherwise the specification of the input by which it
 * came says what to do:
 *
 *	drop			it is dropped ("discard")
 *	pass OUTPUT		it goes to OUTPUT as it is ("nochange", "passthrough")
 *	keep F R		a mapping that changes nothing
 *	pattern WORDS… F R	a mapping by the pattern (pattern.h)
 *	pattern NAME F R	by a pattern of IPRewriterPatterns
 *	ELEMENT			as that element says (RoundRobinIPMapper)
 *
 * Packets of the flow go out of F, replies out of R. A kind of rewriter says what of a packet is
 * its flow, how it is rewritten, and which timeout a flow has.
 */
#pragma once

#include "elements/flow_table.h"
#include "elements/pattern.h"
#include "ip.h"

#define CLICK_REWRITER_TIMEOUTS 5u

struct click_rewriter;

struct click_rewriter_kind {
	bool has_ports;		/* patterns have four words, not two */
	bool is_of_one_address; /* keys have a source or a destination, not both */
	/* The keys by which PACKET's flow may be there, of which the first is that of a new one, at
	 * most two; 0: it cannot be mapped. *RET_MAY_CREATE is true before. */
	unsigned (*keys)(const struct click_rewriter *rewriter, const struct click_ip *ip,
			 struct click_flow_key ret[2], bool *ret_may_create);
	/* May a new flow become that? NULL: yes. */
	bool (*accepts)(const struct click_flow_key *forward, const struct click_flow_key *becomes);
	/* Changes the packet: WAY is 0 forward and 1 for replies. */
	void (*rewrite)(const struct click_rewriter *rewriter, struct click_packet *packet,
			const struct click_ip *ip, const struct click_flow *flow, unsigned way);
	/* Which of the timeouts FLOW has after that packet. */
	unsigned (*timeout)(const struct click_rewriter *rewriter, const struct click_ip *ip,
			    struct click_flow *flow, unsigned way);
};

enum click_rewriter_action {
	CLICK_REWRITER_DROP,
	CLICK_REWRITER_PASS,
	CLICK_REWRITER_KEEP,
	CLICK_REWRITER_PATTERN,
	CLICK_REWRITER_MAPPER,
};

struct click_rewriter_input {
	enum click_rewriter_action action;
	uint16_t output[2];
	struct click_pattern *pattern;
	const char *name; /* of a pattern or an element, until it was found */
	struct click_mapper *mapper;
};

/* Flows that one or several rewriters share. */
struct click_rewriter_flows {
	struct click_flow_table table;
	uint32_t maps_count;
};

struct click_rewriter {
	struct click_element element;
	const struct click_rewriter_kind *kind;
	struct click_rewriter_input *inputs;
	uint32_t inputs_count;
	struct click_rewriter_flows *flows;
	uint32_t capacity;
	const char *capacity_of; /* an element's name, or NULL */
	uint16_t map;
	bool has_dst_anno, has_reply_anno;
	uint32_t reply_anno;
	struct click_flow_list lists[CLICK_REWRITER_TIMEOUTS]; /* by timeout */
	uint64_t reap_ns;
	uint64_t failures, drops, unmappable;
	struct click_flow_key looked_up; /* by a handler */
	bool is_looked_up;
};

/* Elements that are asked for mappings. */
struct click_mapper {
	struct click_element element;
	/* What FLOW becomes, and the outputs. False: nothing. */
	bool (*map)(struct click_mapper *mapper, struct click_rewriter *rewriter,
		    const struct click_flow_key *flow, uint64_t now_ns,
		    struct click_flow_key *ret_becomes, uint16_t ret_output[2]);
	/* The largest output that it may name. */
	uint32_t output_max;
	bool has_ports;
};

/* Sets the defaults of what follows; the class' own keywords are read next. */
void click_rewriter_init(struct click_rewriter *rewriter, const struct click_rewriter_kind *kind);
/* The timeout of that number: KEY, DEFAULT_NS; and its guarantee. Timeouts are not shorter. */
void click_rewriter_timeout(struct click_rewriter *rewriter, unsigned timeout, uint64_t timeout_ns,
			    uint64_t guarantee_ns);
/* Reads the shared keywords and the specifications. 0 or -1. */
int click_rewriter_configure(struct click_rewriter *rewriter, struct click_args *args);
int click_rewriter_initialize(struct click_element *element, struct click_args *args);
void click_rewriter_push(struct click_element *element, unsigned port, struct click_packet *packet);
void click_rewriter_run_timer(struct click_element *element);

/* The rewriter that ELEMENT is, or NULL. */
struct click_rewriter *click_rewriter_of(struct click_element *element);
/* The mappings of REWRITER, those of its own. */
uint32_t click_rewriter_mappings(const struct click_rewriter *rewriter);
/* "F R" at the end of WORDS. False: told. */
bool click_rewriter_outputs(const char *const *words, uint32_t outputs_count, uint16_t ret[2],
			    struct click_args *args);
/* The pattern NAME of an IPRewriterPatterns, or NULL. */
struct click_pattern *click_pattern_find(struct click_router *router, const char *name);
/* The mapper that ELEMENT is, or NULL. */
struct click_mapper *click_mapper_of(struct click_element *element);

/* The checksum CHECKSUM at AT, and what was changed: the sum of ~old + new of 16-bit words. */
void click_rewriter_fix(uint8_t *at, uint32_t change);
uint32_t click_change_u16(uint32_t old, uint32_t new);
/* Addresses are in network order. */
uint32_t click_change_address(uint32_t old, uint32_t new);
/* Sets the header's addresses and its checksum; the change, for the checksums behind it. */
uint32_t click_rewriter_set_addresses(uint8_t *header, uint32_t saddr, uint32_t daddr);

/* --- handlers (rewriter_handlers.c) --- */

uint64_t click_rewriter_count_mappings(struct click_element *element);
uint64_t click_rewriter_count_failures(struct click_element *element);
uint64_t click_rewriter_count_drops(struct click_element *element);
uint64_t click_rewriter_count_size(struct click_element *element);
uint32_t click_rewriter_read_capacity(struct click_element *element, char *out, uint32_t size);
int click_rewriter_write_capacity(struct click_element *element, const char *text,
				  struct click_args *args);
uint32_t click_rewriter_read_patterns(struct click_element *element, char *out, uint32_t size);
int click_rewriter_write_clear(struct click_element *element, const char *text,
			       struct click_args *args);
uint32_t click_rewriter_read_table(struct click_element *element, char *out, uint32_t size);
uint32_t click_rewriter_read_tcp_table(struct click_element *element, char *out, uint32_t size);
uint32_t click_rewriter_read_udp_table(struct click_element *element, char *out, uint32_t size);
int click_rewriter_write_tcp_lookup(struct click_element *element, const char *text,
				    struct click_args *args);
int click_rewriter_write_udp_lookup(struct click_element *element, const char *text,
				    struct click_args *args);
uint32_t click_rewriter_read_lookup(struct click_element *element, char *out, uint32_t size);

#define CLICK_REWRITER_HANDLERS                                                                    \
	{.name = "table_size", .count = click_rewriter_count_mappings},                            \
		{.name = "nmappings", .count = click_rewriter_count_mappings},                     \
		{.name = "mapping_failures", .count = click_rewriter_count_failures},              \
		{.name = "drops", .count = click_rewriter_count_drops},                            \
		{.name = "size", .count = click_rewriter_count_size},                              \
		{.name = "capacity",                                                               \
		 .read = click_rewriter_read_capacity,                                             \
		 .write = click_rewriter_write_capacity},                                          \
		{.name = "patterns", .read = click_rewriter_read_patterns},                        \
		{.name = "clear", .write = click_rewriter_write_clear},                            \
		{.name = "table", .read = click_rewriter_read_table},                              \
	{                                                                                          \
		.name = "mappings", .read = click_rewriter_read_table                              \
	}
