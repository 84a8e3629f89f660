/*
 * Buckets as directories: the part for names. vfs_bucket_file.c has the open files.
 *
 * A bucket_dir is a bucket and a prefix in it. edged decides what a name is (an object is a file,
 * what only begins keys is a directory) and whether the call may have it.
 *
 * A listing is read in batches. A cookie is the index of an entry; going on where the last call
 * stopped is free, anything else starts the listing anew and skips. The next batch is asked for by
 * the last name seen, so changes between batches neither repeat nor hide other entries.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cell/cell_priv.h"

#define LIST_BATCH_BYTES (8u << 10)

struct cell_bucket_list {
	uint64_t first_cookie; /* of the batch's first entry */
	uint64_t next_cookie;  /* of the entry at next_offset */
	uint32_t next_offset;
	uint32_t len;
	bool is_last; /* nothing comes behind this batch */
	uint32_t last_name_len;
	char last_name[LINK_PATH_MAX]; /* of the entry before next_offset, as LINK_OP_LIST wants */
	char bytes[LIST_BATCH_BYTES];
};

static const struct wasi_vfs_ops dir_ops;

static struct cell_bucket_dir *dir_of(struct wasi_node *node)
{
	EOS_ASSERT(node->ops == &dir_ops);
	return EOS_CONTAINER_OF(node, struct cell_bucket_dir, node);
}

static void dir_init(struct cell_bucket_dir *dir, struct cell_call *call, uint32_t bucket)
{
	*dir = (struct cell_bucket_dir){.call = call, .bucket = bucket};
	wasi_node_init(&dir->node, &dir_ops, WASI_NODE_DIRECTORY);
}

void cell_bucket_root_init(struct cell_bucket_dir *dir, struct cell_call *call, uint32_t bucket)
{
	dir_init(dir, call, bucket);
	dir->is_root = true;
}

/* FNV-1a: a number for a name, nothing more. */
uint64_t cell_bucket_inode(uint32_t bucket, const char *path, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ bucket;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)path[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void cell_bucket_stat(const struct link_stat *from, uint64_t inode, struct wasi_stat *ret_stat)
{
	*ret_stat = (struct wasi_stat){
		.inode = inode,
		.links = 1,
		.size = from->size,
		.atime_ns = from->modified_ns,
		.mtime_ns = from->modified_ns,
		.ctime_ns = from->modified_ns,
		.kind = from->kind == LINK_DIRECTORY ? WASI_NODE_DIRECTORY : WASI_NODE_FILE,
	};
}

/* PATH below DIR as a path in the bucket, into OUT. */
static int join(const struct cell_bucket_dir *dir, const char *path, char out[LINK_PATH_MAX],
		struct link_span *ret_span)
{
	size_t len = strlen(path);
	size_t slash = dir->prefix_len > 0 && len > 0 ? 1 : 0;
	if (len > LINK_PATH_MAX || dir->prefix_len + slash + len > LINK_PATH_MAX)
		return -ENAMETOOLONG;
	if (dir->prefix_len > 0)
		memcpy(out, dir->prefix, dir->prefix_len);
	if (slash > 0)
		out[dir->prefix_len] = '/';
	memcpy(out + dir->prefix_len + slash, path, len);
	*ret_span = (struct link_span){out, (uint32_t)(dir->prefix_len + slash + len)};
	return 0;
}

static int new_dir(const struct cell_bucket_dir *parent, struct link_span path,
		   struct wasi_node **ret_node)
{
	struct cell_bucket_dir *dir = malloc(sizeof(*dir) + path.len + 1);
	if (dir == NULL)
		return -ENOMEM;
	dir_init(dir, parent->call, parent->bucket);
	dir->prefix = (char *)(dir + 1);
	dir->prefix_len = path.len;
	memcpy(dir->prefix, path.data, path.len);
	dir->prefix[path.len] = '\0';
	*ret_node = &dir->node;
	return 0;
}

static void release_dir(struct wasi_node *node)
{
	struct cell_bucket_dir *dir = dir_of(node);
	free(dir->list);
	dir->list = NULL;
	if (!dir->is_root)
		free(dir);
}

/* Asks with one or two paths and, where the reply carries it, for a stat. */
static int64_t ask(const struct cell_bucket_dir *dir, uint32_t op, uint32_t flags,
		   struct link_span path, struct link_span path2, struct link_stat *ret_stat)
{
	struct link_file_request request = {.op = op, .bucket = dir->bucket, .flags = flags};
	uint32_t size = ret_stat != NULL ? (uint32_t)sizeof(*ret_stat) : 0, got;
	int64_t result =
		cell_call_request_paths(dir->call, &request, path, path2, ret_stat, size, &got);
	if (result >= 0 && got != size)
		return -EIO;
	return result;
}

static const struct link_span no_path = {NULL, 0};

static int stat_path(const struct cell_bucket_dir *dir, struct link_span path,
		     struct wasi_stat *ret_stat)
{
	struct link_stat stat;
	int64_t err = ask(dir, LINK_OP_STAT, 0, path, no_path, &stat);
	if (err < 0)
		return (int)err;
	cell_bucket_stat(&stat, cell_bucket_inode(dir->bucket, path.data, path.len), ret_stat);
	return 0;
}

static int stat_at(struct wasi_node *node, const char *path, bool follow,
		   struct wasi_stat *ret_stat)
{
	char buffer[LINK_PATH_MAX];
	struct link_span full;
	int err = join(dir_of(node), path, buffer, &full);
	return err < 0 ? err : stat_path(dir_of(node), full, ret_stat);
}

static int stat_dir(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	struct cell_bucket_dir *dir = dir_of(node);
	/* It was a directory when it was opened; whether keys begin with it now is no matter. */
	struct link_stat stat = {.kind = LINK_DIRECTORY};
	cell_bucket_stat(&stat, cell_bucket_inode(dir->bucket, dir->prefix, dir->prefix_len),
			 ret_stat);
	return 0;
}

static uint32_t open_flags(unsigned flags)
{
	static const struct {
		unsigned wasi;
		uint32_t link;
	} map[] = {
		{WASI_OPEN_READ, LINK_OPEN_READ},
		{WASI_OPEN_WRITE, LINK_OPEN_WRITE},
		{WASI_OPEN_CREATE, LINK_OPEN_CREATE},
		{WASI_OPEN_EXCLUSIVE, LINK_OPEN_EXCLUSIVE},
		{WASI_OPEN_TRUNCATE, LINK_OPEN_TRUNCATE},
	};
	uint32_t result = 0;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(map); i++)
		if ((flags & map[i].wasi) != 0)
			result |= map[i].link;
	return result;
}

static int open_directory(const struct cell_bucket_dir *dir, struct link_span path, unsigned flags,
			  struct wasi_node **ret_node)
{
	if ((flags & WASI_OPEN_WRITE) != 0)
		return -EISDIR;
	if (path.len > 0) {
		struct wasi_stat stat;
		int err = stat_path(dir, path, &stat);
		if (err < 0)
			return err;
		if (stat.kind != WASI_NODE_DIRECTORY)
			return -ENOTDIR;
	}
	return new_dir(dir, path, ret_node);
}

static int open_file(const struct cell_bucket_dir *dir, struct link_span path, unsigned flags,
		     struct wasi_node **ret_node)
{
	struct link_stat stat;
	uint32_t wanted = open_flags(flags);
	int64_t handle = ask(dir, LINK_OP_OPEN, wanted, path, no_path, &stat);
	if (handle == -EISDIR && (wanted & ~(uint32_t)LINK_OPEN_READ) == 0)
		return new_dir(dir, path, ret_node);
	if (handle < 0)
		return (int)handle;
	if (handle >= LINK_HANDLES_MAX)
		return -EIO;
	bool is_writable =
		(wanted & (LINK_OPEN_WRITE | LINK_OPEN_CREATE | LINK_OPEN_TRUNCATE)) != 0;
	return cell_bucket_file_new(dir->call, (uint32_t)handle,
				    cell_bucket_inode(dir->bucket, path.data, path.len), &stat,
				    is_writable, ret_node);
}

static int open_at(struct wasi_node *node, const char *path, unsigned flags,
		   struct wasi_node **ret_node)
{
	char buffer[LINK_PATH_MAX];
	struct cell_bucket_dir *dir = dir_of(node);
	struct link_span full;
	int err = join(dir, path, buffer, &full);
	if (err < 0)
		return err;
	if ((flags & WASI_OPEN_DIRECTORY) != 0 || path[0] == '\0')
		return open_directory(dir, full, flags, ret_node);
	return open_file(dir, full, flags, ret_node);
}

/* Asks for the entries behind list->last_name. 0; the batch may be empty. */
static int fetch_batch(struct cell_bucket_dir *dir)
{
	struct cell_bucket_list *list = dir->list;
	struct link_file_request request = {
		.op = LINK_OP_LIST,
		.bucket = dir->bucket,
		.size = sizeof(list->bytes),
	};
	struct link_span prefix = {dir->prefix, dir->prefix_len};
	struct link_span after = {list->last_name, list->last_name_len};
	list->first_cookie = list->next_cookie;
	list->next_offset = list->len = 0;
	int64_t count = cell_call_request_paths(dir->call, &request, prefix, after, list->bytes,
						sizeof(list->bytes), &list->len);
	if (count < 0) {
		list->len = 0;
		return (int)count;
	}
	list->is_last = count == 0;
	return 0;
}

/* The next entry of the listing: 1, or 0 at the end. NAME is borrowed from the batch. */
static int next_entry(struct cell_bucket_dir *dir, struct link_dirent *ret_entry,
		      struct link_span *ret_name)
{
	struct cell_bucket_list *list = dir->list;
	for (;;) {
		struct link_span batch = {list->bytes, list->len};
		int found = link_dirent_next(batch, &list->next_offset, ret_entry, ret_name);
		if (found < 0)
			return -EIO;
		if (found > 0)
			break;
		if (list->is_last)
			return 0;
		int err = fetch_batch(dir);
		if (err < 0)
			return err;
	}
	/* A directory is passed over with all that is in it. */
	bool is_directory = ret_entry->kind == LINK_DIRECTORY;
	if (ret_name->len + is_directory > sizeof(list->last_name))
		return -EIO;
	memcpy(list->last_name, ret_name->data, ret_name->len);
	list->last_name_len = ret_name->len;
	if (is_directory)
		list->last_name[list->last_name_len++] = '/';
	list->next_cookie++;
	return 1;
}

/* Makes next_entry() give the entry at COOKIE. */
static int seek_list(struct cell_bucket_dir *dir, uint64_t cookie)
{
	struct cell_bucket_list *list = dir->list;
	if (list == NULL) {
		list = dir->list = calloc(1, sizeof(*list));
		if (list == NULL)
			return -ENOMEM;
	}
	if (cookie == 0 || cookie < list->next_cookie) {
		/* From the start also when it is in this batch: a rewind wants what is new. */
		list->first_cookie = list->next_cookie = 0;
		list->next_offset = list->len = list->last_name_len = 0;
		list->is_last = false;
	}
	while (list->next_cookie < cookie) {
		struct link_dirent entry;
		struct link_span name;
		int found = next_entry(dir, &entry, &name);
		if (found <= 0)
			return found;
	}
	return 1;
}

static int read_dir(struct wasi_node *node, uint64_t cookie, struct wasi_dirent *ret_entry)
{
	struct cell_bucket_dir *dir = dir_of(node);
	struct link_dirent entry;
	struct link_span name;
	char buffer[LINK_PATH_MAX], text[WASI_NAME_MAX + 1];
	int found = seek_list(dir, cookie);
	if (found > 0)
		found = next_entry(dir, &entry, &name);
	if (found <= 0)
		return found;
	EOS_ASSERT(name.len <= WASI_NAME_MAX);
	memcpy(text, name.data, name.len);
	text[name.len] = '\0';
	struct link_span full = name;
	if (join(dir, text, buffer, &full) < 0)
		full = name; /* an inode is not worth an error */
	ret_entry->next = cookie + 1;
	ret_entry->inode = cell_bucket_inode(dir->bucket, full.data, full.len);
	ret_entry->kind = entry.kind == LINK_DIRECTORY ? WASI_NODE_DIRECTORY : WASI_NODE_FILE;
	ret_entry->name_len = name.len;
	memcpy(ret_entry->name, name.data, name.len);
	return 1;
}

static int change_one(struct wasi_node *node, uint32_t op, const char *path)
{
	char buffer[LINK_PATH_MAX];
	struct cell_bucket_dir *dir = dir_of(node);
	struct link_span full;
	int err = join(dir, path, buffer, &full);
	return err < 0 ? err : (int)ask(dir, op, 0, full, no_path, NULL);
}

static int make_dir(struct wasi_node *node, const char *path)
{
	return change_one(node, LINK_OP_MAKE_DIR, path);
}

static int remove_dir(struct wasi_node *node, const char *path)
{
	return change_one(node, LINK_OP_REMOVE_DIR, path);
}

static int unlink_at(struct wasi_node *node, const char *path)
{
	return change_one(node, LINK_OP_UNLINK, path);
}

static int rename_at(struct wasi_node *node, const char *path, struct wasi_node *new_node,
		     const char *new_path)
{
	char buffer[LINK_PATH_MAX], new_buffer[LINK_PATH_MAX];
	struct cell_bucket_dir *dir = dir_of(node), *new_dir_ = dir_of(new_node);
	struct link_span full, new_full;
	if (dir->bucket != new_dir_->bucket)
		return -EXDEV;
	int err = join(dir, path, buffer, &full);
	if (err == 0)
		err = join(new_dir_, new_path, new_buffer, &new_full);
	return err < 0 ? err : (int)ask(dir, LINK_OP_RENAME, 0, full, new_full, NULL);
}

static const struct wasi_vfs_ops dir_ops = {
	.stat = stat_dir,
	.release = release_dir,
	.open = open_at,
	.stat_at = stat_at,
	.read_dir = read_dir,
	.make_dir = make_dir,
	.remove_dir = remove_dir,
	.unlink = unlink_at,
	.rename = rename_at,
};
