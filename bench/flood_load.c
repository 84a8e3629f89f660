/*
 * Established clients, for the bench "flood", and the server that they ask.
 *
 *     flood_load ask FIRST-ADDRESS CLIENTS SERVER PORT REQUESTS-PER-SECOND
 *     flood_load echo ADDRESS PORT
 *
 * "ask": clients with addresses in a row, each with a socket, first get an answer each (with as
 * many tries as it takes), which is told by the line "ready". Then, for each line of standard input
 * that says how many milliseconds, they ask in turns at the rate, open loop: requests leave at the
 * times of a plan, and what is measured is the time from the intended moment to the answer. The
 * line of JSON that comes of it has the times in ns; how many requests were sent, and how many of
 * them answered (n); and how many answers came from an instance that had not counted the client's
 * requests before (anew): it was another one.
 *
 * A request is 12 bytes: which one it is, and room for the instance's count. What is not answered
 * within half a second of the last request is lost, and counts as half a second. The program sleeps
 * until something is due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 4096u
#define NS_PER_S    1000000000ull
#define DRAIN_NS    (NS_PER_S / 2)
#define TRY_NS	    (NS_PER_S / 5)
#define TRIES	    100u
#define EVENTS	    64
#define BURST	    64u
#define BUFFER	    (4 << 20)

struct request {
	uint64_t number;
	uint32_t count;
} __attribute__((packed));

static struct {
	int fds[CLIENTS_MAX];
	uint32_t counts[CLIENTS_MAX]; /* as the client's instance said last */
	uint64_t answered[CLIENTS_MAX];
	unsigned clients;
	int epoll_fd;
	uint64_t *intended; /* by number; 0: nothing is under way */
	uint64_t *samples;
	uint64_t first, requests, samples_count, anew;
} load;

static void die(const char *what)
{
	fprintf(stderr, "flood_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static int open_socket(uint32_t address, uint16_t port)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = BUFFER;
	if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		die("a socket");
	/* Where that many are not allowed, fewer. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static void connect_clients(uint32_t first, unsigned count, uint32_t server, uint16_t port)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(server)};
	load.epoll_fd = epoll_create1(0);
	load.clients = count;
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
		load.fds[i] = open_socket(first + i, 0);
		if (connect(load.fds[i], (struct sockaddr *)&name, sizeof(name)) < 0 ||
		    epoll_ctl(load.epoll_fd, EPOLL_CTL_ADD, load.fds[i], &event) < 0)
			die("a client");
	}
}

static void send_request(unsigned client, uint64_t number)
{
	const struct request request = {.number = number};
	/* A full queue is the kernel's way to drop it; it counts as lost. */
	(void)!send(load.fds[client], &request, sizeof(request), MSG_DONTWAIT);
}

static void note(unsigned client, const struct request *answer)
{
	load.answered[client]++;
	if (answer->count <= load.counts[client])
		load.anew++;
	load.counts[client] = answer->count;
	uint64_t index = answer->number - load.first;
	if (answer->number < load.first || index >= load.requests || load.intended[index] == 0)
		return;
	load.samples[load.samples_count++] = now_ns() - load.intended[index];
	load.intended[index] = 0;
}

/* What has come, waited for until UNTIL_NS. */
static void take_answers(uint64_t until_ns)
{
	struct epoll_event events[EVENTS];
	uint64_t now = now_ns(), left = until_ns > now ? until_ns - now : 0;
	const struct timespec timeout = {.tv_sec = (time_t)(left / NS_PER_S),
					 .tv_nsec = (long)(left % NS_PER_S)};
	int count = epoll_pwait2(load.epoll_fd, events, EVENTS, &timeout, NULL);
	for (int i = 0; i < count; i++) {
		unsigned client = events[i].data.u32;
		struct request answer;
		ssize_t n;
		while ((n = recv(load.fds[client], &answer, sizeof(answer), 0)) >= 0) {
			if (n == sizeof(answer))
				note(client, &answer);
		}
	}
}

static void establish(void)
{
	for (unsigned i = 0; i < load.clients; i++) {
		for (unsigned tries = 0; load.answered[i] == 0; tries++) {
			if (tries == TRIES) {
				fprintf(stderr, "flood_load: client %u is not answered\n", i);
				exit(1);
			}
			send_request(i, 0);
			for (uint64_t end = now_ns() + TRY_NS;
			     load.answered[i] == 0 && now_ns() < end;)
				take_answers(end);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

/* Of all requests: one that was lost took as long as answers are waited for. */
static uint64_t percentile(uint64_t permille)
{
	uint64_t rank = load.requests * permille / 1000;
	return rank < load.samples_count ? load.samples[rank] : DRAIN_NS;
}

static void measure(uint64_t rate, uint64_t ms)
{
	load.first += load.requests;
	load.requests = rate * ms / 1000;
	load.samples_count = load.anew = 0;
	free(load.intended);
	free(load.samples);
	load.intended = calloc(load.requests + 1, sizeof(*load.intended));
	load.samples = calloc(load.requests + 1, sizeof(*load.samples));
	if (load.intended == NULL || load.samples == NULL)
		die("memory");
	uint64_t start = now_ns();
	for (uint64_t i = 0; i < load.requests; i++) {
		uint64_t intended = start + i * NS_PER_S / rate;
		do
			take_answers(intended);
		while (now_ns() < intended);
		load.intended[i] = intended;
		send_request((unsigned)(i % load.clients), load.first + i);
	}
	for (uint64_t end = now_ns() + DRAIN_NS;
	     load.samples_count < load.requests && now_ns() < end;)
		take_answers(end);
	qsort(load.samples, load.samples_count, sizeof(*load.samples), compare);
	printf("{\"sent\": %llu, \"n\": %llu, \"p50\": %llu, \"p99\": %llu, \"p999\": %llu, "
	       "\"anew\": %llu}\n",
	       (unsigned long long)load.requests, (unsigned long long)load.samples_count,
	       (unsigned long long)percentile(500), (unsigned long long)percentile(990),
	       (unsigned long long)percentile(999), (unsigned long long)load.anew);
	fflush(stdout);
}

static void echo(uint32_t address, uint16_t port)
{
	static uint8_t data[BURST][2048];
	static struct sockaddr_in names[BURST];
	static struct iovec vectors[BURST];
	static struct mmsghdr messages[BURST];
	int fd = open_socket(address, port);
	if (fcntl(fd, F_SETFL, 0) < 0)
		die("a socket");
	puts("ready");
	fflush(stdout);
	for (;;) {
		for (unsigned i = 0; i < BURST; i++) {
			vectors[i] = (struct iovec){data[i], sizeof(data[i])};
			messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i],
							      .msg_namelen = sizeof(names[i]),
							      .msg_iov = &vectors[i],
							      .msg_iovlen = 1};
		}
		int n = recvmmsg(fd, messages, BURST, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++)
			vectors[i].iov_len = messages[i].msg_len;
		if (n > 0)
			(void)!sendmmsg(fd, messages, (unsigned)n, 0);
	}
}

static uint32_t address_of(const char *text)
{
	struct in_addr address;
	if (inet_pton(AF_INET, text, &address) != 1) {
		errno = EINVAL;
		die(text);
	}
	return ntohl(address.s_addr);
}

int main(int argc, char **argv)
{
	char line[64];
	if (argc == 4 && strcmp(argv[1], "echo") == 0)
		echo(address_of(argv[2]), (uint16_t)atoi(argv[3]));
	unsigned clients = argc == 7 ? (unsigned)atoi(argv[3]) : 0;
	if (clients == 0 || clients > CLIENTS_MAX || strcmp(argv[1], "ask") != 0) {
		fprintf(stderr, "usage: flood_load ask FIRST-ADDRESS CLIENTS SERVER PORT RATE\n"
				"       flood_load echo ADDRESS PORT\n");
		return 2;
	}
	connect_clients(address_of(argv[2]), clients, address_of(argv[4]), (uint16_t)atoi(argv[5]));
	load.first = 1;
	establish();
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin) != NULL)
		measure(strtoull(argv[6], NULL, 10), strtoull(line, NULL, 10));
	return 0;
}
