#include <string.h>

#include "dns.h"
#include "frame.h"

#define OPTION_COOKIE 10u

static uint8_t lower(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

bool name_read(const uint8_t *message, uint32_t len, uint32_t offset, struct name *ret,
	       uint32_t *ret_end)
{
	/* Each pointer has to lead before where the part that it ends began. */
	uint32_t at = offset, begin = offset, end = 0;
	struct name *name = ret;
	name->len = 0;
	for (;;) {
		if (at >= len)
			return false;
		uint32_t label = message[at];
		if (label >= 0xc0) {
			if (len - at < 2)
				return false;
			uint32_t target = frame_u16(message + at) & 0x3fff;
			end = end == 0 ? at + 2 : end;
			if (target >= begin || target < HEADER_BYTES)
				return false;
			at = begin = target;
			continue;
		}
		if (label > 63 || label >= len - at || name->len + label + 1 > NAME_MAX_BYTES)
			return false;
		name->bytes[name->len++] = (uint8_t)label;
		for (uint32_t i = 1; i <= label; i++)
			name->bytes[name->len++] = lower(message[at + i]);
		at += label + 1;
		if (label == 0)
			break;
	}
	*ret_end = end == 0 ? at : end;
	return true;
}

bool name_parse(const char *text, uint32_t len, const struct name *origin, struct name *ret)
{
	struct name name = {.len = 0};
	bool is_absolute = len > 0 && text[len - 1] == '.';
	if (is_absolute)
		len--;
	if (len == 1 && text[0] == '@' && !is_absolute)
		len = 0;
	for (uint32_t at = 0; at < len;) {
		uint32_t label = 0;
		while (at + label < len && text[at + label] != '.')
			label++;
		bool is_last = at + label == len;
		if (label == 0 || label > 63 || name.len + label + 2 > NAME_MAX_BYTES ||
		    (!is_last && at + label + 1 == len))
			return false;
		name.bytes[name.len++] = (uint8_t)label;
		for (uint32_t i = 0; i < label; i++)
			name.bytes[name.len++] = lower((uint8_t)text[at + i]);
		at += label + 1;
	}
	if (is_absolute || origin == NULL) {
		name.bytes[name.len++] = 0;
	} else {
		if (name.len + origin->len > NAME_MAX_BYTES)
			return false;
		memcpy(name.bytes + name.len, origin->bytes, origin->len);
		name.len += origin->len;
	}
	*ret = name;
	return true;
}

bool name_is(const struct name *one, const struct name *other)
{
	return one->len == other->len && memcmp(one->bytes, other->bytes, one->len) == 0;
}

bool name_is_below(const struct name *name, const struct name *parent)
{
	/* From label to label: "ab.example" is not below "b.example". */
	for (uint32_t at = 0; at < name->len && name->len - at >= parent->len;
	     at += name->bytes[at] + 1u) {
		if (name->len - at == parent->len)
			return memcmp(name->bytes + at, parent->bytes, parent->len) == 0;
	}
	return false;
}

bool record_read(const uint8_t *message, uint32_t len, uint32_t offset, struct record *ret)
{
	struct name name;
	uint32_t at;
	if (!name_read(message, len, offset, &name, &at) || len - at < 10)
		return false;
	*ret = (struct record){
		.offset = offset,
		.type = frame_u16(message + at),
		.ttl_offset = at + 4,
		.ttl = frame_u32(message + at + 4),
		.data_len = frame_u16(message + at + 8),
		.data = at + 10,
	};
	ret->end = ret->data + ret->data_len;
	return ret->data_len <= len - ret->data;
}

bool question_read(const uint8_t *message, uint32_t len, struct question *ret)
{
	uint32_t at;
	*ret = (struct question){.room = PLAIN_MAX, .is_edns_version_known = true};
	if (len < HEADER_BYTES)
		return false;
	ret->id = frame_u16(message);
	ret->flags = frame_u16(message + 2);
	if (frame_u16(message + 4) != 1 ||
	    !name_read(message, len, HEADER_BYTES, &ret->name, &at) || len - at < 4)
		return false;
	/* The first name has nothing before it to point to. */
	if (at != HEADER_BYTES + ret->name.len)
		return false;
	ret->type = frame_u16(message + at);
	ret->class = frame_u16(message + at + 2);
	ret->end = at + 4;
	return true;
}

/* The options of EDNS, one behind the other to the record's end. */
static bool read_options(const uint8_t *message, const struct record *record, struct question *ret)
{
	uint32_t at = record->data;
	while (at < record->end) {
		if (record->end - at < 4)
			return false;
		uint32_t code = frame_u16(message + at), len = frame_u16(message + at + 2);
		at += 4;
		if (len > record->end - at)
			return false;
		if (code == OPTION_COOKIE && ret->cookie_len == 0 &&
		    (len == COOKIE_CLIENT || (len >= COOKIE_BOTH && len <= COOKIE_MAX))) {
			ret->cookie = at;
			ret->cookie_len = len;
		} else {
			ret->has_more = true;
		}
		at += len;
	}
	return true;
}

static bool read_edns(const uint8_t *message, const struct record *record, struct question *ret)
{
	/* One, of the root's name. */
	if (ret->has_edns || message[record->offset] != 0)
		return false;
	ret->has_edns = true;
	ret->is_edns_version_known = message[record->ttl_offset + 1] == 0;
	ret->wants_dnssec = (record->ttl & 0x8000) != 0;
	uint32_t room = frame_u16(message + record->ttl_offset - 2);
	ret->room = room < PLAIN_MAX ? PLAIN_MAX : room > ANSWER_MAX ? ANSWER_MAX : room;
	/* How other versions' options look nobody knows. */
	return !ret->is_edns_version_known || read_options(message, record, ret);
}

/* The records behind the question, to the message's end. */
static bool read_rest(const uint8_t *message, uint32_t len, struct question *ret)
{
	struct record record;
	uint32_t at = ret->end, others = frame_u16(message + 6) + frame_u16(message + 8);
	uint32_t count = others + frame_u16(message + 10);
	for (uint32_t i = 0; i < count; i++) {
		if (!record_read(message, len, at, &record))
			return false;
		at = record.end;
		if (i < others || record.type != TYPE_OPT)
			ret->has_more = true;
		else if (!read_edns(message, &record, ret))
			return false;
	}
	return at == len;
}

int query_read(const uint8_t *message, uint32_t len, struct question *ret)
{
	if (len < HEADER_BYTES || (message[2] & 0x80) != 0)
		return -1;
	bool is_good = question_read(message, len, ret) && read_rest(message, len, ret);
	if ((ret->flags & 0x7800) != 0)
		return RCODE_NOT_IMPLEMENTED;
	return is_good ? RCODE_OK : RCODE_FORMAT;
}
