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

/* False: longer than MAX bytes. */
static bool read_uint(const uint8_t *value, uint32_t len, uint32_t max, uint32_t *ret)
{
	*ret = 0;
	for (uint32_t i = 0; i < len; i++)
		*ret = *ret << 8 | value[i];
	return len <= max;
}

static bool read_block(const uint8_t *value, uint32_t len, struct coap_block *ret)
{
	uint32_t bits;
	if (ret->is_there || !read_uint(value, len, 3, &bits) || (bits & 7) == 7)
		return false;
	*ret = (struct coap_block){true, (bits & 8) != 0, bits >> 4, (uint8_t)(bits & 7)};
	return true;
}

/* One that is not of ours is 0, which nothing has. */
static bool read_etag(const uint8_t *value, uint32_t len, uint32_t *ret)
{
	if (len != 4)
		*ret = 0;
	else
		(void)read_uint(value, len, 4, ret);
	return len <= 8;
}

/* There may be several; one is enough. */
static bool add_match(struct coap_message *message, const uint8_t *value, uint32_t len)
{
	if (message->matches_count == COAP_MATCHES_MAX)
		return false;
	message->has_if_match = true;
	uint32_t *match = &message->matches[message->matches_count++];
	bool is_good = read_etag(value, len, match);
	if (len == 0)
		*match = COAP_ANY;
	return is_good;
}

static bool add_to_path(struct coap_message *message, const uint8_t *value, uint32_t len)
{
	uint32_t slash = message->path_len > 0;
	if (len > 255 || len + slash > COAP_PATH_MAX - message->path_len) {
		message->is_path_too_long = true;
		return len <= 255;
	}
	if (slash)
		message->path[message->path_len++] = '/';
	for (uint32_t i = 0; i < len; i++) {
		/* Paths are listed: what would end a link, and slashes within a part, are not
		 * taken. */
		if (value[i] <= ' ' || value[i] >= 0x7f || strchr("/<>\"\\,;", value[i]) != NULL)
			return false;
		message->path[message->path_len++] = (char)value[i];
	}
	return true;
}

/* False: its value is not what such an option has. */
static bool take_option(struct coap_message *message, uint32_t option, const uint8_t *value,
			uint32_t len)
{
	uint32_t number;
	switch (option) {
	case COAP_IF_MATCH:
		return add_match(message, value, len);
	case COAP_ETAG:
		/* Of several the last of ours: the others' contents are sent again. */
		message->has_etag = true;
		if (!read_etag(value, len, &number))
			return false;
		if (number != 0)
			message->etag = number;
		return true;
	case COAP_IF_NONE_MATCH:
		message->has_if_none_match = true;
		return len == 0;
	case COAP_OBSERVE:
		/* One that is too long is none (RFC 7252, 5.4.3). */
		message->has_observe = len <= 3;
		return read_uint(value, len, 3, &message->observe);
	case COAP_URI_PATH:
		return add_to_path(message, value, len);
	case COAP_CONTENT_FORMAT:
	case COAP_ACCEPT:
		if (!read_uint(value, len, 2, &number))
			return false;
		*(option == COAP_ACCEPT ? &message->accept : &message->format) = (uint16_t)number;
		return true;
	case COAP_BLOCK1:
		return read_block(value, len, &message->block1);
	case COAP_BLOCK2:
		return read_block(value, len, &message->block2);
	case COAP_PROXY_URI:
	case COAP_PROXY_SCHEME:
		message->wants_proxy = true;
		return true;
	case COAP_URI_HOST:
	case COAP_URI_PORT:
	case COAP_URI_QUERY:
		return true;
	default:
		/* Odd ones must be understood. */
		return option % 2 == 0;
	}
}

/* False: not well formed. */
static bool read_options(struct coap_message *message, struct reader *reader)
{
	uint32_t option = 0;
	while (reader->at < reader->end && *reader->at != MARKER) {
		uint32_t head = *reader->at++, delta, len;
		if (!read_extended(reader, head >> 4, &delta) ||
		    !read_extended(reader, head & 15, &len) ||
		    len > (uint32_t)(reader->end - reader->at))
			return false;
		option += delta;
		if (option > UINT16_MAX)
			return false;
		message->has_bad_option |=
			!take_option(message, option, reader->at, len) && option % 2 == 1;
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
