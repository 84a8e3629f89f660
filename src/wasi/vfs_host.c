/*
 * Directories of the host.
 *
 * Every name is resolved by openat2 with RESOLVE_BENEATH from the descriptor of the directory that
 * the guest holds: the kernel refuses each step that leads out of it, "..", absolute links and
 * races with renames included. What acts on a name and not on an open file (unlink, rename, …)
 * opens the parent in that manner and acts on the last component, which holds no slash and
 * is never followed. RESOLVE_NO_MAGICLINKS keeps /proc's links out, should --dir name it.
 *
 * Files are read and written at offsets; the position is the descriptor's. Anything else that
 * can be opened (FIFOs, character devices) is a stream.
 */
#include "wasi/vfs_host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* openat2 gives EAGAIN when a rename elsewhere makes it unsure about ".."; then again. */
#define RESOLVE_TRIES 64

struct host_node {
	struct wasi_node node;
	int fd;
	/* Directories: a listing in progress, and the cookie of its next entry. */
	DIR *listing;
	uint64_t listing_next;
	char *parent; /* room for the parent's part of a path; from the first use */
};

static const struct wasi_vfs_ops file_ops, directory_ops, stream_ops;

static struct host_node *host_node(struct wasi_node *node)
{
	return EOS_CONTAINER_OF(node, struct host_node, node);
}

/* 0, or the negative errno of a system call that returned RESULT. */
static int result(long value)
{
	return value < 0 ? -errno : 0;
}

static int node_new(int fd, enum wasi_node_kind kind, const struct wasi_vfs_ops *ops,
		    struct wasi_node **ret_node)
{
	struct host_node *host = calloc(1, sizeof(*host));
	if (host == NULL) {
		eos_close(fd);
		return -ENOMEM;
	}
	wasi_node_init(&host->node, ops, kind);
	host->fd = fd;
	*ret_node = &host->node;
	return 0;
}

static void host_release(struct wasi_node *node)
{
	struct host_node *host = host_node(node);
	if (host->listing != NULL)
		closedir(host->listing);
	eos_close(host->fd);
	free(host->parent);
	free(host);
}

/* Opens PATH below DIR_FD; "" is DIR_FD itself. Returns the descriptor. */
static int open_beneath(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	for (int tries = 0; tries < RESOLVE_TRIES; tries++) {
		long fd = syscall(SYS_openat2, dir_fd, path[0] != '\0' ? path : ".", &how,
				  sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno == EXDEV)
			return -EPERM; /* it leads out */
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	return -EAGAIN;
}

/* The last component of PATH, and a descriptor of the directory that holds it. */
static int open_parent(struct host_node *dir, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL) {
		*ret_name = path;
		return open_beneath(dir->fd, "", O_PATH | O_DIRECTORY, 0);
	}
	if (dir->parent == NULL)
		dir->parent = malloc(WASI_PATH_MAX + 1);
	if (dir->parent == NULL)
		return -ENOMEM;
	size_t len = (size_t)(slash - path);
	if (len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(dir->parent, path, len);
	dir->parent[len] = '\0';
	*ret_name = slash + 1;
	return open_beneath(dir->fd, dir->parent, O_PATH | O_DIRECTORY, 0);
}

static uint64_t time_ns(const struct timespec *t)
{
	/* Times before 1970 cannot be told in WASI. */
	return t->tv_sec < 0 ? 0 : (uint64_t)t->tv_sec * EOS_NS_PER_S + (uint64_t)t->tv_nsec;
}

static enum wasi_node_kind kind_of(mode_t mode)
{
	if (S_ISREG(mode))
		return WASI_NODE_FILE;
	if (S_ISDIR(mode))
		return WASI_NODE_DIRECTORY;
	return S_ISLNK(mode) ? WASI_NODE_SYMLINK : WASI_NODE_STREAM;
}

static void fill_stat(const struct stat *from, struct wasi_stat *to)
{
	*to = (struct wasi_stat){
		.device = from->st_dev,
		.inode = from->st_ino,
		.links = from->st_nlink,
		.size = (uint64_t)from->st_size,
		.atime_ns = time_ns(&from->st_atim),
		.mtime_ns = time_ns(&from->st_mtim),
		.ctime_ns = time_ns(&from->st_ctim),
		.kind = kind_of(from->st_mode),
	};
}

static int host_stat(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	struct stat st;
	int err = result(fstat(host_node(node)->fd, &st));
	if (err == 0)
		fill_stat(&st, ret_stat);
	return err;
}

static int64_t host_read(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	ssize_t n;
	do
		n = pread(host_node(node)->fd, data, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t host_write(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	ssize_t n;
	do
		n = pwrite(host_node(node)->fd, data, len, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t host_append(struct wasi_node *node, const void *data, uint64_t len)
{
	/* The kernel finds the end and writes in one step, so two writers lose nothing. */
	struct iovec iovec = {.iov_len = len};
	memcpy(&iovec.iov_base, &data, sizeof(data));
	ssize_t n;
	do
		n = pwritev2(host_node(node)->fd, &iovec, 1, 0, RWF_APPEND);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int host_truncate(struct wasi_node *node, uint64_t size)
{
	return result(ftruncate(host_node(node)->fd, (off_t)size));
}

static int host_allocate(struct wasi_node *node, uint64_t offset, uint64_t len)
{
	return result(fallocate(host_node(node)->fd, 0, (off_t)offset, (off_t)len));
}

static int host_sync(struct wasi_node *node, bool data_only)
{
	int fd = host_node(node)->fd;
	return result(data_only ? fdatasync(fd) : fsync(fd));
}

static struct timespec timespec_of(const uint64_t *ns)
{
	if (ns == NULL)
		return (struct timespec){.tv_nsec = UTIME_OMIT};
	return (struct timespec){
		.tv_sec = (time_t)(*ns / EOS_NS_PER_S),
		.tv_nsec = (long)(*ns % EOS_NS_PER_S),
	};
}

static int host_set_times(struct wasi_node *node, const uint64_t *atime_ns,
			  const uint64_t *mtime_ns)
{
	struct timespec times[2] = {timespec_of(atime_ns), timespec_of(mtime_ns)};
	return result(futimens(host_node(node)->fd, times));
}

static int open_flags(unsigned flags)
{
	/* O_NONBLOCK: opening a FIFO must not wait for its other end. */
	int open_flags = O_NOCTTY | O_NONBLOCK;
	if ((flags & WASI_OPEN_WRITE) == 0)
		open_flags |= O_RDONLY;
	else
		open_flags |= (flags & WASI_OPEN_READ) != 0 ? O_RDWR : O_WRONLY;
	if ((flags & WASI_OPEN_CREATE) != 0)
		open_flags |= O_CREAT;
	if ((flags & WASI_OPEN_EXCLUSIVE) != 0)
		open_flags |= O_EXCL;
	if ((flags & WASI_OPEN_TRUNCATE) != 0)
		open_flags |= O_TRUNC;
	if ((flags & WASI_OPEN_DIRECTORY) != 0)
		open_flags |= O_DIRECTORY;
	if ((flags & WASI_OPEN_FOLLOW) == 0)
		open_flags |= O_NOFOLLOW;
	/* EXCL without CREAT means nothing for files and "not in use" for block devices. */
	return (open_flags & O_CREAT) != 0 ? open_flags : open_flags & ~O_EXCL;
}

static int host_open(struct wasi_node *dir, const char *path, unsigned flags,
		     struct wasi_node **ret_node)
{
	mode_t mode = (flags & WASI_OPEN_CREATE) != 0 ? 0666 : 0;
	int fd = open_beneath(host_node(dir)->fd, path, open_flags(flags), mode);
	if (fd < 0)
		return fd;
	struct stat st;
	int err = result(fstat(fd, &st));
	if (err < 0)
		goto close_fd;
	if (S_ISDIR(st.st_mode))
		return node_new(fd, WASI_NODE_DIRECTORY, &directory_ops, ret_node);
	if (S_ISREG(st.st_mode))
		return node_new(fd, WASI_NODE_FILE, &file_ops, ret_node);
	err = -EOPNOTSUPP;
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		goto close_fd;
	err = result(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK));
	if (err < 0)
		goto close_fd;
	return vfs_host_stream(fd, ret_node);
close_fd:
	eos_close(fd);
	return err;
}

static int host_stat_at(struct wasi_node *dir, const char *path, bool follow,
			struct wasi_stat *ret_stat)
{
	/* O_PATH|O_NOFOLLOW opens the symbolic link itself. */
	int flags = O_PATH | (follow ? 0 : O_NOFOLLOW);
	int fd = open_beneath(host_node(dir)->fd, path, flags, 0);
	if (fd < 0)
		return fd;
	struct stat st;
	int err = result(fstat(fd, &st));
	eos_close(fd);
	if (err == 0)
		fill_stat(&st, ret_stat);
	return err;
}

static int host_set_times_at(struct wasi_node *dir, const char *path, bool follow,
			     const uint64_t *atime_ns, const uint64_t *mtime_ns)
{
	struct timespec times[2] = {timespec_of(atime_ns), timespec_of(mtime_ns)};
	int flags = O_PATH | (follow ? 0 : O_NOFOLLOW);
	int fd = open_beneath(host_node(dir)->fd, path, flags, 0);
	if (fd < 0)
		return fd;
	int err = result(utimensat(fd, "", times, AT_EMPTY_PATH));
	eos_close(fd);
	return err;
}

/* Starts the listing, or moves it to COOKIE. */
static int list_from(struct host_node *dir, uint64_t cookie)
{
	if (dir->listing == NULL) {
		int fd = open_beneath(dir->fd, "", O_RDONLY | O_DIRECTORY, 0);
		if (fd < 0)
			return fd;
		dir->listing = fdopendir(fd);
		if (dir->listing == NULL) {
			int err = -errno;
			eos_close(fd);
			return err;
		}
	} else if (cookie == 0) {
		rewinddir(dir->listing); /* shows what was added since */
	}
	if (cookie != 0 && cookie != dir->listing_next)
		seekdir(dir->listing, (long)cookie);
	return 0;
}

static enum wasi_node_kind kind_of_entry(unsigned char type)
{
	switch (type) {
	case DT_REG:
		return WASI_NODE_FILE;
	case DT_DIR:
		return WASI_NODE_DIRECTORY;
	case DT_LNK:
		return WASI_NODE_SYMLINK;
	default:
		return WASI_NODE_STREAM;
	}
}

static int host_read_dir(struct wasi_node *node, uint64_t cookie, struct wasi_dirent *ret_entry)
{
	struct host_node *dir = host_node(node);
	if (cookie > (uint64_t)INT64_MAX)
		return -EINVAL;
	int err = list_from(dir, cookie);
	if (err < 0)
		return err;
	const struct dirent *entry;
	do {
		errno = 0;
		entry = readdir(dir->listing);
	} while (entry != NULL &&
		 (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	if (entry == NULL)
		return -errno; /* 0 at the end */
	size_t len = strlen(entry->d_name);
	if (len > WASI_NAME_MAX)
		return -ENAMETOOLONG;
	dir->listing_next = (uint64_t)entry->d_off;
	ret_entry->next = dir->listing_next;
	ret_entry->inode = entry->d_ino;
	ret_entry->kind = kind_of_entry(entry->d_type);
	ret_entry->name_len = (uint32_t)len;
	memcpy(ret_entry->name, entry->d_name, len);
	return 1;
}

static int host_make_dir(struct wasi_node *dir, const char *path)
{
	const char *name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int err = result(mkdirat(parent, name, 0777));
	eos_close(parent);
	return err;
}

static int host_remove_dir(struct wasi_node *dir, const char *path)
{
	const char *name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int err = result(unlinkat(parent, name, AT_REMOVEDIR));
	eos_close(parent);
	return err;
}

static int host_unlink(struct wasi_node *dir, const char *path)
{
	const char *name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int err = result(unlinkat(parent, name, 0));
	eos_close(parent);
	return err;
}

static int host_rename(struct wasi_node *dir, const char *path, struct wasi_node *new_dir,
		       const char *new_path)
{
	const char *name, *new_name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int new_parent = open_parent(host_node(new_dir), new_path, &new_name);
	int err = new_parent;
	if (new_parent >= 0)
		err = result(renameat(parent, name, new_parent, new_name));
	eos_close(new_parent);
	eos_close(parent);
	return err;
}

static int host_symlink(struct wasi_node *dir, const char *target, const char *path)
{
	const char *name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int err = result(symlinkat(target, parent, name));
	eos_close(parent);
	return err;
}

static int64_t host_read_link(struct wasi_node *dir, const char *path, char *out, uint64_t size)
{
	const char *name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	ssize_t n = readlinkat(parent, name, out, size);
	int err = result(n);
	eos_close(parent);
	return err < 0 ? err : n;
}

static int host_link(struct wasi_node *dir, const char *path, bool follow,
		     struct wasi_node *new_dir, const char *new_path)
{
	/* Linking what a symbolic link points to needs a privilege (AT_EMPTY_PATH) or a way
	 * around RESOLVE_BENEATH, so it is refused. */
	struct wasi_stat stat;
	if (follow) {
		int err = host_stat_at(dir, path, false, &stat);
		if (err < 0)
			return err;
		if (stat.kind == WASI_NODE_SYMLINK)
			return -EINVAL;
	}
	const char *name, *new_name;
	int parent = open_parent(host_node(dir), path, &name);
	if (parent < 0)
		return parent;
	int new_parent = open_parent(host_node(new_dir), new_path, &new_name);
	int err = new_parent;
	if (new_parent >= 0)
		err = result(linkat(parent, name, new_parent, new_name, 0));
	eos_close(new_parent);
	eos_close(parent);
	return err;
}

static int64_t stream_read(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	ssize_t n;
	do
		n = read(host_node(node)->fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int64_t stream_write(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	ssize_t n;
	do
		n = write(host_node(node)->fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int stream_sync(struct wasi_node *node, bool data_only)
{
	int err = host_sync(node, data_only);
	return err == -EINVAL || err == -EROFS ? 0 : err; /* nothing there to sync */
}

static int stream_poll_fd(struct wasi_node *node)
{
	return host_node(node)->fd;
}

static const struct wasi_vfs_ops file_ops = {
	.read = host_read,
	.write = host_write,
	.append = host_append,
	.allocate = host_allocate,
	.truncate = host_truncate,
	.sync = host_sync,
	.stat = host_stat,
	.set_times = host_set_times,
	.release = host_release,
};

static const struct wasi_vfs_ops directory_ops = {
	.sync = host_sync,
	.stat = host_stat,
	.set_times = host_set_times,
	.release = host_release,
	.open = host_open,
	.stat_at = host_stat_at,
	.read_dir = host_read_dir,
	.make_dir = host_make_dir,
	.remove_dir = host_remove_dir,
	.unlink = host_unlink,
	.rename = host_rename,
	.symlink = host_symlink,
	.read_link = host_read_link,
	.link = host_link,
	.set_times_at = host_set_times_at,
};

static const struct wasi_vfs_ops stream_ops = {
	.read = stream_read,
	.write = stream_write,
	.sync = stream_sync,
	.stat = host_stat,
	.release = host_release,
	.poll_fd = stream_poll_fd,
};

int vfs_host_directory(int dir_fd, struct wasi_node **ret_node)
{
	/* Finds out here, and not at the first file, that the kernel has no openat2. */
	int probe = open_beneath(dir_fd, "", O_PATH | O_DIRECTORY, 0);
	if (probe < 0) {
		eos_close(dir_fd);
		return probe;
	}
	eos_close(probe);
	return node_new(dir_fd, WASI_NODE_DIRECTORY, &directory_ops, ret_node);
}

int vfs_host_stream(int fd, struct wasi_node **ret_node)
{
	bool is_terminal = isatty(fd) == 1;
	int err = node_new(fd, WASI_NODE_STREAM, &stream_ops, ret_node);
	if (err == 0)
		(*ret_node)->is_terminal = is_terminal;
	return err;
}
