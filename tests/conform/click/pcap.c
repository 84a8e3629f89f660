#include "pcap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define MAGIC_US     0xa1b2c3d4u
#define MAGIC_NS     0xa1b23c4du
#define HEADER_BYTES 24u
#define RECORD_BYTES 16u
#define FILE_MAX     (256u << 20)

static uint32_t get(const uint8_t *at, bool is_swapped)
{
	uint32_t value;
	memcpy(&value, at, sizeof(value));
	return is_swapped ? __builtin_bswap32(value) : value;
}

/* The records behind the header; PACKETS NULL: only counts. Below zero: they do not fit the file.
 */
static long read_records(const struct eos_buf *file, bool is_swapped, uint32_t unit_ns,
			 struct pcap_packet *packets)
{
	const uint8_t *at = (const uint8_t *)file->data + HEADER_BYTES;
	const uint8_t *end = (const uint8_t *)file->data + file->len;
	long count = 0;
	while (at < end) {
		if (end - at < (ptrdiff_t)RECORD_BYTES)
			return -1;
		uint32_t len = get(at + 8, is_swapped);
		if (len > PCAP_PACKET_MAX || len > (size_t)(end - at) - RECORD_BYTES)
			return -1;
		if (packets != NULL)
			packets[count] = (struct pcap_packet){
				.time_ns = get(at, is_swapped) * UINT64_C(1000000000) +
					   (uint64_t)get(at + 4, is_swapped) * unit_ns,
				.data = at + RECORD_BYTES,
				.len = len,
			};
		count++;
		at += RECORD_BYTES + len;
	}
	return count;
}

int pcap_read(const char *path, struct pcap *ret_pcap, struct eos_why *why)
{
	struct pcap pcap = {0};
	int err = eos_read_file(AT_FDCWD, path, FILE_MAX, &pcap.file);
	if (err < 0)
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	const uint8_t *bytes = (const uint8_t *)pcap.file.data;
	uint32_t magic = pcap.file.len >= HEADER_BYTES ? get(bytes, false) : 0;
	bool is_swapped =
		magic == __builtin_bswap32(MAGIC_US) || magic == __builtin_bswap32(MAGIC_NS);
	magic = is_swapped ? __builtin_bswap32(magic) : magic;
	long count = -1;
	uint32_t unit_ns = magic == MAGIC_NS ? 1 : 1000;
	if (magic == MAGIC_US || magic == MAGIC_NS)
		count = read_records(&pcap.file, is_swapped, unit_ns, NULL);
	if (count >= 0)
		pcap.packets = calloc((size_t)count + 1, sizeof(*pcap.packets));
	if (pcap.packets == NULL) {
		pcap_fini(&pcap);
		return count < 0 ? eos_why(why, -EINVAL, "%s: no pcap file, or a damaged one", path)
				 : eos_why(why, -ENOMEM, "out of memory");
	}
	pcap.count = (size_t)read_records(&pcap.file, is_swapped, unit_ns, pcap.packets);
	pcap.link_type = get(bytes + 20, is_swapped);
	*ret_pcap = pcap;
	return 0;
}

void pcap_fini(struct pcap *pcap)
{
	eos_buf_fini(&pcap->file);
	free(pcap->packets);
	*pcap = (struct pcap){0};
}

void pcap_write_header(struct eos_buf *out, uint32_t link_type)
{
	const uint32_t header[6] = {MAGIC_NS, 2 | 4 << 16, 0, 0, PCAP_PACKET_MAX, link_type};
	(void)eos_buf_append(out, header, sizeof(header));
}

void pcap_write_packet(struct eos_buf *out, uint64_t time_ns, const void *data, uint32_t len)
{
	const uint32_t record[4] = {(uint32_t)(time_ns / 1000000000u),
				    (uint32_t)(time_ns % 1000000000u), len, len};
	(void)eos_buf_append(out, record, sizeof(record));
	(void)eos_buf_append(out, data, len);
}
