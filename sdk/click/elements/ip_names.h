/*
 * Names of protocols, ports, TCP flags and ICMP types, as Click's documentation lists them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool click_ip_protocol_number(const char *name, uint32_t *ret);
/* Of TCP as of UDP. */
bool click_ip_port_number(const char *name, uint32_t *ret);
/* The flag's bit. */
bool click_tcp_flag(const char *name, uint32_t *ret);
bool click_icmp_type_number(const char *name, uint32_t *ret);
/* The code NAME of messages of TYPE. */
bool click_icmp_code_number(uint32_t type, const char *name, uint32_t *ret);
/* The other way round; NULL: there is no name. */
const char *click_ip_protocol_name(uint32_t protocol);
const char *click_icmp_type_name(uint32_t type);
const char *click_icmp_code_name(uint32_t type, uint32_t code);
