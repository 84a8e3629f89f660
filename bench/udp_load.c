/*
 * An open-loop client for memcached over UDP: requests leave at the times of a plan, whatever
 * became of those before, and what is measured is the time from the intended moment to the answer.
 * So a server that falls behind shows it.
 *
 *     udp_load ADDRESS FIRST-PORT PORTS REQUESTS-PER-SECOND SECONDS
 *
 * First a key is stored at every port (and waited for); then GETs go to ports at random, with
 * several sockets, as the frame's 16-bit number tells requests apart. One thread: it spins until
 * the next moment and reads what has come meanwhile. Prints one line of JSON; times in ns.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS	    16u
#define IDS	    65536u
#define DATAGRAM    2048u
#define STORE_TRIES 200u
#define DRAIN_NS    500000000ull

static struct {
	int fds[SOCKETS];
	struct sockaddr_in server;
	uint16_t first_port;
	uint32_t ports;
	uint64_t *intended; /* by socket and number; 0: nothing is under way */
	uint64_t *samples;
	uint64_t samples_count, samples_max;
	uint64_t random;
} load;

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t next_random(void)
{
	load.random ^= load.random << 13;
	load.random ^= load.random >> 7;
	load.random ^= load.random << 17;
	return (uint32_t)(load.random >> 32);
}

static void die(const char *what)
{
	fprintf(stderr, "udp_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_to(unsigned s, uint16_t id, uint32_t port, const char *text)
{
	uint8_t frame[256] = {(uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 1, 0, 0};
	size_t len = strlen(text);
	struct sockaddr_in to = load.server;
	to.sin_port = htons((uint16_t)(load.first_port + port));
	memcpy(frame + 8, text, len);
	/* A full queue is the kernel's way to drop it; it counts as lost. */
	(void)!sendto(load.fds[s], frame, 8 + len, MSG_DONTWAIT, (struct sockaddr *)&to,
		      sizeof(to));
}

/* Takes one answer; -1: there is none. Its number. */
static int take(unsigned s, const char *wanted)
{
	uint8_t data[DATAGRAM];
	ssize_t n = recv(load.fds[s], data, sizeof(data), MSG_DONTWAIT);
	if (n < 0)
		return -1;
	if (n < 8 || (size_t)n < 8 + strlen(wanted) ||
	    memcmp(data + 8, wanted, strlen(wanted)) != 0) {
		fprintf(stderr, "udp_load: not the answer that was expected: %.*s\n",
			n > 8 ? (int)n - 8 : 0, (char *)data + 8);
		exit(1);
	}
	return data[0] << 8 | data[1];
}

/* The key at PORT, waited for. */
static void store(uint32_t port)
{
	for (unsigned i = 0; i < STORE_TRIES; i++) {
		struct pollfd ready = {.fd = load.fds[0], .events = POLLIN};
		send_to(0, 0, port, "set key 0 0 32\r\n0123456789abcdef0123456789abcdef\r\n");
		if (poll(&ready, 1, 50) > 0 && take(0, "STORED\r\n") >= 0)
			return;
	}
	fprintf(stderr, "udp_load: port %u does not answer\n", load.first_port + port);
	exit(1);
}

static void read_answers(void)
{
	for (unsigned s = 0; s < SOCKETS; s++) {
		for (;;) {
			int id = take(s, "VALUE key 0 32\r\n");
			if (id < 0)
				break;
			uint64_t *intended = &load.intended[s * IDS + (unsigned)id];
			if (*intended != 0 && load.samples_count < load.samples_max)
				load.samples[load.samples_count++] = now_ns() - *intended;
			*intended = 0;
		}
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static uint64_t percentile(unsigned percent)
{
	return load.samples_count == 0 ? 0 : load.samples[(load.samples_count - 1) * percent / 100];
}

static void run(uint64_t rate, uint64_t seconds)
{
	uint64_t total = rate * seconds, sent = 0;
	uint64_t start = now_ns(), step = 1000000000u / rate;
	for (uint64_t intended = start; sent < total; sent++, intended += step) {
		unsigned s = (unsigned)(sent % SOCKETS);
		uint16_t id = (uint16_t)(sent / SOCKETS);
		while (now_ns() < intended)
			read_answers();
		load.intended[s * IDS + id] = intended;
		send_to(s, id, next_random() % load.ports, "get key\r\n");
	}
	for (uint64_t end = now_ns() + DRAIN_NS; now_ns() < end;)
		read_answers();
	qsort(load.samples, load.samples_count, sizeof(*load.samples), compare);
	printf("{\"sent\": %llu, \"n\": %llu, \"p50\": %llu, \"p99\": %llu}\n",
	       (unsigned long long)total, (unsigned long long)load.samples_count,
	       (unsigned long long)percentile(50), (unsigned long long)percentile(99));
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		fprintf(stderr, "udp_load ADDRESS FIRST-PORT PORTS REQUESTS/S SECONDS\n");
		return 2;
	}
	uint64_t rate = strtoull(argv[4], NULL, 10), seconds = strtoull(argv[5], NULL, 10);
	load.server.sin_family = AF_INET;
	load.first_port = (uint16_t)strtoul(argv[2], NULL, 10);
	load.ports = (uint32_t)strtoul(argv[3], NULL, 10);
	load.random = 88172645463325252ull;
	if (inet_pton(AF_INET, argv[1], &load.server.sin_addr) != 1 || rate == 0 ||
	    load.ports == 0) {
		fprintf(stderr, "udp_load: wrong arguments\n");
		return 2;
	}
	load.intended = calloc((size_t)SOCKETS * IDS, sizeof(*load.intended));
	load.samples_max = rate * seconds;
	load.samples = calloc(load.samples_max + 1, sizeof(*load.samples));
	if (load.intended == NULL || load.samples == NULL)
		die("memory");
	for (unsigned s = 0; s < SOCKETS; s++) {
		int bytes = 4 << 20;
		load.fds[s] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (load.fds[s] < 0)
			die("socket");
		(void)setsockopt(load.fds[s], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	for (uint32_t port = 0; port < load.ports; port++)
		store(port);
	run(rate, seconds);
	return 0;
}
