/*
 * Steps of an IP router's way, for their elements and for those that are several of them.
 */
#pragma once

#include "elements/address_list.h"
#include "elements/reasons.h"
#include "ip.h"

/* --- CheckIPHeader --- */

struct click_check_ip {
	struct click_check check;
	uint32_t offset;
	bool does_checksum;
	struct click_addresses bad_src, good_dst;
};

/* Of an element with that struct, before anything else of these. */
void click_check_ip_init(struct click_check_ip *check, bool does_checksum);
/* The old form of bad sources: a list, with 0.0.0.0 and 255.255.255.255 besides. */
void click_check_ip_bad(struct click_check_ip *check, const char *list, struct click_args *args);
/* INTERFACES, BADSRC and GOODDST. */
void click_check_ip_addresses(struct click_check_ip *check, struct click_args *args);
/* PACKET with its annotations, or NULL: it went to output 1. */
struct click_packet *click_check_ip(struct click_check_ip *check, struct click_packet *packet);

/* --- IPGWOptions --- */

struct click_gw {
	uint32_t address;
	struct click_addresses own; /* that and others of this router */
};

/* False: an option is wrong; PACKET's annotation says at which byte. */
bool click_gw_options(const struct click_gw *gw, struct click_packet *packet,
		      const struct click_ip *ip);

/* --- FixIPSrc, DecIPTTL --- */

/* ADDRESS in network order. */
void click_fix_ip_src(struct click_packet *packet, const struct click_ip *ip, uint32_t address);
/* False: it was too low already. */
bool click_dec_ip_ttl(const struct click_ip *ip);
