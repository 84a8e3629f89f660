/*
 * The table of descriptors, and the functions that ask or change a descriptor.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wasi/wasi_priv.h"

#define DESCRIPTORS_FIRST 8u /* enough for most; the table doubles */

int wasi_descriptor_reserve(struct wasi *wasi, unsigned first, uint32_t *ret_fd)
{
	unsigned fd = first;
	while (fd < wasi->descriptors_count && wasi->descriptors[fd].node != NULL)
		fd++;
	if (fd >= WASI_DESCRIPTORS_MAX)
		return -EMFILE;
	if (fd >= wasi->descriptors_count) {
		unsigned count = EOS_MAX(wasi->descriptors_count * 2, DESCRIPTORS_FIRST);
		struct wasi_descriptor *grown =
			realloc(wasi->descriptors, count * sizeof(*wasi->descriptors));
		if (grown == NULL)
			return -ENOMEM;
		memset(grown + wasi->descriptors_count, 0,
		       (count - wasi->descriptors_count) * sizeof(*grown));
		wasi->descriptors = grown;
		wasi->descriptors_count = count;
	}
	*ret_fd = fd;
	return 0;
}

void wasi_descriptor_drop(struct wasi_descriptor *descriptor)
{
	struct wasi_node *node = descriptor->node;
	free(descriptor->preopen_path);
	*descriptor = (struct wasi_descriptor){0};
	wasi_node_unref(node);
}

int wasi_descriptor_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
			struct wasi_descriptor **ret_descriptor)
{
	if (fd >= wasi->descriptors_count || wasi->descriptors[fd].node == NULL)
		return -EBADF;
	struct wasi_descriptor *descriptor = &wasi->descriptors[fd];
	uint64_t missing = rights & ~descriptor->rights_base;
	if ((missing & (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE)) != 0)
		return -EBADF;
	if (missing != 0)
		return -WASI_ENOTCAPABLE;
	*ret_descriptor = descriptor;
	return 0;
}

int wasi_file_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
		  struct wasi_descriptor **ret_descriptor)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(wasi, fd, 0, &descriptor);
	if (err < 0)
		return err;
	if (descriptor->node->kind == WASI_NODE_DIRECTORY) {
		bool is_transfer = (rights & (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE)) != 0;
		return is_transfer ? -EISDIR : -EBADF;
	}
	return wasi_descriptor_get(wasi, fd, rights, ret_descriptor);
}

int wasi_directory_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
		       struct wasi_descriptor **ret_descriptor)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(wasi, fd, 0, &descriptor);
	if (err < 0)
		return err;
	if (descriptor->node->kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	return wasi_descriptor_get(wasi, fd, rights, ret_descriptor);
}

uint8_t wasi_filetype(enum wasi_node_kind kind)
{
	switch (kind) {
	case WASI_NODE_FILE:
		return WASI_FILETYPE_REGULAR_FILE;
	case WASI_NODE_DIRECTORY:
		return WASI_FILETYPE_DIRECTORY;
	case WASI_NODE_SYMLINK:
		return WASI_FILETYPE_SYMBOLIC_LINK;
	case WASI_NODE_STREAM:
		break;
	}
	return WASI_FILETYPE_UNKNOWN;
}

void wasi_filestat_fill(struct wasi_abi_filestat *out, const struct wasi_stat *stat)
{
	*out = (struct wasi_abi_filestat){
		.dev = stat->device,
		.ino = stat->inode,
		.filetype = wasi_filetype(stat->kind),
		.nlink = stat->links,
		.size = stat->size,
		.atim = stat->atime_ns,
		.mtim = stat->mtime_ns,
		.ctim = stat->ctime_ns,
	};
}

int wasi_times_from_flags(uint32_t flags, uint64_t *atim, uint64_t *mtim,
			  const uint64_t **ret_atime, const uint64_t **ret_mtime)
{
	const uint32_t both_atim = WASI_FSTFLAG_ATIM | WASI_FSTFLAG_ATIM_NOW;
	const uint32_t both_mtim = WASI_FSTFLAG_MTIM | WASI_FSTFLAG_MTIM_NOW;
	if ((flags & ~WASI_FSTFLAGS_ALL) != 0 || (flags & both_atim) == both_atim ||
	    (flags & both_mtim) == both_mtim)
		return -EINVAL;
	uint64_t now = eos_wall_ns();
	if ((flags & WASI_FSTFLAG_ATIM_NOW) != 0)
		*atim = now;
	if ((flags & WASI_FSTFLAG_MTIM_NOW) != 0)
		*mtim = now;
	*ret_atime = (flags & both_atim) != 0 ? atim : NULL;
	*ret_mtime = (flags & both_mtim) != 0 ? mtim : NULL;
	return 0;
}

static int close_node(struct wasi_node *node)
{
	return node->ops->close != NULL ? node->ops->close(node) : 0;
}

void wasi_finish(struct fwp *fwp)
{
	struct wasi *wasi = fwp_context(fwp);
	int err = 0;
	for (unsigned fd = 0; fd < wasi->descriptors_count; fd++) {
		struct wasi_descriptor *descriptor = &wasi->descriptors[fd];
		if (descriptor->node == NULL || descriptor->node->kind != WASI_NODE_FILE)
			continue;
		int closed = close_node(descriptor->node);
		wasi_descriptor_drop(descriptor);
		if (err == 0)
			err = closed;
	}
	if (err < 0)
		fwp_exit(fwp, WASI_EXIT_UNSAVED);
}

int wasi_fd_close(struct fwp *fwp, uint32_t fd)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	/* Closed also when close() failed, as on Linux. */
	err = close_node(descriptor->node);
	wasi_descriptor_drop(descriptor);
	return err;
}

int wasi_fd_renumber(struct fwp *fwp, uint32_t from, uint32_t to)
{
	struct wasi *wasi = fwp_context(fwp);
	struct wasi_descriptor *source, *target;
	int err = wasi_descriptor_get(wasi, from, 0, &source);
	if (err == 0)
		err = wasi_descriptor_get(wasi, to, 0, &target);
	if (err < 0 || source == target)
		return err;
	/* Done also when closing the target failed; the guest is told nevertheless. */
	err = close_node(target->node);
	wasi_descriptor_drop(target);
	*target = *source;
	*source = (struct wasi_descriptor){0};
	return err;
}

static int sync_node(struct fwp *fwp, uint32_t fd, uint64_t right, bool data_only)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, right, &descriptor);
	if (err < 0)
		return err;
	const struct wasi_vfs_ops *ops = descriptor->node->ops;
	return ops->sync != NULL ? ops->sync(descriptor->node, data_only) : -EOPNOTSUPP;
}

int wasi_fd_datasync(struct fwp *fwp, uint32_t fd)
{
	return sync_node(fwp, fd, WASI_RIGHT_FD_DATASYNC, true);
}

int wasi_fd_sync(struct fwp *fwp, uint32_t fd)
{
	return sync_node(fwp, fd, WASI_RIGHT_FD_SYNC, false);
}

int wasi_fd_advise(struct fwp *fwp, uint32_t fd, uint64_t offset, uint64_t len, uint32_t advice)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_file_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	if (descriptor->node->kind == WASI_NODE_STREAM)
		return -ESPIPE;
	err = wasi_file_get(fwp_context(fwp), fd, WASI_RIGHT_FD_ADVISE, &descriptor);
	if (err < 0)
		return err;
	return advice > WASI_ADVICE_LAST ? -EINVAL : 0; /* advice may be ignored */
}

int wasi_fd_fdstat_get(struct fwp *fwp, uint32_t fd, uint32_t out)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	const struct wasi_node *node = descriptor->node;
	struct wasi_abi_fdstat stat = {
		.filetype = node->is_terminal ? WASI_FILETYPE_CHARACTER_DEVICE
					      : wasi_filetype(node->kind),
		.flags = descriptor->flags,
		.rights_base = descriptor->rights_base,
		.rights_inheriting = descriptor->rights_inheriting,
	};
	return wasi_copy_out(fwp, out, &stat, sizeof(stat));
}

int wasi_check_fdflags(uint32_t fdflags, uint64_t rights)
{
	uint64_t enough = 0;
	if ((fdflags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC)) != 0)
		enough = WASI_RIGHT_FD_SYNC;
	else if ((fdflags & WASI_FDFLAG_DSYNC) != 0)
		enough = WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_DATASYNC;
	return enough == 0 || (rights & enough) != 0 ? 0 : -WASI_ENOTCAPABLE;
}

int wasi_fd_fdstat_set_flags(struct fwp *fwp, uint32_t fd, uint32_t flags)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, WASI_RIGHT_FD_FDSTAT_SET_FLAGS,
				      &descriptor);
	if (err < 0)
		return err;
	if ((flags & ~WASI_FDFLAGS_ALL) != 0)
		return -EINVAL;
	/* What it has already was granted when it was opened. */
	err = wasi_check_fdflags(flags & ~(uint32_t)descriptor->flags, descriptor->rights_base);
	if (err < 0)
		return err;
	descriptor->flags = (uint16_t)flags;
	return 0;
}

int wasi_fd_fdstat_set_rights(struct fwp *fwp, uint32_t fd, uint64_t base, uint64_t inheriting)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	if ((base & ~descriptor->rights_base) != 0 ||
	    (inheriting & ~descriptor->rights_inheriting) != 0)
		return -WASI_ENOTCAPABLE;
	descriptor->rights_base = base;
	descriptor->rights_inheriting = inheriting;
	return 0;
}

int wasi_fd_filestat_get(struct fwp *fwp, uint32_t fd, uint32_t out)
{
	struct wasi_descriptor *descriptor;
	int err =
		wasi_descriptor_get(fwp_context(fwp), fd, WASI_RIGHT_FD_FILESTAT_GET, &descriptor);
	if (err < 0)
		return err;
	struct wasi_node *node = descriptor->node;
	if (node->ops->stat == NULL)
		return -EOPNOTSUPP;
	struct wasi_stat stat;
	err = node->ops->stat(node, &stat);
	if (err < 0)
		return err;
	struct wasi_abi_filestat filestat;
	wasi_filestat_fill(&filestat, &stat);
	if (node->is_terminal)
		filestat.filetype = WASI_FILETYPE_CHARACTER_DEVICE;
	return wasi_copy_out(fwp, out, &filestat, sizeof(filestat));
}

int wasi_fd_filestat_set_times(struct fwp *fwp, uint32_t fd, uint64_t atim, uint64_t mtim,
			       uint32_t flags)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, WASI_RIGHT_FD_FILESTAT_SET_TIMES,
				      &descriptor);
	if (err < 0)
		return err;
	const uint64_t *atime_ns, *mtime_ns;
	err = wasi_times_from_flags(flags, &atim, &mtim, &atime_ns, &mtime_ns);
	if (err < 0)
		return err;
	const struct wasi_vfs_ops *ops = descriptor->node->ops;
	if (ops->set_times == NULL)
		return -EOPNOTSUPP;
	return ops->set_times(descriptor->node, atime_ns, mtime_ns);
}

/* The preopen FD: -EBADF when it is none, which ends the guest's search for preopens. */
static int preopen_get(struct fwp *fwp, uint32_t fd, const char **ret_path)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	if (descriptor->preopen_path == NULL)
		return -EBADF;
	*ret_path = descriptor->preopen_path;
	return 0;
}

int wasi_fd_prestat_get(struct fwp *fwp, uint32_t fd, uint32_t out)
{
	const char *path;
	int err = preopen_get(fwp, fd, &path);
	if (err < 0)
		return err;
	struct wasi_abi_prestat prestat = {.name_len = (uint32_t)strlen(path)};
	return wasi_copy_out(fwp, out, &prestat, sizeof(prestat));
}

int wasi_fd_prestat_dir_name(struct fwp *fwp, uint32_t fd, uint32_t path, uint32_t len)
{
	const char *name;
	int err = preopen_get(fwp, fd, &name);
	if (err < 0)
		return err;
	size_t name_len = strlen(name);
	if (len < name_len)
		return -ENAMETOOLONG;
	return wasi_copy_out(fwp, path, name, name_len);
}
