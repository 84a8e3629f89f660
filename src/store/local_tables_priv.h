/*
 * The tables whose entries can be checked one by one, by what stands in them: all but those of
 * objects and versions, whose checksums are seeded by whole keys.
 */
#pragma once

#include <lmdb.h>
#include <stddef.h>

#include "base/macros.h"

struct local;

/* LMDB's. */
#define LOCAL_TABLE_KEY_MAX 511u

struct local_table {
	const char *what; /* an entry is, for people; NULL ends the list */
	size_t dbi;	  /* where in struct local */
	/* -EBADMSG. */
	int (*check)(const MDB_val *key, const MDB_val *value);
};
extern const struct local_table local_tables[];

MDB_dbi local_table_dbi(const struct local *local, const struct local_table *table);
