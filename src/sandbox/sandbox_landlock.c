/*
 * Landlock by system call: glibc has no functions for it, and Debian 12's header knows less than
 * newer kernels do. What the kernel does not know is left out of the request.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "sandbox/sandbox_priv.h"

/* struct landlock_ruleset_attr of version 6; older kernels take it if the rest is zero. */
struct ruleset {
	uint64_t access_fs;
	uint64_t access_net;
	uint64_t scoped;
};

#define ACCESS_FS_TRUNCATE  (UINT64_C(1) << 14) /* version 3 */
#define ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15) /* version 5 */
#define ACCESS_NET_TCP	    UINT64_C(3)		/* version 4: bind, connect */
#define SCOPE_ABSTRACT_UNIX UINT64_C(1)		/* version 6 */
#define SCOPE_SIGNAL	    UINT64_C(2)		/* version 6 */

/* What makes sense for something that is not a directory. */
#define ACCESS_FS_OF_FILES                                                                         \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
	 LANDLOCK_ACCESS_FS_READ_FILE | ACCESS_FS_TRUNCATE | ACCESS_FS_IOCTL_DEV)

static uint64_t all_access(long version)
{
	uint64_t access = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	if (version >= 2)
		access |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		access |= ACCESS_FS_TRUNCATE;
	if (version >= 5)
		access |= ACCESS_FS_IOCTL_DEV;
	return access;
}

static uint64_t allowed_access(enum sandbox_access access, uint64_t all)
{
	uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	switch (access) {
	case SANDBOX_READ:
		return read;
	case SANDBOX_READ_EXEC:
		return read | LANDLOCK_ACCESS_FS_EXECUTE;
	case SANDBOX_WRITE:
		return all & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
	}
	return 0;
}

static int add_path(int ruleset_fd, const struct sandbox_path *path, uint64_t all,
		    struct eos_why *why)
{
	struct stat status;
	EOS_CLEANUP(eos_close_ptr) int fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0 || fstat(fd, &status) < 0)
		return eos_why(why, -errno, "cannot open %s: %s", path->path, strerror(errno));
	struct landlock_path_beneath_attr rule = {
		.allowed_access = allowed_access(path->access, all),
		.parent_fd = fd,
	};
	if (!S_ISDIR(status.st_mode))
		rule.allowed_access &= ACCESS_FS_OF_FILES;
	if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return eos_why(why, -errno, "cannot allow %s: %s", path->path, strerror(errno));
	return 0;
}

int sandbox_landlock(const struct sandbox_config *config, struct eos_why *why)
{
	static const struct sandbox_path proc = {"/proc", SANDBOX_READ};
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return 0;
	struct ruleset ruleset = {.access_fs = all_access(version)};
	if (version >= 4 && !config->keep_network)
		ruleset.access_net = ACCESS_NET_TCP;
	if (version >= 6)
		ruleset.scoped = SCOPE_SIGNAL | (config->keep_network ? 0 : SCOPE_ABSTRACT_UNIX);
	EOS_CLEANUP(eos_close_ptr)
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof(ruleset), 0);
	if (fd < 0)
		return eos_why(why, -errno, "cannot set up Landlock: %s", strerror(errno));
	int err = SANDBOX_HAS_SANITIZER ? add_path(fd, &proc, ruleset.access_fs, why) : 0;
	for (unsigned i = 0; err == 0 && i < config->paths_count; i++)
		err = add_path(fd, &config->paths[i], ruleset.access_fs, why);
	if (err < 0)
		return err;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return eos_why(why, -errno, "cannot enter Landlock: %s", strerror(errno));
	return 1;
}
