/*
 * Words of a short text, for handlers that are written while packets pass: nothing is allocated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CLICK_SPLIT_BYTES 256u
#define CLICK_SPLIT_WORDS 12u

struct click_split {
	char text[CLICK_SPLIT_BYTES];
	const char *words[CLICK_SPLIT_WORDS]; /* into TEXT */
	unsigned count;
};

/* Splits the first LEN bytes of TEXT at spaces and tabs. False: too long, or too many words. */
bool click_split(struct click_split *split, const char *text, uint32_t len);
