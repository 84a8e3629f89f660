#include "aot/aot_user.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* The directory that XDG_NAME or else HOME/BELOW names, with /edgeos behind it. */
static int user_dir(const char *xdg_name, const char *below, struct eos_buf *path,
		    struct eos_why *why)
{
	const char *base = getenv(xdg_name);
	const char *home = getenv("HOME");
	int err;
	/* The XDG specification: a relative path is to be ignored. */
	if (base != NULL && base[0] == '/')
		err = eos_buf_printf(path, "%s/edgeos", base);
	else if (home != NULL && home[0] == '/')
		err = eos_buf_printf(path, "%s/%s/edgeos", home, below);
	else
		return eos_why(why, -ENOENT, "where to keep images? set HOME or %s", xdg_name);
	return err < 0 ? eos_why(why, -ENOMEM, "out of memory") : 0;
}

/* Makes PATH and opens it. Returns the descriptor. */
static int make_and_open(const char *path, struct eos_why *why)
{
	int err = eos_mkdir_p(path, 0700);
	if (err < 0)
		return eos_why(why, err, "cannot make the directory %s: %s", path, strerror(-err));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return eos_why(why, -errno, "cannot open the directory %s: %s", path,
			       strerror(errno));
	return fd;
}

static int load_key(struct image_key *ret_key, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf path = {0};
	int err = user_dir("XDG_DATA_HOME", ".local/share", &path, why);
	if (err < 0)
		return err;
	int fd = make_and_open(path.data, why);
	if (fd < 0)
		return fd;
	err = image_key_load(fd, "image.key", ret_key, why);
	eos_close(fd);
	if (err < 0)
		eos_why_prefix(why, "%s", path.data);
	return err;
}

int aot_user_open(struct aot_user *ret_user, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf images = {0};
	struct aot_user user = {.cache_dir_fd = -1};
	int err = load_key(&user.key, why);
	if (err == 0)
		err = user_dir("XDG_CACHE_HOME", ".cache", &user.work_dir, why);
	if (err == 0 && eos_buf_printf(&images, "%s/images", user.work_dir.data) < 0)
		err = eos_why(why, -ENOMEM, "out of memory");
	if (err == 0) {
		user.cache_dir_fd = make_and_open(images.data, why);
		err = EOS_MIN(user.cache_dir_fd, 0);
	}
	if (err < 0)
		aot_user_close(&user);
	else
		*ret_user = user;
	explicit_bzero(&user, sizeof(user));
	return err;
}

void aot_user_close(struct aot_user *user)
{
	user->cache_dir_fd = eos_close(user->cache_dir_fd);
	eos_buf_fini(&user->work_dir);
	explicit_bzero(&user->key, sizeof(user->key));
}
