/*
 * The words of an IPFilter pattern: operators need no spaces around them ("ip[0:2]&0xff=5").
 */
#pragma once

#include "core.h"

struct ip_words {
	char *text;	    /* the words, each with a NUL */
	const char **words; /* borrowed from TEXT; WORDS[COUNT] is "" */
	unsigned count;
	uint32_t size_max;
};

/* Room for patterns of up to SIZE bytes. False: there is no memory. */
bool ip_words_init(struct ip_words *words, struct click_arena *arena, uint32_t size);
/* Splits TEXT, of which at most that much is looked at, instead of what was there before. */
void ip_words_split(struct ip_words *words, const char *text);
/* A whole decimal, hexadecimal (0x) or octal (0) number of 32 bits. */
bool ip_word_number(const char *word, uint32_t *ret);
