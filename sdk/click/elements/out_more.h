/*
 * What handlers of the headers' elements write beside out.h.
 */
#pragma once

#include "elements/out.h"

/* Seconds with six decimals, as timestamps are. */
void click_out_time(struct click_out *to, uint64_t value_ns);
/* The lowest DIGITS hexadecimal digits. */
void click_out_hex(struct click_out *to, uint64_t value, unsigned digits);
/* As Click writes them: "00-1B-..." */
void click_out_ether(struct click_out *to, const uint8_t address[6]);
/* "10.0.0.0/8", or "10.0.0.1/255.0.255.0" where the mask is no prefix; both in network order. */
void click_out_mask(struct click_out *to, uint32_t address, uint32_t mask);
