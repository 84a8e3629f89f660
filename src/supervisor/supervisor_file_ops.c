/*
 * Files of calls, the workers' half: what the operations are on a store of objects.
 *
 *  - A name is a file when there is an object of that key; else a directory when keys begin with
 *    "name/". So an object hides a directory of the same name.
 *  - mkdir makes an empty object "name/", so that an empty directory exists; listings do not show
 *    it. A directory without one is gone with its last file.
 *  - A file opened for writing is an upload, filled with the object's bytes unless it is
 *    truncated; closing commits it. Nobody sees it before, and two writers do not disturb each
 *    other: the one that closes last wins.
 *
 * Rights: reading, listing and asking need FUNC_ACCESS_READ, everything else FUNC_ACCESS_WRITE.
 * What a call itself wrote it may read back.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "supervisor/supervisor_priv.h"

/* Bytes of an object that an opening for writing copies. Beyond it: EFBIG, instead of a worker that
 * is busy for minutes. */
#define PRELOAD_BYTES_MAX (UINT64_C(256) << 20)
#define COPY_BYTES	  (64u << 10)
#define LIST_LIMIT	  256u

static const char event_name[] = "object";

static bool may_read(const struct supervisor_request *r)
{
	return (r->access & FUNC_ACCESS_READ) != 0;
}

static bool may_write(const struct supervisor_request *r)
{
	return (r->access & FUNC_ACCESS_WRITE) != 0;
}

static int stop_at_first(void *ctx, const struct store_list_entry *entry)
{
	*(bool *)ctx = true;
	return 1;
}

/* 1 when keys begin with "PATH/", 0 when not. */
static int is_directory(const struct supervisor_request *r, const char *path, size_t len)
{
	char prefix[LINK_PATH_MAX + 1];
	bool found = false, more;
	if (len >= STORE_KEY_MAX)
		return 0;
	memcpy(prefix, path, len);
	prefix[len] = '/';
	struct store_list_query query = {.prefix = prefix, .prefix_len = len + 1, .limit = 1};
	int err = store_object_list(r->store, r->bucket, &query, stop_at_first, &found, &more);
	return err < 0 ? err : found;
}

/* What "no such object" means for PATH: -EISDIR or -ENOENT. */
static int why_absent(const struct supervisor_request *r, const char *path, size_t len)
{
	int found = is_directory(r, path, len);
	return found < 0 ? found : found > 0 ? -EISDIR : -ENOENT;
}

/* The payload of an answer that carries a stat. */
static void put_stat(struct supervisor_request *r, enum link_file_kind kind, uint64_t size,
		     uint64_t modified_ns)
{
	struct link_stat stat = {.size = size, .modified_ns = modified_ns, .kind = kind};
	memcpy(r->data, &stat, sizeof(stat));
	r->data_len = sizeof(stat);
}

/*
 * A bucket's notification configuration lets its owner's function read the event's object. Since
 * the event the bucket may have been deleted and made again by somebody else, or given away: that
 * one's object is not there for the function. To be called after the object was found, not before.
 */
static int check_owner(const struct supervisor_request *r)
{
	struct store_bucket_settings settings;
	if (!r->has_owner)
		return 0;
	int err = store_bucket_settings_get(r->store, r->bucket, &settings);
	return err == 0 && strcmp(settings.tenant, r->owner) != 0 ? -ENOENT : err;
}

static int open_reader(struct supervisor_request *r, const char *key, size_t key_len)
{
	struct store_reader *reader = NULL;
	int err =
		store_reader_open(r->store, r->bucket, key, key_len, STORE_VERSION_LATEST, &reader);
	if (err == 0)
		err = check_owner(r);
	if (err < 0) {
		store_reader_close(reader);
		return err;
	}
	const struct store_object_info *info = store_reader_info(reader);
	put_stat(r, LINK_FILE, info->size, info->modified_ns);
	*r->file = (struct supervisor_file){.kind = SUPERVISOR_FILE_READER, .reader = reader};
	return (int)r->handle;
}

/* Fills UPLOAD with the object as it is. */
static int preload(const struct supervisor_request *r, struct store_upload *upload)
{
	struct store_reader *reader;
	char buffer[COPY_BYTES];
	uint64_t offset = 0;
	int err = store_reader_open(r->store, r->bucket, r->path, r->path_len, STORE_VERSION_LATEST,
				    &reader);
	if (err < 0)
		return err;
	if (store_reader_info(reader)->size > PRELOAD_BYTES_MAX)
		err = -EFBIG;
	while (err == 0) {
		int64_t n = store_reader_read(reader, buffer, sizeof(buffer), offset);
		if (n <= 0) {
			err = (int)n;
			break;
		}
		err = store_upload_write(upload, buffer, (size_t)n, offset);
		offset += (uint64_t)n;
	}
	store_reader_close(reader);
	return err;
}

static int open_upload(struct supervisor_request *r)
{
	struct store_object_info info;
	struct store_upload *upload;
	int err = store_object_get(r->store, r->bucket, r->path, r->path_len, STORE_VERSION_LATEST,
				   &info);
	bool is_new = err == -ENOENT, is_empty = is_new || (r->flags & LINK_OPEN_TRUNCATE) != 0;
	if (err < 0 && !is_new)
		return err;
	if (!is_new && (r->flags & LINK_OPEN_EXCLUSIVE) != 0)
		return -EEXIST;
	if (is_new) {
		err = why_absent(r, r->path, r->path_len);
		if (err != -ENOENT || (r->flags & LINK_OPEN_CREATE) == 0)
			return err;
	}
	/* The old object's metadata speaks of the old content: its type, its multipart ETag. But
	 * what its client asked to be encrypted stays so in a bucket that does not ask for it. */
	const struct store_upload_encryption encryption = {
		.is_encrypted = !is_new && info.encryption == STORE_ENCRYPTED,
	};
	info = (struct store_object_info){0};
	err = store_upload_begin_encrypted(r->store, r->bucket, r->path, r->path_len, &info,
					   &encryption, &upload);
	if (err < 0)
		return err;
	if (!is_empty)
		err = preload(r, upload);
	if (err < 0) {
		store_upload_abort(upload);
		return err;
	}
	put_stat(r, LINK_FILE, store_upload_size(upload), eos_wall_ns());
	*r->file = (struct supervisor_file){
		.kind = SUPERVISOR_FILE_UPLOAD,
		.upload = upload,
		.may_read = is_empty || may_read(r),
		.is_dirty = is_empty,
		.is_exclusive = is_new && (r->flags & LINK_OPEN_EXCLUSIVE) != 0,
	};
	return (int)r->handle;
}

static int64_t op_open(struct supervisor_request *r)
{
	bool wants_write =
		(r->flags & (LINK_OPEN_WRITE | LINK_OPEN_CREATE | LINK_OPEN_TRUNCATE)) != 0;
	if (wants_write ? !may_write(r) : !may_read(r))
		return -EACCES;
	if (r->is_event)
		return strcmp(r->path, event_name) == 0 ? open_reader(r, r->key, r->key_len)
							: -ENOENT;
	if (wants_write)
		return open_upload(r);
	int err = open_reader(r, r->path, r->path_len);
	return err == -ENOENT ? why_absent(r, r->path, r->path_len) : err;
}

static int64_t op_read(struct supervisor_request *r)
{
	int64_t n = -EBADF;
	if (r->file->kind == SUPERVISOR_FILE_READER)
		n = store_reader_read(r->file->reader, r->data, r->size, r->offset);
	else if (r->file->may_read)
		n = store_upload_read(r->file->upload, r->data, r->size, r->offset);
	r->data_len = n > 0 ? (uint32_t)n : 0;
	return n;
}

static int64_t op_write(struct supervisor_request *r)
{
	uint32_t len = r->data_len;
	r->data_len = 0;
	if (r->file->kind != SUPERVISOR_FILE_UPLOAD)
		return -EBADF;
	int err = store_upload_write(r->file->upload, r->data, len, r->offset);
	if (err < 0)
		return err;
	r->file->is_dirty = true;
	return len;
}

static int64_t op_truncate(struct supervisor_request *r)
{
	if (r->file->kind != SUPERVISOR_FILE_UPLOAD)
		return -EBADF;
	int err = store_upload_truncate(r->file->upload, r->offset);
	if (err == 0)
		r->file->is_dirty = true;
	return err;
}

void supervisor_file_drop(struct supervisor_file *file)
{
	if (file->kind == SUPERVISOR_FILE_READER)
		store_reader_close(file->reader);
	else if (file->kind == SUPERVISOR_FILE_UPLOAD)
		store_upload_abort(file->upload);
	*file = (struct supervisor_file){.kind = SUPERVISOR_FILE_NONE};
}

static int64_t op_close(struct supervisor_request *r)
{
	struct supervisor_file file = *r->file;
	if (file.kind != SUPERVISOR_FILE_UPLOAD || !file.is_dirty) {
		supervisor_file_drop(r->file);
		return 0;
	}
	*r->file = (struct supervisor_file){.kind = SUPERVISOR_FILE_NONE};
	struct store_put_options options = {
		.condition = file.is_exclusive ? STORE_IF_ABSENT : STORE_ALWAYS,
	};
	return store_upload_commit(file.upload, &options, NULL);
}

static int64_t stat_object(struct supervisor_request *r, const char *key, size_t key_len)
{
	struct store_object_info info;
	int err = store_object_get(r->store, r->bucket, key, key_len, STORE_VERSION_LATEST, &info);
	if (err == 0)
		err = check_owner(r);
	if (err == 0)
		put_stat(r, LINK_FILE, info.size, info.modified_ns);
	return err;
}

static int64_t op_stat(struct supervisor_request *r)
{
	if (!may_read(r))
		return -EACCES;
	if (r->path_len == 0) {
		put_stat(r, LINK_DIRECTORY, 0, 0);
		return 0;
	}
	if (r->is_event)
		return strcmp(r->path, event_name) == 0 ? stat_object(r, r->key, r->key_len)
							: -ENOENT;
	int64_t err = stat_object(r, r->path, r->path_len);
	if (err != -ENOENT)
		return err;
	err = why_absent(r, r->path, r->path_len);
	if (err != -EISDIR)
		return err;
	put_stat(r, LINK_DIRECTORY, 0, 0);
	return 0;
}

/* A listing into the request's data. */
struct listing {
	struct supervisor_request *request;
	size_t prefix_len;
	size_t used;
	unsigned count;
	bool is_full;
	size_t after_len; /* where a next query goes on */
	char after[LINK_PATH_MAX + 1];
};

static int add_entry(void *ctx, const struct store_list_entry *entry)
{
	struct listing *listing = ctx;
	struct supervisor_request *r = listing->request;
	const char *name = entry->key + listing->prefix_len;
	size_t len = entry->key_len - listing->prefix_len;
	if (entry->is_prefix)
		len--; /* its slash */
	bool is_hidden = len == 0 || (len == 1 && name[0] == '.') ||
			 (len == 2 && name[0] == '.' && name[1] == '.');
	if (!is_hidden) {
		int err = link_dirent_append(r->data, r->size, &listing->used, name, len,
					     entry->is_prefix ? LINK_DIRECTORY : LINK_FILE);
		if (err < 0) {
			listing->is_full = true;
			return 1;
		}
		listing->count++;
	}
	EOS_ASSERT(entry->key_len <= LINK_PATH_MAX);
	memcpy(listing->after, entry->key, entry->key_len);
	listing->after_len = entry->key_len;
	return 0;
}

/* Takes out the directories that an object of the same name hides. */
static int hide_directories(struct listing *listing)
{
	struct supervisor_request *r = listing->request;
	struct link_span all = {r->data, (uint32_t)listing->used};
	struct link_dirent entry;
	struct link_span name;
	struct store_object_info info;
	char key[LINK_PATH_MAX + 1];
	uint32_t offset = 0, start = 0;
	size_t kept = 0;
	memcpy(key, listing->after, listing->prefix_len); /* begins with the prefix */
	while (link_dirent_next(all, &offset, &entry, &name) == 1) {
		bool is_hidden = false;
		if (entry.kind == LINK_DIRECTORY) {
			memcpy(key + listing->prefix_len, name.data, name.len);
			int err = store_object_get(r->store, r->bucket, key,
						   listing->prefix_len + name.len,
						   STORE_VERSION_LATEST, &info);
			if (err < 0 && err != -ENOENT)
				return err;
			is_hidden = err == 0;
		}
		if (is_hidden) {
			listing->count--;
		} else {
			memmove(r->data + kept, r->data + start, offset - start);
			kept += offset - start;
		}
		start = offset;
	}
	listing->used = kept;
	return 0;
}

static int64_t list_event(struct supervisor_request *r)
{
	size_t used = 0;
	if (r->path_len > 0)
		return -ENOTDIR;
	if (r->path2_len > 0)
		return 0;
	int err = link_dirent_append(r->data, r->size, &used, event_name, strlen(event_name),
				     LINK_FILE);
	r->data_len = (uint32_t)used;
	return err < 0 ? err : 1;
}

/* Queries until there is an entry to show or nothing is left. */
static int fill_listing(struct listing *listing, const char *prefix)
{
	struct supervisor_request *r = listing->request;
	bool more = true;
	while (more && listing->count == 0) {
		struct store_list_query query = {
			.prefix = prefix,
			.prefix_len = listing->prefix_len,
			.delimiter = "/",
			.delimiter_len = 1,
			.after = listing->after,
			.after_len = listing->after_len,
			.limit = LIST_LIMIT,
		};
		listing->used = 0;
		listing->is_full = false;
		int err = store_object_list(r->store, r->bucket, &query, add_entry, listing, &more);
		if (err < 0)
			return err;
		if (listing->is_full && listing->count == 0)
			return -EINVAL; /* not even one entry fits */
		if (listing->after_len >= listing->prefix_len)
			err = hide_directories(listing);
		if (err < 0)
			return err;
		more |= listing->is_full;
	}
	return 0;
}

static int64_t op_list(struct supervisor_request *r)
{
	char prefix[LINK_PATH_MAX + 2];
	struct listing listing = {.request = r};
	if (!may_read(r))
		return -EACCES;
	if (r->is_event)
		return list_event(r);
	memcpy(prefix, r->path, r->path_len);
	listing.prefix_len = r->path_len;
	if (r->path_len > 0)
		prefix[listing.prefix_len++] = '/';
	if (listing.prefix_len + r->path2_len > LINK_PATH_MAX)
		return -ENAMETOOLONG;
	if (r->path2_len > 0) {
		memcpy(listing.after, prefix, listing.prefix_len);
		memcpy(listing.after + listing.prefix_len, r->path2, r->path2_len);
		listing.after_len = listing.prefix_len + r->path2_len;
	}
	int err = fill_listing(&listing, prefix);
	if (err < 0)
		return err;
	r->data_len = (uint32_t)listing.used;
	return listing.count;
}

static int64_t op_unlink(struct supervisor_request *r)
{
	if (!may_write(r))
		return -EACCES;
	int err = store_object_delete(r->store, r->bucket, r->path, r->path_len, NULL, NULL);
	return err == -ENOENT ? why_absent(r, r->path, r->path_len) : err;
}

/* Objects only: a directory is the beginning of many keys, which cannot change in one step. */
static int64_t op_rename(struct supervisor_request *r)
{
	struct store_object_info info;
	if (!may_write(r))
		return -EACCES;
	int err = store_object_get(r->store, r->bucket, r->path2, r->path2_len,
				   STORE_VERSION_LATEST, &info);
	if (err == -ENOENT && why_absent(r, r->path2, r->path2_len) == -EISDIR)
		return -EISDIR;
	err = store_object_rename(r->store, r->bucket, r->path, r->path_len, r->path2,
				  r->path2_len);
	if (err == -ENOENT && why_absent(r, r->path, r->path_len) == -EISDIR)
		return -ENOTSUP;
	return err;
}

/* PATH with a slash: the key of the object that stands for an empty directory. */
static int directory_key(const struct supervisor_request *r, char key[LINK_PATH_MAX + 1])
{
	if (r->path_len == 0)
		return -EINVAL;
	if (r->path_len >= STORE_KEY_MAX)
		return -ENAMETOOLONG;
	memcpy(key, r->path, r->path_len);
	key[r->path_len] = '/';
	return (int)r->path_len + 1;
}

static int64_t op_make_dir(struct supervisor_request *r)
{
	char key[LINK_PATH_MAX + 1];
	struct store_object_info info = {0};
	struct store_upload *upload;
	if (!may_write(r))
		return -EACCES;
	int len = directory_key(r, key);
	if (len < 0)
		return len;
	int err = store_object_get(r->store, r->bucket, r->path, r->path_len, STORE_VERSION_LATEST,
				   &info);
	if (err == 0)
		return -EEXIST;
	if (err != -ENOENT)
		return err;
	err = why_absent(r, r->path, r->path_len);
	if (err != -ENOENT)
		return err == -EISDIR ? -EEXIST : err;
	info = (struct store_object_info){0};
	err = store_upload_begin(r->store, r->bucket, key, (size_t)len, &info, &upload);
	struct store_put_options options = {.condition = STORE_IF_ABSENT};
	return err < 0 ? err : store_upload_commit(upload, &options, NULL);
}

/* Is there a key behind the directory's own? */
struct children {
	size_t own_len;
	bool has_own, has_others;
};

static int look_for_children(void *ctx, const struct store_list_entry *entry)
{
	struct children *children = ctx;
	if (entry->key_len == children->own_len)
		children->has_own = true;
	else
		children->has_others = true;
	return 0;
}

static int64_t op_remove_dir(struct supervisor_request *r)
{
	char key[LINK_PATH_MAX + 1];
	struct store_object_info info;
	bool more;
	if (!may_write(r))
		return -EACCES;
	int len = directory_key(r, key);
	if (len < 0)
		return len;
	if (store_object_get(r->store, r->bucket, r->path, r->path_len, STORE_VERSION_LATEST,
			     &info) == 0)
		return -ENOTDIR;
	struct children children = {.own_len = (size_t)len};
	struct store_list_query query = {.prefix = key, .prefix_len = (size_t)len, .limit = 2};
	int err =
		store_object_list(r->store, r->bucket, &query, look_for_children, &children, &more);
	if (err < 0)
		return err;
	if (children.has_others)
		return -ENOTEMPTY;
	return children.has_own
		       ? store_object_delete(r->store, r->bucket, key, (size_t)len, NULL, NULL)
		       : -ENOENT;
}

void supervisor_request_run(struct supervisor_request *request)
{
	static int64_t (*const ops[])(struct supervisor_request *) = {
		[LINK_OP_OPEN] = op_open,
		[LINK_OP_READ] = op_read,
		[LINK_OP_WRITE] = op_write,
		[LINK_OP_TRUNCATE] = op_truncate,
		[LINK_OP_CLOSE] = op_close,
		[LINK_OP_STAT] = op_stat,
		[LINK_OP_LIST] = op_list,
		[LINK_OP_UNLINK] = op_unlink,
		[LINK_OP_RENAME] = op_rename,
		[LINK_OP_MAKE_DIR] = op_make_dir,
		[LINK_OP_REMOVE_DIR] = op_remove_dir,
	};
	EOS_ASSERT(request->op < EOS_ARRAY_SIZE(ops) && ops[request->op] != NULL);
	request->result = ops[request->op](request);
	if (request->result < 0)
		request->data_len = 0;
}
