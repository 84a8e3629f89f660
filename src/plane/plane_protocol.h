/*
 * Messages between edged and the data plane, over a seqpacket socket: one JSON document each, with
 * descriptors. docs/formats/plane-control.md says which there are. Both sides take what they get
 * for hostile.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"

#define PLANE_MESSAGE_MAX (96u << 10)
/* Images of 16 stages and three files of TLS; even, as the kernel fills up what aligns them. */
#define PLANE_FDS_MAX	20u
#define PLANE_STATE_MAX (16u << 20) /* bytes of a document that comes in a descriptor */

/* Sends LEN bytes with COUNT descriptors, which stay the caller's. Waits at most TIMEOUT_MS for
 * room. -EMSGSIZE, -EPIPE, -ETIMEDOUT. */
int plane_message_send(int socket, const void *data, size_t len, const int *fds, unsigned count,
		       int timeout_ms) EOS_MUST_CHECK;
/* Receives one message, if there is one: OUT gets its bytes, FDS its descriptors, which are the
 * caller's from now on. -EAGAIN: there is none; -EPIPE: the other side is gone; -EPROTO: too long,
 * or with too many descriptors, all of which were closed. */
int plane_message_receive(int socket, struct eos_buf *out, int fds[PLANE_FDS_MAX],
			  unsigned *ret_count) EOS_MUST_CHECK;
void plane_fds_close(int *fds, unsigned count);
/* A sealed file in memory with these bytes, for documents that are longer. -ENOMEM, … */
int plane_document_new(const void *data, size_t len) EOS_MUST_CHECK;
/* Is FD, which came from the other side, such a file? Others may change while they are read, or
 * keep their reader waiting. -EINVAL. */
int plane_document_check(int fd, size_t *ret_len) EOS_MUST_CHECK;
