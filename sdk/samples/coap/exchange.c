/*
 * From requests to answers.
 */
#include <string.h>

#include "coap.h"

#define CON_LIFETIME_NS (247 * NS_PER_S) /* EXCHANGE_LIFETIME */
#define NON_LIFETIME_NS (145 * NS_PER_S) /* NON_LIFETIME: then the number may be another's */
#define UPLOAD_NS	(247 * NS_PER_S)
#define WELL_KNOWN	".well-known/core"

/* What was answered to a message, so that the same message gets the same answer. */
struct exchange {
	uint64_t ends_ns; /* 0: free */
	uint32_t peer;
	uint16_t id;
	uint32_t len; /* 0: nothing was */
	uint8_t answer[COAP_MESSAGE_MAX];
};

/* A body that comes in blocks. */
struct upload {
	uint64_t ends_ns;
	uint32_t peer, path_len, len;
	uint8_t code;
	char path[COAP_PATH_MAX];
	uint8_t body[COAP_BODY_MAX];
};

struct coap_stats coap_stats;
static struct exchange exchanges[COAP_EXCHANGES];
static struct upload uploads[COAP_UPLOADS];
static uint32_t next_exchange;
static uint16_t next_id;

uint16_t coap_next_id(void)
{
	return ++next_id;
}

static struct exchange *find_exchange(uint32_t peer, uint16_t id, uint64_t now_ns)
{
	for (unsigned i = 0; i < COAP_EXCHANGES; i++) {
		struct exchange *one = &exchanges[i];
		if (one->ends_ns > now_ns && one->peer == peer && one->id == id)
			return one;
	}
	return NULL;
}

/* --- GET --- */

static void put_blocks(struct coap_writer *writer, const uint8_t *body, uint32_t len,
		       const struct coap_block *asked)
{
	struct coap_block block = *asked;
	uint32_t size = 16u << block.size_exponent;
	if (size > COAP_BLOCK_MAX) {
		block.size_exponent = 6;
		size = COAP_BLOCK_MAX;
	}
	uint32_t at = block.number * size, left = at < len ? len - at : 0;
	block.has_more = left > size;
	if (len > size || asked->is_there)
		coap_put_block(writer, COAP_BLOCK2, &block);
	coap_put_payload(writer, body + (left > 0 ? at : 0), left > size ? size : left);
}

void coap_put_content(struct coap_writer *writer, const struct resource *resource,
		      const struct coap_block *block, bool has_observe, uint32_t sequence)
{
	uint8_t etag[4] = {(uint8_t)(resource->version >> 24), (uint8_t)(resource->version >> 16),
			   (uint8_t)(resource->version >> 8), (uint8_t)resource->version};
	coap_put_bytes(writer, COAP_ETAG, etag, sizeof(etag));
	if (has_observe)
		coap_put_uint(writer, COAP_OBSERVE, sequence);
	if (resource->format != COAP_NO_FORMAT)
		coap_put_uint(writer, COAP_CONTENT_FORMAT, resource->format);
	put_blocks(writer, resource->body, resource->len, block);
}

/* Is there such a block of LEN bytes? */
static bool has_block(const struct coap_block *block, uint32_t len)
{
	uint32_t size = block->size_exponent > 6 ? COAP_BLOCK_MAX : 16u << block->size_exponent;
	return block->number == 0 || (block->number <= len / size && block->number * size < len);
}

static void set_code(struct coap_writer *writer, enum coap_code code)
{
	writer->out[1] = (uint8_t)code;
}

static void get_list(struct coap_writer *writer, const struct coap_message *request)
{
	const uint8_t *list;
	uint32_t len = resources_list(&list);
	if (!has_block(&request->block2, len)) {
		set_code(writer, COAP_BAD_REQUEST);
		return;
	}
	coap_put_uint(writer, COAP_CONTENT_FORMAT, COAP_LINK_FORMAT);
	put_blocks(writer, list, len, &request->block2);
}

static void run_get(struct coap_writer *writer, const struct coap_message *request, uint32_t peer,
		    uint64_t now_ns)
{
	const struct resource *resource = resource_find(request->path, request->path_len);
	set_code(writer, COAP_CONTENT);
	if (request->path_len == strlen(WELL_KNOWN) &&
	    memcmp(request->path, WELL_KNOWN, request->path_len) == 0) {
		get_list(writer, request);
		return;
	}
	if (resource == NULL) {
		set_code(writer, COAP_NOT_FOUND);
		return;
	}
	if (request->accept != COAP_NO_FORMAT && resource->format != COAP_NO_FORMAT &&
	    request->accept != resource->format) {
		set_code(writer, COAP_NOT_ACCEPTABLE);
		return;
	}
	if (!has_block(&request->block2, resource->len)) {
		set_code(writer, COAP_BAD_REQUEST);
		return;
	}
	bool observes = false;
	if (request->has_observe && request->observe == 0 && request->block2.number == 0)
		observes = observers_add(resource, peer, request, now_ns);
	else if (request->has_observe && request->observe == 1)
		observers_remove(peer, request->token, request->token_len);
	if (request->has_etag && request->etag == resource->version && !observes) {
		set_code(writer, COAP_VALID);
		const uint8_t etag[4] = {(uint8_t)(request->etag >> 24),
					 (uint8_t)(request->etag >> 16),
					 (uint8_t)(request->etag >> 8), (uint8_t)request->etag};
		coap_put_bytes(writer, COAP_ETAG, etag, sizeof(etag));
		return;
	}
	coap_put_content(writer, resource, &request->block2, observes,
			 observes ? observers_sequence() : 0);
}

/* --- bodies in blocks --- */

static struct upload *find_upload(const struct coap_message *request, uint32_t peer,
				  uint64_t now_ns)
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

static struct upload *begin_upload(const struct coap_message *request, uint32_t peer,
				   uint64_t now_ns)
{
	struct upload *one = find_upload(request, peer, now_ns);
	for (unsigned i = 0; i < COAP_UPLOADS && one == NULL; i++) {
		if (uploads[i].ends_ns <= now_ns)
			one = &uploads[i];
	}
	if (one == NULL)
		return NULL;
	one->peer = peer;
	one->code = request->code;
	one->path_len = request->path_len;
	one->len = 0;
	memcpy(one->path, request->path, request->path_len);
	return one;
}

/* Takes a block. COAP_EMPTY: the body is whole, in *RET_BODY; else what to answer. */
static enum coap_code take_block(const struct coap_message *request, uint32_t peer, uint64_t now_ns,
				 const uint8_t **ret_body, uint32_t *ret_len)
{
	const struct coap_block *block = &request->block1;
	uint32_t size = 16u << block->size_exponent;
	*ret_body = request->payload;
	*ret_len = request->payload_len;
	if (!block->is_there || (block->number == 0 && !block->has_more))
		return request->payload_len > COAP_BODY_MAX ? COAP_TOO_LARGE : COAP_EMPTY;
	if (block->has_more ? request->payload_len != size : request->payload_len > size)
		return COAP_BAD_REQUEST;
	struct upload *one = block->number == 0 ? begin_upload(request, peer, now_ns)
						: find_upload(request, peer, now_ns);
	if (one == NULL)
		return block->number == 0 ? COAP_NO_ROOM : COAP_INCOMPLETE;
	if ((uint64_t)block->number * size != one->len)
		return COAP_INCOMPLETE;
	if (request->payload_len > COAP_BODY_MAX - one->len) {
		one->ends_ns = 0;
		return COAP_TOO_LARGE;
	}
	if (request->payload_len > 0)
		memcpy(one->body + one->len, request->payload, request->payload_len);
	one->len += request->payload_len;
	one->ends_ns = block->has_more ? now_ns + UPLOAD_NS : 0;
	*ret_body = one->body;
	*ret_len = one->len;
	return block->has_more ? COAP_CONTINUE : COAP_EMPTY;
}

/* --- PUT, POST, DELETE --- */

static bool meets_conditions(const struct coap_message *request, const struct resource *resource)
{
	if (request->has_if_none_match && resource != NULL)
		return false;
	if (!request->has_if_match)
		return true;
	for (uint32_t i = 0; resource != NULL && i < request->matches_count; i++) {
		if (request->matches[i] == COAP_ANY || request->matches[i] == resource->version)
			return true;
	}
	return false;
}

/* POST makes a resource below the path. False: there is no name left, or it is too long. */
static bool name_child(char *path, uint32_t *path_len)
{
	static uint32_t number;
	char digits[8];
	uint32_t count = 0, rest = ++number % 1000000;
	do
		digits[count++] = (char)('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (*path_len + 1 + count > COAP_PATH_MAX)
		return false;
	if (*path_len > 0)
		path[(*path_len)++] = '/';
	while (count > 0)
		path[(*path_len)++] = digits[--count];
	return resource_find(path, *path_len) == NULL;
}

static void put_location(struct coap_writer *writer, const char *path, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		const char *slash = memchr(path + at, '/', len - at);
		uint32_t part = slash == NULL ? len - at : (uint32_t)(slash - path) - at;
		coap_put_bytes(writer, COAP_LOCATION_PATH, path + at, part);
		at += part + 1;
	}
}

static void run_store(struct coap_writer *writer, const struct coap_message *request, uint32_t peer,
		      uint64_t now_ns)
{
	const uint8_t *body;
	uint32_t len, path_len = request->path_len;
	char path[COAP_PATH_MAX];
	bool is_new;
	memcpy(path, request->path, path_len);
	if (!meets_conditions(request, resource_find(path, path_len))) {
		set_code(writer, COAP_PRECONDITION);
		return;
	}
	enum coap_code code = take_block(request, peer, now_ns, &body, &len);
	if (code == COAP_EMPTY) {
		bool is_named = request->code == COAP_PUT || name_child(path, &path_len);
		struct resource *resource =
			is_named ? resource_put(path, path_len, request->format, body, len, &is_new)
				 : NULL;
		code = resource == NULL ? COAP_NO_ROOM : is_new ? COAP_CREATED : COAP_CHANGED;
		if (resource != NULL)
			observers_notify(resource, false, now_ns);
		if (resource != NULL && request->code == COAP_POST)
			put_location(writer, path, path_len);
	}
	set_code(writer, code);
	if (request->block1.is_there)
		coap_put_block(writer, COAP_BLOCK1, &request->block1);
}

static void run_delete(struct coap_writer *writer, const struct coap_message *request,
		       uint64_t now_ns)
{
	struct resource *resource = resource_find(request->path, request->path_len);
	if (!meets_conditions(request, resource)) {
		set_code(writer, COAP_PRECONDITION);
		return;
	}
	if (resource != NULL) {
		observers_notify(resource, true, now_ns);
		resource_remove(resource);
	}
	/* That it was there is not asked for (RFC 7252, 5.8.4). */
	set_code(writer, COAP_DELETED);
}

static void run(struct coap_writer *writer, const struct coap_message *request, uint32_t peer,
		uint64_t now_ns)
{
	bool is_reserved = request->path_len >= 11 && memcmp(request->path, ".well-known", 11) == 0;
	if (request->wants_proxy)
		set_code(writer, COAP_NO_PROXY);
	else if (request->has_bad_option)
		set_code(writer, COAP_BAD_OPTION);
	else if (request->is_path_too_long)
		set_code(writer, COAP_NOT_FOUND);
	else if (request->code == COAP_GET)
		run_get(writer, request, peer, now_ns);
	else if (is_reserved || (request->path_len == 0 && request->code != COAP_POST))
		set_code(writer, COAP_NOT_ALLOWED);
	else if (request->code == COAP_PUT || request->code == COAP_POST)
		run_store(writer, request, peer, now_ns);
	else if (request->code == COAP_DELETE)
		run_delete(writer, request, now_ns);
	else
		set_code(writer, COAP_NOT_ALLOWED);
}

/* --- messages --- */

static uint32_t reset(const struct coap_message *message, const uint8_t **ret_answer)
{
	static uint8_t out[4];
	struct coap_writer writer;
	/* Only what wants an answer is refused with one. */
	if (message->type != COAP_CON)
		return 0;
	coap_begin(&writer, out, COAP_RST, COAP_EMPTY, message->id, NULL, 0);
	*ret_answer = out;
	return writer.len;
}

static uint32_t take_request(const struct coap_message *request, uint32_t peer, uint64_t now_ns,
			     const uint8_t **ret_answer)
{
	bool is_con = request->type == COAP_CON;
	struct exchange *one = find_exchange(peer, request->id, now_ns);
	if (one != NULL) {
		coap_stats.duplicates++;
		*ret_answer = one->answer;
		return is_con ? one->len : 0;
	}
	one = &exchanges[next_exchange++ % COAP_EXCHANGES];
	struct coap_writer writer;
	coap_stats.requests++;
	coap_begin(&writer, one->answer, is_con ? COAP_ACK : COAP_NON, COAP_EMPTY,
		   is_con ? request->id : coap_next_id(), request->token, request->token_len);
	run(&writer, request, peer, now_ns);
	one->peer = peer;
	one->id = request->id;
	one->ends_ns = now_ns + (is_con ? CON_LIFETIME_NS : NON_LIFETIME_NS);
	one->len = writer.is_broken ? 0 : writer.len;
	*ret_answer = one->answer;
	return one->len;
}

uint32_t coap_input(uint32_t peer, const uint8_t *data, uint32_t len, uint64_t now_ns,
		    const uint8_t **ret_answer)
{
	struct coap_message message;
	int result = coap_parse(data, len, &message);
	if (result < 0) {
		coap_stats.malformed++;
		return 0;
	}
	if (message.type == COAP_ACK || message.type == COAP_RST) {
		observers_hear(peer, message.id, message.type == COAP_RST, now_ns);
		return 0;
	}
	/* An empty CON is a ping; responses are to nothing that was asked here. */
	bool is_request = result == 0 && message.code != COAP_EMPTY && message.code >> 5 == 0;
	if (!is_request) {
		coap_stats.malformed += result != 0;
		return reset(&message, ret_answer);
	}
	/* Only who waits for an answer is told what is not understood (RFC 7252, 5.4.1). */
	if (message.has_bad_option && message.type == COAP_NON) {
		coap_stats.malformed++;
		return 0;
	}
	return take_request(&message, peer, now_ns, ret_answer);
}
