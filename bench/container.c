#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "base/buf.h"
#include "base/file.h"
#include "process.h"

#define PROGRAM_BYTES_MAX (16u << 20)
#define LOG_BYTES_MAX	  (64u << 10)
#define HYBRID_DIR	  "/sys/fs/cgroup/unified"

static const char config[] =
	"{\"ociVersion\": \"1.0.2\",\n"
	" \"process\": {\"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"/program\"],\n"
	"             \"env\": [], \"cwd\": \"/\", \"noNewPrivileges\": true},\n"
	" \"root\": {\"path\": \"rootfs\", \"readonly\": true},\n"
	" \"mounts\": [{\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"}],\n"
	" \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"ipc\"}, {\"type\": "
	"\"uts\"},\n"
	"                          {\"type\": \"mount\"}, {\"type\": \"network\"}]}}\n";

static int write_file(const char *path, const void *data, size_t len, mode_t mode,
		      struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	int err = fd < 0 ? -errno : eos_write_full(fd, data, len);

	return err < 0 ? eos_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}

static int make_bundle(struct container *container, const char *program, struct eos_why *why)
{
	static const char *const dirs[] = {"dev", "proc"};
	struct eos_buf buf EOS_CLEANUP(eos_buf_fini);
	char path[sizeof(container->bundle) + 32];

	eos_buf_init(&buf);
	int err = 0;
	/* crun expects its mount points. */
	for (size_t i = 0; i < EOS_ARRAY_SIZE(dirs) && err == 0; i++) {
		snprintf(path, sizeof(path), "%s/rootfs/%s", container->bundle, dirs[i]);
		err = eos_mkdir_p(path, 0755);
	}
	if (err < 0)
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	err = eos_read_file(AT_FDCWD, program, PROGRAM_BYTES_MAX, &buf);
	if (err < 0)
		return eos_why(why, err, "%s: %s", program, strerror(-err));
	snprintf(path, sizeof(path), "%s/rootfs/program", container->bundle);
	err = write_file(path, buf.data, buf.len, 0755, why);
	if (err < 0)
		return err;
	snprintf(path, sizeof(path), "%s/config.json", container->bundle);
	return write_file(path, config, sizeof(config) - 1, 0644, why);
}

static int find_runtime(const char *name, char *out, size_t size, struct eos_why *why)
{
	/* Debian's place of runc is not in every user's PATH. */
	static const char *const dirs[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
					   "/usr/bin"};

	for (size_t i = 0; i < EOS_ARRAY_SIZE(dirs); i++) {
		snprintf(out, size, "%s/%s", dirs[i], name);
		if (access(out, X_OK) == 0)
			return 0;
	}
	return eos_why(why, -ENOENT, "%s is not installed: tools/deps bench", name);
}

/* In a mount namespace of our own the second hierarchy is hidden by an empty one. */
static int hide_hybrid_cgroups(struct eos_why *why)
{
	struct statfs fs;

	if (statfs(HYBRID_DIR, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("edgeos-bench", HYBRID_DIR, "tmpfs", 0, "size=64k") < 0)
		return eos_why(why, -errno, "cannot hide %s: %s", HYBRID_DIR, strerror(errno));
	return write_file(HYBRID_DIR "/cgroup.controllers", "", 0, 0644, why);
}

int container_prepare(struct container *container, const struct bench *bench, const char *name,
		      const char *program, struct eos_why *why)
{
	uint64_t ns;

	snprintf(container->name, sizeof(container->name), "edgeos-bench-%ld", (long)getpid());
	snprintf(container->bundle, sizeof(container->bundle), "%s/%s", bench->work_dir, name);
	snprintf(container->state, sizeof(container->state), "%s/%s/state", bench->work_dir, name);
	snprintf(container->log, sizeof(container->log), "%s/%s/log", bench->work_dir, name);
	int err = find_runtime(name, container->runtime, sizeof(container->runtime), why);

	if (err < 0)
		return err;
	if (geteuid() != 0)
		return eos_why(why, -EPERM, "containers are started by root only");
	err = make_bundle(container, program, why);
	if (err == 0)
		err = hide_hybrid_cgroups(why);
	return err < 0 ? err : container_time_start(container, &ns, why);
}

/* The first line of what the runtime said is more than what we know. */
static int explain(const struct container *container, int err, struct eos_why *why)
{
	struct eos_buf buf EOS_CLEANUP(eos_buf_fini);

	eos_buf_init(&buf);
	if (eos_read_file(AT_FDCWD, container->log, LOG_BYTES_MAX, &buf) == 0 && buf.len > 0)
		return eos_why(why, err, "%s: %.*s", container->runtime,
			       (int)strcspn(buf.data, "\n"), buf.data);
	return err;
}

int container_time_start(const struct container *container, uint64_t *ret_ns, struct eos_why *why)
{
	struct container words = *container; /* argv's are not const */
	char root[] = "--root", run[] = "run", bundle[] = "--bundle";
	char *const argv[] = {words.runtime, root,	   words.state, run,
			      bundle,	     words.bundle, words.name,	NULL};
	EOS_CLEANUP(eos_close_ptr)
	int log_fd =
		open(container->log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);

	if (log_fd < 0)
		return eos_why(why, -errno, "%s: %s", container->log, strerror(errno));
	int err = process_time_start(argv, log_fd, ret_ns, why);

	return err < 0 ? explain(container, err, why) : 0;
}
