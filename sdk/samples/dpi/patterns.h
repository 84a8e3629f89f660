/*
 * Many patterns looked for at once (A. Aho, M. Corasick, 1975): an automaton with one step a byte,
 * whose state is all that must be kept from one piece of a stream to the next.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

#define PATTERNS_MAX 256u
#define STATES_MAX   4096u	    /* bytes of all patterns, about */
#define TABLE_MAX    (192u * 1024u) /* states times different bytes */

void patterns_clear(void);
/* Adds "PATTERN; PATTERN…"; "\xHH" is a byte, "\;" and "\\" are themselves. Blanks around a
 * pattern are not part of it ("\x20" is). False: *RET_WRONG has a bad escape, is empty, or there
 * are too many. */
bool patterns_add(struct piece text, struct piece *ret_wrong);
/* After the last one; letters of ASCII may be large or small. False: too many different bytes. */
bool patterns_compile(bool ignores_case);
unsigned patterns_count(void);
/* Goes on from *STATE, 0 at first, with LEN bytes, up to the end or the first match: the number of
 * a pattern (the longest of those that end there), or -1. */
int patterns_scan(uint16_t *state, const uint8_t *data, uint32_t len);
