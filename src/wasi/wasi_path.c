/*
 * The functions that take paths. Each checks the rights of its directories, normalises its paths
 * and asks the back end. A trailing slash means a directory, which the back ends do not see: it is
 * checked here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wasi/wasi_priv.h"

/* A directory of the guest and a path in it. */
struct place {
	struct wasi_node *dir;
	const struct wasi_vfs_ops *ops;
	struct wasi_path path;
};

char *wasi_path_buffer(struct wasi *wasi, unsigned slot)
{
	if (wasi->paths == NULL)
		wasi->paths = malloc(2 * (WASI_PATH_MAX + 1));
	return wasi->paths != NULL ? wasi->paths + slot * (WASI_PATH_MAX + 1) : NULL;
}

int wasi_path_get(struct fwp *fwp, struct wasi *wasi, unsigned slot, uint32_t address, uint32_t len,
		  struct wasi_path *ret_path)
{
	if (len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	char *buffer = wasi_path_buffer(wasi, slot);
	if (buffer == NULL)
		return -ENOMEM;
	int err = wasi_copy_in(fwp, buffer, address, len);
	if (err == 0)
		err = wasi_path_normalise(buffer, len, buffer, &ret_path->is_directory);
	if (err == 0)
		ret_path->text = buffer;
	return err;
}

static int place_get(struct fwp *fwp, unsigned slot, uint32_t fd, uint64_t rights, uint32_t path,
		     uint32_t len, struct place *ret_place)
{
	struct wasi *wasi = fwp_context(fwp);
	struct wasi_descriptor *descriptor;
	int err = wasi_directory_get(wasi, fd, rights, &descriptor);
	if (err < 0)
		return err;
	ret_place->dir = descriptor->node;
	ret_place->ops = descriptor->node->ops;
	return wasi_path_get(fwp, wasi, slot, path, len, &ret_place->path);
}

static bool is_dir_itself(const struct place *place)
{
	return place->path.text[0] == '\0';
}

/* 0 when a directory is at PLACE; -ENOTDIR when something else is. */
static int require_directory(const struct place *place)
{
	if (place->ops->stat_at == NULL)
		return -EOPNOTSUPP;
	struct wasi_stat stat;
	int err = place->ops->stat_at(place->dir, place->path.text, true, &stat);
	if (err < 0)
		return err;
	return stat.kind == WASI_NODE_DIRECTORY ? 0 : -ENOTDIR;
}

/* For what makes a new entry that is no directory: the path must not claim to be one. */
static int refuse_directory(const struct place *place)
{
	if (is_dir_itself(place))
		return -EEXIST;
	if (!place->path.is_directory)
		return 0;
	int err = require_directory(place);
	return err == 0 ? -EEXIST : err;
}

int wasi_path_create_directory(struct fwp *fwp, uint32_t fd, uint32_t path, uint32_t len)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_CREATE_DIRECTORY, path, len, &place);
	if (err < 0)
		return err;
	if (is_dir_itself(&place))
		return -EEXIST;
	return place.ops->make_dir != NULL ? place.ops->make_dir(place.dir, place.path.text)
					   : -EOPNOTSUPP;
}

int wasi_path_remove_directory(struct fwp *fwp, uint32_t fd, uint32_t path, uint32_t len)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_REMOVE_DIRECTORY, path, len, &place);
	if (err < 0)
		return err;
	if (is_dir_itself(&place))
		return -EINVAL;
	return place.ops->remove_dir != NULL ? place.ops->remove_dir(place.dir, place.path.text)
					     : -EOPNOTSUPP;
}

int wasi_path_unlink_file(struct fwp *fwp, uint32_t fd, uint32_t path, uint32_t len)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_UNLINK_FILE, path, len, &place);
	if (err < 0)
		return err;
	if (place.path.is_directory) {
		err = is_dir_itself(&place) ? 0 : require_directory(&place);
		return err == 0 ? -EISDIR : err;
	}
	return place.ops->unlink != NULL ? place.ops->unlink(place.dir, place.path.text)
					 : -EOPNOTSUPP;
}

int wasi_path_filestat_get(struct fwp *fwp, uint32_t fd, uint32_t flags, uint32_t path,
			   uint32_t len, uint32_t out)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_FILESTAT_GET, path, len, &place);
	if (err < 0)
		return err;
	if ((flags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0)
		return -EINVAL;
	if (place.ops->stat_at == NULL)
		return -EOPNOTSUPP;
	bool follow = (flags & WASI_LOOKUP_SYMLINK_FOLLOW) != 0 || place.path.is_directory;
	struct wasi_stat stat;
	err = place.ops->stat_at(place.dir, place.path.text, follow, &stat);
	if (err < 0)
		return err;
	if (place.path.is_directory && stat.kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	struct wasi_abi_filestat filestat;
	wasi_filestat_fill(&filestat, &stat);
	return wasi_copy_out(fwp, out, &filestat, sizeof(filestat));
}

int wasi_path_filestat_set_times(struct fwp *fwp, uint32_t fd, uint32_t flags, uint32_t path,
				 uint32_t len, uint64_t atim, uint64_t mtim, uint32_t fstflags)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_FILESTAT_SET_TIMES, path, len, &place);
	if (err < 0)
		return err;
	if ((flags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0)
		return -EINVAL;
	const uint64_t *atime_ns, *mtime_ns;
	err = wasi_times_from_flags(fstflags, &atim, &mtim, &atime_ns, &mtime_ns);
	if (err == 0 && place.path.is_directory)
		err = require_directory(&place);
	if (err < 0)
		return err;
	bool follow = (flags & WASI_LOOKUP_SYMLINK_FOLLOW) != 0 || place.path.is_directory;
	if (place.ops->set_times_at == NULL)
		return -EOPNOTSUPP;
	return place.ops->set_times_at(place.dir, place.path.text, follow, atime_ns, mtime_ns);
}

int wasi_path_link(struct fwp *fwp, uint32_t old_fd, uint32_t old_flags, uint32_t old_path,
		   uint32_t old_len, uint32_t new_fd, uint32_t new_path, uint32_t new_len)
{
	struct place from, to;
	int err = place_get(fwp, 0, old_fd, WASI_RIGHT_PATH_LINK_SOURCE, old_path, old_len, &from);
	if (err == 0)
		err = place_get(fwp, 1, new_fd, WASI_RIGHT_PATH_LINK_TARGET, new_path, new_len,
				&to);
	if (err < 0)
		return err;
	if ((old_flags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0)
		return -EINVAL;
	if (is_dir_itself(&from))
		return -EPERM; /* no links to directories */
	if (from.path.is_directory) {
		err = require_directory(&from);
		return err == 0 ? -EPERM : err;
	}
	err = refuse_directory(&to);
	if (err < 0)
		return err;
	if (from.ops != to.ops)
		return -EXDEV;
	if (from.ops->link == NULL)
		return -EOPNOTSUPP;
	bool follow = (old_flags & WASI_LOOKUP_SYMLINK_FOLLOW) != 0;
	return from.ops->link(from.dir, from.path.text, follow, to.dir, to.path.text);
}

int wasi_path_rename(struct fwp *fwp, uint32_t fd, uint32_t old_path, uint32_t old_len,
		     uint32_t new_fd, uint32_t new_path, uint32_t new_len)
{
	struct place from, to;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_RENAME_SOURCE, old_path, old_len, &from);
	if (err == 0)
		err = place_get(fwp, 1, new_fd, WASI_RIGHT_PATH_RENAME_TARGET, new_path, new_len,
				&to);
	if (err < 0)
		return err;
	if (is_dir_itself(&from) || is_dir_itself(&to))
		return -EBUSY;
	if (from.path.is_directory || to.path.is_directory) {
		err = require_directory(&from);
		if (err < 0)
			return err;
	}
	if (from.ops != to.ops)
		return -EXDEV;
	if (from.ops->rename == NULL)
		return -EOPNOTSUPP;
	return from.ops->rename(from.dir, from.path.text, to.dir, to.path.text);
}

int wasi_path_symlink(struct fwp *fwp, uint32_t target, uint32_t target_len, uint32_t fd,
		      uint32_t path, uint32_t len)
{
	struct place place;
	int err = place_get(fwp, 1, fd, WASI_RIGHT_PATH_SYMLINK, path, len, &place);
	if (err < 0)
		return err;
	if (target_len == 0)
		return -ENOENT;
	if (target_len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	char *text = wasi_path_buffer(fwp_context(fwp), 0);
	if (text == NULL)
		return -ENOMEM;
	err = wasi_copy_in(fwp, text, target, target_len);
	if (err < 0)
		return err;
	text[target_len] = '\0';
	if (strlen(text) != target_len)
		return -EINVAL;
	/* Its ".." are checked when it is followed: what it means depends on where it is then. */
	if (text[0] == '/')
		return -EPERM;
	err = refuse_directory(&place);
	if (err < 0)
		return err;
	return place.ops->symlink != NULL ? place.ops->symlink(place.dir, text, place.path.text)
					  : -EOPNOTSUPP;
}

int wasi_path_readlink(struct fwp *fwp, uint32_t fd, uint32_t path, uint32_t len, uint32_t buf,
		       uint32_t buf_len, uint32_t out)
{
	struct place place;
	int err = place_get(fwp, 0, fd, WASI_RIGHT_PATH_READLINK, path, len, &place);
	if (err == 0)
		err = wasi_check_range(fwp, buf, buf_len);
	if (err == 0)
		err = wasi_check_range(fwp, out, sizeof(uint32_t));
	if (err < 0)
		return err;
	if (place.path.is_directory) {
		/* It would be followed, and then it is a directory or nothing. */
		err = is_dir_itself(&place) ? 0 : require_directory(&place);
		return err == 0 ? -EINVAL : err;
	}
	char *target = wasi_path_buffer(fwp_context(fwp), 1);
	if (target == NULL)
		return -ENOMEM;
	if (place.ops->read_link == NULL)
		return -EOPNOTSUPP;
	int64_t n = place.ops->read_link(place.dir, place.path.text, target, WASI_PATH_MAX);
	if (n < 0)
		return (int)n;
	uint32_t used = (uint32_t)EOS_MIN((uint64_t)n, (uint64_t)buf_len);
	err = wasi_copy_out(fwp, buf, target, used);
	return err < 0 ? err : wasi_copy_out(fwp, out, &used, sizeof(used));
}
