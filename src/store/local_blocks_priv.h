/*
 * Block files: the data of objects that are too large for LMDB. Format: local_records_priv.h.
 */
#pragma once

#include <stdint.h>

#include "store/local_priv.h"

/* "XX/0123456789abcdef" */
#define LOCAL_BLOCK_PATH_SIZE 24
#define LOCAL_BLOCK_DIRS      256u

/* Data of an object begins behind the header. */
#define LOCAL_BLOCK_DATA_OFFSET sizeof(struct local_block_header)

static inline uint64_t local_chunk_count(uint64_t size)
{
	return (size + LOCAL_CHUNK_SIZE - 1) / LOCAL_CHUNK_SIZE;
}

/* 256 ids in a row share a directory, so that one sync covers those who commit together. */
static inline unsigned local_block_dir(uint64_t id)
{
	return (unsigned)(id >> 8) % LOCAL_BLOCK_DIRS;
}

void local_block_path(uint64_t id, char out[LOCAL_BLOCK_PATH_SIZE]);
/* Makes the directories where they are missing, durably. */
int local_blocks_prepare(struct local *local) EOS_MUST_CHECK;

/* Calls VISIT for each entry of a directory until it returns non-zero, which is then returned. */
int local_dir_each(int parent_fd, const char *name,
		   int (*visit)(void *ctx, int fd, const char *name), void *ctx) EOS_MUST_CHECK;
/* 1: there are block files; 0; or an error. */
int local_blocks_have_files(struct local *local) EOS_MUST_CHECK;

/* A new file in staging/. NAME gets its name. */
#define LOCAL_STAGING_NAME_SIZE 20
int local_staging_create(struct local *local, char name[LOCAL_STAGING_NAME_SIZE],
			 int *ret_fd) EOS_MUST_CHECK;
void local_staging_remove(struct local *local, const char *name);

/* Writes header and table (COUNT checksums) around SIZE bytes of data, then syncs the file. */
int local_block_finish(struct local *local, int fd, uint64_t block_id, uint64_t size, uint64_t salt,
		       const uint64_t *table, size_t count) EOS_MUST_CHECK;
/* Moves the file to its place. *RET_DIR_FD must be synced before anything refers to it. */
int local_block_publish(struct local *local, const char *staging_name, uint64_t block_id,
			int *ret_dir_fd) EOS_MUST_CHECK;
/* Opens a block file and checks its header against RECORD. -ENOENT, -EBADMSG. */
int local_block_open(struct local *local, const struct local_record *record,
		     int *ret_fd) EOS_MUST_CHECK;
/* A file that is not there is fine. */
int local_block_unlink(struct local *local, uint64_t block_id) EOS_MUST_CHECK;
/* Syncs the directory with this index (local_block_dir()). */
int local_block_dir_sync(struct local *local, unsigned dir) EOS_MUST_CHECK;
