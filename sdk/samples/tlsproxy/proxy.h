/*
 * The reverse proxy: a client's connections, each with at most one request under way; what is sent
 * where; and which way a request takes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "edgeos_packet.h"
#include "http.h"

#define TALKS_MAX     64u /* connections of an instance: of one client, as the manifest has it */
#define TALK_NAME_MAX 255u
#define IN_MAX	      (HTTP_HEAD_MAX + EDGEOS_PACKET_MAX)

enum request_state { REQUEST_HEAD, REQUEST_BODY };
enum response_state { NO_RESPONSE, RESPONSE_HEAD, RESPONSE_BODY };

/* A client's connection. */
struct talk {
	uint32_t peer; /* 0: a free place */
	char name[TALK_NAME_MAX + 1];
	uint32_t name_len;  /* of SNI, in small letters; 0: none */
	bool is_secure;	    /* TLS */
	bool is_last;	    /* nothing more is read from the client */
	bool is_closing;    /* the connection ends behind this response */
	bool is_close_told; /* … and its head says so */
	uint64_t since_ns;  /* when the present state began */
	char client[48];    /* his address as text */
	/* The request. */
	enum request_state request;
	struct http_body request_body;
	unsigned minor;
	bool is_head, is_repeatable;
	uint32_t in_len, in_scanned;
	/* Its way, and what was sent there: the head is kept for a second try. */
	uint32_t way;
	bool is_reused; /* the way's connection served others before */
	bool has_open[EDGEOS_PORTS_MAX];
	uint32_t sent_len;
	/* The response. */
	enum response_state response;
	struct http_body response_body;
	bool has_begun;	 /* the client has a part of it */
	bool is_chunked; /* as the client gets it */
	bool way_ends;	 /* behind it */
	uint32_t back_len, back_scanned;
	/* Last, as they need no clearing: pages that nobody writes cost nothing. */
	char in[IN_MAX], sent[HTTP_HEAD_MAX + 1024], back[IN_MAX];
};

enum { CONNECTIONS, REQUESTS, RETRIES, REFUSED, FAILED, TIMEOUTS, CUT, COUNTERS };
extern struct edgeos_counter proxy_counters[COUNTERS];

/* --- tlsproxy.c --- */

/* Ends the connection behind what was sent; TALK is free. */
void talk_close(struct talk *talk);
/* Ends it so that the client sees that something is missing. */
void talk_break(struct talk *talk);
/* Answers STATUS instead of whom it is for, and ends the connection. */
void talk_fail(struct talk *talk, uint32_t status);
/* It is dealt with from now on in another way: its time begins anew. */
void talk_touch(struct talk *talk);

/* --- send.c: what leaves by PORT is gathered, and sent by send_flush() --- */

void send_to(uint32_t port, uint32_t peer);
void send_put(const void *data, uint32_t len);
void send_text(const char *text);
void send_number(uint64_t number, unsigned base);
/* False: it could not be sent. */
bool send_flush(void);
/* Behind that: there was no room for it (true), or nobody takes it any more. */
bool send_was_too_much(void);

/* --- request.c, response.c --- */

/* Deals with what is in talk->in, as far as that is possible now. */
void request_run(struct talk *talk);
/* LEN bytes came by WAY, or its end. */
void response_take(struct talk *talk, uint32_t way, const void *data, uint32_t len);
void response_end(struct talk *talk, uint32_t way, bool is_broken);

/* --- routes.c --- */

/* Reads "HOST[/PREFIX] WAY; …", or ends the function. */
void routes_init(void);
/* HOST without a port. False: nobody's. */
bool routes_find(struct piece host, struct piece target, uint32_t *ret_way);
/* Has TARGET's path parts "." or "..", however they are written? Servers would make another one of
 * it than the routes have seen. */
bool routes_is_crooked(struct piece target);
/* HOST without ":PORT". */
struct piece routes_name_of(struct piece host);
