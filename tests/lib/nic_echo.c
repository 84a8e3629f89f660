/*
 * A host on a port, for tests with real clients: it answers ARP, NDP and pings, and sends back what
 * comes to UDP port 7.
 *
 *	nic_echo DEVICE MAC ADDRESS/PREFIX… [gateway=A] [mtu=N] [queues=N] [vlan=N] [promiscuous]
 *
 * It prints "ready …" when the port is open, and obeys lines of its standard input, whose end is
 *its own: "info", "stats", "cpu", "frames", "close", "open", "send ADDRESS PORT TEXT". Datagrams to
 *other ports than 7 and 9 are printed; those to 9 are refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "nic/host.h"
#include "nic/nic.h"

#define FRAMES	    8192u
#define PORT_ECHO   7u
#define PORT_REFUSE 9u
#define POLL_NS	    (250 * EOS_NS_PER_MS)
#define STEP_NS	    (50 * EOS_NS_PER_US)

/* DPDK 22.11 forgets a struct of libxdp's each time that an af_xdp port is closed. Asked for by the
 * sanitizer, where there is one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:xsk_umem__create\n";
}

struct echo {
	struct nic *nic;
	struct nic_port *port;
	struct nic_host *host;
	struct nic_port_config config;
	struct nic_host_address addresses[NIC_HOST_ADDRESSES_MAX];
	size_t addresses_count;
	uint8_t gateways[2][16];
	bool is_over;
	char line[2048];
	size_t line_len;
};

static int parse_address(const char *text, uint8_t out[16])
{
	memset(out, 0, 16);
	if (inet_pton(AF_INET6, text, out) == 1)
		return 0;
	out[10] = out[11] = 0xff;
	return inet_pton(AF_INET, text, out + 12) == 1 ? 0 : -EINVAL;
}

static const char *show_address(const uint8_t address[16], char out[INET6_ADDRSTRLEN])
{
	bool is_ipv4 = address[0] == 0 && address[10] == 0xff;
	return inet_ntop(is_ipv4 ? AF_INET : AF_INET6, address + (is_ipv4 ? 12 : 0), out,
			 INET6_ADDRSTRLEN);
}

static int parse_option(struct echo *echo, char *text)
{
	char *slash = strchr(text, '/');
	if (strcmp(text, "promiscuous") == 0) {
		echo->config.is_promiscuous = true;
	} else if (strncmp(text, "mtu=", 4) == 0) {
		echo->config.mtu = (uint16_t)atoi(text + 4);
	} else if (strncmp(text, "queues=", 7) == 0) {
		echo->config.queues = (uint16_t)atoi(text + 7);
	} else if (strncmp(text, "vlan=", 5) == 0) {
		echo->config.vlan = (uint16_t)atoi(text + 5);
	} else if (strncmp(text, "gateway=", 8) == 0) {
		return parse_address(text + 8, echo->gateways[strchr(text, ':') != NULL]);
	} else if (slash != NULL && echo->addresses_count < NIC_HOST_ADDRESSES_MAX) {
		struct nic_host_address *address = &echo->addresses[echo->addresses_count++];
		*slash = '\0';
		address->prefix_len = (uint8_t)atoi(slash + 1);
		return parse_address(text, address->address);
	} else {
		return -EINVAL;
	}
	return 0;
}

static int open_all(struct echo *echo, struct eos_why *why)
{
	struct nic_port_info info;
	int err = nic_port_open(echo->nic, &echo->config, &echo->port, why);
	if (err < 0)
		return err;
	nic_port_info(echo->port, &info);
	struct nic_host_config config = {
		.mtu = info.mtu,
		.addresses = echo->addresses,
		.addresses_count = echo->addresses_count,
		.seed = eos_now_ns(),
		.now_ns = eos_now_ns(),
	};
	memcpy(config.mac, info.mac, 6);
	memcpy(config.gateway4, echo->gateways[0], 16);
	memcpy(config.gateway6, echo->gateways[1], 16);
	return nic_host_new(&config, &echo->host, why);
}

static void close_all(struct echo *echo)
{
	echo->host = nic_host_free(echo->host);
	echo->port = nic_port_close(echo->port);
}

static void send_one(struct echo *echo, struct nic_frame *frame, uint32_t len)
{
	frame->len = len;
	(void)nic_port_send(echo->port, 0, frame, 1);
}

static void print_info(const struct echo *echo)
{
	struct nic_port_info info;
	nic_port_info(echo->port, &info);
	printf("info driver=%s mac=%02x:%02x:%02x:%02x:%02x:%02x mtu=%u queues=%u up=%d "
	       "sleeps=%d\n",
	       info.driver, info.mac[0], info.mac[1], info.mac[2], info.mac[3], info.mac[4],
	       info.mac[5], info.mtu, info.queues, info.is_up, info.can_sleep);
}

static void print_stats(const struct echo *echo)
{
	struct nic_port_stats port;
	struct nic_host_stats host;
	nic_port_stats(echo->port, &port);
	nic_host_stats(echo->host, &host);
	printf("stats received=%" PRIu64 " sent=%" PRIu64 " too_long=%" PRIu64
	       " wrong_vlan=%" PRIu64 " send_full=%" PRIu64 " errors=%" PRIu64 " echoes=%" PRIu64
	       " datagrams=%" PRIu64 " bad=%" PRIu64 " bad_checksums=%" PRIu64 " conflicts=%" PRIu64
	       "\n",
	       port.received, port.sent, port.too_long, port.wrong_vlan, port.send_full,
	       port.errors, host.echoes, host.datagrams, host.bad, host.bad_checksums,
	       host.conflicts);
}

/* Sends what is for an unknown neighbour again, as the host keeps nothing. */
static void send_text(struct echo *echo, char *words)
{
	char *port = strchr(words, ' '), *text = port != NULL ? strchr(port + 1, ' ') : NULL;
	if (text == NULL) {
		printf("error what\n");
		return;
	}
	*port++ = '\0';
	*text++ = '\0';
	struct nic_host_datagram datagram = {.payload = (const uint8_t *)text,
					     .len = (uint32_t)strlen(text),
					     .local_port = 5000,
					     .peer_port = (uint16_t)atoi(port)};
	struct nic_frame frame;
	int err = parse_address(words, datagram.peer);
	for (size_t i = 0; i < echo->addresses_count; i++) {
		if ((echo->addresses[i].address[0] == 0) == (datagram.peer[0] == 0))
			memcpy(datagram.local, echo->addresses[i].address, 16);
	}
	if (err == 0)
		err = nic_frame_new(echo->nic, 1500, &frame);
	if (err == 0) {
		struct nic_host_buffer out = {frame.data, frame.len, 0};
		err = nic_host_output(echo->host, &datagram, eos_now_ns(), &out);
		if (out.len > 0)
			send_one(echo, &frame, out.len);
		else
			nic_frames_free(&frame, 1);
	}
	printf("send %d\n", err);
}

/* How many can be had: those that were lost are missing. */
static void print_frames(const struct echo *echo)
{
	static struct nic_frame frames[FRAMES];
	unsigned count = 0;
	while (count < FRAMES && nic_frame_new(echo->nic, 60, &frames[count]) == 0)
		count++;
	nic_frames_free(frames, count);
	printf("frames %u\n", count);
}

static void obey(struct echo *echo, char *line)
{
	struct eos_why why = {""};
	struct timespec cpu;
	if (strcmp(line, "info") == 0) {
		print_info(echo);
	} else if (strcmp(line, "stats") == 0) {
		print_stats(echo);
	} else if (strcmp(line, "cpu") == 0) {
		(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
		printf("cpu %.6f\n", (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
	} else if (strcmp(line, "frames") == 0) {
		print_frames(echo);
	} else if (strcmp(line, "close") == 0) {
		close_all(echo);
		printf("closed\n");
	} else if (strcmp(line, "open") == 0) {
		if (open_all(echo, &why) < 0)
			printf("error %s\n", why.text);
		else
			printf("ready again\n");
	} else if (strncmp(line, "send ", 5) == 0) {
		send_text(echo, line + 5);
	} else {
		printf("error what\n");
	}
}

static void read_commands(struct echo *echo)
{
	size_t room = sizeof(echo->line) - echo->line_len;
	ssize_t n = read(STDIN_FILENO, echo->line + echo->line_len, room);
	if (n == 0 || (n < 0 && errno != EAGAIN)) {
		echo->is_over = true;
		return;
	}
	echo->line_len += n > 0 ? (size_t)n : 0;
	for (;;) {
		char *end = memchr(echo->line, '\n', echo->line_len);
		if (end == NULL)
			break;
		*end = '\0';
		obey(echo, echo->line);
		size_t used = (size_t)(end + 1 - echo->line);
		memmove(echo->line, end + 1, echo->line_len - used);
		echo->line_len -= used;
	}
}

/* A datagram: sent back, refused, or told of. True: OUT has what is to be sent. */
static bool take_datagram(struct echo *echo, const struct nic_frame *frame,
			  const struct flow_packet *packet,
			  const struct nic_host_datagram *datagram, struct nic_host_buffer *out)
{
	char address[INET6_ADDRSTRLEN];
	if (datagram->local_port == PORT_ECHO)
		return nic_host_output(echo->host, datagram, eos_now_ns(), out) == 0;
	if (datagram->local_port == PORT_REFUSE)
		return nic_host_refuse(echo->host, frame->data, frame->len, packet, eos_now_ns(),
				       out);
	printf("datagram %s %u %.*s\n", show_address(datagram->peer, address), datagram->peer_port,
	       (int)datagram->len, (const char *)datagram->payload);
	return false;
}

static void take_frame(struct echo *echo, struct nic_frame *frame)
{
	struct nic_host_datagram datagram;
	struct flow_packet packet;
	struct nic_frame answer;
	uint32_t room = EOS_MAX(frame->len, NIC_HOST_CONTROL_MAX);
	if (nic_frame_new(echo->nic, room, &answer) < 0) {
		nic_frames_free(frame, 1);
		return;
	}
	struct nic_host_buffer out = {answer.data, room, 0};
	(void)flow_parse(frame->data, frame->len, &packet);
	enum nic_host_verdict verdict = nic_host_input(
		echo->host, frame->data, frame->len, &packet,
		(frame->flags & NIC_FRAME_CHECKSUM_GOOD) != 0, eos_now_ns(), &out, &datagram);
	bool has_answer = verdict == NIC_HOST_ANSWERED;
	if (verdict == NIC_HOST_UDP)
		has_answer = take_datagram(echo, frame, &packet, &datagram, &out);
	if (has_answer)
		send_one(echo, &answer, out.len);
	else
		nic_frames_free(&answer, 1);
	nic_frames_free(frame, 1);
}

static void poll_host(struct echo *echo)
{
	struct nic_frame frame;
	while (nic_frame_new(echo->nic, NIC_HOST_CONTROL_MAX, &frame) == 0) {
		struct nic_host_buffer out = {frame.data, frame.len, 0};
		if (!nic_host_poll(echo->host, eos_now_ns(), &out)) {
			nic_frames_free(&frame, 1);
			return;
		}
		send_one(echo, &frame, out.len);
	}
}

static void loop(struct echo *echo)
{
	struct nic_frame frames[NIC_BURST_MAX];
	uint64_t polled_ns = 0;
	while (!echo->is_over) {
		unsigned queues = echo->port == NULL	     ? 0
				  : echo->config.queues == 0 ? 1
							     : echo->config.queues;
		struct nic_polled polled[16];
		unsigned taken = 0;
		for (unsigned queue = 0; queue < queues; queue++) {
			unsigned n = nic_port_receive(echo->port, queue, frames, NIC_BURST_MAX);
			for (unsigned i = 0; i < n; i++)
				take_frame(echo, &frames[i]);
			taken += n;
			polled[queue] = (struct nic_polled){echo->port, queue};
		}
		if (echo->port != NULL && eos_now_ns() - polled_ns >= POLL_NS) {
			polled_ns = eos_now_ns();
			struct nic_port_info info;
			/* Which is when some drivers look for their peers. */
			nic_port_info(echo->port, &info);
			poll_host(echo);
		}
		if (taken == 0) {
			nic_wait(echo->nic, polled, queues, STDIN_FILENO,
				 &(struct nic_pause){POLL_NS, STEP_NS, 0});
			read_commands(echo);
		}
	}
}

int main(int argc, char **argv)
{
	struct echo echo = {.config = {.name = "echo", .device = argc > 1 ? argv[1] : ""}};
	struct nic_config config = {.frames_max = FRAMES};
	struct eos_why why = {""};
	uint8_t *m = echo.config.mac;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
	if (getenv("NIC_ECHO_DEBUG") != NULL)
		eos_log_set_level(EOS_LOG_DEBUG);
	if (argc < 4 || sscanf(argv[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &m[0], &m[1], &m[2],
			       &m[3], &m[4], &m[5]) != 6) {
		printf("error usage\n");
		return 2;
	}
	for (int i = 3; i < argc; i++) {
		if (parse_option(&echo, argv[i]) < 0) {
			printf("error \"%s\" is not known\n", argv[i]);
			return 2;
		}
	}
	if (echo.config.mtu > 1500)
		config.frame_bytes = (uint32_t)echo.config.mtu + 100;
	int err = nic_new(&config, &echo.nic, &why);
	if (err == 0)
		err = open_all(&echo, &why);
	if (err < 0) {
		printf("error %s\n", why.text);
		return 1;
	}
	printf("ready\n");
	loop(&echo);
	close_all(&echo);
	echo.nic = nic_free(echo.nic);
	return 0;
}
