/*
 * The aws-chunked coding of a body: chunks with or without a signature each, and trailers.
 *
 * A pure state machine: it is fed bytes as they come and says what they are; it keeps no data but
 * the line it is reading. It checks the form; signatures and totals are the caller's business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define S3_CHUNK_LINE_MAX     1024u
#define S3_CHUNK_TRAILERS_MAX 16u
#define S3_SIGNATURE_DIGITS   64u

enum s3_chunk_state {
	S3_CHUNK_SIZE,	  /* in "400;chunk-signature=…\r\n" */
	S3_CHUNK_DATA,	  /* in a chunk's bytes */
	S3_CHUNK_DATA_CR, /* the line end behind them */
	S3_CHUNK_DATA_LF,
	S3_CHUNK_TRAILER, /* in trailer lines; an empty one ends the body */
	S3_CHUNK_DONE,
	S3_CHUNK_FAILED
};

struct s3_chunked {
	enum s3_chunk_state state;
	bool is_signed;	   /* each chunk must carry a signature */
	bool has_trailers; /* trailer lines are allowed behind the last chunk */
	bool is_last;	   /* the chunk of size 0 was seen */
	uint64_t left;	   /* bytes of the current chunk to come */
	unsigned trailers;
	size_t line_len;
	char line[S3_CHUNK_LINE_MAX + 1];
};

enum s3_chunk_event {
	S3_CHUNK_EVENT_MORE,	/* all input was used up */
	S3_CHUNK_EVENT_BEGIN,	/* a chunk begins: signature ("" if not signed) */
	S3_CHUNK_EVENT_DATA,	/* data, len */
	S3_CHUNK_EVENT_END,	/* the chunk that began is complete; also for the last, empty one */
	S3_CHUNK_EVENT_TRAILER, /* name (lower case), value */
	S3_CHUNK_EVENT_DONE	/* the body is complete; further bytes are an error */
};

struct s3_chunk_item {
	const char *data; /* into the input */
	size_t len;
	const char *signature;	  /* until the next call */
	const char *name, *value; /* until the next call */
};

void s3_chunked_init(struct s3_chunked *chunked, bool is_signed, bool has_trailers);
/*
 * Looks at *DATA (*LEN bytes), advances both, and returns the next event with what belongs to it
 * in *RET_ITEM; call it again until S3_CHUNK_EVENT_MORE. -EINVAL: malformed, and so is all that
 * follows.
 */
int s3_chunked_next(struct s3_chunked *chunked, const char **data, size_t *len,
		    struct s3_chunk_item *ret_item) EOS_MUST_CHECK;
bool s3_chunked_is_done(const struct s3_chunked *chunked);
