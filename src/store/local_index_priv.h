/*
 * The index of metadata and tags, for store_find(). Entries of the table `index`, of latest
 * versions outside the node's own buckets:
 *
 *     node (8) | name, NUL | 'n' | number (8) | sequence (8)       -> checksum (8), key
 *     node (8) | name, NUL | 't' | text, NUL  | sequence (8)       -> checksum (8), key
 *
 * Numbers are doubles whose bits are turned so that byte order is their order; names and texts are
 * cut off at LOCAL_INDEX_TEXT_MAX bytes. So an entry only says where to look: whoever finds one
 * looks at the record. The sequence is the record's: no two entries of a name and value collide.
 */
#pragma once

#include "store/local_priv.h"

#define LOCAL_INDEX_TEXT_MAX  128u
#define LOCAL_INDEX_ENTRY_MAX (8 + (LOCAL_INDEX_TEXT_MAX + 1) + 1 + (LOCAL_INDEX_TEXT_MAX + 1) + 8)

struct local_index_entry {
	uint8_t bytes[LOCAL_INDEX_ENTRY_MAX];
	size_t value_at; /* behind 'n' or 't' */
	size_t value_end;
	size_t len;
};

/* Is metadata of this name in the index? */
bool local_index_has(const char *name);
void local_index_entry_make(struct local_index_entry *entry, uint64_t node, const char *name,
			    const char *value, uint64_t sequence);
static inline MDB_val local_index_entry_val(struct local_index_entry *entry)
{
	return (MDB_val){.mv_size = entry->len, .mv_data = entry->bytes};
}
/* The key that an entry leads to; borrowed from VALUE. -EBADMSG. */
int local_index_parse(const MDB_val *entry, const MDB_val *value, const char **ret_key,
		      size_t *ret_len) EOS_MUST_CHECK;

/* Decimal: digits, perhaps a minus before and a fraction behind. */
bool local_text_is_number(const char *text);
/* Below 0, 0, above 0: two numbers as numbers of any length, else as bytes. */
int local_text_compare(const char *a, const char *b);
