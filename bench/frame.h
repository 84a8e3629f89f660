/*
 * Frames of many clients, for the benches of chains.
 */
#pragma once

#include <stdint.h>

#define FRAME_MAX 1514u

/* A UDP frame of LEN bytes (60 to FRAME_MAX) from client number CLIENT, of 10.0.0.0/8, into OUT.
 * Its checksums are right. */
void frame_make(uint8_t *out, uint32_t len, uint32_t client);
/* Whose frame this is; UINT32_MAX: it is none of ours. */
uint32_t frame_client(const uint8_t *frame, uint32_t len);
