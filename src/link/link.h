/*
 * The link between edged and a cell: two message rings in one memfd, a pipe for each direction that
 * is the doorbell, and a socket over which edged hands image descriptors to the cell.
 *
 * What crosses is in link_proto.h. Each side treats everything it receives as hostile: a message
 * that does not decode ends the link (-EBADMSG), and with it the cell. An endpoint belongs to one
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define LINK_RING_BYTES (1u << 20)

struct link;

/* What a cell inherits from edged, as descriptor numbers of the child. */
struct link_fds {
	int memory;	      /* the memfd; its size is sealed */
	int doorbell_to_cell; /* the end to read */
	int doorbell_to_node; /* the end to write */
	int socket;	      /* for descriptors; its closing tells the cell that edged is gone */
};

/* edged's end, and what to give to the child (owned by the caller, to be closed after the fork). */
int link_new(struct link **ret_link, struct link_fds *ret_fds) EOS_MUST_CHECK;
/* The cell's end. Takes the descriptors, also when it fails. -EPROTO: a memory of another layout,
 * or one that could shrink under us. */
int link_attach(const struct link_fds *fds, struct link **ret_link) EOS_MUST_CHECK;
struct link *link_free(struct link *link);

/* Readable when there may be something to receive or room to send. */
int link_doorbell_fd(const struct link *link);
int link_socket_fd(const struct link *link);
/* Empties the doorbell; call when it was readable. */
void link_doorbell_clear(struct link *link);

/* HEADER and PAYLOAD become one message; the other side is woken if it sleeps. -EAGAIN: the ring is
 * full, and the doorbell will ring when there is room; -EMSGSIZE: more than RING_RECORD_MAX;
 * -EBADMSG. */
int link_send(struct link *link, const void *header, size_t header_len, const void *payload,
	      size_t payload_len) EOS_MUST_CHECK;
/* The next message into OUT: its length, 0 when there is none, -EBADMSG. */
int64_t link_receive(struct link *link, void *out, size_t size) EOS_MUST_CHECK;
/* True when the next link_receive() would not return 0. */
bool link_has_message(struct link *link);
/* Before sleeping on the doorbell: 1 when there is nothing to receive and the other side will
 * ring, 0 when there is something. */
int link_prepare_wait(struct link *link);

/* A descriptor with a number that says what it is. Blocks at most a second: -ETIMEDOUT; -EPIPE. */
int link_send_fd(struct link *link, int fd, uint64_t tag) EOS_MUST_CHECK;
/* 0 and a descriptor (owned), -EAGAIN: none yet, -EPIPE: the other side is gone, -EBADMSG: not one
 * descriptor with its tag. */
int link_receive_fd(struct link *link, int *ret_fd, uint64_t *ret_tag) EOS_MUST_CHECK;
