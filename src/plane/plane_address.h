/*
 * IP addresses as the data plane has them: 16 bytes, IPv4 as ::ffff:a.b.c.d. Any thread.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/macros.h"

#define PLANE_ADDRESS_TEXT_SIZE INET6_ADDRSTRLEN

/* "10.0.0.1", "10.0.0.1/24", "2001:db8::1/64" as it stands, and how many of the 128 bits are the
 * prefix; all of them without one. False: it is neither. */
bool plane_address_parse(const char *text, uint8_t ret_address[16], uint8_t *ret_bits);
/* Clears what is behind the first BITS. */
void plane_address_mask(uint8_t address[16], unsigned bits);
bool plane_address_is_v4(const uint8_t address[16]);
void plane_address_format(const uint8_t address[16], char out[PLANE_ADDRESS_TEXT_SIZE]);
/* For the kernel, and back. The length. */
socklen_t plane_address_to_kernel(const uint8_t address[16], uint16_t port, bool wants_v6,
				  struct sockaddr_storage *ret_address);
/* False: not an IP address. */
bool plane_address_from_kernel(const struct sockaddr_storage *from, uint8_t ret_address[16],
			       uint16_t *ret_port);
