#include "plane/plane_protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/file.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(PLANE_FDS_MAX * sizeof(int))];
};

void plane_fds_close(int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fds[i] = eos_close(fds[i]);
}

int plane_message_send(int socket, const void *data, size_t len, const int *fds, unsigned count,
		       int timeout_ms)
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (len > PLANE_MESSAGE_MAX || count > PLANE_FDS_MAX)
		return -EMSGSIZE;
	if (count > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	}
	for (;;) {
		if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno == ECONNRESET || errno == EPIPE)
			return -EPIPE;
		if (errno != EAGAIN)
			return -errno;
		struct pollfd ready = {.fd = socket, .events = POLLOUT};
		int n = poll(&ready, 1, timeout_ms);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* More than PLANE_FDS_MAX are closed, and MSG_CTRUNC is set as if there had been no space: that is
 * rounded up to what a message's header needs, so one more may fit. */
static unsigned take_fds(struct msghdr *message, int fds[PLANE_FDS_MAX])
{
	unsigned taken = 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(message); h != NULL; h = CMSG_NXTHDR(message, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
			if (taken < PLANE_FDS_MAX) {
				fds[taken++] = fd;
				continue;
			}
			eos_close(fd);
			message->msg_flags |= MSG_CTRUNC;
		}
	}
	return taken;
}

int plane_message_receive(int socket, struct eos_buf *out, int fds[PLANE_FDS_MAX],
			  unsigned *ret_count)
{
	union control control = {0};
	eos_buf_clear(out);
	int err = eos_buf_reserve(out, PLANE_MESSAGE_MAX);
	if (err < 0)
		return err;
	struct iovec part = {.iov_base = out->data, .iov_len = PLANE_MESSAGE_MAX};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;
	do
		n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	unsigned count = take_fds(&message, fds);
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		plane_fds_close(fds, count);
		return -EPROTO;
	}
	if (n == 0) {
		plane_fds_close(fds, count);
		return -EPIPE;
	}
	out->len = (size_t)n;
	out->data[n] = '\0';
	*ret_count = count;
	return 0;
}

int plane_document_new(const void *data, size_t len)
{
	int fd = memfd_create("edgeos-document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	int err = eos_write_full(fd, data, len);
	if (err == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | SEALS) < 0)
		err = -errno;
	if (err < 0) {
		eos_close(fd);
		return err;
	}
	return fd;
}

int plane_document_check(int fd, size_t *ret_len)
{
	struct stat info;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS || fstat(fd, &info) < 0 || info.st_size < 0)
		return -EINVAL;
	*ret_len = (size_t)info.st_size;
	return 0;
}
