/*
 * Small text jobs: parsing numbers with units, hexadecimal, percent encoding, UTF-8.
 * No function here depends on the locale. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct eos_buf;

/* Decimal digits only, the whole of TEXT. -EINVAL: anything else; -ERANGE: over 64 bits. */
int eos_parse_u64(const char *text, uint64_t *ret_value) EOS_MUST_CHECK;
/* "65536", "64KiB", "16MiB", "1GiB", "5kB", "5MB", "5GB". -EINVAL, -ERANGE. */
int eos_parse_size(const char *text, uint64_t *ret_bytes) EOS_MUST_CHECK;
/* "250us", "10ms", "2s", "5m", "1h", "7d"; "0" too. -EINVAL, -ERANGE. */
int eos_parse_duration(const char *text, uint64_t *ret_ns) EOS_MUST_CHECK;

/* 2 * LEN lower-case digits and a NUL into OUT. */
void eos_hex_encode(const void *data, size_t len, char *out);
/* Exactly 2 * LEN digits of either case, then NUL. -EINVAL. */
int eos_hex_decode(const char *text, void *out, size_t len) EOS_MUST_CHECK;

/* Puts '?' in the place of each byte of characters that a terminal may obey: C0, DEL, and C1, which
 * in UTF-8 are c2 80 to c2 9f. */
void eos_make_printable(char *text, size_t len);

/* Well-formed UTF-8 without surrogates or overlong forms (RFC 3629). */
bool eos_utf8_is_valid(const void *data, size_t len);

/* "%41" becomes "A". OUT may be TEXT itself; needs LEN bytes. Returns the length or -EINVAL. */
long eos_percent_decode(const char *text, size_t len, char *out) EOS_MUST_CHECK;
/* Appends TEXT with all but unreserved characters (RFC 3986) as %XX; '/' is kept if KEEP_SLASH. */
int eos_percent_encode(struct eos_buf *buf, const char *text, size_t len, bool keep_slash);
/* The order, as strcmp()'s, that two texts have when all but unreserved characters are encoded. */
int eos_percent_compare(const char *a, const char *b);

bool eos_str_starts_with(const char *text, const char *prefix);
bool eos_str_ends_with(const char *text, const char *suffix);
/* Copies and ends with NUL. -ENAMETOOLONG when SIZE is too small; then OUT is "". */
int eos_str_copy(char *out, size_t size, const char *text) EOS_MUST_CHECK;
