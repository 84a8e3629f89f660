/*
 * Who wants to know when a resource changes. Notifications are not acknowledged (NON) as a rule;
 * one that an observer is to confirm (CON) goes out when nothing was heard of him for a while, and
 * who does not confirm until the next change after its time is forgotten.
 */
#include <string.h>

#include "coap.h"
#include "edgeos_packet.h"

#define QUIET_NS   (3600 * NS_PER_S) /* RFC 7641, 4.5: at least once in 24 hours */
#define CONFIRM_NS (93 * NS_PER_S)   /* MAX_TRANSMIT_WAIT */

struct observer {
	bool is_there;
	uint32_t peer;
	uint8_t token[8], token_len;
	uint8_t size_exponent; /* of the blocks that he asked for */
	char path[COAP_PATH_MAX];
	uint32_t path_len;
	uint64_t heard_ns;
	uint64_t confirm_ns;	      /* when a confirmation was asked for; 0: none is due */
	uint16_t last_id, confirm_id; /* of the last notification; of the one to be confirmed */
	uint16_t format;	      /* of what he was given */
};

static struct observer observers[COAP_OBSERVERS];
static uint32_t count, sequence;

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

bool observers_add(const struct resource *resource, uint32_t peer,
		   const struct coap_message *request, uint64_t now_ns)
{
	struct observer *one = find(peer, request->token, request->token_len);
	for (unsigned i = 0; i < COAP_OBSERVERS && one == NULL; i++) {
		if (!observers[i].is_there) {
			one = &observers[i];
			count++;
		}
	}
	if (one == NULL)
		return false;
	*one = (struct observer){.is_there = true,
				 .peer = peer,
				 .token_len = request->token_len,
				 .path_len = resource->path_len,
				 .format = resource->format,
				 .heard_ns = now_ns};
	one->size_exponent = request->block2.is_there ? request->block2.size_exponent : 6;
	memcpy(one->token, request->token, request->token_len);
	memcpy(one->path, resource->path, resource->path_len);
	return true;
}

/* Tells what it is now, or, with another CODE than COAP_CONTENT, that this is the end. */
static void notify(struct observer *one, const struct resource *resource, uint8_t code,
		   uint64_t now_ns)
{
	uint8_t out[COAP_MESSAGE_MAX];
	struct coap_writer writer;
	const struct coap_block block = {.size_exponent = one->size_exponent};
	bool confirms = now_ns - one->heard_ns > QUIET_NS && one->confirm_ns == 0;
	one->last_id = coap_next_id();
	if (confirms) {
		one->confirm_ns = now_ns;
		one->confirm_id = one->last_id;
	}
	coap_begin(&writer, out, confirms ? COAP_CON : COAP_NON, code, one->last_id, one->token,
		   one->token_len);
	if (code == COAP_CONTENT)
		coap_put_content(&writer, resource, &block, true, sequence);
	if (!writer.is_broken &&
	    edgeos_packet_send(EDGEOS_PORT_CLIENT, one->peer, out, writer.len) >= 0)
		coap_stats.notifications++;
	else
		coap_stats.refused++;
}

void observers_notify(const struct resource *resource, bool is_gone, uint64_t now_ns)
{
	observers_sequence();
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->path_len != resource->path_len ||
		    memcmp(one->path, resource->path, one->path_len) != 0)
			continue;
		if (one->confirm_ns != 0 && now_ns - one->confirm_ns > CONFIRM_NS) {
			forget(one);
			continue;
		}
		/* Its format does not change for who observes it (RFC 7641, 4.2). */
		uint8_t code = is_gone				 ? COAP_NOT_FOUND
			       : resource->format != one->format ? COAP_NOT_ACCEPTABLE
								 : COAP_CONTENT;
		notify(one, resource, code, now_ns);
		if (code != COAP_CONTENT)
			forget(one);
	}
}

void observers_hear(uint32_t peer, uint16_t id, bool is_reset, uint64_t now_ns)
{
	for (unsigned i = 0; i < COAP_OBSERVERS; i++) {
		struct observer *one = &observers[i];
		if (!one->is_there || one->peer != peer)
			continue;
		/* Others may have gone out since the one that is confirmed. */
		bool is_confirmed = one->confirm_ns != 0 && one->confirm_id == id;
		if (is_reset && (is_confirmed || one->last_id == id)) {
			forget(one);
		} else if (!is_reset && is_confirmed) {
			one->heard_ns = now_ns;
			one->confirm_ns = 0;
		}
	}
}
