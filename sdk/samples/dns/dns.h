/*
 * Messages of the Domain Name System (RFC 1035), read and written without trusting a byte of them.
 * Names are kept as they are on the wire, not compressed, in small letters: labels with their
 * lengths, ended by an empty one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define NAME_MAX_BYTES 255u
#define HEADER_BYTES   12u
#define ANSWER_MAX     1232u /* over UDP with EDNS; 512 without */
#define PLAIN_MAX      512u

#define TYPE_A	   1u
#define TYPE_CNAME 5u
#define TYPE_SOA   6u
#define TYPE_PTR   12u
#define TYPE_TXT   16u
#define TYPE_AAAA  28u
#define TYPE_DNAME 39u
#define TYPE_OPT   41u
#define TYPE_RRSIG 46u
#define TYPE_META  249u /* from here to ANY are none of data (RFC 6895, 3.1) */
#define TYPE_IXFR  251u
#define TYPE_AXFR  252u
#define TYPE_ANY   255u
#define CLASS_IN   1u

enum { RCODE_OK, RCODE_FORMAT, RCODE_SERVER, RCODE_NO_NAME, RCODE_NOT_IMPLEMENTED, RCODE_REFUSED };

#define FLAG_RESPONSE  0x8000u
#define FLAG_AUTHORITY 0x0400u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSE   0x0100u
#define FLAG_CHECKED   0x0010u /* checking disabled */
#define FLAG_AUTHENTIC 0x0020u

/* Of EDNS: a client's 8 bytes, and the server's 8 to 32 behind them once he has got them. */
#define COOKIE_CLIENT 8u
#define COOKIE_BOTH   16u
#define COOKIE_MAX    40u

struct name {
	uint8_t bytes[NAME_MAX_BYTES];
	uint32_t len; /* with the empty label */
};

struct question {
	struct name name;
	uint16_t id, flags, type, class;
	uint32_t end;  /* of it in the message */
	bool has_edns; /* queries only */
	bool is_edns_version_known;
	bool wants_dnssec;
	bool has_more; /* queries only: other records, as a signature (TSIG), or options of EDNS */
	uint32_t cookie, cookie_len; /* queries only: where the one of RFC 7873 is; 0: none */
	uint32_t room;		     /* bytes that an answer may have */
};

/* Reads the name at OFFSET of a message; *RET_END is behind it. Pointers lead only backwards, so
 * that each ends. False: it is none. */
bool name_read(const uint8_t *message, uint32_t len, uint32_t offset, struct name *ret,
	       uint32_t *ret_end);
/* From text ("www", "a.b."), below ORIGIN unless it ends with a dot; "@" is ORIGIN. */
bool name_parse(const char *text, uint32_t len, const struct name *origin, struct name *ret);
bool name_is(const struct name *one, const struct name *other);
/* Is NAME that of PARENT, or below it? */
bool name_is_below(const struct name *name, const struct name *parent);

/* A query with one question, to its end. 0, or the RCODE_ of the refusal, with what could be read
 * (EDNS, whatever is wrong before it); -1: not even worth one. */
int query_read(const uint8_t *message, uint32_t len, struct question *ret);
/* The first question of a message, whatever it is. */
bool question_read(const uint8_t *message, uint32_t len, struct question *ret);

struct record {
	uint32_t offset;     /* of its name */
	uint32_t ttl_offset; /* where its TTL is */
	uint16_t type;
	uint32_t ttl, data, data_len, end;
};
/* The record at OFFSET. */
bool record_read(const uint8_t *message, uint32_t len, uint32_t offset, struct record *ret);

/* --- zone --- */

#define RECORDS_MAX  256u
#define RDATA_MAX    256u
#define ZONE_TTL     3600u
#define NEGATIVE_TTL 60u
#define ZONE_TTL_MAX 604800u

/* Forgets everything; ORIGIN is what names end with. */
bool zone_init(const char *origin, uint32_t len);
/* Adds "NAME [TTL] TYPE DATA; …". False: *RET_WRONG and its length say what is wrong. */
bool zone_add(const char *text, uint32_t len, const char **ret_wrong, uint32_t *ret_wrong_len);
uint32_t zone_count(void);
/* Writes the answer to a query (or to a refusal: RCODE) into OUT, which has ANSWER_MAX bytes.
 * Returns its length; 0: no answer. */
uint32_t zone_answer(const uint8_t *query, uint32_t len, uint8_t *out);

/* --- cache --- */

#define CACHE_PLACES  512u
#define CACHE_MESSAGE 768u
#define CACHE_TTL_MAX 86400u

/* Who asked whom: both addresses and ports. */
struct asked {
	uint8_t client[16], server[16];
	uint16_t client_port;
	uint32_t network; /* queries: the VLANs, where the same address may be another server's */
};

/* What ASKED's server says to QUERY, if it is known: its length in OUT (ANSWER_MAX bytes). 0: it is
 * not, and is expected to come from there. -1: the query is malformed. */
int cache_answer(const uint8_t *query, uint32_t len, const struct asked *asked, uint64_t now_ns,
		 uint8_t *out);
/* A message of a server. Keeps it if it answers what was asked. False: it is malformed. */
bool cache_take(const uint8_t *message, uint32_t len, const struct asked *asked, uint64_t now_ns);
struct cache_stats {
	uint64_t hits, misses, kept, unasked;
};
extern struct cache_stats cache_stats;
