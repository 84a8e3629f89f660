/*
 * The mover on a thread of its own: nothing is lost or reordered, sleepers are woken, and a port's
 * memory may vanish as soon as mma_port_free() returns. Made to be run under ThreadSanitizer.
 */
#include "mma/mma.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "mma/mma_host.h"
#include "mma/mma_test_fixture.h"

#define MESSAGES 20000u
#define LIVES	 200u

static struct mma *threaded(const struct mma_thread_config *config)
{
	struct mma *mma;
	struct eos_why why = {""};
	assert_int_equal(mma_new(&mma), 0);
	if (mma_thread_start(mma, config, &why) < 0)
		fail_msg("%s", why.text);
	assert_true(mma_has_thread(mma));
	return mma;
}

static void start_and_stop(void **state)
{
	struct mma *mma = threaded(NULL);
	assert_int_equal(mma_thread_start(mma, NULL, NULL), -EBUSY);
	mma_thread_stop(mma);
	mma_thread_stop(mma);
	assert_false(mma_has_thread(mma));
	struct mma_thread_config config = {.cpu = 1 << 20};
	assert_int_equal(mma_thread_start(mma, &config, NULL), -EINVAL);
	/* One that this process may use, and one that is not there. */
	config.cpu = 0;
	int err = mma_thread_start(mma, &config, NULL);
	assert_true(err == 0 || err == -EINVAL);
	mma_thread_stop(mma);
	config.cpu = 1023;
	if (sysconf(_SC_NPROCESSORS_CONF) < 1024) {
		assert_int_equal(mma_thread_start(mma, &config, NULL), -EINVAL);
		assert_false(mma_has_thread(mma));
	}
	mma_free(mma);
}

/* A host port with a thread that sleeps until it is woken. */
struct sleeper {
	struct mma_host *host;
	uint32_t handle;
	sem_t bell;
	uint32_t rounds;
};

static void ring_bell(void *ctx, unsigned events)
{
	struct sleeper *sleeper = ctx;
	sem_post(&sleeper->bell);
}

static const struct mma_port_ops sleeper_ops = {.wake = ring_bell};

static void sleeper_init(struct sleeper *sleeper, struct mma *mma)
{
	const struct mma_host_config config = {
		.out_count = 8,
		.in_count = 8,
		.buffer_bytes = 256,
		.ops = &sleeper_ops,
		.ctx = sleeper,
	};
	assert_int_equal(sem_init(&sleeper->bell, 0, 0), 0);
	assert_int_equal(mma_host_new(mma, &config, &sleeper->host, NULL), 0);
}

static void sleeper_wait(struct sleeper *sleeper, bool for_room)
{
	if (mma_host_prepare_wait(sleeper->host, for_room))
		while (sem_wait(&sleeper->bell) < 0)
			EOS_ASSERT(errno == EINTR);
}

/* Sends MESSAGES numbers to the other one and expects as many, in order. */
static void *exchange(void *arg)
{
	struct sleeper *sleeper = arg;
	struct mma_host_message message;
	uint32_t sent = 0, got = 0;
	while (sent < MESSAGES || got < MESSAGES) {
		bool has_done = false;
		while (sent < MESSAGES &&
		       mma_host_send(sleeper->host, sleeper->handle, &sent, sizeof(sent)) == 0) {
			sent++;
			has_done = true;
		}
		while (mma_host_peek(sleeper->host, &message) == 1) {
			uint32_t value;
			EOS_ASSERT(message.len == sizeof(value));
			memcpy(&value, message.data, sizeof(value));
			EOS_ASSERT(value == got && message.conn == sleeper->handle);
			mma_host_release(sleeper->host);
			got++;
			has_done = true;
		}
		sleeper->rounds++;
		if (!has_done)
			sleeper_wait(sleeper, sent < MESSAGES);
	}
	return NULL;
}

static void exchange_pair(const struct mma_thread_config *config)
{
	struct mma *mma = threaded(config);
	struct sleeper pair[2] = {0};
	pthread_t threads[2];
	for (unsigned i = 0; i < 2; i++)
		sleeper_init(&pair[i], mma);
	assert_int_equal(mma_connect_pair(mma_host_port(pair[0].host), mma_host_port(pair[1].host),
					  NULL, &pair[0].handle, &pair[1].handle),
			 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, exchange, &pair[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct mma_port_stats stats;
		mma_port_stats(mma_host_port(pair[i].host), &stats);
		assert_int_equal(stats.sent, MESSAGES);
		assert_int_equal(stats.received, MESSAGES);
		assert_int_equal(stats.faults, 0);
		assert_int_equal(stats.dropped, 0);
		mma_host_free(pair[i].host);
		sem_destroy(&pair[i].bell);
	}
	mma_free(mma);
}

static void exchanges(void **state)
{
	exchange_pair(NULL);
}

/* It sleeps at each chance, so each kick has to wake it. */
static void exchanges_with_a_sleepy_mover(void **state)
{
	const struct mma_thread_config config = {.cpu = -1, .spin_ns = 0};
	exchange_pair(&config);
}

struct flood {
	struct mma *mma;
	struct guest *sink;
	_Atomic bool must_stop;
};

/* Guests that live for a moment: each sends to the sink, and vanishes with its memory while its
 * messages are under way. */
static void *live_and_die(void *arg)
{
	struct flood *flood = arg;
	for (unsigned life = 0; life < LIVES; life++) {
		struct guest *guest = guest_new(flood->mma, 16, 16);
		uint32_t to_sink = connect_guests(guest, flood->sink, MMA_WAIT, life);
		for (unsigned i = 0; i < 16; i++)
			guest_send(guest, to_sink, GUEST_MESSAGES, 4096);
		guest_post_buffers(guest, 16, 64);
		mma_kick(guest->port);
		if (life % 3 == 0)
			while (mma_port_sent(guest->port) == 0)
				sched_yield();
		guest_free(guest);
	}
	return NULL;
}

static void *drain(void *arg)
{
	struct flood *flood = arg;
	struct guest *sink = flood->sink;
	while (!atomic_load(&flood->must_stop)) {
		struct mma_abi_descriptor *message = guest_take(sink);
		if (message == NULL) {
			sched_yield();
			continue;
		}
		EOS_ASSERT(message->status == MMA_ABI_DONE && message->len == 4096);
		guest_post(sink, message->address, message->capacity);
		mma_posted(sink->port);
	}
	return NULL;
}

static void frees_under_load(void **state)
{
	struct flood flood = {.mma = threaded(NULL)};
	flood.sink = guest_new(flood.mma, 4, 16);
	guest_post_buffers(flood.sink, 16, 4096);
	pthread_t lives[2], drainer;
	assert_int_equal(pthread_create(&drainer, NULL, drain, &flood), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&lives[i], NULL, live_and_die, &flood), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(lives[i], NULL);
	atomic_store(&flood.must_stop, true);
	pthread_join(drainer, NULL);
	struct mma_port_stats stats;
	mma_port_stats(flood.sink->port, &stats);
	assert_true(stats.received >= 2 * (LIVES / 3));
	assert_int_equal(stats.faults, 0);
	guest_free(flood.sink);
	mma_free(flood.mma);
}

/* A sleeping mover must notice what a controller does. */
static void controllers_wake(void **state)
{
	const struct mma_thread_config config = {.cpu = -1, .spin_ns = 0};
	struct mma *mma = threaded(&config);
	struct guest *a = guest_new(mma, 8, 8), *b = guest_new(mma, 8, 8);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1),
		 other = connect_guests(a, b, MMA_WAIT, 2);
	guest_send(a, to_b, GUEST_MESSAGES, 8);
	guest_send(a, other, GUEST_MESSAGES, 8);
	mma_kick(a->port);
	usleep(2000);
	assert_int_equal(mma_port_completions(a->port), 0);
	assert_int_equal(mma_disconnect(a->port, to_b), 0);
	while (mma_port_sent(a->port) < 1)
		sched_yield();
	assert_int_equal(guest_status(a, 0), MMA_ABI_BAD_HANDLE);
	usleep(2000);
	guest_free(b);
	while (mma_port_sent(a->port) < 2)
		sched_yield();
	assert_int_equal(guest_status(a, 1), MMA_ABI_GONE);
	guest_free(a);
	mma_free(mma);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start_and_stop),
		cmocka_unit_test(exchanges),
		cmocka_unit_test(exchanges_with_a_sleepy_mover),
		cmocka_unit_test(frees_under_load),
		cmocka_unit_test(controllers_wake),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
