/*
 * Annotations by their names and numbers, and the argument that names one.
 */
#include <string.h>

#include "core.h"

const struct click_anno click_annos[] = {
	{"DST_IP", CLICK_ANNO_DST_IP, 4},
	{"PAINT", CLICK_ANNO_PAINT, 1},
	{"VLAN_TCI", CLICK_ANNO_VLAN_TCI, 2},
	{"VLAN", CLICK_ANNO_VLAN_TCI, 2},
	{"FIX_IP_SRC", CLICK_ANNO_FIX_IP_SRC, 1},
	{"EXTRA_PACKETS", CLICK_ANNO_EXTRA_PACKETS, 4},
	{"EXTRA_LENGTH", CLICK_ANNO_EXTRA_LENGTH, 4},
	{"ICMP_PARAMPROB", 17, 1},
	{"AGGREGATE", 20, 4},
	{"FWD_RATE", 32, 4},
	{"REV_RATE", 36, 4},
	{"MISC_IP", 40, 4},
	{"PACKET_NUMBER", 44, 4},
	{NULL, 0, 0},
};

/* Where Click has those with fields. */
static const struct {
	uint32_t anno, offset, size;
} fields[] = {
	{CLICK_ANNO_DST_IP, 0, 4},	   {CLICK_ANNO_PAINT, 16, 1},
	{CLICK_ANNO_FIX_IP_SRC, 19, 1},	   {CLICK_ANNO_VLAN_TCI, 20, 2},
	{CLICK_ANNO_EXTRA_PACKETS, 24, 4}, {CLICK_ANNO_EXTRA_LENGTH, 28, 4},
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

void click_anno_bytes(const struct click_packet *packet, uint8_t ret[CLICK_ANNO_BYTES])
{
	memcpy(ret, packet->anno, CLICK_ANNO_BYTES);
	for (size_t i = 0; i < FIELDS; i++) {
		uint32_t value = click_anno_get(packet, fields[i].anno, fields[i].size);
		uint8_t bytes[4] = {(uint8_t)value};
		/* A tag is in the network's order there. */
		if (fields[i].size == 2) {
			bytes[0] = (uint8_t)(value >> 8);
			bytes[1] = (uint8_t)value;
		} else if (fields[i].size == 4) {
			memcpy(bytes, &value, 4);
		}
		/* Others may be at the same place. */
		if (value != 0)
			memcpy(ret + fields[i].offset, bytes, fields[i].size);
	}
}

uint32_t click_anno_get(const struct click_packet *packet, uint32_t anno, uint32_t size)
{
	uint32_t value = 0;
	uint16_t half;
	switch (anno) {
	case CLICK_ANNO_DST_IP:
		return packet->destination;
	case CLICK_ANNO_PAINT:
		return packet->paint;
	case CLICK_ANNO_VLAN_TCI:
		return packet->vlan_tci;
	case CLICK_ANNO_FIX_IP_SRC:
		return packet->fix_ip_src;
	case CLICK_ANNO_EXTRA_PACKETS:
		return packet->extra_packets;
	case CLICK_ANNO_EXTRA_LENGTH:
		return packet->extra_len;
	default:
		break;
	}
	if (size > 4 || anno >= CLICK_ANNO_BYTES || size > CLICK_ANNO_BYTES - anno)
		return 0;
	if (size == 1)
		return packet->anno[anno];
	if (size == 2) {
		memcpy(&half, packet->anno + anno, 2);
		return half;
	}
	memcpy(&value, packet->anno + anno, size);
	return value;
}

void click_anno_set(struct click_packet *packet, uint32_t anno, uint32_t size, uint32_t value)
{
	uint16_t half = (uint16_t)value;
	switch (anno) {
	case CLICK_ANNO_DST_IP:
		packet->destination = value;
		return;
	case CLICK_ANNO_PAINT:
		packet->paint = (uint8_t)value;
		return;
	case CLICK_ANNO_VLAN_TCI:
		packet->vlan_tci = half;
		return;
	case CLICK_ANNO_FIX_IP_SRC:
		packet->fix_ip_src = (uint8_t)value;
		return;
	case CLICK_ANNO_EXTRA_PACKETS:
		packet->extra_packets = value;
		return;
	case CLICK_ANNO_EXTRA_LENGTH:
		packet->extra_len = value;
		return;
	default:
		break;
	}
	if (size > 4 || anno >= CLICK_ANNO_BYTES || size > CLICK_ANNO_BYTES - anno)
		return;
	packet->has_anno = true;
	if (size == 1)
		packet->anno[anno] = (uint8_t)value;
	else if (size == 2)
		memcpy(packet->anno + anno, &half, 2);
	else
		memcpy(packet->anno + anno, &value, size);
}

static uint32_t numbered(uint32_t offset, uint32_t size)
{
	for (size_t i = 0; i < FIELDS; i++) {
		if (fields[i].offset == offset && fields[i].size == size)
			return fields[i].anno;
	}
	return offset;
}

void click_arg_anno(struct click_args *args, const char *key, unsigned flags, uint32_t size,
		    uint32_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value == NULL)
		return;
	for (const struct click_anno *anno = click_annos; anno->name != NULL; anno++) {
		if (strcmp(anno->name, value) != 0)
			continue;
		if (size > anno->size)
			click_args_error(args, "%s: the annotation %s has %u bytes, not %u", key,
					 value, anno->size, size);
		else
			*ret = anno->offset;
		return;
	}
	char digits[16];
	const char *slash = strchr(value, '/');
	size_t len = slash != NULL ? (size_t)(slash - value) : strlen(value);
	uint32_t offset, length = size;
	bool is_good = len < sizeof(digits);
	if (is_good) {
		memcpy(digits, value, len);
		digits[len] = '\0';
		is_good = click_parse_u32(digits, &offset) &&
			  (slash == NULL || click_parse_u32(slash + 1, &length));
	}
	if (!is_good)
		click_args_expected(args, key, value, "an annotation's name or offset");
	else if (length < size || offset >= CLICK_ANNO_BYTES || size > CLICK_ANNO_BYTES - offset)
		click_args_error(args, "%s: an annotation of %u bytes does not fit at '%s'", key,
				 size, value);
	else
		*ret = numbered(offset, size);
}
