/*
 * WASI preview 1 for an FWP: arguments, environment, clocks, random numbers, exit, and files.
 *
 * Files come from back ends behind one table, struct wasi_vfs_ops: directories of the host
 * (vfs_host.h), private memory (vfs_memory.h), a node's buckets (in src/cell). A node (struct
 * wasi_node) is an open file or directory of a back end; descriptors of the guest point at
 * nodes. Back ends may block the FWP with fwp_block(): then what they keep must hang on
 * the node or on the struct wasi, never on the stack alone.
 *
 * One struct wasi an FWP, used on the engine's thread. The guest is hostile: every pointer, length,
 * descriptor and path is checked; paths reach back ends normalised: relative, UTF-8 or not, without
 * NUL, empty components or "." and with no "..", which takes away the component before it, also
 * where that is a symbolic link. A path that leaves its directory is refused with EPERM.
 *
 * Rights are kept per descriptor. What path_open asks for and may not have is dropped silently,
 * as programs expect that ask for all; but reading and writing are never: that is ENOTCAPABLE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "fwp/fwp.h"

#define WASI_PATH_MAX	     4096u
#define WASI_DESCRIPTORS_MAX 256u
#define WASI_NAME_MAX	     1024u

enum wasi_node_kind { WASI_NODE_FILE, WASI_NODE_DIRECTORY, WASI_NODE_STREAM, WASI_NODE_SYMLINK };

struct wasi_stat {
	uint64_t device, inode, links, size;
	uint64_t atime_ns, mtime_ns, ctime_ns;
	enum wasi_node_kind kind;
};

struct wasi_dirent {
	uint64_t next; /* cookie from which the listing goes on */
	uint64_t inode;
	enum wasi_node_kind kind;
	uint32_t name_len;
	char name[WASI_NAME_MAX];
};

enum wasi_open_flags {
	WASI_OPEN_READ = 1,
	WASI_OPEN_WRITE = 2,
	WASI_OPEN_CREATE = 4,
	WASI_OPEN_EXCLUSIVE = 8,
	WASI_OPEN_TRUNCATE = 16,
	WASI_OPEN_DIRECTORY = 32, /* fail with -ENOTDIR on anything else */
	WASI_OPEN_FOLLOW = 64,	  /* follow a symlink in the last component */
};

struct wasi_vfs_ops;

/* What a back end embeds in its own open files. The last unref calls ops->release. */
struct wasi_node {
	const struct wasi_vfs_ops *ops;
	enum wasi_node_kind kind;
	unsigned refs;
	bool is_terminal; /* streams: what isatty() of the guest says; false after init */
};

void wasi_node_init(struct wasi_node *node, const struct wasi_vfs_ops *ops,
		    enum wasi_node_kind kind);
struct wasi_node *wasi_node_ref(struct wasi_node *node);
struct wasi_node *wasi_node_unref(struct wasi_node *node);

/*
 * A back end. All return 0 (or a count of bytes) or a negative Linux errno, which the guest sees as
 * WASI's. A NULL entry is -ENOTSUP to the guest (-ENOTDIR for directory functions on files and so
 * on is the caller's work). Paths are normalised and relative to DIR; "" is DIR itself, and comes
 * to open, stat_at and set_times_at only. Both nodes of rename and link have the same ops.
 * DATA may be the guest's memory: while the FWP is blocked in the call it stays where it is,
 * and nobody else touches it.
 */
struct wasi_vfs_ops {
	/* Files. Streams ignore OFFSET. */
	int64_t (*read)(struct wasi_node *node, void *data, uint64_t len, uint64_t offset);
	int64_t (*write)(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset);
	/* At the end, as it is at that moment. NULL: stat() and write() do. */
	int64_t (*append)(struct wasi_node *node, const void *data, uint64_t len);
	/* Room for LEN bytes from OFFSET on; the file grows as needed, never shrinks. NULL or
	 * -EOPNOTSUPP: stat() and truncate() do. */
	int (*allocate)(struct wasi_node *node, uint64_t offset, uint64_t len);
	int (*truncate)(struct wasi_node *node, uint64_t size);
	int (*sync)(struct wasi_node *node, bool data_only);
	int (*stat)(struct wasi_node *node, struct wasi_stat *ret_stat);
	int (*set_times)(struct wasi_node *node, const uint64_t *atime_ns,
			 const uint64_t *mtime_ns);
	/* The guest's own close: makes what was written visible, and its error is the guest's.
	 * Not called when the FWP dies with the file open. */
	int (*close)(struct wasi_node *node);
	/* The last reference: frees, and drops what was not closed. Must not block the FWP. */
	void (*release)(struct wasi_node *node);
	/* Streams: a descriptor that poll(2) may wait for, borrowed. NULL: always ready. */
	int (*poll_fd)(struct wasi_node *node);
	/* Directories. A directory that is to be opened with WASI_OPEN_WRITE is -EISDIR. */
	int (*open)(struct wasi_node *dir, const char *path, unsigned flags,
		    struct wasi_node **ret_node);
	int (*stat_at)(struct wasi_node *dir, const char *path, bool follow,
		       struct wasi_stat *ret_stat);
	/* The entry at COOKIE (0: the first). 1, or 0 at the end. "." and ".." are the caller's. */
	int (*read_dir)(struct wasi_node *dir, uint64_t cookie, struct wasi_dirent *ret_entry);
	int (*make_dir)(struct wasi_node *dir, const char *path);
	int (*remove_dir)(struct wasi_node *dir, const char *path);
	int (*unlink)(struct wasi_node *dir, const char *path);
	int (*rename)(struct wasi_node *dir, const char *path, struct wasi_node *new_dir,
		      const char *new_path);
	int (*symlink)(struct wasi_node *dir, const char *target, const char *path);
	int64_t (*read_link)(struct wasi_node *dir, const char *path, char *out, uint64_t size);
	int (*link)(struct wasi_node *dir, const char *path, bool follow, struct wasi_node *new_dir,
		    const char *new_path);
	int (*set_times_at)(struct wasi_node *dir, const char *path, bool follow,
			    const uint64_t *atime_ns, const uint64_t *mtime_ns);
};

struct wasi;

/* What an FWP's waiting needs of its surroundings. */
struct wasi_host_ops {
	/* Returns when eos_now_ns() is at least MONOTONIC_NS, or when the FWP's own deadline
	 * (fwp_deadline_ns()) is over. May block the FWP. */
	void (*sleep_until)(void *ctx, struct fwp *fwp, uint64_t monotonic_ns);
};

/* No descriptors yet. ARGV and ENVIRONMENT ("K=V") are copied. -ENOMEM. */
int wasi_new(const char *const *argv, size_t argc, const char *const *environment, size_t envc,
	     struct wasi **ret_wasi) EOS_MUST_CHECK;
struct wasi *wasi_free(struct wasi *wasi);

/* Descriptors 0, 1 and 2. Takes a reference of NODE for itself. */
int wasi_set_stdio(struct wasi *wasi, unsigned fd, struct wasi_node *node) EOS_MUST_CHECK;
/* The next descriptor from 3 on is the directory NODE, seen by the guest as GUEST_PATH ("/raw").
 * Takes a reference of NODE for itself. -EMFILE, -ENOMEM. */
int wasi_add_preopen(struct wasi *wasi, const char *guest_path, struct wasi_node *node,
		     bool is_read_only) EOS_MUST_CHECK;

/* OPS and CTX are borrowed until wasi_free(). Without this the thread itself sleeps. */
void wasi_set_host_ops(struct wasi *wasi, const struct wasi_host_ops *ops, void *ctx);

/*
 * For fwp_set_on_return(): closes the files that the program left open, as its exit would on any
 * Unix, so that what it wrote becomes visible; proc_exit with code 0 does the same. When one
 * cannot be closed the exit code becomes WASI_EXIT_UNSAVED. A program that ends in any other way
 * (another exit code, trap, timeout) has its open files dropped.
 */
#define WASI_EXIT_UNSAVED 74u
void wasi_finish(struct fwp *fwp);

/* The host functions. fwp_context() of the FWPs that use them must be the struct wasi. */
const struct fwp_import *wasi_imports(size_t *ret_count);
