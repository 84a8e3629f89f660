/*
 * Threaded mode: who accepts, and the connections that are served without libmicrohttpd.
 *
 * libmicrohttpd clears its pool of memory, 128 KiB, for each request, copies bodies through it, and
 * sends head and body of an answer apart. For a small object that costs more than the object. So a
 * connection gets a thread here first, which reads, calls the handlers and sends, all of it
 * blocking. A request is looked at while it is still in the socket (MSG_PEEK): at the first that is
 * not plain (http_plain.h), or is to be refused, the connection goes over to libmicrohttpd for the
 * rest of its life, with all that it sent. So, as in http_direct.c, there is one place that deals
 * with chunks, trickled heads and malformed requests. To take each head out again is one call in
 * three; where the kernel can look behind what it has shown (SO_PEEK_OFF), some are taken at once.
 *
 * Invariants
 * 1. A handler's begin is called once for a request that was taken, and then finish once, last.
 * 2. An answer is sent when the request's body was read to its end, so that the connection stays
 *    usable and the client can read the answer. Where that is too long, or the client waits for
 *    "100 Continue" and gets a refusal, the connection ends with the answer (request->closes).
 * 3. A connection is closed by its own thread alone. Who wants it to end (the watchdog, the stop)
 *    shuts it down, under the server's lock, while it is in a list.
 * 4. Each connection is counted from its accept to its end, without a gap: as its thread's, as
 * given away, as libmicrohttpd's. libmicrohttpd takes up what it was given on a thread of its own,
 * and if there is no memory for that, it closes the connection and says nothing. So what was given
 *    away is no longer waited for after a while.
 * 5. The first SERVED_BYTES in the socket are heads of requests that were served. They are taken
 * out before anything else is read or leaves the thread's hands: a body, the rest of the
 * connection.
 * 6. Threads are joined: their last acts, such as libcrypto's cleaning up, are over before the
 *    server is.
 *
 * Fault points: http.accept, http.thread_create, http.body_alloc.
 */
#include "http/http_threaded_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

#define ACCEPT_PAUSE_MS 100  /* without descriptors or memory */
#define ROOM_LOOK_MS	1000 /* when there is no room: nobody says what libmicrohttpd dropped */
/* By then libmicrohttpd has taken up what it was given, or never will. */
#define GIVEN_WAIT_NS (10 * EOS_NS_PER_S)

/* What becomes of a connection. */
enum next { NEXT_REQUEST, NEXT_END, NEXT_GIVE };

/* --- requests --- */

/* As recv(), with what a signal interrupts done again. */
static ssize_t receive(struct http_thread *thread, void *data, size_t len, int flags)
{
	ssize_t n;
	do
		n = recv(thread->connection.fd, data, len, flags);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Takes the heads that were served out of the socket, so that what follows is the first there. */
static bool take_out(struct http_thread *thread)
{
	char waste[2 * HTTP_PLAIN_BYTES_MAX];
	size_t len = thread->served_bytes;
	/* All of it was looked at, so nobody has to wait for it. */
	thread->served_bytes = 0;
	return len == 0 || receive(thread, waste, len, MSG_DONTWAIT) == (ssize_t)len;
}

/* Looks at the next request behind those that were served. */
static ssize_t look(struct http_thread *thread)
{
	return receive(thread, thread->in, sizeof(thread->in), MSG_PEEK);
}

/* The head of N bytes that were looked at is USED bytes. Where nothing was seen behind it, and no
 * body is to come, it may stay for a while: the next look begins behind it. */
static bool pass(struct http_thread *thread, size_t n, size_t used)
{
	const int start = 0;
	int fd = thread->connection.fd;
	thread->served_bytes += used;
	if (thread->skips_served && n == used && thread->plain.content_length == 0 &&
	    thread->served_bytes <= HTTP_PLAIN_BYTES_MAX)
		return true;
	if (!take_out(thread))
		return false;
	/* What was seen behind it is to be looked at again. */
	return !thread->skips_served || n == used ||
	       setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) == 0;
}

static void take_body(struct http_thread *thread, const void *data, size_t len)
{
	struct http_request *request = &thread->connection.request;
	const struct http_handler *handler = request->server->handler;

	thread->body_left -= len;
	atomic_fetch_add_explicit(&thread->connection.phase_bytes, len, memory_order_relaxed);
	if (!request->is_answered)
		handler->body(request->server->ctx, request, data, len);
}

/* Who waits for it gets it, be the body as empty as it may: clients take a final answer in its
 * place for a refusal, behind which the connection ends. */
static void let_go_on(struct http_thread *thread)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	thread->is_reading = true;
	if (thread->plain.expects_continue)
		http_thread_send(thread, go_on, sizeof(go_on) - 1, false);
}

/* Reads the body to its end, or until an answer ends the connection. */
static void read_body(struct http_thread *thread)
{
	struct http_request *request = &thread->connection.request;
	size_t block = (size_t)EOS_MIN(thread->body_left, (uint64_t)HTTP_BLOCK_BYTES);
	char *data = eos_fault("http.body_alloc") == 0 ? malloc(block) : NULL;

	if (data == NULL) {
		thread->is_broken = true;
		return;
	}
	while (!thread->is_broken && !request->closes && thread->body_left > 0) {
		size_t wanted = (size_t)EOS_MIN(thread->body_left, (uint64_t)block);
		ssize_t n = receive(thread, data, wanted, 0);
		if (n > 0)
			take_body(thread, data, (size_t)n);
		else
			thread->is_broken = true;
	}
	free(data);
}

static void begin(struct http_thread *thread)
{
	struct http_connection *connection = &thread->connection;
	struct http_request *request = &connection->request;
	const struct http_plain *plain = &thread->plain;

	request->connection = connection;
	request->thread = thread;
	request->plain = plain;
	request->method = plain->method;
	request->path = plain->path;
	request->query = plain->query;
	request->has_content_length = plain->has_content_length;
	request->content_length = thread->body_left = plain->content_length;
	request->has_body = plain->content_length > 0;
	request->state = HTTP_RECEIVING;
	thread->is_reading = false;
	http_request_count();
	http_connection_enter(connection, request->has_body ? HTTP_PHASE_BODY : HTTP_PHASE_WORKING,
			      0);
	request->is_begun = true;
}

/* From its head, which is in PLAIN, to its end. */
static void serve(struct http_thread *thread)
{
	struct http_connection *connection = &thread->connection;
	struct http_request *request = &connection->request;
	struct http_server *server = connection->server;

	request->server = server;
	begin(thread);
	server->handler->begin(server->ctx, request);
	if (!request->closes)
		let_go_on(thread);
	if (request->has_body && !request->closes)
		read_body(thread);
	request->state = HTTP_ENDED;
	if (request->has_body)
		http_connection_enter(connection, HTTP_PHASE_WORKING, 0);
	if (!thread->is_broken && !request->is_answered)
		server->handler->end(server->ctx, request);
	if (!thread->is_broken && !request->is_answered)
		http_respond_text(request, 500);
	if (!thread->is_broken)
		http_thread_send_answer(thread);
	request->is_begun = false;
	server->handler->finish(server->ctx, request);
	if (request->closes && !thread->is_broken && thread->body_left > 0)
		http_linger(connection->fd);
}

static enum next serve_next(struct http_thread *thread)
{
	struct http_connection *connection = &thread->connection;
	ssize_t n = look(thread);
	if (n <= 0)
		return NEXT_END;
	size_t used = http_plain_parse(thread->in, (size_t)n, &thread->plain);
	if (used == 0 || thread->plain.content_length > connection->server->body_bytes_max)
		return NEXT_GIVE;
	if (!pass(thread, (size_t)n, used))
		return NEXT_END;
	serve(thread);
	bool is_over = thread->is_broken || connection->request.closes;
	http_thread_forget_answer(thread);
	http_request_reset(&connection->request);
	http_connection_enter(connection, HTTP_PHASE_HEADERS, 0);
	return is_over ? NEXT_END : NEXT_REQUEST;
}

/* --- connections --- */

/* Something may have changed that the acceptor waits for. */
static void wake_acceptor(struct http_server *server)
{
	uint64_t one = 1;
	/* It can only fail because so many wake-ups are there already. */
	(void)!write(server->threads.wake_fd, &one, sizeof(one));
}

/* One less is on its way to libmicrohttpd. */
static void arrive_locked(struct http_threads *threads)
{
	/* It may have been given up before. */
	if (threads->given_count > 0)
		threads->given_count--;
}

/* The connection is libmicrohttpd's from now on, which closes it also if it refuses it. */
static void give_away(struct http_server *server, int fd)
{
	struct http_threads *threads = &server->threads;
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	if (getpeername(fd, (struct sockaddr *)&address, &len) < 0) {
		eos_close(fd);
		return;
	}
	pthread_mutex_lock(&server->lock);
	threads->given_count++;
	threads->given_ns = eos_now_ns();
	pthread_mutex_unlock(&server->lock);
	if (MHD_add_connection(server->daemon, fd, (struct sockaddr *)&address, len) == MHD_YES)
		return;
	pthread_mutex_lock(&server->lock);
	arrive_locked(threads);
	pthread_mutex_unlock(&server->lock);
}

/* The thread's last act: whoever is woken joins and frees it. */
static void leave(struct http_server *server, struct http_thread *thread)
{
	pthread_mutex_lock(&server->lock);
	eos_list_add_tail(&server->threads.ended, &thread->all_node);
	server->threads.count--;
	wake_acceptor(server);
	if (server->threads.count == 0)
		pthread_cond_broadcast(&server->threads.all_ended);
	pthread_mutex_unlock(&server->lock);
}

/* The acceptor's, which made them, or after its end the stop's. */
static void join_ended(struct http_server *server)
{
	for (;;) {
		pthread_mutex_lock(&server->lock);
		struct eos_list *node = eos_list_take(&server->threads.ended);
		pthread_mutex_unlock(&server->lock);
		if (node == NULL)
			return;
		struct http_thread *thread = EOS_CONTAINER_OF(node, struct http_thread, all_node);
		pthread_join(thread->id, NULL);
		free(thread);
	}
}

static void *thread_main(void *ctx)
{
	struct http_thread *thread = ctx;
	struct http_server *server = thread->connection.server;
	int fd = thread->connection.fd;
	enum next next;

	do
		next = serve_next(thread);
	while (next == NEXT_REQUEST);
	pthread_mutex_lock(&server->lock);
	eos_list_remove(&thread->all_node);
	pthread_mutex_unlock(&server->lock);
	http_connection_close(&thread->connection);
	eos_buf_fini(&thread->out);
	/* What is left in a socket that is closed would make the client's system throw away the
	 * last answer. */
	bool is_whole = take_out(thread);
	if (thread->skips_served)
		(void)setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &(int){-1}, sizeof(int));
	if (next == NEXT_GIVE && is_whole)
		give_away(server, fd);
	else
		eos_close(fd);
	leave(server, thread);
	return NULL;
}

/* A silent client is left after the idle time; what trickles is the watchdog's. */
static void set_options(const struct http_server *server, int fd)
{
	const struct timeval idle = {
		.tv_sec = (time_t)(server->idle_ns / EOS_NS_PER_S),
		.tv_usec = (suseconds_t)(server->idle_ns % EOS_NS_PER_S / EOS_NS_PER_US),
	};
	const int on = 1;
	/* Local sockets know no delay, and a zero is "for ever". */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &idle, sizeof(idle));
}

/* Whether the kernel can look behind what it was shown: Linux 6.9 for TCP. Local sockets, which can
 * since long, are used by few, and each message would be looked for from the first. */
static bool can_skip(int fd, const struct sockaddr *address)
{
	const int start = 0;
	return (address->sa_family == AF_INET || address->sa_family == AF_INET6) &&
	       setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) == 0;
}

static int start_thread(struct http_thread *thread)
{
	pthread_attr_t attr;
	int err = eos_fault("http.thread_create");
	if (err < 0)
		return err;
	err = pthread_attr_init(&attr);
	if (err != 0)
		return -err;
	(void)pthread_attr_setstacksize(&attr, HTTP_STACK_BYTES);
	err = pthread_create(&thread->id, &attr, thread_main, thread);
	pthread_attr_destroy(&attr);
	return -err;
}

/* False: there is no memory for it, and it was closed. */
static bool open_connection(struct http_server *server, int fd, const struct sockaddr *address)
{
	struct http_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL) {
		eos_close(fd);
		return false;
	}
	set_options(server, fd);
	thread->skips_served = can_skip(fd, address);
	eos_buf_init(&thread->out);
	http_client_format(address, thread->connection.client);
	http_connection_open(&thread->connection, server, fd);
	pthread_mutex_lock(&server->lock);
	eos_list_add_tail(&server->threads.all, &thread->all_node);
	server->threads.count++;
	pthread_mutex_unlock(&server->lock);
	if (start_thread(thread) == 0)
		return true;
	pthread_mutex_lock(&server->lock);
	eos_list_remove(&thread->all_node);
	server->threads.count--;
	pthread_mutex_unlock(&server->lock);
	http_connection_close(&thread->connection);
	eos_close(fd);
	free(thread);
	return false;
}

/* --- accepting --- */

static bool has_room(struct http_server *server)
{
	struct http_threads *threads = &server->threads;
	pthread_mutex_lock(&server->lock);
	if (threads->given_count > 0 && eos_now_ns() - threads->given_ns > GIVEN_WAIT_NS)
		threads->given_count = 0;
	bool has = threads->count + threads->given_count + threads->mhd_count < threads->count_max;
	pthread_mutex_unlock(&server->lock);
	return has;
}

/* False: there is nothing to accept with. */
static bool accept_one(struct http_server *server)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	if (eos_fault("http.accept") < 0)
		return false;
	int fd = accept4(server->listen_fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC);
	/* The client may have gone, or another process accepted it. */
	if (fd < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
	if (!server->is_secure)
		return open_connection(server, fd, (struct sockaddr *)&address);
	/* Where TLS is spoken nothing is plain. */
	give_away(server, fd);
	return true;
}

static void *acceptor_main(void *ctx)
{
	struct http_server *server = ctx;
	struct pollfd fds[] = {{.fd = server->threads.wake_fd, .events = POLLIN},
			       {.fd = server->listen_fd, .events = POLLIN}};
	bool is_pausing = false;

	while (!server->is_stopping) {
		uint64_t wakes;
		/* Who connects when there is no room waits in the socket's queue. */
		bool may_accept = !is_pausing && has_room(server);
		int timeout_ms = is_pausing ? ACCEPT_PAUSE_MS : ROOM_LOOK_MS;
		int count = poll(fds, may_accept ? 2 : 1, may_accept ? -1 : timeout_ms);
		is_pausing = false;
		if (count > 0 && (fds[0].revents & POLLIN) != 0)
			(void)!read(fds[0].fd, &wakes, sizeof(wakes));
		/* What ends gives back memory, before anything is made anew. */
		join_ended(server);
		if (count > 0 && may_accept && fds[1].revents != 0)
			is_pausing = !accept_one(server);
	}
	return NULL;
}

void http_threads_count(struct http_server *server, int change)
{
	pthread_mutex_lock(&server->lock);
	if (change > 0)
		arrive_locked(&server->threads);
	server->threads.mhd_count += (unsigned)change;
	pthread_mutex_unlock(&server->lock);
	if (change < 0)
		wake_acceptor(server);
}

int http_threads_start(struct http_server *server, unsigned connections_max)
{
	struct http_threads *threads = &server->threads;
	threads->count_max = connections_max;
	threads->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (threads->wake_fd < 0)
		return -errno;
	int err = server->idle_ns > 0 ? http_watchdog_start(server) : 0;
	if (err < 0)
		return err;
	err = pthread_create(&threads->acceptor, NULL, acceptor_main, server);
	threads->has_acceptor = err == 0;
	return -err;
}

void http_threads_stop(struct http_server *server)
{
	struct http_threads *threads = &server->threads;
	if (threads->has_acceptor) {
		wake_acceptor(server);
		pthread_join(threads->acceptor, NULL);
		threads->has_acceptor = false;
	}
	pthread_mutex_lock(&server->lock);
	EOS_LIST_FOR_EACH (node, &threads->all) {
		struct http_thread *thread = EOS_CONTAINER_OF(node, struct http_thread, all_node);
		(void)shutdown(thread->connection.fd, SHUT_RDWR);
	}
	while (threads->count > 0)
		pthread_cond_wait(&threads->all_ended, &server->lock);
	pthread_mutex_unlock(&server->lock);
	join_ended(server);
}
