/*
 * From requests to answers.
 */
#include <string.h>

#include "coap.h"

#define CON_LIFETIME_NS (247 * NS_PER_S) /* EXCHANGE_LIFETIME */
#define NON_LIFETIME_NS (145 * NS_PER_S) /* NON_LIFETIME: then the number may be another's */
#define WELL_KNOWN	".well-known/core"

/* What was answered to a message, so that the same message gets the same answer. */
struct exchange {
	uint64_t ends_ns; /* 0: free */
	uint32_t peer;
	uint16_t id;
	uint16_t len; /* 0: nothing was */
};

struct coap_stats coap_stats;
static struct exchange exchanges[COAP_EXCHANGES];
static uint8_t answers[COAP_EXCHANGES][COAP_MESSAGE_MAX];
static uint32_t next_exchange;
static uint16_t next_id;
static uint32_t id_seed;

void exchanges_seed(uint32_t seed)
{
	next_id = (uint16_t)seed;
	id_seed = seed;
}

uint16_t coap_next_id(uint32_t peer)
{
	return (uint16_t)(++next_id + ((peer ^ id_seed) * 0x9e3779b1u >> 16));
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
		       const struct coap_block *asked, bool has_size2)
{
	struct coap_block block = *asked;
	uint32_t size = 16u << block.size_exponent;
	uint32_t at = block.number * size, left = at < len ? len - at : 0;
	block.has_more = left > size;
	if (len > size || asked->is_there)
		coap_put_block(writer, COAP_BLOCK2, &block);
	if (has_size2)
		coap_put_uint(writer, COAP_SIZE2, len);
	coap_put_payload(writer, body + (left > 0 ? at : 0), left > size ? size : left);
}

void coap_put_content(struct coap_writer *writer, const struct resource *resource,
		      const struct coap_block *block, bool has_size2, bool is_observer,
		      uint32_t sequence)
{
	coap_put_tag(writer, resource->version);
	if (is_observer)
		coap_put_uint(writer, COAP_OBSERVE, sequence);
	if (resource->format != COAP_NO_FORMAT)
		coap_put_uint(writer, COAP_CONTENT_FORMAT, resource->format);
	if (is_observer)
		coap_put_uint(writer, COAP_MAX_AGE, OBSERVE_MAX_AGE);
	put_blocks(writer, resource->body, resource->len, block, has_size2);
}

/* Is there such a block of LEN bytes? */
static bool has_block(const struct coap_block *block, uint32_t len)
{
	uint32_t size = 16u << block->size_exponent;
	return block->number == 0 || (block->number <= len / size && block->number * size < len);
}

static void set_code(struct coap_writer *writer, enum coap_code code)
{
	writer->out[1] = (uint8_t)code;
}

static void set_valid(struct coap_writer *writer, uint32_t tag)
{
	set_code(writer, COAP_VALID);
	coap_put_tag(writer, tag);
}

static void get_list(struct coap_writer *writer, const struct coap_message *request)
{
	const uint8_t *list;
	uint32_t len = resources_list(request, &list);
	if (request->accept != COAP_NO_FORMAT && request->accept != COAP_LINK_FORMAT) {
		set_code(writer, COAP_NOT_ACCEPTABLE);
	} else if (!has_block(&request->block2, len)) {
		set_code(writer, COAP_BAD_REQUEST);
	} else if (coap_has_tag(&request->etags, resources_list_tag())) {
		set_valid(writer, resources_list_tag());
	} else {
		coap_put_tag(writer, resources_list_tag());
		coap_put_uint(writer, COAP_CONTENT_FORMAT, COAP_LINK_FORMAT);
		put_blocks(writer, list, len, &request->block2, request->has_size2);
	}
}

static void run_get(struct coap_writer *writer, const struct coap_message *request, uint32_t peer,
		    uint64_t now_ns)
{
	const struct resource *resource = resource_find(request->path, request->path_len);
	set_code(writer, COAP_CONTENT);
	/* Whatever comes of the rest. */
	if (request->has_observe && request->observe == 1)
		observers_remove(peer, request->token, request->token_len);
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
	if (coap_has_tag(&request->etags, resource->version) && !observes)
		set_valid(writer, resource->version);
	else
		coap_put_content(writer, resource, &request->block2, request->has_size2, observes,
				 observes ? observers_sequence() : 0);
}

/* --- PUT, POST, DELETE --- */

static bool meets_conditions(const struct coap_message *request, const struct resource *resource)
{
	if (request->has_if_none_match && resource != NULL)
		return false;
	return request->matches.count == 0 ||
	       (resource != NULL && (coap_has_tag(&request->matches, COAP_ANY) ||
				     coap_has_tag(&request->matches, resource->version)));
}

/* POST makes a resource below the path, of a name that nobody has. False: it is too long. */
static bool name_child(char *path, uint32_t *path_len)
{
	static uint32_t number;
	char digits[8];
	uint32_t start = *path_len;
	do {
		uint32_t count = 0, rest = ++number % 1000000;
		do
			digits[count++] = (char)('0' + rest % 10);
		while ((rest /= 10) > 0);
		*path_len = start;
		if (start + 1 + count > COAP_PATH_MAX)
			return false;
		if (start > 0)
			path[(*path_len)++] = '/';
		while (count > 0)
			path[(*path_len)++] = digits[--count];
	} while (resource_find(path, *path_len) != NULL);
	return true;
}

static void put_location(struct coap_writer *writer, const char *path, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		const char *slash = memchr(path + at, '/', len - at);
		uint32_t part = slash == NULL ? len - at : (uint32_t)(slash - path) - at;
		uint8_t name[COAP_PATH_MAX];
		coap_put_bytes(writer, COAP_LOCATION_PATH, name,
			       coap_decode_path(path + at, part, name));
		at += part + 1;
	}
}

static void run_store(struct coap_writer *writer, const struct coap_message *request, uint32_t peer,
		      uint64_t now_ns)
{
	struct coap_body body;
	uint32_t path_len = request->path_len;
	char path[COAP_PATH_MAX];
	bool is_new;
	memcpy(path, request->path, path_len);
	if (!meets_conditions(request, resource_find(path, path_len))) {
		set_code(writer, COAP_PRECONDITION);
		return;
	}
	enum coap_code code = upload_take(request, peer, now_ns, &body);
	if (code == COAP_EMPTY) {
		bool is_named = request->code == COAP_PUT || name_child(path, &path_len);
		struct resource *resource = is_named ? resource_put(path, path_len, body.format,
								    body.data, body.len, &is_new)
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
	if (code == COAP_TOO_LARGE)
		coap_put_uint(writer, COAP_SIZE1, COAP_BODY_MAX);
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
	bool is_reserved = request->path_len >= 11 &&
			   memcmp(request->path, ".well-known", 11) == 0 &&
			   (request->path_len == 11 || request->path[11] == '/');
	if (request->wants_proxy)
		set_code(writer, COAP_NO_PROXY);
	else if (request->has_bad_option)
		set_code(writer, COAP_BAD_OPTION);
	else if (request->has_bad_block)
		set_code(writer, COAP_BAD_REQUEST);
	else if (request->is_path_impossible)
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
		*ret_answer = answers[one - exchanges];
		return is_con ? one->len : 0;
	}
	one = &exchanges[next_exchange++ % COAP_EXCHANGES];
	uint8_t *answer = answers[one - exchanges];
	struct coap_writer writer;
	coap_stats.requests++;
	coap_begin(&writer, answer, is_con ? COAP_ACK : COAP_NON, COAP_EMPTY,
		   is_con ? request->id : coap_next_id(peer), request->token, request->token_len);
	run(&writer, request, peer, now_ns);
	one->peer = peer;
	one->id = request->id;
	one->ends_ns = now_ns + (is_con ? CON_LIFETIME_NS : NON_LIFETIME_NS);
	one->len = writer.is_broken ? 0 : (uint16_t)writer.len;
	*ret_answer = answer;
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
		/* Those are never answered, nor is there anything in them that was asked for. */
		if (result == 0 && message.code == COAP_EMPTY)
			observers_hear(peer, message.id, message.type == COAP_RST, now_ns);
		coap_stats.malformed += result != 0;
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
