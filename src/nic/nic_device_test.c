/* Descriptions of devices: what each becomes, and that nothing gets into DPDK's arguments. */
#include "nic/nic.h"
#include "nic/nic_device_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, const struct nic_device_wants *wants, struct nic_device *device)
{
	static const struct nic_device_wants plain = {.slot = 3, .queues = 1, .mtu = 1500};
	struct eos_why why = {""};
	int err = nic_device_parse(text, wants != NULL ? wants : &plain, device, &why);
	assert_true((err < 0) == (why.text[0] != '\0'));
	return err;
}

static void test_kinds(void **state)
{
	static const struct {
		const char *text, *name, *args;
	} cases[] = {
		{"af_xdp:eth0", "net_af_xdp3",
		 "iface=eth0,start_queue=0,queue_count=1,busy_budget=0"},
		{"af_packet:br-lan.7", "net_af_packet3",
		 "iface=br-lan.7,qpairs=1,blocksz=4096,framesz=2048,framecnt=2048"},
		{"tap:edge_0", "net_tap3", "iface=edge_0,mac=fixed"},
		{"memif:/run/a.sock,role=server,id=7", "net_memif3",
		 "role=server,id=7,socket=/run/a.sock,socket-abstract=no,bsize=2048"},
		{"memif:/run/a.sock", "net_memif3",
		 "role=client,id=0,socket=/run/a.sock,socket-abstract=no,bsize=2048"},
		{"vhost:/run/v", "net_vhost3", "iface=/run/v,queues=1,client=0"},
		{"vhost:/run/v,role=client", "net_vhost3", "iface=/run/v,queues=1,client=1"},
		{"virtio_user:/run/v", "net_virtio_user3", "path=/run/v,queues=1,queue_size=512"},
		{"pcap:/tmp/in.pcap,/tmp/out.pcap", "net_pcap3",
		 "rx_pcap=/tmp/in.pcap,tx_pcap=/tmp/out.pcap"},
		{"null", "net_null3", ""},
		{"ring", "net_ring3", ""},
		{"pci:0000:01:00.0", "0000:01:00.0", ""},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct nic_device device;
		assert_int_equal(parse(cases[i].text, NULL, &device), 0);
		assert_string_equal(device.name, cases[i].name);
		assert_string_equal(device.args, cases[i].args);
		assert_string_equal(device.bus, i == 11 ? "pci" : "vdev");
	}
}

static void test_wants(void **state)
{
	const struct nic_device_wants wants = {
		.slot = 0, .queues = 4, .mtu = 9000, .mac = {2, 0, 0, 0, 0, 0xfe}};
	struct nic_device device;
	assert_int_equal(parse("af_packet:eth0", &wants, &device), 0);
	assert_string_equal(device.args,
			    "iface=eth0,qpairs=4,blocksz=36864,framesz=9216,framecnt=2048");
	assert_string_equal(device.interface, "eth0");
	assert_int_equal(parse("tap:t0", &wants, &device), 0);
	assert_string_equal(device.args, "iface=t0,mac=02:00:00:00:00:fe");
	assert_int_equal(parse("virtio_user:/v", &wants, &device), 0);
	assert_string_equal(device.args, "path=/v,queues=4,queue_size=512,mac=02:00:00:00:00:fe");
	assert_false(device.listens);
	assert_int_equal(parse("virtio_user:/v,role=server", &wants, &device), -ENOTSUP);
	assert_int_equal(parse("virtio_user:/v", &wants, &device), 0);
	assert_string_equal(device.path, "/v");
	/* These have one queue. */
	assert_int_equal(parse("memif:/m", &wants, &device), -ENOTSUP);
	assert_int_equal(parse("pcap:/a,/b", &wants, &device), -ENOTSUP);
}

static void test_hostile(void **state)
{
	static const char *const texts[] = {
		"",
		":",
		"af_packet",
		"af_packet:",
		"af_packet:..",
		"af_packet:eth0,iface=eth1",
		"af_packet:eth0,qpairs=9",
		"af_packet:eth0=",
		"af_packet:sixteen_letters_",
		"af_packet:eth/0",
		"af_packet:eth 0",
		"af_packet:eth0\n",
		"af_packet:\xc3\xa4",
		"af_xdp:eth0,xdp_prog=/tmp/evil.o",
		"tap:t0,remote=eth0",
		"memif:relative.sock",
		"memif:/a,role=master",
		"memif:/a,role=server,role=client",
		"memif:/a,id=-1",
		"memif:/a,id=4294967296",
		"memif:/a,id=",
		"memif:/a,secret=x",
		"memif:/a b",
		"vhost:/a[1]",
		"vhost:/a,role",
		"virtio_user:/a,role=client,,",
		"virtio_user:/a\\,b",
		"pcap:/in",
		"pcap:/in,/out,/more",
		"pcap:/in,/out=x",
		"pcap:,/out",
		"pcap:/in,",
		"null:x",
		"null,size=9000",
		"ring:",
		"ring: ",
		"pci:",
		"pci:0000:01:00.8",
		"pci:0000:01:00.0,arg=1",
		"pci:0000:01:00.01",
		"pci:01:00.0",
		"net_bonding:x",
		"AF_PACKET:eth0",
	};
	struct nic_device device;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(texts); i++) {
		int err = parse(texts[i], NULL, &device);
		/* "ring:" has nothing behind it, which is what belongs there. */
		if (strcmp(texts[i], "ring:") == 0)
			assert_int_equal(err, 0);
		else if (err != -EINVAL)
			fail_msg("\"%s\": %d", texts[i], err);
	}
}

static void test_long(void **state)
{
	struct nic_device device;
	char text[1024];
	/* Paths of the longest length fit, whole; one more byte does not. */
	for (size_t len = 100; len < 300; len++) {
		(void)snprintf(text, sizeof(text), "vhost:/%0*d", (int)len - 1, 0);
		assert_int_equal(parse(text, NULL, &device), len < 108 ? 0 : -EINVAL);
		(void)snprintf(text, sizeof(text), "pcap:/%0*d,/%0*d", (int)len - 1, 0,
			       (int)len - 1, 0);
		int err = parse(text, NULL, &device);
		assert_int_equal(err, len < 256 ? 0 : -EINVAL);
		if (err == 0)
			assert_int_equal(strlen(device.args),
					 strlen("rx_pcap=,tx_pcap=") + 2 * len);
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse(text, NULL, &device), -EINVAL);
}

static void test_spreading(void **state)
{
	(void)state;
	assert_true(nic_device_can_spread("af_packet:eth0"));
	assert_true(nic_device_can_spread("tap:a"));
	assert_true(nic_device_can_spread("pci:0000:01:00.0"));
	/* Their other ends may have fewer queues. */
	assert_false(nic_device_can_spread("vhost:/s"));
	assert_false(nic_device_can_spread("null"));
	assert_false(nic_device_can_spread("af_pack"));
	assert_false(nic_device_can_spread("af_packets:eth0"));
	assert_false(nic_device_can_spread(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spreading), cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_wants),	  cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
