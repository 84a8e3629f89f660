/*
 * The mover inline: delivery, back-pressure, order, fairness, waking, and the ends of ports.
 * Hostile guests are in mma_hostile_test.c.
 */
#include "mma/mma.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "mma/mma_host.h"
#include "mma/mma_test_fixture.h"

#define PLENTY (UINT64_C(1) << 40)

static int setup(void **state)
{
	struct mma *mma;
	assert_int_equal(mma_new(&mma), 0);
	*state = mma;
	return 0;
}

static int teardown(void **state)
{
	mma_free(*state);
	return 0;
}

static void delivers(void **state)
{
	struct guest *a = guest_new(*state, 8, 8), *b = guest_new(*state, 8, 8);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 77);
	guest_post_buffers(b, 2, 64);
	memcpy(a->memory + GUEST_MESSAGES, "hello", 5);
	guest_send(a, to_b, GUEST_MESSAGES, 5);
	guest_send(a, to_b, GUEST_MESSAGES, 0);
	mma_kick(a->port);
	assert_false(mma_is_idle(*state));
	assert_int_equal(mma_move(*state, PLENTY), 2);
	assert_true(mma_is_idle(*state));

	assert_int_equal(a->out->tail, 2);
	assert_int_equal(mma_port_sent(a->port), 2);
	assert_int_equal(guest_status(a, 0), MMA_ABI_DONE);
	assert_int_equal(guest_status(a, 1), MMA_ABI_DONE);
	assert_int_equal(b->in->tail, 2);
	struct mma_abi_descriptor *message = guest_take(b);
	assert_non_null(message);
	assert_int_equal(message->status, MMA_ABI_DONE);
	assert_int_equal(message->len, 5);
	assert_int_equal(message->conn, 77);
	assert_int_equal(message->capacity, 64);
	assert_memory_equal(b->memory + message->address, "hello", 5);
	message = guest_take(b);
	assert_non_null(message);
	assert_int_equal(message->len, 0);
	assert_null(guest_take(b));

	struct mma_port_stats stats;
	mma_port_stats(a->port, &stats);
	assert_int_equal(stats.sent, 2);
	assert_int_equal(stats.sent_bytes, 5);
	mma_port_stats(b->port, &stats);
	assert_int_equal(stats.received, 2);
	assert_int_equal(stats.received_bytes, 5);
	assert_int_equal(stats.faults, 0);
	guest_free(a);
	guest_free(b);
}

/* Positions cross 2^32, and slots are used again and again. */
static void goes_round(void **state)
{
	struct guest *a = guest_new(*state, 4, 4), *b = guest_new(*state, 2, 2);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1);
	for (uint32_t i = 0; i < 100000; i++) {
		uint32_t address = GUEST_MESSAGES + i % 4 * 64;
		memcpy(a->memory + address, &i, sizeof(i));
		guest_send(a, to_b, address, sizeof(i));
		guest_post(b, GUEST_BUFFERS + i % 2 * 64, 64);
		mma_kick(a->port);
		assert_int_equal(mma_move(*state, PLENTY), 1);
		struct mma_abi_descriptor *message = guest_take(b);
		assert_non_null(message);
		assert_memory_equal(b->memory + message->address, &i, sizeof(i));
	}
	guest_free(a);
	guest_free(b);
}

static void waits_and_wakes(void **state)
{
	struct guest *a = guest_new(*state, 4, 4), *b = guest_new(*state, 4, 4);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1);
	guest_send(a, to_b, GUEST_MESSAGES, 8);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_int_equal(guest_status(a, 0), MMA_ABI_PENDING);
	assert_true(mma_is_idle(*state));
	/* Both sleep. */
	assert_true(
		mma_port_prepare_wait(a->port, MMA_EVENT_SENT, 0, mma_port_completions(a->port)));
	assert_true(mma_port_prepare_wait(b->port, MMA_EVENT_RECEIVED, b->taken, 0));
	guest_post(b, GUEST_BUFFERS, 8);
	mma_posted(b->port);
	assert_int_equal(mma_move(*state, PLENTY), 1);
	assert_int_equal(a->wakes, 1);
	assert_int_equal(a->events, MMA_EVENT_SENT);
	assert_int_equal(b->wakes, 1);
	assert_int_equal(b->events, MMA_EVENT_RECEIVED);
	/* Once for each wish; and there is something, so it need not sleep. */
	assert_false(mma_port_prepare_wait(b->port, MMA_EVENT_RECEIVED, b->taken, 0));
	guest_send(a, to_b, GUEST_MESSAGES, 8);
	guest_post_buffers(b, 1, 8);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 1);
	assert_int_equal(b->wakes, 1);
	guest_free(a);
	guest_free(b);
}

static void drops(void **state)
{
	struct guest *a = guest_new(*state, 4, 4), *b = guest_new(*state, 4, 4);
	uint32_t to_b = connect_guests(a, b, MMA_DROP, 1);
	uint32_t waiting = connect_guests(a, b, MMA_WAIT, 1);
	guest_send(a, to_b, GUEST_MESSAGES, 8);
	guest_push(a, a->out,
		   &(struct mma_abi_descriptor){.address = GUEST_MESSAGES,
						.len = 8,
						.conn = waiting,
						.flags = MMA_ABI_FLAG_NO_WAIT});
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_int_equal(guest_status(a, 0), MMA_ABI_DROPPED);
	assert_int_equal(guest_status(a, 1), MMA_ABI_DROPPED);
	/* Too small: the buffer stays for the next message. */
	guest_post_buffers(b, 1, 4);
	guest_send(a, to_b, GUEST_MESSAGES, 5);
	guest_send(a, to_b, GUEST_MESSAGES, 4);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 1);
	assert_int_equal(guest_status(a, 2), MMA_ABI_TOO_SMALL);
	assert_int_equal(guest_status(a, 3), MMA_ABI_DONE);
	struct mma_port_stats stats;
	mma_port_stats(a->port, &stats);
	assert_int_equal(stats.dropped, 3);
	assert_int_equal(stats.faults, 0);
	assert_int_equal(a->faults, 0);
	guest_free(a);
	guest_free(b);
}

/* A receiver that does not listen delays its own messages only, and those stay in order. */
static void passes_by(void **state)
{
	struct guest *a = guest_new(*state, 8, 8), *b = guest_new(*state, 8, 8),
		     *c = guest_new(*state, 8, 8);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1), to_c = connect_guests(a, c, MMA_WAIT, 2);
	for (uint32_t i = 0; i < 6; i++) {
		a->memory[GUEST_MESSAGES + i] = (uint8_t)i;
		guest_send(a, i % 2 == 0 ? to_b : to_c, GUEST_MESSAGES + i, 1);
	}
	guest_post_buffers(c, 8, 8);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 3);
	assert_int_equal(mma_port_sent(a->port), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(guest_status(a, i), i % 2 == 0 ? MMA_ABI_PENDING : MMA_ABI_DONE);
	guest_post_buffers(b, 1, 8);
	assert_int_equal(mma_move(*state, PLENTY), 1);
	assert_int_equal(mma_port_sent(a->port), 2);
	assert_int_equal(b->memory[guest_take(b)->address], 0);
	/* Around the end of the ring while two still wait. */
	a->memory[GUEST_MESSAGES + 6] = 6;
	guest_send(a, to_c, GUEST_MESSAGES + 6, 1);
	guest_send(a, to_b, GUEST_MESSAGES + 6, 1);
	guest_send(a, to_c, GUEST_MESSAGES + 6, 1);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 2);
	assert_int_equal(mma_port_sent(a->port), 2);
	guest_post_buffers(b, 7, 8);
	assert_int_equal(mma_move(*state, PLENTY), 3);
	assert_int_equal(mma_port_sent(a->port), 9);
	static const uint8_t expected[] = {2, 4, 6};
	for (unsigned i = 0; i < 3; i++) {
		struct mma_abi_descriptor *message = guest_take(b);
		assert_non_null(message);
		assert_int_equal(b->memory[message->address], expected[i]);
	}
	assert_int_equal(a->faults, 0);
	guest_free(a);
	guest_free(b);
	guest_free(c);
}

/* Many wait for one: each buffer goes to the one that waits longest. */
static void shares_buffers(void **state)
{
	struct guest *to = guest_new(*state, 8, 64), *from[8];
	for (unsigned i = 0; i < 8; i++) {
		from[i] = guest_new(*state, 8, 8);
		uint32_t conn = connect_guests(from[i], to, MMA_WAIT, i);
		for (unsigned n = 0; n < 4; n++)
			guest_send(from[i], conn, GUEST_MESSAGES, 8);
		mma_kick(from[i]->port);
	}
	assert_int_equal(mma_move(*state, PLENTY), 0);
	unsigned got[8] = {0};
	for (unsigned n = 0; n < 32; n++) {
		guest_post_buffers(to, 1, 8);
		assert_int_equal(mma_move(*state, PLENTY), 1);
		struct mma_abi_descriptor *message = guest_take(to);
		assert_non_null(message);
		got[message->conn]++;
		if (n == 7)
			for (unsigned i = 0; i < 8; i++)
				assert_int_equal(got[i], 1);
	}
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(got[i], 4);
		guest_free(from[i]);
	}
	guest_free(to);
}

/* While one port sends 256 KiB after 256 KiB, another's 64 bytes wait for at most one turn. */
static void large_does_not_starve_small(void **state)
{
	struct guest *large = guest_new(*state, 64, 4), *small = guest_new(*state, 64, 4),
		     *sink = guest_new(*state, 4, 4), *to = guest_new(*state, 4, 64);
	const uint32_t len = 256u << 10;
	uint32_t to_sink = connect_guests(large, sink, MMA_WAIT, 1);
	uint32_t to_to = connect_guests(small, to, MMA_WAIT, 1);
	guest_post_buffers(to, 64, 64);
	guest_post(sink, GUEST_BUFFERS, len);
	guest_post(sink, GUEST_BUFFERS, len);
	for (unsigned i = 0; i < 2; i++)
		guest_send(large, to_sink, GUEST_MESSAGES, len);
	for (unsigned i = 0; i < 64; i++)
		guest_send(small, to_to, GUEST_MESSAGES, 64);
	mma_kick(large->port);
	mma_kick(small->port);
	/* Two turns of the large one, which saves, and one of the small ones. */
	uint64_t moved = mma_move(*state, 64 * (64 + MMA_MESSAGE_COST) + 2 * MMA_MESSAGE_COST);
	assert_int_equal(moved, 64);
	assert_int_equal(mma_port_sent(large->port), 0);
	/* And the large ones come, too, while others go on. */
	uint64_t turns = 0;
	while (mma_port_sent(large->port) < 2) {
		guest_post_buffers(to, 1, 64);
		guest_send(small, to_to, GUEST_MESSAGES, 64);
		mma_kick(small->port);
		mma_move(*state, 64 + MMA_MESSAGE_COST);
		assert_true(++turns < 4 * 2 * len / MMA_QUANTUM);
	}
	guest_free(large);
	guest_free(small);
	guest_free(sink);
	guest_free(to);
}

static void budget_ends(void **state)
{
	struct guest *a = guest_new(*state, 64, 4), *b = guest_new(*state, 4, 64);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1);
	guest_post_buffers(b, 64, 4096);
	for (unsigned i = 0; i < 64; i++)
		guest_send(a, to_b, GUEST_MESSAGES, 4096);
	mma_kick(a->port);
	uint64_t moved = mma_move(*state, 1);
	assert_in_range(moved, 1, MMA_QUANTUM / 4096);
	assert_false(mma_is_idle(*state));
	while (!mma_is_idle(*state))
		moved += mma_move(*state, 1);
	assert_int_equal(moved, 64);
	guest_free(a);
	guest_free(b);
}

/* On the time of one: its own messages, whole, and nobody else's. */
static void moves_one_port(void **state)
{
	struct guest *a = guest_new(*state, 64, 4), *b = guest_new(*state, 64, 64);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1), to_a = connect_guests(b, a, MMA_WAIT, 2);
	guest_post_buffers(a, 4, 64);
	guest_post(b, GUEST_BUFFERS, 256u << 10);
	guest_post(b, GUEST_BUFFERS, 64);
	guest_send(b, to_a, GUEST_MESSAGES, 64);
	mma_kick(b->port);
	guest_send(a, to_b, GUEST_MESSAGES, 256u << 10);
	guest_send(a, to_b, GUEST_MESSAGES, 64);
	guest_send(a, to_b, GUEST_MESSAGES, 64);
	assert_int_equal(mma_move_port(a->port, PLENTY), 2);
	assert_int_equal(guest_status(a, 2), MMA_ABI_PENDING);
	assert_int_equal(guest_status(b, 0), MMA_ABI_PENDING);
	/* B has room again: who waited is left to the others' mover. */
	guest_post(b, GUEST_BUFFERS, 64);
	assert_int_equal(mma_move_port(b->port, PLENTY), 1);
	assert_int_equal(guest_status(a, 2), MMA_ABI_PENDING);
	assert_int_equal(mma_move(*state, PLENTY), 1);
	assert_int_equal(guest_status(a, 2), MMA_ABI_DONE);
	assert_int_equal(mma_move_port(a->port, PLENTY), 0);
	guest_free(a);
	guest_free(b);
}

static void ends_of_ports(void **state)
{
	struct guest *a = guest_new(*state, 8, 8), *b = guest_new(*state, 8, 8);
	uint32_t to_b = connect_guests(a, b, MMA_WAIT, 1),
		 other = connect_guests(a, b, MMA_WAIT, 2);
	uint32_t to_a = connect_guests(b, a, MMA_WAIT, 3);
	guest_send(a, to_b, GUEST_MESSAGES, 8);
	guest_send(a, other, GUEST_MESSAGES, 8);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	/* A disconnected handle is stale, also for a message that waits. */
	assert_int_equal(mma_disconnect(a->port, to_b), 0);
	assert_int_equal(mma_disconnect(a->port, to_b), -EBADF);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_int_equal(guest_status(a, 0), MMA_ABI_BAD_HANDLE);
	assert_int_equal(guest_status(a, 1), MMA_ABI_PENDING);
	/* The receiver goes, with something of its own under way. */
	guest_send(b, to_a, GUEST_MESSAGES, 8);
	mma_kick(b->port);
	guest_free(b);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_int_equal(guest_status(a, 1), MMA_ABI_GONE);
	guest_send(a, other, GUEST_MESSAGES, 8);
	mma_kick(a->port);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_int_equal(guest_status(a, 2), MMA_ABI_GONE);
	assert_int_equal(mma_disconnect(a->port, other), 0);
	guest_free(a);
}

static void connect_checks(void **state)
{
	struct guest *a = guest_new(*state, 8, 8), *b = guest_new(*state, 8, 8);
	uint32_t handle, back;
	assert_int_equal(mma_connect(a->port, a->port, NULL, &handle), -EINVAL);
	struct mma_connection_config config = {.len_max = MMA_MESSAGE_BYTES_MAX + 1};
	assert_int_equal(mma_connect(a->port, b->port, &config, &handle), -EINVAL);
	config = (struct mma_connection_config){.when_full = 2};
	assert_int_equal(mma_connect(a->port, b->port, &config, &handle), -EINVAL);
	struct mma *other;
	assert_int_equal(mma_new(&other), 0);
	struct guest *c = guest_new(other, 8, 8);
	assert_int_equal(mma_connect(a->port, c->port, NULL, &handle), -EINVAL);
	guest_free(c);
	mma_free(other);
	/* Each sees the handle with which it answers. */
	assert_int_equal(mma_connect_pair(a->port, b->port, NULL, &handle, &back), 0);
	guest_post_buffers(b, 1, 8);
	guest_post_buffers(a, 1, 8);
	guest_send(a, handle, GUEST_MESSAGES, 8);
	guest_send(b, back, GUEST_MESSAGES, 8);
	mma_kick(a->port);
	mma_kick(b->port);
	assert_int_equal(mma_move(*state, PLENTY), 2);
	assert_int_equal(guest_take(b)->conn, back);
	assert_int_equal(guest_take(a)->conn, handle);
	/* A full table changes nothing. */
	for (unsigned i = 1; i < MMA_HANDLES_DEFAULT; i++)
		assert_int_equal(mma_connect(b->port, a->port, NULL, &back), 0);
	assert_int_equal(mma_connect(b->port, a->port, NULL, &back), -EMFILE);
	assert_int_equal(mma_connect_pair(a->port, b->port, NULL, &handle, &back), -EMFILE);
	for (unsigned i = 1; i < MMA_HANDLES_DEFAULT; i++)
		assert_int_equal(mma_connect(a->port, b->port, NULL, &back), 0);
	guest_free(a);
	guest_free(b);
}

static void host_side(void **state)
{
	struct mma_host *host;
	struct mma_host_config config = {.out_count = 4, .in_count = 4, .buffer_bytes = 100};
	struct eos_why why = {""};
	config.out_count = 3;
	assert_int_equal(mma_host_new(*state, &config, &host, &why), -EINVAL);
	config.out_count = 2048;
	assert_int_equal(mma_host_new(*state, &config, &host, &why), -EINVAL);
	config.out_count = 4;
	config.buffer_bytes = MMA_MESSAGE_BYTES_MAX + 1;
	assert_int_equal(mma_host_new(*state, &config, &host, &why), -EINVAL);
	config.buffer_bytes = 100;
	assert_int_equal(mma_host_new(*state, &config, &host, &why), 0);

	struct guest *guest = guest_new(*state, 8, 8);
	uint32_t to_guest, to_host;
	assert_int_equal(
		mma_connect_pair(mma_host_port(host), guest->port, NULL, &to_guest, &to_host), 0);
	uint8_t data[128] = {0};
	assert_int_equal(mma_host_send(host, to_guest, data, sizeof(data) + 1), -EMSGSIZE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(mma_host_send(host, to_guest, &i, sizeof(i)), 0);
	assert_int_equal(mma_host_send(host, to_guest, data, 1), -EAGAIN);
	assert_int_equal(mma_host_commit(host, to_guest, 1), -EAGAIN);
	assert_int_equal(mma_move(*state, PLENTY), 0);
	assert_true(mma_host_prepare_wait(host, true));
	guest_post_buffers(guest, 8, 16);
	assert_int_equal(mma_move(*state, PLENTY), 4);
	assert_false(mma_host_prepare_wait(host, true));
	for (unsigned i = 0; i < 4; i++) {
		struct mma_abi_descriptor *message = guest_take(guest);
		assert_non_null(message);
		assert_int_equal(message->conn, to_host);
		assert_memory_equal(guest->memory + message->address, &i, sizeof(i));
	}
	/* Back: more than it has buffers for. */
	struct mma_host_message message;
	assert_int_equal(mma_host_peek(host, &message), 0);
	for (unsigned i = 0; i < 6; i++) {
		guest->memory[GUEST_MESSAGES + i] = (uint8_t)i;
		guest_send(guest, to_host, GUEST_MESSAGES + i, 1);
	}
	mma_kick(guest->port);
	assert_int_equal(mma_move(*state, PLENTY), 4);
	assert_false(mma_host_prepare_wait(host, false));
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(mma_host_peek(host, &message), 1);
		assert_int_equal(message.conn, to_guest);
		assert_int_equal(message.len, 1);
		assert_int_equal(message.data[0], i);
		mma_host_release(host);
		mma_move(*state, PLENTY);
	}
	assert_int_equal(mma_host_peek(host, &message), 0);
	mma_host_free(host);
	assert_null(mma_host_free(NULL));
	guest_free(guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(delivers, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_round, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_and_wakes, setup, teardown),
		cmocka_unit_test_setup_teardown(drops, setup, teardown),
		cmocka_unit_test_setup_teardown(passes_by, setup, teardown),
		cmocka_unit_test_setup_teardown(shares_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(large_does_not_starve_small, setup, teardown),
		cmocka_unit_test_setup_teardown(budget_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_one_port, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_of_ports, setup, teardown),
		cmocka_unit_test_setup_teardown(connect_checks, setup, teardown),
		cmocka_unit_test_setup_teardown(host_side, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
