/*
 * The watchdog: libmicrohttpd drops a connection that is silent, not one that trickles. A client
 * that sends a byte every few seconds would hold a connection for ever. So each connection is in a
 * phase, and a phase has a time that grows only with the bytes that came (or are to go) in it:
 *
 *   HEADERS  grace time                   from the connection's or the last request's end
 *   BODY     grace + received / min rate
 *   WORKING  no limit                     the handler's business
 *   ANSWER   grace + size / min rate
 *
 * What is late gets shutdown(2): the connection's own thread then sees an end of file and tears
 * down by itself. The descriptor is valid: connections leave the list, under the lock, before they
 * are closed.
 *
 * Threaded mode has a thread for it, loop mode a timer.
 */
#include "http/http_server_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/counter.h"

EOS_COUNTER(slow_total, "http.slow_connections_total",
	    "Connections cut because the client was too slow.");

void http_connection_enter_at(struct http_connection *connection, enum http_phase phase,
			      uint64_t bytes, uint64_t now_ns)
{
	atomic_store_explicit(&connection->phase_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&connection->phase_started_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
}

void http_connection_enter(struct http_connection *connection, enum http_phase phase,
			   uint64_t bytes)
{
	/* Which has no limit, so nobody asks when it began; the time of the phase before stays, as
	 * it may still be read for that one. */
	if (phase == HTTP_PHASE_WORKING)
		atomic_store_explicit(&connection->phase, (int)phase, memory_order_release);
	else
		http_connection_enter_at(connection, phase, bytes, eos_now_ns());
}

static bool is_late(const struct http_server *server, struct http_connection *connection,
		    uint64_t now_ns)
{
	int phase = atomic_load_explicit(&connection->phase, memory_order_acquire);
	/* Where clients may be silent for ever they may be slow as well. */
	if (phase == HTTP_PHASE_WORKING || server->grace_ns == 0)
		return false;
	uint64_t start_ns =
		atomic_load_explicit(&connection->phase_started_ns, memory_order_relaxed);
	uint64_t bytes = atomic_load_explicit(&connection->phase_bytes, memory_order_relaxed);
	uint64_t allowed_ns = server->grace_ns;
	if (phase != HTTP_PHASE_HEADERS) {
		uint64_t seconds = bytes / HTTP_RATE_BYTES_PER_S_MIN;
		if (seconds > UINT32_MAX)
			return false;
		allowed_ns += seconds * EOS_NS_PER_S;
	}
	return now_ns > start_ns && now_ns - start_ns > allowed_ns;
}

void http_watchdog_scan(struct http_server *server)
{
	uint64_t now_ns = eos_now_ns();
	pthread_mutex_lock(&server->lock);
	EOS_LIST_FOR_EACH (node, &server->connections) {
		struct http_connection *connection =
			EOS_CONTAINER_OF(node, struct http_connection, node);
		if (!is_late(server, connection, now_ns))
			continue;
		(void)shutdown(connection->fd, SHUT_RDWR);
		/* Once is enough. */
		eos_list_remove(node);
		eos_counter_add(&slow_total, 1);
	}
	pthread_mutex_unlock(&server->lock);
}

static void *watchdog_main(void *ctx)
{
	struct http_server *server = ctx;
	pthread_mutex_lock(&server->lock);
	while (!server->watchdog_must_stop) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec++;
		if (pthread_cond_timedwait(&server->watchdog_wake, &server->lock, &until) !=
		    ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&server->lock);
		http_watchdog_scan(server);
		pthread_mutex_lock(&server->lock);
	}
	pthread_mutex_unlock(&server->lock);
	return NULL;
}

int http_watchdog_start(struct http_server *server)
{
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);
	if (err != 0)
		return -err;
	(void)pthread_attr_setstacksize(&attr, 256u << 10);
	err = pthread_create(&server->watchdog, &attr, watchdog_main, server);
	pthread_attr_destroy(&attr);
	if (err != 0)
		return -err;
	server->has_watchdog = true;
	return 0;
}

void http_watchdog_stop(struct http_server *server)
{
	if (!server->has_watchdog)
		return;
	pthread_mutex_lock(&server->lock);
	server->watchdog_must_stop = true;
	pthread_cond_signal(&server->watchdog_wake);
	pthread_mutex_unlock(&server->lock);
	pthread_join(server->watchdog, NULL);
	server->has_watchdog = false;
}
