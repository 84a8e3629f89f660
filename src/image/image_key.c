/*
 * The key file of a node: 32 random bytes, readable by its owner only.
 *
 * It is made under a temporary name, synced, and then linked to its own name, which fails if
 * another process was first: then that one's key is the key. So there is never half a key, and two
 * processes that start at once end up with the same one.
 */
#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int sync_directory(int dir_fd)
{
	EOS_CLEANUP(eos_close_ptr)
	int directory = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}

/* Writes a new seed to the file TEMPORARY and gives it the name NAME. 0 too if somebody was
 * first. */
static int make_key(int dir_fd, const char *temporary, const char *name)
{
	uint8_t seed[CRYPTO_SIGN_SEED_SIZE];
	int err = crypto_random(seed, sizeof(seed));
	if (err < 0)
		return err;
	(void)unlinkat(dir_fd, temporary, 0);
	int fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = eos_write_full(fd, seed, sizeof(seed));
	explicit_bzero(seed, sizeof(seed));
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	fd = eos_close(fd);
	if (err == 0 && linkat(dir_fd, temporary, dir_fd, name, 0) < 0 && errno != EEXIST)
		err = -errno;
	(void)unlinkat(dir_fd, temporary, 0);
	return err == 0 ? sync_directory(dir_fd) : err;
}

static int read_key(int dir_fd, const char *name, struct image_key *key, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return eos_why(why, -errno, "cannot read the key file %s: %s", name,
			       strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size != sizeof(key->seed))
		return eos_why(why, -EINVAL, "the key file %s is not a file of %zu bytes", name,
			       sizeof(key->seed));
	if ((status.st_mode & 077) != 0)
		return eos_why(why, -EPERM, "the key file %s is open to others (chmod 600 it)",
			       name);
	int err = eos_pread_full(fd, key->seed, sizeof(key->seed), 0);
	if (err < 0)
		return eos_why(why, err, "cannot read the key file %s: %s", name, strerror(-err));
	err = crypto_sign_public(key->seed, key->public_key);
	return err < 0 ? eos_why(why, err, "out of memory") : 0;
}

int image_key_load(int dir_fd, const char *name, struct image_key *ret_key, struct eos_why *why)
{
	char temporary[280];
	int n = snprintf(temporary, sizeof(temporary), ".%s.%ld.new", name, (long)getpid());
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return eos_why(why, -ENAMETOOLONG, "the key file's name is too long");
	if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
		int err = make_key(dir_fd, temporary, name);
		if (err < 0)
			return eos_why(why, err, "cannot make the key file %s: %s", name,
				       strerror(-err));
	}
	struct image_key key;
	int err = read_key(dir_fd, name, &key, why);
	if (err == 0)
		*ret_key = key;
	explicit_bzero(&key, sizeof(key));
	return err;
}
