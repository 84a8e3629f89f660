#include "flow/flow_test_fixture.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct flow_sample flow_samples[] = {
	{
		.name = "arp",
		.hex = "020000000001020000000002080600010800060400010200000000020a01020300000000000"
		       "0"
		       "c0000209",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_ARP,
				.l3_offset = 14,
				.l3_len = 28,
			},
	},
	{
		.name = "tcp4",
		.hex = "02000000000102000000000208004500003a000100004006acb00a010203c00002099c4001b"
		       "b"
		       "000000000000000070122000e7390000020405b40103030768656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 6,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 62,
				.l3_len = 58,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 443,
				.has_ports = true,
				.tcp_flags = 18,
			},
	},
	{
		.name = "udp4",
		.hex = "020000000001020000000002080045000026000100004011acb90a010203c00002099c40003"
		       "5"
		       "0012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp4_odd",
		.hex = "020000000001020000000002080045000027000100004011acb80a010203c00002099c40003"
		       "5"
		       "0013638968656c6c6f206564676521",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 39,
				.payload_len = 11,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp4_absent",
		.hex = "020000000001020000000002080045000026000100004011acb90a010203c00002099c40003"
		       "5"
		       "0012000068656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp4_padded",
		.hex = "02000000000102000000000208004500001d000100004011acc20a010203c00002099c40003"
		       "5"
		       "00091d5978eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 29,
				.payload_len = 1,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp4_slack",
		.hex = "02000000000102000000000208004500002c000100004011acb30a010203c00002099c40003"
		       "5"
		       "0012848b68656c6c6f2065646765736c61636b21",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 44,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp4_tag",
		.hex = "02000000000102000000000281000064080045000026000100004011acb90a010203c000020"
		       "9"
		       "9c4000350012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 18,
				.l4_offset = 38,
				.payload_offset = 46,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.vlan = 100,
			},
	},
	{
		.name = "udp4_tags",
		.hex = "02000000000102000000000288a80064810000c8080045000026000100004011acb90a01020"
		       "3"
		       "c00002099c4000350012848b68656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 22,
				.l4_offset = 42,
				.payload_offset = 50,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.vlan = 100,
				.inner_vlan = 200,
			},
	},
	{
		.name = "udp_lite4",
		.hex = "020000000001020000000002080045000026000100004088ac420a010203c00002099c40003"
		       "5"
		       "000cc00468656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 136,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "tcp4_options",
		.hex = "0200000000010200000000020800470000300001000040069ea90a010203c00002090107070"
		       "4"
		       "010203049c4001bb00000000000000005001200023db0000",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 6,
				.l3_offset = 14,
				.l4_offset = 42,
				.payload_offset = 62,
				.l3_len = 48,
				.source_port = 40000,
				.target_port = 443,
				.has_ports = true,
				.tcp_flags = 1,
			},
	},
	{
		.name = "sctp4",
		.hex = "020000000001020000000002080045000034000100004084ac380a010203c00002099c4001b"
		       "b"
		       "000000003f8d43080100001400000001000000000000000000000000",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 132,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 46,
				.l3_len = 52,
				.payload_len = 20,
				.source_port = 40000,
				.target_port = 443,
				.has_ports = true,
			},
	},
	{
		.name = "gre4",
		.hex = "02000000000102000000000208004500001c00010000402faca50a010203c00002090000080"
		       "0"
		       "61626364",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 47,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 34,
				.l3_len = 28,
				.payload_len = 8,
			},
	},
	{
		.name = "echo4",
		.hex = "020000000001020000000002080045000026000100004001acc90a010203c00002090800d50"
		       "e"
		       "1234000168656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 1,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 4660,
				.target_port = 4660,
			},
	},
	{
		.name = "reply4",
		.hex = "020000000001020000000002080045000026000100004001acc90a010203c00002090000dd0"
		       "e"
		       "1234000168656c6c6f2065646765",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 1,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 38,
				.payload_len = 10,
				.source_port = 4660,
				.target_port = 4660,
			},
	},
	{
		.name = "unreachable4",
		.hex = "0200000000010200000000020800450000420001000040017cafcb007101c00002090303e96"
		       "4"
		       "00000000450000260001000040118e82c0000209c633640700359c400012665468656c6c6f2"
		       "0"
		       "65646765",
		.source = "198.51.100.7",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 66,
				.payload_len = 38,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.is_icmp_error = true,
			},
	},
	{
		.name = "exceeded4_echo",
		.hex = "0200000000010200000000020800450000380001000040017cb9cb007101c00002090b00f4f"
		       "f"
		       "000000004500001c000100000101cd9cc0000209c63364070800f7b1004d0001",
		.source = "198.51.100.7",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 1,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 56,
				.payload_len = 28,
				.source_port = 77,
				.target_port = 77,
				.is_icmp_error = true,
			},
	},
	{
		.name = "first4",
		.hex = "0200000000010200000000020800450000540007200040118c850a010203c00002099c40003"
		       "5"
		       "006c0d0c7878787878787878787878787878787878787878787878787878787878787878787"
		       "8"
		       "78787878787878787878787878787878787878787878",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 34,
				.payload_offset = 42,
				.l3_len = 84,
				.payload_len = 56,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.is_fragment = true,
			},
	},
	{
		.name = "later4",
		.hex = "020000000001020000000002080045000040000700084011ac910a010203c00002097878787"
		       "8"
		       "787878787878787878787878787878787878787878787878787878787878787878787878787"
		       "8"
		       "7878",
		.source = "10.1.2.3",
		.target = "192.0.2.9",
		.expected =
			{
				.kind = FLOW_IPV4,
				.proto = 17,
				.l3_offset = 14,
				.payload_offset = 34,
				.l3_len = 64,
				.payload_len = 44,
				.is_fragment = true,
			},
	},
	{
		.name = "tcp6",
		.hex = "02000000000102000000000286dd60000000001e064020010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000099c4001bb000000000000000050182000858c0000686"
		       "5"
		       "6c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 6,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 74,
				.l3_len = 70,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 443,
				.has_ports = true,
				.tcp_flags = 24,
			},
	},
	{
		.name = "udp6",
		.hex = "02000000000102000000000286dd600000000012114020010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000099c4000350012f71968656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 58,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp_lite6",
		.hex = "02000000000102000000000286dd600000000012884020010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000099c4000350000f6b468656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 136,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 58,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "udp6_extensions",
		.hex = "02000000000102000000000286dd60000000003a004020010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000093c000502000001002b0001020000010011020000000"
		       "0"
		       "000020010db80000000000000000000000779c4000350012f71968656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 94,
				.payload_offset = 102,
				.l3_len = 98,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "atomic6",
		.hex = "02000000000102000000000286dd60000000001a2c4020010db800000000000000000000000"
		       "3"
		       "20010db800010000000000000000000911000000000000019c4000350012f71968656c6c6f2"
		       "0"
		       "65646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 62,
				.payload_offset = 70,
				.l3_len = 66,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "ah6",
		.hex = "02000000000102000000000286dd60000000002a334020010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000091104000000000001000000026969696969696969696"
		       "9"
		       "69699c4000350012f71968656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 78,
				.payload_offset = 86,
				.l3_len = 82,
				.payload_len = 10,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
			},
	},
	{
		.name = "echo6",
		.hex = "02000000000102000000000286dd6000000000123a4020010db800000000000000000000000"
		       "3"
		       "20010db8000100000000000000000009800001431234000168656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 58,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 58,
				.payload_len = 10,
				.source_port = 4660,
				.target_port = 4660,
			},
	},
	{
		.name = "reply6",
		.hex = "02000000000102000000000286dd6000000000123a4020010db800000000000000000000000"
		       "3"
		       "20010db8000100000000000000000009810000431234000168656c6c6f2065646765",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 58,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 58,
				.payload_len = 10,
				.source_port = 4660,
				.target_port = 4660,
			},
	},
	{
		.name = "solicit6",
		.hex = "02000000000102000000000286dd6000000000183aff20010db800000000000000000000000"
		       "3"
		       "20010db80001000000000000000000098700ef6b0000000020010db80000000000000000000"
		       "0"
		       "0009",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 58,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 64,
				.payload_len = 16,
			},
	},
	{
		.name = "too_big6",
		.hex = "02000000000102000000000286dd6000000000443a4020010db8000f0000000000000000000"
		       "1"
		       "20010db8000100000000000000000009020036bb00000500600000000014064020010db8000"
		       "1"
		       "0000000000000000000920010db800020000000000000000000701bb9c40000000000000000"
		       "0"
		       "5002200096620000",
		.source = "2001:db8:2::7",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 6,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 108,
				.payload_len = 60,
				.source_port = 40000,
				.target_port = 443,
				.has_ports = true,
				.is_icmp_error = true,
			},
	},
	{
		.name = "exceeded6_fragment",
		.hex = "02000000000102000000000286dd6000000000403a4020010db8000f0000000000000000000"
		       "1"
		       "20010db80001000000000000000000090300ff1b000000006000000004b02c4020010db8000"
		       "1"
		       "0000000000000000000920010db8000200000000000000000007110000010000000500359c4"
		       "0"
		       "0bb8fc33",
		.source = "2001:db8:2::7",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 62,
				.l3_len = 104,
				.payload_len = 56,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.is_icmp_error = true,
			},
	},
	{
		.name = "first6",
		.hex = "02000000000102000000000286dd6000000000482c4020010db800000000000000000000000"
		       "3"
		       "20010db800010000000000000000000911000001000000099c4000350064111179797979797"
		       "9"
		       "797979797979797979797979797979797979797979797979797979797979797979797979797"
		       "9"
		       "797979797979797979797979",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.l4_offset = 62,
				.payload_offset = 70,
				.l3_len = 112,
				.payload_len = 56,
				.source_port = 40000,
				.target_port = 53,
				.has_ports = true,
				.is_fragment = true,
			},
	},
	{
		.name = "later6",
		.hex = "02000000000102000000000286dd60000000002c2c4020010db800000000000000000000000"
		       "3"
		       "20010db800010000000000000000000911000040000000097a7a7a7a7a7a7a7a7a7a7a7a7a7"
		       "a"
		       "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 17,
				.l3_offset = 14,
				.payload_offset = 62,
				.l3_len = 84,
				.payload_len = 36,
				.is_fragment = true,
			},
	},
	{
		.name = "no_next6",
		.hex = "02000000000102000000000286dd6000000000043b4020010db800000000000000000000000"
		       "3"
		       "20010db800010000000000000000000961626364",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 59,
				.l3_offset = 14,
				.payload_offset = 54,
				.l3_len = 44,
				.payload_len = 4,
			},
	},
	{
		.name = "esp6",
		.hex = "02000000000102000000000286dd600000000010324020010db800000000000000000000000"
		       "3"
		       "20010db800010000000000000000000900000001000000016162636465666768",
		.source = "2001:db8::3",
		.target = "2001:db8:1::9",
		.expected =
			{
				.kind = FLOW_IPV6,
				.proto = 50,
				.l3_offset = 14,
				.l4_offset = 54,
				.payload_offset = 54,
				.l3_len = 56,
				.payload_len = 16,
			},
	},
	{
		.name = "lldp",
		.hex = "0180c200000e02000000000288cc0207040200000000020000",
		.expected =
			{
				.kind = FLOW_OTHER,
				.l3_offset = 14,
			},
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
