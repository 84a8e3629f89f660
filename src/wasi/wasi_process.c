/*
 * Clocks, random numbers, signals to oneself, sockets (of which there are none).
 */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "wasi/wasi_priv.h"

/* Random bytes are made in pieces of this, so that a timeout need not wait for gigabytes. */
#define RANDOM_PIECE_BYTES (1u << 20)

int wasi_clock_res_get(struct fwp *fwp, uint32_t id, uint32_t out)
{
	/* CPU time of one FWP is not kept, and that of the thread belongs to all of them. */
	if (id != WASI_CLOCK_REALTIME && id != WASI_CLOCK_MONOTONIC)
		return -EINVAL;
	struct timespec res;
	clock_getres(id == WASI_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC, &res);
	uint64_t ns = (uint64_t)res.tv_sec * EOS_NS_PER_S + (uint64_t)res.tv_nsec;
	return wasi_copy_out(fwp, out, &ns, sizeof(ns));
}

int wasi_clock_time_get(struct fwp *fwp, uint32_t id, uint64_t precision, uint32_t out)
{
	if (id != WASI_CLOCK_REALTIME && id != WASI_CLOCK_MONOTONIC)
		return -EINVAL;
	uint64_t ns = id == WASI_CLOCK_REALTIME ? eos_wall_ns() : eos_now_ns();
	return wasi_copy_out(fwp, out, &ns, sizeof(ns));
}

int wasi_random_get(struct fwp *fwp, uint32_t buf, uint32_t len)
{
	if (len == 0)
		return 0;
	uint8_t *bytes = fwp_memory(fwp, buf, len);
	if (bytes == NULL)
		return -EFAULT;
	for (uint32_t done = 0; done < len;) {
		if (eos_now_ns() >= fwp_deadline_ns(fwp))
			return -EINTR;
		size_t piece = EOS_MIN(len - done, RANDOM_PIECE_BYTES);
		ssize_t n = getrandom(bytes + done, piece, 0);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (uint32_t)n;
	}
	return 0;
}

int wasi_sched_yield(struct fwp *fwp)
{
	return 0;
}

int wasi_proc_raise(struct fwp *fwp, uint32_t signo)
{
	switch (signo) {
	case WASI_SIGNAL_NONE:
	case WASI_SIGNAL_CHLD:
	case WASI_SIGNAL_CONT:
	case WASI_SIGNAL_URG:
	case WASI_SIGNAL_WINCH:
		return 0; /* ignored by default */
	case WASI_SIGNAL_STOP:
	case WASI_SIGNAL_TSTP:
	case WASI_SIGNAL_TTIN:
	case WASI_SIGNAL_TTOU:
		return -EOPNOTSUPP; /* nobody could continue it */
	}
	if (signo > WASI_SIGNAL_LAST)
		return -EINVAL;
	fwp_exit(fwp, 128 + signo); /* as a shell reports it */
}

/* No descriptor is a socket. */
static int not_a_socket(struct fwp *fwp, uint32_t fd)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, 0, &descriptor);
	return err < 0 ? err : -ENOTSOCK;
}

int wasi_sock_accept(struct fwp *fwp, uint32_t fd, uint32_t flags, uint32_t out)
{
	return not_a_socket(fwp, fd);
}

int wasi_sock_recv(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint32_t flags,
		   uint32_t out_len, uint32_t out_flags)
{
	return not_a_socket(fwp, fd);
}

int wasi_sock_send(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint32_t flags,
		   uint32_t out)
{
	return not_a_socket(fwp, fd);
}

int wasi_sock_shutdown(struct fwp *fwp, uint32_t fd, uint32_t how)
{
	return not_a_socket(fwp, fd);
}
