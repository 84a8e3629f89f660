/*
 * When the disk gets full: writes are refused while there is still some space, and a file is held
 * in reserve whose space deletes can have.
 *
 * Uploads are refused (-ENOSPC) when less than 64 MiB or a hundredth of the file system is
 * free, whichever is less. Others may use up the rest. Then a delete, which has to write a few
 * pages, fails with -ENOSPC, too: the committer gives the reserve up, and tries again. Upkeep makes
 * a new one when there is space.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "store/local_priv.h"

#define FREE_MIN      (UINT64_C(64) << 20)
#define RESERVE_BYTES (UINT64_C(16) << 20)

EOS_COUNTER(reserves_used, "store.reserves_used_total",
	    "Times that the space in reserve was given up for deletes.")
EOS_COUNTER(full, "store.refused_full_total", "Writes refused, because the disk is nearly full.")

static int free_bytes(struct local *local, uint64_t *ret_free, uint64_t *ret_least)
{
	struct statvfs disk;
	if (fstatvfs(local->dir_fd, &disk) < 0)
		return -errno;
	uint64_t all = (uint64_t)disk.f_blocks * disk.f_frsize;
	*ret_free = (uint64_t)disk.f_bavail * disk.f_frsize;
	*ret_least = EOS_MIN(FREE_MIN, all / 100);
	return 0;
}

int local_space_check(struct local *local)
{
	uint64_t left = 0, least = 0;
	int err = eos_fault("store.space");
	if (err == 0)
		err = free_bytes(local, &left, &least);
	if (err == 0 && left < least)
		err = -ENOSPC;
	if (err == -ENOSPC)
		eos_counter_add(&full, 1);
	return err;
}

/* The reserve is an aid: a file system that cannot reserve has none, which is logged once a run. */
void local_space_reserve(struct local *local)
{
	uint64_t left = 0, least = 0;
	struct stat file;
	if (free_bytes(local, &left, &least) < 0 || left < 2 * least + RESERVE_BYTES)
		return;
	int fd = openat(local->dir_fd, "reserve", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : 0;
	if (err == 0 && fstat(fd, &file) < 0)
		err = -errno;
	if (err == 0 && (uint64_t)file.st_blocks * 512 < RESERVE_BYTES &&
	    fallocate(fd, 0, 0, (off_t)RESERVE_BYTES) < 0)
		err = -errno;
	fd = eos_close(fd);
	if (err == 0)
		atomic_store(&local->has_reserve, true);
	else if (!atomic_exchange(&local->has_warned, true))
		eos_log(EOS_LOG_WARN, "store", "no space in reserve for deletes error=%s",
			strerror(-err));
}

bool local_space_give_up(struct local *local)
{
	if (!atomic_exchange(&local->has_reserve, false))
		return false;
	int fd = openat(local->dir_fd, "reserve", O_RDWR | O_CLOEXEC);
	bool is_given = fd >= 0 && ftruncate(fd, 0) == 0;
	fd = eos_close(fd);
	eos_counter_add(&reserves_used, 1);
	eos_log(EOS_LOG_WARN, "store",
		"the disk is full: the space in reserve is used for deletes");
	return is_given;
}
