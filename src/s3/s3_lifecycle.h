/*
 * Lifecycle rules: what of a bucket's contents goes when. Reading and writing of the document, and
 * the judgement about one version; s3_lifecycle_run.c acts on it. Any thread; rules are immutable.
 *
 * Beside S3's elements a rule may have <PressureExpiration><FreeBytes>N</FreeBytes>…: while the
 * disk has less than N bytes free, what fits the rule's filter goes, the oldest first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/macros.h"
#include "s3/s3_error.h"
#include "store/store.h"

#define S3_LIFECYCLE_RULES_MAX 1000u
#define S3_LIFECYCLE_DAY_NS    (UINT64_C(86400) * EOS_NS_PER_S)
#define S3_LIFECYCLE_DAYS_MAX  INT32_MAX

struct s3_lifecycle;

/* A LifecycleConfiguration. S3_MALFORMED_XML, S3_INVALID_ARGUMENT, S3_INTERNAL_ERROR;
 * S3_NOT_IMPLEMENTED: transitions to other storage classes. */
enum s3_code s3_lifecycle_read(const char *text, size_t len,
			       struct s3_lifecycle **ret_lifecycle) EOS_MUST_CHECK;
/* The same document with what was left out, appended to BUF. */
void s3_lifecycle_write(const struct s3_lifecycle *lifecycle, struct eos_buf *buf);
struct s3_lifecycle *s3_lifecycle_free(struct s3_lifecycle *lifecycle);

/* One version, or an upload under way, and what must be known of it. */
struct s3_lifecycle_subject {
	const char *key;
	size_t key_len;
	const struct store_object_info *info;
	uint64_t noncurrent_ns;	   /* when it was replaced; 0: it is the latest */
	unsigned newer_noncurrent; /* how many noncurrent versions are newer */
	bool is_alone;		   /* no other version of the key is there */
	bool is_upload;		   /* INFO's modified_ns is when it began */
};
enum s3_lifecycle_verdict {
	S3_LIFECYCLE_KEEP,
	S3_LIFECYCLE_EXPIRE, /* a DELETE without version */
	S3_LIFECYCLE_REMOVE, /* this version, or the upload, for good */
};
/* DAY_NS: how long a day is. As in S3, a day is over when the next begins in UTC. */
enum s3_lifecycle_verdict s3_lifecycle_judge(const struct s3_lifecycle *lifecycle,
					     const struct s3_lifecycle_subject *subject,
					     uint64_t now_ns, uint64_t day_ns);
/* When SUBJECT, the latest version, will expire by the rule that ends it first, whose id is
 * returned; NULL: none will. Borrowed from LIFECYCLE. */
const char *s3_lifecycle_expiry(const struct s3_lifecycle *lifecycle,
				const struct s3_lifecycle_subject *subject, uint64_t day_ns,
				uint64_t *ret_ns);
/* May it go, with FREE_BYTES left on the disk? */
bool s3_lifecycle_yields(const struct s3_lifecycle *lifecycle,
			 const struct s3_lifecycle_subject *subject, uint64_t free_bytes);
/* The most that any rule wants to have free; 0: none cares. */
uint64_t s3_lifecycle_free_bytes(const struct s3_lifecycle *lifecycle);
