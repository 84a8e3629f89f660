/*
 * Frames to a host: records of a step of time, a length, and a frame. Whatever comes, what the host
 * answers is a frame that can be read, with right checksums, and from it; and datagrams are within
 * their frame.
 *
 *	record = u8 step (in quarter seconds), u8 flags, u16 length (little endian), frame
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "nic/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECKSUMS_SET 1u /* flags: the frame's are made right first */
#define STEP_NS	      UINT64_C(250000000)

static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};

static struct nic_host *make_host(void)
{
	struct nic_host_address addresses[2] = {
		{{[10] = 0xff, 0xff, 10, 0, 0, 1}, 24},
		{{0x20, 1, 0x0d, 0xb8, [15] = 1}, 64},
	};
	struct nic_host_config config = {.addresses = addresses,
					 .addresses_count = 2,
					 .gateway4 = {[10] = 0xff, 0xff, 10, 0, 0, 254},
					 .gateway6 = {0x20, 1, 0x0d, 0xb8, [15] = 0xfe},
					 .neighbours_max = 16};
	struct nic_host *host = NULL;
	memcpy(config.mac, mac, 6);
	return nic_host_new(&config, &host, NULL) == 0 ? host : NULL;
}

static void check_frame(const struct nic_host_buffer *out)
{
	struct flow_packet packet;
	EOS_ASSERT(out->len <= out->capacity);
	if (out->len == 0)
		return;
	EOS_ASSERT(flow_parse(out->data, out->len, &packet) != FLOW_OTHER);
	EOS_ASSERT(packet.kind == FLOW_ARP || flow_checksums_are_good(out->data, &packet));
	EOS_ASSERT(memcmp(out->data + 6, mac, 6) == 0);
}

static void answer(struct nic_host *host, struct nic_host_datagram *datagram, uint64_t now_ns,
		   struct nic_host_buffer *out)
{
	int err = nic_host_output(host, datagram, now_ns, out);
	/* Longer than the MTU, as it came. */
	EOS_ASSERT(err == 0 || err == -EMSGSIZE);
	check_frame(out);
	datagram->has_peer_mac = false;
	err = nic_host_output(host, datagram, now_ns, out);
	EOS_ASSERT(err == 0 || err == -EAGAIN || out->len == 0);
	check_frame(out);
}

static void give(struct nic_host *host, uint8_t *frame, uint32_t len, unsigned flags,
		 uint64_t now_ns)
{
	static uint8_t bytes[65536 + 64];
	struct nic_host_buffer out = {bytes, sizeof(bytes), 0};
	struct nic_host_datagram datagram;
	struct flow_packet packet;
	(void)flow_parse(frame, len, &packet);
	if ((flags & CHECKSUMS_SET) != 0)
		flow_checksums_set(frame, &packet);
	enum nic_host_verdict verdict =
		nic_host_input(host, frame, len, &packet, false, now_ns, &out, &datagram);
	EOS_ASSERT((verdict == NIC_HOST_ANSWERED) == (out.len > 0));
	check_frame(&out);
	if (verdict == NIC_HOST_UDP) {
		EOS_ASSERT(datagram.payload >= frame &&
			   datagram.payload + datagram.len <= frame + len);
		EOS_ASSERT(nic_host_has_address(host, datagram.local));
		answer(host, &datagram, now_ns, &out);
	}
	if (nic_host_refuse(host, frame, len, &packet, now_ns, &out)) {
		EOS_ASSERT(out.len <= NIC_HOST_CONTROL_MAX);
		check_frame(&out);
	}
	while (nic_host_poll(host, now_ns, &out))
		check_frame(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nic_host *host = make_host();
	uint64_t now_ns = 0;
	if (host == NULL)
		return 0;
	while (size >= 4) {
		uint32_t len = (uint32_t)(data[2] | data[3] << 8);
		unsigned flags = data[1];
		now_ns += data[0] * STEP_NS;
		len = EOS_MIN(len, (uint32_t)size - 4);
		/* Not a byte more: the sanitizers see one that is read behind it. */
		uint8_t *frame = malloc(len > 0 ? len : 1);
		if (frame == NULL)
			break;
		memcpy(frame, data + 4, len);
		give(host, frame, len, flags, now_ns);
		free(frame);
		data += 4 + len;
		size -= 4 + len;
	}
	struct nic_host_neighbour neighbour;
	unsigned count = 0;
	for (uint32_t at = 0; nic_host_neighbour_next(host, &at, &neighbour); count++)
		EOS_ASSERT(!neighbour.is_static && (neighbour.mac[0] & 1) == 0);
	EOS_ASSERT(count <= 16);
	host = nic_host_free(host);
	return 0;
}
