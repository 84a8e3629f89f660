/*
 * The chunker: turns the bytes of one upload, from front to back, into chunks in segments.
 *
 * What comes in is collected in one buffer, cut, named, looked up, and, where it is new, written to
 * a segment from there, a MiB or so at a time. The list of chunks is kept until the upload commits;
 * of a large upload every LOCAL_LIST_MAX chunks are committed ahead to its manifest, which stands
 * in the trash meanwhile (local_commit.c).
 *
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/local_cdc_priv.h"
#include "store/local_chunks_priv.h"

struct local;
struct local_chunker;

/* IS_COMPRESSED: chunks are compressed where that saves something. KEY: that they are encrypted
 * with, or NULL; borrowed as long as the chunker lives. */
int local_chunker_new(struct local *local, bool is_compressed, const struct local_key *key,
		      struct local_chunker **ret_chunker) EOS_MUST_CHECK;
/* Gives back what was not committed. NULL is fine. Returns NULL. */
struct local_chunker *local_chunker_free(struct local_chunker *chunker);
/* After an error only local_chunker_free() is allowed. */
int local_chunker_write(struct local_chunker *chunker, const void *data, size_t len) EOS_MUST_CHECK;
/* Ends the running chunk and takes one over that is stored, and that the caller keeps from going
 * during the call. -EAGAIN: it is going all the same. */
int local_chunker_refer(struct local_chunker *chunker, const uint8_t name[LOCAL_NAME_SIZE],
			uint32_t len) EOS_MUST_CHECK;
/* Ends the last chunk and writes what is left. *RET_LIST: what is to be committed with the record,
 * borrowed. Call local_chunker_committed() when it was. */
int local_chunker_finish(struct local_chunker *chunker,
			 const struct local_chunk_list **ret_list) EOS_MUST_CHECK;
void local_chunker_committed(struct local_chunker *chunker);
/* Calls VISIT with all plain bytes that went in, in order; they are read back. */
int local_chunker_each(struct local_chunker *chunker,
		       int (*visit)(void *ctx, const void *data, size_t len),
		       void *ctx) EOS_MUST_CHECK;
