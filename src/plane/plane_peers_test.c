/* Peers in a flood of others, and their numbers. */
#include "plane/plane_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

#define PEERS 64u
#define MANY  100000u

static struct plane_peer *meet(struct plane_peers *peers, uint32_t address, uint64_t now_ns)
{
	struct plane_peer seen = {.port = 5000, .local_port = 4000};
	memcpy(seen.address, &address, sizeof(address));
	struct plane_peer *peer = plane_peers_meet(peers, &seen, now_ns);
	assert_non_null(peer);
	assert_true(peer->number != 0);
	return peer;
}

static void peers_make(struct plane_peers *peers)
{
	*peers = (struct plane_peers){0};
	assert_int_equal(plane_peers_init(peers, PEERS, NULL), 0);
}

/* Who was answered and then heard again keeps his number, though he is silent meanwhile. */
static void flood_forgets_itself(void **state)
{
	struct plane_peers peers;
	uint32_t numbers[PEERS / 2];
	peers_make(&peers);
	for (uint32_t i = 0; i < PEERS / 2; i++) {
		struct plane_peer *peer = meet(&peers, i, i);
		numbers[i] = peer->number;
		/* As plane_may_send() does for the first answer. */
		peer->owner = i + 1;
		assert_ptr_equal(meet(&peers, i, PEERS + i), peer);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		struct plane_peer *peer = meet(&peers, 1000 + i, 1000 + i);
		/* Answers alone make nobody known: their sources are forged. */
		peer->owner = 1;
	}
	for (uint32_t i = 0; i < PEERS / 2; i++) {
		struct plane_peer *peer = plane_peers_find(&peers, numbers[i]);
		assert_non_null(peer);
		assert_int_equal(peer->owner, i + 1);
		assert_int_equal(meet(&peers, i, 2 * MANY)->number, numbers[i]);
	}
	plane_peers_fini(&peers);
}

/* With as many known ones as there can be, a new one takes the place of who was silent longest. */
static void nobody_is_sent_away(void **state)
{
	struct plane_peers peers;
	uint32_t numbers[PEERS];
	peers_make(&peers);
	for (uint32_t i = 0; i < PEERS; i++) {
		struct plane_peer *peer = meet(&peers, i, i);
		numbers[i] = peer->number;
		peer->owner = 1;
		(void)meet(&peers, i, PEERS + i);
	}
	uint64_t later_ns = 100 * EOS_NS_PER_S;
	(void)meet(&peers, 0, later_ns);
	(void)meet(&peers, 1000, later_ns);
	assert_non_null(plane_peers_find(&peers, numbers[0]));
	assert_null(plane_peers_find(&peers, numbers[1]));
	plane_peers_fini(&peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flood_forgets_itself),
		cmocka_unit_test(nobody_is_sent_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
