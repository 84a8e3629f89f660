/*
 * Positions, sizes and listings of open descriptors.
 */
#include <errno.h>
#include <string.h>

#include "wasi/wasi_priv.h"

/* "." and ".." come before what the back end lists; so its cookies are shifted by two. */
#define COOKIE_SHIFT 2u

static int size_of(struct wasi_node *node, uint64_t *ret_size)
{
	struct wasi_stat stat;
	int err = node->ops->stat != NULL ? node->ops->stat(node, &stat) : -EOPNOTSUPP;
	if (err == 0)
		*ret_size = stat.size;
	return err;
}

/* A file with a position, and any of the RIGHTS. */
static int seekable_get(struct fwp *fwp, uint32_t fd, uint64_t rights,
			struct wasi_descriptor **ret_descriptor)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_file_get(fwp_context(fwp), fd, 0, &descriptor);
	if (err < 0)
		return err;
	if (descriptor->node->kind == WASI_NODE_STREAM)
		return -ESPIPE;
	if ((descriptor->rights_base & rights) == 0)
		return -WASI_ENOTCAPABLE;
	*ret_descriptor = descriptor;
	return 0;
}

int wasi_fd_seek(struct fwp *fwp, uint32_t fd, uint64_t delta, uint32_t whence, uint32_t out)
{
	/* The right to seek includes the right to tell; telling needs no more than that. */
	uint64_t rights = WASI_RIGHT_FD_SEEK;
	if (whence == WASI_WHENCE_CUR && delta == 0)
		rights |= WASI_RIGHT_FD_TELL;
	struct wasi_descriptor *descriptor;
	int err = seekable_get(fwp, fd, rights, &descriptor);
	if (err == 0)
		err = wasi_check_range(fwp, out, sizeof(uint64_t));
	if (err < 0)
		return err;
	uint64_t base = 0;
	if (whence == WASI_WHENCE_CUR)
		base = descriptor->offset;
	else if (whence == WASI_WHENCE_END)
		err = size_of(descriptor->node, &base);
	else if (whence != WASI_WHENCE_SET)
		err = -EINVAL;
	if (err < 0)
		return err;
	int64_t offset;
	if (base > (uint64_t)INT64_MAX ||
	    __builtin_add_overflow((int64_t)base, (int64_t)delta, &offset))
		return -EOVERFLOW;
	if (offset < 0)
		return -EINVAL;
	descriptor->offset = (uint64_t)offset;
	return wasi_copy_out(fwp, out, &descriptor->offset, sizeof(descriptor->offset));
}

int wasi_fd_tell(struct fwp *fwp, uint32_t fd, uint32_t out)
{
	struct wasi_descriptor *descriptor;
	int err = seekable_get(fwp, fd, WASI_RIGHT_FD_SEEK | WASI_RIGHT_FD_TELL, &descriptor);
	if (err < 0)
		return err;
	return wasi_copy_out(fwp, out, &descriptor->offset, sizeof(descriptor->offset));
}

static int set_size(struct wasi_node *node, uint64_t size)
{
	if (node->kind != WASI_NODE_FILE)
		return -EINVAL;
	if (size > (uint64_t)INT64_MAX)
		return -EFBIG;
	return node->ops->truncate != NULL ? node->ops->truncate(node, size) : -EOPNOTSUPP;
}

int wasi_fd_filestat_set_size(struct fwp *fwp, uint32_t fd, uint64_t size)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_file_get(fwp_context(fwp), fd, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &descriptor);
	return err < 0 ? err : set_size(descriptor->node, size);
}

int wasi_fd_allocate(struct fwp *fwp, uint32_t fd, uint64_t offset, uint64_t len)
{
	struct wasi_descriptor *descriptor;
	int err = wasi_file_get(fwp_context(fwp), fd, WASI_RIGHT_FD_ALLOCATE, &descriptor);
	if (err < 0)
		return err;
	uint64_t end;
	if (len == 0)
		return -EINVAL;
	if (__builtin_add_overflow(offset, len, &end) || end > (uint64_t)INT64_MAX)
		return -EFBIG;
	struct wasi_node *node = descriptor->node;
	err = node->ops->allocate != NULL ? node->ops->allocate(node, offset, len) : -EOPNOTSUPP;
	if (err != -EOPNOTSUPP)
		return err;
	uint64_t size = 0;
	err = size_of(node, &size);
	return err < 0 || end <= size ? err : set_size(node, end);
}

/* Entry number or cookie COOKIE of the guest's listing. 1, 0 at the end, or negative. */
static int entry_at(struct wasi_node *dir, uint64_t cookie, struct wasi_dirent *ret_entry)
{
	if (cookie < COOKIE_SHIFT) {
		struct wasi_stat stat = {0};
		if (dir->ops->stat != NULL) {
			int err = dir->ops->stat(dir, &stat);
			if (err < 0)
				return err;
		}
		/* What is above the directory is nobody's business; so ".." is itself. */
		ret_entry->next = cookie + 1;
		ret_entry->inode = stat.inode;
		ret_entry->kind = WASI_NODE_DIRECTORY;
		ret_entry->name_len = (uint32_t)cookie + 1;
		memcpy(ret_entry->name, "..", 2);
		return 1;
	}
	int more = dir->ops->read_dir(dir, cookie - COOKIE_SHIFT, ret_entry);
	if (more == 1 && __builtin_add_overflow(ret_entry->next, COOKIE_SHIFT, &ret_entry->next))
		return -EOVERFLOW;
	return more;
}

int wasi_fd_readdir(struct fwp *fwp, uint32_t fd, uint32_t buf, uint32_t len, uint64_t cookie,
		    uint32_t out)
{
	struct wasi_descriptor *descriptor;
	struct wasi *wasi = fwp_context(fwp);
	int err = wasi_directory_get(wasi, fd, WASI_RIGHT_FD_READDIR, &descriptor);
	if (err == 0)
		err = wasi_check_range(fwp, buf, len);
	if (err == 0)
		err = wasi_check_range(fwp, out, sizeof(uint32_t));
	if (err < 0)
		return err;
	struct wasi_node *dir = descriptor->node;
	if (dir->ops->read_dir == NULL)
		return -EOPNOTSUPP;
	struct wasi_dirent *entry = wasi_scratch(wasi, sizeof(*entry));
	if (entry == NULL)
		return -ENOMEM;
	/* The last entry may be cut: a full buffer tells the guest to come back with the cookie
	 * of the last whole one. */
	uint32_t used = 0;
	while (used < len) {
		int more = entry_at(dir, cookie, entry);
		if (more < 0 && used == 0)
			return more;
		if (more <= 0)
			break;
		struct wasi_abi_dirent head = {
			.next = entry->next,
			.ino = entry->inode,
			.namlen = entry->name_len,
			.type = wasi_filetype(entry->kind),
		};
		uint32_t piece = EOS_MIN(len - used, (uint32_t)sizeof(head));
		err = wasi_copy_out(fwp, buf + used, &head, piece);
		used += piece;
		piece = EOS_MIN(len - used, entry->name_len);
		if (err == 0)
			err = wasi_copy_out(fwp, buf + used, entry->name, piece);
		if (err < 0)
			return err;
		used += piece;
		cookie = entry->next;
	}
	return wasi_copy_out(fwp, out, &used, sizeof(used));
}
