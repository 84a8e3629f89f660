/*
 * Opening and closing the local engine, and its table.
 *
 * The map. LMDB reads through a map of its file, whose size bounds the file. It is address space,
 * not memory: read-only, shared, and backed by the file, so it counts against nothing but the
 * limit on address space. 64 GiB hold some 60 million records and fit thrice into the smallest
 * address space of a 64-bit kernel we run on (512 GiB: 39 bits, Raspberry Pi); where it is refused
 * we halve. MDB_WRITEMAP stays off: with a read-only map a stray write in this process is a
 * crash, not a damaged store.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"
#include "store/local_keys_priv.h"
#include "store/local_memo_priv.h"
#include "store/local_pages_priv.h"
#include "store/local_priv.h"
#include "store/local_upkeep_priv.h"

#define LOCAL_TABLES_MAX     16
#define OPEN_CHECK_BYTES_MAX (1LL << 30)
#define MAP_BYTES_MIN	     ((size_t)64 << 20)

static int open_dir(int parent_fd, const char *name, int *ret_fd, struct eos_why *why)
{
	if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
		return eos_why(why, -errno, "%s: mkdir: %s", name, strerror(errno));
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return eos_why(why, -errno, "%s: %s", name, strerror(errno));
	*ret_fd = fd;
	return 0;
}

static int take_lock(struct local *local, struct eos_why *why)
{
	local->lock_fd = openat(local->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (local->lock_fd < 0)
		return eos_why(why, -errno, "lock: %s", strerror(errno));
	if (flock(local->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return eos_why(why, -EBUSY, "another process has the store open; stop it first");
	return eos_why(why, -errno, "lock: %s", strerror(errno));
}

/* A map behind the end of the file would be SIGBUS, where a damaged file should be an error. */
static int fill_up_file(struct local *local)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct stat file;
	mdb_filehandle_t fd;
	int rc = mdb_env_info(local->env, &info);
	if (rc == 0)
		rc = mdb_env_stat(local->env, &stat);
	if (rc == 0)
		rc = mdb_env_get_fd(local->env, &fd);
	if (rc != 0)
		return local_error(rc);
	if (fstat(fd, &file) < 0)
		return -errno;
	off_t end = (off_t)(info.me_last_pgno + 1) * (off_t)stat.ms_psize;
	return file.st_size < end && ftruncate(fd, end) < 0 ? -errno : 0;
}

static int env_open_at(struct local *local, const char *path, size_t map_bytes)
{
	int rc = mdb_env_create(&local->env);
	if (rc != 0)
		return local_error(rc);
	rc = mdb_env_set_maxdbs(local->env, LOCAL_TABLES_MAX);
	if (rc == 0)
		rc = mdb_env_set_maxreaders(local->env, LOCAL_READERS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(local->env, map_bytes);
	/* Readers are not tied to threads; no read-ahead, for the file may be larger than memory
	 * and its pages would count as ours. */
	if (rc == 0)
		rc = mdb_env_open(local->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (rc != 0) {
		mdb_env_close(local->env);
		local->env = NULL;
	}
	return local_error(rc);
}

/* Before LMDB believes the file. One so large that a start would take many seconds is left to the
 * scrub. */
static int check_pages(struct local *local, struct eos_why *why)
{
	struct stat file;
	uint64_t bytes;
	int fd = openat(local->dir_fd, "metadata.mdb", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0
				       : eos_why(why, -errno, "metadata.mdb: %s", strerror(errno));
	int err = fstat(fd, &file) < 0 ? -errno : 0;
	if (err == 0 && file.st_size <= OPEN_CHECK_BYTES_MAX)
		err = local_pages_check(fd, 0, NULL, NULL, &bytes, why);
	fd = eos_close(fd);
	if (err == -EBADMSG)
		eos_why_prefix(why, "metadata.mdb is damaged or not a store's");
	else if (err < 0)
		eos_why(why, err, "metadata.mdb: %s", strerror(-err));
	return err;
}

static int open_env(struct local *local, const char *dir_path, size_t map_bytes,
		    struct eos_why *why)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/metadata.mdb", dir_path);
	if (n < 0 || (size_t)n >= sizeof(path))
		return eos_why(why, -ENAMETOOLONG, "the path is too long");
	size_t bytes = map_bytes != 0 ? map_bytes : LOCAL_MAP_BYTES_MAX;
	int err = env_open_at(local, path, bytes);
	while ((err == -ENOMEM || err == -EINVAL || err == -EFBIG) && bytes / 2 >= MAP_BYTES_MIN) {
		bytes /= 2;
		err = env_open_at(local, path, bytes);
	}
	if (err == -EBADMSG)
		return eos_why(why, err, "metadata.mdb is damaged or not a store's");
	if (err < 0)
		return eos_why(why, err, "metadata.mdb: %s", strerror(-err));
	if (mdb_env_get_maxkeysize(local->env) < (int)LOCAL_ENTRY_MAX)
		return eos_why(why, -ENOTSUP, "this LMDB has keys of %d bytes; %u are needed",
			       mdb_env_get_maxkeysize(local->env), LOCAL_ENTRY_MAX);
	int dead = 0;
	err = local_error(mdb_reader_check(local->env, &dead));
	if (err == 0)
		err = fill_up_file(local);
	if (err < 0)
		return eos_why(why, err, "metadata.mdb: %s", strerror(-err));
	return 0;
}

int local_dir_each(int parent_fd, const char *name,
		   int (*visit)(void *ctx, int fd, const char *name), void *ctx)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (dir == NULL) {
		fd = eos_close(fd);
		return -ENOMEM;
	}
	int result = 0;
	while (result == 0) {
		errno = 0;
		struct dirent *entry = readdir(dir);
		if (entry == NULL) {
			result = -errno; /* 0 at the end */
			break;
		}
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			result = visit(ctx, fd, entry->d_name);
	}
	closedir(dir);
	return result;
}

static int stop_at_first(void *ctx, int fd, const char *name)
{
	return 1;
}

/* Segments without metadata.mdb: open would remove them all, as nothing refers to them. */
static int check_not_beheaded(struct local *local, struct eos_why *why)
{
	struct stat file;
	if (fstatat(local->dir_fd, "blocks", &file, 0) == 0)
		return eos_why(why, -EBADMSG,
			       "the store has format 1, which this version does not read; move "
			       "the directory away to begin anew");
	if (fstatat(local->dir_fd, "metadata.mdb", &file, 0) == 0 && file.st_size > 0)
		return 0;
	int has_files = local_dir_each(local->dir_fd, "segments", stop_at_first, NULL);
	if (has_files <= 0)
		return has_files;
	return eos_why(why, -EBADMSG,
		       "metadata.mdb is missing or empty, but segments/ has data; restore it, "
		       "or move the store's directory away to begin anew");
}

/* The directories' own names must survive a power cut before anything in them counts. */
static int sync_dirs(struct local *local, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int parent = openat(local->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fsync(local->dir_fd) < 0 || (parent >= 0 && fsync(parent) < 0))
		return eos_why(why, -errno, "fsync: %s", strerror(errno));
	return 0;
}

static int open_files(struct local *local, const char *dir_path, size_t map_bytes,
		      struct eos_why *why)
{
	int err = eos_mkdir_p(dir_path, 0700);
	if (err < 0)
		return eos_why(why, err, "mkdir: %s", strerror(-err));
	local->dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (local->dir_fd < 0)
		return eos_why(why, -errno, "%s", strerror(errno));
	err = take_lock(local, why);
	if (err == 0)
		err = open_dir(local->dir_fd, "segments", &local->segments.dir_fd, why);
	if (err == 0)
		err = open_dir(local->dir_fd, "staging", &local->staging_fd, why);
	if (err < 0)
		return err;
	err = check_not_beheaded(local, why);
	if (err == 0)
		err = check_pages(local, why);
	if (err == 0)
		err = open_env(local, dir_path, map_bytes, why);
	return err < 0 ? err : sync_dirs(local, why);
}

static void local_close(struct store *store)
{
	struct local *local = local_of(store);
	EOS_ASSERT(atomic_load(&local->uploads) == 0);
	local_scrub_stop(local);
	local_upkeep_stop(local);
	local_committer_stop(local);
	local_reads_fini(local);
	local_readers_fini(local);
	if (local->env != NULL)
		mdb_env_close(local->env);
	local->staging_fd = eos_close(local->staging_fd);
	local->lock_fd = eos_close(local->lock_fd);
	local->dir_fd = eos_close(local->dir_fd);
	local_committer_fini(&local->committer);
	local_upkeep_fini(&local->upkeep);
	local_scrub_fini(&local->scrub);
	local_damages_fini(&local->damages);
	local_segments_fini(&local->segments);
	local_pins_fini(&local->chunk_pins);
	local_pins_fini(&local->manifest_pins);
	local_crypt_fini(&local->crypt);
	free(local);
}

int local_open(const char *dir_path, const struct local_options *options, struct store **ret_store,
	       struct eos_why *why)
{
	struct local *local = calloc(1, sizeof(*local));
	if (local == NULL)
		return eos_why(why, -ENOMEM, "%s: out of memory", dir_path);
	local->store.ops = &store_engine_local;
	local->number = local_memo_number();
	local->lock_fd = local->dir_fd = local->staging_fd = -1;
	local_segments_init(&local->segments);
	if (options->segment_bytes != 0)
		local->segments.bytes_max = options->segment_bytes;
	local_pins_init(&local->chunk_pins);
	local_pins_init(&local->manifest_pins);
	local_crypt_init(&local->crypt);
	local_committer_init(&local->committer);
	local_upkeep_init(&local->upkeep);
	local_scrub_init(&local->scrub);
	local_damages_init(&local->damages);
	int err = local_crypt_set_path(&local->crypt, options->key_path, dir_path);
	if (err == 0)
		err = open_files(local, dir_path, options->map_bytes, why);
	if (err == 0)
		err = local_recover(local, why);
	if (err == 0)
		err = local_map_find(local);
	if (err == 0)
		err = local_upkeep_start(local);
	if (err == 0)
		local_space_reserve(local);
	if (err < 0) {
		if (why != NULL && why->text[0] == '\0')
			eos_why(why, err, "%s", strerror(-err));
		eos_why_prefix(why, "%s", dir_path);
		local_close(&local->store);
		return err;
	}
	*ret_store = &local->store;
	return 0;
}

static int open_with_defaults(const char *dir_path, const struct store_options *given,
			      struct store **ret_store, struct eos_why *why)
{
	const struct local_options options = {.key_path = given->key_path};
	return local_open(dir_path, &options, ret_store, why);
}

static void local_set_matcher(struct store *store, store_matcher_fn match,
			      void (*notify)(void *ctx), void *ctx)
{
	struct local *local = local_of(store);
	pthread_mutex_lock(&local->committer.batch_lock);
	local->match = match;
	local->notify = notify;
	local->matcher_ctx = ctx;
	pthread_mutex_unlock(&local->committer.batch_lock);
}

/* What LMDB uses of its file, and what is left of the disk. */
static int disk_stats(struct local *local, struct store_stats *stats)
{
	MDB_envinfo info;
	MDB_stat stat;
	struct statvfs disk;
	int rc = mdb_env_info(local->env, &info);
	if (rc == 0)
		rc = mdb_env_stat(local->env, &stat);
	if (rc != 0)
		return local_error(rc);
	if (fstatvfs(local->dir_fd, &disk) < 0)
		return -errno;
	stats->metadata_bytes = ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
	stats->free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
	return 0;
}

static int local_stats(struct store *store, struct store_stats *ret_stats)
{
	struct local *local = local_of(store);
	struct local_state state;
	memset(ret_stats, 0, sizeof(*ret_stats));
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_state_get(local, txn, &state);
	mdb_txn_abort(txn);
	if (err < 0)
		return err == -EBADMSG ? local_damaged("state record", "", NULL, 0) : err;
	ret_stats->buckets = state.buckets;
	ret_stats->objects = state.objects;
	ret_stats->bytes = state.bytes;
	ret_stats->outbox_events = state.outbox_events;
	ret_stats->chunks = state.chunks;
	pthread_mutex_lock(&local->segments.lock);
	ret_stats->chunk_bytes = local->segments.live_bytes;
	ret_stats->segment_bytes = local->segments.file_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	ret_stats->garbage_bytes = ret_stats->segment_bytes - ret_stats->chunk_bytes;
	return disk_stats(local, ret_stats);
}

const struct store_engine_ops store_engine_local = {
	.name = "local",
	.open = open_with_defaults,
	.close = local_close,
	.set_matcher = local_set_matcher,
	.stats = local_stats,
	.bucket_create = local_bucket_create,
	.bucket_delete = local_bucket_delete,
	.bucket_get = local_bucket_get,
	.bucket_list = local_bucket_list,
	.bucket_settings_get = local_bucket_settings_get,
	.bucket_settings_set = local_bucket_settings_set,
	.bucket_look = local_bucket_look,
	.bucket_document_get = local_bucket_document_get,
	.bucket_document_set = local_bucket_document_set,
	.bucket_document_delete = local_bucket_document_delete,
	.quota_check = local_quota_check,
	.bucket_usage = local_bucket_usage,
	.tenant_usage = local_tenant_usage,
	.tenant_quota_set = local_tenant_quota_set,
	.tenant_quota_get = local_tenant_quota_get,
	.upload_begin = local_upload_begin,
	.upload_write = local_upload_write,
	.upload_read = local_upload_read,
	.upload_truncate = local_upload_truncate,
	.upload_size = local_upload_size,
	.upload_append = local_upload_append,
	.upload_set_metadata = local_upload_set_metadata,
	.upload_commit = local_upload_commit,
	.upload_abort = local_upload_abort,
	.reader_open = local_reader_open,
	.reader_info = local_reader_info,
	.reader_read = local_reader_read,
	.reader_whole = local_reader_whole,
	.reader_close = local_reader_close,
	.object_get = local_object_get,
	.object_delete = local_object_delete,
	.object_update = local_object_update,
	.object_rename = local_object_rename,
	.object_list = local_object_list,
	.verify = local_verify,
	.repair = local_repair,
	.compact = local_compact,
	.scrub_set = local_scrub_set,
	.scrub_get = local_scrub_get,
	.customer_key_make = local_customer_key_make,
	.rekey = local_rekey,
	.version_list = local_version_list,
	.find = local_find,
	.outbox_list = local_outbox_list,
	.outbox_remove = local_outbox_remove,
	.outbox_retry = local_outbox_retry,
};
