/*
 * Pins: what must not be removed from the tables although nothing there refers to it (yet), kept in
 * memory. There are two sets, of chunks by their names, and of manifests by their ids.
 *
 * Whoever wants to use something pins it first and then looks (in a read transaction that begins
 * behind the pin) whether it is there. Whoever removes it marks it as going, removes it, and takes
 * the mark away when the removal is committed. So either the remover sees the pin, or the user sees
 * the mark, or the user does not find it any more.
 *
 * A chunk that was found damaged is marked too: it is no duplicate of anything, and the next copy
 * of it takes its place.
 *
 * Any thread; the functions lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"

#define LOCAL_PIN_SIZE 32
/* Marks of damage; beyond that they are not remembered, and reads tell again. */
#define LOCAL_DAMAGED_MAX 65536u

struct local_pins {
	pthread_mutex_t lock;
	struct eos_list slots[4096];
	unsigned damaged_count;
};

void local_pins_init(struct local_pins *pins);
void local_pins_fini(struct local_pins *pins);

/* -EAGAIN: it is going; -ENOMEM. */
int local_pin(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE]) EOS_MUST_CHECK;
void local_unpin(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE]);
/* False: it is pinned (or there is no memory), and must stay. */
bool local_pins_going(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE]);
void local_pins_gone(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE]);

void local_pins_set_damaged(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE],
			    bool is_damaged);
bool local_pins_is_damaged(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE]);

/* The name of a manifest in its set. */
void local_manifest_pin_name(uint64_t id, uint8_t out[LOCAL_PIN_SIZE]);
