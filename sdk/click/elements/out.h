/*
 * Text that handlers give: written as far as there is room. Nothing here allocates.
 */
#pragma once

#include <stdint.h>

struct click_out {
	char *out; /* borrowed */
	uint32_t size, len;
};

void click_out_init(struct click_out *to, char *out, uint32_t size);
void click_out_add(struct click_out *to, const char *string);
void click_out_char(struct click_out *to, char c);
void click_out_u64(struct click_out *to, uint64_t value);
void click_out_i64(struct click_out *to, int64_t value);
/* VALUE / 2^BITS (at most 32), with six decimals and without zeroes at the end. */
void click_out_fraction(struct click_out *to, uint64_t value, unsigned bits);
/* VALUE nanoseconds as seconds, with as many of nine decimals as it needs. */
void click_out_seconds(struct click_out *to, uint64_t value_ns);
/* "10.0.0.1"; ADDRESS is in network order. */
void click_out_ip(struct click_out *to, uint32_t address);
/* "10.0.0.0/8" */
void click_out_prefix(struct click_out *to, uint32_t address, unsigned len);
/* For handlers that are one number: its text, and the length of that. */
uint32_t click_out_number(char *out, uint32_t size, uint64_t value);
