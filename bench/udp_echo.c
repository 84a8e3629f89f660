/*
 * For the benches of the data plane: a blocking echo server on a socket of the kernel, and the
 * client that asks it, or a function in its place, one request after the other.
 *
 *     udp_echo serve ADDRESS PORT
 *     udp_echo ask ADDRESS FIRST-PORT PORTS BYTES COUNT
 *
 * The client sends a request, sleeps in the kernel until its answer is there, and sends the next,
 * to the next of PORTS port numbers. Requests have numbers, so that an answer that comes after its
 * time counts for nobody. The first is sent again until somebody answers. It prints one line of
 * JSON: how many were answered, the median and the 99th of 100 of their times in ns, how many
 * were lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_MAX  1472u
#define COUNT_MAX     10000000u
#define TIMEOUT_US    200000
#define FIRST_TRIES   300u
#define LOST_MAX_PART 100u /* with more lost than one in so many there is nothing to report */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "udp_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void parse_address(const char *text, const char *port, struct sockaddr_in *out)
{
	*out = (struct sockaddr_in){.sin_family = AF_INET};
	out->sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (inet_pton(AF_INET, text, &out->sin_addr) != 1) {
		fprintf(stderr, "udp_echo: not an address: %s\n", text);
		exit(2);
	}
}

static _Noreturn void serve(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t data[DATAGRAM_MAX];

	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		die("socket");
	for (;;) {
		struct sockaddr_in peer;
		socklen_t peer_len = sizeof(peer);
		ssize_t n =
			recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&peer, &peer_len);

		if (n < 0)
			die("recvfrom");
		if (sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&peer, peer_len) < 0)
			die("sendto");
	}
}

/* Request NUMBER: true when its answer came, after *RET_NS. */
static int ask_once(int fd, const struct sockaddr_in *to, uint32_t bytes, uint32_t number,
		    uint64_t *ret_ns)
{
	uint8_t request[DATAGRAM_MAX] = {0}, answer[DATAGRAM_MAX];
	uint64_t start = now_ns();

	memcpy(request, &number, sizeof(number));
	if (sendto(fd, request, bytes, 0, (const struct sockaddr *)to, sizeof(*to)) < 0)
		return 0;
	for (;;) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);

		if (n < 0)
			return 0;
		if ((size_t)n == bytes && memcmp(answer, request, bytes) == 0)
			break;
	}
	*ret_ns = now_ns() - start;
	return 1;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print(uint64_t *samples, uint32_t answered, uint32_t lost)
{
	if (lost > (answered + lost) / LOST_MAX_PART) {
		fprintf(stderr, "udp_echo: %u answered, %u lost\n", answered, lost);
		exit(1);
	}
	qsort(samples, answered, sizeof(*samples), compare);
	printf("{\"n\": %u, \"p50\": %llu, \"p99\": %llu, \"lost\": %u}\n", answered,
	       (unsigned long long)samples[answered / 2],
	       (unsigned long long)samples[(uint64_t)answered * 99 / 100], lost);
}

static int ask(struct sockaddr_in *address, uint32_t ports, uint32_t bytes, uint32_t count)
{
	const struct timeval timeout = {.tv_usec = TIMEOUT_US};
	uint16_t first_port = ntohs(address->sin_port);
	uint64_t *samples = calloc(count, sizeof(*samples)), ns;
	uint32_t answered = 0, number = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (samples == NULL || fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		die("socket");
	while (!ask_once(fd, address, bytes, number, &ns)) {
		if (++number == FIRST_TRIES) {
			fprintf(stderr, "udp_echo: nobody answers\n");
			return 1;
		}
	}
	for (uint32_t i = 0; i < count; i++) {
		address->sin_port = htons((uint16_t)(first_port + i % ports));
		if (ask_once(fd, address, bytes, ++number, &ns))
			samples[answered++] = ns;
	}
	print(samples, answered, count - answered);
	free(samples);
	return 0;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;

	if (argc == 4 && strcmp(argv[1], "serve") == 0) {
		parse_address(argv[2], argv[3], &address);
		serve(&address);
	}
	if (argc == 7 && strcmp(argv[1], "ask") == 0) {
		uint32_t ports = (uint32_t)strtoul(argv[4], NULL, 10);
		uint32_t bytes = (uint32_t)strtoul(argv[5], NULL, 10);
		uint32_t count = (uint32_t)strtoul(argv[6], NULL, 10);

		parse_address(argv[2], argv[3], &address);
		if (ports >= 1 && ports <= UINT16_MAX && bytes >= sizeof(uint32_t) &&
		    bytes <= DATAGRAM_MAX && count >= 1 && count <= COUNT_MAX)
			return ask(&address, ports, bytes, count);
	}
	fprintf(stderr, "udp_echo serve ADDRESS PORT | ask ADDRESS PORT PORTS BYTES COUNT\n");
	return 2;
}
