#include "ring/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RECORDS 50000u
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RECORDS 50000u
#endif
#endif
#ifndef RECORDS
#define RECORDS 1000000u
#endif

#define CAPACITY 4096u

struct pair {
	void *memory;
	struct ring producer, consumer;
};

static void pair_init(struct pair *pair, uint64_t capacity)
{
	size_t size = ring_memory_size(capacity);
	assert_int_equal(posix_memalign(&pair->memory, 64, size), 0);
	memset(pair->memory, 0, size);
	assert_int_equal(ring_attach(&pair->producer, pair->memory, capacity), 0);
	assert_int_equal(ring_attach(&pair->consumer, pair->memory, capacity), 0);
}

static void pair_fini(struct pair *pair)
{
	free(pair->memory);
}

static void attach_checks(void **state)
{
	struct ring ring;
	static alignas(64) uint8_t memory[8192];
	assert_int_equal(ring_attach(&ring, memory, 0), -EINVAL);
	assert_int_equal(ring_attach(&ring, memory, 2048), -EINVAL);
	assert_int_equal(ring_attach(&ring, memory, 4097), -EINVAL);
	assert_int_equal(ring_attach(&ring, memory, UINT64_C(128) << 20), -EINVAL);
	assert_int_equal(ring_attach(&ring, memory + 8, 4096), -EINVAL);
	assert_int_equal(ring_attach(&ring, memory, 4096), 0);
	assert_int_equal(ring_memory_size(4096), 4096 + sizeof(struct ring_shared));
}

static void push_and_pop(void **state)
{
	struct pair pair;
	pair_init(&pair, CAPACITY);
	char out[64];
	assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), 0);
	assert_true(ring_is_empty(&pair.consumer));
	assert_int_equal(ring_push(&pair.producer, "head", 4, "payload", 7), 0);
	assert_false(ring_is_empty(&pair.consumer));
	assert_int_equal(ring_push(&pair.producer, "x", 1, NULL, 0), 0);
	assert_int_equal(ring_push(&pair.producer, NULL, 0, "y", 1), 0);
	assert_int_equal(ring_pop(&pair.consumer, out, 3), -EMSGSIZE);
	assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), 11);
	assert_memory_equal(out, "headpayload", 11);
	assert_int_equal(ring_pop(&pair.consumer, out, 1), 1);
	assert_int_equal(out[0], 'x');
	assert_int_equal(ring_pop(&pair.consumer, out, 1), 1);
	assert_int_equal(out[0], 'y');
	assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), 0);
	pair_fini(&pair);
}

static void push_limits(void **state)
{
	struct pair pair;
	pair_init(&pair, CAPACITY);
	static char big[RING_RECORD_MAX + 1];
	assert_int_equal(ring_push(&pair.producer, NULL, 0, NULL, 0), -EINVAL);
	assert_int_equal(ring_push(&pair.producer, big, sizeof(big), NULL, 0), -EMSGSIZE);
	assert_int_equal(ring_push(&pair.producer, big, 1, big, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(ring_push(&pair.producer, big, SIZE_MAX, big, 1), -EMSGSIZE);
	assert_int_equal(ring_push(&pair.producer, big, CAPACITY - 3, NULL, 0), -EMSGSIZE);
	/* Exactly full, then no room for one byte. */
	assert_int_equal(ring_push(&pair.producer, big, CAPACITY - 4, NULL, 0), 0);
	assert_int_equal(ring_push(&pair.producer, big, 1, NULL, 0), -EAGAIN);
	assert_int_equal(ring_pop(&pair.consumer, big, sizeof(big)), CAPACITY - 4);
	assert_int_equal(ring_push(&pair.producer, big, 1, NULL, 0), 0);
	pair_fini(&pair);
	pair_init(&pair, 1u << 20);
	assert_int_equal(ring_push(&pair.producer, big, RING_RECORD_MAX, NULL, 0), 0);
	assert_int_equal(ring_pop(&pair.consumer, big, sizeof(big)), RING_RECORD_MAX);
	pair_fini(&pair);
}

/* Records of every length over many turns, so that each split at the end occurs. */
static void wraps_whole(void **state)
{
	struct pair pair;
	pair_init(&pair, CAPACITY);
	uint8_t in[600], out[600];
	for (unsigned i = 1; i < 20000; i++) {
		size_t len = 1 + i * 7919u % sizeof(in);
		for (size_t k = 0; k < len; k++)
			in[k] = (uint8_t)(i + k);
		size_t cut = i % len;
		assert_int_equal(ring_push(&pair.producer, in, cut, in + cut, len - cut), 0);
		assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), len);
		assert_memory_equal(in, out, len);
	}
	pair_fini(&pair);
}

/* The next push that has to look must report TAIL; what the ring holds stays. */
static void check_hostile_tail(uint64_t tail)
{
	struct pair pair;
	char data[1020], out[1020];
	memset(data, 'd', sizeof(data));
	pair_init(&pair, CAPACITY);
	for (int i = 0; i < 4; i++)
		assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), 0);
	assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), sizeof(out));
	assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), 0);
	atomic_store(&pair.producer.shared->tail, tail);
	assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), -EBADMSG);
	assert_false(ring_producer_prepare_wait(&pair.producer, sizeof(data)));
	assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), -EBADMSG);
	pair_fini(&pair);
}

static void hostile_tails(void **state)
{
	static const uint64_t tails[] = {
		0, 1016, 1025, 2047, 5121, 5128, 1u << 20, UINT64_MAX, UINT64_MAX - 7, INT64_MAX,
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(tails); i++)
		check_hostile_tail(tails[i]);
}

static void hostile_heads(void **state)
{
	static const uint64_t heads[] = {
		1, 7, 8, CAPACITY + 16 + 8, CAPACITY * 2, UINT64_MAX, UINT64_MAX - 7, INT64_MAX, 17,
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(heads); i++) {
		struct pair pair;
		char out[64];
		pair_init(&pair, CAPACITY);
		assert_int_equal(ring_push(&pair.producer, "01234567", 8, NULL, 0), 0);
		assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), 8);
		atomic_store(&pair.consumer.shared->head, heads[i]);
		assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), -EBADMSG);
		assert_false(ring_consumer_prepare_wait(&pair.consumer));
		assert_false(ring_is_empty(&pair.consumer));
		assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), -EBADMSG);
		pair_fini(&pair);
	}
}

static void hostile_lengths(void **state)
{
	static const uint32_t lengths[] = {
		0,
		13,
		14,
		4092,
		4096,
		RING_RECORD_MAX,
		RING_RECORD_MAX + 1,
		INT32_MAX,
		UINT32_MAX,
		UINT32_MAX - 3,
	};
	static char out[RING_RECORD_MAX];
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lengths); i++) {
		struct pair pair;
		pair_init(&pair, CAPACITY);
		assert_int_equal(ring_push(&pair.producer, "01234567", 8, NULL, 0), 0);
		memcpy(pair.producer.data, &lengths[i], sizeof(lengths[i]));
		assert_int_equal(ring_pop(&pair.consumer, out, sizeof(out)), -EBADMSG);
		pair_fini(&pair);
	}
}

/* Whatever the shared memory says, a pop stays within OUT and the ring. */
static void random_memory(void **state)
{
	unsigned seed = 12345;
	struct pair pair;
	char out[256];
	pair_init(&pair, CAPACITY);
	for (unsigned i = 0; i < 20000; i++) {
		size_t at = (size_t)rand_r(&seed) % ring_memory_size(CAPACITY);
		((uint8_t *)pair.memory)[at] = (uint8_t)rand_r(&seed);
		if (i % 3 == 0)
			atomic_store(&pair.consumer.shared->head,
				     pair.consumer.tail + (unsigned)rand_r(&seed) % 5000);
		int64_t n = ring_pop(&pair.consumer, out, sizeof(out));
		assert_true(n == -EBADMSG || n == -EMSGSIZE || (n >= 0 && n <= 256));
		int err = ring_push(&pair.producer, out, 100, NULL, 0);
		assert_true(err == 0 || err == -EAGAIN || err == -EBADMSG);
		if (i % 64 == 0) {
			memset(pair.memory, 0, ring_memory_size(CAPACITY));
			assert_int_equal(ring_attach(&pair.producer, pair.memory, CAPACITY), 0);
			assert_int_equal(ring_attach(&pair.consumer, pair.memory, CAPACITY), 0);
		}
	}
	pair_fini(&pair);
}

static void wait_flags(void **state)
{
	struct pair pair;
	char data[2000];
	memset(data, 0, sizeof(data));
	pair_init(&pair, CAPACITY);
	assert_false(ring_must_wake_consumer(&pair.producer));
	assert_true(ring_consumer_prepare_wait(&pair.consumer));
	assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), 0);
	assert_true(ring_must_wake_consumer(&pair.producer));
	assert_false(ring_must_wake_consumer(&pair.producer));
	assert_false(ring_consumer_prepare_wait(&pair.consumer));
	assert_false(ring_must_wake_consumer(&pair.producer));

	assert_false(ring_producer_prepare_wait(&pair.producer, sizeof(data)));
	assert_int_equal(ring_push(&pair.producer, data, sizeof(data), NULL, 0), 0);
	assert_true(ring_producer_prepare_wait(&pair.producer, sizeof(data)));
	assert_int_equal(ring_pop(&pair.consumer, data, sizeof(data)), sizeof(data));
	assert_true(ring_must_wake_producer(&pair.consumer));
	assert_false(ring_must_wake_producer(&pair.consumer));
	assert_false(ring_producer_prepare_wait(&pair.producer, sizeof(data)));
	assert_false(ring_must_wake_producer(&pair.consumer));
	pair_fini(&pair);
}

/* Both sides sleep on eventfds whenever they may; a lost wake-up would hang the test. */
struct exchange {
	struct ring ring;
	int own_bell, other_bell;
	uint32_t records;
	bool is_wrong;
};

static void bell_wait(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	uint64_t count;
	while (poll(&poll_fd, 1, -1) != 1)
		;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		abort();
}

static void bell_ring(int fd)
{
	uint64_t one = 1;
	if (write(fd, &one, sizeof(one)) != sizeof(one))
		abort();
}

static void *produce(void *arg)
{
	struct exchange *x = arg;
	uint32_t data[32];
	for (uint32_t i = 0; i < x->records;) {
		size_t len = 4 + i % 120;
		for (size_t k = 0; k < EOS_ARRAY_SIZE(data); k++)
			data[k] = i;
		int err = ring_push(&x->ring, data, 2, (char *)data + 2, len - 2);
		if (err == 0) {
			i++;
			if (ring_must_wake_consumer(&x->ring))
				bell_ring(x->other_bell);
		} else if (err != -EAGAIN) {
			x->is_wrong = true;
			return NULL;
		} else if (ring_producer_prepare_wait(&x->ring, len)) {
			bell_wait(x->own_bell);
		}
	}
	return NULL;
}

static void *consume(void *arg)
{
	struct exchange *x = arg;
	uint32_t data[32], want[32];
	for (uint32_t i = 0; i < x->records;) {
		int64_t n = ring_pop(&x->ring, data, sizeof(data));
		if (n == 0) {
			if (ring_consumer_prepare_wait(&x->ring))
				bell_wait(x->own_bell);
			continue;
		}
		for (size_t k = 0; k < EOS_ARRAY_SIZE(want); k++)
			want[k] = i;
		if (n != 4 + i % 120 || memcmp(data, want, (size_t)n) != 0) {
			x->is_wrong = true;
			return NULL;
		}
		i++;
		if (ring_must_wake_producer(&x->ring))
			bell_ring(x->other_bell);
	}
	return NULL;
}

static void exchange_init(struct exchange x[2], void *memory)
{
	x[0].own_bell = x[1].other_bell = eventfd(0, EFD_CLOEXEC);
	x[1].own_bell = x[0].other_bell = eventfd(0, EFD_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		x[i].records = RECORDS;
		x[i].is_wrong = false;
		assert_int_equal(ring_attach(&x[i].ring, memory, CAPACITY), 0);
	}
}

static void two_threads(void **state)
{
	struct pair pair;
	struct exchange x[2];
	pthread_t threads[2];
	pair_init(&pair, CAPACITY);
	exchange_init(x, pair.memory);
	assert_int_equal(pthread_create(&threads[0], NULL, produce, &x[0]), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, consume, &x[1]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_false(x[0].is_wrong || x[1].is_wrong);
	close(x[0].own_bell);
	close(x[1].own_bell);
	pair_fini(&pair);
}

static void two_processes(void **state)
{
	size_t size = ring_memory_size(CAPACITY);
	int fd = memfd_create("ring-test", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	struct exchange x[2];
	exchange_init(x, memory);
	x[0].records = x[1].records = RECORDS / 10;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		produce(&x[0]);
		_exit(x[0].is_wrong ? 1 : 0);
	}
	consume(&x[1]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_false(x[1].is_wrong);
	close(x[0].own_bell);
	close(x[1].own_bell);
	munmap(memory, size);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attach_checks),   cmocka_unit_test(push_and_pop),
		cmocka_unit_test(push_limits),	   cmocka_unit_test(wraps_whole),
		cmocka_unit_test(hostile_tails),   cmocka_unit_test(hostile_heads),
		cmocka_unit_test(hostile_lengths), cmocka_unit_test(random_memory),
		cmocka_unit_test(wait_flags),	   cmocka_unit_test(two_threads),
		cmocka_unit_test(two_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
