/*
 * Who wants to know when a resource changes (RFC 7641).
 *
 * Notifications are not acknowledged (NON) as a rule. One that the observer is to confirm (CON)
 * goes out after so many that nothing was heard of, and when he was silent for a while, also if
 * nothing has changed: the node forgets who sends nothing for ten minutes, and could not reach him
 * any more. While one waits for its confirmation, nothing else is sent to this observer; it is sent
 * again, with what the resource is by then, and who never confirms is forgotten. So an address that
 * has not asked for this gets a few messages, not all there ever are.
 */
#include <errno.h>
#include <string.h>

#include "coap.h"
#include "edgeos_packet.h"

#define QUIET_NS    (300 * NS_PER_S)
#define LATER_NS    (5 * NS_PER_S)
#define UNHEARD_MAX 16u
#define TIMEOUT_NS  (2 * NS_PER_S) /* ACK_TIMEOUT; ACK_RANDOM_FACTOR is 1.5 */
#define RESENDS_MAX 4u		   /* MAX_RETRANSMIT */

struct observer {
	bool is_there;
	uint32_t peer;
	uint8_t token[8], token_len;
	uint8_t size_exponent; /* of the blocks that he asked for */
	char path[COAP_PATH_MAX];
	uint32_t path_len;
	uint32_t format;	   /* of what he was given */
	uint64_t due_ns;	   /* when he is to be asked to confirm, or once more */
	uint32_t unheard;	   /* notifications since he was heard of */
	uint16_t ids[UNHEARD_MAX]; /* theirs: any may be reset */
	bool is_waiting;	   /* one is to be confirmed */
	bool is_behind;		   /* and there is something newer */
	uint16_t confirm_id;
	uint32_t confirm_sequence, sends;
	uint64_t timeout_ns;
};

static struct observer observers[COAP_OBSERVERS];
static uint32_t count, sequence, random_state = 1;
static uint64_t timer_ns; /* when it is due; 0: it is not set */

void observers_seed(uint32_t seed, uint64_t now_ns)
{
	random_state = seed | 1;
	/* Ahead of what an instance before has told, unless it told more than one a millisecond. */
	sequence = (uint32_t)(now_ns >> 20) & 0xffffff;
}

uint32_t observers_count(void)
{
	return count;
}

uint32_t observers_sequence(void)
{
	/* 24 bits that go up (RFC 7641, 4.4). */
	sequence = (sequence + 1) & 0xffffff;
	return sequence;
}

static struct observer *find(uint32_t peer, const uint8_t *token, uint32_t token_len)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (one->is_there && one->peer == peer && one->token_len == token_len &&
		    memcmp(one->token, token, token_len) == 0)
			return one;
	}
	return NULL;
}

static void forget(struct observer *one)
{
	one->is_there = false;
	count--;
}

void observers_remove(uint32_t peer, const uint8_t *token, uint32_t token_len)
{
	struct observer *one = find(peer, token, token_len);
	if (one != NULL)
		forget(one);
}

/* Sets the timer to what is due first. */
static void set_timer(uint64_t now_ns)
{
	uint64_t first_ns = UINT64_MAX;
	for (unsigned i = 0; i < COAP_OBSERVERS && count > 0; i++) {
		if (observers[i].is_there && observers[i].due_ns < first_ns)
			first_ns = observers[i].due_ns;
	}
	/* One that comes too early finds nothing to do. */
	if (first_ns == UINT64_MAX || (timer_ns != 0 && timer_ns <= first_ns))
		return;
	timer_ns = first_ns;
	(void)edgeos_timer_set(OBSERVE_TIMER, first_ns > now_ns ? first_ns - now_ns : 1);
}

bool observers_add(const struct resource *resource, uint32_t peer,
		   const struct coap_message *request, uint64_t now_ns)
{
	struct observer *one = find(peer, request->token, request->token_len);
	for (unsigned i = 0; i < COAP_OBSERVERS && one == NULL; i++) {
		if (observers[i].is_there)
			continue;
		one = &observers[i];
		*one = (struct observer){.is_there = true};
		count++;
	}
	if (one == NULL)
		return false;
	/* Who asks again is not heard by that: anybody can send it in his name. */
	one->peer = peer;
	one->token_len = request->token_len;
	one->path_len = resource->path_len;
	one->format = resource->format;
	if (!one->is_waiting)
		one->due_ns = now_ns + QUIET_NS;
	one->size_exponent = request->block2.is_there ? request->block2.size_exponent : 6;
	memcpy(one->token, request->token, request->token_len);
	memcpy(one->path, resource->path, resource->path_len);
	set_timer(now_ns);
	return true;
}

/* --- notifications --- */

/* ACK_TIMEOUT to one and a half of it, so that not all are sent again at once. */
static uint64_t first_timeout_ns(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return TIMEOUT_NS + (TIMEOUT_NS / 2 >> 16) * (random_state >> 16);
}

/* Sends one. CODE: COAP_CONTENT, or that this is the end. False: there is no way to him. */
static bool tell(struct observer *one, const struct resource *resource, uint8_t type, uint8_t code,
		 uint16_t id)
{
	uint8_t out[COAP_MESSAGE_MAX];
	struct coap_writer writer;
	const struct coap_block block = {.size_exponent = one->size_exponent};
	coap_begin(&writer, out, type, code, id, one->token, one->token_len);
	if (code == COAP_CONTENT)
		coap_put_content(&writer, resource, &block, false, true,
				 type == COAP_CON ? one->confirm_sequence : sequence);
	int32_t error = writer.is_broken ? -EMSGSIZE
					 : edgeos_packet_send(EDGEOS_PORT_CLIENT, one->peer, out,
							      writer.len);
	if (error >= 0)
		coap_stats.notifications++;
	else
		coap_stats.refused++;
	return error != -EBADF;
}

/* There is nobody any more. */
static void lose(uint32_t peer)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		if (!observers[i].is_there || observers[i].peer != peer)
			continue;
		coap_stats.observers_lost++;
		forget(&observers[i]);
	}
}

/* One to be confirmed: the first, or once more, with a new number if there is something new. */
static void ask_to_confirm(struct observer *one, const struct resource *resource, uint64_t now_ns)
{
	if (!one->is_waiting) {
		one->is_waiting = one->is_behind = true;
		one->sends = 0;
		one->timeout_ns = first_timeout_ns();
	} else {
		one->timeout_ns *= 2;
	}
	if (one->is_behind) {
		one->confirm_id = coap_next_id(one->peer);
		one->confirm_sequence = observers_sequence();
		one->is_behind = false;
	}
	one->sends++;
	one->due_ns = now_ns + one->timeout_ns;
	if (!tell(one, resource, COAP_CON, COAP_CONTENT, one->confirm_id))
		lose(one->peer);
}

/* One message is under way to him at most (NSTART). */
static bool is_asked(uint32_t peer)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		if (observers[i].is_there && observers[i].peer == peer && observers[i].is_waiting)
			return true;
	}
	return false;
}

static void notify(struct observer *one, const struct resource *resource, uint64_t now_ns)
{
	bool is_due = one->unheard >= UNHEARD_MAX || now_ns >= one->due_ns;
	if (one->is_waiting) {
		one->is_behind = true;
	} else if (is_due && !is_asked(one->peer)) {
		ask_to_confirm(one, resource, now_ns);
	} else if (one->unheard < UNHEARD_MAX) {
		uint16_t id = coap_next_id(one->peer);
		one->ids[one->unheard++] = id;
		if (!tell(one, resource, COAP_NON, COAP_CONTENT, id))
			lose(one->peer);
	} else {
		one->is_behind = true;
	}
}

void observers_notify(const struct resource *resource, bool is_gone, uint64_t now_ns)
{
	observers_sequence();
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->path_len != resource->path_len ||
		    memcmp(one->path, resource->path, one->path_len) != 0)
			continue;
		/* Its format does not change for who observes it (RFC 7641, 4.2). */
		if (is_gone || resource->format != one->format) {
			(void)tell(one, resource, COAP_NON,
				   is_gone ? COAP_NOT_FOUND : COAP_NOT_ACCEPTABLE,
				   coap_next_id(one->peer));
			forget(one);
		} else {
			notify(one, resource, now_ns);
		}
	}
	set_timer(now_ns);
}

/* He is there; what is his may go on. */
static void confirmed(uint32_t peer, uint64_t now_ns)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->peer != peer)
			continue;
		one->due_ns = now_ns + QUIET_NS;
		one->unheard = 0;
		bool is_behind = one->is_behind;
		one->is_waiting = one->is_behind = false;
		if (is_behind)
			notify(one, resource_find(one->path, one->path_len), now_ns);
	}
	set_timer(now_ns);
}

static bool has_sent(const struct observer *one, uint16_t id)
{
	for (uint32_t i = 0; i < one->unheard; i++) {
		if (one->ids[i] == id)
			return true;
	}
	return one->is_waiting && one->confirm_id == id;
}

void observers_hear(uint32_t peer, uint16_t id, bool is_reset, uint64_t now_ns)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->peer != peer)
			continue;
		bool is_his =
			is_reset ? has_sent(one, id) : one->is_waiting && one->confirm_id == id;
		if (!is_his)
			continue;
		if (is_reset)
			forget(one);
		confirmed(peer, now_ns);
		return;
	}
}

void observers_timer(uint64_t now_ns)
{
	timer_ns = 0;
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->due_ns > now_ns)
			continue;
		if (one->is_waiting && one->sends > RESENDS_MAX)
			lose(one->peer);
		else if (!one->is_waiting && is_asked(one->peer))
			one->due_ns = now_ns + LATER_NS;
		else
			ask_to_confirm(one, resource_find(one->path, one->path_len), now_ns);
	}
	set_timer(now_ns);
}
