/*
 * A flood: IPv4 datagrams over UDP, each from somebody else, who does not exist. Sent as frames, by
 * a packet socket, past the interface's queue.
 *
 *     udp_flood INTERFACE TARGET-MAC ADDRESS PORT COUNT RATE [hold]
 *
 * COUNT datagrams at RATE a second; 0: as fast as possible. With "hold" it goes on afterwards until
 * its standard input ends. Prints one line of JSON: how many were sent, in how many nanoseconds,
 * and how often the interface had no room (which is waited for). It does not spin between bursts,
 * so that others on its processor have the rest.
 *
 * A source is a number of 30 bits, which a multiplication by an odd number spreads over 16.0.0.0 to
 * 79.255.255.255: so none is the same as another one of the last 2^30.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BURST	     64u
#define PAYLOAD	     20u
#define FRAME	     (14u + 20u + 8u + PAYLOAD)
#define SOURCE_FIRST 0x10000000u
#define SOURCES_MASK 0x3fffffffu
#define SPREAD	     0x9e3779b1u
#define NS_PER_S     1000000000ull
/* So long a pause at most: bursts are shorter where that is less than a burst's time. */
#define STEP_NS 200000ull
#define LATE_NS 20000000ull /* what was missed for longer is not made up for */

static struct {
	int fd;
	uint8_t frames[BURST][FRAME];
	struct iovec vectors[BURST];
	struct mmsghdr messages[BURST];
	uint32_t header_sum; /* of IP, without the source */
	uint64_t sent, refused;
	uint32_t seed;
} flood;

static void die(const char *what)
{
	fprintf(stderr, "udp_flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	const struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S),
				      .tv_nsec = (long)(ns % NS_PER_S)};
	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void open_socket(const char *interface, uint8_t mac[6])
{
	int on = 1;
	struct sockaddr_ll name = {.sll_family = AF_PACKET,
				   .sll_ifindex = (int)if_nametoindex(interface)};
	socklen_t len = sizeof(name);
	if (name.sll_ifindex == 0)
		die(interface);
	/* Protocol 0: it gets no frames. */
	flood.fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (flood.fd < 0 || bind(flood.fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    getsockname(flood.fd, (struct sockaddr *)&name, &len) < 0)
		die("a packet socket");
	if (setsockopt(flood.fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
		die("PACKET_QDISC_BYPASS");
	memcpy(mac, name.sll_addr, 6);
}

/* What all frames have in common. */
static void fill_frames(const uint8_t from[6], const uint8_t to[6], uint32_t target, uint16_t port)
{
	static const uint16_t header[] = {0x4500, 28 + PAYLOAD, 1, 0, 0x4011};
	uint8_t frame[FRAME] = {0};
	memcpy(frame, to, 6);
	memcpy(frame + 6, from, 6);
	put16(frame + 12, ETHERTYPE_IP);
	flood.header_sum = (target >> 16) + (target & 0xffff);
	for (unsigned i = 0; i < 5; i++) {
		put16(frame + 14 + 2 * i, header[i]);
		flood.header_sum += header[i];
	}
	put16(frame + 30, target >> 16);
	put16(frame + 32, target);
	put16(frame + 36, port);
	/* UDP may leave its checksum out. */
	put16(frame + 38, 8 + PAYLOAD);
	memset(frame + 42, 'f', PAYLOAD);
	for (unsigned i = 0; i < BURST; i++) {
		memcpy(flood.frames[i], frame, FRAME);
		flood.vectors[i] = (struct iovec){flood.frames[i], FRAME};
		flood.messages[i].msg_hdr =
			(struct msghdr){.msg_iov = &flood.vectors[i], .msg_iovlen = 1};
	}
}

static void set_source(uint8_t *frame, uint64_t number)
{
	uint32_t source = SOURCE_FIRST + (((uint32_t)number * SPREAD + flood.seed) & SOURCES_MASK);
	uint32_t sum = flood.header_sum + (source >> 16) + (source & 0xffff);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(frame + 24, ~sum);
	put16(frame + 26, source >> 16);
	put16(frame + 28, source);
	put16(frame + 34, 1024 + (uint32_t)(number % 60000));
}

static void send_burst(unsigned count)
{
	unsigned at = 0;
	for (unsigned i = 0; i < count; i++)
		set_source(flood.frames[i], flood.sent + i);
	while (at < count) {
		int n = sendmmsg(flood.fd, flood.messages + at, count - at, 0);
		if (n > 0) {
			at += (unsigned)n;
			continue;
		}
		if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die("sending");
		flood.refused++;
	}
	flood.sent += count;
}

static bool is_over(uint64_t count, bool must_hold)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	uint8_t byte;
	if (flood.sent < count)
		return false;
	if (!must_hold)
		return true;
	return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) <= 0;
}

static void run(uint64_t count, uint64_t rate, bool must_hold)
{
	uint64_t start = now_ns(), due = start, step = 0;
	unsigned burst = BURST;
	if (rate > 0) {
		uint64_t in_step = rate * STEP_NS / NS_PER_S;
		burst = in_step < BURST ? (unsigned)in_step + 1 : BURST;
		step = burst * NS_PER_S / rate;
	}
	while (!is_over(count, must_hold)) {
		uint64_t left = count - flood.sent;
		send_burst(flood.sent < count && left < burst ? (unsigned)left : burst);
		if (rate == 0)
			continue;
		uint64_t now = now_ns();
		due += step;
		if (due + LATE_NS < now)
			due = now;
		/* A sleep takes longer than it says; what was missed follows at once. */
		if (due > now + STEP_NS)
			sleep_until(due);
	}
	printf("{\"sent\": %llu, \"ns\": %llu, \"refused\": %llu}\n",
	       (unsigned long long)flood.sent, (unsigned long long)(now_ns() - start),
	       (unsigned long long)flood.refused);
}

int main(int argc, char **argv)
{
	uint8_t from[6], to[6];
	unsigned mac[6];
	struct in_addr target;
	bool must_hold = argc == 8 && strcmp(argv[7], "hold") == 0;
	if ((argc != 7 && !must_hold) ||
	    sscanf(argv[2], "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
		   &mac[5]) != 6 ||
	    inet_pton(AF_INET, argv[3], &target) != 1) {
		fprintf(stderr,
			"usage: udp_flood INTERFACE TARGET-MAC ADDRESS PORT COUNT RATE [hold]\n");
		return 2;
	}
	for (unsigned i = 0; i < 6; i++)
		to[i] = (uint8_t)mac[i];
	flood.seed = (uint32_t)now_ns();
	open_socket(argv[1], from);
	fill_frames(from, to, ntohl(target.s_addr), (uint16_t)atoi(argv[4]));
	run(strtoull(argv[5], NULL, 10), strtoull(argv[6], NULL, 10), must_hold);
	return 0;
}
