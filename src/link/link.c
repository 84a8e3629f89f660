/*
 * The shared memory, version LINK_LAYOUT_VERSION:
 *
 *   0        struct link_shared, written once by edged before the cell exists
 *   4096     ring from edged to the cell
 *   …        ring from the cell to edged, at the next multiple of 4096
 *
 * The memfd is sealed against any change of its size, and the cell checks that it is: otherwise a
 * side could make the other's loads fault.
 *
 * Doorbells are pipes and not eventfds because O_NONBLOCK belongs to the open file description.
 * Both sides of an eventfd share one; so a cell gone wild could clear the flag, fill the counter
 * and block edged in write(). The two ends of a pipe are two descriptions. edged keeps a copy of
 * the end that the cell reads, so that ringing for a dead cell is not a SIGPIPE.
 */
#include "link/link.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"
#include "ring/ring.h"

#define LINK_MAGIC	    UINT64_C(0x6b6e696c736f6765) /* "egoslink" in memory */
#define LINK_LAYOUT_VERSION 1u
#define LINK_PAGE	    4096u
#define LINK_SEALS	    (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define LINK_FD_WAIT_MS	    1000

struct link_shared {
	uint64_t magic;
	uint32_t layout_version;
	uint32_t ring_layout_version;
	uint64_t ring_bytes;
};
static_assert(sizeof(struct link_shared) == 24, "another layout is another version");

struct link {
	uint8_t *memory;
	struct ring out, in;
	int bell_in;	   /* read: the other side rang */
	int bell_out;	   /* write: rings at the other side */
	int bell_out_keep; /* edged's copy of the end that the cell reads, or -1 */
	int socket;
};

static size_t ring_offset(unsigned index)
{
	size_t one = EOS_ALIGN_UP(ring_memory_size(LINK_RING_BYTES), (size_t)LINK_PAGE);
	return LINK_PAGE + index * one;
}

static size_t memory_size(void)
{
	return ring_offset(2);
}

static int link_alloc(struct link **ret_link)
{
	struct link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return -ENOMEM;
	link->bell_in = link->bell_out = link->bell_out_keep = link->socket = -1;
	*ret_link = link;
	return 0;
}

/* Maps FD and attaches the rings; OUT_INDEX is the ring this side writes. */
static int map_memory(struct link *link, int fd, unsigned out_index)
{
	void *memory = mmap(NULL, memory_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	link->memory = memory;
	int err = ring_attach(&link->out, link->memory + ring_offset(out_index), LINK_RING_BYTES);
	if (err == 0)
		err = ring_attach(&link->in, link->memory + ring_offset(1 - out_index),
				  LINK_RING_BYTES);
	return err;
}

static int make_memory(int *ret_fd)
{
	int fd = memfd_create("edgeos-link", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	struct link_shared shared = {
		.magic = LINK_MAGIC,
		.layout_version = LINK_LAYOUT_VERSION,
		.ring_layout_version = RING_LAYOUT_VERSION,
		.ring_bytes = LINK_RING_BYTES,
	};
	int err = 0;
	if (ftruncate(fd, (off_t)memory_size()) < 0)
		err = -errno;
	if (err == 0)
		err = eos_pwrite_full(fd, &shared, sizeof(shared), 0);
	if (err == 0 && fcntl(fd, F_ADD_SEALS, LINK_SEALS) < 0)
		err = -errno;
	if (err < 0) {
		eos_close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* Fills FDS for the cell and the descriptors of LINK; what was made before a failure is in them. */
static int make_channels(struct link *link, struct link_fds *fds)
{
	int to_cell[2], to_node[2], sockets[2];
	if (pipe2(to_cell, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	fds->doorbell_to_cell = to_cell[0];
	link->bell_out = to_cell[1];
	if (pipe2(to_node, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	link->bell_in = to_node[0];
	fds->doorbell_to_node = to_node[1];
	link->bell_out_keep = fcntl(to_cell[0], F_DUPFD_CLOEXEC, 0);
	if (link->bell_out_keep < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	link->socket = sockets[0];
	fds->socket = sockets[1];
	return 0;
}

static void close_fds(const struct link_fds *fds)
{
	eos_close(fds->memory);
	eos_close(fds->doorbell_to_cell);
	eos_close(fds->doorbell_to_node);
	eos_close(fds->socket);
}

int link_new(struct link **ret_link, struct link_fds *ret_fds)
{
	struct link_fds fds = {-1, -1, -1, -1};
	struct link *link;
	int err = link_alloc(&link);
	if (err < 0)
		return err;
	err = make_memory(&fds.memory);
	if (err == 0)
		err = map_memory(link, fds.memory, 0);
	if (err == 0)
		err = make_channels(link, &fds);
	if (err < 0) {
		close_fds(&fds);
		link_free(link);
		return err;
	}
	*ret_link = link;
	*ret_fds = fds;
	return 0;
}

static int check_memory(int fd)
{
	struct stat st;
	struct link_shared shared;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & LINK_SEALS) != LINK_SEALS)
		return -EPROTO;
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)memory_size())
		return -EPROTO;
	if (eos_pread_full(fd, &shared, sizeof(shared), 0) < 0)
		return -EPROTO;
	if (shared.magic != LINK_MAGIC || shared.layout_version != LINK_LAYOUT_VERSION ||
	    shared.ring_layout_version != RING_LAYOUT_VERSION ||
	    shared.ring_bytes != LINK_RING_BYTES)
		return -EPROTO;
	return 0;
}

int link_attach(const struct link_fds *fds, struct link **ret_link)
{
	struct link *link;
	int err = link_alloc(&link);
	if (err < 0) {
		close_fds(fds);
		return err;
	}
	link->bell_in = fds->doorbell_to_cell;
	link->bell_out = fds->doorbell_to_node;
	link->socket = fds->socket;
	err = check_memory(fds->memory);
	if (err == 0)
		err = map_memory(link, fds->memory, 1);
	eos_close(fds->memory);
	if (err < 0) {
		link_free(link);
		return err;
	}
	*ret_link = link;
	return 0;
}

struct link *link_free(struct link *link)
{
	if (link == NULL)
		return NULL;
	eos_close(link->bell_in);
	eos_close(link->bell_out);
	eos_close(link->bell_out_keep);
	eos_close(link->socket);
	if (link->memory != NULL)
		munmap(link->memory, memory_size());
	free(link);
	return NULL;
}

int link_doorbell_fd(const struct link *link)
{
	return link->bell_in;
}

int link_socket_fd(const struct link *link)
{
	return link->socket;
}

void link_doorbell_clear(struct link *link)
{
	/* An honest side has at most two rings on the way. What a flood leaves is read next time.
	 */
	char bytes[256];
	ssize_t n;
	do
		n = read(link->bell_in, bytes, sizeof(bytes));
	while (n < 0 && errno == EINTR);
}

/* A full pipe is as good as one more byte in it: the other side has been rung for. */
static void ring_bell(struct link *link)
{
	ssize_t n;
	do
		n = write(link->bell_out, "", 1);
	while (n < 0 && errno == EINTR);
}

int link_send(struct link *link, const void *header, size_t header_len, const void *payload,
	      size_t payload_len)
{
	int err = ring_push(&link->out, header, header_len, payload, payload_len);
	if (err == -EAGAIN) {
		if (ring_producer_prepare_wait(&link->out, header_len + payload_len))
			return -EAGAIN;
		err = ring_push(&link->out, header, header_len, payload, payload_len);
	}
	if (err < 0)
		return err;
	if (ring_must_wake_consumer(&link->out))
		ring_bell(link);
	return 0;
}

int64_t link_receive(struct link *link, void *out, size_t size)
{
	int64_t n = ring_pop(&link->in, out, size);
	if (n <= 0)
		return n == -EMSGSIZE ? -EBADMSG : n;
	if (ring_must_wake_producer(&link->in))
		ring_bell(link);
	return n;
}

bool link_has_message(struct link *link)
{
	return !ring_is_empty(&link->in);
}

int link_prepare_wait(struct link *link)
{
	return ring_consumer_prepare_wait(&link->in) ? 1 : 0;
}

int link_send_fd(struct link *link, int fd, uint64_t tag)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = &tag, .iov_len = sizeof(tag)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	for (;;) {
		if (sendmsg(link->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno == ECONNRESET || errno == EPIPE)
			return -EPIPE;
		if (errno != EAGAIN)
			return -errno;
		struct pollfd ready = {.fd = link->socket, .events = POLLOUT};
		int n = poll(&ready, 1, LINK_FD_WAIT_MS);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* The one descriptor in MESSAGE, or -1; all others are closed. */
static int take_fd(struct msghdr *message)
{
	int taken = -1;
	bool is_single = (message->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (taken >= 0) {
				eos_close(fd);
				is_single = false;
			} else {
				taken = fd;
			}
		}
	}
	return is_single ? taken : eos_close(taken);
}

int link_receive_fd(struct link *link, int *ret_fd, uint64_t *ret_tag)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	uint64_t tag = 0;
	struct iovec part = {.iov_base = &tag, .iov_len = sizeof(tag)};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n;
	do
		n = recvmsg(link->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	int fd = take_fd(&message);
	if (n == 0 && fd < 0)
		return -EPIPE;
	if (n != sizeof(tag) || fd < 0) {
		eos_close(fd);
		return -EBADMSG;
	}
	*ret_fd = fd;
	*ret_tag = tag;
	return 0;
}
