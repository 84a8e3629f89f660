/*
 * Finds out whether any of many strings occurs in some bytes, with one step a byte: Aho and
 * Corasick's automaton, with all transitions in a table.
 *
 * So that the table is small, bytes that no string has are one column of it, and each other byte
 * has one of its own.
 */
#pragma once

#include <click.h>

#define CLICK_MATCHER_BYTES_MAX 65534u	    /* of all strings: states are 16 bits */
#define CLICK_MATCHER_TABLE_MAX (16u << 20) /* bytes */

struct click_string {
	const uint8_t *data; /* borrowed while it is built */
	uint32_t len;	     /* at least 1 */
};

struct click_matcher {
	uint8_t column[256]; /* by byte */
	uint32_t columns;
	uint32_t states; /* 0 is where it begins */
	uint16_t *next;	 /* by state and column */
	uint8_t *is_end; /* by state: a string ends here */
};

/* 0; -E2BIG: too many bytes; -ENOMEM. Memory is ROUTER's. */
int click_matcher_build(struct click_matcher *matcher, struct click_router *router,
			const struct click_string *strings, uint32_t count);
bool click_matcher_finds(const struct click_matcher *matcher, const uint8_t *data, uint32_t len);
