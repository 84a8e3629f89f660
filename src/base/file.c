#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"

int eos_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		close(fd);
		errno = saved;
	}
	return -1;
}

int eos_fill_streams(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return -errno;
	eos_close(fd);
	return 0;
}

void eos_close_ptr(int *fd)
{
	*fd = eos_close(*fd);
}

int eos_read_full(int fd, void *data, size_t len)
{
	char *p = data;
	while (len > 0) {
		ssize_t n = read(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int eos_write_full(int fd, const void *data, size_t len)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int eos_pread_full(int fd, void *data, size_t len, off_t offset)
{
	char *p = data;
	while (len > 0) {
		ssize_t n = pread(fd, p, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENODATA;
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

int eos_pwrite_full(int fd, const void *data, size_t len, off_t offset)
{
	const char *p = data;
	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		offset += n;
		len -= (size_t)n;
	}
	return 0;
}

int eos_read_file(int dir_fd, const char *path, size_t max, struct eos_buf *buf)
{
	EOS_CLEANUP(eos_close_ptr) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t total = 0;
	for (;;) {
		int err = eos_buf_reserve(buf, 64 * 1024);
		if (err < 0)
			return err;
		ssize_t n = read(fd, buf->data + buf->len, 64 * 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		total += (size_t)n;
		if (total > max)
			return -EFBIG;
		buf->len += (size_t)n;
		buf->data[buf->len] = '\0';
	}
}

int eos_replace_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode)
{
	char temporary[280];
	int n = snprintf(temporary, sizeof(temporary), ".%s.%ld.new", name, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int err = eos_write_full(fd, data, len);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	fd = eos_close(fd);
	if (err == 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
		err = -errno;
	if (err < 0) {
		unlinkat(dir_fd, temporary, 0);
		return err;
	}
	EOS_CLEANUP(eos_close_ptr)
	int directory = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}

int eos_mkdir_p(const char *path, mode_t mode)
{
	char partial[4096];
	int err = eos_str_copy(partial, sizeof(partial), path);
	if (err < 0)
		return err;
	for (char *p = partial + 1; *partial != '\0' && *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(partial, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(partial, mode) < 0 && errno != EEXIST)
		return -errno;
	struct stat status;
	if (stat(partial, &status) < 0)
		return -errno;
	return S_ISDIR(status.st_mode) ? 0 : -ENOTDIR;
}

int eos_program_dir(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	out[n] = '\0';
	char *slash = strrchr(out, '/');
	if (slash == NULL)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

int eos_find_program(const char *name, char *out, size_t size)
{
	static const char *const places[] = {"", "/../libexec/edgeos", "/.."};
	char dir[4096];
	int err = eos_program_dir(dir, sizeof(dir));
	if (err < 0)
		return err;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(places); i++) {
		int n = snprintf(out, size, "%s%s/%s", dir, places[i], name);
		if (n < 0 || (size_t)n >= size)
			return -ENAMETOOLONG;
		if (access(out, X_OK) == 0)
			return 0;
	}
	return -ENOENT;
}
