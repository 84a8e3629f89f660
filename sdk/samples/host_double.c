#include "host_double.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, len)   ((void)(at), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(at, len) ((void)(at), (void)(len))
#endif

#define SETTINGS_MAX 64u

uint64_t host_now_ns = HOST_SECOND;
struct host_result host_result;
struct host_sent host_sent[HOST_SENT_MAX];
unsigned host_sent_count;
int host_send_error;
bool host_tail_is_usable;
uint32_t host_frame_flags;
unsigned host_closed;
struct host_shut host_shuts[HOST_SHUTS_MAX];
unsigned host_shuts_count;
const char *host_infos[HOST_INFOS_MAX];
char host_log[512];

static struct {
	const char *keys[SETTINGS_MAX], *values[SETTINGS_MAX];
	unsigned count;
	const char *ports[EDGEOS_PORTS_MAX];
	unsigned ports_count;
	struct edgeos_packet *slot;
	const struct edgeos_counter *counters;
	uint32_t counters_count;
	uint64_t timers[EDGEOS_TIMERS_MAX];
	jmp_buf refused;
	bool is_starting;
	uint64_t random;
} host = {.random = 88172645463325252u};

/* --- the host's functions --- */

int32_t edgeos_packet_page(struct edgeos_packet *slot)
{
	if (slot->version != EDGEOS_PACKET_VERSION || slot->capacity < EDGEOS_HEADROOM + 64)
		return -EINVAL;
	host.slot = slot;
	return 0;
}

int32_t edgeos_packet_send(uint32_t port, uint32_t peer, const void *buf, uint32_t len)
{
	if (host_send_error != 0)
		return host_send_error;
	if (len == 0)
		return -EINVAL;
	if (len > EDGEOS_PACKET_MAX)
		return -EMSGSIZE;
	if (host_sent_count == HOST_SENT_MAX)
		return -EAGAIN;
	uint8_t *copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, buf, len);
	host_sent[host_sent_count++] = (struct host_sent){port, peer, len, copy};
	return 0;
}

int32_t edgeos_stream_close(uint32_t peer)
{
	host_closed++;
	return 0;
}

int32_t edgeos_stream_shut(uint32_t port, uint32_t peer, uint32_t how)
{
	if (how > EDGEOS_SHUT_BREAK)
		return -EINVAL;
	if (host_shuts_count < HOST_SHUTS_MAX)
		host_shuts[host_shuts_count++] =
			(struct host_shut){port, peer, how, host_sent_count};
	return 0;
}

int32_t edgeos_stream_info(uint32_t peer, uint32_t what, char *buf, uint32_t size)
{
	if (what >= HOST_INFOS_MAX)
		return -EINVAL;
	if (host_infos[what] == NULL)
		return -ENOENT;
	size_t len = strlen(host_infos[what]);
	memcpy(buf, host_infos[what], len < size ? len : size);
	return (int32_t)len;
}

int32_t edgeos_port(const char *name, uint32_t len)
{
	if (len == 3 && memcmp(name, "out", 3) == 0)
		return EDGEOS_PORT_OUT;
	for (unsigned i = 0; i < host.ports_count; i++) {
		if (strlen(host.ports[i]) == len && memcmp(host.ports[i], name, len) == 0)
			return (int32_t)(EDGEOS_PORT_NEXT + i);
	}
	return -ENOENT;
}

int32_t edgeos_counters(const struct edgeos_counter *table, uint32_t count)
{
	host.counters = table;
	host.counters_count = count;
	return count > EDGEOS_COUNTERS_MAX ? -EINVAL : 0;
}

int32_t edgeos_timer_set(uint32_t id, uint64_t delay_ns)
{
	if (id >= EDGEOS_TIMERS_MAX)
		return -EINVAL;
	host.timers[id] = delay_ns == 0 ? 0 : host_now_ns + delay_ns;
	return 0;
}

uint64_t edgeos_now_ns(void)
{
	return host_now_ns;
}

int32_t edgeos_log(uint32_t level, const char *text, uint32_t len)
{
	if (len >= sizeof(host_log))
		len = sizeof(host_log) - 1;
	memcpy(host_log, text, len);
	host_log[len] = '\0';
	/* What follows an error of edgeos_init() is its end. */
	if (level == EDGEOS_ERROR && host.is_starting)
		longjmp(host.refused, 1);
	return 0;
}

int32_t edgeos_config(const char *key, uint32_t key_len, char *out, uint32_t size)
{
	for (unsigned i = 0; i < host.count; i++) {
		if (strlen(host.keys[i]) != key_len || memcmp(host.keys[i], key, key_len) != 0)
			continue;
		size_t len = strlen(host.values[i]);
		memcpy(out, host.values[i], len < size ? len : size);
		return (int32_t)len;
	}
	return -ENOENT;
}

/* --- what a test does --- */

void host_set(const char *key, const char *value)
{
	if (key == NULL) {
		host.count = 0;
		return;
	}
	unsigned i = 0;
	while (i < host.count && strcmp(host.keys[i], key) != 0)
		i++;
	if (value == NULL) {
		if (i < host.count) {
			host.count--;
			host.keys[i] = host.keys[host.count];
			host.values[i] = host.values[host.count];
		}
		return;
	}
	assert_true(i < SETTINGS_MAX);
	host.keys[i] = key;
	host.values[i] = value;
	if (i == host.count)
		host.count++;
}

void host_add_port(const char *name)
{
	assert_true(host.ports_count < EDGEOS_PORTS_MAX - EDGEOS_PORT_NEXT);
	host.ports[host.ports_count++] = name;
}

bool host_start(void)
{
	host_now_ns += 24 * 3600 * HOST_SECOND;
	host_log[0] = '\0';
	host.is_starting = true;
	if (setjmp(host.refused) != 0) {
		host.is_starting = false;
		return false;
	}
	edgeos_init();
	host.is_starting = false;
	assert_non_null(host.slot);
	return true;
}

static void check_counters(void)
{
	for (uint32_t i = 0; i < host.counters_count; i++) {
		const char *name = host.counters[i].name;
		size_t len = strnlen(name, sizeof(host.counters[i].name));
		assert_true(len > 0 && len < sizeof(host.counters[i].name));
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789._/@"),
				 len);
	}
}

static uint32_t deliver(struct edgeos_packet packet, const void *data)
{
	struct edgeos_packet *slot = host.slot;
	uint8_t *buffer = (uint8_t *)(slot + 1);
	uint8_t *at = buffer + EDGEOS_HEADROOM;
	uint32_t room = slot->capacity - EDGEOS_HEADROOM;
	assert_true(packet.len <= room);
	memset(buffer, 0xa5, slot->capacity);
	if (packet.len > 0)
		memcpy(at, data, packet.len);
	packet.version = slot->version;
	packet.buffer = slot->buffer;
	packet.capacity = slot->capacity;
	packet.address = slot->buffer + EDGEOS_HEADROOM;
	packet.time_ns = host_now_ns;
	*slot = packet;
	if (!host_tail_is_usable)
		ASAN_POISON_MEMORY_REGION(at + packet.len, room - packet.len);
	host_result.verdict = edgeos_packet(at, packet.len);
	ASAN_UNPOISON_MEMORY_REGION(buffer, slot->capacity);
	/* Addresses of a guest have 32 bits: where it is in the buffer is what counts. */
	uint32_t offset = slot->address - slot->buffer;
	assert_true(offset <= slot->capacity && slot->len <= slot->capacity - offset);
	assert_true(slot->len <= EDGEOS_PACKET_MAX);
	assert_int_equal(slot->version, EDGEOS_PACKET_VERSION);
	host_result.len = host_result.verdict == EDGEOS_DROP ? 0 : slot->len;
	memcpy(host_result.data, buffer + offset, host_result.len);
	check_counters();
	return host_result.verdict;
}

uint32_t host_frame(uint32_t port, const uint8_t *data, uint32_t len)
{
	struct edgeos_packet packet = {.kind = EDGEOS_FRAME, .flags = host_frame_flags};
	packet.port = (uint16_t)port;
	packet.len = len;
	return deliver(packet, data);
}

static struct edgeos_packet packet_of(uint32_t peer, uint16_t kind, uint32_t flags, uint32_t len)
{
	struct edgeos_packet packet = {.kind = kind, .flags = flags, .len = len, .peer = peer};
	memcpy(packet.peer_address, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0", 15);
	packet.peer_address[15] = (uint8_t)peer;
	packet.peer_port = (uint16_t)(1024 + peer);
	return packet;
}

uint32_t host_datagram(uint32_t peer, const void *data, uint32_t len)
{
	return deliver(packet_of(peer, EDGEOS_DATAGRAM, 0, len), data);
}

uint32_t host_stream(uint32_t peer, uint32_t flags, const void *data, uint32_t len)
{
	return host_stream_by(EDGEOS_PORT_CLIENT, peer, flags, data, len);
}

uint32_t host_stream_by(uint32_t port, uint32_t peer, uint32_t flags, const void *data,
			uint32_t len)
{
	struct edgeos_packet packet = packet_of(peer, EDGEOS_STREAM, flags, len);
	packet.port = (uint16_t)port;
	return deliver(packet, data);
}

void host_forget_sent(void)
{
	for (unsigned i = 0; i < host_sent_count; i++)
		free(host_sent[i].data);
	host_sent_count = 0;
}

uint64_t host_counter(const char *name)
{
	for (uint32_t i = 0; i < host.counters_count; i++) {
		if (strcmp(host.counters[i].name, name) == 0)
			return host.counters[i].value;
	}
	fail_msg("no counter '%s'", name);
	return 0;
}

bool host_timer_due(uint32_t id)
{
	if (host.timers[id] == 0 || host.timers[id] > host_now_ns)
		return false;
	host.timers[id] = 0;
	return true;
}

uint32_t host_random(void)
{
	host.random ^= host.random << 13;
	host.random ^= host.random >> 7;
	host.random ^= host.random << 17;
	return (uint32_t)(host.random >> 16);
}

void host_be_hostile(const uint8_t *frame, uint32_t len, unsigned count)
{
	uint8_t copy[EDGEOS_PACKET_MAX];
	for (uint32_t n = 0; n <= len; n++) {
		host_frame(EDGEOS_PORT_CLIENT, frame, n);
		host_frame(EDGEOS_PORT_OUT, frame, n);
	}
	for (unsigned i = 0; i < count; i++) {
		memcpy(copy, frame, len);
		uint32_t n = host_random() % 4 == 0 ? host_random() % (len + 1) : len;
		unsigned changes = 1 + host_random() % 8;
		for (unsigned k = 0; k < changes && n > 0; k++) {
			/* Mostly in the headers. */
			uint32_t at = host_random() % (host_random() % 2 == 0 && n > 54 ? 54 : n);
			copy[at] = (uint8_t)host_random();
		}
		host_frame(host_random() % 2, copy, n);
		host_now_ns += host_random() % 1000000;
	}
}
