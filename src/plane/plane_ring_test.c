/* Two threads and a ring: nothing is lost, doubled or out of order, and nobody sleeps beside
 * something. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "plane/plane_ring.h"

#define PLACES 64u
#define FRAMES 200000u

static struct plane_handed numbered(uint32_t number)
{
	return (struct plane_handed){
		.frame = {.len = number, .hash = ~number}, .port = (uint16_t)number, .asks = 3};
}

static void is_numbered(const struct plane_handed *handed, uint32_t number)
{
	struct plane_handed expected = numbered(number);
	assert_int_equal(handed->frame.len, number);
	assert_int_equal(handed->frame.hash, expected.frame.hash);
	assert_int_equal(handed->port, expected.port);
	assert_int_equal(handed->asks, 3);
}

static void full_and_empty(void **state)
{
	struct plane_ring ring;
	struct plane_handed handed[2 * PLACES];
	(void)state;
	assert_int_equal(plane_ring_init(&ring, PLACES), 0);
	assert_true(plane_ring_is_empty(&ring));
	/* Three times around. */
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < PLACES; i++) {
			struct plane_handed one = numbered(round * PLACES + i);
			assert_true(plane_ring_put(&ring, &one));
		}
		struct plane_handed more = numbered(0);
		assert_false(plane_ring_put(&ring, &more));
		assert_int_equal(atomic_load(&ring.dropped), round + 1);
		/* Nobody sees it before it is published. */
		assert_true(plane_ring_is_empty(&ring));
		assert_int_equal(plane_ring_take(&ring, handed, PLACES), 0);
		plane_ring_publish(&ring);
		assert_false(plane_ring_is_empty(&ring));
		assert_int_equal(plane_ring_take(&ring, handed, 10), 10);
		assert_int_equal(plane_ring_take(&ring, handed + 10, 2 * PLACES - 10), PLACES - 10);
		for (uint32_t i = 0; i < PLACES; i++)
			is_numbered(&handed[i], round * PLACES + i);
		assert_true(plane_ring_is_empty(&ring));
	}
	assert_int_equal(atomic_load(&ring.handed), 3 * PLACES);
	plane_ring_fini(&ring);
}

/* Positions come round after 2^32 frames. */
static void positions_come_round(void **state)
{
	struct plane_ring ring;
	struct plane_handed handed;
	(void)state;
	assert_int_equal(plane_ring_init(&ring, PLACES), 0);
	ring.end = ring.begin_seen = UINT32_MAX - 5;
	atomic_store(&ring.published, ring.end);
	atomic_store(&ring.begin, ring.end);
	for (uint32_t i = 0; i < 4 * PLACES; i++) {
		struct plane_handed one = numbered(i);
		assert_true(plane_ring_put(&ring, &one));
		plane_ring_publish(&ring);
		assert_int_equal(plane_ring_take(&ring, &handed, 1), 1);
		is_numbered(&handed, i);
	}
	plane_ring_fini(&ring);
}

static void *put_all(void *ctx)
{
	struct plane_ring *ring = ctx;
	for (uint32_t i = 0; i < FRAMES;) {
		struct plane_handed one = numbered(i);
		if (plane_ring_put(ring, &one))
			i++;
		else
			sched_yield();
		/* Bursts of all lengths; and what does not fit must be seen to make room. */
		if (i % 7 == 0 || ring->end - ring->begin_seen > ring->mask)
			plane_ring_publish(ring);
	}
	plane_ring_publish(ring);
	return NULL;
}

static void two_threads(void **state)
{
	struct plane_ring ring;
	struct plane_handed handed[32];
	pthread_t thread;
	uint32_t seen = 0;
	(void)state;
	assert_int_equal(plane_ring_init(&ring, PLACES), 0);
	assert_int_equal(pthread_create(&thread, NULL, put_all, &ring), 0);
	while (seen < FRAMES) {
		unsigned n = plane_ring_take(&ring, handed, 1 + seen % 32);
		for (unsigned i = 0; i < n; i++)
			is_numbered(&handed[i], seen++);
		if (n == 0)
			sched_yield();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(plane_ring_is_empty(&ring));
	assert_int_equal(atomic_load(&ring.handed), FRAMES);
	plane_ring_fini(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_empty),
		cmocka_unit_test(positions_come_round),
		cmocka_unit_test(two_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
