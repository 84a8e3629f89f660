/*
 * The server over libmicrohttpd.
 *
 * Invariants
 * 0. The connections here are those that http_direct.c and http_threaded.c gave away.
 * 1. A request lives inside its connection; nothing is allocated for a request but its response
 *    and a very long target.
 * 2. A handler's begin is called once for a request that passed http_request_check(), and then
 *    finish once, last.
 * 3. A response is queued only when the body was read to its end, so that the connection stays
 *    usable and the client can read the answer. Two exceptions queue it at the headers, and
 *    libmicrohttpd then closes the connection after it: the client waits for "100 Continue", or
 *    the body is too long to be read for nothing. In the latter case the connection lingers (see
 *    http_linger()).
 * 4. The target is copied in on_target(), because libmicrohttpd rewrites its own copy when it
 *    parses the query ('+' becomes a space); its percent-decoding is switched off.
 *
 * Why no thread pool: handlers of threaded mode block on disks and functions, so each connection
 * has its own small thread. What must scale to many connections uses loop mode.
 */
#include "http/http_server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "http/http_target.h"

/* Threaded mode moves bodies in pieces of up to half the pool. Loop mode keeps many connections;
 * its pool has room for 16 KiB of headers, their descriptors and the answer's headers, and no more,
 * because libmicrohttpd clears it after each request. */
#define POOL_BYTES_THREADED (128u << 10)
#define POOL_BYTES_LOOP	    (32u << 10)
#define LINGER_MS	    1000
/* Nothing older than TLS 1.2 (RFC 8996), and there only what has forward secrecy. */
#define TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"
EOS_COUNTER(requests_total, "http.requests_total", "Requests that reached a handler.");
EOS_COUNTER(refused_total, "http.requests_refused_total",
	    "Requests refused before any handler: malformed or too large.");
EOS_COUNTER(connections, "http.connections", "Open connections.");

void http_request_reset(struct http_request *request)
{
	if (request->response != NULL)
		MHD_destroy_response(request->response);
	free(request->target_heap);
	eos_buf_fini(&request->headers);
	EOS_ASSERT(!request->is_suspended);
	/* The inline target needs no clearing. */
	memset(request, 0, offsetof(struct http_request, target_inline));
	eos_list_init(&request->suspended_node);
}

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info != NULL ? info->socket_context : NULL;
}

void http_connection_open(struct http_connection *connection, struct http_server *server, int fd)
{
	connection->server = server;
	connection->fd = fd;
	http_connection_enter(connection, HTTP_PHASE_HEADERS, 0);
	http_request_reset(&connection->request);
	pthread_mutex_lock(&server->lock);
	eos_list_add_tail(&server->connections, &connection->node);
	pthread_mutex_unlock(&server->lock);
	eos_counter_add(&connections, 1);
}

void http_connection_close(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	pthread_mutex_lock(&server->lock);
	eos_list_remove(&connection->node);
	pthread_mutex_unlock(&server->lock);
	http_request_reset(&connection->request);
	eos_counter_sub(&connections, 1);
}

void http_request_count(void)
{
	eos_counter_add(&requests_total, 1);
}

/* Whoever accepts must know how many there are. */
static void count_connection(struct http_server *server, int change)
{
	if (server->loop != NULL)
		http_directs_count(server, change);
	else
		http_threads_count(server, change);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_server *server = cls;
	struct http_connection *connection = *socket_context;

	http_loop_note_progress(server);
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		count_connection(server, 1);
		/* Without memory the context stays NULL and each request is refused. */
		connection = calloc(1, sizeof(*connection));
		if (connection == NULL)
			return;
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		http_connection_open(connection, server, info->connect_fd);
		*socket_context = connection;
		return;
	}
	count_connection(server, -1);
	if (connection == NULL)
		return;
	http_connection_close(connection);
	free(connection);
	*socket_context = NULL;
}

/* The request line is there. The result becomes the request's context. */
static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_connection *connection = connection_of(mhd);

	http_loop_note_progress(cls);
	if (connection == NULL)
		return NULL;
	struct http_request *request = &connection->request;
	http_request_reset(request);
	request->connection = connection;
	request->server = cls;
	request->mhd = mhd;
	request->state = HTTP_TARGET;
	request->path = request->query = "";
	size_t len = strlen(target);
	char *copy = request->target_inline;
	if (len >= sizeof(request->target_inline))
		copy = request->target_heap = malloc(len + 1);
	if (copy == NULL) {
		request->is_target_bad = true;
		return request;
	}
	memcpy(copy, target, len + 1);
	request->is_target_bad = http_target_split(copy, len, &request->path, &request->query) < 0;
	return request;
}

static bool wants_continue(const struct http_request *request)
{
	const char *expect = http_request_header(request, "Expect");
	return expect != NULL && strcasecmp(expect, "100-continue") == 0;
}

static enum MHD_Result on_headers(struct http_request *request, const char *method,
				  const char *version)
{
	struct http_server *server = request->server;

	request->state = HTTP_RECEIVING;
	request->method = method;
	unsigned status = http_request_check(request, version);
	if (status != 0) {
		eos_counter_add(&refused_total, 1);
		http_respond_text(request, status);
		/* Where the body ends is in doubt or too far: answer and close. */
		return http_request_queue(request);
	}
	http_request_count();
	if (request->has_body)
		http_connection_enter(request->connection, HTTP_PHASE_BODY, 0);
	request->is_begun = true;
	server->handler->begin(server->ctx, request);
	if (request->is_answered && request->has_body &&
	    (wants_continue(request) || request->content_length > HTTP_DRAIN_BYTES_MAX))
		return http_request_queue(request);
	return MHD_YES;
}

static enum MHD_Result on_body(struct http_request *request, const char *data, size_t len)
{
	struct http_server *server = request->server;

	atomic_fetch_add_explicit(&request->connection->phase_bytes, len, memory_order_relaxed);
	if (request->is_answered) {
		request->drained_bytes += len;
		return request->drained_bytes <= HTTP_DRAIN_BYTES_MAX ? MHD_YES : MHD_NO;
	}
	request->body_bytes += len;
	if (request->body_bytes > server->body_bytes_max)
		http_respond_text(request, 413);
	else
		server->handler->body(server->ctx, request, data, len);
	return MHD_YES;
}

static enum MHD_Result on_end(struct http_request *request)
{
	struct http_server *server = request->server;

	if (request->state == HTTP_RECEIVING) {
		request->state = HTTP_ENDED;
		http_connection_enter(request->connection, HTTP_PHASE_WORKING, 0);
		if (!request->is_answered)
			server->handler->end(server->ctx, request);
	}
	if (request->is_answered)
		return http_request_queue(request);
	if (server->is_stopping)
		return MHD_NO;
	if (server->loop != NULL) {
		http_loop_suspend(request);
		return MHD_YES;
	}
	http_respond_text(request, 500);
	return http_request_queue(request);
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *mhd, const char *url,
				 const char *method, const char *version, const char *upload_data,
				 size_t *upload_data_size, void **con_cls)
{
	struct http_request *request = *con_cls;

	(void)mhd;
	(void)url;
	http_loop_note_progress(cls);
	if (request == NULL)
		return MHD_NO;
	if (request->state == HTTP_TARGET)
		return on_headers(request, method, version);
	if (*upload_data_size > 0) {
		enum MHD_Result result = on_body(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return result;
	}
	return request->is_queued ? MHD_YES : on_end(request);
}

void http_linger(int fd)
{
	char waste[4096];
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	uint64_t until_ns = eos_now_ns() + LINGER_MS * EOS_NS_PER_MS;
	uint64_t bytes = 0;

	/* So that the client sees the end, and ends as well. */
	(void)shutdown(pfd.fd, SHUT_WR);
	while (bytes < HTTP_DRAIN_BYTES_MAX && eos_now_ns() < until_ns) {
		if (poll(&pfd, 1, LINGER_MS / 4) <= 0)
			return;
		ssize_t n = recv(pfd.fd, waste, sizeof(waste), MSG_DONTWAIT);
		if (n <= 0)
			return;
		bytes += (uint64_t)n;
	}
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	struct http_server *server = cls;
	struct http_request *request = *con_cls;

	(void)mhd;
	http_loop_note_progress(server);
	if (request == NULL)
		return;
	*con_cls = NULL;
	if (request->is_begun)
		server->handler->finish(server->ctx, request);
	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->state == HTTP_RECEIVING &&
	    request->is_queued && server->loop == NULL && !server->is_secure)
		http_linger(request->connection->fd);
	struct http_connection *connection = request->connection;
	http_request_reset(request);
	http_connection_enter(connection, HTTP_PHASE_HEADERS, 0);
}

/* Percent-decoding is the handlers' business. */
static size_t keep_escaped(void *cls, struct MHD_Connection *mhd, char *text)
{
	(void)cls;
	(void)mhd;
	return strlen(text);
}

static int listen_on(const struct http_server_config *config, struct eos_why *why)
{
	struct sockaddr_storage address = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
	socklen_t len;
	const int on = 1;

	if (inet_pton(AF_INET, config->address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(config->port);
		len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, config->address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(config->port);
		len = sizeof(*v6);
	} else {
		return eos_why(why, -EINVAL, "not an IP address to listen on: \"%s\"",
			       config->address);
	}
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return eos_why(why, -errno, "cannot make a socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 1024) < 0) {
		int err = -errno;
		eos_close(fd);
		return eos_why(why, err, "cannot listen on %s port %u: %s", config->address,
			       config->port, strerror(-err));
	}
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return 0;
}

static struct MHD_Daemon *start_daemon(struct http_server *server,
				       const struct http_server_config *config)
{
	bool is_loop = config->loop != NULL;
	unsigned flags =
		is_loop ? MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET
			: MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
				  MHD_USE_POLL | MHD_USE_ITC | MHD_USE_NO_LISTEN_SOCKET;
	/* The library only reads these. */
	void *certificate = (void *)(uintptr_t)config->tls_certificate;
	void *key = (void *)(uintptr_t)config->tls_key;
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem options[] = {
		/* Threaded mode counts by itself; here one is gone a little later than we hear. */
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)config->connections_max + (is_loop ? 0 : 1),
		 NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)config->idle_timeout_s, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		 is_loop ? POOL_BYTES_LOOP : POOL_BYTES_THREADED, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, server},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, server},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, server},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escaped, NULL},
		{MHD_OPTION_ARRAY, 0, (void *)(uintptr_t)(server->is_secure ? tls : tls + 3)},
		{is_loop ? MHD_OPTION_END : MHD_OPTION_THREAD_STACK_SIZE, HTTP_STACK_BYTES, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	if (server->is_secure)
		flags |= MHD_USE_TLS;
	return MHD_start_daemon(flags, 0, NULL, NULL, on_access, server, MHD_OPTION_ARRAY, options,
				MHD_OPTION_END);
}

static struct http_server *server_alloc(const struct http_server_config *config)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return NULL;
	server->handler = config->handler;
	server->ctx = config->ctx;
	server->loop = config->loop;
	server->body_bytes_max = config->body_bytes_max;
	server->is_secure = config->tls_certificate != NULL;
	server->idle_ns = (uint64_t)config->idle_timeout_s * EOS_NS_PER_S;
	server->grace_ns = 2 * server->idle_ns;
	server->listen_fd = server->directs.epoll_fd = server->threads.wake_fd = -1;
	pthread_condattr_t attr;
	pthread_mutex_init(&server->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&server->watchdog_wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&server->threads.all_ended, NULL);
	eos_list_init(&server->threads.all);
	eos_list_init(&server->threads.ended);
	eos_list_init(&server->connections);
	eos_list_init(&server->suspended);
	eos_list_init(&server->directs.all);
	eos_list_init(&server->directs.due);
	return server;
}

int http_server_new(const struct http_server_config *config, struct http_server **ret_server,
		    struct eos_why *why)
{
	struct http_server *server = server_alloc(config);
	if (server == NULL) {
		if (config->address == NULL)
			eos_close(config->listen_fd);
		return eos_why(why, -ENOMEM, "out of memory");
	}
	int err = config->address != NULL ? listen_on(config, why) : config->listen_fd;
	if (err < 0)
		goto fail;
	server->listen_fd = err;
	/* Who is readable may be gone, or accepted by another process, when it is accepted. */
	int flags = fcntl(server->listen_fd, F_GETFL);
	if (flags < 0 || fcntl(server->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err = eos_why(why, -errno, "cannot use the listening socket: %s", strerror(errno));
		goto fail;
	}
	server->port = port_of(server->listen_fd);
	server->daemon = start_daemon(server, config);
	if (server->daemon == NULL) {
		err = server->is_secure ? eos_why(why, -EINVAL,
						  "cannot start TLS: the certificate or key is not "
						  "PEM, or they "
						  "do not belong together")
					: eos_why(why, -ENOMEM, "cannot start the HTTP server: %s",
						  strerror(errno));
		goto fail;
	}
	if (config->loop != NULL)
		err = http_loop_attach(server, config->loop, config->connections_max);
	else
		err = http_threads_start(server, config->connections_max);
	if (err < 0) {
		err = eos_why(why, err, "cannot start the HTTP server: %s", strerror(-err));
		goto fail;
	}
	*ret_server = server;
	return 0;

fail:
	http_server_free(server);
	return err;
}

uint16_t http_server_port(const struct http_server *server)
{
	return server->port;
}

struct http_server *http_server_free(struct http_server *server)
{
	if (server == NULL)
		return NULL;
	http_watchdog_stop(server);
	server->is_stopping = true;
	http_directs_stop(server);
	http_threads_stop(server);
	if (server->daemon != NULL) {
		http_loop_release(server);
		http_loop_detach(server);
		MHD_stop_daemon(server->daemon);
	}
	eos_close(server->listen_fd);
	eos_close(server->threads.wake_fd);
	pthread_cond_destroy(&server->threads.all_ended);
	pthread_cond_destroy(&server->watchdog_wake);
	pthread_mutex_destroy(&server->lock);
	free(server);
	return NULL;
}
