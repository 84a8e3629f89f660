/*
 * How much of metadata.mdb is mapped, and so counts as the process's memory: not more than some
 * tens of megabytes.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/macros.h"

struct local;

/* The greatest map, and so the greatest metadata.mdb: local.c. */
#define LOCAL_MAP_BYTES_MAX (sizeof(void *) > 4 ? (size_t)64 << 30 : (size_t)1 << 30)

struct local_map {
	char *start; /* NULL: not known, then nothing is done */
	size_t bytes;
	_Atomic unsigned reads;
	_Atomic long faults; /* of the process, when it was unmapped last */
};

/* At open, before anybody else reads or writes; there is a state record. -EBADMSG; -ENOENT. */
int local_map_find(struct local *local) EOS_MUST_CHECK;
/* A transaction begins. Any thread. */
void local_map_note_read(struct local *local);
