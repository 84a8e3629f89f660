#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/file.h"

#define MODULE_BYTES_MAX (1u << 20)

static int read_module(const char *name, struct eos_buf *buf, struct eos_why *why)
{
	char file[64], path[BENCH_PATH_SIZE];

	snprintf(file, sizeof(file), "%s.wasm", name);
	int err = bench_find(file, path, why);

	if (err < 0)
		return err;
	err = eos_read_file(AT_FDCWD, path, MODULE_BYTES_MAX, buf);
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

/* The image as it was read from the cache, signature and all. */
static int write_image(const struct image *image, const struct guest *guest, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(guest->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct stat status;
	off_t offset = 0;

	if (fd < 0 || fstat(image_fd(image), &status) < 0)
		return eos_why(why, -errno, "%s: %s", guest->path, strerror(errno));
	while (offset < status.st_size) {
		ssize_t n =
			sendfile(fd, image_fd(image), &offset, (size_t)(status.st_size - offset));

		if (n <= 0)
			return eos_why(why, n < 0 ? -errno : -EIO, "%s: it could not be written",
				       guest->path);
	}
	return 0;
}

int guest_build(const struct bench *bench, const char *name, struct guest *ret_guest,
		struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int dir_fd = open(bench->work_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct eos_buf module EOS_CLEANUP(eos_buf_fini);
	struct image *image;

	eos_buf_init(&module);
	if (dir_fd < 0)
		return eos_why(why, -errno, "%s: %s", bench->work_dir, strerror(errno));
	snprintf(ret_guest->path, sizeof(ret_guest->path), "%s/%s.fwp", bench->work_dir, name);
	int err = image_key_load(dir_fd, "key", &ret_guest->key, why);

	if (err == 0)
		err = read_module(name, &module, why);
	if (err < 0)
		return err;
	struct aot_config config = {
		.cache_dir_fd = dir_fd, .work_dir = bench->work_dir, .key = &ret_guest->key};

	err = aot_build(&config, name, module.data, module.len, &image, why);
	if (err < 0)
		return err;
	err = write_image(image, ret_guest, why);
	image_close(image);
	return err;
}

int guest_load(const struct guest *guest, const struct fwp_import *imports, size_t imports_count,
	       struct fwp_image **ret_image, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr) int fd = open(guest->path, O_RDONLY | O_CLOEXEC);
	struct image *image;

	if (fd < 0)
		return eos_why(why, -errno, "%s: %s", guest->path, strerror(errno));
	int err = image_open(fd, guest->key.public_key, &image, why);

	if (err < 0)
		return err;
	err = fwp_image_load(image, imports, imports_count, ret_image, why);
	image_close(image);
	return err;
}

int guest_make(const struct bench *bench, const char *name, const struct fwp_import *imports,
	       size_t imports_count, struct fwp_image **ret_image, struct eos_why *why)
{
	struct guest guest;
	int err = guest_build(bench, name, &guest, why);

	return err < 0 ? err : guest_load(&guest, imports, imports_count, ret_image, why);
}
