/*
 * The language of IPFilter and IPClassifier.
 *
 *	expression  alternatives [? expression : expression]
 *	alternatives	terms { (or | ||) terms }
 *	terms	    factor { [and | &&] factor }
 *	factor	    { not | ! } ( true | false | "(" expression ")" | primitive )
 *	primitive   { qualifier } [ "[" POS [: LEN] "]" ] [ & MASK ] [ relation ] [ data ]
 *
 * What a primitive leaves out it has from the one before it, if it has no qualifiers of its own:
 * "src port 80 or 81".
 */
#pragma once

#include "elements/classify.h"
#include "elements/ip_words.h"

/* The node of WORDS from FIRST on; NUMBER is the pattern's, for messages. CLASSIFY_NO_NODE: what is
 * wrong was told (TELLS), or NODES are full. */
uint16_t ip_pattern_parse(const struct ip_words *words, unsigned first, unsigned number,
			  struct classify_nodes *nodes, struct click_router *router,
			  struct click_args *args, bool tells);
