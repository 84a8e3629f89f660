#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct eos_loop *loop;

static int make_loop(void **state)
{
	return eos_loop_new(&loop);
}

static int free_loop(void **state)
{
	loop = eos_loop_free(loop);
	return 0;
}

static void stop(void *ctx)
{
	eos_loop_stop(loop);
}

struct trail {
	int values[64];
	int count;
};
static struct trail trail;

static void note(void *ctx)
{
	trail.values[trail.count++] = (int)(intptr_t)ctx;
}

static void post_again(void *ctx)
{
	note(ctx);
	assert_int_equal(eos_loop_post(loop, note, (void *)9), 0);
	assert_int_equal(eos_loop_post(loop, stop, NULL), 0);
}

static void test_posts_keep_their_order(void **state)
{
	trail.count = 0;
	for (intptr_t i = 0; i < 5; i++)
		assert_int_equal(eos_loop_post(loop, note, (void *)i), 0);
	assert_int_equal(eos_loop_post(loop, post_again, (void *)5), 0);
	eos_loop_run(loop);
	assert_int_equal(trail.count, 7);
	for (int i = 0; i < 6; i++)
		assert_int_equal(trail.values[i], i);
	assert_int_equal(trail.values[6], 9);
}

static void test_posts_after_the_stop_run_in_free(void **state)
{
	struct eos_loop *other;
	trail.count = 0;
	assert_int_equal(eos_loop_new(&other), 0);
	assert_int_equal(eos_loop_post(other, note, (void *)1), 0);
	assert_int_equal(eos_loop_post(other, note, (void *)2), 0);
	assert_null(eos_loop_free(other));
	assert_int_equal(trail.count, 2);
	assert_null(eos_loop_free(NULL));
}

#define POSTS 20000
static int posted;

static void count_post(void *ctx)
{
	posted++;
	if (posted == 2 * POSTS)
		eos_loop_stop(loop);
}

static void *post_many(void *arg)
{
	for (int i = 0; i < POSTS; i++) {
		if (eos_loop_post(loop, count_post, NULL) < 0)
			abort();
	}
	return NULL;
}

static void test_posts_from_threads(void **state)
{
	pthread_t threads[2];
	posted = 0;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, NULL), 0);
	eos_loop_run(loop);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(posted, 2 * POSTS);
}

static void *stop_later(void *arg)
{
	usleep(2000);
	eos_loop_stop(loop);
	return NULL;
}

static void test_stop_from_a_thread_and_run_again(void **state)
{
	for (int i = 0; i < 3; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, stop_later, NULL), 0);
		eos_loop_run(loop);
		pthread_join(thread, NULL);
	}
	eos_loop_stop(loop);
	eos_loop_run(loop); /* returns: it was stopped before it ran */
}

struct reader {
	struct eos_watch *watch;
	int fd;
	int calls;
	bool frees_itself;
};

static void on_readable(void *ctx)
{
	struct reader *reader = ctx;
	char c;
	reader->calls++;
	if (reader->calls < 3)
		return; /* level-triggered: we are called again */
	ssize_t n = read(reader->fd, &c, 1);
	if (n < 0)
		abort();
	if (reader->frees_itself)
		reader->watch = eos_watch_free(reader->watch);
	eos_loop_stop(loop);
}

static void test_watch(void **state)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	struct reader reader = {.fd = ends[0], .frees_itself = true};
	assert_int_equal(eos_watch_new(loop, ends[0], on_readable, &reader, &reader.watch), 0);
	struct eos_watch *second;
	assert_int_equal(eos_watch_new(loop, ends[0], on_readable, &reader, &second), -EEXIST);
	assert_int_equal(write(ends[1], "a", 1), 1);
	eos_loop_run(loop);
	assert_int_equal(reader.calls, 3);
	assert_null(reader.watch);
	/* The same descriptor can be watched again at once, and a closed peer is readable. */
	reader.frees_itself = false;
	assert_int_equal(eos_watch_new(loop, ends[0], on_readable, &reader, &reader.watch), 0);
	close(ends[1]);
	eos_loop_run(loop);
	assert_true(reader.calls >= 4); /* once more may happen before the stop is seen */
	reader.watch = eos_watch_free(reader.watch);
	close(ends[0]);
	assert_null(eos_watch_free(NULL));
}

static void on_error(void *ctx)
{
	struct reader *reader = ctx;
	if (++reader->calls >= 3)
		eos_loop_stop(loop);
}

/* The writing end of a pipe nobody reads has EPOLLERR, and nothing to read. */
static void test_watch_reports_an_error_as_long_as_it_lasts(void **state)
{
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	struct reader reader = {.fd = ends[1]};
	assert_int_equal(eos_watch_new(loop, ends[1], on_error, &reader, &reader.watch), 0);
	eos_loop_run(loop);
	assert_true(reader.calls >= 3);
	eos_watch_free(reader.watch);
	close(ends[1]);
}

static void test_watch_refuses_what_cannot_be_polled(void **state)
{
	struct eos_watch *watch;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_int_equal(eos_watch_new(loop, fd, stop, NULL, &watch), -EPERM);
	close(fd);
	assert_int_equal(eos_watch_new(loop, fd, stop, NULL, &watch), -EBADF);
}

static struct eos_timer *ticking;
static int ticks;

static void tick(void *ctx)
{
	if (++ticks < 3) {
		eos_timer_arm(ticking, 1);
		return;
	}
	ticking = eos_timer_free(ticking);
	eos_loop_stop(loop);
}

static void fail_if_called(void *ctx)
{
	abort();
}

static void test_timers(void **state)
{
	struct eos_timer *disarmed;
	struct eos_timer *replaced;
	ticks = 0;
	assert_int_equal(eos_timer_new(loop, tick, NULL, &ticking), 0);
	assert_int_equal(eos_timer_new(loop, fail_if_called, NULL, &disarmed), 0);
	assert_int_equal(eos_timer_new(loop, fail_if_called, NULL, &replaced), 0);
	eos_timer_arm(disarmed, 0);
	eos_timer_disarm(disarmed);
	eos_timer_disarm(disarmed);
	eos_timer_arm(replaced, 0);
	eos_timer_arm(replaced, UINT64_MAX);
	eos_timer_arm(ticking, 0);
	eos_loop_run(loop);
	assert_int_equal(ticks, 3);
	assert_null(ticking);
	eos_timer_free(disarmed);
	eos_timer_free(replaced);
	assert_null(eos_timer_free(NULL));
}

static struct eos_timer *first_restless, *second_restless;
static unsigned restless;

/* Two timers that arm each other: neither may keep the loop from its descriptors. */
static void arm_other(void *ctx)
{
	if (++restless == 100000)
		eos_loop_stop(loop); /* the watch was never called */
	else
		eos_timer_arm(ctx == NULL ? second_restless : first_restless, 0);
}

static void test_timers_let_watches_have_a_turn(void **state)
{
	struct eos_watch *watch;
	int ends[2];
	restless = 0;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(eos_timer_new(loop, arm_other, NULL, &first_restless), 0);
	assert_int_equal(eos_timer_new(loop, arm_other, &restless, &second_restless), 0);
	assert_int_equal(eos_watch_new(loop, ends[0], stop, NULL, &watch), 0);
	eos_timer_arm(first_restless, 0);
	eos_loop_run(loop);
	assert_in_range(restless, 1, 100);
	eos_watch_free(watch);
	eos_timer_free(first_restless);
	eos_timer_free(second_restless);
	close(ends[0]);
	close(ends[1]);
}

/* For the next turn, and then not at all. */
static void arm_and_disarm(void *ctx)
{
	eos_timer_arm(first_restless, 0);
	eos_timer_arm(second_restless, 0);
	eos_timer_disarm(first_restless);
	second_restless = eos_timer_free(second_restless);
	eos_timer_arm(ticking, 2);
}

static void test_timers_for_the_next_turn_are_disarmed(void **state)
{
	struct eos_timer *timer;
	ticks = 2;
	assert_int_equal(eos_timer_new(loop, fail_if_called, NULL, &first_restless), 0);
	assert_int_equal(eos_timer_new(loop, fail_if_called, NULL, &second_restless), 0);
	assert_int_equal(eos_timer_new(loop, tick, NULL, &ticking), 0);
	assert_int_equal(eos_timer_new(loop, arm_and_disarm, NULL, &timer), 0);
	eos_timer_arm(timer, 0);
	eos_loop_run(loop);
	assert_int_equal(ticks, 3);
	eos_timer_free(first_restless);
	eos_timer_free(timer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_posts_keep_their_order, make_loop, free_loop),
		cmocka_unit_test(test_posts_after_the_stop_run_in_free),
		cmocka_unit_test_setup_teardown(test_posts_from_threads, make_loop, free_loop),
		cmocka_unit_test_setup_teardown(test_stop_from_a_thread_and_run_again, make_loop,
						free_loop),
		cmocka_unit_test_setup_teardown(test_watch, make_loop, free_loop),
		cmocka_unit_test_setup_teardown(test_watch_reports_an_error_as_long_as_it_lasts,
						make_loop, free_loop),
		cmocka_unit_test_setup_teardown(test_watch_refuses_what_cannot_be_polled, make_loop,
						free_loop),
		cmocka_unit_test_setup_teardown(test_timers, make_loop, free_loop),
		cmocka_unit_test_setup_teardown(test_timers_let_watches_have_a_turn, make_loop,
						free_loop),
		cmocka_unit_test_setup_teardown(test_timers_for_the_next_turn_are_disarmed,
						make_loop, free_loop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
