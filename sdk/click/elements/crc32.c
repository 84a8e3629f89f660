/*
 * SetCRC32 appends a CRC-32 to packets, CheckCRC32 removes it from those in which it is right, and
 * drops the others.
 *
 * It is Click's: the polynomial 0x04c11db7 from its high bits on, beginning with all ones and
 * without a final complement; its bytes are appended lowest first.
 */
#include <click.h>

#define POLYNOMIAL 0x04c11db7u
#define CRC_BYTES  4u

struct crc32 {
	struct click_element element;
	uint32_t table[256];
	uint64_t *drops;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct crc32 *self = (struct crc32 *)element;
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte << 24;
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? POLYNOMIAL : 0);
		self->table[byte] = crc;
	}
	return click_args_end(args);
}

static uint32_t crc_of(const struct crc32 *self, const uint8_t *data, uint32_t len)
{
	uint32_t crc = UINT32_MAX;
	for (uint32_t i = 0; i < len; i++)
		crc = crc << 8 ^ self->table[crc >> 24 ^ data[i]];
	return crc;
}

static struct click_packet *drop(struct crc32 *self, struct click_packet *packet)
{
	(*self->drops)++;
	click_kill(&self->element, packet);
	return NULL;
}

static struct click_packet *set(struct click_element *element, struct click_packet *packet)
{
	struct crc32 *self = (struct crc32 *)element;
	uint32_t crc = crc_of(self, packet->data, packet->len);
	if (!click_packet_put(packet, CRC_BYTES))
		return drop(self, packet);
	uint8_t *end = packet->data + packet->len - CRC_BYTES;
	for (unsigned i = 0; i < CRC_BYTES; i++)
		end[i] = (uint8_t)(crc >> 8 * i);
	return packet;
}

static struct click_packet *check(struct click_element *element, struct click_packet *packet)
{
	struct crc32 *self = (struct crc32 *)element;
	if (packet->len < CRC_BYTES)
		return drop(self, packet);
	uint32_t len = packet->len - CRC_BYTES;
	uint32_t crc = crc_of(self, packet->data, len);
	for (unsigned i = 0; i < CRC_BYTES; i++)
		if (packet->data[len + i] != (uint8_t)(crc >> 8 * i))
			return drop(self, packet);
	click_packet_take(packet, CRC_BYTES);
	return packet;
}

static const struct click_handler handlers[] = {
	{.name = "drops", .counter = offsetof(struct crc32, drops)},
	{.name = NULL},
};

const struct click_class click_class_SetCRC32 = {
	.name = "SetCRC32",
	.size = sizeof(struct crc32),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = set,
	.handlers = handlers,
};

const struct click_class click_class_CheckCRC32 = {
	.name = "CheckCRC32",
	.size = sizeof(struct crc32),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = check,
	.handlers = handlers,
};
