/* A hash table with lists: names are hashes already, ids are spread by a multiplication. */
#include "store/local_pins_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct pin {
	struct eos_list node;
	uint8_t name[LOCAL_PIN_SIZE];
	unsigned count;
	bool is_going, is_damaged;
};

void local_pins_init(struct local_pins *pins)
{
	pthread_mutex_init(&pins->lock, NULL);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(pins->slots); i++)
		eos_list_init(&pins->slots[i]);
	pins->damaged_count = 0;
}

void local_pins_fini(struct local_pins *pins)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(pins->slots); i++) {
		struct eos_list *node;
		while ((node = eos_list_take(&pins->slots[i])) != NULL)
			free(EOS_CONTAINER_OF(node, struct pin, node));
	}
	pthread_mutex_destroy(&pins->lock);
}

static struct eos_list *slot_of(struct local_pins *pins, const uint8_t *name)
{
	uint64_t word;
	memcpy(&word, name, sizeof(word));
	word *= UINT64_C(0x9E3779B97F4A7C15);
	return &pins->slots[(word >> 32) % EOS_ARRAY_SIZE(pins->slots)];
}

static struct pin *find_locked(struct local_pins *pins, const uint8_t *name)
{
	struct eos_list *slot = slot_of(pins, name);
	EOS_LIST_FOR_EACH (node, slot) {
		struct pin *pin = EOS_CONTAINER_OF(node, struct pin, node);
		if (memcmp(pin->name, name, LOCAL_PIN_SIZE) == 0)
			return pin;
	}
	return NULL;
}

static struct pin *make_locked(struct local_pins *pins, const uint8_t *name)
{
	struct pin *pin = find_locked(pins, name);
	if (pin != NULL)
		return pin;
	pin = calloc(1, sizeof(*pin));
	if (pin == NULL)
		return NULL;
	memcpy(pin->name, name, LOCAL_PIN_SIZE);
	eos_list_add_tail(slot_of(pins, name), &pin->node);
	return pin;
}

static void drop_if_empty_locked(struct pin *pin)
{
	if (pin->count > 0 || pin->is_going || pin->is_damaged)
		return;
	eos_list_remove(&pin->node);
	free(pin);
}

int local_pin(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE])
{
	int err = 0;
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = make_locked(pins, name);
	if (pin == NULL)
		err = -ENOMEM;
	else if (pin->is_going)
		err = -EAGAIN;
	else
		pin->count++;
	pthread_mutex_unlock(&pins->lock);
	return err;
}

void local_unpin(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE])
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = find_locked(pins, name);
	EOS_ASSERT(pin != NULL && pin->count > 0);
	pin->count--;
	drop_if_empty_locked(pin);
	pthread_mutex_unlock(&pins->lock);
}

bool local_pins_going(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE])
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = make_locked(pins, name);
	bool can_go = pin != NULL && pin->count == 0;
	if (can_go)
		pin->is_going = true;
	pthread_mutex_unlock(&pins->lock);
	return can_go;
}

void local_pins_gone(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE])
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = find_locked(pins, name);
	EOS_ASSERT(pin != NULL && pin->is_going && pin->count == 0);
	pin->is_going = false;
	drop_if_empty_locked(pin);
	pthread_mutex_unlock(&pins->lock);
}

void local_pins_set_damaged(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE],
			    bool is_damaged)
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = is_damaged && pins->damaged_count < LOCAL_DAMAGED_MAX
				  ? make_locked(pins, name)
				  : find_locked(pins, name);
	if (pin != NULL && pin->is_damaged != is_damaged &&
	    (!is_damaged || pins->damaged_count < LOCAL_DAMAGED_MAX)) {
		pin->is_damaged = is_damaged;
		pins->damaged_count += is_damaged ? 1 : (unsigned)-1;
		drop_if_empty_locked(pin);
	}
	pthread_mutex_unlock(&pins->lock);
}

bool local_pins_is_damaged(struct local_pins *pins, const uint8_t name[LOCAL_PIN_SIZE])
{
	pthread_mutex_lock(&pins->lock);
	struct pin *pin = pins->damaged_count > 0 ? find_locked(pins, name) : NULL;
	bool is_damaged = pin != NULL && pin->is_damaged;
	pthread_mutex_unlock(&pins->lock);
	return is_damaged;
}

void local_manifest_pin_name(uint64_t id, uint8_t out[LOCAL_PIN_SIZE])
{
	memset(out, 0, LOCAL_PIN_SIZE);
	memcpy(out, &id, sizeof(id));
}
