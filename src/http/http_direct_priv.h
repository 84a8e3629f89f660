/*
 * A connection of loop mode that is read and written here; http_direct.c says what for.
 */
#pragma once

#include "http/http_server_priv.h"

/*
 *   READING --a plain request--> WORKING --answered--> SENDING --all sent--> SENT
 *      ^ '--any other: libmicrohttpd's                                       |
 *      '---------------------------- finished -------------------------------'
 *
 * Broken or at its end, a connection is closed from any of them.
 */
enum http_direct_state {
	HTTP_DIRECT_READING,
	HTTP_DIRECT_WORKING,
	HTTP_DIRECT_SENDING,
	HTTP_DIRECT_SENT,
};

/* What is to be sent and found no room in the socket, or was not made yet. */
struct http_outgoing {
	struct eos_buf bytes;
	size_t sent; /* of bytes */
	/* A stream's: READ is NULL when the answer is all in BYTES. */
	http_read_fn read;
	void (*free_ctx)(void *ctx);
	void *ctx;
	uint64_t offset, size;
};

struct http_direct {
	struct http_connection connection;
	enum http_direct_state state;
	bool is_readable; /* there may be something to read */
	bool is_ended;	  /* the client will send no more */
	bool is_broken;	  /* nothing can be sent any more */
	struct eos_list all_node, due_node;
	struct http_outgoing out;
	struct http_plain plain;
	char in[HTTP_PLAIN_BYTES_MAX];
};

/* http_direct.c: DIRECT will be looked at in this turn or the next. */
void http_direct_make_due(struct http_direct *direct);
void http_direct_move(struct http_direct *direct, enum http_direct_state state);

/* http_direct_send.c */
/* SENDING: sends what the socket takes. */
void http_direct_send(struct http_direct *direct);
/* Frees what was to be sent. */
void http_outgoing_fini(struct http_outgoing *out);
