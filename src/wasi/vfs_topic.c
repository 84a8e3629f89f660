/*
 * The back end for topics. The directory and each open topic are nodes; an open topic keeps the
 * directory, which has the names. A topic can be written to only: to hear of one is a trigger's
 * affair. What is not in the directory cannot be made: grants are the manifest's.
 */
#include "wasi/vfs_topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"

struct topic_dir {
	struct wasi_node node;
	const struct vfs_topic_ops *ops;
	void *ctx;
	size_t count;
	char (*names)[VFS_TOPIC_NAME_MAX + 1];
};

struct topic {
	struct wasi_node node;
	struct topic_dir *dir; /* a reference */
	size_t index;
};

static const struct wasi_vfs_ops dir_ops, topic_ops;

static struct topic_dir *dir_of(struct wasi_node *node)
{
	return EOS_CONTAINER_OF(node, struct topic_dir, node);
}

static struct topic *topic_of(struct wasi_node *node)
{
	return EOS_CONTAINER_OF(node, struct topic, node);
}

/* Inode 1 is the directory. */
static void fill_stat(enum wasi_node_kind kind, uint64_t inode, struct wasi_stat *ret_stat)
{
	*ret_stat = (struct wasi_stat){.device = 2, .inode = inode, .links = 1, .kind = kind};
}

static int topic_find(const struct topic_dir *dir, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < dir->count; i++) {
		if (strcmp(dir->names[i], name) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	return -ENOENT;
}

static int64_t topic_write(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	const struct topic *topic = topic_of(node);
	const struct topic_dir *dir = topic->dir;
	(void)offset;
	if (len > VFS_TOPIC_MESSAGE_MAX)
		return -EMSGSIZE;
	int err = dir->ops->publish(dir->ctx, dir->names[topic->index], data, (uint32_t)len);
	return err < 0 ? err : (int64_t)len;
}

/* A published message is as safe as publishing makes it. */
static int topic_sync(struct wasi_node *node, bool data_only)
{
	(void)node;
	(void)data_only;
	return 0;
}

static int topic_stat(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	fill_stat(WASI_NODE_STREAM, topic_of(node)->index + 2, ret_stat);
	return 0;
}

static void topic_release(struct wasi_node *node)
{
	struct topic *topic = topic_of(node);
	wasi_node_unref(&topic->dir->node);
	free(topic);
}

static int open_topic(struct topic_dir *dir, size_t index, unsigned flags,
		      struct wasi_node **ret_node)
{
	if ((flags & WASI_OPEN_DIRECTORY) != 0)
		return -ENOTDIR;
	if ((flags & WASI_OPEN_EXCLUSIVE) != 0)
		return -EEXIST;
	if ((flags & WASI_OPEN_WRITE) == 0)
		return -EACCES;
	int err = eos_fault("wasi.topic_open");
	struct topic *topic = err == 0 ? malloc(sizeof(*topic)) : NULL;
	if (topic == NULL)
		return -ENOMEM;
	*topic = (struct topic){.dir = dir, .index = index};
	wasi_node_init(&topic->node, &topic_ops, WASI_NODE_STREAM);
	wasi_node_ref(&dir->node);
	*ret_node = &topic->node;
	return 0;
}

static int dir_open(struct wasi_node *node, const char *path, unsigned flags,
		    struct wasi_node **ret_node)
{
	struct topic_dir *dir = dir_of(node);
	size_t index;
	if (path[0] == '\0') {
		if ((flags & WASI_OPEN_WRITE) != 0)
			return -EISDIR;
		*ret_node = wasi_node_ref(node);
		return 0;
	}
	int err = topic_find(dir, path, &index);
	if (err < 0)
		return (flags & WASI_OPEN_CREATE) != 0 ? -EACCES : err;
	return open_topic(dir, index, flags, ret_node);
}

static int dir_stat(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	(void)node;
	fill_stat(WASI_NODE_DIRECTORY, 1, ret_stat);
	return 0;
}

static int dir_stat_at(struct wasi_node *node, const char *path, bool follow,
		       struct wasi_stat *ret_stat)
{
	size_t index;
	(void)follow;
	if (path[0] == '\0')
		return dir_stat(node, ret_stat);
	int err = topic_find(dir_of(node), path, &index);
	if (err == 0)
		fill_stat(WASI_NODE_STREAM, index + 2, ret_stat);
	return err;
}

static int dir_read(struct wasi_node *node, uint64_t cookie, struct wasi_dirent *ret_entry)
{
	const struct topic_dir *dir = dir_of(node);
	if (cookie >= dir->count)
		return 0;
	size_t len = strlen(dir->names[cookie]);
	ret_entry->next = cookie + 1;
	ret_entry->inode = cookie + 2;
	ret_entry->kind = WASI_NODE_STREAM;
	ret_entry->name_len = (uint32_t)len;
	memcpy(ret_entry->name, dir->names[cookie], len);
	return 1;
}

static void dir_release(struct wasi_node *node)
{
	struct topic_dir *dir = dir_of(node);
	free(dir->names);
	free(dir);
}

static const struct wasi_vfs_ops topic_ops = {
	.write = topic_write,
	.sync = topic_sync,
	.stat = topic_stat,
	.release = topic_release,
};

static const struct wasi_vfs_ops dir_ops = {
	.stat = dir_stat,
	.release = dir_release,
	.open = dir_open,
	.stat_at = dir_stat_at,
	.read_dir = dir_read,
};

static bool is_name(const char *name)
{
	size_t len = strlen(name);
	return len > 0 && len <= VFS_TOPIC_NAME_MAX && strchr(name, '/') == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

int vfs_topic_new(const char *const *names, size_t count, const struct vfs_topic_ops *ops,
		  void *ctx, struct wasi_node **ret_root)
{
	int err = eos_fault("wasi.topic_new");
	struct topic_dir *dir = err == 0 ? calloc(1, sizeof(*dir)) : NULL;
	if (dir == NULL)
		return -ENOMEM;
	*dir = (struct topic_dir){.ops = ops, .ctx = ctx};
	wasi_node_init(&dir->node, &dir_ops, WASI_NODE_DIRECTORY);
	dir->names = calloc(count > 0 ? count : 1, sizeof(*dir->names));
	err = dir->names == NULL ? -ENOMEM : 0;
	for (size_t i = 0; err == 0 && i < count; i++) {
		size_t other;
		if (!is_name(names[i]) || topic_find(dir, names[i], &other) == 0)
			err = -EINVAL;
		else
			memcpy(dir->names[dir->count++], names[i], strlen(names[i]) + 1);
	}
	if (err < 0) {
		dir_release(&dir->node);
		return err;
	}
	*ret_root = &dir->node;
	return 0;
}
