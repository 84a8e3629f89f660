/*
 * What passes a firewall between a client and a server, for its unit tests.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "firewall.h"
#include "host_double.h"

#define CLIENT "10.0.0.5"
#define SERVER "192.0.2.1"

#define PASSES(call) assert_int_equal((call), EDGEOS_FORWARD)
#define DROPS(call)  assert_int_equal((call), EDGEOS_DROP)

/* From one to the other, where PACKET names no addresses; the verdict. */
uint32_t send_packet(bool is_from_client, struct host_packet packet);
/* Of TCP, with LEN bytes; the server's port is 80. */
uint32_t segment(bool is_from_client, uint16_t client_port, uint8_t flags, uint32_t seq,
		 uint32_t ack, uint32_t len);
uint32_t datagram(bool is_from_client, uint16_t source_port, uint16_t target_port);
/* CONNECTIONS NULL: the default. */
void start(const char *rules, const char *connections);
/* The client has sent up to 1001, the server up to 5001. */
void open_connection(uint16_t port);
