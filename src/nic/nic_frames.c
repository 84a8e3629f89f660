/*
 * The way of frames: DPDK's buffers (struct rte_mbuf) become struct nic_frame and back. Bursts and
 * a loop over them; whatever is unusual about a frame (several pieces, tags, lengths) is in
 * functions of its own, off the straight way.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "base/assert.h"

#define ADDRESSES_LEN 12u /* of Ethernet: target and source, before the tag */
#define TAG_LEN	      4u
#define TAG_TYPE      0x8100u
#define TAG_ID_MASK   0x0fffu

/* A counter has one writer. */
static void count(_Atomic uint64_t *counter, uint64_t more)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, old + more, memory_order_relaxed);
}

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

/* Writes a tag behind the addresses, into the headroom. */
static int put_tag(struct rte_mbuf *mbuf, uint16_t tag)
{
	if (mbuf->data_len < ADDRESSES_LEN + 2 || rte_pktmbuf_headroom(mbuf) < TAG_LEN)
		return -EMSGSIZE;
	uint8_t *data = (uint8_t *)rte_pktmbuf_prepend(mbuf, TAG_LEN);
	memmove(data, data + TAG_LEN, ADDRESSES_LEN);
	data[12] = TAG_TYPE >> 8;
	data[13] = TAG_TYPE & 0xff;
	data[14] = (uint8_t)(tag >> 8);
	data[15] = (uint8_t)tag;
	return 0;
}

/* Takes the port's tag away; false: there is another one, or none. */
static bool take_tag(const struct nic_port *port, struct rte_mbuf *mbuf)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0)
		return (mbuf->vlan_tci & TAG_ID_MASK) == port->vlan;
	if (mbuf->data_len < ADDRESSES_LEN + TAG_LEN + 2 || read16(data + 12) != TAG_TYPE ||
	    (read16(data + 14) & TAG_ID_MASK) != port->vlan)
		return false;
	memmove(data + TAG_LEN, data, ADDRESSES_LEN);
	(void)rte_pktmbuf_adj(mbuf, TAG_LEN);
	return true;
}

/* Makes an unusual frame usual; false: it cannot be, and was counted. */
static bool __attribute__((noinline))
mend(const struct nic_port *port, struct nic_queue *queue, struct rte_mbuf *mbuf)
{
	if (rte_pktmbuf_pkt_len(mbuf) > port->frame_max ||
	    (mbuf->nb_segs > 1 && rte_pktmbuf_linearize(mbuf) < 0)) {
		count(&queue->too_long, 1);
		return false;
	}
	if (port->vlan != 0) {
		if (take_tag(port, mbuf))
			return true;
		count(&queue->wrong_vlan, 1);
		return false;
	}
	/* The device took a tag away that belongs to the frame. */
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0 &&
	    put_tag(mbuf, mbuf->vlan_tci) < 0) {
		count(&queue->errors, 1);
		return false;
	}
	return true;
}

static uint32_t flags_of(const struct rte_mbuf *mbuf)
{
	uint64_t ip = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint64_t l4 = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
	if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return NIC_FRAME_CHECKSUM_BAD;
	return l4 == RTE_MBUF_F_RX_L4_CKSUM_GOOD && ip == RTE_MBUF_F_RX_IP_CKSUM_GOOD
		       ? NIC_FRAME_CHECKSUM_GOOD
		       : 0;
}

static void fill(struct nic_frame *frame, struct rte_mbuf *mbuf)
{
	*frame = (struct nic_frame){
		.data = rte_pktmbuf_mtod(mbuf, uint8_t *),
		.len = mbuf->data_len,
		.headroom = rte_pktmbuf_headroom(mbuf),
		.tailroom = rte_pktmbuf_tailroom(mbuf),
		.flags = flags_of(mbuf),
		.hash = (mbuf->ol_flags & RTE_MBUF_F_RX_RSS_HASH) != 0 ? mbuf->hash.rss : 0,
		.memory = mbuf,
	};
}

unsigned nic_port_receive(struct nic_port *port, unsigned index, struct nic_frame *frames,
			  unsigned frames_count)
{
	struct nic_queue *queue = &port->queues[index];
	struct rte_mbuf *mbufs[NIC_BURST_MAX];
	unsigned max = EOS_MIN(frames_count, NIC_BURST_MAX), n = 0, taken = 0;
	uint64_t bytes = 0;
	EOS_DCHECK(index < port->queues_count);
	if (max > 0 && queue->looked != NULL) {
		mbufs[n++] = queue->looked;
		queue->looked = NULL;
	}
	if (max > n)
		n += rte_eth_rx_burst(port->id, (uint16_t)index, mbufs + n, (uint16_t)(max - n));
	for (unsigned i = 0; i < n; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		bool is_usual = mbuf->nb_segs == 1 && port->vlan == 0 &&
				mbuf->data_len <= port->frame_max &&
				(mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0;
		if (EOS_UNLIKELY(!is_usual) && !mend(port, queue, mbuf)) {
			rte_pktmbuf_free(mbuf);
			continue;
		}
		bytes += mbuf->data_len;
		fill(&frames[taken++], mbuf);
	}
	if (taken > 0) {
		count(&queue->received, taken);
		count(&queue->received_bytes, bytes);
	}
	return taken;
}

/* The buffer as FRAME says; false: it is not within the buffer, or too long. */
static bool settle(const struct nic_port *port, struct nic_queue *queue,
		   const struct nic_frame *frame, struct rte_mbuf *mbuf)
{
	uint8_t *start = mbuf->buf_addr;
	if (frame->data < start || frame->data > start + mbuf->buf_len ||
	    frame->len > (size_t)(start + mbuf->buf_len - frame->data) || frame->len == 0) {
		count(&queue->errors, 1);
		return false;
	}
	mbuf->data_off = (uint16_t)(frame->data - start);
	mbuf->data_len = (uint16_t)frame->len;
	mbuf->pkt_len = frame->len;
	/* What the device said when it was received means something else when it is sent. */
	mbuf->ol_flags = 0;
	if (port->vlan != 0 && put_tag(mbuf, port->vlan) < 0) {
		count(&queue->errors, 1);
		return false;
	}
	if (mbuf->pkt_len > port->frame_max) {
		count(&queue->too_long, 1);
		return false;
	}
	return true;
}

unsigned nic_port_send(struct nic_port *port, unsigned index, struct nic_frame *frames,
		       unsigned frames_count)
{
	struct nic_queue *queue = &port->queues[index];
	struct rte_mbuf *mbufs[NIC_BURST_MAX];
	uint16_t lens[NIC_BURST_MAX];
	unsigned sent_all = 0;
	EOS_DCHECK(index < port->queues_count);
	for (unsigned at = 0; at < frames_count;) {
		unsigned n = 0;
		for (; at < frames_count && n < NIC_BURST_MAX; at++) {
			struct rte_mbuf *mbuf = frames[at].memory;
			if (!settle(port, queue, &frames[at], mbuf)) {
				rte_pktmbuf_free(mbuf);
				continue;
			}
			lens[n] = mbuf->data_len;
			mbufs[n++] = mbuf;
		}
		unsigned sent =
			n == 0 ? 0
			       : rte_eth_tx_burst(port->id, (uint16_t)index, mbufs, (uint16_t)n);
		uint64_t bytes = 0;
		for (unsigned i = 0; i < sent; i++)
			bytes += lens[i];
		if (sent < n) {
			rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
			count(&queue->send_full, n - sent);
		}
		count(&queue->sent, sent);
		count(&queue->sent_bytes, bytes);
		sent_all += sent;
	}
	return sent_all;
}

int nic_frame_new(struct nic *nic, uint32_t len, struct nic_frame *ret_frame)
{
	if (len == 0 || len > nic->frame_bytes)
		return -EMSGSIZE;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(nic->pool);
	if (mbuf == NULL)
		return -ENOBUFS;
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	fill(ret_frame, mbuf);
	return 0;
}

int nic_frame_renew(struct nic *nic, uint32_t len, struct nic_frame *spent,
		    struct nic_frame *ret_frame)
{
	struct rte_mbuf *mbuf = spent->memory;
	if (len == 0 || len > nic->frame_bytes)
		return -EMSGSIZE;
	if (mbuf == NULL || mbuf->pool != nic->pool || !RTE_MBUF_DIRECT(mbuf) ||
	    mbuf->nb_segs != 1 || rte_mbuf_refcnt_read(mbuf) != 1)
		return -EBUSY;
	rte_pktmbuf_reset(mbuf);
	mbuf->data_len = (uint16_t)len;
	mbuf->pkt_len = len;
	fill(ret_frame, mbuf);
	spent->memory = NULL;
	return 0;
}

void nic_frames_free(struct nic_frame *frames, unsigned frames_count)
{
	for (unsigned i = 0; i < frames_count; i++)
		rte_pktmbuf_free(frames[i].memory);
}
