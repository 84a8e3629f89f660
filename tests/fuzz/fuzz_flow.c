/*
 * Any bytes as a frame: what is said of it lies within it, its checksums can be read and set (and
 * are right then), and its keys are the same both ways. The copy that is written to is changed
 * between looking and writing, too, as a packet function may do.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "flow/flow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_offsets(const struct flow_packet *p, size_t size)
{
	uint32_t end = (uint32_t)p->l3_offset + p->l3_len;

	EOS_ASSERT(end <= size);
	EOS_ASSERT((uint32_t)p->payload_offset + p->payload_len <= end);
	EOS_ASSERT(p->l4_offset == 0 ||
		   (p->l4_offset > p->l3_offset && p->l4_offset <= p->payload_offset));
	EOS_ASSERT(!p->has_ports || p->l4_offset != 0);
}

static void check_keys(const struct flow_packet *packet)
{
	struct flow_packet back = *packet;
	struct flow_key key, key_back;

	memcpy(back.source, packet->target, 16);
	memcpy(back.target, packet->source, 16);
	back.source_port = packet->target_port;
	back.target_port = packet->source_port;
	(void)flow_key_of(packet, 1, &key);
	(void)flow_key_of(&back, 1, &key_back);
	EOS_ASSERT(memcmp(&key, &key_back, sizeof(key)) == 0);
	EOS_ASSERT(flow_key_hash(&key, 1) == flow_key_hash(&key_back, 1));
}

/* Checksums belong to nothing that was said. */
static void check_checksums(uint8_t *frame, size_t size, const struct flow_packet *packet)
{
	struct flow_packet again;

	(void)flow_checksums_are_good(frame, packet);
	flow_checksums_set(frame, packet);
	EOS_ASSERT(packet->is_bad || flow_checksums_are_good(frame, packet));
	(void)flow_parse(frame, (uint32_t)size, &again);
	EOS_ASSERT(packet->kind == again.kind && packet->l4_offset == again.l4_offset &&
		   packet->payload_offset == again.payload_offset &&
		   packet->source_port == again.source_port && packet->proto == again.proto);
	for (size_t at = 0; at < size; at++)
		frame[at] = (uint8_t)(frame[at] * 167 + 13);
	(void)flow_checksums_are_good(frame, packet);
	flow_checksums_set(frame, packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flow_packet packet;
	uint8_t *frame;

	if (size > 70000)
		return 0;
	frame = malloc(size > 0 ? size : 1);
	if (frame == NULL)
		return 0;
	if (size > 0)
		memcpy(frame, data, size);
	(void)flow_parse(frame, (uint32_t)size, &packet);
	check_offsets(&packet, size);
	if (packet.kind == FLOW_IPV4 || packet.kind == FLOW_IPV6)
		check_keys(&packet);
	check_checksums(frame, size, &packet);
	free(frame);
	return 0;
}
