/*
 * What runs a configuration for click_pcap.c: native code, or a chain of one packet function.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"

/* What the one who runs it wants to hear. */
struct machine_owner {
	void (*send)(unsigned device, const uint8_t *data, uint32_t len);
	void (*print)(const char *line, uint32_t len);
};

/* Time is what machine_set_time() said last; it never goes back. All functions that fail have said
 * why on standard error. */
int machine_open(const char *name, const struct eos_buf *text, const struct machine_owner *owner);
void machine_close(void);
void machine_set_time(uint64_t now_ns);
void machine_receive(unsigned device, const uint8_t *data, uint32_t len);
/* When there will be something to do; UINT64_MAX: never. */
uint64_t machine_deadline(void);
void machine_run(void);
