/*
 * Manifests and configurations: what is taken, what is refused and with which words; which packets
 * a match takes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "plane/plane_address.h"
#include "plane/plane_config.h"
#include "plane/plane_manifest.h"

static struct plane_manifest *decode(const char *text, struct eos_why *why)
{
	struct eos_doc *doc;
	struct plane_manifest *manifest = NULL;
	assert_int_equal(eos_doc_parse_yaml("c.yaml", text, strlen(text), &doc, why), 0);
	int err = plane_manifest_decode(eos_doc_root(doc), &manifest, why);
	assert_true((err == 0) == (manifest != NULL));
	eos_doc_free(doc);
	return manifest;
}

static void test_chain(void **state)
{
	(void)state;
	struct eos_why why = {""};
	struct plane_manifest *m =
		decode("chain: subscriber\n"
		       "tenant: acme\n"
		       "match: {port: lan, proto: udp, source: 10.1.2.3/8, "
		       "target_port: 1000-1999}\n"
		       "isolation: client\n"
		       "idle: 45s\n"
		       "limits: {memory: 2MiB, timeout: 5ms, chains: 7}\n"
		       "stages: [firewall.click, {image: ratelimit.wasm, config: "
		       "{rate: 10Mbit}}]\n"
		       "out: wan\n"
		       "next: {cache: dmz}\n",
		       &why);
	assert_string_equal(why.text, "");
	assert_non_null(m);
	assert_string_equal(m->name, "subscriber");
	assert_string_equal(m->tenant, "acme");
	assert_string_equal(m->match.port, "lan");
	assert_int_equal(m->match.proto, 17);
	assert_int_equal(m->match.source_bits, 104);
	assert_int_equal(m->match.source[12], 10);
	assert_int_equal(m->match.source[13], 0);
	assert_int_equal(m->match.target_port, 1000);
	assert_int_equal(m->match.target_port_last, 1999);
	assert_int_equal(m->isolation, CHAIN_PER_CLIENT);
	assert_int_equal(m->idle_ns, 45 * EOS_NS_PER_S);
	assert_int_equal(m->memory_bytes, 2 << 20);
	assert_int_equal(m->timeout_ns, 5 * EOS_NS_PER_MS);
	assert_int_equal(m->chains_max, 7);
	assert_int_equal(m->stages_count, 2);
	assert_string_equal(m->stages[0].image, "firewall.click");
	assert_string_equal(m->stages[1].settings[0].key, "rate");
	assert_string_equal(m->stages[1].settings[0].value, "10Mbit");
	assert_string_equal(m->out, "wan");
	assert_string_equal(m->next[0].name, "cache");
	assert_string_equal(m->next[0].port, "dmz");
	plane_manifest_free(m);
}

static void test_endpoint(void **state)
{
	(void)state;
	struct eos_why why = {""};
	struct plane_manifest *m = decode("chain: cache\n"
					  "endpoint: {udp: 20000-20999, address: 127.0.0.1}\n"
					  "isolation: {fixed: 4}\n"
					  "stages: [memcached.wasm]\n",
					  &why);
	assert_non_null(m);
	assert_true(m->has_endpoint);
	assert_string_equal(m->endpoint.port, "kernel");
	assert_int_equal(m->endpoint.first, 20000);
	assert_int_equal(m->endpoint.last, 20999);
	assert_int_equal(m->isolation, CHAIN_FIXED);
	assert_int_equal(m->fixed_count, 4);
	assert_string_equal(m->tenant, "default");
	assert_int_equal(m->memory_bytes, 16 << 20);
	plane_manifest_free(m);
}

static void test_tls(void **state)
{
	(void)state;
	struct eos_why why = {""};
	struct plane_manifest *m =
		decode("chain: proxy\n"
		       "endpoint:\n"
		       "  tcp: 8443\n"
		       "  tls: {certificate: a.pem, key: b/c.key, protocols: [http/1.1, x], "
		       "client_ca: ca.pem}\n"
		       "stages: [p.wasm]\n"
		       "out: tcp:127.0.0.1:8080\n"
		       "next: {api: 'tcp:[2001:db8::7]:81'}\n",
		       &why);
	assert_string_equal(why.text, "");
	assert_non_null(m);
	assert_true(m->endpoint.has_tls && m->endpoint.is_tcp);
	assert_string_equal(m->endpoint.tls.files[PLANE_TLS_CERTIFICATE], "a.pem");
	assert_string_equal(m->endpoint.tls.files[PLANE_TLS_KEY], "b/c.key");
	assert_string_equal(m->endpoint.tls.files[PLANE_TLS_CLIENT_CA], "ca.pem");
	assert_int_equal(m->endpoint.tls.protocols_count, 2);
	assert_string_equal(m->endpoint.tls.protocols[0], "http/1.1");
	assert_int_equal(plane_manifest_files(m), 4);
	assert_int_equal(m->out_target.port, 8080);
	assert_int_equal(m->out_target.address[12], 127);
	assert_string_equal(m->out, "");
	assert_int_equal(m->next_count, 1);
	assert_string_equal(m->next[0].name, "api");
	assert_int_equal(m->next[0].target.port, 81);
	assert_int_equal(m->next[0].target.address[0], 0x20);
	plane_manifest_free(m);
	m = decode("chain: p\nendpoint: {tcp: 1, tls: {certificate: a, key: b}}\nstages: [p, q]\n",
		   &why);
	assert_non_null(m);
	assert_int_equal(plane_manifest_files(m), 4);
	assert_int_equal(m->endpoint.tls.protocols_count, 0);
	assert_int_equal(m->out_target.port, 0);
	plane_manifest_free(m);
}

/* What TLS and ways out of endpoints cannot be. */
static void test_endpoint_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"endpoint: {udp: 1, tls: {certificate: a, key: b}}",
		 "c.yaml:2: endpoint: tls: only"},
		{"endpoint: {tcp: 1, tls: {certificate: a}}", "tls: key: the name"},
		{"endpoint: {tcp: 1, tls: {key: a}}", "tls: certificate: the name"},
		{"endpoint: {tcp: 1, tls: {certificate: '', key: b}}",
		 "tls: certificate: the name"},
		{"endpoint: {tcp: 1, tls: {certificate: a, key: b, client_ca: ''}}",
		 "tls: client_ca"},
		{"endpoint: {tcp: 1, tls: {certificate: a, key: b, ciphers: c}}", "ciphers"},
		{"endpoint: {tcp: 1, tls: a.pem}", "c.yaml:2:"},
		{"endpoint: {tcp: 1, tls: {certificate: a, key: b, protocols: h2}}", "not a list"},
		{"endpoint: {tcp: 1, tls: {certificate: a, key: b, protocols: ['']}}", "1 to 32"},
		{"endpoint: {tcp: 1, tls: {certificate: a, key: b, protocols: "
		 "[a, b, c, d, e, f, g, h, i]}}",
		 "up to 8"},
		{"endpoint: {udp: 1}\nout: tcp:10.0.0.1:80", "c.yaml:3: an endpoint for UDP"},
		{"endpoint: {udp: 1}\nnext: {a: 'tcp:10.0.0.1:80'}", "an endpoint for UDP"},
		{"endpoint: {tcp: 1}\nout: wan", "c.yaml:3: out: not an address"},
		{"endpoint: {tcp: 1}\nout: tcp:example.com:80", "names are not looked up"},
		{"endpoint: {tcp: 1}\nout: tcp:10.0.0.1", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: tcp:10.0.0.1:0", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: tcp:10.0.0.1:65536", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: tcp:10.0.0.1/8:80", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: tcp:0.0.0.0:80", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:[::]:80'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:::1:80'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:[10.0.0.1]:80'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:[::1:80'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:]:80'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: 'tcp:'", "out: not an address"},
		{"endpoint: {tcp: 1}\nout: udp:10.0.0.1:80", "out: not an address"},
		{"endpoint: {tcp: 1}\nnext: {a: wan}", "a: not an address"},
		{"endpoint: {tcp: 1}\nnext: [a]", "next: not a map"},
		{"match: {port: a}\nout: tcp:10.0.0.1:80", "out: not a name"},
	};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		char text[512];
		struct eos_why why = {""};
		snprintf(text, sizeof(text), "chain: a\n%s\nstages: [s]\n", cases[i].text);
		assert_null(decode(text, &why));
		if (strstr(why.text, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why.text);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"stages: [a.wasm]\nmatch: {port: a}\n", "c.yaml:1: chain: is missing"},
		{"chain: a\nmatch: {port: a}\n", "stages: must be a list"},
		{"chain: a\nmatch: {port: a}\nstages: []\n", "stages: must be a list"},
		{"chain: a\nstages: [a.wasm]\n", "needs either match"},
		{"chain: a\nmatch: {port: a}\nendpoint: {udp: 5}\nstages: [a]\n", "either match"},
		{"chain: 1a\nmatch: {port: a}\nstages: [a]\n", "c.yaml:1: chain: not a name"},
		{"chain: ../a\nmatch: {port: a}\nstages: [a]\n", "chain: not a name"},
		{"chain: a\nmatch: {port: a, proto: quic}\nstages: [a]\n",
		 "c.yaml:2: proto: not any"},
		{"chain: a\nmatch: {port: a, source: 10.0.0/8}\nstages: [a]\n", "source: not an"},
		{"chain: a\nmatch: {port: a, source: 10.0.0.0/33}\nstages: [a]\n",
		 "source: not an"},
		{"chain: a\nmatch: {port: a, target_port: 9-8}\nstages: [a]\n",
		 "target_port: not a"},
		{"chain: a\nmatch: {port: a, target_port: 65536}\nstages: [a]\n",
		 "target_port: not"},
		{"chain: a\nmatch: {port: kernel}\nstages: [a]\n", "use endpoint"},
		{"chain: a\nmatch: {port: a}\nstages: [a]\nisolation: request\n", "isolation: not"},
		{"chain: a\nmatch: {port: a}\nstages: [a]\nisolation: {fixed: 0}\n", "fixed"},
		{"chain: a\nmatch: {port: a}\nstages: [a]\nidel: 3s\n", "c.yaml:4:"},
		{"chain: a\nmatch: {port: a}\nstages: [{image: a, config: {a: }}]\n",
		 "a: has no value"},
		{"chain: a\nmatch: {port: a}\nstages: [{config: {a: b}}]\n",
		 "a stage is FILE.click"},
		{"chain: a\nendpoint: {tcp: 5, port: lan}\nstages: [a]\n", "tcp: only on"},
		{"chain: a\nendpoint: {tcp: 5, udp: 6}\nstages: [a]\n", "needs udp or tcp"},
		{"chain: a\nendpoint: {udp: 1-5000}\nstages: [a]\n", "more than 4096 port"},
		{"chain: a\nendpoint: {udp: 5}\nout: wan\nstages: [a]\n", "has no out"},
		{"chain: a\nendpoint: {udp: 5, address: host}\nstages: [a]\n", "not an IP address"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct eos_why why = {""};
		struct plane_manifest *m = decode(cases[i].text, &why);
		assert_null(m);
		if (strstr(why.text, cases[i].why) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, why.text,
				 cases[i].why);
	}
}

static struct flow_packet packet_of(uint8_t proto, const char *source, uint16_t target_port)
{
	struct flow_packet packet = {
		.kind = FLOW_IPV4, .proto = proto, .has_ports = true, .target_port = target_port};
	uint8_t bits;
	assert_true(plane_address_parse(source, packet.source, &bits));
	return packet;
}

static void test_match(void **state)
{
	(void)state;
	struct plane_match match = {.proto = 17, .target_port = 53, .target_port_last = 60};
	assert_true(plane_address_parse("10.0.0.0/9", match.source, &match.source_bits));
	struct flow_packet packet = packet_of(17, "10.127.255.255", 60);
	assert_true(plane_match_takes(&match, &packet));
	packet = packet_of(17, "10.128.0.0", 60);
	assert_false(plane_match_takes(&match, &packet));
	packet = packet_of(6, "10.1.1.1", 60);
	assert_false(plane_match_takes(&match, &packet));
	packet = packet_of(17, "10.1.1.1", 61);
	assert_false(plane_match_takes(&match, &packet));
	packet = packet_of(17, "10.1.1.1", 53);
	packet.is_fragment = true;
	assert_false(plane_match_takes(&match, &packet));
	match.has_fragments = true;
	assert_true(plane_match_takes(&match, &packet));
	packet.has_ports = false;
	assert_false(plane_match_takes(&match, &packet));
	packet.is_bad = true;
	assert_false(plane_match_takes(&match, &packet));
	match.is_any = true;
	assert_true(plane_match_takes(&match, &packet));
}

static int configure(const char *text, struct plane_config *config, struct eos_why *why)
{
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_yaml("n.yaml", text, strlen(text), &doc, why), 0);
	plane_config_init(config);
	int err = plane_config_decode(eos_doc_root(doc), config, why);
	eos_doc_free(doc);
	return err;
}

static void test_config(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"ports: {kernel: {device: \"null\"}}", "cannot have the name"},
		{"ports: {lan: {}}", "device: is missing"},
		{"ports: {lan: {device: x, mac: 01:00:00:00:00:00}}", "group"},
		{"ports: {lan: {device: x, mac: \"02:00:00:00:00\"}}", "mac: not"},
		{"ports: {lan: {device: x, vlan: 4095}}", "vlan"},
		{"ports: {lan: {device: x, addresses: [10.0.0.1/40]}}", "addresses: not"},
		{"processor: first", "processor: not"},
		{"cores: 0", "cores"},
		{"cores: 17", "cores"},
		{"chains: 65537", "chains: must be from 1 to 65536"},
		{"cores: 2\nchains: 131073", "chains: must be from 1 to 131072"},
		{"frames: 2047", "frames: must be from 2048 to 1048576"},
		{"frames: 1048577", "frames: must be from 2048 to 1048576"},
		{"fwps: 16001", "fwps: must be from 1 to 16000"},
		{"ports: {a: {device: \"null\", mac: \"-2:00:00:00:00:00\"}}", "mac: not"},
		{"watchdog: 999ms", "watchdog: neither"},
		{"watchdog: 25h", "watchdog"},
		{"port: {}", "port"},
	};
	struct plane_config config;
	struct eos_why why = {""};
	assert_int_equal(
		configure("processor: 1\ncores: 3\n"
			  "memory: 128MiB\n"
			  "ports:\n"
			  "  lan: {device: \"af_packet:veth0\", addresses: [10.0.0.1/24, "
			  "\"fd00::1/64\"], mac: \"02:00:00:00:00:01\", vlan: 7}\n"
			  "  wan: {device: \"tap:wan0\", mtu: 9000, gateway: 10.0.0.254}\n",
			  &config, &why),
		0);
	assert_int_equal(config.processor, 1);
	assert_int_equal(config.cores, 3);
	assert_int_equal(config.watchdog_ns, PLANE_WATCHDOG_NS);
	assert_int_equal(config.memory_mib, 128);
	assert_int_equal(config.ports_count, 2);
	assert_string_equal(config.ports[0].device, "af_packet:veth0");
	assert_int_equal(config.ports[0].addresses[0].bits, 120);
	assert_int_equal(config.ports[0].addresses[1].bits, 64);
	assert_int_equal(config.ports[0].mac[5], 1);
	assert_int_equal(config.ports[1].mtu, 9000);
	assert_true(config.ports[1].has_gateway);
	assert_int_equal(configure("cores: 2\nchains: 131072\nfwps: 16000", &config, &why), 0);
	assert_int_equal(config.chains_max, 131072);
	assert_int_equal(config.fwps_max, 16000);
	assert_int_equal(configure("watchdog: 0", &config, &why), 0);
	assert_int_equal(config.watchdog_ns, 0);
	assert_int_equal(configure("watchdog: 1s", &config, &why), 0);
	assert_int_equal(config.watchdog_ns, PLANE_WATCHDOG_NS_MIN);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		why.text[0] = '\0';
		assert_int_equal(configure(cases[i].text, &config, &why), -EINVAL);
		if (strstr(why.text, cases[i].why) == NULL)
			fail_msg("%s: \"%s\"", cases[i].text, why.text);
	}
}

/* DPDK looks for PCI devices if, and only if, a port is on one. */
static void test_pci(void **state)
{
	static const struct {
		const char *text;
		bool has_pci;
	} cases[] = {
		{"{}", false},
		{"ports: {a: {device: \"tap:pci:0\"}, b: {device: \"null\"}}", false},
		{"ports: {a: {device: \"pci:0000:01:00.0\"}}", true},
		{"ports: {a: {device: \"null\"}, b: {device: \"pci:0000:01:00.0\"}}", true},
	};
	struct plane_config config;
	struct eos_why why = {""};
	(void)state;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		assert_int_equal(configure(cases[i].text, &config, &why), 0);
		assert_int_equal(plane_config_has_pci(&config), cases[i].has_pci);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chain),	cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_tls),	cmocka_unit_test(test_endpoint_refused),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_match),
		cmocka_unit_test(test_config),	cmocka_unit_test(test_pci),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
