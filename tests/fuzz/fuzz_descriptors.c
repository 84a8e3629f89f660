/*
 * Any bytes as the acts of a hostile guest: eight bytes an act (what, where, value). It writes into
 * its rings, kicks, lets the mover work, grows its memory. It has connections from and to an
 * innocent port, whose own message to another one must arrive at the end, unharmed.
 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mma/mma.h"
#include "mma/mma_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define GUEST_BYTES 16384u
#define OUT_AT	    64u
#define IN_AT	    4096u
#define SLOTS	    8u
#define PLENTY	    (1u << 20)

enum act { ACT_WRITE_OUT, ACT_WRITE_IN, ACT_KICK, ACT_MOVE, ACT_GROW, ACT_TALK, ACT_ATTACH, ACTS };

struct scene {
	struct mma *mma;
	struct mma_port *guest;
	uint8_t *memory;
	_Atomic uint64_t bytes;
	struct mma_host *good, *friend;
	uint32_t to_guest, to_friend;
};

static void put(struct scene *scene, uint32_t address, uint32_t value)
{
	memcpy(scene->memory + address, &value, sizeof(value));
}

static void scene_init(struct scene *scene)
{
	const struct mma_host_config small = {.out_count = 4, .in_count = 4, .buffer_bytes = 64};
	EOS_ASSERT(mma_new(&scene->mma) == 0);
	/* Of the exact size, so that a sanitizer sees what is beyond. */
	scene->memory = aligned_alloc(64, GUEST_BYTES);
	EOS_ASSERT(scene->memory != NULL);
	memset(scene->memory, 0, GUEST_BYTES);
	atomic_init(&scene->bytes, GUEST_BYTES / 2);
	const struct mma_port_config config = {.memory = {scene->memory, &scene->bytes}};
	EOS_ASSERT(mma_port_new(scene->mma, &config, &scene->guest, NULL) == 0);
	EOS_ASSERT(mma_host_new(scene->mma, &small, &scene->good, NULL) == 0);
	EOS_ASSERT(mma_host_new(scene->mma, &small, &scene->friend, NULL) == 0);
	uint32_t ignored;
	EOS_ASSERT(mma_connect_pair(mma_host_port(scene->good), scene->guest, NULL,
				    &scene->to_guest, &ignored) == 0);
	EOS_ASSERT(mma_connect(mma_host_port(scene->good), mma_host_port(scene->friend), NULL,
			       &scene->to_friend) == 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = i == 0 ? OUT_AT : IN_AT;
		put(scene, at, MMA_ABI_VERSION);
		put(scene, at + 4, SLOTS);
	}
}

static void drain(struct mma_host *host)
{
	struct mma_host_message message;
	while (mma_host_peek(host, &message) == 1) {
		EOS_ASSERT(message.len <= 64);
		mma_host_release(host);
	}
}

static void act(struct scene *scene, const uint8_t bytes[8])
{
	uint16_t where;
	uint32_t value;
	memcpy(&where, bytes + 2, sizeof(where));
	memcpy(&value, bytes + 4, sizeof(value));
	uint32_t word = where %
			((sizeof(struct mma_abi_ring) + SLOTS * sizeof(struct mma_abi_descriptor)) /
			 sizeof(uint32_t)) *
			(uint32_t)sizeof(uint32_t);
	switch ((enum act)(bytes[0] % ACTS)) {
	case ACT_WRITE_OUT:
		put(scene, OUT_AT + word, value);
		break;
	case ACT_WRITE_IN:
		put(scene, IN_AT + word, value);
		break;
	case ACT_KICK:
		mma_kick(scene->guest);
		break;
	case ACT_MOVE:
		(void)mma_move(scene->mma, value % PLENTY);
		drain(scene->good);
		break;
	case ACT_GROW:
		atomic_store(&scene->bytes, GUEST_BYTES);
		break;
	case ACT_TALK:
		/* Full when the guest does not listen. */
		if (mma_host_send(scene->good, scene->to_guest, bytes, 8) < 0)
			(void)mma_move(scene->mma, PLENTY);
		break;
	case ACT_ATTACH:
		if (mma_port_attach(scene->guest, where % 2 == 0 ? OUT_AT : value,
				    where % 2 == 0 ? IN_AT : where) == 0)
			mma_kick(scene->guest);
		break;
	case ACTS:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene scene = {0};
	scene_init(&scene);
	for (; size >= 8; data += 8, size -= 8)
		act(&scene, data);
	scene.guest = mma_port_free(scene.guest);
	memset(scene.memory, 0xff, GUEST_BYTES);
	(void)mma_move(scene.mma, UINT64_MAX);
	drain(scene.good);
	EOS_ASSERT(mma_host_send(scene.good, scene.to_friend, "hello", 5) == 0);
	EOS_ASSERT(mma_move(scene.mma, UINT64_MAX) == 1);
	struct mma_host_message message;
	EOS_ASSERT(mma_host_peek(scene.friend, &message) == 1);
	EOS_ASSERT(message.len == 5 && memcmp(message.data, "hello", 5) == 0);
	mma_host_free(scene.good);
	mma_host_free(scene.friend);
	mma_free(scene.mma);
	free(scene.memory);
	return 0;
}
