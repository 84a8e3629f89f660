/*
 * Segments: the files that chunks stand in.
 *
 *     DIR/segments/XXXXXXXX.seg    XXXXXXXX: the id in hexadecimal; ids are never given twice
 *
 * A segment is only ever appended to, by large writes at places that were reserved before. One is
 * active at a time; when it is full the next is begun. What is written counts only when a
 * transaction refers to it (local_commit.c), so nothing here needs to be undone: bytes that nobody
 * refers to are garbage, and compaction gives their space back.
 *
 * Lifetimes: the table (struct local_segments) knows every segment. A descriptor is opened when
 * it is first needed; the idle ones that were used longest ago are closed. A reference keeps the
 * struct and its descriptor, also when the segment is dropped meanwhile, so what was found there
 * stays readable. `writers` are uploads whose bytes no transaction has referred to yet: while there
 * are any, a segment is not dropped, however little of it is live.
 *
 * Any thread; the functions lock.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "base/macros.h"

#define LOCAL_SEGMENT_BYTES	(UINT64_C(64) << 20)
#define LOCAL_SEGMENT_NAME_SIZE 16
#define LOCAL_SEGMENT_MAGIC	"EOSSEGMT"
#define LOCAL_SEGMENT_SLOTS	1024u
/* Descriptors of segments that nobody uses at the moment. */
#define LOCAL_SEGMENT_FDS_MAX 256u

/* The first bytes of a segment. */
struct local_segment_header {
	char magic[8];
	uint32_t version;
	uint32_t id;
	uint64_t salt; /* random: bytes of another segment, or of an older life of the disk, fail */
	uint8_t zero[32];
	uint64_t sum; /* of the bytes before */
};
#define LOCAL_SEGMENT_DATA_OFFSET 64u

#define LOCAL_ENTRY_MAGIC 0x4B4E4843u /* "CHNK" */
#define LOCAL_NAME_SIZE	  32

enum {
	LOCAL_CHUNK_ZSTD = 1,
	LOCAL_CHUNK_ENCRYPTED = 2,
	LOCAL_CHUNK_FLAGS = 3,
};

/* Before each chunk; the payload follows, filled up with zeros to a multiple of 8 bytes. */
struct local_entry {
	uint32_t magic;
	uint32_t stored_len; /* of the payload */
	uint32_t len;	     /* of the chunk's plain bytes */
	uint16_t flags;
	uint16_t key; /* that it is encrypted with, 0: none */
	uint8_t name[LOCAL_NAME_SIZE];
	uint64_t payload_sum; /* seeded by the name */
	uint64_t sum;	      /* of the bytes before; seeded by the segment's salt and the offset */
};

struct local_segment {
	/* Constant. */
	uint32_t id;
	uint64_t salt; /* good when FD is */

	/* Under the table's lock. */
	struct eos_list node; /* in its slot */
	struct eos_list idle; /* in the table's list, when it has a descriptor and no references */
	int fd;		      /* -1: not open */
	unsigned refs, writers;
	uint64_t size; /* reserved so far, with the header */
	uint64_t live; /* bytes of entries that chunks refer to, as committed */
	bool is_dropped;
	bool is_stuck; /* compaction met damage in it: it is left alone until the next open */

	/* Any thread. */
	_Atomic uint64_t writes; /* finished */
	/* A sync failed: what was not synced before may be lost, though the next sync succeeds. */
	_Atomic int failed;
	/* The committer's: writes that are synced. */
	uint64_t synced;
};

struct local_segments {
	int dir_fd; /* owned */
	uint64_t bytes_max;

	pthread_mutex_t lock;
	/* Under the lock. */
	struct eos_list slots[LOCAL_SEGMENT_SLOTS]; /* by id */
	struct eos_list idle;			    /* from the one used longest ago */
	unsigned idle_count;
	struct local_segment *active; /* may be NULL; referenced */
	uint32_t next_id;
	uint64_t file_bytes, live_bytes;
	unsigned count;
};

void local_segments_init(struct local_segments *segments);
/* All references must be gone. */
void local_segments_fini(struct local_segments *segments);

void local_segment_name(uint32_t id, char out[LOCAL_SEGMENT_NAME_SIZE]);
/* 0, or -EINVAL: not a segment's. */
int local_segment_parse_name(const char *name, uint32_t *ret_id) EOS_MUST_CHECK;
/* At open: a segment that is there. -ENOMEM. */
int local_segments_add(struct local_segments *segments, uint32_t id, uint64_t size,
		       uint64_t live) EOS_MUST_CHECK;

/*
 * Reserves LEN bytes (a multiple of 8) at the end of the active segment; makes a new one when they
 * do not fit. The caller gets a reference and is a writer of it. -ENOSPC and what else the file
 * system says.
 */
int local_segment_reserve(struct local_segments *segments, uint64_t len,
			  struct local_segment **ret_segment, uint64_t *ret_offset) EOS_MUST_CHECK;
/* Writes all of IOV (which is changed) to what was reserved. */
int local_segment_write(struct local_segment *segment, struct iovec *iov, int count,
			uint64_t offset) EOS_MUST_CHECK;
/* Makes what was written before the call durable. The committer only. After an error it is the same
 * for ever: nothing else in this segment can become durable. */
int local_segment_sync(struct local_segment *segment) EOS_MUST_CHECK;
/* The writer's bytes are referred to now, or never will be. Keeps the reference. */
void local_segment_written(struct local_segments *segments, struct local_segment *segment);

/* Opens it. -ENOENT: dropped, or lost; -EBADMSG: its header is damaged. */
int local_segment_get(struct local_segments *segments, uint32_t id,
		      struct local_segment **ret_segment) EOS_MUST_CHECK;
/* NULL is fine. Returns NULL. */
struct local_segment *local_segment_put(struct local_segments *segments,
					struct local_segment *segment);
struct local_segment *local_segment_ref(struct local_segments *segments,
					struct local_segment *segment);
/* -ENODATA: it ends before. */
int local_segment_read(struct local_segment *segment, void *data, size_t len,
		       uint64_t offset) EOS_MUST_CHECK;
/* The same into all of IOV (which is changed), LEN bytes together. */
int local_segment_readv(struct local_segment *segment, struct iovec *iov, int count, size_t len,
			uint64_t offset) EOS_MUST_CHECK;

/* Adds to the count of live bytes; what is unknown is passed over. */
void local_segments_count(struct local_segments *segments, uint32_t id, int64_t live);
/* The count. False: the segment is unknown. */
bool local_segments_live(struct local_segments *segments, uint32_t id, uint64_t *ret_live);
/*
 * Whether nothing refers to the segment and nobody writes to it; then it is marked as dropped, and
 * local_segment_get() does not find it any more. Undone by local_segments_undrop().
 */
bool local_segments_drop(struct local_segments *segments, uint32_t id);
void local_segments_undrop(struct local_segments *segments, uint32_t id);
/* Removes the file of a dropped segment. What cannot be removed is left to the next open. */
int local_segments_unlink(struct local_segments *segments, uint32_t id) EOS_MUST_CHECK;
/* A segment that compaction can work on: neither active, nor written to, nor stuck. */
struct local_candidate {
	uint32_t id;
	uint64_t size, live;
};
/* The one with the lowest id above AFTER of which at most PERCENT are live. */
bool local_segments_candidate(struct local_segments *segments, uint32_t after, unsigned percent,
			      struct local_candidate *ret_candidate);
void local_segments_set_stuck(struct local_segments *segments, uint32_t id);
/* Ends the active segment, so that it can be compacted. */
void local_segments_seal(struct local_segments *segments);

/* Sets the sums. SALT and OFFSET: where it will stand. */
void local_entry_seal(struct local_entry *entry, uint64_t salt, uint64_t offset);
uint64_t local_payload_sum(const uint8_t name[LOCAL_NAME_SIZE], const void *payload, size_t len);
/* -EBADMSG. */
int local_entry_check(const struct local_entry *entry, uint64_t salt,
		      uint64_t offset) EOS_MUST_CHECK;
/* What an entry takes in its segment. */
static inline uint64_t local_entry_bytes(uint32_t stored_len)
{
	return sizeof(struct local_entry) + (((uint64_t)stored_len + 7) & ~UINT64_C(7));
}
