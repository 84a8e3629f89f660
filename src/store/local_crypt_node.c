/*
 * The file of the node key: 32 random bytes, nothing else, for its owner only. It is made when the
 * first data key is to be wrapped, and is on the disk, name and all, before that data key is.
 *
 *     PATH.new    written, synced ──rename, which replaces nothing──> PATH, directory synced
 *
 * A new node key (local_rekey()) is written to PATH.next first. Which of the two counts is told by
 * the records of the data keys, which a transaction rewrites all at once; then PATH.next becomes
 * PATH. Whoever finds that the records belong to PATH.next finishes that.
 *
 * Fault points: store.key_read, store.key_write, store.key_fsync, store.key_rename.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "store/local_crypt_priv.h"
#include "store/local_priv.h"

#define PATH_SIZE 4096

/* Says of the key which one it is, and nothing else about it. */
static int set_id(struct local_node_key *key)
{
	static const char label[] = "edgeos node key";
	uint8_t mac[CRYPTO_SHA256_SIZE];
	int err = crypto_hmac_sha256(key->key, sizeof(key->key), label, sizeof(label), mac);
	memcpy(&key->id, mac, sizeof(key->id));
	if (key->id == 0)
		key->id = 1;
	return err;
}

static int check_file(int fd, const char *path, struct eos_why *why)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return eos_why(why, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return eos_why(why, -EINVAL, "%s: not a plain file", path);
	if (status.st_size != LOCAL_KEY_SIZE)
		return eos_why(why, -EINVAL, "%s: %lld bytes are no node key, which has %d", path,
			       (long long)status.st_size, LOCAL_KEY_SIZE);
	if ((status.st_mode & 077) != 0)
		eos_log(EOS_LOG_WARN, "store",
			"node key readable by others file=%s mode=%03o now=%s", path,
			(unsigned)status.st_mode & 0777,
			fchmod(fd, 0600) < 0 ? "unchanged" : "600");
	return 0;
}

int local_node_key_read(const char *path, struct local_node_key *ret_key, struct eos_why *why)
{
	struct local_node_key key;
	int err = eos_fault("store.key_read");
	/* O_NONBLOCK: a FIFO must not keep the node from starting. */
	EOS_CLEANUP(eos_close_ptr)
	int fd = err < 0 ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		err = err < 0 ? err : -errno;
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	}
	err = check_file(fd, path, why);
	if (err < 0)
		return err;
	err = eos_pread_full(fd, key.key, sizeof(key.key), 0);
	if (err == 0)
		err = set_id(&key);
	if (err == 0)
		*ret_key = key;
	explicit_bzero(&key, sizeof(key));
	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

int local_node_key_sync(const char *path)
{
	char copy[PATH_SIZE];
	int err = eos_fault("store.key_fsync");
	if (err < 0)
		return err;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return -ENAMETOOLONG;
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int write_file(const char *path, const struct local_node_key *key)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = eos_fault("store.key_write");
	if (err == 0)
		err = eos_write_full(fd, key->key, sizeof(key->key));
	if (err == 0)
		err = eos_fault("store.key_fsync");
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	return err;
}

/* RENAME_NOREPLACE: a key that somebody else has put there meanwhile is in use. */
static int rename_file(const char *from, const char *to, unsigned flags)
{
	int err = eos_fault("store.key_rename");
	if (err == 0 && renameat2(AT_FDCWD, from, AT_FDCWD, to, flags) < 0)
		err = -errno;
	return err == 0 ? local_node_key_sync(to) : err;
}

int local_node_key_move(const char *from, const char *to)
{
	return rename_file(from, to, 0);
}

int local_node_key_make(const char *path, struct local_node_key *ret_key)
{
	char temporary[PATH_SIZE];
	struct local_node_key key;
	int n = snprintf(temporary, sizeof(temporary), "%s.new", path);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	int err = crypto_random(key.key, sizeof(key.key));
	if (err == 0)
		err = set_id(&key);
	/* A leftover of an attempt that failed: never used, as it has not got its name. */
	if (err == 0 && unlinkat(AT_FDCWD, temporary, 0) < 0 && errno != ENOENT)
		err = -errno;
	if (err == 0)
		err = write_file(temporary, &key);
	if (err == 0)
		err = rename_file(temporary, path, RENAME_NOREPLACE);
	if (err == 0)
		*ret_key = key;
	else
		unlinkat(AT_FDCWD, temporary, 0);
	explicit_bzero(&key, sizeof(key));
	return err;
}
