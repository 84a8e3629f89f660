/*
 * What handlers for Ethernet addresses share.
 */
#pragma once

#include <click.h>

/* As a handler's read(). */
uint32_t click_ether_read(const uint8_t address[6], char *out, uint32_t size);
/* As a handler's write(); also names of AddressInfo. */
int click_ether_write(struct click_element *element, uint8_t address[6], const char *text,
		      struct click_args *args);
