/*
 * Fuzzes the samples of packet functions as they run on a node: the real modules, compiled ahead of
 * time, in chains of src/chain. Native tests beside the samples (host_be_hostile()) find what
 * sanitizers find; this finds what only the real thing does: traps, endless loops, a host that
 * believes what it should not.
 *
 * Each sample has two chains: one that is everybody's (malformed frames, which have no client, get
 * there, too), and one for each client. One client of the latter, the witness, is left alone: after
 * each burst of others' packets it gets what it got before.
 *
 * Behind each packet of a burst comes one of another tenant's for a function that looks for what
 * the samples left in the page that all share (tests/lib/chain_page_guest.c).
 *
 * Everything is made from a seed, which is printed, on time of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "chain/chain.h"

#define SAMPLE_PACKET_MAX 9728u
#define SAMPLE_OUTPUTS	  64u
/* Frames: the last bytes of addresses; endpoints: numbers of peers. */
#define WITNESS	  200u
#define ATTACKERS 8u

struct sample_output {
	uint32_t port, peer, len;
	uint8_t data[SAMPLE_PACKET_MAX];
};

struct sample {
	const char *name;
	const char *module; /* NULL: the Click configuration NAME.click */
	enum chain_packet_kind kind;
	struct chain_setting settings[4];
	const char *next; /* NULL: no further way out */
	/* Adds what mutations begin with. */
	void (*add_seeds)(void);
	/* What the witness does once, and after each burst; asserts what it gets. */
	void (*greet)(void);
	void (*check)(void);
};
extern const struct sample samples[];
extern const unsigned samples_count;

/* --- seeds --- */

struct sample_seed {
	uint8_t side; /* enum chain_side, by which it comes in */
	uint32_t len;
	uint8_t *data;
};

void seed_add(enum chain_side side, const void *data, uint32_t len);
void seeds_of_frames(void);
void seeds_of_nat(void);
void seeds_of_dns_frames(void);
void seeds_of_dns(void);
void seeds_of_coap(void);
void seeds_of_inference(void);
void seeds_of_memcached(void);
void seeds_of_memcached_streams(void);
/* A query for "www.edge.example", type A; its length. */
uint32_t dns_query(uint8_t out[64], uint16_t id);
/* The answer that it is 10.0.0.7. */
uint32_t dns_answer(uint8_t out[64], uint16_t id);

/* --- the witness --- */

/* One packet of the witness, in its own chain. What left is in sample_outputs. */
void witness_sends(enum chain_side side, const void *data, uint32_t len);
extern struct sample_output *sample_outputs; /* SAMPLE_OUTPUTS */
extern unsigned sample_outputs_count;

void check_firewall(void);
void check_ratelimit(void);
void check_dpi(void);
void greet_balancer(void);
void check_balancer(void);
void greet_nat(void);
void check_nat(void);
void greet_cache(void);
void check_cache(void);
void check_dns(void);
void greet_coap(void);
void check_coap(void);
void check_inference(void);
void greet_memcached(void);
void check_memcached(void);
void greet_memcached_streams(void);
void check_memcached_streams(void);
