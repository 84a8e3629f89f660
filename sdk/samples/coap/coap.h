/*
 * A server for the Constrained Application Protocol (RFC 7252): messages, resources in memory, who
 * observes them (RFC 7641), bodies in blocks (RFC 7959).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define COAP_MESSAGE_MAX 1152u /* of one: RFC 7252, 4.6 */
#define COAP_BLOCK_MAX	 1024u
#define COAP_BODY_MAX	 4096u /* of a resource */
#define COAP_PATH_MAX	 64u
#define COAP_RESOURCES	 64u
#define COAP_OBSERVERS	 64u
#define COAP_EXCHANGES	 256u /* remembered, so that what comes twice is done once */
#define COAP_UPLOADS	 8u /* in blocks, at a time; the one that stood still longest makes room */
#define COAP_TAGS_MAX	 8u /* ETags of a request, or of its If-Match */
#define COAP_QUERIES_MAX 4u /* of a request for the list */
#define COAP_ANY	 UINT32_MAX
#define NS_PER_S	 UINT64_C(1000000000)

enum coap_type { COAP_CON, COAP_NON, COAP_ACK, COAP_RST };

#define COAP_CODE(class, detail) ((class) << 5 | (detail))
enum coap_code {
	COAP_EMPTY = 0,
	COAP_GET = 1,
	COAP_POST = 2,
	COAP_PUT = 3,
	COAP_DELETE = 4,
	COAP_CREATED = COAP_CODE(2, 1),
	COAP_DELETED = COAP_CODE(2, 2),
	COAP_VALID = COAP_CODE(2, 3),
	COAP_CHANGED = COAP_CODE(2, 4),
	COAP_CONTENT = COAP_CODE(2, 5),
	COAP_CONTINUE = COAP_CODE(2, 31),
	COAP_BAD_REQUEST = COAP_CODE(4, 0),
	COAP_BAD_OPTION = COAP_CODE(4, 2),
	COAP_NOT_FOUND = COAP_CODE(4, 4),
	COAP_NOT_ALLOWED = COAP_CODE(4, 5),
	COAP_NOT_ACCEPTABLE = COAP_CODE(4, 6),
	COAP_INCOMPLETE = COAP_CODE(4, 8),
	COAP_PRECONDITION = COAP_CODE(4, 12),
	COAP_TOO_LARGE = COAP_CODE(4, 13),
	COAP_NO_ROOM = COAP_CODE(5, 0),
	COAP_NO_PROXY = COAP_CODE(5, 5),
};

enum coap_option {
	COAP_IF_MATCH = 1,
	COAP_URI_HOST = 3,
	COAP_ETAG = 4,
	COAP_IF_NONE_MATCH = 5,
	COAP_OBSERVE = 6,
	COAP_URI_PORT = 7,
	COAP_LOCATION_PATH = 8,
	COAP_URI_PATH = 11,
	COAP_CONTENT_FORMAT = 12,
	COAP_MAX_AGE = 14,
	COAP_URI_QUERY = 15,
	COAP_ACCEPT = 17,
	COAP_BLOCK2 = 23,
	COAP_BLOCK1 = 27,
	COAP_SIZE2 = 28,
	COAP_PROXY_URI = 35,
	COAP_PROXY_SCHEME = 39,
	COAP_SIZE1 = 60,
};

#define COAP_LINK_FORMAT 40u
#define COAP_NO_FORMAT	 0x10000u

struct coap_block {
	bool is_there, has_more;
	uint32_t number;
	uint8_t size_exponent; /* 2^(4 + this) bytes */
};

/* ETags of ours have 4 bytes; others match nothing: 0. COAP_ANY: whatever it is. */
struct coap_tags {
	uint32_t count, tags[COAP_TAGS_MAX];
};

struct coap_text {
	const uint8_t *data; /* in the message */
	uint32_t len;
};

struct coap_message {
	uint8_t type, code, token_len;
	uint16_t id;
	uint8_t token[8];
	uint32_t path_len, path_parts;
	char path[COAP_PATH_MAX]; /* "a/b", as in a URI: "a%20b" */
	bool is_path_impossible;  /* nothing here can have it */
	bool has_observe, has_if_none_match, has_size2, wants_proxy;
	bool has_bad_option; /* critical, and not understood */
	bool has_bad_block;  /* of the size that is reserved */
	uint32_t observe, size1;
	struct coap_tags etags, matches; /* MATCHES: of If-Match */
	uint32_t format, accept;	 /* COAP_NO_FORMAT: not said */
	uint32_t queries_count;
	struct coap_text queries[COAP_QUERIES_MAX];
	struct coap_block block1, block2;
	const uint8_t *payload; /* in the message */
	uint32_t payload_len;
};

/* 0; -1: not a message, to be ignored; 1: its header is one, to be refused with a reset. */
int coap_parse(const uint8_t *data, uint32_t len, struct coap_message *ret);
bool coap_has_tag(const struct coap_tags *tags, uint32_t tag);
/* The bytes that part of a path stands for, at most LEN; how many. */
uint32_t coap_decode_path(const char *path, uint32_t len, uint8_t *ret);

/* Writing: options in the order of their numbers, then the payload. What does not fit sets
 * is_broken. */
struct coap_writer {
	uint8_t *out; /* COAP_MESSAGE_MAX bytes */
	uint32_t len;
	uint32_t last_option;
	bool is_broken;
};
void coap_begin(struct coap_writer *writer, uint8_t *out, uint8_t type, uint8_t code, uint16_t id,
		const uint8_t *token, uint32_t token_len);
void coap_put_bytes(struct coap_writer *writer, enum coap_option option, const void *data,
		    uint32_t len);
void coap_put_uint(struct coap_writer *writer, enum coap_option option, uint32_t value);
void coap_put_tag(struct coap_writer *writer, uint32_t tag);
void coap_put_block(struct coap_writer *writer, enum coap_option option,
		    const struct coap_block *block);
void coap_put_payload(struct coap_writer *writer, const void *data, uint32_t len);

/* --- resources --- */

struct resource {
	uint32_t version; /* its ETag; 0: the place is free */
	uint32_t path_len;
	char path[COAP_PATH_MAX];
	uint32_t format;
	uint32_t len;
	uint8_t body[COAP_BODY_MAX];
};

/* Begins ETags at random: they are not those of another instance's contents. */
void resources_seed(uint32_t seed);
struct resource *resource_find(const char *path, uint32_t path_len);
/* Makes or changes it; *RET_IS_NEW says which. NULL: there is no room. */
struct resource *resource_put(const char *path, uint32_t path_len, uint32_t format,
			      const uint8_t *body, uint32_t len, bool *ret_is_new);
void resource_remove(struct resource *resource);
uint32_t resources_count(void);
/* Those that REQUEST's query asks for, as links (RFC 6690); the length. */
uint32_t resources_list(const struct coap_message *request, const uint8_t **ret_list);
/* Another one where the list has changed. */
uint32_t resources_list_tag(void);

/* --- bodies in blocks --- */

struct coap_body {
	const uint8_t *data;
	uint32_t len, format;
};

/* Takes REQUEST's payload. COAP_EMPTY: the body is whole, in *RET_BODY; else what to answer. */
enum coap_code upload_take(const struct coap_message *request, uint32_t peer, uint64_t now_ns,
			   struct coap_body *ret_body);

/* --- exchanges and observers --- */

/* Begins the numbers of messages at random: clients take one that they have seen for a copy. */
void exchanges_seed(uint32_t seed);
/* One message of PEER. The answer is in *RET_ANSWER, which has ANSWER_LEN bytes; 0: none. */
uint32_t coap_input(uint32_t peer, const uint8_t *data, uint32_t len, uint64_t now_ns,
		    const uint8_t **ret_answer);
/* Of the next message to PEER; who has some of another's cannot tell it. */
uint16_t coap_next_id(uint32_t peer);
/* Writes the options of RESOURCE's content, and BLOCK of it. OBSERVER: it is for one, with this
 * SEQUENCE. */
void coap_put_content(struct coap_writer *writer, const struct resource *resource,
		      const struct coap_block *block, bool has_size2, bool is_observer,
		      uint32_t sequence);

#define OBSERVE_TIMER	0u
#define OBSERVE_MAX_AGE 420u /* s: he hears of it sooner, or is no observer any more */

void observers_seed(uint32_t seed, uint64_t now_ns);
/* False: too many. */
bool observers_add(const struct resource *resource, uint32_t peer,
		   const struct coap_message *request, uint64_t now_ns);
void observers_remove(uint32_t peer, const uint8_t *token, uint32_t token_len);
/* Tells who observes RESOURCE what it is now; or, IS_GONE, that it is no more. */
void observers_notify(const struct resource *resource, bool is_gone, uint64_t now_ns);
/* A reset or acknowledgement of one of our messages. */
void observers_hear(uint32_t peer, uint16_t id, bool is_reset, uint64_t now_ns);
/* Its time has come: asks again, asks who was silent for long, forgets who does not answer. */
void observers_timer(uint64_t now_ns);
uint32_t observers_count(void);
uint32_t observers_sequence(void);

struct coap_stats {
	uint64_t requests, duplicates, malformed, notifications, refused, observers_lost;
};
extern struct coap_stats coap_stats;
