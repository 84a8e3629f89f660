/*
 * What a connection may do next, and which sequence numbers belong to it.
 *
 *	NEW -SYN-> SYN_SENT -SYN,ACK-> SYN_RECEIVED -ACK-> ESTABLISHED -FIN-> CLOSING -FIN-> CLOSED
 *	SYN_SENT -SYN of the other side-> SYN_RECEIVED (both begin at once)
 *	any -RST with the number that comes next-> RESET
 *
 * What gets lost behind here is sent again: a SYN, and a SYN,ACK, pass as often as they are the
 * same. Who begins anew with the same ports, having lost what he knew, is answered with an
 * acknowledgement of the old connection, and resets that; or, where that is forgotten, too, with a
 * SYN,ACK (RFC 9293, 3.5.1). The old connection may be one from before this table was made.
 *
 * Numbers: a segment lies within what the receiver has offered room for, does not begin further
 * back than a window before what was sent already, and acknowledges only what the other side has
 * sent (G. van Rooij, Real Stateful TCP Packet Filtering in IP Filter). So hardly any blind data or
 * reset gets through. A reset that only lies within the window is asked for once more by who gets
 * it (RFC 5961, 3.2), and ends nothing here.
 */
#include "firewall.h"

#define SCALE_MAX 14u
/* How far back an acknowledgement may be, for segments that overtake each other. */
#define ACK_BACK 66000u

static bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* The window scale that a SYN offers; false: none. */
static bool find_scale(const struct frame *frame, uint8_t *ret)
{
	uint32_t at = frame->transport + 20;
	while (at < frame->payload && frame->data[at] != 0) {
		uint32_t left = frame->payload - at;
		if (frame->data[at] == 1) {
			at++;
			continue;
		}
		if (left < 2 || frame->data[at + 1] < 2 || frame->data[at + 1] > left)
			return false;
		if (frame->data[at] == 3 && frame->data[at + 1] == 3) {
			*ret = frame->data[at + 2] > SCALE_MAX ? SCALE_MAX : frame->data[at + 2];
			return true;
		}
		at += frame->data[at + 1];
	}
	return false;
}

static bool are_flags_sane(uint8_t flags)
{
	unsigned one_of = flags & (FRAME_SYN | FRAME_FIN | FRAME_RST);
	if (one_of == FRAME_SYN)
		return true;
	/* Two at once, or none and no acknowledgement, is nothing that TCP sends. */
	return one_of == FRAME_RST || ((one_of == FRAME_FIN || one_of == 0) && (flags & FRAME_ACK));
}

/* A SYN, or SYN and ACK: what it says of its sender. */
static void begin_side(struct tcp_side *side, const struct frame *frame, uint32_t end)
{
	side->begin = side->acked = frame->seq + 1;
	side->end = side->max_end = end;
	side->window = frame->window == 0 ? 1 : frame->window;
	side->scale = 0;
	side->has_scale = find_scale(frame, &side->scale);
	side->has_sent = true;
}

static bool fits(const struct tcp_side *from, const struct tcp_side *to, const struct frame *frame,
		 uint32_t end)
{
	if (is_after(end, from->max_end))
		return false;
	if (is_after(from->end - to->window, frame->seq))
		return false;
	if ((frame->tcp_flags & FRAME_ACK) == 0)
		return true;
	/* What is on its way to who acknowledges is as much as he has room for. */
	return !is_after(frame->ack, to->end) &&
	       !is_after(to->end - ACK_BACK - from->window, frame->ack);
}

static void learn(struct tcp_side *from, struct tcp_side *to, const struct frame *frame,
		  uint32_t end)
{
	uint32_t window = (uint32_t)frame->window << from->scale;
	if (window == 0)
		window = 1;
	if (window > from->window)
		from->window = window;
	if (is_after(end, from->end))
		from->end = end;
	if ((frame->tcp_flags & FRAME_ACK) && is_after(frame->ack + window, to->max_end))
		to->max_end = frame->ack + window;
	if ((frame->tcp_flags & FRAME_ACK) && is_after(frame->ack, to->acked))
		to->acked = frame->ack;
	from->has_fin |= (frame->tcp_flags & FRAME_FIN) != 0;
}

/* Does FRAME acknowledge the SYN of SIDE? Data that went with it may be left out (RFC 7413). */
static bool confirms(const struct frame *frame, const struct tcp_side *side)
{
	return (frame->tcp_flags & FRAME_ACK) != 0 && side->has_sent &&
	       !is_after(frame->ack, side->end) && !is_after(side->begin, frame->ack);
}

/* The first SYN of who answers, or of both if they begin at once. */
static void answer_syn(struct tcp *tcp, const struct frame *frame, uint32_t end)
{
	struct tcp_side *from = &tcp->sides[1], *to = &tcp->sides[0];
	begin_side(from, frame, end);
	/* Windows are scaled only if both want it. */
	if (!from->has_scale || !to->has_scale)
		from->scale = to->scale = 0;
	tcp->is_confirmed = (frame->tcp_flags & FRAME_ACK) != 0;
	if (tcp->is_confirmed)
		to->acked = frame->ack;
	from->max_end = end + to->window;
	to->max_end = to->acked + from->window;
	tcp->state = TCP_SYN_RECEIVED;
}

static bool take_syn(struct tcp *tcp, const struct frame *frame, unsigned side, uint32_t end)
{
	struct tcp_side *from = &tcp->sides[side];
	bool has_ack = (frame->tcp_flags & FRAME_ACK) != 0;
	if (tcp->state == TCP_NEW) {
		if (side != 0 || has_ack)
			return false;
		begin_side(from, frame, end);
		tcp->state = TCP_SYN_SENT;
		return true;
	}
	if (side == 1 && confirms(frame, &tcp->again))
		*tcp = (struct tcp){.state = TCP_SYN_SENT, .sides[0] = tcp->again};
	if (has_ack && !confirms(frame, &tcp->sides[1 - side]))
		return false;
	/* The same once more, with no more data than it had. */
	if (from->has_sent && frame->seq + 1 == from->begin) {
		tcp->is_confirmed |= side == 1 && has_ack;
		return !is_after(end, from->end);
	}
	/* One that acknowledges nothing may be anybody's: who knows the number is to be believed.
	 */
	if (side == 1 && (tcp->state == TCP_SYN_SENT || (has_ack && !tcp->is_confirmed))) {
		answer_syn(tcp, frame, end);
		return true;
	}
	if (side == 1 || has_ack)
		return false;
	begin_side(&tcp->again, frame, end);
	return true;
}

static bool take_rst(struct tcp *tcp, const struct frame *frame, unsigned side, uint32_t end)
{
	const struct tcp_side *from = &tcp->sides[side], *to = &tcp->sides[1 - side];
	if (tcp->state == TCP_NEW)
		return false;
	/* A refusal acknowledges the SYN; whoever sent that may take it back. */
	bool is_refusal = side == 1 && (confirms(frame, &tcp->again) ||
					(tcp->state == TCP_SYN_SENT && confirms(frame, to)));
	if (!is_refusal && tcp->state == TCP_SYN_SENT) {
		/* With another number: what it ends is over here already. */
		if (side == 0 && frame->seq == from->end)
			tcp->state = TCP_RESET;
		return side == 0;
	}
	if (!is_refusal && !fits(from, to, frame, end))
		return false;
	if (is_refusal || frame->seq == from->end || frame->seq == from->acked)
		tcp->state = TCP_RESET;
	else
		tcp->is_doubted = true;
	return true;
}

uint32_t tcp_end(const struct frame *frame)
{
	return frame->seq + (frame->end - frame->payload) + ((frame->tcp_flags & FRAME_SYN) != 0) +
	       ((frame->tcp_flags & FRAME_FIN) != 0);
}

bool tcp_take(struct tcp *tcp, const struct frame *frame, unsigned side)
{
	struct tcp_side *from = &tcp->sides[side], *to = &tcp->sides[1 - side];
	uint8_t flags = frame->tcp_flags;
	uint32_t end = tcp_end(frame);
	if (!are_flags_sane(flags))
		return false;
	if (tcp->state == TCP_RESET)
		return false;
	if (flags & FRAME_RST)
		return take_rst(tcp, frame, side, end);
	if (flags & FRAME_SYN)
		return take_syn(tcp, frame, side, end);
	/* An older connection's: what the SYN's sender answers ends that. */
	if (tcp->state == TCP_SYN_SENT && side == 1 && flags == FRAME_ACK && end == frame->seq)
		return true;
	if (tcp->state < TCP_SYN_RECEIVED || !fits(from, to, frame, end))
		return false;
	learn(from, to, frame, end);
	tcp->is_confirmed |= side == 1;
	tcp->is_doubted = false;
	if (tcp->state == TCP_SYN_RECEIVED && side == 0)
		tcp->state = TCP_ESTABLISHED;
	if (tcp->state < TCP_CLOSING && (from->has_fin || to->has_fin))
		tcp->state = TCP_CLOSING;
	if (from->has_fin && to->has_fin)
		tcp->state = TCP_CLOSED;
	return true;
}

bool tcp_take_more(struct tcp *tcp, unsigned side, uint32_t end)
{
	struct tcp_side *from = &tcp->sides[side];
	if (tcp->state == TCP_RESET || is_after(end, from->max_end))
		return false;
	if (is_after(end, from->end))
		from->end = end;
	return true;
}

uint64_t tcp_timeout_ns(const struct tcp *tcp)
{
	static const uint32_t seconds[] = {
		[TCP_NEW] = 0,
		[TCP_SYN_SENT] = 30,
		[TCP_SYN_RECEIVED] = 30,
		[TCP_ESTABLISHED] = 7440, /* RFC 5382: at least 2 hours and 4 minutes */
		[TCP_CLOSING] = 240,
		[TCP_CLOSED] = 60, /* the last bytes may be lost again and again (RFC 6298) */
		[TCP_RESET] = 10,
	};
	return seconds[tcp->is_doubted ? TCP_RESET : tcp->state] * NS_PER_S;
}

bool tcp_has_sent(const struct tcp *tcp, unsigned side, uint32_t seq)
{
	const struct tcp_side *from = &tcp->sides[side];
	uint32_t window = tcp->sides[1 - side].window;
	if (side == 0 && tcp->again.has_sent && seq + 1 == tcp->again.begin)
		return true;
	return from->has_sent && !is_after(seq, from->end) &&
	       !is_after(from->end - window - ACK_BACK, seq);
}
