/*
 * path_open: from rights, oflags and fdflags to a node and a descriptor.
 */
#include <errno.h>

#include "wasi/wasi_priv.h"

/* Never dropped silently: a program that may not do these shall hear it when it opens. */
#define RIGHTS_STRICT (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_WRITE)
/* What the back end needs an open for writing for. */
#define RIGHTS_WRITE                                                                               \
	(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE)

struct request {
	uint32_t dirflags, oflags, fdflags;
	uint64_t base, inheriting;
};

static int check_request(const struct wasi_descriptor *dir, const struct request *request)
{
	if ((request->dirflags & ~WASI_LOOKUP_SYMLINK_FOLLOW) != 0 ||
	    (request->oflags & ~WASI_OFLAGS_ALL) != 0 ||
	    (request->fdflags & ~WASI_FDFLAGS_ALL) != 0)
		return -EINVAL;
	const uint32_t create_directory = WASI_OFLAG_CREAT | WASI_OFLAG_DIRECTORY;
	if ((request->oflags & create_directory) == create_directory)
		return -EINVAL;
	if ((request->oflags & WASI_OFLAG_CREAT) != 0 &&
	    (dir->rights_base & WASI_RIGHT_PATH_CREATE_FILE) == 0)
		return -WASI_ENOTCAPABLE;
	/* What open(2) answers where truncation is forbidden, and what programs test for. */
	if ((request->oflags & WASI_OFLAG_TRUNC) != 0 &&
	    (dir->rights_base & WASI_RIGHT_PATH_FILESTAT_SET_SIZE) == 0)
		return -EPERM;
	if ((request->base & RIGHTS_STRICT & ~dir->rights_inheriting) != 0)
		return -WASI_ENOTCAPABLE;
	return wasi_check_fdflags(request->fdflags, dir->rights_inheriting);
}

static unsigned open_flags(const struct request *request, const struct wasi_path *path)
{
	unsigned flags = 0;
	if ((request->base & (WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR)) != 0)
		flags |= WASI_OPEN_READ;
	if ((request->base & RIGHTS_WRITE) != 0 || (request->oflags & WASI_OFLAG_TRUNC) != 0)
		flags |= WASI_OPEN_WRITE;
	if ((request->oflags & WASI_OFLAG_CREAT) != 0)
		flags |= WASI_OPEN_CREATE;
	if ((request->oflags & WASI_OFLAG_EXCL) != 0)
		flags |= WASI_OPEN_EXCLUSIVE;
	if ((request->oflags & WASI_OFLAG_TRUNC) != 0)
		flags |= WASI_OPEN_TRUNCATE;
	if ((request->oflags & WASI_OFLAG_DIRECTORY) != 0 || path->is_directory)
		flags |= WASI_OPEN_DIRECTORY;
	if ((request->dirflags & WASI_LOOKUP_SYMLINK_FOLLOW) != 0 || path->is_directory)
		flags |= WASI_OPEN_FOLLOW;
	return flags;
}

static void install(struct wasi_descriptor *descriptor, struct wasi_node *node,
		    const struct request *request)
{
	*descriptor = (struct wasi_descriptor){
		.node = node,
		.rights_base = request->base,
		.flags = (uint16_t)request->fdflags,
	};
	switch (node->kind) {
	case WASI_NODE_DIRECTORY:
		descriptor->rights_base &= WASI_RIGHTS_DIRECTORY;
		descriptor->rights_inheriting = request->inheriting;
		break;
	case WASI_NODE_STREAM:
		descriptor->rights_base &= WASI_RIGHTS_STREAM;
		break;
	case WASI_NODE_FILE:
	case WASI_NODE_SYMLINK:
		descriptor->rights_base &= WASI_RIGHTS_FILE;
		break;
	}
}

int wasi_path_open(struct fwp *fwp, uint32_t fd, uint32_t dirflags, uint32_t path_address,
		   uint32_t len, uint32_t oflags, uint64_t base, uint64_t inheriting,
		   uint32_t fdflags, uint32_t out)
{
	struct wasi *wasi = fwp_context(fwp);
	struct request request = {dirflags, oflags, fdflags, base, inheriting};
	struct wasi_descriptor *dir;
	uint32_t new_fd;
	/* All that can fail comes before the file is made. */
	int err = wasi_directory_get(wasi, fd, 0, &dir);
	if (err == 0)
		err = wasi_descriptor_reserve(wasi, 0, &new_fd);
	if (err == 0)
		err = wasi_directory_get(wasi, fd, WASI_RIGHT_PATH_OPEN, &dir);
	if (err == 0)
		err = check_request(dir, &request);
	struct wasi_path path;
	if (err == 0)
		err = wasi_path_get(fwp, wasi, 0, path_address, len, &path);
	if (err == 0)
		err = wasi_check_range(fwp, out, sizeof(new_fd));
	if (err < 0)
		return err;
	request.base &= dir->rights_inheriting;
	request.inheriting &= dir->rights_inheriting;
	unsigned flags = open_flags(&request, &path);
	if ((flags & WASI_OPEN_CREATE) != 0 && path.is_directory)
		return (flags & WASI_OPEN_EXCLUSIVE) != 0 && path.text[0] == '\0' ? -EEXIST
										  : -EISDIR;
	if (dir->node->ops->open == NULL)
		return -EOPNOTSUPP;
	struct wasi_node *node;
	err = dir->node->ops->open(dir->node, path.text, flags, &node);
	if (err < 0)
		return err;
	install(&wasi->descriptors[new_fd], node, &request);
	return wasi_copy_out(fwp, out, &new_fd, sizeof(new_fd));
}
