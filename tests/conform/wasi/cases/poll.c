#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

int main(void)
{
	struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = 1, .events = POLLOUT}};
	CHECK(poll(&fds[1], 1, 1000) == 1 && (fds[1].revents & POLLOUT));
	/* Standard input is at its end: readable, in the sense that nothing blocks. */
	CHECK(poll(fds, 2, -1) >= 1);
	int fd = open("work/file", O_CREAT | O_RDWR, 0666);
	fds[0].fd = fd;
	CHECK(poll(fds, 1, 0) == 1);

	__wasi_subscription_t in[2] = {{.userdata = 1}, {.userdata = 2}};
	__wasi_event_t out[2];
	__wasi_size_t count = 9;
	in[0].u.tag = __WASI_EVENTTYPE_CLOCK;
	in[0].u.u.clock.id = __WASI_CLOCKID_MONOTONIC;
	in[0].u.u.clock.timeout = 1000000;
	in[1] = in[0];
	in[1].userdata = 2;
	in[1].u.u.clock.timeout = 3600000000000;
	CHECK(__wasi_poll_oneoff(in, out, 2, &count) == 0);
	CHECK(count == 1 && out[0].userdata == 1 && out[0].error == 0);
	CHECK(__wasi_poll_oneoff(in, out, 0, &count) == __WASI_ERRNO_INVAL);
	in[0].u.tag = __WASI_EVENTTYPE_FD_READ;
	in[0].u.u.fd_read.file_descriptor = 99;
	CHECK(__wasi_poll_oneoff(in, out, 2, &count) == 0);
	CHECK(count == 1 && out[0].error == __WASI_ERRNO_BADF);
	return 0;
}
