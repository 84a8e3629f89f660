/*
 * A connection of threaded mode that is served here; http_threaded.c says how.
 */
#pragma once

#include "http/http_server_priv.h"

#define HTTP_BLOCK_BYTES (128u << 10) /* requests' bodies come in pieces of up to this */
/* What streams are asked for at once: from there on stores read without a copy of their own. */
#define HTTP_STREAM_BYTES (512u << 10)

struct http_thread {
	struct http_connection connection;
	pthread_t id;		  /* the acceptor's, which joins it */
	struct eos_list all_node; /* of those that run, then of those that ended */
	bool is_broken;		  /* nothing can be read or sent any more */
	bool is_reading;	  /* the request's body */
	uint64_t body_left;	  /* of the request's body, in the socket or on its way */
	bool skips_served;	  /* SO_PEEK_OFF: looks begin behind what was looked at */
	size_t served_bytes;	  /* in the socket, of requests that were served */
	/* The answer: the head, and the body where it is there already. */
	struct eos_buf out;
	/* A stream's: READ is NULL when all is in OUT. */
	http_read_fn read;
	void (*free_ctx)(void *ctx);
	void *ctx;
	uint64_t size;
	struct http_date date;
	struct http_plain plain;
	char in[HTTP_PLAIN_BYTES_MAX];
};

/* http_threaded_send.c. All of these mark as broken what fails. */
/* HAS_MORE: something follows at once, which may go into the same packet. */
void http_thread_send(struct http_thread *thread, const void *data, size_t len, bool has_more);
void http_thread_send_answer(struct http_thread *thread);
/* Frees what is left of the answer. */
void http_thread_forget_answer(struct http_thread *thread);
