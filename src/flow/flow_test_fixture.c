#include "flow/flow_test_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What flow_parse() says; further fields by their names. */
#define EXPECTED(kind_, proto_, l3, l3_bytes, l4, data, data_bytes, source, target, ...)           \
	{                                                                                          \
		.kind = (kind_), .proto = (proto_), .l3_offset = (l3), .l3_len = (l3_bytes),       \
		.l4_offset = (l4), .payload_offset = (data), .payload_len = (data_bytes),          \
		.source_port = (source), .target_port = (target), ##__VA_ARGS__                    \
	}

const struct flow_sample flow_samples[] = {
	{
		.name = "arp",
		.hex = "020000000001020000000002080600010800060400010200000000020a0102030000"
		       "00000000c0000209",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_ARP, 0, 14, 28, 0, 0, 0, 0, 0),
	},
	{
		.name = "tcp4",
		.hex = "02000000000102000000000208004500003a000100004006acb00a010203c0000209"
		       "9c4001bb000000000000000070122000e7390000020405b40103030768656c6c6f20"
		       "65646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 6, 14, 58, 34, 62, 10, 40000, 443, .tcp_flags = 18,
				     .has_ports = true),
	},
	{
		.name = "udp4",
		.hex = "020000000001020000000002080045000026000100004011acb90a010203c0000209"
		       "9c4000350012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 17, 14, 38, 34, 42, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp4_odd",
		.hex = "020000000001020000000002080045000027000100004011acb80a010203c0000209"
		       "9c4000350013638968656c6c6f206564676521",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 17, 14, 39, 34, 42, 11, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp4_absent",
		.hex = "020000000001020000000002080045000026000100004011acb90a010203c0000209"
		       "9c4000350012000068656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 17, 14, 38, 34, 42, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp4_padded",
		.hex = "02000000000102000000000208004500001d000100004011acc20a010203c0000209"
		       "9c40003500091d5978eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 17, 14, 29, 34, 42, 1, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp4_slack",
		.hex = "02000000000102000000000208004500002c000100004011acb30a010203c0000209"
		       "9c4000350012848b68656c6c6f2065646765736c61636b21",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 17, 14, 44, 34, 42, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp4_tag",
		.hex = "02000000000102000000000281000064080045000026000100004011acb90a010203"
		       "c00002099c4000350012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 17, 18, 38, 38, 46, 10, 40000, 53, .vlan = 100,
				     .has_ports = true),
	},
	{
		.name = "udp4_tags",
		.hex = "02000000000102000000000288a80064810000c8080045000026000100004011acb9"
		       "0a010203c00002099c4000350012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 17, 22, 38, 42, 50, 10, 40000, 53, .vlan = 100,
				     .inner_vlan = 200, .has_ports = true),
	},
	{
		.name = "udp_lite4",
		.hex = "020000000001020000000002080045000026000100004088ac420a010203c0000209"
		       "9c400035000cc00468656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 136, 14, 38, 34, 42, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "tcp4_options",
		.hex = "0200000000010200000000020800470000300001000040069ea90a010203c0000209"
		       "01070704010203049c4001bb00000000000000005001200023db0000",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 6, 14, 48, 42, 62, 0, 40000, 443, .tcp_flags = 1,
				     .has_ports = true),
	},
	{
		.name = "sctp4",
		.hex = "020000000001020000000002080045000034000100004084ac380a010203c0000209"
		       "9c4001bb000000003f8d43080100001400000001000000000000000000000000",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 132, 14, 52, 34, 46, 20, 40000, 443, .has_ports = true),
	},
	{
		.name = "gre4",
		.hex = "02000000000102000000000208004500001c00010000402faca50a010203c0000209"
		       "0000080061626364",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 47, 14, 28, 34, 34, 8, 0, 0),
	},
	{
		.name = "echo4",
		.hex = "020000000001020000000002080045000026000100004001acc90a010203c0000209"
		       "0800d50e1234000168656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 1, 14, 38, 34, 42, 10, 4660, 4660),
	},
	{
		.name = "reply4",
		.hex = "020000000001020000000002080045000026000100004001acc90a010203c0000209"
		       "0000dd0e1234000168656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 1, 14, 38, 34, 42, 10, 4660, 4660),
	},
	{
		.name = "unreachable4",
		.hex = "0200000000010200000000020800450000420001000040017cafcb007101c0000209"
		       "0303e96400000000450000260001000040118e82c0000209c633640700359c400012"
		       "665468656c6c6f2065646765",
		.source = "198.51.100.7",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 17, 14, 66, 34, 42, 38, 40000, 53,
				     .is_icmp_error = true, .has_ports = true),
	},
	{
		.name = "exceeded4_echo",
		.hex = "0200000000010200000000020800450000380001000040017cb9cb007101c0000209"
		       "0b00f4ff000000004500001c000100000101cd9cc0000209c63364070800f7b1004d"
		       "0001",
		.source = "198.51.100.7",
		.target = "192.0.2.9",
		.expected =
			EXPECTED(FLOW_IPV4, 1, 14, 56, 34, 42, 28, 77, 77, .is_icmp_error = true),
	},
	{
		.name = "first4",
		.hex = "0200000000010200000000020800450000540007200040118c850a010203c0000209"
		       "9c400035006c0d0c7878787878787878787878787878787878787878787878787878"
		       "787878787878787878787878787878787878787878787878787878787878",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 17, 14, 84, 34, 42, 56, 40000, 53,
				     .is_fragment = true, .has_ports = true),
	},
	{
		.name = "later4",
		.hex = "020000000001020000000002080045000040000700084011ac910a010203c0000209"
		       "78787878787878787878787878787878787878787878787878787878787878787878"
		       "78787878787878787878",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected = EXPECTED(FLOW_IPV4, 17, 14, 64, 0, 34, 44, 0, 0, .is_fragment = true),
	},
	{
		.name = "tcp6",
		.hex = "02000000000102000000000286dd60000000001e064020010db80000000000000000"
		       "0000000320010db80001000000000000000000099c4001bb00000000000000005018"
		       "2000858c000068656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 6, 14, 70, 54, 74, 10, 40000, 443, .tcp_flags = 24,
				     .has_ports = true),
	},
	{
		.name = "udp6",
		.hex = "02000000000102000000000286dd600000000012114020010db80000000000000000"
		       "0000000320010db80001000000000000000000099c4000350012f71968656c6c6f20"
		       "65646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			EXPECTED(FLOW_IPV6, 17, 14, 58, 54, 62, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp_lite6",
		.hex = "02000000000102000000000286dd600000000012884020010db80000000000000000"
		       "0000000320010db80001000000000000000000099c4000350000f6b468656c6c6f20"
		       "65646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			EXPECTED(FLOW_IPV6, 136, 14, 58, 54, 62, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "udp6_extensions",
		.hex = "02000000000102000000000286dd60000000003a004020010db80000000000000000"
		       "0000000320010db80001000000000000000000093c000502000001002b0001020000"
		       "0100110200000000000020010db80000000000000000000000779c4000350012f719"
		       "68656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			EXPECTED(FLOW_IPV6, 17, 14, 98, 94, 102, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "atomic6",
		.hex = "02000000000102000000000286dd60000000001a2c4020010db80000000000000000"
		       "0000000320010db800010000000000000000000911000000000000019c4000350012"
		       "f71968656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			EXPECTED(FLOW_IPV6, 17, 14, 66, 62, 70, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "ah6",
		.hex = "02000000000102000000000286dd60000000002a334020010db80000000000000000"
		       "0000000320010db80001000000000000000000091104000000000001000000026969"
		       "696969696969696969699c4000350012f71968656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			EXPECTED(FLOW_IPV6, 17, 14, 82, 78, 86, 10, 40000, 53, .has_ports = true),
	},
	{
		.name = "echo6",
		.hex = "02000000000102000000000286dd6000000000123a4020010db80000000000000000"
		       "0000000320010db8000100000000000000000009800001431234000168656c6c6f20"
		       "65646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 58, 14, 58, 54, 62, 10, 4660, 4660),
	},
	{
		.name = "reply6",
		.hex = "02000000000102000000000286dd6000000000123a4020010db80000000000000000"
		       "0000000320010db8000100000000000000000009810000431234000168656c6c6f20"
		       "65646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 58, 14, 58, 54, 62, 10, 4660, 4660),
	},
	{
		.name = "solicit6",
		.hex = "02000000000102000000000286dd6000000000183aff20010db80000000000000000"
		       "0000000320010db80001000000000000000000098700ef6b0000000020010db80000"
		       "00000000000000000009",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 58, 14, 64, 54, 62, 16, 0, 0),
	},
	{
		.name = "too_big6",
		.hex = "02000000000102000000000286dd6000000000443a4020010db8000f000000000000"
		       "0000000120010db8000100000000000000000009020036bb00000500600000000014"
		       "064020010db800010000000000000000000920010db8000200000000000000000007"
		       "01bb9c4000000000000000005002200096620000",
		.source = "2001:db8:2::7",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 6, 14, 108, 54, 62, 60, 40000, 443,
				     .is_icmp_error = true, .has_ports = true),
	},
	{
		.name = "exceeded6_fragment",
		.hex = "02000000000102000000000286dd6000000000403a4020010db8000f000000000000"
		       "0000000120010db80001000000000000000000090300ff1b000000006000000004b0"
		       "2c4020010db800010000000000000000000920010db8000200000000000000000007"
		       "110000010000000500359c400bb8fc33",
		.source = "2001:db8:2::7",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 17, 14, 104, 54, 62, 56, 40000, 53,
				     .is_icmp_error = true, .has_ports = true),
	},
	{
		.name = "first6",
		.hex = "02000000000102000000000286dd6000000000482c4020010db80000000000000000"
		       "0000000320010db800010000000000000000000911000001000000099c4000350064"
		       "11117979797979797979797979797979797979797979797979797979797979797979"
		       "797979797979797979797979797979797979797979797979",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 17, 14, 112, 62, 70, 56, 40000, 53,
				     .is_fragment = true, .has_ports = true),
	},
	{
		.name = "later6",
		.hex = "02000000000102000000000286dd60000000002c2c4020010db80000000000000000"
		       "0000000320010db800010000000000000000000911000040000000097a7a7a7a7a7a"
		       "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 17, 14, 84, 0, 62, 36, 0, 0, .is_fragment = true),
	},
	{
		.name = "no_next6",
		.hex = "02000000000102000000000286dd6000000000043b4020010db80000000000000000"
		       "0000000320010db800010000000000000000000961626364",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 59, 14, 44, 0, 54, 4, 0, 0),
	},
	{
		.name = "esp6",
		.hex = "02000000000102000000000286dd600000000010324020010db80000000000000000"
		       "0000000320010db80001000000000000000000090000000100000001616263646566"
		       "6768",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected = EXPECTED(FLOW_IPV6, 50, 14, 56, 54, 54, 16, 0, 0),
	},
	{
		.name = "lldp",
		.hex = "0180c200000e02000000000288cc0207040200000000020000",
		.expected = EXPECTED(FLOW_OTHER, 0, 14, 0, 0, 0, 0, 0, 0),
	},
};
const size_t flow_samples_count = EOS_ARRAY_SIZE(flow_samples);

static uint8_t digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

uint32_t flow_sample_frame(const struct flow_sample *sample, uint8_t out[FLOW_SAMPLE_MAX])
{
	size_t len = strlen(sample->hex) / 2;

	assert_in_range(len, 1, FLOW_SAMPLE_MAX);
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(digit(sample->hex[2 * i]) << 4 | digit(sample->hex[2 * i + 1]));
	return (uint32_t)len;
}

uint32_t flow_sample_named(const char *name, uint8_t out[FLOW_SAMPLE_MAX])
{
	for (size_t i = 0; i < flow_samples_count; i++)
		if (strcmp(flow_samples[i].name, name) == 0)
			return flow_sample_frame(&flow_samples[i], out);
	fail_msg("there is no sample %s", name);
	return 0;
}

enum flow_kind flow_parse_exact(const uint8_t *frame, uint32_t len, struct flow_packet *packet)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);

	assert_non_null(copy);
	memcpy(copy, frame, len);
	enum flow_kind kind = flow_parse(copy, len, packet);

	free(copy);
	return kind;
}

void flow_test_address(const char *text, uint8_t out[16])
{
	char mapped[64];

	if (strchr(text, ':') == NULL) {
		snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
		text = mapped;
	}
	assert_int_equal(inet_pton(AF_INET6, text, out), 1);
}

void flow_check_packet(const struct flow_packet *packet, uint32_t len)
{
	static const struct flow_packet nothing;
	struct flow_packet other = *packet;

	assert_true(packet->kind <= FLOW_IPV6);
	if (packet->is_bad) {
		other.is_bad = false;
		other.vlan = other.inner_vlan = 0;
		assert_memory_equal(&other, &nothing, sizeof(other));
		return;
	}
	assert_true(packet->l3_offset >= 14 && packet->l3_offset + packet->l3_len <= len);
	if (packet->kind != FLOW_IPV4 && packet->kind != FLOW_IPV6) {
		assert_true(packet->l4_offset == 0 && packet->payload_offset == 0);
		return;
	}
	uint32_t end = (uint32_t)packet->l3_offset + packet->l3_len;

	if (packet->l4_offset != 0)
		assert_in_range(packet->l4_offset, packet->l3_offset + 20, packet->payload_offset);
	assert_in_range(packet->payload_offset, packet->l3_offset + 20, end);
	assert_true(packet->payload_offset + packet->payload_len <= end);
	assert_true(packet->l4_offset != 0 || !(packet->has_ports || packet->is_icmp_error));
}
