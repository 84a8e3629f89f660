/*
 * Grammar:
 *
 *	description = kind [ ":" value *( "," option "=" value ) ]
 *	kind        = one of the table below
 *
 * Each kind has a function that takes the value apart and writes DPDK's arguments. Options are
 *those of ours, not DPDK's: none is passed on that we do not know.
 */
#include "nic/nic_device_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/str.h"
#include "nic/nic.h"

/* A frame's header with two VLAN tags. */
#define LINK_HEADER 22u
/* What the kernel puts before a frame in a ring of packet sockets (TPACKET_V2). */
#define PACKET_RING_HEADER 66u
/* 2 ms of a million frames a second: as long as another process may have the processor. */
#define PACKET_RING_FRAMES 2048u
#define PAGE		   4096u

#define OPTIONS_MAX 4u
#define TEXT_MAX    640u

struct option {
	const char *key, *value;
};

/* A description that was cut into its words. */
struct words {
	char text[TEXT_MAX];
	const char *kind, *value; /* VALUE: "" if there is none */
	struct option options[OPTIONS_MAX];
	unsigned options_count;
	bool was_used[OPTIONS_MAX];
};

static bool is_of(const char *text, const char *more)
{
	for (; *text != '\0'; text++) {
		bool is_plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
				(*text >= '0' && *text <= '9') || strchr(more, *text) != NULL;
		if (!is_plain)
			return false;
	}
	return true;
}

static int cut(const char *text, struct words *ret_words, struct eos_why *why)
{
	*ret_words = (struct words){.value = ""};
	if (eos_str_copy(ret_words->text, sizeof(ret_words->text), text) < 0)
		return eos_why(why, -EINVAL, "the device's description is longer than %u bytes",
			       TEXT_MAX - 1);
	ret_words->kind = ret_words->text;
	char *at = strchr(ret_words->text, ':');
	if (at == NULL)
		return 0;
	*at++ = '\0';
	ret_words->value = at;
	for (at = strchr(at, ','); at != NULL; at = strchr(at, ',')) {
		*at++ = '\0';
		if (ret_words->options_count == OPTIONS_MAX)
			return eos_why(why, -EINVAL, "device \"%s\": too many options", text);
		struct option *option = &ret_words->options[ret_words->options_count++];
		option->key = at;
		option->value = "";
		char *end = at + strcspn(at, ",=");
		if (*end == '=') {
			*end = '\0';
			option->value = end + 1;
			at = end + 1;
		}
	}
	return 0;
}

/* The value of option KEY, or NULL. */
static const char *take_option(struct words *words, const char *key)
{
	for (unsigned i = 0; i < words->options_count; i++) {
		if (strcmp(words->options[i].key, key) == 0) {
			words->was_used[i] = true;
			return words->options[i].value;
		}
	}
	return NULL;
}

static int check_options_used(const struct words *words, struct eos_why *why)
{
	for (unsigned i = 0; i < words->options_count; i++) {
		if (!words->was_used[i])
			return eos_why(why, -EINVAL,
				       "device of kind %s: option \"%s\" is not known or twice",
				       words->kind, words->options[i].key);
	}
	return 0;
}

EOS_PRINTF(2, 3) static void add(struct nic_device *device, const char *fmt, ...)
{
	size_t len = strlen(device->args);
	va_list args;
	va_start(args, fmt);
	/* What fits was counted: the longest values are two paths of 255 bytes. */
	(void)vsnprintf(device->args + len, sizeof(device->args) - len, fmt, args);
	va_end(args);
}

static int take_interface(const struct words *words, struct nic_device *device, struct eos_why *why)
{
	const char *name = words->value;
	size_t len = strlen(name);
	if (len == 0 || len >= sizeof(device->interface) || !is_of(name, "_.-") ||
	    strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return eos_why(why, -EINVAL,
			       "device of kind %s: \"%s\" is not an interface's name (1 to 15 "
			       "letters, digits, \"_\", \".\", \"-\")",
			       words->kind, name);
	memcpy(device->interface, name, len + 1);
	return 0;
}

static int check_path(const struct words *words, const char *path, size_t size, struct eos_why *why)
{
	if (path[0] != '/' || strlen(path) >= size || !is_of(path, "_.-/+@"))
		return eos_why(why, -EINVAL,
			       "device of kind %s: \"%s\" is not an absolute path of at most %zu "
			       "letters, digits and \"_.-/+@\"",
			       words->kind, path, size - 1);
	return 0;
}

/* The socket's path, and which end of it we are; LISTENER is the role that a kind has by itself. */
static int take_socket(struct words *words, struct nic_device *device, bool listens,
		       struct eos_why *why)
{
	_Static_assert(sizeof(device->path) == sizeof(((struct sockaddr_un *)0)->sun_path),
		       "a socket's path");
	int err = check_path(words, words->value, sizeof(device->path), why);
	if (err < 0)
		return err;
	(void)snprintf(device->path, sizeof(device->path), "%s", words->value);
	device->listens = listens;
	const char *role = take_option(words, "role");
	if (role == NULL)
		return 0;
	if (strcmp(role, "server") != 0 && strcmp(role, "client") != 0)
		return eos_why(why, -EINVAL,
			       "device of kind %s: role is server or client, not \"%s\"",
			       words->kind, role);
	device->listens = strcmp(role, "server") == 0;
	return 0;
}

static bool has_mac(const struct nic_device_wants *wants)
{
	static const uint8_t none[6];
	return memcmp(wants->mac, none, sizeof(none)) != 0;
}

static void add_mac(struct nic_device *device, const struct nic_device_wants *wants)
{
	const uint8_t *m = wants->mac;
	add(device, ",mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int make_af_xdp(struct words *words, const struct nic_device_wants *wants,
		       struct nic_device *device, struct eos_why *why)
{
	int err = take_interface(words, device, why);
	/* Without busy_budget=0 each empty poll is a system call. */
	if (err == 0)
		add(device, "iface=%s,start_queue=0,queue_count=%u,busy_budget=0",
		    device->interface, wants->queues);
	return err;
}

static int make_af_packet(struct words *words, const struct nic_device_wants *wants,
			  struct nic_device *device, struct eos_why *why)
{
	int err = take_interface(words, device, why);
	if (err < 0)
		return err;
	/* The kernel wants blocks of whole pages, the driver frames that follow each other without
	 * a gap at the end of a block: so a block is a multiple of both. */
	unsigned frame =
		EOS_ALIGN_UP(wants->mtu + LINK_HEADER + PACKET_RING_HEADER, NIC_PACKET_RING_STEP);
	unsigned block = frame;
	while (block % PAGE != 0)
		block += frame;
	add(device, "iface=%s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u", device->interface,
	    wants->queues, block, frame, PACKET_RING_FRAMES);
	return 0;
}

static int make_tap(struct words *words, const struct nic_device_wants *wants,
		    struct nic_device *device, struct eos_why *why)
{
	int err = take_interface(words, device, why);
	if (err < 0)
		return err;
	add(device, "iface=%s", device->interface);
	if (has_mac(wants))
		add_mac(device, wants);
	else
		add(device, ",mac=fixed");
	return 0;
}

static int make_memif(struct words *words, const struct nic_device_wants *wants,
		      struct nic_device *device, struct eos_why *why)
{
	uint64_t id = 0;
	int err = take_socket(words, device, false, why);
	if (err < 0)
		return err;
	const char *text = take_option(words, "id");
	if (text != NULL && (eos_parse_u64(text, &id) < 0 || id > UINT32_MAX))
		return eos_why(why, -EINVAL, "device of kind memif: id \"%s\" is not a number",
			       text);
	/* Longer frames would come in several buffers. */
	unsigned buffer = EOS_ALIGN_UP(wants->mtu + LINK_HEADER, 1024u);
	add(device, "role=%s,id=%u,socket=%s,socket-abstract=no,bsize=%u",
	    device->listens ? "server" : "client", (unsigned)id, device->path,
	    EOS_MAX(buffer, 2048u));
	if (has_mac(wants))
		add_mac(device, wants);
	return 0;
}

static int make_vhost(struct words *words, const struct nic_device_wants *wants,
		      struct nic_device *device, struct eos_why *why)
{
	int err = take_socket(words, device, true, why);
	if (err == 0)
		add(device, "iface=%s,queues=%u,client=%d", device->path, wants->queues,
		    !device->listens);
	return err;
}

static int make_virtio_user(struct words *words, const struct nic_device_wants *wants,
			    struct nic_device *device, struct eos_why *why)
{
	int err = take_socket(words, device, false, why);
	/* DPDK 22.11 would stand still until somebody connects. */
	if (err == 0 && device->listens)
		return eos_why(why, -ENOTSUP, "device of kind virtio_user: it connects only");
	if (err < 0)
		return err;
	add(device, "path=%s,queues=%u,queue_size=512", device->path, wants->queues);
	if (has_mac(wants))
		add_mac(device, wants);
	return 0;
}

static int make_pcap(struct words *words, const struct nic_device_wants *wants,
		     struct nic_device *device, struct eos_why *why)
{
	/* "IN,OUT": the second file stands where others have an option. */
	const char *out = words->options_count == 1 ? words->options[0].key : "";
	if (words->options_count != 1 || words->options[0].value[0] != '\0')
		return eos_why(why, -EINVAL, "device of kind pcap: two files are needed, IN,OUT");
	words->was_used[0] = true;
	int err = check_path(words, words->value, 256, why);
	if (err == 0)
		err = check_path(words, out, 256, why);
	if (err == 0)
		add(device, "rx_pcap=%s,tx_pcap=%s", words->value, out);
	return err;
}

static int make_plain(struct words *words, const struct nic_device_wants *wants,
		      struct nic_device *device, struct eos_why *why)
{
	if (words->value[0] != '\0')
		return eos_why(why, -EINVAL,
			       "device of kind %s: nothing belongs behind it, not "
			       "\"%s\"",
			       words->kind, words->value);
	return 0;
}

/* "0000:01:00.0". */
static int make_pci(struct words *words, const struct nic_device_wants *wants,
		    struct nic_device *device, struct eos_why *why)
{
	static const char form[] = "xxxx:xx:xx.d";
	const char *text = words->value;
	bool is_good = strlen(text) == sizeof(form) - 1;
	for (size_t i = 0; is_good && form[i] != '\0'; i++) {
		switch (form[i]) {
		case 'x':
			is_good = text[i] != '\0' && strchr("0123456789abcdefABCDEF", text[i]);
			break;
		case 'd':
			is_good = text[i] >= '0' && text[i] <= '7';
			break;
		default:
			is_good = text[i] == form[i];
		}
	}
	if (!is_good)
		return eos_why(why, -EINVAL,
			       "device of kind pci: \"%s\" is not an address as 0000:01:00.0",
			       text);
	(void)snprintf(device->name, sizeof(device->name), "%s", text);
	return 0;
}

typedef int make_fn(struct words *words, const struct nic_device_wants *wants,
		    struct nic_device *device, struct eos_why *why);

static const struct {
	struct nic_kind kind;
	make_fn *make;
} kinds[] = {
	{{"af_xdp", "net_af_xdp", NIC_WAKE_SOCKET, NIC_KIND_XDP | NIC_KIND_SPREADS}, make_af_xdp},
	{{"af_packet", "net_af_packet", NIC_WAKE_SOCKET, NIC_KIND_SPREADS}, make_af_packet},
	{{"tap", "net_tap", NIC_WAKE_LEVEL, NIC_KIND_SIGNALS | NIC_KIND_SPREADS | NIC_KIND_SET_MAC},
	 make_tap},
	/* Of memif, DPDK 22.11 gives no interrupts on. */
	{{"memif", "net_memif", NIC_WAKE_NEVER,
	  NIC_KIND_SOCKET | NIC_KIND_SET_MAC | NIC_KIND_NO_QUEUE},
	 make_memif},
	{{"vhost", "net_vhost", NIC_WAKE_INTERRUPT, NIC_KIND_SOCKET}, make_vhost},
	{{"virtio_user", "net_virtio_user", NIC_WAKE_INTERRUPT, NIC_KIND_SOCKET | NIC_KIND_SET_MAC},
	 make_virtio_user},
	{{"pcap", "net_pcap", NIC_WAKE_NEVER, NIC_KIND_NO_QUEUE}, make_pcap},
	{{"null", "net_null", NIC_WAKE_NEVER, 0}, make_plain},
	{{"ring", "net_ring", NIC_WAKE_NEVER, 0}, make_plain},
	{{"pci", "pci", NIC_WAKE_INTERRUPT, NIC_KIND_PCI}, make_pci},
};

bool nic_device_can_spread(const char *description)
{
	size_t len = strcspn(description, ":");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		const struct nic_kind *kind = &kinds[i].kind;
		if (strlen(kind->word) == len && strncmp(kind->word, description, len) == 0)
			return (kind->flags & (NIC_KIND_SPREADS | NIC_KIND_PCI)) != 0;
	}
	return false;
}

int nic_device_parse(const char *text, const struct nic_device_wants *wants,
		     struct nic_device *ret_device, struct eos_why *why)
{
	struct words words;
	struct nic_device device = {.bus = "vdev"};
	make_fn *make = NULL;
	int err = cut(text, &words, why);
	if (err < 0)
		return err;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		if (strcmp(words.kind, kinds[i].kind.word) == 0) {
			device.kind = &kinds[i].kind;
			make = kinds[i].make;
		}
	}
	if (make == NULL)
		return eos_why(why, -EINVAL,
			       "device \"%s\": kinds are af_xdp, af_packet, tap, memif, vhost, "
			       "virtio_user, pcap, null, ring, pci",
			       text);
	if ((device.kind->flags & NIC_KIND_NO_QUEUE) != 0 && wants->queues > 1)
		return eos_why(why, -ENOTSUP, "device of kind %s: it has one queue, not %u",
			       words.kind, wants->queues);
	if ((device.kind->flags & NIC_KIND_PCI) != 0)
		device.bus = "pci";
	else
		(void)snprintf(device.name, sizeof(device.name), "%s%u", device.kind->driver,
			       wants->slot);
	err = make(&words, wants, &device, why);
	if (err == 0)
		err = check_options_used(&words, why);
	if (err == 0)
		*ret_device = device;
	return err;
}
