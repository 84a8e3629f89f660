/*
 * The host's own side of the mover: a port with memory of its own, through which the host's code
 * (a gateway, a test) sends to FWPs and receives from them. What it sends and receives takes the
 * same way, through the same checks, as between FWPs.
 *
 * Each outbound and inbound slot has a buffer of fixed size in the port's memory. Sending is
 * mma_host_reserve(), filling the buffer, mma_host_commit(); receiving is mma_host_peek(), looking,
 * mma_host_release(). mma_host_send() is the first with a copy.
 *
 * One thread uses a struct mma_host. No allocation after mma_host_new(). Messages move with the
 * mover: after mma_host_commit() and mma_host_release() inline owners call mma_move().
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "mma/mma.h"

struct mma_host;

struct mma_host_config {
	uint32_t out_count, in_count; /* slots: powers of two up to MMA_ABI_COUNT_MAX; 0: 64 */
	uint32_t buffer_bytes;	      /* of each; 0: 2 KiB; at most MMA_MESSAGE_BYTES_MAX */
	unsigned handles_max;	      /* as in struct mma_port_config */
	const struct mma_port_ops *ops;
	void *ctx;
};

struct mma_host_message {
	uint32_t conn; /* the connection's tag */
	uint32_t len;
	const uint8_t *data; /* valid until mma_host_release() */
};

/* CONFIG may be NULL. -EINVAL, -ENOMEM. */
int mma_host_new(struct mma *mma, const struct mma_host_config *config, struct mma_host **ret_host,
		 struct eos_why *why) EOS_MUST_CHECK;
struct mma_host *mma_host_free(struct mma_host *host);
/* For mma_connect(); borrowed. */
struct mma_port *mma_host_port(struct mma_host *host);

/* A buffer of RET_SIZE bytes to be filled; the same one until it is committed. -EAGAIN: all slots
 * are on their way. */
int mma_host_reserve(struct mma_host *host, uint8_t **ret_data, uint32_t *ret_size) EOS_MUST_CHECK;
/* Sends LEN bytes of the reserved buffer to connection HANDLE. -EMSGSIZE: more than it has.
 * -EAGAIN: nothing is reserved. */
int mma_host_commit(struct mma_host *host, uint32_t handle, uint32_t len) EOS_MUST_CHECK;
/* -EAGAIN, -EMSGSIZE. */
int mma_host_send(struct mma_host *host, uint32_t handle, const void *data,
		  uint32_t len) EOS_MUST_CHECK;

/* 1 and the oldest message, or 0: there is none. */
int mma_host_peek(struct mma_host *host, struct mma_host_message *ret_message) EOS_MUST_CHECK;
/* Gives the buffer of the last peek back; only after one that returned 1. */
void mma_host_release(struct mma_host *host);

/* Before sleeping, as mma_port_prepare_wait(): false when there is a message, or, FOR_ROOM, when
 * something can be sent. */
bool mma_host_prepare_wait(struct mma_host *host, bool for_room);
