/*
 * tlsproxy: a reverse proxy for HTTP/1.1 behind the data plane's TLS. Each client has an instance
 * of its own, which no other one's bytes ever reach.
 *
 *     sdk/build tlsproxy && edgeos chain apply sdk/samples/tlsproxy/manifest.yaml
 *     curl --cacert ca.pem https://localhost:8443/
 *
 * Configuration:
 *     routes      "HOST[/PREFIX] WAY; …": the first that fits a request says by which of the
 *                 manifest's ways out it leaves ("out", or a name of `next`); "*" is any host
 *     timeout     how long a server may take until its response begins (default 30s); a client is
 *                 given the same for the head of a request
 *     keepalive   how long a connection without a request stays (default 60s)
 *
 * A client that asked for a server by name (SNI) must mean the same with Host (else 421). What he
 * says about himself (X-Forwarded-For and its kin) is replaced by what is known.
 *
 * Not here: HTTP/2, protocols that HTTP is upgraded to (WebSocket), tunnels, caching, trailers.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

#define SECOND	UINT64_C(1000000000)
#define TICK_NS SECOND

EDGEOS_PACKETS(EDGEOS_PACKET_MAX)

static struct talk talks[TALKS_MAX];
static unsigned talks_count;
static uint64_t timeout_ns, keepalive_ns;

struct edgeos_counter proxy_counters[COUNTERS] = {
	[CONNECTIONS] = {"connections", 0},
	[REQUESTS] = {"requests", 0},
	[RETRIES] = {"retries", 0},
	[REFUSED] = {"refused", 0},
	[FAILED] = {"bad_gateway", 0},
	[TIMEOUTS] = {"timeouts", 0},
	[CUT] = {"cut", 0},
};

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	routes_init();
	timeout_ns = settings_duration_ns("timeout", 30 * SECOND);
	keepalive_ns = settings_duration_ns("keepalive", 60 * SECOND);
	if (edgeos_open_packets() < 0 || edgeos_counters(proxy_counters, COUNTERS) < 0)
		abort();
}

/* --- the table --- */

static struct talk *find(uint32_t peer)
{
	for (unsigned i = 0; i < TALKS_MAX; i++)
		if (talks[i].peer == peer)
			return &talks[i];
	return NULL;
}

static void give(struct talk *talk)
{
	talk->peer = 0;
	talks_count--;
	if (talks_count == 0)
		edgeos_timer_set(0, 0);
}

void talk_close(struct talk *talk)
{
	(void)edgeos_stream_close(talk->peer);
	give(talk);
}

void talk_break(struct talk *talk)
{
	proxy_counters[CUT].value++;
	(void)edgeos_stream_shut(EDGEOS_PORT_CLIENT, talk->peer, EDGEOS_SHUT_BREAK);
	give(talk);
}

void talk_touch(struct talk *talk)
{
	talk->since_ns = edgeos_now_ns();
}

static const char *reason_of(uint32_t status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 408:
		return "Request Timeout";
	case 414:
		return "URI Too Long";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 502:
		return "Bad Gateway";
	case 504:
		return "Gateway Timeout";
	default:
		return "HTTP Version Not Supported";
	}
}

void talk_fail(struct talk *talk, uint32_t status)
{
	const char *reason = reason_of(status);
	if (status >= 400 && (status < 500 || status == 501 || status == 505))
		proxy_counters[REFUSED].value++;
	/* A response is under way already: it cannot become another one. */
	if (talk->response != NO_RESPONSE && talk->has_begun) {
		talk_break(talk);
		return;
	}
	send_to(EDGEOS_PORT_CLIENT, talk->peer);
	send_text("HTTP/1.1 ");
	send_number(status, 10);
	send_text(" ");
	send_text(reason);
	send_text("\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ");
	send_number(strlen(reason) + 1, 10);
	send_text("\r\n\r\n");
	if (!talk->is_head) {
		send_text(reason);
		send_text("\n");
	}
	(void)send_flush();
	talk_close(talk);
}

/* --- clients --- */

static void put_hex(char **at, unsigned number)
{
	bool has_begun = false;
	for (int shift = 12; shift >= 0; shift -= 4) {
		unsigned digit = number >> shift & 15;
		has_begun |= digit != 0 || shift == 0;
		if (has_begun)
			*(*at)++ = "0123456789abcdef"[digit];
	}
}

static void put_decimal(char **at, unsigned number)
{
	if (number >= 100)
		*(*at)++ = (char)('0' + number / 100);
	if (number >= 10)
		*(*at)++ = (char)('0' + number / 10 % 10);
	*(*at)++ = (char)('0' + number % 10);
}

static void write_address(const uint8_t address[16], char *out)
{
	static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
	if (memcmp(address, v4, sizeof(v4)) == 0) {
		for (unsigned i = 12; i < 16; i++) {
			put_decimal(&out, address[i]);
			*out++ = '.';
		}
	} else {
		for (unsigned i = 0; i < 16; i += 2) {
			put_hex(&out, (unsigned)address[i] << 8 | address[i + 1]);
			*out++ = ':';
		}
	}
	out[-1] = '\0';
}

static struct talk *open_talk(const struct edgeos_packet *packet)
{
	char version[16];
	struct talk *talk = find(0);
	if (talk == NULL)
		return NULL;
	memset(talk, 0, offsetof(struct talk, in));
	talk->peer = packet->peer;
	write_address(packet->peer_address, talk->client);
	talk->is_secure =
		edgeos_stream_info(talk->peer, EDGEOS_STREAM_TLS, version, sizeof(version)) > 0;
	int32_t len = edgeos_stream_info(talk->peer, EDGEOS_STREAM_SERVER_NAME, talk->name,
					 TALK_NAME_MAX);
	talk->name_len = len > 0 && len <= (int32_t)TALK_NAME_MAX ? (uint32_t)len : 0;
	talk->name[talk->name_len] = '\0';
	talk_touch(talk);
	proxy_counters[CONNECTIONS].value++;
	if (talks_count++ == 0)
		edgeos_timer_set(0, TICK_NS);
	return talk;
}

static void take_client(struct talk *talk, const void *data, uint32_t len)
{
	/* Behind the last request that is answered nothing is wanted. */
	bool is_wanted = talk->request == REQUEST_BODY || !talk->is_closing;
	if (!is_wanted || len > sizeof(talk->in) - talk->in_len)
		return;
	/* A new request's time begins with its first byte. */
	if (talk->in_len == 0 && talk->request == REQUEST_HEAD && talk->response == NO_RESPONSE)
		talk_touch(talk);
	memcpy(talk->in + talk->in_len, data, len);
	talk->in_len += len;
	request_run(talk);
}

static void end_client(struct talk *talk, bool is_broken)
{
	talk->is_last = true;
	/* A request that will never be whole has no answer; all others have. */
	if (is_broken || talk->response == NO_RESPONSE || talk->request == REQUEST_BODY) {
		if (talk->request == REQUEST_BODY)
			(void)edgeos_stream_shut(talk->way, talk->peer, EDGEOS_SHUT_BREAK);
		talk_close(talk);
	}
}

EDGEOS_EXPORT(edgeos_packet) uint32_t edgeos_packet(void *buf, uint32_t len)
{
	const struct edgeos_packet packet = edgeos_slot.info;
	if (packet.kind != EDGEOS_STREAM || packet.peer == 0)
		return EDGEOS_DROP;
	struct talk *talk = find(packet.peer);
	if (talk == NULL && packet.port == EDGEOS_PORT_CLIENT &&
	    (packet.flags & EDGEOS_FIRST) != 0 && len > 0)
		talk = open_talk(&packet);
	if (talk == NULL) {
		/* No place for it, or one that an instance before this one knew. */
		(void)edgeos_stream_close(packet.peer);
		return EDGEOS_DROP;
	}
	bool is_last = (packet.flags & EDGEOS_LAST) != 0;
	bool is_broken = (packet.flags & EDGEOS_BROKEN) != 0;
	if (packet.port == EDGEOS_PORT_CLIENT) {
		if (len > 0)
			take_client(talk, buf, len);
		if (is_last && talk->peer != 0)
			end_client(talk, is_broken);
		return EDGEOS_DROP;
	}
	if (packet.port >= EDGEOS_PORTS_MAX)
		return EDGEOS_DROP;
	if (len > 0)
		response_take(talk, packet.port, buf, len);
	if (is_last && talk->peer == packet.peer)
		response_end(talk, packet.port, is_broken);
	return EDGEOS_DROP;
}

/* --- time --- */

/* Bodies have no limit: who is silent in one may be waiting for the other side to take more. */
static void look_at(struct talk *talk, uint64_t now_ns)
{
	uint64_t age_ns = now_ns > talk->since_ns ? now_ns - talk->since_ns : 0;
	bool is_idle = talk->response == NO_RESPONSE && talk->in_len == 0;
	if (talk->request == REQUEST_BODY || talk->response == RESPONSE_BODY ||
	    age_ns < (is_idle ? keepalive_ns : timeout_ns))
		return;
	if (is_idle) {
		talk_close(talk);
		return;
	}
	proxy_counters[TIMEOUTS].value++;
	talk_fail(talk, talk->response == RESPONSE_HEAD ? 504 : 408);
}

EDGEOS_EXPORT(edgeos_timer) void edgeos_timer(uint32_t id)
{
	uint64_t now_ns = edgeos_now_ns();
	(void)id;
	for (unsigned i = 0; i < TALKS_MAX; i++)
		if (talks[i].peer != 0)
			look_at(&talks[i], now_ns);
	if (talks_count > 0)
		edgeos_timer_set(0, TICK_NS);
}
