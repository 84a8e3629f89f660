/*
 * Guests that lie: each field of rings and descriptors at its edges, rings over each other and over
 * buffers, memory that grows meanwhile, and guests that write over everything by chance, also
 * from another thread while the mover works. After each, an innocent pair must still be able to
 * talk.
 */
#include "mma/mma.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "mma/mma_test_fixture.h"

#if defined(__SANITIZE_THREAD__)
#define IS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_TSAN 1
#endif
#endif
#ifndef IS_TSAN
#define IS_TSAN 0
#endif

#define PLENTY (UINT64_C(1) << 40)

struct scene {
	struct mma *mma;
	struct guest *bad, *good, *friend; /* the friend has no share in what is bad */
	uint32_t bad_to_good, good_to_bad, good_to_friend;
};

static struct scene *scene_new(void)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	assert_non_null(scene);
	assert_int_equal(mma_new(&scene->mma), 0);
	scene->bad = guest_new(scene->mma, 16, 16);
	scene->good = guest_new(scene->mma, 16, 64);
	scene->friend = guest_new(scene->mma, 16, 16);
	scene->bad_to_good = connect_guests(scene->bad, scene->good, MMA_WAIT, 1);
	scene->good_to_bad = connect_guests(scene->good, scene->bad, MMA_WAIT, 2);
	scene->good_to_friend = connect_guests(scene->good, scene->friend, MMA_WAIT, 3);
	return scene;
}

/* The good ones talk, nothing of theirs was harmed, and all goes away. */
static void scene_end(struct scene *scene)
{
	struct guest *good = scene->good, *friend = scene->friend;
	uint32_t before = mma_port_received(friend->port);
	friend->taken = before;
	guest_post(friend, GUEST_BUFFERS, 64);
	memcpy(good->memory + GUEST_MESSAGES, "are you there", 13);
	guest_send(good, scene->good_to_friend, GUEST_MESSAGES, 13);
	mma_kick(friend->port);
	mma_kick(good->port);
	mma_move(scene->mma, PLENTY);
	assert_int_equal(mma_port_received(friend->port), before + 1);
	assert_memory_equal(friend->memory + guest_take(friend)->address, "are you there", 13);
	assert_int_equal(good->faults, 0);
	assert_false(good->is_killed);
	assert_int_equal(friend->faults, 0);
	assert_false(mma_port_is_dead(good->port) || mma_port_is_dead(friend->port));
	guest_free(scene->bad);
	guest_free(good);
	guest_free(friend);
	mma_free(scene->mma);
	free(scene);
}

static void outbound_fields(void **state)
{
	const uint32_t at = GUEST_MESSAGES, end = GUEST_BYTES_SEEN;
	struct scene *scene = scene_new();
	const uint32_t conn = scene->bad_to_good;
	const struct {
		struct mma_abi_descriptor message;
		enum mma_abi_status status;
	} cases[] = {
		{{.address = end - 1, .len = 1, .conn = conn}, MMA_ABI_DONE},
		{{.address = end, .len = 0, .conn = conn}, MMA_ABI_DONE},
		{{.address = 0, .len = 64, .conn = conn}, MMA_ABI_DONE},
		{{.address = at, .len = 64, .conn = conn, .capacity = UINT32_MAX}, MMA_ABI_DONE},
		{{.address = at, .len = 64, .conn = conn, .cookie = UINT64_MAX}, MMA_ABI_DONE},
		{{.address = at, .len = 65, .conn = conn}, MMA_ABI_TOO_SMALL},
		{{.address = end - 1, .len = 2, .conn = conn}, MMA_ABI_FAULT},
		{{.address = end + 1, .len = 0, .conn = conn}, MMA_ABI_FAULT},
		{{.address = UINT32_MAX, .len = 0, .conn = conn}, MMA_ABI_FAULT},
		{{.address = UINT32_MAX, .len = 64, .conn = conn}, MMA_ABI_FAULT},
		{{.address = UINT32_MAX - 63, .len = 64, .conn = conn}, MMA_ABI_FAULT},
		{{.address = 0, .len = MMA_MESSAGE_BYTES_MAX, .conn = conn}, MMA_ABI_TOO_SMALL},
		{{.address = 1, .len = MMA_MESSAGE_BYTES_MAX, .conn = conn}, MMA_ABI_FAULT},
		{{.address = 0, .len = MMA_MESSAGE_BYTES_MAX + 1, .conn = conn}, MMA_ABI_TOO_LONG},
		{{.address = 0, .len = UINT32_MAX, .conn = conn}, MMA_ABI_TOO_LONG},
		{{.address = at, .len = UINT32_MAX - at + 1, .conn = conn}, MMA_ABI_TOO_LONG},
		{{.address = at, .len = 1, .conn = 0}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = UINT32_MAX}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = conn + 1}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = conn ^ 0x1000}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = conn ^ 0x80000000}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = conn & 0xfff}, MMA_ABI_BAD_HANDLE},
		{{.address = at, .len = 1, .conn = conn, .flags = 2}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .len = 1, .conn = conn, .flags = 0xffff}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .len = 1, .conn = conn, .reserved = 1}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .len = 1, .conn = conn, .status = MMA_ABI_DONE},
		 MMA_ABI_BAD_FLAGS},
		{{.address = at, .len = 1, .conn = conn, .status = 0xffff}, MMA_ABI_BAD_FLAGS},
	};
	unsigned faults = 0;
	guest_post_buffers(scene->good, 8, 64);
	for (uint32_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		guest_push(scene->bad, scene->bad->out, &cases[i].message);
		mma_move(scene->mma, PLENTY);
		assert_int_equal(mma_port_sent(scene->bad->port), i + 1);
		assert_int_equal(guest_status(scene->bad, i), cases[i].status);
		bool is_fault =
			cases[i].status != MMA_ABI_DONE && cases[i].status != MMA_ABI_TOO_SMALL;
		faults += is_fault;
		assert_int_equal(scene->bad->faults, faults);
		if (is_fault)
			assert_int_equal(scene->bad->fault_status, cases[i].status);
	}
	assert_false(scene->bad->is_killed);
	assert_int_equal(mma_port_received(scene->good->port), 5);
	scene_end(scene);
}

static void inbound_fields(void **state)
{
	const uint32_t at = GUEST_BUFFERS, end = GUEST_BYTES_SEEN;
	const struct {
		struct mma_abi_descriptor buffer;
		enum mma_abi_status status;
	} cases[] = {
		{{.address = end - 8, .capacity = 8}, MMA_ABI_DONE},
		{{.address = at, .capacity = UINT32_MAX - at}, MMA_ABI_FAULT},
		{{.address = end - 7, .capacity = 8}, MMA_ABI_FAULT},
		{{.address = end, .capacity = 8}, MMA_ABI_FAULT},
		{{.address = UINT32_MAX, .capacity = 8}, MMA_ABI_FAULT},
		{{.address = 0, .capacity = UINT32_MAX}, MMA_ABI_FAULT},
		{{.address = UINT32_MAX - 7, .capacity = 8}, MMA_ABI_FAULT},
		{{.address = at, .capacity = 8, .flags = 1}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .capacity = 8, .reserved = 1}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .capacity = 8, .status = MMA_ABI_DONE}, MMA_ABI_BAD_FLAGS},
		{{.address = at, .capacity = 8, .len = UINT32_MAX, .conn = 99}, MMA_ABI_DONE},
	};
	struct scene *scene = scene_new();
	struct guest *bad = scene->bad, *good = scene->good;
	for (uint32_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		guest_send(good, scene->good_to_bad, GUEST_MESSAGES, 8);
		mma_kick(good->port);
		guest_push(bad, bad->in, &cases[i].buffer);
		bool is_bad = cases[i].status != MMA_ABI_DONE;
		assert_int_equal(mma_move(scene->mma, PLENTY), is_bad ? 0 : 1);
		struct mma_abi_descriptor *slot = guest_take(bad);
		assert_non_null(slot);
		assert_int_equal(slot->status, cases[i].status);
		assert_int_equal(slot->len, is_bad ? 0 : 8);
		assert_null(guest_take(bad));
		if (!is_bad)
			continue;
		/* The good one's message was not lost. */
		assert_int_equal(guest_status(good, i), MMA_ABI_PENDING);
		guest_post_buffers(bad, 1, 8);
		assert_int_equal(mma_move(scene->mma, PLENTY), 1);
		assert_int_equal(guest_take(bad)->status, MMA_ABI_DONE);
	}
	assert_int_equal(bad->faults, EOS_ARRAY_SIZE(cases) - 2);
	scene_end(scene);
}

static void kills(uint32_t head, bool is_inbound)
{
	struct scene *scene = scene_new();
	struct guest *bad = scene->bad, *good = scene->good;
	struct mma_abi_ring *ring = is_inbound ? bad->in : bad->out;
	guest_send(good, scene->good_to_bad, GUEST_MESSAGES, 8);
	mma_kick(good->port);
	ring->head = head;
	mma_kick(bad->port);
	mma_move(scene->mma, PLENTY);
	assert_true(bad->is_killed);
	assert_true(mma_port_is_dead(bad->port));
	assert_false(mma_port_prepare_wait(bad->port, MMA_EVENT_RECEIVED, 0, 0));
	assert_int_equal(guest_status(good, 0), MMA_ABI_GONE);
	/* It stays dead, whatever it says then. */
	ring->head = 0;
	guest_send(bad, scene->bad_to_good, GUEST_MESSAGES, 8);
	guest_post_buffers(good, 1, 64);
	guest_post_buffers(bad, 1, 64);
	guest_send(good, scene->good_to_bad, GUEST_MESSAGES, 8);
	mma_kick(good->port);
	assert_int_equal(mma_move(scene->mma, PLENTY), 0);
	assert_int_equal(guest_status(good, 1), MMA_ABI_GONE);
	scene_end(scene);
}

static void nonsense_heads(void **state)
{
	const uint32_t heads[] = {17, 18, 32, 1024, 0x7fffffff, 0x80000000, 0xfffffff0, UINT32_MAX};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(heads); i++) {
		kills(heads[i], false);
		kills(heads[i], true);
	}
}

/* Back to before what was looked at, while the first message still waits. */
static void head_goes_back(void **state)
{
	struct scene *scene = scene_new();
	struct guest *bad = scene->bad;
	for (unsigned i = 0; i < 4; i++)
		guest_send(bad, scene->bad_to_good, GUEST_MESSAGES, 8);
	mma_kick(bad->port);
	assert_int_equal(mma_move(scene->mma, PLENTY), 0);
	bad->out->head = 2;
	mma_kick(bad->port);
	assert_int_equal(mma_move(scene->mma, PLENTY), 0);
	assert_true(bad->is_killed);
	scene_end(scene);
}

static void attach_checks(void **state)
{
	struct mma *mma;
	assert_int_equal(mma_new(&mma), 0);
	struct guest *guest = guest_new(mma, 0, 0);
	const uint32_t end = GUEST_BYTES_SEEN, at = 0x2000;
	struct mma_abi_ring *ring = (struct mma_abi_ring *)(void *)(guest->memory + at);
	const struct mma_abi_ring good = {.version = MMA_ABI_VERSION, .count = 16};
	const uint32_t addresses[] = {1,	 at + 1,     at + 32,  end,	  end - 64,
				      end - 128, UINT32_MAX, 0u - 64u, 0u - 4096u};
	*ring = good;
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(addresses); i++) {
		assert_int_equal(mma_port_attach(guest->port, addresses[i], 0), -EFAULT);
		assert_int_equal(mma_port_attach(guest->port, 0, addresses[i]), -EFAULT);
		assert_int_equal(mma_port_attach(guest->port, at, addresses[i]), -EFAULT);
	}
	/* The header is inside, the last slot is not. */
	uint32_t last = end - (uint32_t)sizeof(good) - 15 * 32;
	last -= last % MMA_ABI_RING_ALIGN;
	while (end - last - sizeof(good) >= 16 * 32)
		last += MMA_ABI_RING_ALIGN;
	memcpy(guest->memory + last, &good, sizeof(good));
	assert_int_equal(mma_port_attach(guest->port, last, 0), -EFAULT);
	const struct mma_abi_ring bad[] = {
		{.version = 0, .count = 16},
		{.version = 2, .count = 16},
		{.version = MMA_ABI_VERSION, .count = 0},
		{.version = MMA_ABI_VERSION, .count = 3},
		{.version = MMA_ABI_VERSION, .count = 2048},
		{.version = MMA_ABI_VERSION, .count = 0x80000000},
		{.version = MMA_ABI_VERSION, .count = UINT32_MAX},
		{.version = MMA_ABI_VERSION, .count = 16, .flags = 1},
	};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		*ring = bad[i];
		assert_int_equal(mma_port_attach(guest->port, at, 0), -EINVAL);
	}
	*ring = good;
	assert_int_equal(mma_port_attach(guest->port, at, 0), 0);
	assert_int_equal(mma_port_attach(guest->port, at, 0), -EEXIST);
	assert_int_equal(mma_port_attach(guest->port, 0, 0), 0);
	guest_free(guest);
	mma_free(mma);
}

/* A message in memory that is only just there, and one that is not yet. */
static void memory_grows(void **state)
{
	struct scene *scene = scene_new();
	struct guest *bad = scene->bad;
	guest_post_buffers(scene->good, 4, 64);
	guest_send(bad, scene->bad_to_good, GUEST_BYTES_SEEN, 64);
	mma_kick(bad->port);
	assert_int_equal(mma_move(scene->mma, PLENTY), 0);
	assert_int_equal(guest_status(bad, 0), MMA_ABI_FAULT);
	assert_int_equal(mprotect(bad->memory + GUEST_BYTES_SEEN, 65536, PROT_READ | PROT_WRITE),
			 0);
	atomic_store(&bad->bytes, GUEST_BYTES_SEEN + 65536);
	guest_send(bad, scene->bad_to_good, GUEST_BYTES_SEEN, 64);
	guest_send(bad, scene->bad_to_good, GUEST_BYTES_SEEN + 65536 - 63, 64);
	mma_kick(bad->port);
	assert_int_equal(mma_move(scene->mma, PLENTY), 1);
	assert_int_equal(guest_status(bad, 1), MMA_ABI_DONE);
	assert_int_equal(guest_status(bad, 2), MMA_ABI_FAULT);
	scene_end(scene);
}

/* Buffers that lie on the guest's own rings, and rings on each other: messages then become heads
 * and descriptors. */
static void overlaps(void **state)
{
	for (unsigned seed = 0; seed < 64; seed++) {
		struct scene *scene = scene_new();
		struct guest *bad = scene->bad, *good = scene->good;
		unsigned random = seed;
		for (unsigned i = 0; i < 16; i++) {
			uint32_t ring = i % 2 == 0 ? GUEST_OUT : GUEST_IN;
			guest_post(bad, ring + seed % 8 * 32, 16 + seed * 8);
			for (unsigned j = 0; j < 256; j++)
				good->memory[GUEST_MESSAGES + j] = (uint8_t)rand_r(&random);
			guest_send(good, scene->good_to_bad, GUEST_MESSAGES, 16);
			guest_send(bad, scene->bad_to_good, GUEST_OUT, 192);
			guest_post_buffers(good, 1, 256);
			mma_kick(bad->port);
			mma_kick(good->port);
			mma_move(scene->mma, PLENTY);
			good->taken = mma_port_received(good->port);
			if (mma_port_is_dead(bad->port))
				break;
		}
		scene_end(scene);
	}
}

static void scribble(struct guest *guest, unsigned *random)
{
	static const uint32_t values[] = {0,
					  1,
					  2,
					  15,
					  16,
					  17,
					  64,
					  GUEST_MESSAGES,
					  GUEST_BUFFERS,
					  GUEST_BYTES_SEEN - 64,
					  GUEST_BYTES_SEEN,
					  0x1000,
					  0x1001,
					  0x1002,
					  0x7fffffff,
					  UINT32_MAX};
	uint32_t ring = rand_r(random) % 2 == 0 ? GUEST_OUT : GUEST_IN;
	uint32_t *words = (uint32_t *)(void *)(guest->memory + ring);
	uint32_t word = (uint32_t)rand_r(random) % ((192 + 16 * 32) / 4);
	uint32_t value = values[(unsigned)rand_r(random) % EOS_ARRAY_SIZE(values)];
	/* Heads mostly go on, or little but deaths would be seen. */
	if (rand_r(random) % 4 != 0) {
		word = 16;
		value = words[32] + (uint32_t)rand_r(random) % 16;
	}
	__atomic_store_n(&words[word], value, __ATOMIC_RELAXED);
}

static void chance(void **state)
{
	unsigned random = 1, deaths = 0;
	for (unsigned life = 0; life < 200; life++) {
		struct scene *scene = scene_new();
		for (unsigned i = 0; i < 200; i++) {
			scribble(scene->bad, &random);
			if (scene->good->out->head - mma_port_sent(scene->good->port) < 16)
				guest_send(scene->good, scene->good_to_bad, GUEST_MESSAGES, 64);
			if (scene->good->in->head - mma_port_received(scene->good->port) < 64)
				guest_post_buffers(scene->good, 1, 64);
			mma_kick(scene->bad->port);
			mma_kick(scene->good->port);
			mma_move(scene->mma, MMA_QUANTUM);
		}
		deaths += scene->bad->is_killed;
		/* What good had under way to bad shall not be in the way of the check. */
		guest_free(scene->bad);
		mma_move(scene->mma, PLENTY);
		scene->bad = guest_new(scene->mma, 16, 16);
		scene_end(scene);
	}
	assert_in_range(deaths, 1, 199);
}

struct scribbler {
	struct guest *guest;
	_Atomic bool must_stop;
};

static void *scribble_on(void *arg)
{
	struct scribbler *scribbler = arg;
	unsigned random = 7;
	while (!atomic_load(&scribbler->must_stop)) {
		scribble(scribbler->guest, &random);
		if (rand_r(&random) % 8 == 0)
			mma_kick(scribbler->guest->port);
	}
	return NULL;
}

/* The guest writes while the mover, on its own thread, reads. */
static void changes_while_read(void **state)
{
	if (IS_TSAN)
		skip(); /* the guest's race is the point */
	for (unsigned life = 0; life < 20; life++) {
		struct scene *scene = scene_new();
		assert_int_equal(mma_thread_start(scene->mma, NULL, NULL), 0);
		struct scribbler scribbler = {.guest = scene->bad};
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, scribble_on, &scribbler), 0);
		for (unsigned i = 0; i < 2000; i++) {
			if (scene->good->in->head - mma_port_received(scene->good->port) < 64)
				guest_post_buffers(scene->good, 1, 64);
			if (scene->good->out->head - mma_port_sent(scene->good->port) < 16)
				guest_send(scene->good, scene->good_to_bad, GUEST_MESSAGES, 64);
			mma_kick(scene->good->port);
		}
		atomic_store(&scribbler.must_stop, true);
		pthread_join(thread, NULL);
		guest_free(scene->bad);
		mma_thread_stop(scene->mma);
		mma_move(scene->mma, PLENTY);
		scene->bad = guest_new(scene->mma, 16, 16);
		scene_end(scene);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outbound_fields),    cmocka_unit_test(inbound_fields),
		cmocka_unit_test(nonsense_heads),     cmocka_unit_test(head_goes_back),
		cmocka_unit_test(attach_checks),      cmocka_unit_test(memory_grows),
		cmocka_unit_test(overlaps),	      cmocka_unit_test(chance),
		cmocka_unit_test(changes_while_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
