#include "elements/ip_primitive.h"

#include <string.h>

#include "ip.h"

#define PROTOCOL_DCCP 33

static const struct ip_field field_proto = {9, 1, 0, 8, IP_NO_PROTOCOL};
const struct ip_field ip_field_tos = {1, 1, 0, 8, IP_NO_PROTOCOL};
const struct ip_field ip_field_icmp_type = {0, 1, 0, 8, CLICK_ICMP};

uint32_t ip_field_max(const struct ip_field *field)
{
	return field->bits == 32 ? UINT32_MAX : (1u << field->bits) - 1;
}

/* --- checking --- */

/* The type is what the data are, or what it was before ("src port 80 or 81"). */
static const char *find_type(struct ip_primitive *p, const struct ip_primitive *previous)
{
	if (p->data == IP_DATA_INTEGER) {
		if (previous->type != IP_FIELD && previous->type != IP_PROTO &&
		    previous->type != IP_PORT)
			return "a number without a header field or 'port'";
		p->type = previous->type;
		p->field = previous->field;
	} else {
		static const enum ip_type types[] = {
			[IP_DATA_HOST] = IP_HOST,	[IP_DATA_NET] = IP_NET,
			[IP_DATA_PROTO] = IP_PROTO,	[IP_DATA_PORT] = IP_PORT,
			[IP_DATA_FLAGS] = IP_FLAGS,	[IP_DATA_ICMP_TYPE] = IP_FIELD,
			[IP_DATA_ETHER] = IP_HOST,	[IP_NO_DATA] = IP_PROTO,
			[IP_DATA_RANGE] = IP_PORTRANGE,
		};
		if (p->data == IP_NO_DATA && p->protocol == IP_NO_PROTOCOL)
			return "an incomplete directive";
		p->type = types[p->data];
		if (p->data == IP_DATA_ICMP_TYPE)
			p->field = ip_field_icmp_type;
	}
	bool has_side = p->type == IP_HOST || p->type == IP_NET || p->type == IP_PORT;
	if (has_side && !p->side)
		p->side = previous->side;
	if (p->type == IP_PORT && p->protocol == IP_NO_PROTOCOL)
		p->protocol = previous->protocol;
	if (p->type == IP_FIELD && p->protocol == IP_NO_PROTOCOL)
		p->protocol = p->field.protocol;
	return NULL;
}

static const char *check_number(struct ip_primitive *p, uint32_t max)
{
	if (p->mask & ~max)
		return "a mask that is wider than the field";
	if (p->relation == IP_EQUAL && p->value > max)
		return "a number that is larger than the field";
	if (!p->mask)
		p->mask = max;
	return NULL;
}

static const char *check_address(struct ip_primitive *p)
{
	enum ip_data data = p->type == IP_NET ? IP_DATA_NET : IP_DATA_HOST;
	if (p->is_ether && p->type == IP_HOST)
		data = IP_DATA_ETHER;
	if (p->data != data)
		return p->type == IP_NET ? "'net' without an IP prefix"
					 : "'host' without an address";
	if (p->relation != IP_EQUAL)
		return "an address can only be equal or not";
	if (data == IP_DATA_ETHER && !p->mask_data)
		memset(p->ether_mask, 0xff, sizeof(p->ether_mask));
	else if (p->mask_data && (p->mask_data == IP_DATA_ETHER) != (data == IP_DATA_ETHER))
		return "a mask of another kind";
	if (!p->mask)
		p->mask = p->type == IP_NET ? p->value_mask : UINT32_MAX;
	return NULL;
}

static const char *check_proto(struct ip_primitive *p)
{
	bool is_number = p->data == IP_DATA_INTEGER || p->data == IP_DATA_PROTO;
	if (is_number) {
		if (p->protocol != IP_NO_PROTOCOL && (uint32_t)p->protocol != p->value)
			return "two transport protocols";
	} else if (p->data == IP_NO_DATA && p->protocol != IP_NO_PROTOCOL) {
		p->value = (uint32_t)p->protocol;
	} else {
		return "'proto' without an IP protocol";
	}
	p->protocol = IP_NO_PROTOCOL;
	if (!is_number && p->value > UINT8_MAX)
		return p->relation != IP_EQUAL || p->mask ? "a protocol that cannot be compared so"
							  : NULL;
	bool is_one = !p->mask && p->relation == IP_EQUAL && !p->is_negated;
	const char *error = check_number(p, UINT8_MAX);
	if (!error && is_one)
		p->protocol = (int)p->value;
	return error;
}

static const char *check_port(struct ip_primitive *p)
{
	bool is_range = p->type == IP_PORTRANGE;
	if (is_range ? p->data != IP_DATA_RANGE
		     : p->data != IP_DATA_INTEGER && p->data != IP_DATA_PORT)
		return is_range ? "'portrange' without FROM-TO" : "'port' without a port";
	if (p->protocol == IP_NO_PROTOCOL)
		p->protocol = IP_TCP_OR_UDP;
	if (p->protocol != CLICK_TCP && p->protocol != CLICK_UDP && p->protocol != IP_TCP_OR_UDP &&
	    p->protocol != PROTOCOL_DCCP)
		return "ports of a protocol that has none";
	if (!is_range)
		return check_number(p, UINT16_MAX);
	if (p->relation != IP_EQUAL || p->mask)
		return "a range of ports can only be equal or not";
	return p->value_max > UINT16_MAX || p->value > p->value_max ? "a range that is none" : NULL;
}

static const char *check_flags(struct ip_primitive *p)
{
	if (p->data != IP_DATA_INTEGER && p->data != IP_DATA_FLAGS)
		return "'tcp opt' without an option";
	if (p->protocol != IP_NO_PROTOCOL && p->protocol != CLICK_TCP)
		return "TCP options of another protocol";
	p->protocol = CLICK_TCP;
	if (p->relation != IP_EQUAL || p->is_negated || p->mask)
		return "'tcp opt' cannot be compared or masked";
	if (p->value > UINT8_MAX)
		return "a number that is larger than the field";
	p->mask = p->value;
	return NULL;
}

/* ECN's two bits: ect is "not 0", ce is 3. */
static const char *check_ecn(struct ip_primitive *p)
{
	bool is_ce = p->type == IP_CE;
	if (p->data != IP_NO_DATA && (is_ce || p->data != IP_DATA_INTEGER))
		return is_ce ? "'ip ce' with data" : "'ip ect' with data that are no number";
	if (p->data == IP_NO_DATA) {
		p->value = is_ce ? 3 : 0;
		p->is_negated = !is_ce;
	}
	p->type = IP_FIELD;
	p->field = ip_field_tos;
	if (!p->mask)
		p->mask = 3;
	return check_number(p, 3);
}

static const char *check_type(struct ip_primitive *p)
{
	switch (p->type) {
	case IP_HOST:
	case IP_NET:
		return check_address(p);
	case IP_PROTO:
		return check_proto(p);
	case IP_PORT:
	case IP_PORTRANGE:
		return check_port(p);
	case IP_FLAGS:
		return check_flags(p);
	case IP_FRAG:
	case IP_UNFRAG:
		return p->data == IP_NO_DATA ? NULL : "'frag' with data";
	case IP_ECT:
	case IP_CE:
		return check_ecn(p);
	case IP_FIELD:
		if (p->data != IP_DATA_INTEGER && p->data != IP_DATA_ICMP_TYPE)
			return "a header field without a value";
		return check_number(p, ip_field_max(&p->field));
	case IP_NO_TYPE:
		break;
	}
	return "an incomplete directive";
}

const char *ip_primitive_check(struct ip_primitive *p, const struct ip_primitive *previous)
{
	bool had_side = p->side != IP_NO_SIDE;
	const char *error = p->type ? NULL : find_type(p, previous);
	if (!error)
		error = check_type(p);
	if (error)
		return error;
	if (p->is_ether && p->type != IP_HOST)
		return "'ether' without 'host'";
	bool has_address = p->type == IP_HOST || p->type == IP_NET;
	if (p->mask_data && p->mask_data != IP_DATA_INTEGER && !has_address)
		return "a mask that is no number";
	bool has_side = p->type == IP_HOST || p->type == IP_NET || p->type == IP_PORT ||
			p->type == IP_PORTRANGE;
	if (had_side && !has_side)
		return "'src' or 'dst' of what has no sides";
	if (has_side && !p->side)
		p->side = IP_SRC_OR_DST;
	return NULL;
}

/* --- nodes --- */

/* x < v is tested as its opposite, x > v - 1; whoever asks for it negates that. */
static uint16_t test_field(const struct ip_field *field, const struct ip_primitive *p,
			   struct classify_nodes *nodes)
{
	struct classify_test test = {
		.where = field->protocol == IP_NO_PROTOCOL ? CLASSIFY_NETWORK : CLASSIFY_TRANSPORT,
		.offset = field->offset,
		.width = field->width,
		.mask = p->mask << field->shift,
	};
	/* What is the same for all values needs no test. */
	uint32_t value = p->value;
	if (p->relation == IP_EQUAL) {
		/* What the mask leaves out of the packet's bits it leaves out of these, too:
		 * "10.0.0.1/8" means the network that it is in. */
		test.op = CLASSIFY_EQUAL;
		test.value = (value & p->mask) << field->shift;
		return classify_test(nodes, &test);
	}
	if (p->relation == IP_LESS && value == 0)
		return classify_constant(nodes, true);
	if (p->relation == IP_LESS)
		value--;
	if (value >= p->mask)
		return classify_constant(nodes, false);
	test.op = CLASSIFY_GREATER;
	test.value = value << field->shift;
	return classify_test(nodes, &test);
}

static uint16_t test_equal(struct classify_nodes *nodes, enum classify_where where, uint16_t offset,
			   uint8_t width, uint32_t mask, uint32_t value)
{
	/* Bytes that do not matter need not be there. */
	if (!mask)
		return classify_constant(nodes, true);
	return classify_test(nodes, &(struct classify_test){
					    .where = (uint8_t)where,
					    .offset = offset,
					    .width = width,
					    .mask = mask,
					    .value = value & mask,
				    });
}

static uint16_t test_protocol(struct classify_nodes *nodes, int protocol)
{
	if (protocol == IP_ANY_TRANSP)
		return classify_constant(nodes, true);
	if (protocol == IP_TCP_OR_UDP)
		return classify_or(nodes, test_protocol(nodes, CLICK_TCP),
				   test_protocol(nodes, CLICK_UDP));
	return test_equal(nodes, CLASSIFY_NETWORK, field_proto.offset, 1, 0xff, (uint32_t)protocol);
}

/* One side of what has two; SIDE is 0 for the source and 1 for the destination. */
static uint16_t test_side(const struct ip_primitive *p, struct classify_nodes *nodes, unsigned side)
{
	if (p->is_ether) {
		uint16_t at = side ? 0 : 6;
		return classify_and(
			nodes,
			test_equal(nodes, CLASSIFY_MAC, at, 4, click_get_u32(p->ether_mask),
				   click_get_u32(p->ether)),
			test_equal(nodes, CLASSIFY_MAC, (uint16_t)(at + 4), 2,
				   click_get_u16(p->ether_mask + 4), click_get_u16(p->ether + 4)));
	}
	if (p->type == IP_HOST || p->type == IP_NET) {
		struct ip_field address = {(uint16_t)(12 + 4 * side), 4, 0, 32, IP_NO_PROTOCOL};
		return test_field(&address, p, nodes);
	}
	struct ip_field port = {(uint16_t)(2 * side), 2, 0, 16, IP_ANY_TRANSP};
	if (p->type == IP_PORT)
		return test_field(&port, p, nodes);
	struct ip_primitive from = {.relation = IP_LESS, .value = p->value, .mask = UINT16_MAX};
	struct ip_primitive to = {
		.relation = IP_GREATER, .value = p->value_max, .mask = UINT16_MAX};
	return classify_and(nodes, test_field(&port, &from, nodes),
			    classify_opposite(nodes, test_field(&port, &to, nodes)));
}

static uint16_t test_sides(const struct ip_primitive *p, struct classify_nodes *nodes)
{
	if (p->side == IP_SRC || p->side == IP_DST)
		return test_side(p, nodes, p->side == IP_DST);
	uint16_t src = test_side(p, nodes, 0), dst = test_side(p, nodes, 1);
	return p->side == IP_SRC_AND_DST ? classify_and(nodes, src, dst)
					 : classify_or(nodes, src, dst);
}

static uint16_t test_itself(const struct ip_primitive *p, struct classify_nodes *nodes)
{
	switch (p->type) {
	case IP_PROTO:
		if (p->value > UINT8_MAX)
			return test_protocol(nodes, (int)p->value);
		return test_field(&field_proto, p, nodes);
	case IP_FLAGS:
		return test_equal(nodes, CLASSIFY_TRANSPORT, 13, 1, p->mask, p->value);
	case IP_FRAG:
	case IP_UNFRAG:
		return test_equal(nodes, CLASSIFY_NETWORK, 6, 2, CLICK_IP_MF | CLICK_IP_OFFSET, 0);
	case IP_FIELD:
		return test_field(&p->field, p, nodes);
	default:
		return test_sides(p, nodes);
	}
}

/* What the relation negates is the comparison of both sides, so that "port < 5" means both, and
 * nothing else: "tcp port != 5" is still about TCP, and about a port that is there. */
uint16_t ip_primitive_nodes(const struct ip_primitive *p, struct classify_nodes *nodes)
{
	uint16_t all = classify_constant(nodes, true);
	bool is_transport = p->type == IP_PORT || p->type == IP_PORTRANGE || p->type == IP_FLAGS ||
			    (p->type == IP_FIELD && p->field.protocol != IP_NO_PROTOCOL);
	if (is_transport)
		all = classify_and(nodes, all,
				   test_equal(nodes, CLASSIFY_NETWORK, 6, 2, CLICK_IP_OFFSET, 0));
	if (p->type != IP_PROTO && p->protocol != IP_NO_PROTOCOL)
		all = classify_and(nodes, all, test_protocol(nodes, p->protocol));
	uint16_t itself = test_itself(p, nodes);
	bool is_opposite = p->type == IP_FRAG || p->relation == IP_LESS;
	if (p->is_negated != is_opposite)
		itself = classify_opposite(nodes, itself);
	return classify_and(nodes, all, itself);
}
