/*
 * Maglev hashing: a table of backends, looked up by a flow's hash. Each backend has as many places
 * as its weight says, and where one leaves, nearly all others stay where they are.
 * (D. Eisenbud and others, Maglev: A Fast and Reliable Software Network Load Balancer, 2016.)
 */
#pragma once

#include <stdint.h>

#define MAGLEV_PLACES	    4099u /* prime, and a hundred times what there may be backends */
#define MAGLEV_BACKENDS_MAX 32u
#define MAGLEV_WEIGHT_MAX   100u

struct maglev_backend {
	uint64_t name; /* what it is known by: the same order for each table that has it */
	uint32_t weight;
};

/* COUNT from 1 on. TABLE's places are indices into BACKENDS. */
void maglev_fill(uint8_t table[MAGLEV_PLACES], const struct maglev_backend *backends,
		 unsigned count);
/* A hash of LEN bytes. */
uint64_t maglev_hash(const void *data, uint32_t len, uint64_t seed);
