/*
 * Queries for the unit tests of the name server and of the cache.
 */
#pragma once

#include "dns.h"

/* What a query has more: */
#define EDNS   1u
#define DNSSEC 2u
#define AD     4u /* without EDNS */

#define OPT_BYTES 11u

/* Into MESSAGE, which has 512 bytes; returns its length. */
uint32_t make_query(uint8_t *message, uint16_t id, const char *name, uint16_t type, unsigned edns);
unsigned rcode_of(const uint8_t *message);
