/*
 * Keys of up to STORE_KEY_MAX bytes in an LMDB whose own keys end at 511 bytes.
 *
 * A bucket's keys form a tree of nodes (numbers). An entry of the objects table is
 *     node (8 bytes, big-endian) | segment                       -> the object's record
 *     node | segment of exactly LOCAL_SEGMENT bytes | 0x01       -> the child node, where the rest
 *                                                                   of the longer keys goes on
 * so a key needs one entry a LOCAL_SEGMENT bytes, at most LOCAL_LEVELS_MAX, however many keys share
 * its beginning. The mark byte makes a child's entry longer than every record's, so the two are
 * told apart by length, need no escape for any byte of a key, and stand in the right order: a key
 * that ends with the segment comes before those that go on. A child is removed with its last entry.
 */
#pragma once

#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

#define LOCAL_SEGMENT	 480u
#define LOCAL_ENTRY_MAX	 (8 + LOCAL_SEGMENT + 1)
#define LOCAL_LEVELS_MAX ((STORE_KEY_MAX + LOCAL_SEGMENT - 1) / LOCAL_SEGMENT)

/* *RET_VALUE is borrowed until the transaction writes or ends. -ENOENT, -EBADMSG. */
int local_keys_get(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len,
		   MDB_val *ret_value) EOS_MUST_CHECK;
/* Makes room for a value of SIZE bytes, which the caller fills before the next call on TXN. New
 * nodes are numbered from *NODE_NEXT. After an error the transaction must be aborted. */
int local_keys_put(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len,
		   size_t size, uint64_t *node_next, void **ret_space) EOS_MUST_CHECK;
/* -ENOENT. After another error the transaction must be aborted. */
int local_keys_delete(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key,
		      size_t key_len) EOS_MUST_CHECK;
/* 1: no entry below NODE; 0; or an error. */
int local_keys_is_empty(MDB_txn *txn, MDB_dbi dbi, uint64_t node) EOS_MUST_CHECK;

/* A place in the order of a bucket's keys; for read transactions. */
struct local_key_cursor {
	MDB_txn *txn;
	MDB_dbi dbi;
	unsigned depth;
	MDB_cursor *cursors[LOCAL_LEVELS_MAX]; /* opened when first needed */
	uint64_t nodes[LOCAL_LEVELS_MAX];
	/* The key and value at the place, after seek or next returned 0. */
	char key[LOCAL_LEVELS_MAX * LOCAL_SEGMENT];
	size_t key_len;
	MDB_val value;
};

void local_key_cursor_init(struct local_key_cursor *cursor, MDB_txn *txn, MDB_dbi dbi,
			   uint64_t root);
void local_key_cursor_fini(struct local_key_cursor *cursor);
/* To the first key >= KEY; KEY may be empty or longer than a key can be. -ENOENT: there is none. */
int local_key_cursor_seek(struct local_key_cursor *cursor, const char *key,
			  size_t key_len) EOS_MUST_CHECK;
/* To the key behind. -ENOENT: there is none. */
int local_key_cursor_next(struct local_key_cursor *cursor) EOS_MUST_CHECK;
