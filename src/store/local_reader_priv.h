/*
 * What an upload that takes a range of an object over needs of its reader.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/local_chunks_priv.h"

struct store_reader;

/* Whether the object stands in chunks that another one may share, which is encrypted with the key
 * KEY_ID, and, if that is a customer's, has it wrapped as WRAPPED. */
bool local_reader_is_shareable(const struct store_reader *reader, uint16_t key_id,
			       const char *wrapped);
/* The chunk that holds byte OFFSET, and where it begins. It does not go while the reader is open.
 * -EBADMSG. */
int local_reader_chunk_at(struct store_reader *reader, uint64_t offset,
			  struct local_page_entry *ret_entry, uint64_t *ret_start) EOS_MUST_CHECK;
