/*
 * Closing AF_XDP properly, where DPDK 22.11 does not: it leaves the sockets open, and with them the
 * interface's queue busy, and forgets the frames that it gave to the kernel to receive into, or to
 * send (2,048 each time).
 *
 * Those are in two rings of the socket, fill and completion, as offsets from the memory's begin:
 *
 *	memory: | head of mempool | struct rte_mbuf, headroom, bytes … | head | …
 *	        ^ offset
 *
 * Each is looked at before it is believed to be a frame.
 */
#include "nic/nic_priv.h"

#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "base/clock.h"
#include "base/file.h"

/* As many as DPDK's driver makes. */
#define FILL_COUNT	 4096u
#define COMPLETION_COUNT 2048u
#define OFFSET_MASK	 ((UINT64_C(1) << 48) - 1) /* of an address; above it is the data's place */
/* What the kernel puts off when the last descriptor is closed takes some milliseconds. */
#define SETTLE_NS (100 * EOS_NS_PER_MS)

static struct rte_mbuf *find_frame(struct rte_mempool *pool, uint64_t offset)
{
	const struct rte_mempool_memhdr *memory = STAILQ_FIRST(&pool->mem_list);
	uintptr_t start = (uintptr_t)memory->addr, end = start + memory->len;
	uintptr_t base = start & ~((uintptr_t)getpagesize() - 1);
	uint64_t step = pool->header_size + pool->elt_size + pool->trailer_size;
	uint64_t at = base + (offset & OFFSET_MASK);
	if (at < start || at >= end || end - at < step || at % RTE_CACHE_LINE_SIZE != 0)
		return NULL;
	struct rte_mbuf *mbuf = (struct rte_mbuf *)(at + pool->header_size);
	bool is_frame = mbuf->pool == pool && mbuf->buf_addr == (void *)(mbuf + 1) &&
			rte_mbuf_refcnt_read(mbuf) == 1;
	return is_frame ? mbuf : NULL;
}

static void take_back(struct rte_mempool *pool, int fd, off_t place,
		      const struct xdp_ring_offset *offsets, uint32_t count)
{
	size_t size = offsets->desc + count * sizeof(uint64_t);
	uint8_t *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, place);
	if (map == MAP_FAILED)
		return;
	const uint64_t *ring = (const uint64_t *)(map + offsets->desc);
	uint32_t from = *(const uint32_t *)(map + offsets->consumer);
	uint32_t to = *(const uint32_t *)(map + offsets->producer);
	for (uint32_t i = from; i != to && to - from <= count; i++) {
		struct rte_mbuf *mbuf = find_frame(pool, ring[i % count]);
		if (mbuf != NULL)
			rte_pktmbuf_free(mbuf);
	}
	(void)munmap(map, size);
}

void nic_xdp_close(struct nic_port *port)
{
	struct nic_wake_sockets open;
	struct xdp_mmap_offsets offsets;
	const struct timespec settle = {0, SETTLE_NS};
	nic_wake_find(AF_XDP, 0, &open);
	for (unsigned i = 0; i < port->queues_count; i++) {
		int fd = port->queues[i].socket;
		bool is_open = false;
		socklen_t len = sizeof(offsets);
		for (unsigned k = 0; k < open.count; k++)
			is_open = is_open || open.fds[k] == fd;
		if (!is_open)
			continue;
		if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &len) == 0 &&
		    len == sizeof(offsets)) {
			take_back(port->nic->pool, fd, (off_t)XDP_UMEM_PGOFF_FILL_RING, &offsets.fr,
				  FILL_COUNT);
			take_back(port->nic->pool, fd, (off_t)XDP_UMEM_PGOFF_COMPLETION_RING,
				  &offsets.cr, COMPLETION_COUNT);
		}
		port->queues[i].socket = eos_close(fd);
		(void)nanosleep(&settle, NULL);
	}
}
