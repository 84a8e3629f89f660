/*
 * One primitive of an IPFilter pattern ("src tcp port > 1023"): what was said of it, and the nodes
 * that it becomes. ip_pattern.c reads it from words.
 */
#pragma once

#include "elements/classify.h"

enum ip_type {
	IP_NO_TYPE,
	IP_HOST,
	IP_NET,
	IP_PROTO,
	IP_PORT,
	IP_PORTRANGE,
	IP_FLAGS, /* "tcp opt" */
	IP_FRAG,
	IP_UNFRAG,
	IP_ECT,
	IP_CE,
	IP_FIELD,
};

enum ip_data {
	IP_NO_DATA,
	IP_DATA_INTEGER,
	IP_DATA_HOST,
	IP_DATA_NET,
	IP_DATA_PROTO,
	IP_DATA_PORT,
	IP_DATA_RANGE,
	IP_DATA_FLAGS,
	IP_DATA_ICMP_TYPE,
	IP_DATA_ETHER,
};

enum ip_side { IP_NO_SIDE, IP_SRC, IP_DST, IP_SRC_AND_DST, IP_SRC_OR_DST };
enum ip_relation { IP_EQUAL, IP_GREATER, IP_LESS };

/* Beyond the numbers of protocols. */
#define IP_NO_PROTOCOL (-1)
#define IP_TCP_OR_UDP  256
#define IP_ANY_TRANSP  257

/* A part of a header: BITS of the WIDTH bytes at OFFSET, SHIFT bits from their end. */
struct ip_field {
	uint16_t offset;
	uint8_t width, shift, bits;
	int16_t protocol; /* of the transport header; IP_NO_PROTOCOL: of the IP header */
};

extern const struct ip_field ip_field_tos, ip_field_icmp_type;

struct ip_primitive {
	enum ip_type type;
	struct ip_field field; /* of IP_FIELD */
	enum ip_side side;
	int protocol;
	bool is_ether, is_ip; /* the word was there, or what stands for it */
	enum ip_relation relation;
	bool is_negated;	/* the relation */
	enum ip_data mask_data; /* IP_NO_DATA: there is no mask */
	uint32_t mask;		/* 0: none was given; of addresses in host order */
	enum ip_data data;
	uint32_t value, value_max; /* RANGE: from VALUE to VALUE_MAX; addresses in host order */
	uint32_t value_mask;	   /* NET */
	uint8_t ether[6], ether_mask[6];
};

/* Makes PRIMITIVE complete, from PREVIOUS where it leaves things out. NULL, or what is wrong. */
const char *ip_primitive_check(struct ip_primitive *primitive, const struct ip_primitive *previous);
uint16_t ip_primitive_nodes(const struct ip_primitive *primitive, struct classify_nodes *nodes);
/* The bits of FIELD, as a number. */
uint32_t ip_field_max(const struct ip_field *field);
