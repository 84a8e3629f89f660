#include <string.h>

#include "coap.h"

#define VERSION 1u
#define MARKER	0xffu

struct reader {
	const uint8_t *at, *end;
};

/* 4 bits of an option's head, and what extends them. False: 15, or truncated. */
static bool read_extended(struct reader *reader, uint32_t nibble, uint32_t *ret)
{
	uint32_t wanted = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;
	if (nibble == 15 || (uint32_t)(reader->end - reader->at) < wanted)
		return false;
	*ret = nibble;
	if (wanted == 1)
		*ret = 13u + reader->at[0];
	if (wanted == 2)
		*ret = 269u + ((uint32_t)reader->at[0] << 8 | reader->at[1]);
	reader->at += wanted;
	return true;
}

static uint32_t uint_of(struct coap_text value)
{
	uint32_t number = 0;
	for (uint32_t i = 0; i < value.len; i++)
		number = number << 8 | value.data[i];
	return number;
}

/* 7 is no size, and is refused otherwise than what is not understood (RFC 7959, 2.2). */
static void read_block(struct coap_message *message, uint32_t bits, struct coap_block *ret)
{
	if ((bits & 7) == 7) {
		message->has_bad_block = true;
		return;
	}
	*ret = (struct coap_block){true, (bits & 8) != 0, bits >> 4, (uint8_t)(bits & 7)};
}

/* One that is not of ours is 0, which nothing has. */
static uint32_t tag_of(struct coap_text value)
{
	uint32_t tag = value.len == 4 ? uint_of(value) : 0;
	return tag == COAP_ANY ? 0 : tag;
}

/* Those that are too many do not match. */
static void add_tag(struct coap_tags *tags, uint32_t tag)
{
	if (tags->count < COAP_TAGS_MAX)
		tags->tags[tags->count++] = tag;
}

bool coap_has_tag(const struct coap_tags *tags, uint32_t tag)
{
	for (uint32_t i = 0; i < tags->count; i++) {
		if (tags->tags[i] == tag)
			return true;
	}
	return false;
}

/* In a link's path. What lists are separated by is not, for readers that take them apart at once.
 */
static bool stands_for_itself(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("-._~!$&'()*+=:@", c) != NULL);
}

static bool append(struct coap_message *message, char c)
{
	if (message->path_len == COAP_PATH_MAX)
		return false;
	message->path[message->path_len++] = c;
	return true;
}

/* False: no resource can have it. A path that begins with two slashes would be an address in the
 * list (RFC 3986, 4.2). */
static bool add_to_path(struct coap_message *message, struct coap_text value)
{
	static const char digits[] = "0123456789ABCDEF";
	bool is_dots = value.len > 0 && value.len <= 2 && value.data[0] == '.' &&
		       value.data[value.len - 1] == '.';
	if (is_dots || (message->path_parts > 0 && message->path_len == 0))
		return false;
	if (message->path_parts++ > 0 && !append(message, '/'))
		return false;
	for (uint32_t i = 0; i < value.len; i++) {
		uint8_t c = value.data[i];
		bool is_good = stands_for_itself(c)
				       ? append(message, (char)c)
				       : append(message, '%') && append(message, digits[c >> 4]) &&
						 append(message, digits[c & 15]);
		if (!is_good)
			return false;
	}
	return true;
}

static uint8_t hex(char c)
{
	return (uint8_t)(c >= 'A' ? c - 'A' + 10 : c - '0');
}

uint32_t coap_decode_path(const char *path, uint32_t len, uint8_t *ret)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < len; i++) {
		ret[count++] = (uint8_t)path[i];
		if (path[i] != '%')
			continue;
		ret[count - 1] = (uint8_t)(hex(path[i + 1]) << 4 | hex(path[i + 2]));
		i += 2;
	}
	return count;
}

/* RFC 7252, 5.10; 7641, 2; 7959, 2.1 and 4. */
static const struct known {
	uint16_t option, min, max; /* bytes of its value */
	bool may_repeat;
} known[] = {
	{COAP_IF_MATCH, 0, 8, true},
	{COAP_URI_HOST, 1, 255, false},
	{COAP_ETAG, 1, 8, true},
	{COAP_IF_NONE_MATCH, 0, 0, false},
	{COAP_OBSERVE, 0, 3, false},
	{COAP_URI_PORT, 0, 2, false},
	{COAP_URI_PATH, 0, 255, true},
	{COAP_CONTENT_FORMAT, 0, 2, false},
	{COAP_URI_QUERY, 0, 255, true},
	{COAP_ACCEPT, 0, 2, false},
	{COAP_BLOCK2, 0, 3, false},
	{COAP_BLOCK1, 0, 3, false},
	{COAP_SIZE2, 0, 4, false},
	{COAP_PROXY_URI, 0, 1034, false},
	{COAP_PROXY_SCHEME, 0, 255, false},
	{COAP_SIZE1, 0, 4, false},
};

/* One of a wrong length, or once too often, is as one that nobody knows (RFC 7252, 5.4.3, 5.4.5).
 */
static bool is_understood(uint32_t option, uint32_t len, bool is_again)
{
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const struct known *one = &known[i];
		if (one->option == option)
			return len >= one->min && len <= one->max && (!is_again || one->may_repeat);
	}
	return false;
}

static void take_option(struct coap_message *message, uint32_t option, struct coap_text value)
{
	switch (option) {
	case COAP_IF_MATCH:
		add_tag(&message->matches, value.len == 0 ? COAP_ANY : tag_of(value));
		break;
	case COAP_ETAG:
		add_tag(&message->etags, tag_of(value));
		break;
	case COAP_IF_NONE_MATCH:
		message->has_if_none_match = true;
		break;
	case COAP_OBSERVE:
		message->has_observe = true;
		message->observe = uint_of(value);
		break;
	case COAP_URI_PATH:
		message->is_path_impossible |= !add_to_path(message, value);
		break;
	case COAP_URI_QUERY:
		if (message->queries_count < COAP_QUERIES_MAX)
			message->queries[message->queries_count++] = value;
		break;
	case COAP_CONTENT_FORMAT:
		message->format = uint_of(value);
		break;
	case COAP_ACCEPT:
		message->accept = uint_of(value);
		break;
	case COAP_BLOCK1:
		read_block(message, uint_of(value), &message->block1);
		break;
	case COAP_BLOCK2:
		read_block(message, uint_of(value), &message->block2);
		break;
	case COAP_SIZE1:
		message->size1 = uint_of(value);
		break;
	case COAP_SIZE2:
		message->has_size2 = true;
		break;
	case COAP_PROXY_URI:
	case COAP_PROXY_SCHEME:
		message->wants_proxy = true;
		break;
	default:
		break;
	}
}

/* False: not well formed. */
static bool read_options(struct coap_message *message, struct reader *reader)
{
	uint32_t option = 0;
	bool is_first = true;
	while (reader->at < reader->end && *reader->at != MARKER) {
		uint32_t head = *reader->at++, delta, len;
		if (!read_extended(reader, head >> 4, &delta) ||
		    !read_extended(reader, head & 15, &len) ||
		    len > (uint32_t)(reader->end - reader->at))
			return false;
		bool is_again = !is_first && delta == 0;
		is_first = false;
		option += delta;
		if (option > UINT16_MAX)
			return false;
		/* Odd ones must be understood. */
		if (is_understood(option, len, is_again))
			take_option(message, option, (struct coap_text){reader->at, len});
		else
			message->has_bad_option |= option % 2 == 1;
		reader->at += len;
	}
	if (reader->at == reader->end)
		return true;
	/* A payload behind the marker is not empty. */
	message->payload = reader->at + 1;
	message->payload_len = (uint32_t)(reader->end - message->payload);
	return message->payload_len > 0;
}

int coap_parse(const uint8_t *data, uint32_t len, struct coap_message *ret)
{
	*ret = (struct coap_message){.format = COAP_NO_FORMAT, .accept = COAP_NO_FORMAT};
	/* Who does not ask for a size gets the largest. */
	ret->block2.size_exponent = 6;
	if (len < 4 || data[0] >> 6 != VERSION)
		return -1;
	ret->type = data[0] >> 4 & 3;
	ret->token_len = data[0] & 15;
	ret->code = data[1];
	ret->id = (uint16_t)(data[2] << 8 | data[3]);
	if (ret->code == COAP_EMPTY)
		return len == 4 && ret->token_len == 0 ? 0 : 1;
	if (ret->token_len > 8 || len - 4 < ret->token_len) {
		ret->token_len = 0;
		return 1;
	}
	memcpy(ret->token, data + 4, ret->token_len);
	struct reader reader = {data + 4 + ret->token_len, data + len};
	return read_options(ret, &reader) ? 0 : 1;
}

/* --- writing --- */

void coap_begin(struct coap_writer *writer, uint8_t *out, uint8_t type, uint8_t code, uint16_t id,
		const uint8_t *token, uint32_t token_len)
{
	*writer = (struct coap_writer){.out = out, .len = 4 + token_len};
	out[0] = (uint8_t)(VERSION << 6 | (uint32_t)type << 4 | token_len);
	out[1] = code;
	out[2] = (uint8_t)(id >> 8);
	out[3] = (uint8_t)id;
	if (token_len > 0)
		memcpy(out + 4, token, token_len);
}

static uint32_t nibble_of(uint32_t value)
{
	return value < 13 ? value : value < 269 ? 13 : 14;
}

static uint32_t put_extended(uint8_t *at, uint32_t value)
{
	if (value < 13)
		return 0;
	if (value < 269) {
		at[0] = (uint8_t)(value - 13);
		return 1;
	}
	at[0] = (uint8_t)((value - 269) >> 8);
	at[1] = (uint8_t)(value - 269);
	return 2;
}

void coap_put_bytes(struct coap_writer *writer, enum coap_option option, const void *data,
		    uint32_t len)
{
	uint32_t delta = (uint32_t)option - writer->last_option;
	if (writer->is_broken || COAP_MESSAGE_MAX - writer->len < 5 + len) {
		writer->is_broken = true;
		return;
	}
	uint8_t *at = writer->out + writer->len;
	*at++ = (uint8_t)(nibble_of(delta) << 4 | nibble_of(len));
	at += put_extended(at, delta);
	at += put_extended(at, len);
	if (len > 0)
		memcpy(at, data, len);
	writer->len = (uint32_t)(at - writer->out) + len;
	writer->last_option = option;
}

void coap_put_uint(struct coap_writer *writer, enum coap_option option, uint32_t value)
{
	uint8_t bytes[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
			    (uint8_t)value};
	uint32_t skipped = 0;
	while (skipped < 4 && bytes[skipped] == 0)
		skipped++;
	coap_put_bytes(writer, option, bytes + skipped, 4 - skipped);
}

void coap_put_tag(struct coap_writer *writer, uint32_t tag)
{
	const uint8_t bytes[4] = {(uint8_t)(tag >> 24), (uint8_t)(tag >> 16), (uint8_t)(tag >> 8),
				  (uint8_t)tag};
	coap_put_bytes(writer, COAP_ETAG, bytes, sizeof(bytes));
}

void coap_put_block(struct coap_writer *writer, enum coap_option option,
		    const struct coap_block *block)
{
	coap_put_uint(writer, option,
		      block->number << 4 | (uint32_t)block->has_more << 3 | block->size_exponent);
}

void coap_put_payload(struct coap_writer *writer, const void *data, uint32_t len)
{
	if (len == 0)
		return;
	if (writer->is_broken || COAP_MESSAGE_MAX - writer->len < 1 + len) {
		writer->is_broken = true;
		return;
	}
	writer->out[writer->len++] = MARKER;
	memcpy(writer->out + writer->len, data, len);
	writer->len += len;
}
