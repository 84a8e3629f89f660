/*
 * Frames of every kind for the tests of this folder, and what is in them. They were made with scapy
 * 2.5, whose checksums they have.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flow/flow.h"

#define FLOW_SAMPLE_MAX 256u

struct flow_sample {
	const char *name, *hex;
	const char *source, *target; /* NULL: none */
	struct flow_packet expected; /* but for the addresses */
};
extern const struct flow_sample flow_samples[];
extern const size_t flow_samples_count;

/* Its bytes. Returns how many. */
uint32_t flow_sample_frame(const struct flow_sample *sample, uint8_t out[FLOW_SAMPLE_MAX]);
uint32_t flow_sample_named(const char *name, uint8_t out[FLOW_SAMPLE_MAX]);
/* flow_parse() of a copy that ends where its memory does. */
enum flow_kind flow_parse_exact(const uint8_t *frame, uint32_t len, struct flow_packet *packet);
void flow_test_address(const char *text, uint8_t out[16]);
/* What holds of any packet of a frame of LEN bytes. */
void flow_check_packet(const struct flow_packet *packet, uint32_t len);
