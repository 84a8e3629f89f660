/*
 * The insides of the HTTP server, for the files of this folder.
 */
#pragma once

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "http/http_plain.h"
#include "http/http_server.h"

#define HTTP_HEADERS_BYTES_MAX (16u << 10)
/* After an early answer so much of the body is still read, so that the client, which is still
 * writing, gets to read the answer. */
#define HTTP_DRAIN_BYTES_MAX (UINT64_C(16) << 20)
/* The slowest rate at which bodies may come and answers may be taken, after a grace time. */
#define HTTP_RATE_BYTES_PER_S_MIN 256u
#define HTTP_TARGET_INLINE_MAX	  512u
/* Of a connection's thread. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HTTP_STACK_BYTES (1024u << 10)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HTTP_STACK_BYTES (1024u << 10)
#endif
#endif
#ifndef HTTP_STACK_BYTES
#define HTTP_STACK_BYTES (256u << 10)
#endif

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
struct http_direct;
struct http_thread;

struct http_request {
	struct http_connection *connection;
	struct http_server *server;
	/* Whose connection it is: libmicrohttpd's, or, with PLAIN, ours: on the loop or a thread's.
	 */
	struct MHD_Connection *mhd;
	const struct http_plain *plain;
	struct http_direct *direct;
	struct http_thread *thread;
	enum http_state state;
	bool is_begun;	   /* the handler saw begin: finish is due */
	bool is_answered;  /* RESPONSE was made, perhaps already queued */
	bool is_queued;	   /* libmicrohttpd has the response */
	bool is_suspended; /* loop mode: waits for http_respond() */
	bool is_target_bad;
	bool has_content_length;
	bool has_body; /* a body follows the headers */
	bool closes;   /* ours: the connection ends with the answer */
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
	char target_inline[HTTP_TARGET_INLINE_MAX];
};

struct http_connection {
	struct http_server *server;
	struct http_request request; /* one at a time: libmicrohttpd does not pipeline */
	int fd;
	char client[INET6_ADDRSTRLEN]; /* "" until it was asked for */

	/* Guarded by server->lock. */
	struct eos_list node;

	/* Written by the connection's thread, read by the watchdog; each is meaningful alone. */
	_Atomic int phase;
	_Atomic uint64_t phase_started_ns;
	_Atomic uint64_t phase_bytes;
};

/* Made anew once a second. */
struct http_date {
	time_t s; /* what TEXT says */
	char text[EOS_HTTP_DATE_SIZE];
};

/* The connections of loop mode that are read and written without libmicrohttpd; see http_direct.c.
 */
struct http_directs {
	int epoll_fd;
	struct eos_watch *watch;
	struct eos_timer *timer;
	struct eos_list all;
	struct eos_list due;	   /* to be looked at in this turn of the loop */
	bool is_running;	   /* DUE is going to be looked at */
	bool is_listening;	   /* the listening socket is in the epoll set */
	unsigned count, count_max; /* all connections of the server, libmicrohttpd's too */
	uint64_t now_ns;	   /* when this turn began */
	struct http_date date;
	struct eos_buf out; /* the answer in the making */
};

/* The connections of threaded mode; see http_threaded.c. */
struct http_threads {
	pthread_t acceptor;
	bool has_acceptor;
	int wake_fd; /* tells the acceptor to look */
	/* Guarded by the server's lock. */
	struct eos_list all;   /* ours */
	struct eos_list ended; /* threads that are to be joined */
	unsigned count;	       /* ours whose threads have not ended */
	unsigned given_count;  /* given to libmicrohttpd, which has not taken them up */
	uint64_t given_ns;     /* when the last one was */
	unsigned mhd_count;    /* libmicrohttpd's */
	unsigned count_max;
	pthread_cond_t all_ended;
};

struct http_server {
	const struct http_handler *handler;
	void *ctx;
	struct MHD_Daemon *daemon;
	uint64_t body_bytes_max;
	uint64_t grace_ns, idle_ns;
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
	bool is_running;    /* inside MHD_run() */
	uint64_t progress;  /* counts what libmicrohttpd told us of or took from us */
	unsigned idle_runs; /* of MHD_run() in a row that brought none and want another at once */
	bool is_secure;	    /* set at the start */
	struct http_directs directs;

	struct http_threads threads;
};

/* http_check.c */
bool http_is_token(const char *text);
/* 0, or the status with which the request is refused before any handler sees it.
 * Fills in the request's body facts. */
unsigned http_request_check(struct http_request *request, const char *version);

/* http_request.c: the text of an address, "" for those that have none. */
void http_client_format(const struct sockaddr *address, char text[INET6_ADDRSTRLEN]);

/* http_server.c: what all kinds of connections have in common. */
void http_connection_open(struct http_connection *connection, struct http_server *server, int fd);
void http_connection_close(struct http_connection *connection);
void http_request_reset(struct http_request *request);
void http_request_count(void);
/* The answer was sent while the client may still write: reads for a moment what nobody wants, since
 * a reset would make the client's system throw away the answer. Blocks. */
void http_linger(int fd);

/* http_respond.c */
/* May a header of a handler's be sent? Not when it is the adapter's, or not well formed. How long
 * both parts are, if it may. */
bool http_header_measure(const struct http_header *header, size_t *ret_name_len,
			 size_t *ret_value_len);
/* Those of http_request_add_header(), one after the other; *OFFSET starts as 0. False at the end.
 */
bool http_next_added_header(const struct http_request *request, size_t *offset,
			    struct http_header *ret_header);
/* Hands the response that was made to libmicrohttpd. */
enum MHD_Result http_request_queue(struct http_request *request);
void http_respond_text(struct http_request *request, unsigned status);

/* http_head.c */
bool http_status_has_body(unsigned status);
/* Appends the head of an answer with a body of SIZE bytes. */
void http_head_put(struct eos_buf *out, struct http_date *date, const struct http_request *request,
		   unsigned status, const struct http_header *headers, size_t headers_count,
		   uint64_t size);

/* http_direct.c */
int http_directs_start(struct http_server *server, struct eos_loop *loop,
		       unsigned connections_max) EOS_MUST_CHECK;
/* Every finish has been called on return. */
void http_directs_stop(struct http_server *server);
/* Closes what has been idle for too long; on the loop's timer. */
void http_directs_scan(struct http_server *server);
/* One of libmicrohttpd's connections came or went. */
void http_directs_count(struct http_server *server, int change);
/* http_direct_send.c: http_respond() and http_respond_stream(). */
void http_direct_respond(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, const void *body,
			 size_t body_len);
void http_direct_respond_stream(struct http_request *request, unsigned status,
				const struct http_header *headers, size_t headers_count,
				uint64_t size, http_read_fn read, void (*free_ctx)(void *ctx),
				void *ctx);

/* http_threaded.c */
int http_threads_start(struct http_server *server, unsigned connections_max) EOS_MUST_CHECK;
/* Every thread has ended on return, with every finish. */
void http_threads_stop(struct http_server *server);
/* One of libmicrohttpd's connections came or went. */
void http_threads_count(struct http_server *server, int change);
/* http_respond() and http_respond_stream(). */
void http_thread_respond(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, const void *body,
			 size_t body_len);
void http_thread_respond_stream(struct http_request *request, unsigned status,
				const struct http_header *headers, size_t headers_count,
				uint64_t size, http_read_fn read, void (*free_ctx)(void *ctx),
				void *ctx);

/* http_watchdog.c */
void http_connection_enter(struct http_connection *connection, enum http_phase phase,
			   uint64_t bytes);
/* The same for who knows what time it is. */
void http_connection_enter_at(struct http_connection *connection, enum http_phase phase,
			      uint64_t bytes, uint64_t now_ns);
/* Cuts what is too slow. */
void http_watchdog_scan(struct http_server *server);
int http_watchdog_start(struct http_server *server) EOS_MUST_CHECK;
void http_watchdog_stop(struct http_server *server);

/* http_loop.c */
int http_loop_attach(struct http_server *server, struct eos_loop *loop,
		     unsigned connections_max) EOS_MUST_CHECK;
/* libmicrohttpd called: its run was not for nothing. Threaded mode: nothing happens. */
void http_loop_note_progress(struct http_server *server);
/* Resumes what is suspended, so that the daemon may be stopped. */
void http_loop_release(struct http_server *server);
void http_loop_detach(struct http_server *server);
void http_loop_suspend(struct http_request *request);
/* The response of a suspended request was made: send it. */
void http_loop_resume(struct http_request *request);
