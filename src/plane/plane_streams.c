/*
 * Endpoints for TCP on sockets of the kernel.
 *
 * A connection is a place in a table of fixed size: a client's, or one by a way out that was opened
 * for a client (plane_upstream.c). What comes is given to its function in pieces as they were
 * received; what the function sends goes out at once, and what the socket does not take waits here,
 * up to PLANE_STREAM_OUT; while much waits, nothing more is read of those whose bytes could add to
 * it, so that who asks and does not listen stops himself. With TLS (plane_tls.c) it waits unsealed,
 * but for one record.
 *
 * A function hears of each connection's end once, by EDGEOS_LAST, unless it ended it itself or
 * died: also when it broke. Who takes none of what waits for him for PLANE_STREAM_STALL_MS is given
 * up by the kernel.
 *
 * Invariants
 * 1. A connection is closed by plane_stream_give() alone, which is called between two deliveries:
 * inside of chains_deliver() it is only marked (is_closing, must_shut, is_broken) and put into the
 * list of the unsettled ones, which plane_streams_work() goes through.
 * 2. Its descriptor is in the epoll set with EVENTS, unless these are none.
 * 3. A way out is never there without its client: plane_stream_give() takes the ways along.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "plane/plane_cores.h"
#include "plane/plane_priv.h"

/* Descriptors that connections leave to others. */
#define FDS_RESERVED 256u

static const uint64_t patience_ns[PLANE_PATIENCES] = {
	[PLANE_HANDSHAKE] = 10 * EOS_NS_PER_S,
	[PLANE_CONNECT] = 10 * EOS_NS_PER_S,
	[PLANE_LINGER] = 2 * EOS_NS_PER_S,
};

static void on_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		     uint64_t now_ns);

/* --- the table --- */

int plane_streams_init(struct plane *plane)
{
	struct plane_streams *streams = &plane->streams;
	uint32_t streams_max = plane_cores_share(plane->config.streams_max, plane->cores_count, 1);
	struct rlimit limit;
	eos_list_init(&streams->free);
	eos_list_init(&streams->used);
	eos_list_init(&streams->unsettled);
	for (unsigned i = 0; i < PLANE_PATIENCES; i++)
		eos_list_init(&streams->waits[i]);
	/* Without a free descriptor not even a request could be taken. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    (limit.rlim_cur /= plane->cores_count) < streams_max + FDS_RESERVED)
		streams_max = limit.rlim_cur > 2 * FDS_RESERVED
				      ? (uint32_t)limit.rlim_cur - FDS_RESERVED
				      : EOS_MIN(streams_max, FDS_RESERVED / 2);
	streams->all = calloc(streams_max, sizeof(*streams->all));
	if (streams->all == NULL)
		return -ENOMEM;
	streams->count = streams_max;
	streams->spare_fd = fcntl(plane->epoll_fd, F_DUPFD_CLOEXEC, 0);
	for (uint32_t i = 0; i < streams->count; i++) {
		streams->all[i].fd = -1;
		eos_list_add_tail(&streams->free, &streams->all[i].node);
	}
	return 0;
}

struct plane_stream *plane_stream_take(struct plane *plane, struct plane_entry *entry)
{
	struct plane_streams *streams = &plane->streams;
	struct eos_list *node = eos_list_take(&streams->free);
	if (node == NULL)
		return NULL;
	struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
	*stream = (struct plane_stream){
		.watch.ready = on_ready, .plane = plane, .entry = entry, .fd = -1};
	eos_list_add_tail(&streams->used, &stream->node);
	eos_list_init(&stream->waits);
	eos_list_init(&stream->unsettled);
	eos_list_init(&stream->ways);
	return stream;
}

size_t plane_stream_waiting(const struct plane_stream *stream)
{
	size_t sealed = stream->tls == NULL ? 0 : tls_session_output(stream->tls)->len;
	return stream->out.len - stream->sent + sealed;
}

/* What waits of it has changed. */
static void account(struct plane_stream *stream)
{
	size_t waiting = plane_stream_waiting(stream);
	stream->plane->streams.waiting_bytes += waiting - stream->counted;
	stream->counted = waiting;
}

void plane_stream_give(struct plane_stream *stream)
{
	struct plane_streams *streams = &stream->plane->streams;
	const struct linger at_once = {.l_onoff = 1};
	while (stream->client == NULL && !eos_list_is_empty(&stream->ways))
		plane_stream_give(EOS_CONTAINER_OF(stream->ways.next, struct plane_stream, ways));
	streams->waiting_bytes -= stream->counted;
	eos_buf_fini(&stream->out);
	stream->tls = tls_session_free(stream->tls);
	if (stream->must_reset && stream->fd >= 0)
		(void)setsockopt(stream->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	/* Closing takes it out of the epoll set. */
	stream->fd = eos_close(stream->fd);
	stream->number = 0;
	stream->sent = stream->counted = 0;
	eos_list_remove(&stream->ways);
	eos_list_remove(&stream->waits);
	eos_list_remove(&stream->unsettled);
	eos_list_remove(&stream->node);
	eos_list_add_tail(&streams->free, &stream->node);
}

/* ENTRY's, or all. */
static void finish_all(struct plane *plane, const struct plane_entry *entry)
{
	/* A client takes its ways along, which are therefore finished before. */
	for (unsigned clients = 0; clients < 2; clients++) {
		EOS_LIST_FOR_EACH (node, &plane->streams.used) {
			struct plane_stream *stream =
				EOS_CONTAINER_OF(node, struct plane_stream, node);
			if ((entry == NULL || stream->entry == entry) &&
			    (stream->client == NULL) == (clients == 1))
				plane_stream_give(stream);
		}
	}
}

void plane_streams_fini(struct plane *plane)
{
	if (plane->streams.all == NULL)
		return;
	finish_all(plane, NULL);
	free(plane->streams.all);
	plane->streams.all = NULL;
	plane->streams.spare_fd = eos_close(plane->streams.spare_fd);
}

void plane_streams_end(struct plane *plane, const struct plane_entry *entry)
{
	finish_all(plane, entry);
}

/* --- what it waits for --- */

static bool may_read(const struct plane_stream *stream)
{
	if (stream->is_lingering)
		return !stream->is_ended;
	if (stream->is_ended || stream->is_closing || stream->is_connecting)
		return false;
	/* What comes of a way goes to the client, whatever waits for the way itself. */
	if (stream->client != NULL)
		return !stream->client->is_closing &&
		       plane_stream_waiting(stream->client) < PLANE_STREAM_PAUSE;
	return plane_stream_waiting(stream) < PLANE_STREAM_PAUSE && !plane_upstream_is_full(stream);
}

void plane_stream_unsettle(struct plane_stream *stream)
{
	eos_list_remove(&stream->unsettled);
	eos_list_add_tail(&stream->plane->streams.unsettled, &stream->unsettled);
}

/* Watches for what it waits for now; who waits for nothing, for the other side's being gone. Once
 * our side has ended he is not in the epoll set: a socket that both sides have ended would keep the
 * loop busy. */
static void set_events(struct plane_stream *stream)
{
	bool is_news = stream->is_connecting || plane_stream_waiting(stream) > 0;
	uint32_t events = (may_read(stream) ? EPOLLIN : 0) | (is_news ? EPOLLOUT : 0) |
			  (stream->is_shut ? 0 : EPOLLERR);
	struct epoll_event event = {.events = events, .data.ptr = &stream->watch};
	int op = events == 0 ? EPOLL_CTL_DEL : stream->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	if (events == stream->events)
		return;
	stream->events = events;
	if (epoll_ctl(stream->plane->epoll_fd, op, stream->fd, &event) == 0)
		return;
	/* Nothing else would call for it any more. */
	stream->is_broken = true;
	plane_stream_unsettle(stream);
}

/* Of a client and all its ways: what waits for one decides on reading another. */
static void set_events_of_all(struct plane_stream *stream)
{
	struct plane_stream *client = stream->client != NULL ? stream->client : stream;
	set_events(client);
	EOS_LIST_FOR_EACH (node, &client->ways)
		set_events(EOS_CONTAINER_OF(node, struct plane_stream, ways));
}

void plane_stream_wait(struct plane_stream *stream, enum plane_patience what, uint64_t now_ns)
{
	eos_list_remove(&stream->waits);
	stream->until_ns = now_ns + patience_ns[what];
	eos_list_add_tail(&stream->plane->streams.waits[what], &stream->waits);
}

void plane_stream_wait_no_more(struct plane_stream *stream)
{
	eos_list_remove(&stream->waits);
}

/* --- sending --- */

/* Sends of BUF what is behind *SENT. */
static void push(struct plane_stream *stream, struct eos_buf *buf, size_t *sent)
{
	while (!stream->is_broken && *sent < buf->len) {
		ssize_t n = send(stream->fd, buf->data + *sent, buf->len - *sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			stream->is_broken = true;
			break;
		}
		*sent += (size_t)n;
	}
}

/* Where nothing waits any more, what much has waited in is given back: connections may be silent
 * for long, and only what waits is counted. */
static void release(struct eos_buf *buf)
{
	if (buf->len == 0 && buf->cap > PLANE_STREAM_KEPT)
		eos_buf_fini(buf);
}

static void push_sealed(struct plane_stream *stream)
{
	struct eos_buf *sealed = tls_session_output(stream->tls);
	/* As long as the socket takes all of it there may be more to seal. */
	do {
		size_t sent = 0;
		plane_tls_seal(stream);
		push(stream, sealed, &sent);
		eos_buf_consume(sealed, sent);
	} while (!stream->is_broken && sealed->len == 0 && stream->sent < stream->out.len &&
		 tls_session_is_open(stream->tls));
	release(sealed);
}

static void shrink_out(struct plane_stream *stream)
{
	if (stream->sent == stream->out.len) {
		stream->sent = 0;
		eos_buf_clear(&stream->out);
		release(&stream->out);
	} else if (stream->sent > PLANE_STREAM_PAUSE) {
		eos_buf_consume(&stream->out, stream->sent);
		stream->sent = 0;
	}
}

/* Sends what waits, as far as the socket takes it. */
static void push_out(struct plane_stream *stream)
{
	if (stream->is_connecting)
		return;
	if (stream->tls == NULL)
		push(stream, &stream->out, &stream->sent);
	else
		push_sealed(stream);
	shrink_out(stream);
	account(stream);
}

/* All was sent: says that nothing more comes. */
static void shut(struct plane_stream *stream)
{
	stream->is_shut = true;
	if (stream->tls != NULL) {
		size_t sent = 0;
		struct eos_buf *sealed = tls_session_output(stream->tls);
		tls_session_end(stream->tls);
		push(stream, sealed, &sent);
		eos_buf_consume(sealed, sent);
		account(stream);
	}
	/* With TLS the socket's own end may come before its last record, if the socket was full:
	 * then it is left to the closing. */
	if (plane_stream_waiting(stream) == 0)
		(void)shutdown(stream->fd, SHUT_WR);
}

int plane_stream_put(struct plane_stream *stream, const uint8_t *data, uint32_t len)
{
	struct plane_streams *streams = &stream->plane->streams;
	if (stream->is_closing || stream->is_broken || stream->must_shut)
		return -EBADF;
	/* Much was said already: the socket may take some of it. Not with TLS, which needs more
	 * stack than an FWP has. */
	if (plane_stream_waiting(stream) >= PLANE_STREAM_PAUSE && stream->tls == NULL)
		push_out(stream);
	if (stream->is_broken) {
		plane_stream_unsettle(stream);
		return -EBADF;
	}
	if (plane_stream_waiting(stream) + len > PLANE_STREAM_OUT ||
	    streams->waiting_bytes + len > PLANE_STREAMS_BYTES ||
	    eos_buf_append(&stream->out, data, len) < 0) {
		stream->plane->stats.streams_full++;
		return -EAGAIN;
	}
	account(stream);
	if (stream != streams->current)
		plane_stream_unsettle(stream);
	return 0;
}

/* --- what comes --- */

void plane_stream_deliver(struct plane_stream *stream, size_t len, uint64_t now_ns)
{
	struct plane *plane = stream->plane;
	const struct plane_stream *client = stream->client != NULL ? stream->client : stream;
	struct chain_packet packet = {
		.data = plane->streams.chunk,
		.len = (uint32_t)len,
		.kind = CHAIN_STREAM,
		.side = stream->client != NULL ? CHAIN_OUT : CHAIN_CLIENT,
		.flags = CHAIN_CHECKSUM_GOOD | (stream->was_seen ? 0 : CHAIN_FIRST) |
			 (len == 0 ? CHAIN_LAST : 0) |
			 (len == 0 && stream->is_broken ? CHAIN_BROKEN : 0),
		.template = stream->entry->template,
		.peer = client->number,
		.peer_port = client->port,
		.local_port = client->local_port,
		.port = stream->way,
		.stage = stream->stage,
	};
	memcpy(packet.peer_address, client->address, sizeof(packet.peer_address));
	stream->was_seen = true;
	plane->streams.current = stream;
	chains_deliver(plane->chains, &packet, 1, now_ns);
	plane->streams.current = NULL;
	/* What it sent to the others of its client. */
	if (stream->client != NULL)
		plane_stream_unsettle(stream->client);
}

/* Who has a place for it must be able to give it up. */
static void tell_end(struct plane_stream *stream, uint64_t now_ns)
{
	const struct plane_stream *client = stream->client;
	bool is_heard =
		client != NULL ? !client->is_broken && !client->is_closing : stream->was_seen;
	if (!is_heard || stream->is_ended || stream->is_closing)
		return;
	stream->is_ended = true;
	plane_stream_deliver(stream, 0, now_ns);
}

/* A client is through: what waits for its ways still leaves. */
static void close_ways(struct plane_stream *stream)
{
	EOS_LIST_FOR_EACH (node, &stream->ways) {
		struct plane_stream *way = EOS_CONTAINER_OF(node, struct plane_stream, ways);
		if (!way->is_closing)
			plane_stream_unsettle(way);
		way->is_closing = true;
	}
}

/* Nothing more is to be done for it. */
static bool is_over(struct plane_stream *stream)
{
	if (stream->is_broken)
		return true;
	if (plane_stream_waiting(stream) > 0 || stream->is_connecting)
		return false;
	bool is_through = stream->is_closing || (stream->is_ended && stream->is_shut);
	if (stream->client != NULL)
		return is_through;
	if (is_through)
		close_ways(stream);
	/* What a client asked for may still come from its ways. */
	return (is_through || stream->is_ended) && eos_list_is_empty(&stream->ways);
}

/* STREAM is over. True: it waits until its client has read all: closing a socket that holds unread
 * bytes would take back what was sent. */
static bool lingers(struct plane_stream *stream, uint64_t now_ns)
{
	if (stream->client != NULL || stream->is_broken)
		return false;
	if (!stream->is_shut)
		shut(stream);
	if (stream->is_broken)
		return false;
	if (plane_stream_waiting(stream) == 0 && stream->is_ended)
		return false;
	if (!stream->is_lingering) {
		stream->is_lingering = true;
		plane_stream_wait(stream, PLANE_LINGER, now_ns);
	}
	return true;
}

/* What is due for it between two deliveries; it may be gone afterwards. */
static void settle(struct plane_stream *stream, uint64_t now_ns)
{
	eos_list_remove(&stream->unsettled);
	if (stream->fd < 0)
		return;
	push_out(stream);
	if ((stream->must_shut || stream->is_closing) && !stream->is_shut &&
	    !stream->is_connecting && !stream->is_broken && plane_stream_waiting(stream) == 0)
		shut(stream);
	if (stream->is_broken)
		tell_end(stream, now_ns);
	bool is_done = is_over(stream) && !lingers(stream, now_ns);
	struct plane_stream *client = stream->client;
	if (is_done)
		plane_stream_give(stream);
	if (is_done && client == NULL)
		return;
	/* That way was perhaps all that its client waited for. */
	if (is_done)
		plane_stream_unsettle(client);
	set_events_of_all(is_done ? client : stream);
}

/* Bytes of a client that is through. */
static void discard(struct plane_stream *stream)
{
	struct plane_streams *streams = &stream->plane->streams;
	for (unsigned i = 0; i < PLANE_BURST; i++) {
		ssize_t n = recv(stream->fd, streams->wire, sizeof(streams->wire), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
			return;
		if (n <= 0) {
			stream->is_ended = true;
			return;
		}
	}
}

static void receive(struct plane_stream *stream, uint64_t now_ns)
{
	struct plane_streams *streams = &stream->plane->streams;
	size_t room = EOS_MIN(sizeof(streams->chunk),
			      (size_t)chain_template_packet_max(stream->entry->template));
	/* Some pieces, so that one who sends much lets others have their turn. */
	for (unsigned i = 0; i < PLANE_BURST && !stream->is_broken && may_read(stream); i++) {
		ssize_t n = recv(stream->fd, streams->chunk, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			stream->is_broken = true;
			break;
		}
		stream->is_ended = n == 0;
		plane_stream_deliver(stream, (size_t)n, now_ns);
		if ((size_t)n < room && n > 0)
			break;
	}
}

static void receive_sealed(struct plane_stream *stream, uint64_t now_ns)
{
	for (unsigned i = 0; i < PLANE_BURST && !stream->is_broken && may_read(stream); i++) {
		if (!plane_tls_receive(stream, now_ns))
			break;
	}
}

static bool has_error(const struct plane_stream *stream)
{
	int error = 0;
	socklen_t len = sizeof(error);
	return getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0;
}

static void on_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		     uint64_t now_ns)
{
	struct plane_stream *stream = EOS_CONTAINER_OF(watch, struct plane_stream, watch);
	(void)plane;
	/* Closed by what came before it in the same look at the epoll set. If its place is another
	 * one's already, the socket itself says what is true of it. */
	if (stream->fd < 0)
		return;
	if (stream->is_connecting)
		plane_upstream_connected(stream);
	else if ((events & EPOLLERR) != 0 && has_error(stream))
		stream->is_broken = true;
	if (stream->is_lingering)
		discard(stream);
	else if (stream->tls != NULL)
		receive_sealed(stream, now_ns);
	else
		receive(stream, now_ns);
	settle(stream, now_ns);
}

/* --- what is due --- */

static void give_up(struct plane_stream *stream, enum plane_patience what, uint64_t now_ns)
{
	eos_list_remove(&stream->waits);
	if (what == PLANE_HANDSHAKE)
		stream->entry->stats.tls_failed++;
	if (what == PLANE_CONNECT)
		stream->entry->stats.upstream_failed++;
	stream->is_broken = true;
	settle(stream, now_ns);
}

uint64_t plane_streams_work(struct plane *plane, uint64_t now_ns)
{
	struct plane_streams *streams = &plane->streams;
	struct eos_list *last = streams->unsettled.prev;
	uint64_t next_ns = UINT64_MAX;
	/* Those that come of settling these wait for the next time. */
	for (bool is_last = eos_list_is_empty(&streams->unsettled); !is_last;) {
		struct eos_list *node = streams->unsettled.next;
		if (node == &streams->unsettled)
			break;
		is_last = node == last;
		settle(EOS_CONTAINER_OF(node, struct plane_stream, unsettled), now_ns);
	}
	for (unsigned i = 0; i < PLANE_PATIENCES; i++) {
		while (!eos_list_is_empty(&streams->waits[i])) {
			struct plane_stream *stream = EOS_CONTAINER_OF(streams->waits[i].next,
								       struct plane_stream, waits);
			if (stream->until_ns > now_ns) {
				next_ns = EOS_MIN(next_ns, stream->until_ns);
				break;
			}
			give_up(stream, (enum plane_patience)i, now_ns);
		}
	}
	return eos_list_is_empty(&streams->unsettled) ? next_ns : now_ns;
}
