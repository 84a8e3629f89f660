/*
 * SetVLANAnno, VLANEncap, EtherVLANEncap and VLANDecap: the tag of IEEE 802.1Q, and its annotation.
 */
#include <string.h>

#include "elements/ether.h"
#include "elements/out_more.h"
#include "ip.h"

#define TCI_ID	  0x0fffu
#define TAG_BYTES 4u

struct vlan {
	struct click_element element;
	uint32_t tci, ethertype;
	int32_t native;
	bool may_be_anno, from_anno;
};

/* VLAN_TCI, or its parts VLAN_ID and VLAN_PCP. */
static void read_tci(struct vlan *vlan, struct click_args *args)
{
	const char *text = NULL;
	uint32_t id = UINT32_MAX, pcp = UINT32_MAX;
	click_arg_text(args, "VLAN_TCI", CLICK_POSITIONAL, &text);
	click_arg_u32(args, "VLAN_PCP", CLICK_POSITIONAL, &pcp);
	click_arg_u32(args, "VLAN_ID", 0, &id);
	if (pcp != UINT32_MAX && pcp > 7)
		click_args_error(args, "VLAN_PCP is at most 7");
	if (id != UINT32_MAX && id > TCI_ID)
		click_args_error(args, "VLAN_ID is at most 0xfff");
	if (text && vlan->may_be_anno && strcmp(text, "ANNO") == 0)
		vlan->from_anno = true;
	else if (text && (!click_parse_u32(text, &vlan->tci) || vlan->tci > UINT16_MAX))
		click_args_error(args, "VLAN_TCI '%s' is no number of at most 0xffff", text);
	if (text && id != UINT32_MAX)
		click_args_error(args, "either VLAN_TCI or VLAN_ID");
	if (!text && id == UINT32_MAX)
		click_args_error(args, "VLAN_TCI or VLAN_ID is missing");
	if (id != UINT32_MAX)
		vlan->tci = id;
	if (pcp != UINT32_MAX)
		vlan->tci |= (pcp & 7) << 13;
}

static void read_ethertype(struct vlan *vlan, struct click_args *args)
{
	vlan->ethertype = CLICK_ETHERTYPE_VLAN;
	click_arg_u32(args, "ETHERTYPE", 0, &vlan->ethertype);
	if (vlan->ethertype > UINT16_MAX)
		click_args_error(args, "ETHERTYPE is at most 0xffff");
}

/* --- handlers of both that have a tag --- */

static uint32_t handler_tci(struct click_element *element, char *out, uint32_t size)
{
	struct vlan *vlan = (struct vlan *)element;
	if (!vlan->from_anno)
		return click_out_number(out, size, vlan->tci);
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, "ANNO");
	return text.len;
}

static uint32_t handler_id(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct vlan *)element)->tci & TCI_ID);
}

static uint32_t handler_pcp(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct vlan *)element)->tci >> 13);
}

static int write_part(struct click_element *element, const char *text, struct click_args *args,
		      uint32_t max, unsigned shift)
{
	struct vlan *vlan = (struct vlan *)element;
	uint32_t value;
	if (!click_parse_u32(text, &value) || value > max) {
		click_args_error(args, "'%s' is no number of at most %u", text, max);
		return -1;
	}
	vlan->tci = (vlan->tci & ~(max << shift)) | value << shift;
	vlan->from_anno = false;
	return 0;
}

static int handler_set_tci(struct click_element *element, const char *text, struct click_args *args)
{
	struct vlan *vlan = (struct vlan *)element;
	if (vlan->may_be_anno && strcmp(text, "ANNO") == 0) {
		vlan->from_anno = true;
		return 0;
	}
	return write_part(element, text, args, UINT16_MAX, 0);
}

static int handler_set_id(struct click_element *element, const char *text, struct click_args *args)
{
	return write_part(element, text, args, TCI_ID, 0);
}

static int handler_set_pcp(struct click_element *element, const char *text, struct click_args *args)
{
	return write_part(element, text, args, 7, 13);
}

static const struct click_handler set_handlers[] = {
	{.name = "vlan_tci", .read = handler_tci, .write = handler_set_tci},
	{.name = "vlan_id", .read = handler_id, .write = handler_set_id},
	{.name = "vlan_pcp", .read = handler_pcp, .write = handler_set_pcp},
	{.name = NULL},
};

/* --- SetVLANAnno --- */

static int set_configure(struct click_element *element, struct click_args *args)
{
	read_tci((struct vlan *)element, args);
	return click_args_end(args);
}

static struct click_packet *set_simple(struct click_element *element, struct click_packet *packet)
{
	packet->vlan_tci = (uint16_t)((struct vlan *)element)->tci;
	return packet;
}

const struct click_class click_class_SetVLANAnno = {
	.name = "SetVLANAnno",
	.size = sizeof(struct vlan),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = set_configure,
	.simple = set_simple,
	.handlers = set_handlers,
};

/* --- VLANEncap --- */

static void read_native(struct vlan *vlan, const char *key, unsigned flags, struct click_args *args)
{
	int32_t native = vlan->native;
	click_arg_int(args, key, flags, &native);
	if (native < -1 || native > (int32_t)TCI_ID)
		click_args_error(args, "%s is from -1 to 0xfff", key);
	else
		vlan->native = native;
}

static int encap_configure(struct click_element *element, struct click_args *args)
{
	struct vlan *vlan = (struct vlan *)element;
	vlan->may_be_anno = true;
	read_tci(vlan, args);
	read_native(vlan, "NATIVE_VLAN", 0, args);
	read_ethertype(vlan, args);
	return click_args_end(args);
}

static struct click_packet *encap_simple(struct click_element *element, struct click_packet *packet)
{
	struct vlan *vlan = (struct vlan *)element;
	uint32_t tci = vlan->from_anno ? packet->vlan_tci : vlan->tci;
	if ((int32_t)(tci & TCI_ID) == vlan->native) {
		click_ether_mark(packet);
		return packet;
	}
	if (packet->len < CLICK_ETHER_HEADER || !click_packet_push(packet, TAG_BYTES)) {
		click_kill(element, packet);
		return NULL;
	}
	memmove(packet->data, packet->data + TAG_BYTES, 12);
	click_put_u16(packet->data + 12, vlan->ethertype);
	click_put_u16(packet->data + 14, tci);
	packet->mac = 0;
	return packet;
}

static uint32_t handler_native(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_i64(&text, ((struct vlan *)element)->native);
	return text.len;
}

static int handler_set_native(struct click_element *element, const char *text,
			      struct click_args *args)
{
	(void)text;
	read_native((struct vlan *)element, "native_vlan", CLICK_POSITIONAL | CLICK_MANDATORY,
		    args);
	return click_args_end(args);
}

static uint32_t handler_type(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, "0x");
	click_out_hex(&text, ((struct vlan *)element)->ethertype, 4);
	return text.len;
}

static int handler_set_type(struct click_element *element, const char *text,
			    struct click_args *args)
{
	uint32_t type;
	if (!click_parse_u32(text, &type) || type > UINT16_MAX) {
		click_args_error(args, "'%s' is no type of at most 0xffff", text);
		return -1;
	}
	((struct vlan *)element)->ethertype = type;
	return 0;
}

static const struct click_handler encap_handlers[] = {
	{.name = "vlan_tci", .read = handler_tci, .write = handler_set_tci},
	{.name = "vlan_id", .read = handler_id, .write = handler_set_id},
	{.name = "vlan_pcp", .read = handler_pcp, .write = handler_set_pcp},
	{.name = "native_vlan", .read = handler_native, .write = handler_set_native},
	{.name = "ethertype", .read = handler_type, .write = handler_set_type},
	{.name = NULL},
};

const struct click_class click_class_VLANEncap = {
	.name = "VLANEncap",
	.size = sizeof(struct vlan),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = encap_configure,
	.simple = encap_simple,
	.handlers = encap_handlers,
};

/* --- EtherVLANEncap --- */

struct ether_vlan {
	struct vlan vlan;		    /* first, for its handlers */
	uint8_t header[CLICK_ETHER_HEADER]; /* without the tag */
};

static int ether_configure(struct click_element *element, struct click_args *args)
{
	struct ether_vlan *encap = (struct ether_vlan *)element;
	uint32_t type = 0;
	encap->vlan.may_be_anno = true;
	click_arg_u32(args, "ETHERTYPE", CLICK_POSITIONAL | CLICK_MANDATORY, &type);
	click_arg_ether(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, encap->header + 6);
	click_arg_ether(args, "DST", CLICK_POSITIONAL | CLICK_MANDATORY, encap->header);
	read_tci(&encap->vlan, args);
	read_native(&encap->vlan, "NATIVE_VLAN", 0, args);
	if (type > UINT16_MAX)
		click_args_error(args, "ETHERTYPE is at most 0xffff");
	click_put_u16(encap->header + 12, type);
	return click_args_end(args);
}

static struct click_packet *ether_simple(struct click_element *element, struct click_packet *packet)
{
	const struct ether_vlan *encap = (const struct ether_vlan *)element;
	uint32_t tci = encap->vlan.from_anno ? packet->vlan_tci : encap->vlan.tci;
	uint32_t tag = (int32_t)(tci & TCI_ID) == encap->vlan.native ? 0 : TAG_BYTES;
	if (!click_packet_push(packet, CLICK_ETHER_HEADER + tag)) {
		click_kill(element, packet);
		return NULL;
	}
	memcpy(packet->data, encap->header, 12);
	memcpy(packet->data + 12 + tag, encap->header + 12, 2);
	if (tag == 0) {
		click_ether_mark(packet);
		return packet;
	}
	click_put_u16(packet->data + 12, CLICK_ETHERTYPE_VLAN);
	click_put_u16(packet->data + 14, tci);
	packet->mac = 0;
	uint32_t behind = CLICK_ETHER_HEADER + tag;
	if (packet->network != (int16_t)behind && packet->len > behind)
		click_ip_mark(packet, (int32_t)behind, (packet->data[behind] & 15) * 4u);
	return packet;
}

static uint32_t handler_src(struct click_element *element, char *out, uint32_t size)
{
	return click_ether_read(((const struct ether_vlan *)element)->header + 6, out, size);
}

static int handler_set_src(struct click_element *element, const char *text, struct click_args *args)
{
	return click_ether_write(element, ((struct ether_vlan *)element)->header + 6, text, args);
}

static uint32_t handler_dst(struct click_element *element, char *out, uint32_t size)
{
	return click_ether_read(((const struct ether_vlan *)element)->header, out, size);
}

static int handler_set_dst(struct click_element *element, const char *text, struct click_args *args)
{
	return click_ether_write(element, ((struct ether_vlan *)element)->header, text, args);
}

static uint32_t handler_inner(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size,
				click_get_u16(((const struct ether_vlan *)element)->header + 12));
}

static int handler_set_inner(struct click_element *element, const char *text,
			     struct click_args *args)
{
	uint32_t type;
	if (!click_parse_u32(text, &type) || type > UINT16_MAX) {
		click_args_error(args, "'%s' is no type of at most 0xffff", text);
		return -1;
	}
	click_put_u16(((struct ether_vlan *)element)->header + 12, type);
	return 0;
}

static const struct click_handler ether_handlers[] = {
	{.name = "src", .read = handler_src, .write = handler_set_src},
	{.name = "dst", .read = handler_dst, .write = handler_set_dst},
	{.name = "ethertype", .read = handler_inner, .write = handler_set_inner},
	{.name = "vlan_tci", .read = handler_tci, .write = handler_set_tci},
	{.name = "vlan_id", .read = handler_id, .write = handler_set_id},
	{.name = "vlan_pcp", .read = handler_pcp, .write = handler_set_pcp},
	{.name = "native_vlan", .read = handler_native, .write = handler_set_native},
	{.name = NULL},
};

const struct click_class click_class_EtherVLANEncap = {
	.name = "EtherVLANEncap",
	.size = sizeof(struct ether_vlan),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = ether_configure,
	.simple = ether_simple,
	.handlers = ether_handlers,
};

/* --- VLANDecap --- */

struct decap {
	struct click_element element;
	struct vlan vlan; /* its ethertype */
	bool anno;
};

static int decap_configure(struct click_element *element, struct click_args *args)
{
	struct decap *decap = (struct decap *)element;
	decap->anno = true;
	click_arg_bool(args, "ANNO", CLICK_POSITIONAL, &decap->anno);
	read_ethertype(&decap->vlan, args);
	return click_args_end(args);
}

static struct click_packet *decap_simple(struct click_element *element, struct click_packet *packet)
{
	struct decap *decap = (struct decap *)element;
	bool is_tagged = packet->len >= CLICK_ETHER_HEADER + TAG_BYTES &&
			 click_get_u16(packet->data + 12) == decap->vlan.ethertype;
	uint16_t tci = is_tagged ? click_get_u16(packet->data + 14) : 0;
	if (is_tagged) {
		memmove(packet->data + TAG_BYTES, packet->data, 12);
		click_packet_pull(packet, TAG_BYTES);
	}
	click_ether_mark(packet);
	if (decap->anno)
		packet->vlan_tci = tci;
	return packet;
}

const struct click_class click_class_VLANDecap = {
	.name = "VLANDecap",
	.size = sizeof(struct decap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = decap_configure,
	.simple = decap_simple,
};
