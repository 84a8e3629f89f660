/*
 * Inside of src/wasi: the state of one FWP's WASI, and the helpers that the functions share.
 *
 * The functions themselves, wasi_fd_read() and so on, return 0 or a negative errno; the entry
 * points in wasi_imports.c wrap them. Each may be left for good at any call of a back end or of
 * sleep_until (the FWP is killed while it is blocked), so they own nothing by local variables:
 * buffers hang on struct wasi.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "fwp/fwp.h"
#include "wasi/wasi.h"
#include "wasi/wasi_abi.h"

/* WASI's ENOTCAPABLE, which Linux does not have; above every errno of Linux. */
#define WASI_ENOTCAPABLE 4096

#define WASI_IOVECS_MAX	       1024u
#define WASI_SUBSCRIPTIONS_MAX 1024u
/* Writes to a stream from several iovecs are joined up to here: one write, one message. */
#define WASI_GATHER_BYTES_MAX (1u << 20)
/* The most of one read or write, so that a count fits where programs keep it in an int. */
#define WASI_TRANSFER_BYTES_MAX UINT32_C(0x7fffffff)

#define WASI_RIGHTS_FILE                                                                           \
	(WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK |                        \
	 WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_TELL |                \
	 WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ADVISE | WASI_RIGHT_FD_ALLOCATE |                     \
	 WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_SIZE |                            \
	 WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_STREAM                                                                         \
	(WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_READ | WASI_RIGHT_FD_FDSTAT_SET_FLAGS |            \
	 WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_FILESTAT_GET |                   \
	 WASI_RIGHT_POLL_FD_READWRITE)
#define WASI_RIGHTS_DIRECTORY                                                                      \
	(WASI_RIGHT_FD_FDSTAT_SET_FLAGS | WASI_RIGHT_FD_SYNC | WASI_RIGHT_FD_ADVISE |              \
	 WASI_RIGHT_PATH_CREATE_DIRECTORY | WASI_RIGHT_PATH_CREATE_FILE |                          \
	 WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | WASI_RIGHT_PATH_OPEN |        \
	 WASI_RIGHT_FD_READDIR | WASI_RIGHT_PATH_READLINK | WASI_RIGHT_PATH_RENAME_SOURCE |        \
	 WASI_RIGHT_PATH_RENAME_TARGET | WASI_RIGHT_PATH_FILESTAT_GET |                            \
	 WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |                  \
	 WASI_RIGHT_FD_FILESTAT_GET | WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_SYMLINK | \
	 WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE |                          \
	 WASI_RIGHT_POLL_FD_READWRITE)
/* What a read-only preopen and everything opened through it does not have. */
#define WASI_RIGHTS_CHANGE                                                                         \
	(WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE |          \
	 WASI_RIGHT_FD_FILESTAT_SET_TIMES | WASI_RIGHT_PATH_CREATE_DIRECTORY |                     \
	 WASI_RIGHT_PATH_CREATE_FILE | WASI_RIGHT_PATH_LINK_SOURCE | WASI_RIGHT_PATH_LINK_TARGET | \
	 WASI_RIGHT_PATH_RENAME_SOURCE | WASI_RIGHT_PATH_RENAME_TARGET |                           \
	 WASI_RIGHT_PATH_FILESTAT_SET_SIZE | WASI_RIGHT_PATH_FILESTAT_SET_TIMES |                  \
	 WASI_RIGHT_PATH_SYMLINK | WASI_RIGHT_PATH_REMOVE_DIRECTORY | WASI_RIGHT_PATH_UNLINK_FILE)

struct wasi_descriptor {
	struct wasi_node *node; /* one reference; NULL: closed */
	uint64_t offset;	/* of files; at most INT64_MAX */
	uint64_t rights_base, rights_inheriting;
	char *preopen_path; /* owned; NULL when it is no preopen */
	uint16_t flags;	    /* WASI_FDFLAG_ */
};

/* Texts one behind the other, each ended by NUL, as the guest gets them. */
struct wasi_strings {
	char *bytes;
	uint32_t count, size;
};

struct wasi {
	struct wasi_strings args, environment;
	struct wasi_descriptor *descriptors;
	unsigned descriptors_count; /* allocated; grows to WASI_DESCRIPTORS_MAX */
	const struct wasi_host_ops *host_ops;
	void *host_ctx;
	struct edgeos *edgeos; /* borrowed; NULL: it has no host calls of module "edgeos" */
	char *paths;	       /* two buffers of WASI_PATH_MAX + 1 bytes, from the first use */
	void *scratch;	       /* of the running function */
	size_t scratch_size;
};

/* A path of the guest, normalised. TEXT is one of the two buffers of struct wasi. */
struct wasi_path {
	const char *text;
	bool is_directory; /* it ended in "/", "." or "..": only a directory can be meant */
};

#define WASI_FUNCTION(name, signature, parameters, arguments) int wasi_##name parameters;
#include "wasi/wasi_functions.def"
#undef WASI_FUNCTION

/* ERR is 0 or negative. What WASI has no name for is EIO. */
uint16_t wasi_errno_from_linux(int err);

/* Copies between guest and host. -EFAULT when not all of it is inside the guest's memory.
 * Nothing is fetched for LEN 0. */
int wasi_copy_in(struct fwp *fwp, void *to, uint32_t address, uint64_t len) EOS_MUST_CHECK;
int wasi_copy_out(struct fwp *fwp, uint32_t address, const void *from, uint64_t len) EOS_MUST_CHECK;
/* Would LEN bytes at ADDRESS be inside? For results, before anything is done. */
int wasi_check_range(struct fwp *fwp, uint32_t address, uint64_t len) EOS_MUST_CHECK;

/* At least SIZE bytes that live until the next call; contents are kept. NULL: no memory. */
void *wasi_scratch(struct wasi *wasi, size_t size);

/* The open descriptor FD with all of RIGHTS. -EBADF not open, or opened without reading or
 * writing where that is asked for; -WASI_ENOTCAPABLE another right is missing. Borrowed until
 * a descriptor is added. */
int wasi_descriptor_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
			struct wasi_descriptor **ret_descriptor) EOS_MUST_CHECK;
/* The same, and it must be no directory: -EISDIR for reading and writing, else -EBADF. */
int wasi_file_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
		  struct wasi_descriptor **ret_descriptor) EOS_MUST_CHECK;
/* The same, and it must be a directory: -ENOTDIR. */
int wasi_directory_get(struct wasi *wasi, uint32_t fd, uint64_t rights,
		       struct wasi_descriptor **ret_descriptor) EOS_MUST_CHECK;
/* May who has RIGHTS to a file have FDFLAGS on it? Those that sync every write need the right to
 * sync: -WASI_ENOTCAPABLE. */
int wasi_check_fdflags(uint32_t fdflags, uint64_t rights) EOS_MUST_CHECK;
/* The lowest free number from FIRST on. -EMFILE, -ENOMEM. Moves the descriptors. */
int wasi_descriptor_reserve(struct wasi *wasi, unsigned first, uint32_t *ret_fd) EOS_MUST_CHECK;
/* Drops what the descriptor holds, without the back end's close(). */
void wasi_descriptor_drop(struct wasi_descriptor *descriptor);

uint8_t wasi_filetype(enum wasi_node_kind kind);
void wasi_filestat_fill(struct wasi_abi_filestat *out, const struct wasi_stat *stat);
/* Which times FLAGS set: pointers to *ATIM and *MTIM, or NULL. -EINVAL. */
int wasi_times_from_flags(uint32_t flags, uint64_t *atim, uint64_t *mtim,
			  const uint64_t **ret_atime, const uint64_t **ret_mtime) EOS_MUST_CHECK;

/* Copies LEN bytes at ADDRESS into path buffer SLOT (0 or 1), normalised. */
int wasi_path_get(struct fwp *fwp, struct wasi *wasi, unsigned slot, uint32_t address, uint32_t len,
		  struct wasi_path *ret_path) EOS_MUST_CHECK;
/* Path buffer SLOT, or NULL: no memory. */
char *wasi_path_buffer(struct wasi *wasi, unsigned slot);

/*
 * Lexical: empty components and "." are dropped, ".." takes the component before it away. OUT
 * has WASI_PATH_MAX + 1 bytes and may be PATH itself. -ENOENT empty; -ENAMETOOLONG; -EINVAL a NUL
 * inside; -EPERM absolute, or it leads above its directory.
 */
int wasi_path_normalise(const char *path, size_t len, char *out,
			bool *ret_is_directory) EOS_MUST_CHECK;

/* Waits until the stream NODE can be read (or written), as its flags and the FWP's deadline say.
 * 0, -EAGAIN, or -EINTR when the FWP's time is over. */
int wasi_stream_wait(struct fwp *fwp, struct wasi_descriptor *descriptor,
		     bool for_write) EOS_MUST_CHECK;
