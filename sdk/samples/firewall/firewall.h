/*
 * A stateful firewall: rules say who may begin a conversation, a table of connections lets its
 * packets through afterwards.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "flows.h"
#include "frame.h"
#include "settings.h"

#define CONNECTIONS_MAX 2048u
#define RULES_MAX	64u
#define RANGES_MAX	8u
#define NS_PER_S	UINT64_C(1000000000)

/* --- rules --- */

/* The RULES, the first of which that takes a packet decides; without one it is denied. *RET_WRONG
 * is the rule that is none. */
bool rules_parse(struct piece rules, struct piece *ret_wrong);
/* May FRAME begin a conversation? */
bool rules_allow(const struct frame *frame, bool is_from_client);

/* --- TCP --- */

enum tcp_state {
	TCP_NEW,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_CLOSING, /* one side has sent its FIN */
	TCP_CLOSED,  /* both have: what remains are acknowledgements, and what got lost */
	TCP_RESET,   /* nothing may follow */
};

/* What is known of what one side has sent. */
struct tcp_side {
	uint32_t begin;	  /* behind its SYN */
	uint32_t end;	  /* behind the last byte that was sent */
	uint32_t acked;	  /* up to where the other side has got it */
	uint32_t max_end; /* what the other side has room for */
	uint32_t window;  /* the largest that it has offered itself */
	uint8_t scale;	  /* of its windows */
	bool has_scale, has_sent, has_fin;
};

struct tcp {
	enum tcp_state state;
	struct tcp_side sides[2]; /* who began it, and who answered */
	struct tcp_side again;	  /* who began it may have forgotten it: a new SYN */
	bool is_confirmed;	  /* who answered has acknowledged the SYN */
	bool is_doubted;	  /* a reset came that may have ended it */
};

/* Behind the last number of this segment, or of what is there of it. */
uint32_t tcp_end(const struct frame *frame);
/* Does this segment fit, which side SIDE sent? If so, TCP is what it is behind it. */
bool tcp_take(struct tcp *tcp, const struct frame *frame, unsigned side);
/* The last segment's other fragments: SIDE has sent up to END. Does that fit? */
bool tcp_take_more(struct tcp *tcp, unsigned side, uint32_t end);
uint64_t tcp_timeout_ns(const struct tcp *tcp);
/* Was SEQ of what SIDE sent lately? For errors that quote it. */
bool tcp_has_sent(const struct tcp *tcp, unsigned side, uint32_t seq);
