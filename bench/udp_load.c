/*
 * An open-loop client for memcached over UDP: requests leave at the times of a plan, whatever
 * became of those before, and what is measured is the time from the intended moment to the answer.
 * So a server that falls behind shows it.
 *
 *     udp_load ADDRESS FIRST-PORT PORTS REQUESTS-PER-SECOND MILLISECONDS
 *
 * First a key is stored at every port, and asked for twice, one request after the other: so
 * everybody has started, and has run the code that is measured. Then GETs go to ports at random,
 * with several sockets, as the frame's 16-bit number tells requests apart: for WARM_NS without
 * being counted, and then as long as was said. One thread: it spins until the next moment and reads
 * what has come meanwhile. Prints one line of JSON; times in ns. FIRST is the median time from a
 * port's first request to its answer, NEXT that of the ones after.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SOCKETS	       16u
#define PREPARING      SOCKETS /* the socket for what comes before: late answers are nobody's */
#define IDS	       65536u
#define DATAGRAM       2048u
#define PREPARE_TRIES  600u
#define PREPARE_MS     50
#define PREPARE_ROUNDS 3u
#define WARM_NS	       300000000ull
#define DRAIN_NS       500000000ull
#define HEADER	       8u

static const char set[] = "set key 0 0 32\r\n0123456789abcdef0123456789abcdef\r\n";
static const char get[] = "get key\r\n";
static const char stored[] = "STORED\r\n";
static const char value[] = "VALUE key 0 32\r\n0123456789abcdef0123456789abcdef\r\nEND\r\n";

static struct {
	int fds[SOCKETS + 1];
	struct sockaddr_in server;
	uint16_t first_port;
	uint32_t ports;
	uint64_t *intended;  /* by socket and number; 0: nothing is under way */
	uint64_t counted_ns; /* intended from then on, a request is counted */
	uint64_t *samples;
	uint64_t samples_count, samples_max;
	uint64_t under_way;
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

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "udp_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t percentile(uint64_t *samples, uint64_t count, unsigned percent)
{
	qsort(samples, count, sizeof(*samples), compare);
	return count == 0 ? 0 : samples[(count - 1) * percent / 100];
}

/* --- requests and answers --- */

static void send_to(unsigned s, uint16_t id, uint32_t port, const char *text)
{
	uint8_t frame[256] = {(uint8_t)(id >> 8), (uint8_t)id, 0, 0, 0, 1, 0, 0};
	size_t len = strlen(text);
	struct sockaddr_in to = load.server;

	to.sin_port = htons((uint16_t)(load.first_port + port));
	memcpy(frame + HEADER, text, len);
	/* A full queue is the kernel's way to drop it; it counts as lost. */
	(void)!sendto(load.fds[s], frame, HEADER + len, MSG_DONTWAIT, (struct sockaddr *)&to,
		      sizeof(to));
}

/* Takes one answer, which is to be WANTED; -1: there is none. Its number. */
static int take(unsigned s, const char *wanted, bool *ret_is_wanted)
{
	uint8_t data[DATAGRAM];
	ssize_t n = recv(load.fds[s], data, sizeof(data), MSG_DONTWAIT);

	if (n < (ssize_t)HEADER)
		return -1;
	*ret_is_wanted = (size_t)n == HEADER + strlen(wanted) &&
			 memcmp(data + HEADER, wanted, strlen(wanted)) == 0;
	return data[0] << 8 | data[1];
}

/* --- before --- */

/* Asks PORT for TEXT until the answer to one of the tries is there; how long the last one took. */
static uint64_t ask(uint32_t port, const char *text, const char *wanted)
{
	static uint16_t id;

	for (unsigned i = 0; i < PREPARE_TRIES; i++) {
		struct pollfd ready = {.fd = load.fds[PREPARING], .events = POLLIN};
		uint64_t start = now_ns(), end = start + PREPARE_MS * 1000000ull;

		send_to(PREPARING, ++id, port, text);
		while (now_ns() < end && poll(&ready, 1, PREPARE_MS) > 0) {
			bool is_wanted;

			if (take(PREPARING, wanted, &is_wanted) == id && is_wanted)
				return now_ns() - start;
		}
	}
	fprintf(stderr, "udp_load: port %u does not answer \"%.3s\" as it should\n",
		load.first_port + port, text);
	exit(1);
}

/* The median times of the first requests, and of those behind them. */
static void prepare(uint64_t *ret_first_ns, uint64_t *ret_next_ns)
{
	uint64_t *times = calloc(load.ports, sizeof(*times));

	if (times == NULL)
		die("memory");
	for (unsigned round = 0; round < PREPARE_ROUNDS; round++) {
		for (uint32_t port = 0; port < load.ports; port++)
			times[port] = round == 0 ? ask(port, set, stored) : ask(port, get, value);
		*(round == 0 ? ret_first_ns : ret_next_ns) = percentile(times, load.ports, 50);
	}
	free(times);
}

/* --- what is measured --- */

static void read_answers(void)
{
	for (unsigned s = 0; s < SOCKETS; s++) {
		for (;;) {
			bool is_wanted;
			int id = take(s, value, &is_wanted);

			if (id < 0)
				break;
			uint64_t *intended = &load.intended[s * IDS + (unsigned)id];

			if (!is_wanted || *intended == 0) {
				fprintf(stderr, "udp_load: an answer that nobody asked for\n");
				exit(1);
			}
			load.under_way--;
			if (*intended >= load.counted_ns && load.samples_count < load.samples_max)
				load.samples[load.samples_count++] = now_ns() - *intended;
			*intended = 0;
		}
	}
}

/* Returns how many requests of those that count were sent. */
static uint64_t run(uint64_t rate, uint64_t length_ns)
{
	uint64_t sent = 0, counted = 0, step = 1000000000u / rate, start = now_ns();
	uint64_t end = start + WARM_NS + length_ns;

	load.counted_ns = start + WARM_NS;
	for (uint64_t intended = start; intended < end; sent++, intended += step) {
		unsigned s = (unsigned)(sent % SOCKETS);
		uint16_t id = (uint16_t)(sent / SOCKETS);

		while (now_ns() < intended)
			read_answers();
		/* One that was lost has its number until now. */
		load.under_way += load.intended[s * IDS + id] == 0;
		load.intended[s * IDS + id] = intended;
		counted += intended >= load.counted_ns;
		send_to(s, id, next_random() % load.ports, get);
	}
	for (end = now_ns() + DRAIN_NS; load.under_way > 0 && now_ns() < end;)
		read_answers();
	return counted;
}

static void open_sockets(void)
{
	for (unsigned s = 0; s <= PREPARING; s++) {
		int bytes = 4 << 20;

		load.fds[s] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (load.fds[s] < 0)
			die("socket");
		(void)setsockopt(load.fds[s], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "udp_load ADDRESS FIRST-PORT PORTS REQUESTS/S MILLISECONDS\n");
		return 2;
	}
	uint64_t rate = strtoull(argv[4], NULL, 10), length_ms = strtoull(argv[5], NULL, 10);
	uint64_t first_ns, next_ns;

	load.server.sin_family = AF_INET;
	load.first_port = (uint16_t)strtoul(argv[2], NULL, 10);
	load.ports = (uint32_t)strtoul(argv[3], NULL, 10);
	load.random = 88172645463325252ull;
	if (inet_pton(AF_INET, argv[1], &load.server.sin_addr) != 1 || rate == 0 ||
	    load.ports == 0 || load.ports > 65535) {
		fprintf(stderr, "udp_load: wrong arguments\n");
		return 2;
	}
	load.intended = calloc((size_t)SOCKETS * IDS, sizeof(*load.intended));
	load.samples_max = rate * length_ms / 1000 + 1;
	load.samples = calloc(load.samples_max, sizeof(*load.samples));
	if (load.intended == NULL || load.samples == NULL)
		die("memory");
	open_sockets();
	prepare(&first_ns, &next_ns);
	uint64_t sent = run(rate, length_ms * 1000000);

	printf("{\"sent\": %llu, \"n\": %llu, \"p50\": %llu, \"p99\": %llu, \"first\": %llu, "
	       "\"next\": %llu}\n",
	       (unsigned long long)sent, (unsigned long long)load.samples_count,
	       (unsigned long long)percentile(load.samples, load.samples_count, 50),
	       (unsigned long long)percentile(load.samples, load.samples_count, 99),
	       (unsigned long long)first_ns, (unsigned long long)next_ns);
	return 0;
}
