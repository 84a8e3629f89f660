/*
 * Block files. A file is written in staging/ and gets its id, header and table only when it is
 * whole; no file below blocks/ is ever written to.
 */
#include "store/local_blocks_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"

EOS_COUNTER(block_syncs, "store.block_syncs_total", "Block files synced to disk.")

void local_block_path(uint64_t id, char out[LOCAL_BLOCK_PATH_SIZE])
{
	snprintf(out, LOCAL_BLOCK_PATH_SIZE, "%02x/%016llx", local_block_dir(id),
		 (unsigned long long)id);
}

int local_blocks_prepare(struct local *local)
{
	bool is_new = false;
	for (unsigned i = 0; i < LOCAL_BLOCK_DIRS; i++) {
		char name[4];
		snprintf(name, sizeof(name), "%02x", i & 0xff);
		if (mkdirat(local->blocks_fd, name, 0700) == 0)
			is_new = true;
		else if (errno != EEXIST)
			return -errno;
	}
	return is_new && fsync(local->blocks_fd) < 0 ? -errno : 0;
}

int local_dir_each(int parent_fd, const char *name,
		   int (*visit)(void *ctx, int fd, const char *name), void *ctx)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd = eos_close(fd);
		return -ENOMEM;
	}
	int result = 0;
	struct dirent *entry;
	while (result == 0 && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = visit(ctx, fd, entry->d_name);
	}
	closedir(dir);
	return result;
}

static int stop_at_first(void *ctx, int fd, const char *name)
{
	return 1;
}

int local_blocks_have_files(struct local *local)
{
	for (unsigned i = 0; i < LOCAL_BLOCK_DIRS; i++) {
		char name[4];
		snprintf(name, sizeof(name), "%02x", i & 0xff);
		int err = local_dir_each(local->blocks_fd, name, stop_at_first, NULL);
		if (err != 0 && err != -ENOENT)
			return err;
	}
	return 0;
}

int local_staging_create(struct local *local, char name[LOCAL_STAGING_NAME_SIZE], int *ret_fd)
{
	int err = eos_fault("store.block_create");
	if (err < 0)
		return err;
	snprintf(name, LOCAL_STAGING_NAME_SIZE, "%016llx",
		 (unsigned long long)atomic_fetch_add(&local->staging_next, 1));
	int fd = openat(local->staging_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

void local_staging_remove(struct local *local, const char *name)
{
	/* What stays is removed at the next open. */
	(void)unlinkat(local->staging_fd, name, 0);
}

int local_block_finish(struct local *local, int fd, uint64_t block_id, uint64_t size, uint64_t salt,
		       const uint64_t *table, size_t count)
{
	struct local_block_header header = {.block_id = block_id, .size = size, .salt = salt};
	local_block_header_seal(&header);
	int err = eos_fault("store.block_write");
	if (err == 0)
		err = eos_pwrite_full(fd, table, count * sizeof(table[0]),
				      (off_t)(LOCAL_BLOCK_DATA_OFFSET + size));
	if (err == 0)
		err = eos_pwrite_full(fd, &header, sizeof(header), 0);
	if (err < 0)
		return err;
	err = eos_fault("store.block_fsync");
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	eos_counter_add(&block_syncs, 1);
	/* Nothing refers to this file yet: when there was no space for it, nothing else is in
	 * doubt. After any other failure the disk cannot be trusted with what comes next. */
	if (err == -EDQUOT)
		err = -ENOSPC;
	if (err < 0 && err != -ENOSPC)
		local_turn_read_only(local, "fsync of a block file", err);
	return err;
}

static int dir_open(struct local *local, unsigned dir, int *ret_fd)
{
	char name[4];
	snprintf(name, sizeof(name), "%02x", dir & 0xff);
	int fd = openat(local->blocks_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int local_block_publish(struct local *local, const char *staging_name, uint64_t block_id,
			int *ret_dir_fd)
{
	char path[LOCAL_BLOCK_PATH_SIZE];
	int dir_fd = -1;
	local_block_path(block_id, path);
	int err = eos_fault("store.block_rename");
	if (err == 0)
		err = dir_open(local, local_block_dir(block_id), &dir_fd);
	if (err < 0)
		return err;
	if (renameat(local->staging_fd, staging_name, local->blocks_fd, path) < 0) {
		err = -errno;
		dir_fd = eos_close(dir_fd);
		return err;
	}
	*ret_dir_fd = dir_fd;
	return 0;
}

int local_block_open(struct local *local, const struct local_record *record, int *ret_fd)
{
	char path[LOCAL_BLOCK_PATH_SIZE];
	local_block_path(record->block_id, path);
	int fd = openat(local->blocks_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	struct local_block_header header;
	int err = eos_fault("store.block_read");
	if (err == 0)
		err = eos_pread_full(fd, &header, sizeof(header), 0);
	if (err == 0)
		err = local_block_header_check(&header, record);
	if (err < 0) {
		fd = eos_close(fd);
		return err == -ENODATA ? -EBADMSG : err;
	}
	*ret_fd = fd;
	return 0;
}

int local_block_unlink(struct local *local, uint64_t block_id)
{
	char path[LOCAL_BLOCK_PATH_SIZE];
	local_block_path(block_id, path);
	int err = eos_fault("store.block_unlink");
	if (err == 0 && unlinkat(local->blocks_fd, path, 0) < 0 && errno != ENOENT)
		err = -errno;
	return err;
}

int local_block_dir_sync(struct local *local, unsigned dir)
{
	int fd = -1;
	int err = dir_open(local, dir, &fd);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	fd = eos_close(fd);
	return err;
}
