/*
 * The stages of the tests about the page that packets are in. Where the slot is, each is told by
 * its settings: `page` (its struct begins a page) or not, `slot`, `buffer` and `capacity` of it in
 * arena[]. It looks at all of that memory before it handles a packet or a timer, and counts what it
 * finds that should not be there; with `dirt` it leaves the whole page full of 0xff, but for
 * the packet.
 *
 * A packet of 64 bytes or more says at byte 42 what the stage of byte 43 ('*': each) shall do. With
 * the setting `moves` packets are any bytes, and chain_moves.h says what is done.
 */
#include <edgeos_packet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chain/fixtures/chain_moves.h"

#define PAGE	4096u
#define COMMAND 42
#define STAGE	43
#define STATUS	44
#define OFFSET	48
#define LEN	52

/* All zero but for the slot. */
static _Alignas(4096) uint8_t arena[8 * PAGE];
static struct edgeos_counter counters[] = {
	{"packets", 0}, {"timers", 0}, {"leaks", 0}, {"wrong", 0}};
_Static_assert(sizeof(counters) / sizeof(counters[0]) == 4, "as open_counters() says");
static uint64_t *values; /* NULL: those in the table */
static uint8_t ends[EDGEOS_STATE_MAX];
static struct edgeos_packet *slot;
static uint32_t buffer, capacity, seen;
static int has_page, is_dirty, has_moves;
static uint64_t seed;
static char id, mode[16];

static const char *get(const char *key)
{
	static char text[24];
	int32_t len = edgeos_config(key, (uint32_t)strlen(key), text, sizeof(text) - 1);
	text[len > 0 ? len : 0] = '\0';
	return text;
}

static uint32_t get_number(const char *key)
{
	return (uint32_t)strtoul(get(key), NULL, 10);
}

static uint32_t place(const void *at)
{
	return (uint32_t)(uintptr_t)at;
}

static void must_fail(int32_t result, int error)
{
	if (result != -error)
		abort();
}

static int32_t try_page(struct edgeos_packet *at, uint32_t its_buffer, uint32_t its_capacity)
{
	*at = (struct edgeos_packet){1, its_buffer, its_capacity};
	int32_t result = edgeos_packet_page(at);
	memset(at, 0, sizeof(*at));
	return result;
}

static void try_errors(void)
{
	uint32_t end = (uint32_t)__builtin_wasm_memory_size(0) << 16;
	uint32_t at = place(arena), good = at + 64;
	struct edgeos_packet *first = (void *)arena;
	/* Not where a page begins. */
	must_fail(try_page((void *)(arena + 64), at + 128, 2048), EINVAL);
	must_fail(try_page((void *)(arena + 2048), at + 2048 + 64, 2048), EINVAL);
	/* In the struct, below it, too far for the least of packets. */
	must_fail(try_page(first, at, 2048), EINVAL);
	must_fail(try_page(first, at + 63, 2048), EINVAL);
	must_fail(try_page(first, at - 2048, 2048), EINVAL);
	must_fail(try_page(first, at + PAGE - 191, 2048), EINVAL);
	must_fail(try_page(first, at + PAGE, 2048), EINVAL);
	must_fail(try_page(first, good, 191), EINVAL);
	/* Beyond the memory. */
	must_fail(try_page(first, good, end - good + 1), EFAULT);
	must_fail(try_page(first, good, 0xffffffff), EFAULT);
	must_fail(try_page(first, 0xffffff00, 512), EFAULT);
	must_fail(edgeos_packet_page((void *)(uintptr_t)end), EFAULT);
	must_fail(edgeos_packet_page((void *)(uintptr_t)(end - 32)), EFAULT);
	must_fail(edgeos_packet_page((void *)(uintptr_t)0xfffff000u), EFAULT);
	*first = (struct edgeos_packet){2, good, 2048};
	must_fail(edgeos_packet_page(first), EINVAL);
	memset(first, 0, sizeof(*first));

	must_fail(edgeos_packet_state(ends, 0), EINVAL);
	must_fail(edgeos_packet_state(ends, EDGEOS_STATE_MAX + 1), EINVAL);
	must_fail(edgeos_packet_state(ends, 0xffffffff), EINVAL);
	must_fail(edgeos_packet_state((void *)(uintptr_t)(end - 1), 2), EFAULT);
	must_fail(edgeos_packet_state((void *)(uintptr_t)0xfffffff0u, 32), EFAULT);
}

/* `table`, `values`: where in arena[] the counters, or their values alone, shall be. */
static void open_counters(void)
{
	struct edgeos_counter *table = counters;
	if (get("table")[0] != '\0') {
		table = (void *)(arena + get_number("table"));
		memcpy(table, counters, sizeof(counters));
	}
	if (get("values")[0] != '\0')
		values = (void *)(arena + get_number("values"));
	must_fail(edgeos_counter_values(table, 4, (void *)(uintptr_t)0xfffffff0u), EFAULT);
	int32_t result = values != NULL ? edgeos_counter_values(table, 4, values)
					: edgeos_counters(table, 4);
	if (result < 0)
		abort();
	must_fail(edgeos_counters(counters, 1), EEXIST);
	must_fail(edgeos_counter_values(counters, 1, values), EEXIST);
	if (table != counters)
		memset(table, 0, sizeof(counters));
}

static void open_slot(void)
{
	has_page = get("page")[0] == '1';
	/* The very last page of the memory. */
	if (strcmp(mode, "last") == 0 && __builtin_wasm_memory_grow(0, 1) == (size_t)-1)
		abort();
	if (strcmp(mode, "last") == 0)
		slot = (void *)(uintptr_t)(((uint32_t)__builtin_wasm_memory_size(0) << 16) - PAGE);
	else
		slot = (void *)(arena + get_number("slot"));
	buffer = place(slot) + get_number("buffer");
	capacity = get_number("capacity");
	*slot = (struct edgeos_packet){1, buffer, capacity};
	if ((has_page ? edgeos_packet_page(slot) : edgeos_packets(slot)) < 0)
		abort();
	must_fail(edgeos_packet_page(slot), EEXIST);
	must_fail(edgeos_packets(slot), EEXIST);
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	id = get("id")[0];
	strcpy(mode, get("mode"));
	is_dirty = get("dirt")[0] == '1';
	has_moves = get("moves")[0] != '\0';
	seed = get_number("moves");
	if (strcmp(mode, "errors") == 0)
		try_errors();
	if (strcmp(mode, "late") != 0)
		open_counters();
	open_slot();
	if (strcmp(mode, "late") == 0)
		open_counters();
	if (strcmp(mode, "errors") == 0) {
		if (edgeos_packet_state(ends, sizeof(ends)) < 0)
			abort();
		must_fail(edgeos_packet_state(ends, 8), EEXIST);
	}
}

/* --- what must not be there --- */

static void count(int counter)
{
	if (values != NULL)
		values[counter]++;
	else
		counters[counter].value++;
}

static void look_at(const uint8_t *from, const uint8_t *to)
{
	for (; from < to; from++)
		if (*from != 0) {
			count(2);
			return;
		}
}

/* All of arena[] but the slot; of the page also all of the buffer but LEN bytes at PACKET. A timer
 * (PACKET is NULL) finds nothing at all there. */
static void spy(const uint8_t *packet, uint32_t len)
{
	const uint8_t *begin = (const uint8_t *)slot, *end = begin + PAGE;
	const uint8_t *low = (const uint8_t *)buffer, *high = low + capacity;
	if (strcmp(mode, "last") != 0) {
		const uint8_t *behind = has_page && high < end ? end : high;
		look_at(arena, begin);
		if (!has_page)
			look_at(begin + sizeof(*slot), low);
		look_at(behind, arena + sizeof(arena));
	}
	if (!has_page)
		return;
	if (packet == NULL) {
		look_at(begin, end);
		return;
	}
	look_at(begin + sizeof(*slot), packet < end ? packet : end);
	if (packet + len < end)
		look_at(packet + len, end);
}

static void check_head(const uint8_t *packet, uint32_t len)
{
	if (slot->version != 1 || slot->buffer != buffer || slot->capacity != capacity ||
	    slot->address != place(packet) || slot->address != buffer + EDGEOS_HEADROOM ||
	    slot->len != len || slot->reserved != 0 || slot->kind > EDGEOS_STREAM)
		count(3);
}

/* Fills all that others could see, or this one later, but what leaves. */
static void be_dirty(void)
{
	uint8_t *begin = (uint8_t *)slot, *end = begin + PAGE;
	uint32_t address = slot->address, len = slot->len;
	uint8_t *packet = (uint8_t *)address;
	if (!is_dirty)
		return;
	if (!has_page)
		end = (uint8_t *)buffer + capacity;
	for (uint8_t *b = has_page ? begin : (uint8_t *)buffer; b < end; b++)
		if (b - packet >= len) /* also of those before it */
			*b = 0xff;
	memset(slot, 0xff, sizeof(*slot));
	slot->address = address;
	slot->len = len;
}

/* --- moves --- */

static uint32_t move(uint8_t *packet, uint32_t len)
{
	uint32_t page_end = place(slot) + PAGE - buffer, port = slot->port;
	struct chain_move m = chain_move_of(seed, seen, page_end, capacity, len);
	uint8_t *to = (uint8_t *)buffer + m.offset;
	uint32_t kept = m.len < len ? m.len : len;
	memmove(to, packet, kept);
	for (uint32_t i = kept; i < m.len; i++)
		to[i] = chain_move_pad(i, seen);
	for (uint32_t i = 0; i < m.len; i++)
		to[i] ^= (uint8_t)id;
	slot->address = place(to);
	slot->len = m.len;
	be_dirty();
	if (m.sends) {
		/* What is done to the bytes afterwards is not in the copy. */
		edgeos_packet_send(m.answers ? port : !port, 7, to, m.len);
		for (uint32_t i = 0; i < m.len; i++)
			to[i] ^= 0x80;
	}
	return m.answers ? EDGEOS_ANSWER : EDGEOS_FORWARD;
}

/* --- commands --- */

static uint32_t number_at(const uint8_t *b)
{
	uint32_t number;
	memcpy(&number, b, sizeof(number));
	return number;
}

/* The buffer full of a pattern; of that, any part. */
static void lie(const uint8_t *b)
{
	uint32_t offset = number_at(b + OFFSET), len = number_at(b + LEN);
	for (uint32_t i = 0; i < capacity; i++)
		((uint8_t *)buffer)[i] = (uint8_t)(i * 13 + i / 256);
	slot->address = buffer + offset;
	slot->len = len;
}

static uint32_t command(uint8_t *b, uint32_t len)
{
	uint32_t port = slot->port, peer = slot->peer;
	switch (b[COMMAND]) {
	case 'a':
		be_dirty();
		return EDGEOS_ANSWER;
	case 'd':
		be_dirty();
		return EDGEOS_DROP;
	case 't': /* out of bounds */
		be_dirty();
		return *(volatile uint32_t *)0xfffffff0u;
	case 'e':
		be_dirty();
		exit(0);
	case 'L':
		be_dirty();
		for (;;)
			__asm__ volatile("" ::: "memory");
	case 'p': /* the owner interrupts it here */
		be_dirty();
		if (edgeos_log(EDGEOS_INFO, "now", 3) < 0)
			count(3);
		for (uint32_t i = 0; has_page && i < PAGE; i++) /* all is as it was */
			if (i >= sizeof(*slot) && (uint8_t *)slot + i - b >= len)
				if (((uint8_t *)slot)[i] != (is_dirty ? 0xff : 0))
					count(2);
		return EDGEOS_FORWARD;
	case 's': /* what it sends is what it was then */
		for (int i = 0; i < 2; i++) {
			if (edgeos_packet_send(!port, peer, b, len) < 0)
				count(3);
			memset(b + 60, 0xee, len - 60);
		}
		b[COMMAND] = 'S';
		be_dirty();
		return EDGEOS_FORWARD;
	case 'm':
		lie(b);
		return EDGEOS_FORWARD;
	case 'T': /* as soon as can be */
		edgeos_timer_set(1, 1);
		be_dirty();
		return EDGEOS_FORWARD;
	case 'l': /* none of these is heard any more */
		b[STATUS] = edgeos_packet_page(slot) == -EEXIST &&
			    edgeos_packets(slot) == -EEXIST &&
			    edgeos_packet_state(ends, 8) == -EEXIST &&
			    edgeos_counters(counters, 1) == -EEXIST;
		be_dirty();
		return EDGEOS_FORWARD;
	default:
		be_dirty();
		return EDGEOS_FORWARD;
	}
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	uint8_t *b = buf;
	count(0);
	check_head(b, len);
	spy(b, len);
	seen++;
	if (has_moves)
		return move(b, len);
	if (len >= 64 && (b[STAGE] == id || b[STAGE] == '*'))
		return command(b, len);
	be_dirty();
	return EDGEOS_FORWARD;
}

EDGEOS_EXPORT(edgeos_timer) void edgeos_timer(uint32_t timer)
{
	uint8_t *page = (uint8_t *)slot;
	count(1);
	spy(NULL, 0);
	/* From the page itself, which is like any other memory until the turn is over. */
	memset(page + 100, id, 100);
	if (edgeos_packet_send(EDGEOS_PORT_OUT, 0, page + 100, 100) < 0)
		count(3);
	if (is_dirty && has_page)
		memset(page, 0xff, PAGE);
	else
		memset(page + 100, 0, 100);
}
