/*
 * Any bytes as a message of the link: the first byte chooses the direction, the rest is what was
 * received. What decodes has all its parts inside the message.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "link/link_proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t touch(struct link_span span)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < span.len; i++)
		sum += (uint8_t)span.data[i];
	return sum;
}

static uint64_t touch_dirents(struct link_span span)
{
	struct link_dirent entry;
	struct link_span name;
	uint32_t offset = 0;
	uint64_t sum = 0;
	while (link_dirent_next(span, &offset, &entry, &name) == 1)
		sum += touch(name);
	return sum;
}

static uint64_t touch_to_cell(const struct link_message *m)
{
	uint64_t sum = 0;
	if (m->header.kind == LINK_FILE_REPLY)
		return touch(m->payload) + touch_dirents(m->payload);
	if (m->header.kind != LINK_INVOKE)
		return 0;
	for (uint32_t i = 0; i < m->invoke.preopens_count; i++)
		sum += strlen(m->invoke_parts.preopens[i].bucket);
	return sum + touch(m->invoke_parts.name) + touch(m->invoke_parts.tenant) +
	       touch(m->invoke_parts.environment) + touch(m->invoke_parts.input);
}

static uint64_t touch_to_node(const struct link_message *m)
{
	switch (m->header.kind) {
	case LINK_LOADED:
	case LINK_OUTPUT:
	case LINK_COUNTERS:
		return touch(m->payload);
	case LINK_FILE_REQUEST:
		if (m->file_request.op == LINK_OP_WRITE)
			return touch(m->payload);
		return touch(m->file_parts.path) + touch(m->file_parts.path2);
	case LINK_DONE:
		return touch(m->done_parts.text) + touch(m->done_parts.output) +
		       touch(m->done_parts.errors);
	default:
		return 0;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile uint64_t sink;
	struct link_message message;
	if (size == 0)
		return 0;
	bool is_to_cell = data[0] % 2 == 0;
	/* A copy of exactly this size, aligned as the receivers' buffers are. */
	void *copy = malloc(size > 1 ? size - 1 : 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (is_to_cell && link_decode_to_cell(copy, size - 1, &message) == 0)
		sink += touch_to_cell(&message);
	if (!is_to_cell && link_decode_to_node(copy, size - 1, &message) == 0)
		sink += touch_to_node(&message);
	(void)sink;
	free(copy);
	return 0;
}
