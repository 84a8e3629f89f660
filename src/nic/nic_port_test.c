/* Ports on devices that need neither rights nor hugepages: null, ring, and files of pcap. */
#include "nic/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"

#define FRAMES 4096u

static struct nic *nic;
static char folder[] = "/tmp/nic_port_test_XXXXXX";

static int set_up(void **state)
{
	struct eos_why why = {""};
	if (mkdtemp(folder) == NULL)
		return -1;
	const struct nic_config config = {
		.frames_max = FRAMES, .frame_bytes = 9100, .runtime_dir = folder};
	if (nic_new(&config, &nic, &why) < 0) {
		fprintf(stderr, "%s\n", why.text);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	nic = nic_free(nic);
	char command[128];
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct nic_port *open_port(const struct nic_port_config *config)
{
	struct nic_port *port = NULL;
	struct eos_why why = {""};
	int err = nic_port_open(nic, config, &port, &why);
	if (err < 0)
		fail_msg("%s", why.text);
	return port;
}

static void assert_refused(const struct nic_port_config *config, int expected, const char *word)
{
	struct nic_port *port = NULL;
	struct eos_why why = {""};
	assert_int_equal(nic_port_open(nic, config, &port, &why), expected);
	assert_null(port);
	if (strstr(why.text, word) == NULL)
		fail_msg("\"%s\" is not in: %s", word, why.text);
}

/* How many frames can be had now: what leaks is missing afterwards. */
static unsigned frames_free(void)
{
	static struct nic_frame frames[FRAMES];
	unsigned n = 0;
	while (n < FRAMES && nic_frame_new(nic, 60, &frames[n]) == 0)
		n++;
	nic_frames_free(frames, n);
	return n;
}

static struct nic_frame make_frame(uint32_t len, uint8_t fill)
{
	struct nic_frame frame;
	assert_int_equal(nic_frame_new(nic, len, &frame), 0);
	assert_int_equal(frame.len, len);
	assert_true(frame.headroom >= 64);
	memset(frame.data, fill, len);
	/* Not by chance a tagged one. */
	frame.data[12] = 0x08;
	frame.data[13] = 0x00;
	return frame;
}

static void test_once(void **state)
{
	struct nic *other = NULL;
	struct eos_why why = {""};
	const struct nic_config config = {0};
	assert_int_equal(nic_new(&config, &other, &why), -EBUSY);
	assert_null(other);
}

static void test_config(void **state)
{
	static const struct {
		struct nic_config config;
		const char *word;
	} cases[] = {
		{{.frames_max = 1}, "frames"},	 {{.frames_max = 1u << 30}, "frames"},
		{{.frame_bytes = 100}, "bytes"}, {{.frame_bytes = NIC_FRAME_MAX + 1}, "bytes"},
		{{.memory_mib = 16}, "MiB"},	 {{.memory_mib = 1u << 30}, "MiB"},
		{{.cores = ""}, "cores"},	 {{.cores = "1) --vdev=net_null0"}, "cores"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct nic *other = NULL;
		struct eos_why why = {""};
		assert_int_equal(nic_new(&cases[i].config, &other, &why), -EINVAL);
		assert_non_null(strstr(why.text, cases[i].word));
	}
}

static void test_frames(void **state)
{
	struct nic_frame frame;
	unsigned before = frames_free();
	assert_true(before > FRAMES / 2 && before <= FRAMES);
	assert_int_equal(nic_frame_new(nic, 0, &frame), -EMSGSIZE);
	assert_int_equal(nic_frame_new(nic, 9101, &frame), -EMSGSIZE);
	assert_int_equal(nic_frame_new(nic, 9100, &frame), 0);
	memset(frame.data - frame.headroom, 1, frame.headroom);
	memset(frame.data, 1, frame.len + frame.tailroom);
	nic_frames_free(&frame, 1);
	assert_int_equal(frames_free(), before);
}

/* A received frame's memory is sent again, once, and only where it is ours alone. */
static void test_renew(void **state)
{
	unsigned before = frames_free();
	struct nic_frame spent = make_frame(100, 7), frame, second;
	const void *memory = spent.memory;
	assert_int_equal(nic_frame_renew(nic, 0, &spent, &frame), -EMSGSIZE);
	assert_int_equal(nic_frame_renew(nic, 9101, &spent, &frame), -EMSGSIZE);
	assert_ptr_equal(spent.memory, memory);
	/* Who received it may have moved its start. */
	spent.data += 40;
	spent.len -= 40;
	assert_int_equal(nic_frame_renew(nic, 9100, &spent, &frame), 0);
	assert_null(spent.memory);
	assert_ptr_equal(frame.memory, memory);
	assert_int_equal(frame.len, 9100);
	assert_true(frame.headroom >= 64);
	memset(frame.data - frame.headroom, 1, frame.headroom);
	memset(frame.data, 1, frame.len + frame.tailroom);
	assert_int_equal(nic_frame_renew(nic, 60, &spent, &second), -EBUSY);
	nic_frames_free(&spent, 1);
	nic_frames_free(&frame, 1);
	assert_int_equal(frames_free(), before);
}

static void test_refused(void **state)
{
	struct nic_port *port = open_port(&(struct nic_port_config){"a", "null"});
	assert_refused(&(struct nic_port_config){"a", "null"}, -EEXIST, "a");
	assert_refused(&(struct nic_port_config){"", "null"}, -EINVAL, "name");
	assert_refused(&(struct nic_port_config){NULL, "null"}, -EINVAL, "name");
	assert_refused(&(struct nic_port_config){"a b", "null"}, -EINVAL, "a b");
	assert_refused(&(struct nic_port_config){"b", NULL}, -EINVAL, "device");
	assert_refused(&(struct nic_port_config){"b", "null,x=1"}, -EINVAL, "null,x=1");
	assert_refused(&(struct nic_port_config){"b", "null", .mtu = 20}, -EINVAL, "MTU");
	assert_refused(&(struct nic_port_config){"b", "null", .mtu = 9090}, -EINVAL, "MTU");
	assert_refused(&(struct nic_port_config){"b", "null", .queues = 17}, -EINVAL, "queues");
	assert_refused(&(struct nic_port_config){"b", "null", .vlan = 4095}, -EINVAL, "VLAN");
	assert_refused(&(struct nic_port_config){"b", "null", .mac = {1}}, -EINVAL, "MAC");
	assert_refused(&(struct nic_port_config){"b", "memif:/m", .queues = 2}, -ENOTSUP, "queue");
	assert_refused(&(struct nic_port_config){"b", "af_packet:nosuch"}, -ENODEV, "nosuch");
	assert_refused(&(struct nic_port_config){"b", "af_xdp:nosuch"}, -ENODEV, "nosuch");
	assert_refused(&(struct nic_port_config){"b", "pci:0000:01:00.0"}, -ENOTSUP, "PCI");
	assert_refused(&(struct nic_port_config){"b", "pcap:/nosuch/in,/nosuch/out"}, -EIO, "pcap");
	assert_refused(&(struct nic_port_config){"b", "vhost:/dev/null"}, -EEXIST, "socket");
	/* A refused one leaves nothing: the next has its place and name. */
	port = nic_port_close(port);
	port = open_port(&(struct nic_port_config){"b", "null"});
	assert_null(nic_port_close(port));
	assert_null(nic_port_close(NULL));
}

static void test_ports_max(void **state)
{
	struct nic_port *ports[NIC_PORTS_MAX];
	char name[16];
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "p%u", i);
		ports[i] = open_port(&(struct nic_port_config){name, "null"});
	}
	assert_refused(&(struct nic_port_config){"more", "null"}, -ENOSPC, "ports");
	for (unsigned i = 0; i < NIC_PORTS_MAX; i++)
		ports[i] = nic_port_close(ports[i]);
}

static void test_null(void **state)
{
	unsigned before = frames_free();
	struct nic_port *port =
		open_port(&(struct nic_port_config){"n", "null", .mac = {2, 0, 0, 0, 0, 9}});
	struct nic_port_info info;
	struct nic_port_stats stats;
	struct nic_frame frames[NIC_BURST_MAX];
	nic_port_info(port, &info);
	assert_string_equal(info.name, "n");
	assert_string_equal(info.driver, "net_null");
	assert_int_equal(info.mtu, 1500);
	assert_int_equal(info.queues, 1);
	assert_memory_equal(info.mac, ((uint8_t[]){2, 0, 0, 0, 0, 9}), 6);
	assert_false(info.can_sleep);
	assert_true(info.is_up);
	/* It has frames of 64 bytes without end. */
	for (unsigned round = 1; round <= 100; round++) {
		assert_int_equal(nic_port_receive(port, 0, frames, NIC_BURST_MAX), NIC_BURST_MAX);
		assert_int_equal(frames[5].len, 64);
		assert_int_equal(nic_port_send(port, 0, frames, NIC_BURST_MAX), NIC_BURST_MAX);
	}
	assert_int_equal(nic_port_receive(port, 0, frames, 3), 3);
	nic_frames_free(frames, 3);
	assert_int_equal(nic_port_receive(port, 0, frames, 0), 0);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.received, 6403);
	assert_int_equal(stats.received_bytes, 6403 * 64);
	assert_int_equal(stats.sent, 6400);
	assert_int_equal(stats.sent_bytes, 6400 * 64);
	assert_int_equal(stats.errors + stats.too_long + stats.send_full + stats.wrong_vlan, 0);
	struct nic_counter counters[64];
	unsigned n = nic_port_driver_counters(port, counters, 64);
	assert_true(n > 4 && counters[0].name[0] != '\0');
	assert_int_equal(nic_port_driver_counters(port, counters, 2), 2);
	port = nic_port_close(port);
	assert_int_equal(frames_free(), before);
}

static void test_ring(void **state)
{
	unsigned before = frames_free();
	struct nic_port *port = open_port(&(struct nic_port_config){"r", "ring", .mtu = 9000});
	struct nic_frame frames[8], back[8];
	assert_int_equal(nic_port_receive(port, 0, back, 8), 0);
	for (unsigned i = 0; i < 8; i++)
		frames[i] = make_frame(60 + 1000 * i, (uint8_t)(i + 1));
	/* Moved within its room: what was put before it goes along. */
	frames[0].data -= 8;
	frames[0].len += 8;
	memset(frames[0].data, 0x77, 8);
	assert_int_equal(nic_port_send(port, 0, frames, 8), 8);
	assert_int_equal(nic_port_receive(port, 0, back, 8), 8);
	assert_int_equal(back[0].len, 68);
	assert_int_equal(back[0].data[0], 0x77);
	assert_int_equal(back[0].data[8], 1);
	assert_int_equal(back[7].len, 7060);
	assert_int_equal(back[7].data[7059], 8);
	nic_frames_free(back, 8);
	/* In the ring when the port is closed: freed with it. */
	frames[0] = make_frame(60, 1);
	assert_int_equal(nic_port_send(port, 0, frames, 1), 1);
	struct nic_polled polled = {port, 0};
	nic_wait(nic, &polled, 1, -1, &(struct nic_pause){EOS_NS_PER_S, 1000, 0});
	port = nic_port_close(port);
	assert_int_equal(frames_free(), before);
}

static void test_bad_frames(void **state)
{
	unsigned before = frames_free();
	struct nic_port *port = open_port(&(struct nic_port_config){"r", "ring"});
	struct nic_port_stats stats;
	struct nic_frame frames[4], back[4];
	for (unsigned i = 0; i < 4; i++)
		frames[i] = make_frame(1518, (uint8_t)i);
	frames[0].len++;			     /* longer than the port's frames */
	frames[1].data -= frames[1].headroom + 1u;   /* not in its memory any more */
	frames[2].data += 9000 + frames[2].tailroom; /* ends behind it */
	assert_int_equal(nic_port_send(port, 0, frames, 4), 1);
	assert_int_equal(nic_port_receive(port, 0, back, 4), 1);
	assert_int_equal(back[0].data[0], 3);
	nic_frames_free(back, 1);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.too_long, 1);
	assert_int_equal(stats.errors, 2);
	assert_int_equal(stats.sent, 1);
	/* The ring is full some time: the rest is counted and freed. */
	unsigned sent = 0, offered = 0;
	while (offered < 3000) {
		struct nic_frame one = make_frame(60, 1);
		sent += nic_port_send(port, 0, &one, 1);
		offered++;
	}
	assert_true(sent < offered);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.send_full, offered - sent);
	port = nic_port_close(port);
	assert_int_equal(frames_free(), before);
}

/* A file of pcap with the frames of COUNT. */
struct capture {
	const char *path;
	const uint8_t *frames[8];
	uint32_t lens[8];
	unsigned count;
};

static void write_capture(const struct capture *capture)
{
	FILE *file = fopen(capture->path, "wb");
	const uint32_t head[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
	assert_non_null(file);
	assert_int_equal(fwrite(head, sizeof(head), 1, file), 1);
	for (unsigned i = 0; i < capture->count; i++) {
		const uint32_t record[] = {0, 0, capture->lens[i], capture->lens[i]};
		assert_int_equal(fwrite(record, sizeof(record), 1, file), 1);
		assert_int_equal(fwrite(capture->frames[i], capture->lens[i], 1, file), 1);
	}
	assert_int_equal(fclose(file), 0);
}

/* The bytes behind the heads of the file and of its first record. */
static size_t read_capture(const char *path, uint8_t *out, size_t size)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 24 + 16, SEEK_SET), 0);
	size_t n = fread(out, 1, size, file);
	assert_int_equal(fclose(file), 0);
	return n;
}

static void open_capture(struct nic_port **ret_port, char out[64], const struct capture *capture,
			 uint16_t vlan)
{
	char device[160];
	(void)snprintf(out, 64, "%s/out.pcap", folder);
	(void)snprintf(device, sizeof(device), "pcap:%s,%s", capture->path, out);
	write_capture(capture);
	*ret_port = open_port(&(struct nic_port_config){"f", device, .vlan = vlan});
}

static void test_lengths(void **state)
{
	static uint8_t bytes[20000];
	char in[64], out[64];
	unsigned before = frames_free();
	(void)snprintf(in, sizeof(in), "%s/in.pcap", folder);
	memset(bytes, 0x11, sizeof(bytes));
	/* 20,000 bytes come in several pieces; 9,300 bytes in two that fit into one. */
	const struct capture capture = {
		in, {bytes, bytes, bytes, bytes, bytes}, {60, 20000, 1518, 1519, 14}, 5};
	struct nic_port *port;
	struct nic_frame frames[8];
	struct nic_port_stats stats;
	open_capture(&port, out, &capture, 0);
	assert_int_equal(nic_port_receive(port, 0, frames, 8), 3);
	assert_int_equal(frames[0].len, 60);
	assert_int_equal(frames[1].len, 1518);
	assert_int_equal(frames[2].len, 14);
	assert_int_equal(frames[1].data[1517], 0x11);
	nic_frames_free(frames, 3);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.too_long, 2);
	assert_int_equal(stats.received, 3);
	port = nic_port_close(port);
	assert_int_equal(frames_free(), before);
}

static void test_vlan(void **state)
{
	char in[64], out[64];
	uint8_t tagged[64], other[64], plain[64], written[128];
	unsigned before = frames_free();
	(void)snprintf(in, sizeof(in), "%s/in.pcap", folder);
	for (unsigned i = 0; i < 64; i++)
		tagged[i] = (uint8_t)i;
	memcpy(tagged + 12, (uint8_t[]){0x81, 0x00, 0x60, 0x07, 0x08, 0x00}, 6); /* priority 3 */
	memcpy(other, tagged, 64);
	other[15] = 8;
	memcpy(plain, tagged, 64);
	plain[12] = 0x08;
	/* The third ends in its tag. */
	const struct capture capture = {in, {other, tagged, tagged, plain}, {64, 64, 17, 64}, 4};
	struct nic_port *port;
	struct nic_frame frames[8];
	struct nic_port_stats stats;
	open_capture(&port, out, &capture, 7);
	assert_int_equal(nic_port_receive(port, 0, frames, 8), 1);
	assert_int_equal(frames[0].len, 60);
	assert_memory_equal(frames[0].data, tagged, 12);
	assert_memory_equal(frames[0].data + 12, tagged + 16, 48);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.wrong_vlan, 3);
	assert_int_equal(nic_port_send(port, 0, frames, 1), 1);
	/* One without room for the tag. */
	frames[0] = make_frame(60, 0);
	frames[0].data -= frames[0].headroom - 3u;
	assert_int_equal(nic_port_send(port, 0, frames, 1), 0);
	nic_port_stats(port, &stats);
	assert_int_equal(stats.errors, 1);
	port = nic_port_close(port);
	assert_int_equal(read_capture(out, written, sizeof(written)), 64);
	tagged[14] = 0;
	assert_memory_equal(written, tagged, 64);
	assert_int_equal(frames_free(), before);
}

static void test_queues(void **state)
{
	struct nic_port *port = open_port(&(struct nic_port_config){"q", "null", .queues = 4});
	struct nic_port_info info;
	struct nic_port_stats stats;
	struct nic_frame frames[4];
	nic_port_info(port, &info);
	assert_int_equal(info.queues, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(nic_port_receive(port, i, frames, 4), 4);
		assert_int_equal(nic_port_send(port, i, frames, 4), 4);
	}
	nic_port_stats(port, &stats);
	assert_int_equal(stats.received, 16);
	assert_int_equal(stats.sent, 16);
	port = nic_port_close(port);
}

static void test_wait(void **state)
{
	struct nic_port *ring = open_port(&(struct nic_port_config){"r", "ring"});
	struct nic_port *other = open_port(&(struct nic_port_config){"o", "ring"});
	struct nic_polled polled[] = {{ring, 0}, {other, 0}};
	struct nic_frame frame;
	int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint64_t start = eos_now_ns();
	/* Nothing comes: the time is over. */
	nic_wait(nic, polled, 2, wake_fd,
		 &(struct nic_pause){30 * EOS_NS_PER_MS, 50 * EOS_NS_PER_US, 0});
	assert_true(eos_now_ns() - start >= 30 * EOS_NS_PER_MS);
	nic_wait(nic, NULL, 0, -1, &(struct nic_pause){EOS_NS_PER_MS, 1, 0});
	nic_wait(nic, polled, 2, -1, &(struct nic_pause){0});
	/* The limits here are for a machine that stands still; what is not woken waits 1,000 s. */
	start = eos_now_ns();
	assert_int_equal(eventfd_write(wake_fd, 1), 0);
	nic_wait(nic, polled, 2, wake_fd,
		 &(struct nic_pause){1000 * EOS_NS_PER_S, 1000 * EOS_NS_PER_S, 0});
	assert_true(eos_now_ns() - start < 20 * EOS_NS_PER_S);
	/* A frame is there already, and stays the first to be received. */
	for (uint8_t i = 1; i <= 2; i++) {
		frame = make_frame(60, i);
		assert_int_equal(nic_port_send(other, 0, &frame, 1), 1);
	}
	for (unsigned i = 0; i < 3; i++)
		nic_wait(nic, polled, 2, -1,
			 &(struct nic_pause){1000 * EOS_NS_PER_S, EOS_NS_PER_S, UINT64_MAX});
	assert_true(eos_now_ns() - start < 20 * EOS_NS_PER_S);
	assert_int_equal(nic_port_receive(ring, 0, &frame, 1), 0);
	for (uint8_t i = 1; i <= 2; i++) {
		assert_int_equal(nic_port_receive(other, 0, &frame, 1), 1);
		assert_int_equal(frame.data[0], i);
		nic_frames_free(&frame, 1);
	}
	(void)eos_close(wake_fd);
	ring = nic_port_close(ring);
	other = nic_port_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_once),	   cmocka_unit_test(test_config),
		cmocka_unit_test(test_frames),	   cmocka_unit_test(test_renew),
		cmocka_unit_test(test_refused),	   cmocka_unit_test(test_ports_max),
		cmocka_unit_test(test_null),	   cmocka_unit_test(test_ring),
		cmocka_unit_test(test_bad_frames), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_vlan),	   cmocka_unit_test(test_queues),
		cmocka_unit_test(test_wait),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
