/*
 * The file tree in memory as a back end of WASI. vfs_memory_tree.c has the design.
 */
#include "wasi/vfs_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wasi/vfs_memory_priv.h"

static const struct wasi_vfs_ops memory_ops;

static struct memory_node *memory_node(struct wasi_node *node)
{
	return EOS_CONTAINER_OF(node, struct memory_node, node);
}

static int64_t memory_read(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	struct memory_inode *inode = memory_node(node)->inode;
	if (offset >= inode->size)
		return 0;
	uint64_t n = EOS_MIN(len, inode->size - offset);
	memcpy(data, inode->data + offset, n);
	inode->atime_ns = eos_wall_ns();
	return (int64_t)n;
}

static int64_t memory_write(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	struct memory_node *memory = memory_node(node);
	struct memory_inode *inode = memory->inode;
	uint64_t end;
	if (len == 0)
		return 0;
	if (__builtin_add_overflow(offset, len, &end))
		return -EFBIG;
	if (end > inode->size) {
		int err = memory_set_size(memory->tree, inode, end);
		if (err < 0)
			return err;
	}
	memcpy(inode->data + offset, data, len);
	memory_touch(inode);
	return (int64_t)len;
}

static int memory_truncate(struct wasi_node *node, uint64_t size)
{
	return memory_set_size(memory_node(node)->tree, memory_node(node)->inode, size);
}

static int memory_sync(struct wasi_node *node, bool data_only)
{
	return 0;
}

static void fill_stat(const struct memory_inode *inode, struct wasi_stat *ret_stat)
{
	*ret_stat = (struct wasi_stat){
		.device = 1,
		.inode = inode->number,
		.links = inode->links,
		.size = inode->size,
		.atime_ns = inode->atime_ns,
		.mtime_ns = inode->mtime_ns,
		.ctime_ns = inode->ctime_ns,
		.kind = inode->kind,
	};
}

static int memory_stat(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	fill_stat(memory_node(node)->inode, ret_stat);
	return 0;
}

static void set_times(struct memory_inode *inode, const uint64_t *atime_ns,
		      const uint64_t *mtime_ns)
{
	if (atime_ns != NULL)
		inode->atime_ns = *atime_ns;
	if (mtime_ns != NULL)
		inode->mtime_ns = *mtime_ns;
	inode->ctime_ns = eos_wall_ns();
}

static int memory_set_times(struct wasi_node *node, const uint64_t *atime_ns,
			    const uint64_t *mtime_ns)
{
	set_times(memory_node(node)->inode, atime_ns, mtime_ns);
	return 0;
}

static int node_new(struct memory_tree *tree, struct memory_inode *inode,
		    struct wasi_node **ret_node)
{
	struct memory_node *memory = calloc(1, sizeof(*memory));
	if (memory == NULL)
		return -ENOMEM;
	wasi_node_init(&memory->node, &memory_ops, inode->kind);
	memory->tree = tree;
	memory->inode = inode;
	tree->nodes++;
	inode->opens++;
	*ret_node = &memory->node;
	return 0;
}

static void memory_release(struct wasi_node *node)
{
	struct memory_node *memory = memory_node(node);
	struct memory_tree *tree = memory->tree;
	memory->inode->opens--;
	memory_inode_free_if_unused(tree, memory->inode);
	free(memory);
	if (--tree->nodes == 0)
		memory_tree_free(tree);
}

static int memory_open(struct wasi_node *dir, const char *path, unsigned flags,
		       struct wasi_node **ret_node)
{
	struct memory_node *memory = memory_node(dir);
	bool is_exclusive = (flags & WASI_OPEN_CREATE) != 0 && (flags & WASI_OPEN_EXCLUSIVE) != 0;
	bool follow = (flags & WASI_OPEN_FOLLOW) != 0 && !is_exclusive;
	struct memory_found found;
	int err = memory_walk(memory->tree, memory->inode, path, follow, &found);
	if (err < 0)
		return err;
	bool is_new = found.inode == NULL;
	if (is_new && (flags & WASI_OPEN_CREATE) == 0)
		return -ENOENT;
	if (!is_new && is_exclusive)
		return -EEXIST;
	if (is_new) {
		err = memory_make(memory->tree, &found, WASI_NODE_FILE);
		if (err < 0)
			return err;
	}
	struct memory_inode *inode = found.inode;
	if (inode->kind == WASI_NODE_SYMLINK)
		return -ELOOP;
	if ((flags & WASI_OPEN_DIRECTORY) != 0 && inode->kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	if ((flags & (WASI_OPEN_WRITE | WASI_OPEN_CREATE)) != 0 &&
	    inode->kind == WASI_NODE_DIRECTORY)
		return -EISDIR;
	err = node_new(memory->tree, inode, ret_node);
	if (err < 0) {
		if (is_new)
			memory_remove_entry(
				memory->tree, found.dir,
				memory_find_entry(found.dir, found.name, found.name_len));
		return err;
	}
	return (flags & WASI_OPEN_TRUNCATE) != 0 ? memory_set_size(memory->tree, inode, 0) : 0;
}

static int memory_stat_at(struct wasi_node *dir, const char *path, bool follow,
			  struct wasi_stat *ret_stat)
{
	struct memory_found found;
	int err =
		memory_walk(memory_node(dir)->tree, memory_node(dir)->inode, path, follow, &found);
	if (err < 0)
		return err;
	if (found.inode == NULL)
		return -ENOENT;
	fill_stat(found.inode, ret_stat);
	return 0;
}

static int memory_set_times_at(struct wasi_node *dir, const char *path, bool follow,
			       const uint64_t *atime_ns, const uint64_t *mtime_ns)
{
	struct memory_found found;
	int err =
		memory_walk(memory_node(dir)->tree, memory_node(dir)->inode, path, follow, &found);
	if (err < 0)
		return err;
	if (found.inode == NULL)
		return -ENOENT;
	set_times(found.inode, atime_ns, mtime_ns);
	return 0;
}

static int memory_read_dir(struct wasi_node *node, uint64_t cookie, struct wasi_dirent *ret_entry)
{
	const struct memory_inode *dir = memory_node(node)->inode;
	unsigned low = 0, high = dir->entries_count;
	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		if (dir->entries[middle].cookie < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == dir->entries_count)
		return 0;
	const struct memory_entry *entry = &dir->entries[low];
	ret_entry->next = entry->cookie + 1;
	ret_entry->inode = entry->inode->number;
	ret_entry->kind = entry->inode->kind;
	ret_entry->name_len = entry->name_len;
	memcpy(ret_entry->name, entry->name, entry->name_len);
	return 1;
}

static int memory_make_dir(struct wasi_node *dir, const char *path)
{
	struct memory_found found;
	int err = memory_walk(memory_node(dir)->tree, memory_node(dir)->inode, path, false, &found);
	return err < 0 ? err : memory_make(memory_node(dir)->tree, &found, WASI_NODE_DIRECTORY);
}

/* What PATH names in its directory, not followed. -ENOENT. */
static int find_to_remove(struct wasi_node *dir, const char *path, struct memory_found *ret_found)
{
	int err = memory_walk(memory_node(dir)->tree, memory_node(dir)->inode, path, false,
			      ret_found);
	if (err < 0)
		return err;
	if (ret_found->dir == NULL)
		return -EBUSY;
	return ret_found->inode == NULL ? -ENOENT : 0;
}

static void remove_found(struct memory_tree *tree, const struct memory_found *found)
{
	memory_remove_entry(tree, found->dir,
			    memory_find_entry(found->dir, found->name, found->name_len));
}

static int memory_remove_dir(struct wasi_node *dir, const char *path)
{
	struct memory_found found;
	int err = find_to_remove(dir, path, &found);
	if (err < 0)
		return err;
	if (found.inode->kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	if (found.inode->entries_count > 0)
		return -ENOTEMPTY;
	remove_found(memory_node(dir)->tree, &found);
	return 0;
}

static int memory_unlink(struct wasi_node *dir, const char *path)
{
	struct memory_found found;
	int err = find_to_remove(dir, path, &found);
	if (err < 0)
		return err;
	if (found.inode->kind == WASI_NODE_DIRECTORY)
		return -EISDIR;
	remove_found(memory_node(dir)->tree, &found);
	return 0;
}

/* May INODE take the place of TARGET, which may be NULL? */
static int check_replace(const struct memory_inode *inode, const struct memory_inode *target)
{
	if (target == NULL)
		return 0;
	if (inode->kind != WASI_NODE_DIRECTORY)
		return target->kind == WASI_NODE_DIRECTORY ? -EISDIR : 0;
	if (target->kind != WASI_NODE_DIRECTORY)
		return -ENOTDIR;
	return target->entries_count > 0 ? -ENOTEMPTY : 0;
}

static bool is_below(const struct memory_inode *dir, const struct memory_inode *ancestor)
{
	for (; dir != NULL; dir = dir->parent) {
		if (dir == ancestor)
			return true;
	}
	return false;
}

static int memory_rename(struct wasi_node *dir, const char *path, struct wasi_node *new_dir,
			 const char *new_path)
{
	struct memory_tree *tree = memory_node(dir)->tree;
	if (tree != memory_node(new_dir)->tree)
		return -EXDEV;
	/* The source second: its name then lies in tree->pending until it is needed no more. The
	 * target's name does not, so it is taken from the path's end: it is normalised. */
	struct memory_found from, to;
	int err = memory_walk(tree, memory_node(new_dir)->inode, new_path, false, &to);
	if (err == 0)
		err = find_to_remove(dir, path, &from);
	if (err < 0)
		return err;
	if (to.dir == NULL)
		return -EBUSY;
	if (from.inode == to.inode)
		return 0;
	err = check_replace(from.inode, to.inode);
	if (err < 0)
		return err;
	/* One entry comes and one goes: FILES_MAX is not asked. */
	err = memory_check_new_entry(tree, to.dir);
	if (err < 0 && err != -ENOSPC)
		return err;
	if (from.inode->kind == WASI_NODE_DIRECTORY && is_below(to.dir, from.inode))
		return -EINVAL;
	to.name = strrchr(new_path, '/');
	to.name = to.name != NULL ? to.name + 1 : new_path;
	to.name_len = (uint32_t)strlen(to.name);
	/* The new entry is made while the old one is there, so that a failure changes nothing. */
	err = memory_add_entry(tree, to.dir, to.name, to.name_len, from.inode);
	if (err < 0)
		return err;
	if (to.inode != NULL) /* the older of the two entries of that name is found first */
		memory_remove_entry(tree, to.dir, memory_find_entry(to.dir, to.name, to.name_len));
	remove_found(tree, &from);
	return 0;
}

static int memory_symlink(struct wasi_node *dir, const char *target, const char *path)
{
	struct memory_tree *tree = memory_node(dir)->tree;
	struct memory_found found;
	int err = memory_walk(tree, memory_node(dir)->inode, path, false, &found);
	if (err == 0)
		err = memory_make(tree, &found, WASI_NODE_SYMLINK);
	if (err < 0)
		return err;
	uint64_t len = strlen(target);
	err = memory_grow(tree, found.inode, len);
	if (err < 0) {
		remove_found(tree, &found);
		return err;
	}
	memcpy(found.inode->data, target, len);
	found.inode->size = len;
	return 0;
}

static int64_t memory_read_link(struct wasi_node *dir, const char *path, char *out, uint64_t size)
{
	struct memory_found found;
	int err = memory_walk(memory_node(dir)->tree, memory_node(dir)->inode, path, false, &found);
	if (err < 0)
		return err;
	if (found.inode == NULL)
		return -ENOENT;
	if (found.inode->kind != WASI_NODE_SYMLINK)
		return -EINVAL;
	uint64_t n = EOS_MIN(size, found.inode->size);
	memcpy(out, found.inode->data, n);
	return (int64_t)n;
}

static int memory_link(struct wasi_node *dir, const char *path, bool follow,
		       struct wasi_node *new_dir, const char *new_path)
{
	struct memory_tree *tree = memory_node(dir)->tree;
	if (tree != memory_node(new_dir)->tree)
		return -EXDEV;
	struct memory_found from, to;
	int err = memory_walk(tree, memory_node(dir)->inode, path, follow, &from);
	if (err < 0)
		return err;
	if (from.inode == NULL)
		return -ENOENT;
	if (from.inode->kind == WASI_NODE_DIRECTORY)
		return -EPERM;
	err = memory_walk(tree, memory_node(new_dir)->inode, new_path, false, &to);
	if (err < 0)
		return err;
	if (to.dir == NULL || to.inode != NULL)
		return -EEXIST;
	err = memory_check_new_entry(tree, to.dir);
	if (err < 0)
		return err;
	return memory_add_entry(tree, to.dir, to.name, to.name_len, from.inode);
}

static const struct wasi_vfs_ops memory_ops = {
	.read = memory_read,
	.write = memory_write,
	.truncate = memory_truncate,
	.sync = memory_sync,
	.stat = memory_stat,
	.set_times = memory_set_times,
	.release = memory_release,
	.open = memory_open,
	.stat_at = memory_stat_at,
	.read_dir = memory_read_dir,
	.make_dir = memory_make_dir,
	.remove_dir = memory_remove_dir,
	.unlink = memory_unlink,
	.rename = memory_rename,
	.symlink = memory_symlink,
	.read_link = memory_read_link,
	.link = memory_link,
	.set_times_at = memory_set_times_at,
};

int vfs_memory_new(uint64_t bytes_max, unsigned files_max, struct wasi_node **ret_root)
{
	struct memory_tree *tree = calloc(1, sizeof(*tree));
	if (tree == NULL)
		return -ENOMEM;
	tree->bytes_max = bytes_max;
	tree->files_max = files_max;
	tree->next_number = 1;
	tree->next_cookie = 1;
	tree->root = memory_inode_new(tree, WASI_NODE_DIRECTORY);
	int err = tree->root != NULL ? node_new(tree, tree->root, ret_root) : -ENOMEM;
	if (err < 0) {
		free(tree->root);
		free(tree);
	}
	return err;
}
