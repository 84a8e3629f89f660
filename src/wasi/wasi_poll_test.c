#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wasi/vfs_host.h"
#include "wasi/wasi_test_fixture.h"

/* A host whose time does not pass: sleep_until records. The clock is the real one, so only what is
 * due at once or already over can be waited for without waiting. */
static uint64_t slept_until_ns;

static void record_sleep(void *ctx, struct fwp *fwp, uint64_t monotonic_ns)
{
	slept_until_ns = monotonic_ns;
	while (eos_now_ns() < monotonic_ns && eos_now_ns() < fwp_deadline_ns(fwp))
		;
}

static const struct wasi_host_ops recording_ops = {.sleep_until = record_sleep};

static void put_clock(struct fixture *f, uint32_t index, uint32_t id, uint64_t timeout,
		      uint16_t flags)
{
	struct wasi_abi_subscription s = {.userdata = 100 + index, .tag = WASI_EVENT_CLOCK};
	s.u.clock.id = id;
	s.u.clock.timeout = timeout;
	s.u.clock.flags = flags;
	memcpy(fwp_double_at(f->fwp, AT_IOVS + index * 48, 48), &s, sizeof(s));
}

static void put_fd(struct fixture *f, uint32_t index, uint8_t tag, uint32_t fd)
{
	struct wasi_abi_subscription s = {.userdata = 100 + index, .tag = tag};
	s.u.fd = fd;
	memcpy(fwp_double_at(f->fwp, AT_IOVS + index * 48, 48), &s, sizeof(s));
}

/* Polls COUNT subscriptions; the number of events or the negative errno. */
static int poll_all(struct fixture *f, uint32_t count)
{
	int err = wasi_poll_oneoff(f->fwp, AT_IOVS, AT_BUF, count, AT_OUT);
	return err < 0 ? err : (int)fwp_double_u32(f->fwp, AT_OUT);
}

static struct wasi_abi_event event_at(struct fixture *f, uint32_t index)
{
	struct wasi_abi_event event;
	memcpy(&event, fwp_double_at(f->fwp, AT_BUF + index * 32, 32), sizeof(event));
	return event;
}

static void test_clocks(void **state)
{
	struct fixture *f = *state;
	slept_until_ns = 0;
	wasi_set_host_ops(f->wasi, &recording_ops, NULL);
	uint64_t before_ns = eos_now_ns();
	/* Long enough that a busy machine has not let it pass before it is looked at. */
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 50 * EOS_NS_PER_MS, 0);
	put_clock(f, 1, WASI_CLOCK_REALTIME, 3600 * EOS_NS_PER_S, 0);
	assert_int_equal(poll_all(f, 2), 1);
	assert_int_equal(event_at(f, 0).userdata, 100);
	assert_int_equal(event_at(f, 0).type, WASI_EVENT_CLOCK);
	assert_int_equal(event_at(f, 0).error, 0);
	assert_true(slept_until_ns >= before_ns + 50 * EOS_NS_PER_MS);
	/* Absolute times that are over need no sleep. */
	slept_until_ns = 0;
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 1, WASI_SUBSCRIPTION_CLOCK_ABSTIME);
	put_clock(f, 1, WASI_CLOCK_REALTIME, 1, WASI_SUBSCRIPTION_CLOCK_ABSTIME);
	put_clock(f, 2, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
	assert_int_equal(poll_all(f, 3), 2);
	assert_int_equal(slept_until_ns, 0);
	put_clock(f, 0, WASI_CLOCK_REALTIME, eos_wall_ns() + EOS_NS_PER_MS,
		  WASI_SUBSCRIPTION_CLOCK_ABSTIME);
	assert_int_equal(poll_all(f, 1), 1);
	/* Unknown clocks and flags are events with an error. */
	put_clock(f, 0, 7, 0, 0);
	put_clock(f, 1, WASI_CLOCK_MONOTONIC, 0, 2);
	assert_int_equal(poll_all(f, 2), 2);
	assert_int_equal(event_at(f, 0).error, WASI_ERRNO_INVAL);
	assert_int_equal(event_at(f, 1).error, WASI_ERRNO_INVAL);
}

static void test_thread_sleep(void **state)
{
	struct fixture *f = *state;
	uint64_t before_ns = eos_now_ns();
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 2 * EOS_NS_PER_MS, 0);
	assert_int_equal(poll_all(f, 1), 1);
	assert_true(eos_now_ns() >= before_ns + 2 * EOS_NS_PER_MS);
	/* The FWP's own end comes first. */
	f->fwp->deadline_ns = eos_now_ns() + EOS_NS_PER_MS;
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 3600 * EOS_NS_PER_S, 0);
	assert_int_equal(poll_all(f, 1), -EINTR);
}

static void test_files(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(write_text(f, fd, "0123456789"), 10);
	assert_int_equal(seek(f, fd, 4, WASI_WHENCE_SET), 4);
	put_fd(f, 0, WASI_EVENT_FD_READ, fd);
	put_fd(f, 1, WASI_EVENT_FD_WRITE, fd);
	put_fd(f, 2, WASI_EVENT_FD_READ, 99);
	put_fd(f, 3, WASI_EVENT_FD_READ, DATA_FD);
	put_fd(f, 4, WASI_EVENT_FD_WRITE, 0);
	put_clock(f, 5, WASI_CLOCK_MONOTONIC, 3600 * EOS_NS_PER_S, 0);
	put_fd(f, 6, WASI_EVENT_FD_READ, 0);
	assert_int_equal(poll_all(f, 7), 6);
	assert_int_equal(event_at(f, 0).nbytes, 6);
	assert_int_equal(event_at(f, 0).type, WASI_EVENT_FD_READ);
	assert_int_equal(event_at(f, 1).type, WASI_EVENT_FD_WRITE);
	assert_int_equal(event_at(f, 2).error, WASI_ERRNO_BADF);
	assert_int_equal(event_at(f, 3).error, WASI_ERRNO_BADF);
	assert_int_equal(event_at(f, 4).error, WASI_ERRNO_BADF);
	assert_int_equal(event_at(f, 5).userdata, 106);
	/* Without the right. */
	assert_int_equal(wasi_fd_fdstat_set_rights(f->fwp, fd, WASI_RIGHT_FD_READ, 0), 0);
	assert_int_equal(poll_all(f, 1), 1);
	assert_int_equal(event_at(f, 0).error, WASI_ERRNO_NOTCAPABLE);
}

static void test_bad_calls(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(poll_all(f, 0), -EINVAL);
	assert_int_equal(poll_all(f, WASI_SUBSCRIPTIONS_MAX + 1), -EINVAL);
	assert_int_equal(poll_all(f, UINT32_MAX), -EINVAL);
	put_fd(f, 0, 3, 0);
	assert_int_equal(poll_all(f, 1), -EINVAL);
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 0, 0);
	uint32_t end = DOUBLE_MEMORY_SIZE;
	assert_int_equal(wasi_poll_oneoff(f->fwp, end - 95, AT_BUF, 2, AT_OUT), -EFAULT);
	assert_int_equal(wasi_poll_oneoff(f->fwp, AT_IOVS, end - 31, 1, AT_OUT), -EFAULT);
	/* Events over the subscriptions. */
	put_clock(f, 0, WASI_CLOCK_MONOTONIC, 0, 0);
	put_clock(f, 1, WASI_CLOCK_MONOTONIC, 0, 0);
	put_clock(f, 2, WASI_CLOCK_MONOTONIC, 0, 0);
	assert_int_equal(wasi_poll_oneoff(f->fwp, AT_IOVS, AT_IOVS, 3, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 3);
	assert_int_equal(fwp_double_u64(f->fwp, AT_IOVS + 64), 102);
}

/* A pipe as descriptor 5 (its end READ_END). Returns the other end. */
static int open_pipe(struct fixture *f, bool read_end)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	struct wasi_node *node;
	assert_int_equal(vfs_host_stream(fds[read_end ? 0 : 1], &node), 0);
	assert_int_equal(wasi_fd_close(f->fwp, read_end ? 0 : 1), 0);
	assert_int_equal(wasi_set_stdio(f->wasi, read_end ? 0 : 1, node), 0);
	wasi_node_unref(node);
	return fds[read_end ? 1 : 0];
}

static void test_pipes(void **state)
{
	struct fixture *f = *state;
	int writer = open_pipe(f, true), reader = open_pipe(f, false);
	put_fd(f, 0, WASI_EVENT_FD_READ, 0);
	put_clock(f, 1, WASI_CLOCK_MONOTONIC, EOS_NS_PER_MS, 0);
	assert_int_equal(poll_all(f, 2), 1);
	assert_int_equal(event_at(f, 0).userdata, 101);
	assert_int_equal(wasi_fd_fdstat_set_flags(f->fwp, 0, WASI_FDFLAG_NONBLOCK), 0);
	assert_int_equal(read_some(f, 0, 10), -EAGAIN);
	assert_int_equal(write(writer, "abc", 3), 3);
	put_fd(f, 0, WASI_EVENT_FD_READ, 0);
	assert_int_equal(poll_all(f, 2), 1);
	assert_int_equal(event_at(f, 0).userdata, 100);
	assert_true(event_at(f, 0).nbytes > 0);
	assert_int_equal(read_some(f, 0, 10), 3);
	close(writer);
	put_fd(f, 0, WASI_EVENT_FD_READ, 0);
	assert_int_equal(poll_all(f, 1), 1);
	assert_int_equal(event_at(f, 0).flags, WASI_EVENT_FLAG_HANGUP);
	assert_int_equal(read_some(f, 0, 10), 0);
	/* A full pipe does not hold up an FWP whose time is over. */
	f->fwp->deadline_ns = eos_now_ns() + 2 * EOS_NS_PER_MS;
	put_iovec(f, 0, 0, DOUBLE_MEMORY_SIZE);
	put_iovec(f, 1, 0, DOUBLE_MEMORY_SIZE);
	assert_int_equal(wasi_fd_write(f->fwp, 1, AT_IOVS, 2, AT_OUT), 0);
	assert_true(fwp_double_u32(f->fwp, AT_OUT) <= DOUBLE_MEMORY_SIZE);
	assert_int_equal(wasi_fd_write(f->fwp, 1, AT_IOVS, 2, AT_OUT), -EINTR);
	close(reader);
}

static void test_read_ends_with_the_deadline(void **state)
{
	struct fixture *f = *state;
	int writer = open_pipe(f, true);
	f->fwp->deadline_ns = eos_now_ns() + EOS_NS_PER_MS;
	assert_int_equal(read_some(f, 0, 10), -EINTR);
	close(writer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_clocks), TEST(test_thread_sleep),
		TEST(test_files),  TEST(test_bad_calls),
		TEST(test_pipes),  TEST(test_read_ends_with_the_deadline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
