/*
 * The table of segments.
 *
 * Invariants
 *  1. A reserved place is given once: size only grows, also when the write into it fails.
 *  2. A segment's name is durable before its first reservation is given out: the file is made,
 *     its header written, and the directory synced, under the lock. That happens once for
 *     LOCAL_SEGMENT_BYTES; other writers wait for it, readers of other segments do too.
 *  3. is_dropped is set only while live and writers are 0 and it is not active.
 *  4. A segment stays in its slot until it was unlinked; its struct until the last reference.
 */
#include "store/local_segments_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/file.h"
#include "crypto/crypto.h"
#include "store/local_chunks_priv.h"
#include "store/local_records_priv.h"

EOS_COUNTER(segment_syncs, "store.segment_syncs_total", "Segments synced to disk.")

/* Writes from this size on are begun at once. */
#define WRITEBACK_BYTES (512u << 10)

static_assert(sizeof(struct local_segment_header) == LOCAL_SEGMENT_DATA_OFFSET, "on disk");
static_assert(sizeof(struct local_entry) == 64, "entry on disk");
static_assert(offsetof(struct local_entry, payload_sum) == 48, "entry on disk");

void local_segments_init(struct local_segments *segments)
{
	memset(segments, 0, sizeof(*segments));
	pthread_mutex_init(&segments->lock, NULL);
	for (unsigned i = 0; i < LOCAL_SEGMENT_SLOTS; i++)
		eos_list_init(&segments->slots[i]);
	eos_list_init(&segments->idle);
	segments->dir_fd = -1;
	segments->bytes_max = LOCAL_SEGMENT_BYTES;
	segments->next_id = 1;
}

static void segment_free(struct local_segment *segment)
{
	segment->fd = eos_close(segment->fd);
	free(segment);
}

void local_segments_fini(struct local_segments *segments)
{
	segments->active = local_segment_put(segments, segments->active);
	for (unsigned i = 0; i < LOCAL_SEGMENT_SLOTS; i++) {
		struct eos_list *node;
		while ((node = eos_list_take(&segments->slots[i])) != NULL) {
			struct local_segment *segment =
				EOS_CONTAINER_OF(node, struct local_segment, node);
			EOS_ASSERT(segment->refs == 0);
			segment_free(segment);
		}
	}
	segments->dir_fd = eos_close(segments->dir_fd);
	pthread_mutex_destroy(&segments->lock);
}

void local_segment_name(uint32_t id, char out[LOCAL_SEGMENT_NAME_SIZE])
{
	snprintf(out, LOCAL_SEGMENT_NAME_SIZE, "%08x.seg", id);
}

int local_segment_parse_name(const char *name, uint32_t *ret_id)
{
	char again[LOCAL_SEGMENT_NAME_SIZE], *end;
	unsigned long id = strtoul(name, &end, 16);
	if (id == 0 || id > UINT32_MAX)
		return -EINVAL;
	local_segment_name((uint32_t)id, again);
	if (strcmp(name, again) != 0)
		return -EINVAL;
	*ret_id = (uint32_t)id;
	return 0;
}

static struct local_segment *find_locked(struct local_segments *segments, uint32_t id)
{
	struct eos_list *slot = &segments->slots[id % LOCAL_SEGMENT_SLOTS];
	EOS_LIST_FOR_EACH (node, slot) {
		struct local_segment *segment = EOS_CONTAINER_OF(node, struct local_segment, node);
		if (segment->id == id)
			return segment;
	}
	return NULL;
}

static struct local_segment *add_locked(struct local_segments *segments, uint32_t id, uint64_t size,
					uint64_t live)
{
	struct local_segment *segment = calloc(1, sizeof(*segment));
	if (segment == NULL)
		return NULL;
	segment->id = id;
	segment->fd = -1;
	segment->size = size;
	segment->live = live;
	eos_list_init(&segment->idle);
	eos_list_add_tail(&segments->slots[id % LOCAL_SEGMENT_SLOTS], &segment->node);
	segments->file_bytes += size;
	segments->live_bytes += live;
	segments->count++;
	if (id >= segments->next_id)
		segments->next_id = id + 1;
	return segment;
}

int local_segments_add(struct local_segments *segments, uint32_t id, uint64_t size, uint64_t live)
{
	pthread_mutex_lock(&segments->lock);
	EOS_ASSERT(find_locked(segments, id) == NULL);
	struct local_segment *segment = add_locked(segments, id, size, live);
	pthread_mutex_unlock(&segments->lock);
	return segment == NULL ? -ENOMEM : 0;
}

static void forget_locked(struct local_segments *segments, struct local_segment *segment)
{
	eos_list_remove(&segment->node);
	segments->file_bytes -= segment->size;
	segments->live_bytes -= segment->live;
	segments->count--;
}

static void ref_locked(struct local_segments *segments, struct local_segment *segment)
{
	if (segment->refs++ == 0 && !eos_list_is_empty(&segment->idle)) {
		eos_list_remove(&segment->idle);
		segments->idle_count--;
	}
}

struct local_segment *local_segment_ref(struct local_segments *segments,
					struct local_segment *segment)
{
	pthread_mutex_lock(&segments->lock);
	ref_locked(segments, segment);
	pthread_mutex_unlock(&segments->lock);
	return segment;
}

static void put_locked(struct local_segments *segments, struct local_segment *segment)
{
	EOS_ASSERT(segment->refs > 0);
	if (--segment->refs > 0)
		return;
	if (eos_list_is_empty(&segment->node)) { /* unlinked and forgotten */
		segment_free(segment);
		return;
	}
	if (segment->fd < 0)
		return;
	eos_list_add_tail(&segments->idle, &segment->idle);
	if (++segments->idle_count > LOCAL_SEGMENT_FDS_MAX) {
		struct local_segment *oldest = EOS_CONTAINER_OF(eos_list_take(&segments->idle),
								struct local_segment, idle);
		oldest->fd = eos_close(oldest->fd);
		segments->idle_count--;
	}
}

struct local_segment *local_segment_put(struct local_segments *segments,
					struct local_segment *segment)
{
	if (segment != NULL) {
		pthread_mutex_lock(&segments->lock);
		put_locked(segments, segment);
		pthread_mutex_unlock(&segments->lock);
	}
	return NULL;
}

static uint64_t header_sum(const struct local_segment_header *header)
{
	return local_sum(header, offsetof(struct local_segment_header, sum), 0);
}

static int open_locked(struct local_segments *segments, struct local_segment *segment)
{
	char name[LOCAL_SEGMENT_NAME_SIZE];
	struct local_segment_header header;
	local_segment_name(segment->id, name);
	int fd = openat(segments->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	int err = eos_fault("store.segment_read");
	if (err == 0)
		err = eos_pread_full(fd, &header, sizeof(header), 0);
	if (err == 0 && (memcmp(header.magic, LOCAL_SEGMENT_MAGIC, sizeof(header.magic)) != 0 ||
			 header.version != LOCAL_FORMAT_VERSION || header.id != segment->id ||
			 header.sum != header_sum(&header)))
		err = -EBADMSG;
	if (err < 0) {
		fd = eos_close(fd);
		return err == -ENODATA ? -EBADMSG : err;
	}
	segment->fd = fd;
	segment->salt = header.salt;
	return 0;
}

int local_segment_get(struct local_segments *segments, uint32_t id,
		      struct local_segment **ret_segment)
{
	int err = 0;
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	if (segment == NULL || segment->is_dropped)
		err = -ENOENT;
	else if (segment->fd < 0)
		err = open_locked(segments, segment);
	if (err == 0)
		ref_locked(segments, segment);
	pthread_mutex_unlock(&segments->lock);
	if (err == 0)
		*ret_segment = segment;
	return err;
}

/* Makes the file and its name durable, as the new active segment. */
static int create_file(struct local_segments *segments, uint32_t id, uint64_t salt, int *ret_fd)
{
	char name[LOCAL_SEGMENT_NAME_SIZE];
	struct local_segment_header header = {
		.magic = LOCAL_SEGMENT_MAGIC,
		.version = LOCAL_FORMAT_VERSION,
		.id = id,
		.salt = salt,
	};
	header.sum = header_sum(&header);
	local_segment_name(id, name);
	int err = eos_fault("store.segment_create");
	if (err < 0)
		return err;
	int fd = openat(segments->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = eos_pwrite_full(fd, &header, sizeof(header), 0);
	if (err == 0)
		err = eos_fault("store.dir_fsync");
	if (err == 0 && fsync(segments->dir_fd) < 0)
		err = -errno;
	if (err < 0) {
		/* Nothing refers to it; what stays is removed at the next open. */
		(void)unlinkat(segments->dir_fd, name, 0);
		fd = eos_close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

static int begin_next_locked(struct local_segments *segments)
{
	uint64_t salt;
	int fd = -1;
	if (segments->next_id == UINT32_MAX)
		return -ENOSPC; /* after 256 PiB of writing */
	/* The id is gone also when the file cannot be made: it may be there after all. */
	uint32_t id = segments->next_id++;
	int err = crypto_random(&salt, sizeof(salt));
	if (err == 0)
		err = create_file(segments, id, salt, &fd);
	if (err < 0)
		return err;
	struct local_segment *segment = add_locked(segments, id, LOCAL_SEGMENT_DATA_OFFSET, 0);
	if (segment == NULL) {
		fd = eos_close(fd);
		return -ENOMEM; /* the file is removed at the next open */
	}
	segment->fd = fd;
	segment->salt = salt;
	if (segments->active != NULL)
		put_locked(segments, segments->active);
	ref_locked(segments, segment);
	segments->active = segment;
	return 0;
}

int local_segment_reserve(struct local_segments *segments, uint64_t len,
			  struct local_segment **ret_segment, uint64_t *ret_offset)
{
	int err = 0;
	EOS_ASSERT(len > 0 && len % 8 == 0);
	pthread_mutex_lock(&segments->lock);
	struct local_segment *active = segments->active;
	if (active == NULL || atomic_load(&active->failed) < 0 ||
	    (active->size > LOCAL_SEGMENT_DATA_OFFSET && active->size + len > segments->bytes_max))
		err = begin_next_locked(segments);
	if (err == 0) {
		active = segments->active;
		*ret_segment = active;
		*ret_offset = active->size;
		active->size += len;
		segments->file_bytes += len;
		active->writers++;
		ref_locked(segments, active);
	}
	pthread_mutex_unlock(&segments->lock);
	return err;
}

/* Passes over the first N bytes of IOV. */
static void iov_advance(struct iovec **iov, int *count, size_t n)
{
	while (*count > 0 && n >= (*iov)->iov_len) {
		n -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count > 0) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + n;
		(*iov)->iov_len -= n;
	}
}

int local_segment_write(struct local_segment *segment, struct iovec *iov, int count,
			uint64_t offset)
{
	uint64_t start = offset;
	int err = eos_fault("store.segment_write");
	while (err == 0 && count > 0) {
		ssize_t n = pwritev(segment->fd, iov, count, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			break;
		}
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	/* The disk begins while the caller makes the next piece; the sync has less to wait for. */
	if (err == 0 && offset - start >= WRITEBACK_BYTES)
		(void)sync_file_range(segment->fd, (off_t)start, (off_t)(offset - start),
				      SYNC_FILE_RANGE_WRITE);
	/* Also after an error: what was written may be synced, it does no harm. */
	atomic_fetch_add_explicit(&segment->writes, 1, memory_order_release);
	return err;
}

int local_segment_sync(struct local_segment *segment)
{
	uint64_t writes = atomic_load_explicit(&segment->writes, memory_order_acquire);
	int err = atomic_load(&segment->failed);
	if (err < 0 || segment->synced == writes)
		return err;
	err = eos_fault("store.segment_fsync");
	if (err == 0 && fdatasync(segment->fd) < 0)
		err = -errno;
	eos_counter_add(&segment_syncs, 1);
	if (err == -EDQUOT)
		err = -ENOSPC;
	if (err == 0)
		segment->synced = writes;
	else
		atomic_store(&segment->failed, err);
	return err;
}

void local_segment_written(struct local_segments *segments, struct local_segment *segment)
{
	pthread_mutex_lock(&segments->lock);
	EOS_ASSERT(segment->writers > 0);
	segment->writers--;
	pthread_mutex_unlock(&segments->lock);
}

int local_segment_read(struct local_segment *segment, void *data, size_t len, uint64_t offset)
{
	int err = eos_fault("store.segment_read");
	return err < 0 ? err : eos_pread_full(segment->fd, data, len, (off_t)offset);
}

int local_segment_readv(struct local_segment *segment, struct iovec *iov, int count, size_t len,
			uint64_t offset)
{
	int err = eos_fault("store.segment_read");
	while (err == 0 && len > 0) {
		ssize_t n = preadv(segment->fd, iov, count, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		offset += (uint64_t)n;
		len -= (size_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	return err;
}

void local_segments_count(struct local_segments *segments, uint32_t id, int64_t live)
{
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	if (segment != NULL) {
		segment->live += (uint64_t)live;
		segments->live_bytes += (uint64_t)live;
	}
	pthread_mutex_unlock(&segments->lock);
}

bool local_segments_live(struct local_segments *segments, uint32_t id, uint64_t *ret_live)
{
	pthread_mutex_lock(&segments->lock);
	const struct local_segment *segment = find_locked(segments, id);
	if (segment != NULL)
		*ret_live = segment->live;
	pthread_mutex_unlock(&segments->lock);
	return segment != NULL;
}

bool local_segments_drop(struct local_segments *segments, uint32_t id)
{
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	bool can_go = segment != NULL && !segment->is_dropped && segment != segments->active &&
		      segment->writers == 0 && segment->live == 0;
	if (can_go)
		segment->is_dropped = true;
	pthread_mutex_unlock(&segments->lock);
	return can_go;
}

void local_segments_undrop(struct local_segments *segments, uint32_t id)
{
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	if (segment != NULL)
		segment->is_dropped = false;
	pthread_mutex_unlock(&segments->lock);
}

int local_segments_unlink(struct local_segments *segments, uint32_t id)
{
	char name[LOCAL_SEGMENT_NAME_SIZE];
	local_segment_name(id, name);
	int err = eos_fault("store.segment_unlink");
	if (err == 0 && unlinkat(segments->dir_fd, name, 0) < 0 && errno != ENOENT)
		err = -errno;
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	if (segment != NULL) {
		EOS_ASSERT(segment->is_dropped);
		forget_locked(segments, segment);
		if (!eos_list_is_empty(&segment->idle)) {
			eos_list_remove(&segment->idle);
			segments->idle_count--;
		}
		if (segment->refs == 0)
			segment_free(segment);
	}
	pthread_mutex_unlock(&segments->lock);
	return err;
}

static bool is_candidate(const struct local_segments *segments, const struct local_segment *segment,
			 unsigned percent)
{
	return segment != segments->active && segment->writers == 0 && !segment->is_dropped &&
	       !segment->is_stuck && segment->live <= segment->size / 100 * percent;
}

bool local_segments_candidate(struct local_segments *segments, uint32_t after, unsigned percent,
			      struct local_candidate *ret_candidate)
{
	const struct local_segment *found = NULL;
	pthread_mutex_lock(&segments->lock);
	for (unsigned i = 0; i < LOCAL_SEGMENT_SLOTS; i++) {
		EOS_LIST_FOR_EACH (node, &segments->slots[i]) {
			const struct local_segment *segment =
				EOS_CONTAINER_OF(node, struct local_segment, node);
			if (segment->id > after && (found == NULL || segment->id < found->id) &&
			    is_candidate(segments, segment, percent))
				found = segment;
		}
	}
	if (found != NULL)
		*ret_candidate = (struct local_candidate){found->id, found->size, found->live};
	pthread_mutex_unlock(&segments->lock);
	return found != NULL;
}

void local_segments_set_stuck(struct local_segments *segments, uint32_t id)
{
	pthread_mutex_lock(&segments->lock);
	struct local_segment *segment = find_locked(segments, id);
	if (segment != NULL)
		segment->is_stuck = true;
	pthread_mutex_unlock(&segments->lock);
}

void local_segments_seal(struct local_segments *segments)
{
	pthread_mutex_lock(&segments->lock);
	if (segments->active != NULL)
		put_locked(segments, segments->active);
	segments->active = NULL;
	pthread_mutex_unlock(&segments->lock);
}

static uint64_t entry_sum(const struct local_entry *entry, uint64_t salt, uint64_t offset)
{
	return local_sum(entry, offsetof(struct local_entry, sum),
			 salt ^ (offset * UINT64_C(0x9E3779B97F4A7C15)));
}

void local_entry_seal(struct local_entry *entry, uint64_t salt, uint64_t offset)
{
	entry->magic = LOCAL_ENTRY_MAGIC;
	entry->sum = entry_sum(entry, salt, offset);
}

uint64_t local_payload_sum(const uint8_t name[LOCAL_NAME_SIZE], const void *payload, size_t len)
{
	uint64_t seed;
	memcpy(&seed, name, sizeof(seed));
	return local_sum(payload, len, seed);
}

int local_entry_check(const struct local_entry *entry, uint64_t salt, uint64_t offset)
{
	if (entry->magic != LOCAL_ENTRY_MAGIC || entry->stored_len == 0 ||
	    entry->stored_len > LOCAL_CHUNK_STORED_MAX ||
	    entry->sum != entry_sum(entry, salt, offset))
		return -EBADMSG;
	return 0;
}
