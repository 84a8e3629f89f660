/*
 * Backends of the balancer, and how frames are rewritten for them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flows.h"
#include "frame.h"
#include "maglev.h"
#include "settings.h"

struct backend {
	uint8_t address[16], mac[6];
	uint32_t weight;
};

extern struct backend backends[MAGLEV_BACKENDS_MAX];
extern unsigned backends_count;

/* "ADDRESS MAC [weight N]; …". False: *RET_WRONG is not a backend, there twice, one too many, or
 * of another version of IP than SERVICE. */
bool backends_parse(struct piece text, const uint8_t service[16], struct piece *ret_wrong);
/* The backend for a flow that none is remembered for. */
unsigned backends_choose(const struct flow_key *key);
/* The one at ADDRESS, or -1. */
int backends_find(const uint8_t address[16]);
/* Puts TO into what an ICMP error quotes, for its source or its target, with all checksums. */
void rewrite_quoted(struct frame *outer, struct frame *quoted, bool is_target,
		    const uint8_t to[16]);
