/*
 * Configuration of functions, read from what edgeos_config() gives. What is wrong is told in the
 * function's log, and ends its initialisation: a mistake is never a default.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SETTINGS_TEXT_MAX 1024u

/* Part of a text, which is borrowed; not terminated. */
struct piece {
	const char *text;
	uint32_t len;
};

/* The value of KEY, which is valid until the next call; false: there is none. */
bool settings_text(const char *key, struct piece *ret);
/* Logs "KEY: WHAT: PIECE" as an error and ends the function: settings_fail("rate", "not a rate",
 * …). */
_Noreturn void settings_fail(const char *key, const char *what, struct piece piece);
/* The values of these, or the DEFAULT that is given, or settings_fail(). */
uint64_t settings_u64(const char *key, uint64_t min, uint64_t max, uint64_t otherwise);
bool settings_bool(const char *key, bool otherwise);	     /* yes, no, true, false */
uint64_t settings_rate(const char *key, uint64_t otherwise); /* bytes a second: "10Mbit", "1MB" */
uint64_t settings_size(const char *key, uint64_t otherwise); /* bytes: "64KiB" */
/* "30s", "5min", "20ms"; more than nothing, and at most a year, so that it can be added up. */
uint64_t settings_duration_ns(const char *key, uint64_t otherwise);

/* Takes what is before the first of SEPARATORS off the front of *REST, without blanks around it.
 * False: there was nothing left. */
bool piece_split(struct piece *rest, const char *separators, struct piece *ret);
/* Takes a word off the front, ended by blanks. */
bool piece_word(struct piece *rest, struct piece *ret);
bool piece_is(struct piece piece, const char *text);
bool piece_u64(struct piece piece, uint64_t min, uint64_t max, uint64_t *ret);
bool piece_rate(struct piece piece, uint64_t *ret);
bool piece_size(struct piece piece, uint64_t *ret);
bool piece_duration_ns(struct piece piece, uint64_t *ret);
/* The value of a hexadecimal digit, or -1. */
int piece_hex(char c);
