/*
 * Bodies that come in blocks (RFC 7959, 2.5). The resource changes with the last one.
 */
#include <string.h>

#include "coap.h"

#define UPLOAD_NS (247 * NS_PER_S) /* EXCHANGE_LIFETIME, since the last block */

struct upload {
	uint64_t ends_ns;
	uint32_t peer, path_len, len, format;
	uint8_t code;
	char path[COAP_PATH_MAX];
	uint8_t body[COAP_BODY_MAX];
};

static struct upload uploads[COAP_UPLOADS];

static struct upload *find(const struct coap_message *request, uint32_t peer, uint64_t now_ns)
{
	for (unsigned i = 0; i < COAP_UPLOADS; i++) {
		struct upload *one = &uploads[i];
		if (one->ends_ns > now_ns && one->peer == peer && one->code == request->code &&
		    one->path_len == request->path_len &&
		    memcmp(one->path, request->path, request->path_len) == 0)
			return one;
	}
	return NULL;
}

/* Where all places are taken, the one that stood still longest makes room: bodies that nobody ends
 * would keep others out. */
static struct upload *begin(const struct coap_message *request, uint32_t peer, uint64_t now_ns)
{
	struct upload *one = find(request, peer, now_ns);
	if (one == NULL) {
		one = &uploads[0];
		for (unsigned i = 1; i < COAP_UPLOADS; i++) {
			if (uploads[i].ends_ns < one->ends_ns)
				one = &uploads[i];
		}
	}
	one->peer = peer;
	one->code = request->code;
	one->format = request->format;
	one->path_len = request->path_len;
	one->len = 0;
	memcpy(one->path, request->path, request->path_len);
	return one;
}

static enum coap_code take_block(const struct coap_message *request, uint32_t peer, uint64_t now_ns,
				 struct coap_body *ret_body)
{
	const struct coap_block *block = &request->block1;
	struct upload *one =
		block->number == 0 ? begin(request, peer, now_ns) : find(request, peer, now_ns);
	/* All are of one body: where it is, and of what format. */
	if (one == NULL || (uint64_t)block->number << (4 + block->size_exponent) != one->len ||
	    one->format != request->format)
		return COAP_INCOMPLETE;
	if (request->payload_len > COAP_BODY_MAX - one->len) {
		one->ends_ns = 0;
		return COAP_TOO_LARGE;
	}
	if (request->payload_len > 0)
		memcpy(one->body + one->len, request->payload, request->payload_len);
	one->len += request->payload_len;
	one->ends_ns = block->has_more ? now_ns + UPLOAD_NS : 0;
	*ret_body = (struct coap_body){one->body, one->len, one->format};
	return block->has_more ? COAP_CONTINUE : COAP_EMPTY;
}

enum coap_code upload_take(const struct coap_message *request, uint32_t peer, uint64_t now_ns,
			   struct coap_body *ret_body)
{
	const struct coap_block *block = &request->block1;
	uint32_t size = 16u << block->size_exponent;
	/* Better before it comes than behind the 4,096th byte. */
	if (request->size1 > COAP_BODY_MAX)
		return COAP_TOO_LARGE;
	if (block->is_there &&
	    (block->has_more ? request->payload_len != size : request->payload_len > size))
		return COAP_BAD_REQUEST;
	if (block->is_there && (block->has_more || block->number > 0))
		return take_block(request, peer, now_ns, ret_body);
	*ret_body = (struct coap_body){request->payload, request->payload_len, request->format};
	return request->payload_len > COAP_BODY_MAX ? COAP_TOO_LARGE : COAP_EMPTY;
}
