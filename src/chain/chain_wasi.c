/*
 * WASI preview 1 for packet functions: as much as C libraries want of it to link and to start.
 * Standard output and error are log lines, the configuration is the environment, there are clocks
 * and random numbers. There are no files, so descriptors are bad; all else is not there.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "chain/chain_priv.h"

#define MODULE "wasi_snapshot_preview1"

#define SUCCESS	   0u
#define LINE_MAX   1024u /* bytes that one fd_write() brings into the log */
#define IOVECS_MAX 64u
#define RANDOM_MAX 65536u
#define FD_OUT	   1u
#define FD_ERROR   2u

enum { CLOCK_WALL = 0, CLOCK_STEADY = 1 };
#define CHARACTER_DEVICE    2u
#define RIGHT_WRITE	    (UINT64_C(1) << 6)
#define CLOCK_RESOLUTION_NS UINT64_C(1)

/* Each function: the frame of a host call around BODY, whose result is an error number. */
#define WASI(name, parameters, arguments)                                                          \
	static uint32_t enter_##name parameters                                                    \
	{                                                                                          \
		fwp_host_enter(fwp);                                                               \
		uint32_t result = wasi_##name arguments;                                           \
		fwp_host_leave(fwp);                                                               \
		return result;                                                                     \
	}

static uint32_t put(struct fwp *fwp, uint32_t address, const void *bytes, size_t len)
{
	return chain_copy_to(fwp, address, bytes, (uint32_t)len) < 0 ? CHAIN_ABI_EFAULT : SUCCESS;
}

static uint32_t put_two(struct fwp *fwp, uint32_t first, uint32_t a, uint32_t second, uint32_t b)
{
	uint32_t result = put(fwp, first, &a, sizeof(a));
	return result == SUCCESS ? put(fwp, second, &b, sizeof(b)) : result;
}

static uint32_t wasi_args_sizes_get(struct fwp *fwp, uint32_t count, uint32_t size)
{
	return put_two(fwp, count, 0, size, 0);
}
WASI(args_sizes_get, (struct fwp * fwp, uint32_t count, uint32_t size), (fwp, count, size))

static uint32_t wasi_args_get(struct fwp *fwp, uint32_t argv, uint32_t buf)
{
	return SUCCESS;
}
WASI(args_get, (struct fwp * fwp, uint32_t argv, uint32_t buf), (fwp, argv, buf))

static const struct chain_stage *stage_of(struct fwp *fwp)
{
	return ((const struct chain_fwp *)fwp_context(fwp))->stage;
}

static uint32_t wasi_environ_sizes_get(struct fwp *fwp, uint32_t count, uint32_t size)
{
	const struct chain_stage *stage = stage_of(fwp);
	size_t bytes = 0;
	for (size_t i = 0; i < stage->settings_count; i++)
		bytes += strlen(stage->settings[i].key) + strlen(stage->settings[i].value) + 2;
	return put_two(fwp, count, (uint32_t)stage->settings_count, size, (uint32_t)bytes);
}
WASI(environ_sizes_get, (struct fwp * fwp, uint32_t count, uint32_t size), (fwp, count, size))

static uint32_t wasi_environ_get(struct fwp *fwp, uint32_t pointers, uint32_t buf)
{
	const struct chain_stage *stage = stage_of(fwp);
	uint32_t result = SUCCESS;
	for (size_t i = 0; i < stage->settings_count && result == SUCCESS; i++) {
		const struct chain_setting *setting = &stage->settings[i];
		uint32_t key_len = (uint32_t)strlen(setting->key);
		uint32_t value_len = (uint32_t)strlen(setting->value) + 1;
		result = put(fwp, pointers, &buf, sizeof(buf));
		if (result == SUCCESS)
			result = put(fwp, buf, setting->key, key_len);
		if (result == SUCCESS)
			result = put(fwp, buf + key_len, "=", 1);
		if (result == SUCCESS)
			result = put(fwp, buf + key_len + 1, setting->value, value_len);
		pointers += (uint32_t)sizeof(buf);
		buf += key_len + 1 + value_len;
	}
	return result;
}
WASI(environ_get, (struct fwp * fwp, uint32_t pointers, uint32_t buf), (fwp, pointers, buf))

static uint32_t wasi_clock_res_get(struct fwp *fwp, uint32_t id, uint32_t out)
{
	const uint64_t resolution = CLOCK_RESOLUTION_NS;
	return id > CLOCK_STEADY ? (uint32_t)CHAIN_ABI_EINVAL
				 : put(fwp, out, &resolution, sizeof(resolution));
}
WASI(clock_res_get, (struct fwp * fwp, uint32_t id, uint32_t out), (fwp, id, out))

static uint32_t wasi_clock_time_get(struct fwp *fwp, uint32_t id, uint32_t out)
{
	if (id > CLOCK_STEADY)
		return CHAIN_ABI_EINVAL;
	const uint64_t now = id == CLOCK_WALL ? eos_wall_ns() : eos_now_ns();
	return put(fwp, out, &now, sizeof(now));
}
WASI(clock_time_get, (struct fwp * fwp, uint32_t id, uint64_t precision, uint32_t out),
     (fwp, id, out))

static uint32_t wasi_random_get(struct fwp *fwp, uint32_t buf, uint32_t len)
{
	uint8_t bytes[256];
	if (len > RANDOM_MAX)
		return CHAIN_ABI_EINVAL;
	for (uint32_t at = 0; at < len;) {
		uint32_t some = EOS_MIN(len - at, (uint32_t)sizeof(bytes));
		/* Up to 256 bytes come at once. */
		if (getrandom(bytes, some, 0) != (ssize_t)some)
			return CHAIN_ABI_EIO;
		uint32_t result = put(fwp, buf + at, bytes, some);
		if (result != SUCCESS)
			return result;
		at += some;
	}
	return SUCCESS;
}
WASI(random_get, (struct fwp * fwp, uint32_t buf, uint32_t len), (fwp, buf, len))

/* The lines of TEXT into the log. */
static void log_lines(struct chain_fwp *c, unsigned level, const char *text, size_t len)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line = end != NULL ? (size_t)(end - text) : len;
		if (line > 0)
			chain_log(c, level, text, line);
		size_t taken = line + (end != NULL);
		text += taken;
		len -= taken;
	}
}

static uint32_t wasi_fd_write(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count,
			      uint32_t out)
{
	char text[LINE_MAX];
	uint32_t total = 0;
	size_t len = 0;
	if (fd != FD_OUT && fd != FD_ERROR)
		return CHAIN_ABI_EBADF;
	if (count > IOVECS_MAX)
		return CHAIN_ABI_EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t iovec[2]; /* address, length */
		if (chain_copy_from(fwp, iovec, iovs, sizeof(iovec)) < 0)
			return CHAIN_ABI_EFAULT;
		const uint8_t *bytes = chain_copy_look(fwp, iovec[0], iovec[1]);
		if (bytes == NULL || __builtin_add_overflow(total, iovec[1], &total))
			return CHAIN_ABI_EFAULT;
		/* What is longer is cut. */
		size_t some = EOS_MIN((size_t)iovec[1], sizeof(text) - len);
		memcpy(text + len, bytes, some);
		len += some;
		iovs += (uint32_t)sizeof(iovec);
	}
	log_lines(fwp_context(fwp), fd == FD_OUT ? 2 : 0, text, len);
	return put(fwp, out, &total, sizeof(total));
}
WASI(fd_write, (struct fwp * fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint32_t out),
     (fwp, fd, iovs, count, out))

/* A terminal, for which C libraries write each line when it ends. */
static uint32_t wasi_fd_fdstat_get(struct fwp *fwp, uint32_t fd, uint32_t out)
{
	struct {
		uint8_t filetype, pad0;
		uint16_t flags;
		uint32_t pad1;
		uint64_t rights_base, rights_inheriting;
	} status = {.filetype = CHARACTER_DEVICE, .rights_base = RIGHT_WRITE};
	if (fd != FD_OUT && fd != FD_ERROR)
		return CHAIN_ABI_EBADF;
	return put(fwp, out, &status, sizeof(status));
}
WASI(fd_fdstat_get, (struct fwp * fwp, uint32_t fd, uint32_t out), (fwp, fd, out))

static void enter_proc_exit(struct fwp *fwp, uint32_t code)
{
	fwp_host_enter(fwp);
	fwp_exit(fwp, code);
}

static uint32_t wasi_sched_yield(struct fwp *fwp)
{
	return SUCCESS;
}
WASI(sched_yield, (struct fwp * fwp), (fwp))

/* Those that only say no. */
#define I uint32_t
#define L uint64_t
#define MISSING(name, error, ...)                                                                  \
	static uint32_t enter_##name(struct fwp *fwp, __VA_ARGS__)                                 \
	{                                                                                          \
		fwp_host_enter(fwp);                                                               \
		fwp_host_leave(fwp);                                                               \
		return error;                                                                      \
	}
#define BADF(name, ...)	 MISSING(name, CHAIN_ABI_EBADF, __VA_ARGS__)
#define NOSYS(name, ...) MISSING(name, CHAIN_ABI_ENOSYS, __VA_ARGS__)
BADF(fd_advise, I a, L b, L c, I d)
BADF(fd_allocate, I a, L b, L c)
BADF(fd_close, I a)
BADF(fd_datasync, I a)
BADF(fd_fdstat_set_flags, I a, I b)
BADF(fd_fdstat_set_rights, I a, L b, L c)
BADF(fd_filestat_get, I a, I b)
BADF(fd_filestat_set_size, I a, L b)
BADF(fd_filestat_set_times, I a, L b, L c, I d)
BADF(fd_pread, I a, I b, I c, L d, I e)
BADF(fd_prestat_get, I a, I b)
BADF(fd_prestat_dir_name, I a, I b, I c)
BADF(fd_pwrite, I a, I b, I c, L d, I e)
BADF(fd_read, I a, I b, I c, I d)
BADF(fd_readdir, I a, I b, I c, L d, I e)
BADF(fd_renumber, I a, I b)
BADF(fd_seek, I a, L b, I c, I d)
BADF(fd_sync, I a)
BADF(fd_tell, I a, I b)
NOSYS(path_create_directory, I a, I b, I c)
NOSYS(path_filestat_get, I a, I b, I c, I d, I e)
NOSYS(path_filestat_set_times, I a, I b, I c, I d, L e, L f, I g)
NOSYS(path_link, I a, I b, I c, I d, I e, I f, I g)
NOSYS(path_open, I a, I b, I c, I d, I e, L f, L g, I h, I i)
NOSYS(path_readlink, I a, I b, I c, I d, I e, I f)
NOSYS(path_remove_directory, I a, I b, I c)
NOSYS(path_rename, I a, I b, I c, I d, I e, I f)
NOSYS(path_symlink, I a, I b, I c, I d, I e)
NOSYS(path_unlink_file, I a, I b, I c)
NOSYS(poll_oneoff, I a, I b, I c, I d)
NOSYS(proc_raise, I a)
NOSYS(sock_accept, I a, I b, I c)
NOSYS(sock_recv, I a, I b, I c, I d, I e, I f)
NOSYS(sock_send, I a, I b, I c, I d, I e)
NOSYS(sock_shutdown, I a, I b)

#define ENTRY(name, signature)                                                                     \
	{                                                                                          \
		MODULE, #name, signature, (void (*)(void))enter_##name                             \
	}
const struct fwp_import chain_wasi_imports[CHAIN_WASI_COUNT] = {
	ENTRY(args_get, "ii:i"),
	ENTRY(args_sizes_get, "ii:i"),
	ENTRY(environ_get, "ii:i"),
	ENTRY(environ_sizes_get, "ii:i"),
	ENTRY(clock_res_get, "ii:i"),
	ENTRY(clock_time_get, "iIi:i"),
	ENTRY(fd_advise, "iIIi:i"),
	ENTRY(fd_allocate, "iII:i"),
	ENTRY(fd_close, "i:i"),
	ENTRY(fd_datasync, "i:i"),
	ENTRY(fd_fdstat_get, "ii:i"),
	ENTRY(fd_fdstat_set_flags, "ii:i"),
	ENTRY(fd_fdstat_set_rights, "iII:i"),
	ENTRY(fd_filestat_get, "ii:i"),
	ENTRY(fd_filestat_set_size, "iI:i"),
	ENTRY(fd_filestat_set_times, "iIIi:i"),
	ENTRY(fd_pread, "iiiIi:i"),
	ENTRY(fd_prestat_get, "ii:i"),
	ENTRY(fd_prestat_dir_name, "iii:i"),
	ENTRY(fd_pwrite, "iiiIi:i"),
	ENTRY(fd_read, "iiii:i"),
	ENTRY(fd_readdir, "iiiIi:i"),
	ENTRY(fd_renumber, "ii:i"),
	ENTRY(fd_seek, "iIii:i"),
	ENTRY(fd_sync, "i:i"),
	ENTRY(fd_tell, "ii:i"),
	ENTRY(fd_write, "iiii:i"),
	ENTRY(path_create_directory, "iii:i"),
	ENTRY(path_filestat_get, "iiiii:i"),
	ENTRY(path_filestat_set_times, "iiiiIIi:i"),
	ENTRY(path_link, "iiiiiii:i"),
	ENTRY(path_open, "iiiiiIIii:i"),
	ENTRY(path_readlink, "iiiiii:i"),
	ENTRY(path_remove_directory, "iii:i"),
	ENTRY(path_rename, "iiiiii:i"),
	ENTRY(path_symlink, "iiiii:i"),
	ENTRY(path_unlink_file, "iii:i"),
	ENTRY(poll_oneoff, "iiii:i"),
	ENTRY(proc_exit, "i:"),
	ENTRY(proc_raise, "i:i"),
	ENTRY(sched_yield, ":i"),
	ENTRY(random_get, "ii:i"),
	ENTRY(sock_accept, "iii:i"),
	ENTRY(sock_recv, "iiiiii:i"),
	ENTRY(sock_send, "iiiii:i"),
	ENTRY(sock_shutdown, "ii:i"),
};
