/*
 * The tree behind vfs_memory.h: vfs_memory_tree.c keeps it, vfs_memory.c offers it to WASI.
 */
#pragma once

#include "wasi/vfs_memory.h"

struct memory_entry;

struct memory_inode {
	enum wasi_node_kind kind;
	uint64_t number;
	unsigned links, opens;
	uint64_t atime_ns, mtime_ns, ctime_ns;
	/* Files and symbolic links. */
	char *data; /* a link's target has no NUL behind it */
	uint64_t size, capacity;
	/* Directories. */
	struct memory_inode *parent; /* NULL: root, or removed */
	struct memory_entry *entries;
	unsigned entries_count, entries_capacity;
};

struct memory_entry {
	uint64_t cookie; /* from 1 */
	struct memory_inode *inode;
	char *name;
	uint32_t name_len;
};

struct memory_tree {
	unsigned nodes; /* open */
	struct memory_inode *root;
	uint64_t bytes_max, bytes_used;
	unsigned files_max, entries_used;
	uint64_t next_number, next_cookie;
	char pending[WASI_PATH_MAX + 1]; /* what is left of a path that is being walked */
};

struct memory_node {
	struct wasi_node node;
	struct memory_tree *tree;
	struct memory_inode *inode;
};

/* Where a walk ended: the directory, the last component, and what is there (NULL: nothing). */
struct memory_found {
	struct memory_inode *dir; /* NULL when the path was "" */
	const char *name;
	uint32_t name_len;
	struct memory_inode *inode;
};

/* NULL: no memory. It has no entry yet. */
struct memory_inode *memory_inode_new(struct memory_tree *tree, enum wasi_node_kind kind);
/* Frees INODE if neither an entry nor an open node refers to it, and it is not the root. */
void memory_inode_free_if_unused(struct memory_tree *tree, struct memory_inode *inode);
void memory_tree_free(struct memory_tree *tree);

/* NULL: none of that name. Of two, the older. */
struct memory_entry *memory_find_entry(const struct memory_inode *dir, const char *name,
				       uint32_t len);
/* A new entry for INODE in DIR, which has none of that name; FILES_MAX is the caller's affair.
 * -ENAMETOOLONG, -ENOMEM. */
int memory_add_entry(struct memory_tree *tree, struct memory_inode *dir, const char *name,
		     uint32_t len, struct memory_inode *inode) EOS_MUST_CHECK;
/* Removes ENTRY from DIR; its inode goes when nobody else has it. */
void memory_remove_entry(struct memory_tree *tree, struct memory_inode *dir,
			 struct memory_entry *entry);
/* 0 when one more entry may be made in DIR. -ENOSPC; -ENOENT: DIR itself was removed. */
int memory_check_new_entry(const struct memory_tree *tree,
			   const struct memory_inode *dir) EOS_MUST_CHECK;

/*
 * Walks PATH from START. FOLLOW: also a link in the last place. The names in RET_FOUND lie in
 * tree->pending, until the next walk. -ENOENT and -ENOTDIR on the way (not in the last place),
 * -ELOOP, -ENAMETOOLONG; -EPERM: a link leads above START.
 */
int memory_walk(struct memory_tree *tree, struct memory_inode *start, const char *path, bool follow,
		struct memory_found *ret_found) EOS_MUST_CHECK;
/* Makes a new inode where a walk ended. -EEXIST, and what memory_add_entry() and
 * memory_check_new_entry() say. */
int memory_make(struct memory_tree *tree, struct memory_found *found,
		enum wasi_node_kind kind) EOS_MUST_CHECK;

/* Room for SIZE bytes. -ENOSPC. */
int memory_grow(struct memory_tree *tree, struct memory_inode *inode, uint64_t size) EOS_MUST_CHECK;
/* What is new is zero. -ENOSPC, never for SIZE 0. */
int memory_set_size(struct memory_tree *tree, struct memory_inode *inode,
		    uint64_t size) EOS_MUST_CHECK;
void memory_touch(struct memory_inode *inode);
