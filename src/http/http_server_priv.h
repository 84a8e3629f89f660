/*
 * The insides of the HTTP server, for the files of this folder.
 */
#pragma once

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/http_server.h"

#define HTTP_HEADERS_BYTES_MAX (16u << 10)
/* After an early answer so much of the body is still read, so that the client, which is still
 * writing, gets to read the answer. */
#define HTTP_DRAIN_BYTES_MAX (UINT64_C(16) << 20)
/* The slowest rate at which bodies may come and answers may be taken, after a grace time. */
#define HTTP_RATE_BYTES_PER_S_MIN 256u
#define HTTP_TARGET_INLINE_MAX	  512u

/* What a connection waits for; see http_watchdog.c. */
enum http_phase { HTTP_PHASE_HEADERS, HTTP_PHASE_BODY, HTTP_PHASE_WORKING, HTTP_PHASE_ANSWER };

/*
 * A request's life:
 *
 *   IDLE --target seen--> TARGET --headers checked--> RECEIVING --body complete--> ENDED
 *     ^                                                                             |
 *     '------------------------------- completed (from any state) ------------------'
 */
enum http_state { HTTP_IDLE, HTTP_TARGET, HTTP_RECEIVING, HTTP_ENDED };

struct http_connection;

struct http_request {
	struct http_connection *connection;
	struct http_server *server;
	struct MHD_Connection *mhd;
	enum http_state state;
	bool is_begun;	   /* the handler saw begin: finish is due */
	bool is_answered;  /* RESPONSE was made, perhaps already queued */
	bool is_queued;	   /* libmicrohttpd has the response */
	bool is_suspended; /* loop mode: waits for http_respond() */
	bool is_target_bad;
	bool has_content_length;
	bool has_body; /* a body follows the headers */
	uint64_t content_length;
	uint64_t body_bytes;	/* received for the handler */
	uint64_t drained_bytes; /* received after the answer */
	const char *method;
	const char *path, *query;
	char *target_heap;
	void *data;
	struct eos_buf headers;	       /* added to the answer: "NAME\0VALUE\0…" */
	struct MHD_Response *response; /* owned until completed */
	unsigned status;
	uint64_t response_bytes;
	struct eos_list suspended_node; /* loop thread */
	char client[INET6_ADDRSTRLEN];
	char target_inline[HTTP_TARGET_INLINE_MAX];
};

struct http_connection {
	struct http_server *server;
	struct http_request request; /* one at a time: libmicrohttpd does not pipeline */
	int fd;

	/* Guarded by server->lock. */
	struct eos_list node;

	/* Written by the connection's thread, read by the watchdog; each is meaningful alone. */
	_Atomic int phase;
	_Atomic uint64_t phase_started_ns;
	_Atomic uint64_t phase_bytes;
};

struct http_server {
	const struct http_handler *handler;
	void *ctx;
	struct MHD_Daemon *daemon;
	uint64_t body_bytes_max;
	uint64_t grace_ns;
	uint16_t port;
	int listen_fd;
	_Atomic bool is_stopping; /* connections' threads look while they are being stopped */

	/* Guarded by lock. */
	pthread_mutex_t lock;
	struct eos_list connections;
	bool watchdog_must_stop;

	pthread_cond_t watchdog_wake;
	pthread_t watchdog;
	bool has_watchdog;

	/* Loop mode, loop thread. */
	struct eos_loop *loop;
	struct eos_watch *watch;
	struct eos_timer *timer;
	struct eos_timer *watchdog_timer;
	struct eos_list suspended;
	bool is_running; /* inside MHD_run() */
	bool is_secure;	 /* set at the start */
};

/* http_check.c: 0, or the status with which the request is refused before any handler sees it.
 * Fills in the request's body facts. */
unsigned http_request_check(struct http_request *request, const char *version);

/* http_respond.c */
/* Hands the response that was made to libmicrohttpd. */
enum MHD_Result http_request_queue(struct http_request *request);
void http_respond_text(struct http_request *request, unsigned status);

/* http_watchdog.c */
void http_connection_enter(struct http_connection *connection, enum http_phase phase,
			   uint64_t bytes);
/* Cuts what is too slow. */
void http_watchdog_scan(struct http_server *server);
int http_watchdog_start(struct http_server *server) EOS_MUST_CHECK;
void http_watchdog_stop(struct http_server *server);

/* http_loop.c */
int http_loop_attach(struct http_server *server, struct eos_loop *loop) EOS_MUST_CHECK;
/* Resumes what is suspended, so that the daemon may be stopped. */
void http_loop_release(struct http_server *server);
void http_loop_detach(struct http_server *server);
void http_loop_suspend(struct http_request *request);
/* The response of a suspended request was made: send it. */
void http_loop_resume(struct http_request *request);
