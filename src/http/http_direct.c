/*
 * Loop mode without libmicrohttpd, for plain requests (http_plain.h).
 *
 * A function's answer takes a few microseconds, of which libmicrohttpd took most: it clears its
 * whole pool of memory for each request, and a request that waits for its function is suspended and
 * resumed, which takes the socket out of one epoll set and puts it back. So a connection begins
 * here. Its requests are looked at while they are still in the socket (MSG_PEEK). A plain GET or
 * HEAD without a body is taken out and served here, with one send for the whole answer; at the
 * first that is not, nothing is taken out, and the connection goes over to libmicrohttpd for the
 * rest of its life, with all that it sent. So there is one place that deals with bodies, chunks,
 * slow and malformed requests, and refusals, and there are no two that have to agree about them.
 *
 * Invariants
 * 1. A connection is closed, or given away, from look() alone: whoever finds it broken or done
 *    makes it due. So handlers may answer from wherever they are called, and nobody's connection
 *    vanishes under him.
 * 2. Everything due is looked at at the end of the turn; what becomes due by that, in the next. A
 *    client with a thousand requests in its socket gets one answer a turn.
 * 3. The epoll set is edge-triggered: an event is remembered (is_readable) until a read found
 *    nothing left. While a request is under way nothing is read.
 */
#include "http/http_direct_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"

#define EVENTS_MAX  64
#define ACCEPTS_MAX 16 /* in one turn */

static struct http_directs *directs_of(struct http_direct *direct)
{
	return &direct->connection.server->directs;
}

void http_direct_move(struct http_direct *direct, enum http_direct_state state)
{
	static const unsigned froms[] = {
		[HTTP_DIRECT_READING] = 1u << HTTP_DIRECT_SENT,
		[HTTP_DIRECT_WORKING] = 1u << HTTP_DIRECT_READING,
		[HTTP_DIRECT_SENDING] = 1u << HTTP_DIRECT_WORKING,
		[HTTP_DIRECT_SENT] = 1u << HTTP_DIRECT_SENDING,
	};
	EOS_ASSERT((froms[state] & 1u << direct->state) != 0);
	direct->state = state;
}

/* Within a turn, whose time is good enough: phases last seconds. */
static void enter(struct http_direct *direct, enum http_phase phase)
{
	http_connection_enter_at(&direct->connection, phase, 0, directs_of(direct)->now_ns);
}

void http_direct_make_due(struct http_direct *direct)
{
	struct http_directs *directs = directs_of(direct);
	if (!eos_list_is_empty(&direct->due_node))
		return;
	if (!directs->is_running && eos_list_is_empty(&directs->due))
		eos_timer_arm(directs->timer, 0);
	eos_list_add_tail(&directs->due, &direct->due_node);
}

/* --- the listening socket --- */

static void listen_again(struct http_server *server)
{
	struct http_directs *directs = &server->directs;
	struct epoll_event event = {.events = EPOLLIN};
	if (directs->is_listening || directs->count >= directs->count_max)
		return;
	/* Without kernel memory the next look, a second later, tries again. */
	directs->is_listening =
		epoll_ctl(directs->epoll_fd, EPOLL_CTL_ADD, server->listen_fd, &event) == 0;
}

/* Who connects now waits in the socket's queue. */
static void stop_listening(struct http_server *server)
{
	struct http_directs *directs = &server->directs;
	(void)epoll_ctl(directs->epoll_fd, EPOLL_CTL_DEL, server->listen_fd, NULL);
	directs->is_listening = false;
}

void http_directs_count(struct http_server *server, int change)
{
	server->directs.count += (unsigned)change;
	if (change < 0 && !server->is_stopping)
		listen_again(server);
}

/* --- connections --- */

static struct http_direct *direct_new(struct http_server *server, int fd)
{
	struct http_direct *direct = calloc(1, sizeof(*direct));
	if (direct == NULL)
		return NULL;
	http_connection_open(&direct->connection, server, fd);
	eos_list_init(&direct->due_node);
	eos_list_add_tail(&server->directs.all, &direct->all_node);
	server->directs.count++;
	return direct;
}

/* Takes DIRECT off everything but its socket, and frees it. */
static void direct_free(struct http_direct *direct)
{
	struct http_server *server = direct->connection.server;
	struct http_request *request = &direct->connection.request;
	if (request->is_begun)
		server->handler->finish(server->ctx, request);
	http_outgoing_fini(&direct->out);
	eos_list_remove(&direct->due_node);
	eos_list_remove(&direct->all_node);
	http_connection_close(&direct->connection);
	free(direct);
}

static void close_direct(struct http_direct *direct)
{
	struct http_server *server = direct->connection.server;
	int fd = direct->connection.fd;
	direct_free(direct);
	eos_close(fd);
	http_directs_count(server, -1);
}

/* The connection is libmicrohttpd's from now on; its request is still in the socket. */
static void give_away(struct http_direct *direct)
{
	struct http_server *server = direct->connection.server;
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	int fd = direct->connection.fd;
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0) {
		close_direct(direct);
		return;
	}
	(void)epoll_ctl(server->directs.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	direct_free(direct);
	/* It is counted again when libmicrohttpd says that it has it; without memory it is closed,
	 * which libmicrohttpd does. */
	http_directs_count(server, -1);
	(void)MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, len);
	eos_timer_arm(server->timer, 0);
}

static bool take_connection(struct http_server *server)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		/* Without descriptors or memory: until the next look. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			stop_listening(server);
		return errno == ECONNABORTED || errno == EINTR;
	}
	struct http_direct *direct = direct_new(server, fd);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.ptr = direct};
	if (direct == NULL) {
		eos_close(fd);
		return true;
	}
	/* An answer is one send: nothing is won by waiting for more. Local sockets know no delay.
	 */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	http_client_format((struct sockaddr *)&address, direct->connection.client);
	if (epoll_ctl(server->directs.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		close_direct(direct);
	return true;
}

static void on_listener(struct http_server *server)
{
	struct http_directs *directs = &server->directs;
	for (int i = 0; i < ACCEPTS_MAX && directs->is_listening; i++) {
		if (directs->count >= directs->count_max)
			stop_listening(server);
		else if (!take_connection(server))
			break;
	}
}

/* --- requests --- */

static void begin(struct http_direct *direct)
{
	struct http_server *server = direct->connection.server;
	struct http_request *request = &direct->connection.request;
	request->connection = &direct->connection;
	request->server = server;
	request->direct = direct;
	request->plain = &direct->plain;
	request->state = HTTP_ENDED;
	request->method = direct->plain.method;
	request->path = direct->plain.path;
	request->query = direct->plain.query;
	http_direct_move(direct, HTTP_DIRECT_WORKING);
	enter(direct, HTTP_PHASE_WORKING);
	http_request_count();
	request->is_begun = true;
	server->handler->begin(server->ctx, request);
	if (!request->is_answered)
		server->handler->end(server->ctx, request);
}

/* A function's request without a body: the others are libmicrohttpd's. */
static bool is_taken(const struct http_plain *plain)
{
	return (plain->is_head || strcmp(plain->method, "GET") == 0) &&
	       !plain->has_content_length && !plain->expects_continue;
}

/* Takes what was looked at out of the socket. (MSG_TRUNC would spare the copy, but is TCP's alone.)
 */
static bool take_out(struct http_direct *direct, size_t len)
{
	char waste[HTTP_PLAIN_BYTES_MAX];
	ssize_t n;
	do
		n = recv(direct->connection.fd, waste, len, 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

/* READING, and there may be something. The connection may be gone afterwards. */
static void read_request(struct http_direct *direct)
{
	int fd = direct->connection.fd;
	ssize_t n;
	do
		n = recv(fd, direct->in, sizeof(direct->in), MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		direct->is_readable = false;
		return;
	}
	/* Where TLS is spoken nothing is plain. */
	bool may_be_plain = n > 0 && !direct->connection.server->is_secure;
	size_t used = may_be_plain ? http_plain_parse(direct->in, (size_t)n, &direct->plain) : 0;
	if (n <= 0) {
		close_direct(direct);
	} else if (used == 0 || !is_taken(&direct->plain)) {
		give_away(direct);
	} else if (!take_out(direct, used)) {
		close_direct(direct);
	} else {
		/* What comes after the look is another event. */
		direct->is_readable =
			direct->is_ended || (size_t)n > used || (size_t)n == sizeof(direct->in);
		begin(direct);
	}
}

static void finish(struct http_direct *direct)
{
	struct http_server *server = direct->connection.server;
	struct http_request *request = &direct->connection.request;
	request->is_begun = false;
	server->handler->finish(server->ctx, request);
	http_request_reset(request);
	http_direct_move(direct, HTTP_DIRECT_READING);
	enter(direct, HTTP_PHASE_HEADERS);
}

/* Does what there is to do for a connection, which may be gone afterwards. */
static void look(struct http_direct *direct)
{
	if (direct->state == HTTP_DIRECT_SENDING && !direct->is_broken)
		http_direct_send(direct);
	if (direct->is_broken) {
		close_direct(direct);
		return;
	}
	if (direct->state == HTTP_DIRECT_SENT)
		finish(direct);
	if (direct->state == HTTP_DIRECT_READING && direct->is_readable)
		read_request(direct);
}

static void look_at_due(struct http_directs *directs)
{
	struct eos_list now;
	struct eos_list *node;
	eos_list_init(&now);
	while ((node = eos_list_take(&directs->due)) != NULL)
		eos_list_add_tail(&now, node);
	while ((node = eos_list_take(&now)) != NULL)
		look(EOS_CONTAINER_OF(node, struct http_direct, due_node));
	directs->is_running = false;
	if (!eos_list_is_empty(&directs->due))
		eos_timer_arm(directs->timer, 0);
}

static void on_timer(void *ctx)
{
	struct http_server *server = ctx;
	server->directs.now_ns = eos_now_ns();
	server->directs.is_running = true;
	look_at_due(&server->directs);
}

static void on_event(void *ctx)
{
	struct http_server *server = ctx;
	struct http_directs *directs = &server->directs;
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(directs->epoll_fd, events, EVENTS_MAX, 0);
	directs->now_ns = eos_now_ns();
	directs->is_running = true;
	for (int i = 0; i < count; i++) {
		struct http_direct *direct = events[i].data.ptr;
		uint32_t what = events[i].events;
		if (direct == NULL) {
			on_listener(server);
			continue;
		}
		direct->is_broken |= (what & (EPOLLERR | EPOLLHUP)) != 0;
		direct->is_ended |= (what & EPOLLRDHUP) != 0;
		direct->is_readable |= (what & (EPOLLIN | EPOLLRDHUP)) != 0;
		http_direct_make_due(direct);
	}
	look_at_due(directs);
}

void http_directs_scan(struct http_server *server)
{
	uint64_t now_ns = eos_now_ns();
	listen_again(server);
	if (server->idle_ns == 0)
		return;
	EOS_LIST_FOR_EACH (node, &server->directs.all) {
		struct http_direct *direct = EOS_CONTAINER_OF(node, struct http_direct, all_node);
		uint64_t start_ns = atomic_load_explicit(&direct->connection.phase_started_ns,
							 memory_order_relaxed);
		if (direct->state == HTTP_DIRECT_READING && now_ns > start_ns &&
		    now_ns - start_ns > server->idle_ns)
			close_direct(direct);
	}
}

int http_directs_start(struct http_server *server, struct eos_loop *loop, unsigned connections_max)
{
	struct http_directs *directs = &server->directs;
	directs->count_max = connections_max;
	directs->now_ns = eos_now_ns();
	directs->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (directs->epoll_fd < 0)
		return -errno;
	int err = eos_timer_new(loop, on_timer, server, &directs->timer);
	if (err == 0)
		err = eos_watch_new(loop, directs->epoll_fd, on_event, server, &directs->watch);
	if (err == 0)
		listen_again(server);
	return err;
}

void http_directs_stop(struct http_server *server)
{
	struct http_directs *directs = &server->directs;
	EOS_ASSERT(server->is_stopping);
	/* Handlers' ends answer other requests, perhaps: those are closed as well. */
	directs->is_running = true;
	EOS_LIST_FOR_EACH (node, &directs->all) {
		close_direct(EOS_CONTAINER_OF(node, struct http_direct, all_node));
	}
	directs->watch = eos_watch_free(directs->watch);
	directs->timer = eos_timer_free(directs->timer);
	directs->epoll_fd = eos_close(directs->epoll_fd);
	eos_buf_fini(&directs->out);
}
