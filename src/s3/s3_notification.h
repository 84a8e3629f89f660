/*
 * Which functions hear of which changes of a bucket: S3's notification configuration.
 *
 * A configuration is a document of the bucket ("notification"). struct s3_notification is one,
 * read; immutable, so for any thread. struct s3_notifications holds those of all buckets in memory,
 * so that a commit of the store can ask who must hear of it without reading anything; it is made
 * before the first upload and told of each change by s3_put_notification(). Only functions of this
 * node are targets; queues, topics and event buses are S3_NOT_IMPLEMENTED.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"
#include "s3/s3_error.h"
#include "store/store.h"

#define S3_NOTIFICATION_RULES_MAX 100u
#define S3_NOTIFICATION_VALUE_MAX 1024u /* bytes of a prefix or suffix */
#define S3_NOTIFICATION_ARN_MAX	  512u

struct s3_notification_rule {
	/* None is NULL. What the ARN, kept as given, leaves out is "", as is a filter that is not
	 * there. */
	char *id, *arn, *function, *tenant, *region, *prefix, *suffix;
	unsigned names; /* of events, bits in the order of s3_notification.c's table */
	unsigned kinds; /* the same, 1 << enum store_event_kind */
};
struct s3_notification {
	size_t count;
	struct s3_notification_rule rules[];
};

/* A NotificationConfiguration; rules without an id get one. S3_MALFORMED_XML, S3_INVALID_ARGUMENT,
 * S3_NOT_IMPLEMENTED, S3_INTERNAL_ERROR; WHY is "" where the code says enough. */
enum s3_code s3_notification_read(const char *text, size_t len,
				  struct s3_notification **ret_notification,
				  struct eos_why *why) EOS_MUST_CHECK;
/* The same document with the ids, appended to BUF. */
void s3_notification_write(const struct s3_notification *notification, struct eos_buf *buf);
struct s3_notification *s3_notification_free(struct s3_notification *notification);
/* The rule that EVENT fits, or NULL. There is one at most: rules do not overlap. */
const struct s3_notification_rule *s3_notification_match(const struct s3_notification *notification,
							 const struct store_event *event);
/* Whether RULE is about new objects. */
bool s3_notification_is_for_new(const struct s3_notification_rule *rule);

struct s3_notifications;
/* Reads those of all buckets. One that cannot be read is logged and does nothing. STORE is
 * borrowed. The store's errors, -ENOMEM. */
int s3_notifications_open(struct store *store,
			  struct s3_notifications **ret_notifications) EOS_MUST_CHECK;
/* No matcher may use it any more. */
struct s3_notifications *s3_notifications_free(struct s3_notifications *notifications);
/* A store_matcher_fn; CTX is the struct s3_notifications. */
void s3_notifications_match(void *ctx, const struct store_event *event,
			    void (*emit)(void *emit_ctx, const char *function, const char *rule),
			    void *emit_ctx);
/*
 * Makes NOTIFICATION, which is taken on success, that of BUCKET: on disk, and from now on for its
 * events. One without rules takes back what was there. -ENOENT: no such bucket; -EFBIG: more than a
 * document may have; the store's errors: it is as it was, also after a restart unless the store
 * failed.
 */
int s3_notifications_set(struct s3_notifications *notifications, const char *bucket,
			 struct s3_notification *notification) EOS_MUST_CHECK;
/* BUCKET was deleted. What is missed here costs memory only: a bucket of the same name made later
 * is told from it by its time of creation. */
void s3_notifications_forget(struct s3_notifications *notifications, const char *bucket);
