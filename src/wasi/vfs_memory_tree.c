/*
 * A file tree in memory.
 *
 * Inodes hang in the entries of directories; an inode lives as long as an entry or an open node
 * refers to it, the tree as long as a node is open. Each entry has a serial number that is never
 * used again, which is its cookie: listings go on correctly whatever is added or removed.
 * Entries of a directory are sorted by it, for new ones come last.
 *
 * What counts against BYTES_MAX is what is allocated for contents and link targets; names are
 * bounded by FILES_MAX entries. A directory knows its parent while it is in the tree, for the ".."
 * of link targets; no path goes above the directory it started from.
 *
 * Invariants: links == number of entries that refer to the inode; entries_used == number of all
 * entries in the tree; a directory has exactly one entry, or none after it was removed (or is
 * root).
 */
#include "wasi/vfs_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "wasi/vfs_memory_priv.h"

#define SYMLINKS_MAX 40 /* as Linux */
#define NAME_MAX_LEN 255u
#define FIRST_BYTES  64u

struct memory_inode *memory_inode_new(struct memory_tree *tree, enum wasi_node_kind kind)
{
	struct memory_inode *inode = calloc(1, sizeof(*inode));
	if (inode == NULL)
		return NULL;
	inode->kind = kind;
	inode->number = tree->next_number++;
	inode->atime_ns = inode->mtime_ns = inode->ctime_ns = eos_wall_ns();
	return inode;
}

void memory_inode_free_if_unused(struct memory_tree *tree, struct memory_inode *inode)
{
	if (inode->links > 0 || inode->opens > 0 || inode == tree->root)
		return;
	EOS_ASSERT(inode->entries_count == 0);
	tree->bytes_used -= inode->capacity;
	free(inode->entries);
	free(inode->data);
	free(inode);
}

struct memory_entry *memory_find_entry(const struct memory_inode *dir, const char *name,
				       uint32_t len)
{
	for (unsigned i = 0; i < dir->entries_count; i++) {
		struct memory_entry *entry = &dir->entries[i];
		if (entry->name_len == len && memcmp(entry->name, name, len) == 0)
			return entry;
	}
	return NULL;
}

void memory_touch(struct memory_inode *inode)
{
	inode->mtime_ns = inode->ctime_ns = eos_wall_ns();
}

int memory_add_entry(struct memory_tree *tree, struct memory_inode *dir, const char *name,
		     uint32_t len, struct memory_inode *inode)
{
	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	if (dir->entries_count == dir->entries_capacity) {
		unsigned capacity = EOS_MAX(dir->entries_capacity * 2, 8u);
		struct memory_entry *grown = realloc(dir->entries, capacity * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		dir->entries = grown;
		dir->entries_capacity = capacity;
	}
	char *copy = malloc(len);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, name, len);
	dir->entries[dir->entries_count++] = (struct memory_entry){
		.cookie = tree->next_cookie++,
		.inode = inode,
		.name = copy,
		.name_len = len,
	};
	tree->entries_used++;
	inode->links++;
	if (inode->kind == WASI_NODE_DIRECTORY)
		inode->parent = dir;
	memory_touch(dir);
	return 0;
}

void memory_remove_entry(struct memory_tree *tree, struct memory_inode *dir,
			 struct memory_entry *entry)
{
	struct memory_inode *inode = entry->inode;
	unsigned index = (unsigned)(entry - dir->entries);
	free(entry->name);
	memmove(entry, entry + 1, (dir->entries_count - index - 1) * sizeof(*entry));
	dir->entries_count--;
	EOS_ASSERT(tree->entries_used > 0 && inode->links > 0);
	tree->entries_used--;
	inode->links--;
	inode->ctime_ns = eos_wall_ns();
	if (inode->kind == WASI_NODE_DIRECTORY && inode->links == 0)
		inode->parent = NULL;
	memory_touch(dir);
	memory_inode_free_if_unused(tree, inode);
}

/* Puts the target of LINK before what is left of the path, REST. */
static int expand_link(struct memory_tree *tree, const struct memory_inode *link, const char *rest)
{
	size_t rest_len = strlen(rest);
	if (link->size + 1 + rest_len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	memmove(tree->pending + link->size + 1, rest, rest_len + 1);
	memcpy(tree->pending, link->data, link->size);
	/* "target" + "" must stay "target", without the slash that would ask for a directory. */
	tree->pending[link->size] = rest_len > 0 ? '/' : '\0';
	return 0;
}

/* One step up; START is the limit. */
static int walk_up(const struct memory_inode *start, struct memory_inode **dir)
{
	if (*dir == start)
		return -EPERM;
	if ((*dir)->parent == NULL)
		return -ENOENT;
	*dir = (*dir)->parent;
	return 0;
}

/* The component [AT, END) of a path that is looked up from FOUND, which moves to what is there. */
static int step(struct memory_inode *start, char *at, size_t size, struct memory_found *found)
{
	if (found->inode == NULL)
		return -ENOENT;
	struct memory_inode *dir = found->inode;
	if (dir->kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	if (size == 1 && at[0] == '.')
		return 0;
	if (size == 2 && at[0] == '.' && at[1] == '.') {
		int err = walk_up(start, &dir);
		if (err == 0)
			*found = (struct memory_found){.inode = dir};
		return err;
	}
	if (size > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	const struct memory_entry *entry = memory_find_entry(dir, at, (uint32_t)size);
	*found =
		(struct memory_found){dir, at, (uint32_t)size, entry != NULL ? entry->inode : NULL};
	return 0;
}

int memory_walk(struct memory_tree *tree, struct memory_inode *start, const char *path, bool follow,
		struct memory_found *ret_found)
{
	size_t len = strlen(path);
	if (len > WASI_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(tree->pending, path, len + 1);
	struct memory_found found = {.inode = start};
	char *at = tree->pending;
	int links = 0;
	for (;;) {
		at += strspn(at, "/");
		if (*at == '\0')
			break;
		size_t size = strcspn(at, "/");
		int err = step(start, at, size, &found);
		if (err < 0)
			return err;
		at += size;
		const char *rest = at + strspn(at, "/");
		if (found.inode == NULL || found.inode->kind != WASI_NODE_SYMLINK ||
		    (*rest == '\0' && !follow))
			continue;
		if (++links > SYMLINKS_MAX)
			return -ELOOP;
		err = expand_link(tree, found.inode, rest);
		if (err < 0)
			return err;
		found = (struct memory_found){.inode = found.dir};
		at = tree->pending;
	}
	*ret_found = found;
	return 0;
}

int memory_check_new_entry(const struct memory_tree *tree, const struct memory_inode *dir)
{
	if (dir != tree->root && dir->parent == NULL)
		return -ENOENT;
	return tree->entries_used >= tree->files_max ? -ENOSPC : 0;
}

int memory_make(struct memory_tree *tree, struct memory_found *found, enum wasi_node_kind kind)
{
	if (found->dir == NULL || found->inode != NULL)
		return -EEXIST;
	int err = memory_check_new_entry(tree, found->dir);
	if (err < 0)
		return err;
	struct memory_inode *inode = memory_inode_new(tree, kind);
	if (inode == NULL)
		return -ENOMEM;
	err = memory_add_entry(tree, found->dir, found->name, found->name_len, inode);
	if (err < 0) {
		free(inode);
		return err;
	}
	found->inode = inode;
	return 0;
}

int memory_grow(struct memory_tree *tree, struct memory_inode *inode, uint64_t size)
{
	if (size <= inode->capacity)
		return 0;
	uint64_t room = tree->bytes_max - tree->bytes_used + inode->capacity;
	if (size > room)
		return -ENOSPC;
	uint64_t capacity = EOS_MAX(inode->capacity * 2, (uint64_t)FIRST_BYTES);
	capacity = EOS_MAX(capacity, size);
	capacity = EOS_MIN(capacity, room);
	char *data = realloc(inode->data, capacity);
	if (data == NULL)
		return -ENOSPC;
	tree->bytes_used += capacity - inode->capacity;
	inode->data = data;
	inode->capacity = capacity;
	return 0;
}

int memory_set_size(struct memory_tree *tree, struct memory_inode *inode, uint64_t size)
{
	if (size > inode->size) {
		int err = memory_grow(tree, inode, size);
		if (err < 0)
			return err;
		memset(inode->data + inode->size, 0, size - inode->size);
	} else if (size == 0) {
		tree->bytes_used -= inode->capacity;
		free(inode->data);
		inode->data = NULL;
		inode->capacity = 0;
	}
	inode->size = size;
	memory_touch(inode);
	return 0;
}

/* Everything below ROOT goes, and then ROOT: without recursion, from the deepest one up. */
void memory_tree_free(struct memory_tree *tree)
{
	struct memory_inode *dir = tree->root;
	for (;;) {
		if (dir->entries_count == 0) {
			struct memory_inode *parent = dir->parent;
			if (parent == NULL)
				break;
			memory_remove_entry(tree, parent,
					    &parent->entries[parent->entries_count - 1]);
			dir = parent;
			continue;
		}
		struct memory_entry *last = &dir->entries[dir->entries_count - 1];
		if (last->inode->kind == WASI_NODE_DIRECTORY && last->inode->entries_count > 0)
			dir = last->inode;
		else
			memory_remove_entry(tree, dir, last);
	}
	EOS_ASSERT(tree->entries_used == 0 && tree->bytes_used == 0);
	free(tree->root->entries);
	free(tree->root);
	free(tree);
}
