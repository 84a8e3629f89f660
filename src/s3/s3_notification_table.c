/*
 * The notification configurations of all buckets, by name, in a sorted array.
 *
 * The store's matcher reads it in every commit, so it must find nothing to wait for: changes are
 * prepared and written to disk under a mutex of their own, and hold the array's lock only while
 * they exchange a pointer. Without any configuration a commit costs one load.
 *
 * An entry counts only for the bucket that it was made for, which is known by its time of creation:
 * rules must not outlive their bucket and be those of a stranger's with the same name.
 */
#include "s3/s3_notification.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/counter.h"
#include "base/log.h"
#include "s3/s3_xml_read.h"

EOS_COUNTER(configured, "s3.notification_buckets",
	    "Buckets whose notification configurations are in memory.");

#define DOCUMENT "notification"

struct entry {
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	uint64_t created_ns;
	struct s3_notification *notification; /* owned */
};

struct s3_notifications {
	struct store *store;
	pthread_mutex_t change_lock; /* one change at a time, with its write to disk */
	pthread_rwlock_t lock;	     /* guards what follows; writers hold change_lock, too */
	_Atomic size_t count;	     /* also read without the lock */
	size_t cap;
	struct entry *entries; /* by bucket */
};

static size_t count_of(const struct s3_notifications *notifications)
{
	return atomic_load_explicit(&notifications->count, memory_order_acquire);
}

/* The place of BUCKET, or where it would be. */
static size_t find(const struct s3_notifications *notifications, const char *bucket,
		   bool *ret_is_there)
{
	size_t low = 0, high = count_of(notifications);
	*ret_is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(notifications->entries[middle].bucket, bucket);
		if (order == 0) {
			*ret_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room for one entry more. */
static int reserve(struct s3_notifications *notifications)
{
	size_t cap = EOS_MAX(2 * notifications->cap, (size_t)16);
	int err = 0;
	if (count_of(notifications) < notifications->cap)
		return 0;
	pthread_rwlock_wrlock(&notifications->lock);
	struct entry *entries =
		reallocarray(notifications->entries, cap, sizeof(notifications->entries[0]));
	if (entries == NULL)
		err = -ENOMEM;
	else
		notifications->entries = entries;
	pthread_rwlock_unlock(&notifications->lock);
	if (err == 0)
		notifications->cap = cap;
	return err;
}

/* Puts ENTRY in its place, which exists; NOTIFICATION NULL: takes it out. */
static void exchange(struct s3_notifications *notifications, const struct entry *entry)
{
	bool is_there;
	struct s3_notification *old = NULL;
	pthread_rwlock_wrlock(&notifications->lock);
	size_t count = count_of(notifications), at = find(notifications, entry->bucket, &is_there);
	struct entry *place = notifications->entries + at;
	if (is_there)
		old = place->notification;
	if (entry->notification == NULL && is_there) {
		memmove(place, place + 1, (count - at - 1) * sizeof(*place));
		count--;
		eos_counter_sub(&configured, 1);
	} else if (entry->notification != NULL && !is_there) {
		memmove(place + 1, place, (count - at) * sizeof(*place));
		count++;
		eos_counter_add(&configured, 1);
	}
	if (entry->notification != NULL)
		*place = *entry;
	atomic_store_explicit(&notifications->count, count, memory_order_release);
	pthread_rwlock_unlock(&notifications->lock);
	s3_notification_free(old);
}

/* --- opening --- */

struct opening {
	struct entry *buckets;
	size_t count, cap;
};

static int remember(void *ctx, const struct store_bucket_info *info)
{
	struct opening *opening = ctx;
	if (opening->count == opening->cap) {
		size_t cap = EOS_MAX(2 * opening->cap, (size_t)64);
		void *buckets = reallocarray(opening->buckets, cap, sizeof(opening->buckets[0]));
		if (buckets == NULL)
			return -ENOMEM;
		opening->buckets = buckets;
		opening->cap = cap;
	}
	struct entry *entry = &opening->buckets[opening->count++];
	*entry = (struct entry){.created_ns = info->created_ns};
	memcpy(entry->bucket, info->name, sizeof(entry->bucket));
	return 0;
}

static int load(struct s3_notifications *notifications, struct entry *entry)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct eos_why why = {""};
	int err = store_bucket_document_get(notifications->store, entry->bucket, DOCUMENT, &text);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	enum s3_code code = s3_notification_read(text.data, text.len, &entry->notification, &why);
	if (code == S3_OK && reserve(notifications) < 0) {
		entry->notification = s3_notification_free(entry->notification);
		code = S3_INTERNAL_ERROR;
	}
	if (code == S3_INTERNAL_ERROR)
		return -ENOMEM;
	/* It was checked when it came. */
	if (code != S3_OK)
		eos_log(EOS_LOG_ERROR, "s3",
			"event=stored_notification_invalid bucket=%s why=\"%s\"", entry->bucket,
			why.text);
	else
		exchange(notifications, entry);
	return 0;
}

int s3_notifications_open(struct store *store, struct s3_notifications **ret_notifications)
{
	struct opening opening = {NULL, 0, 0};
	struct s3_notifications *notifications = calloc(1, sizeof(*notifications));
	if (notifications == NULL)
		return -ENOMEM;
	s3_xml_read_init();
	notifications->store = store;
	pthread_mutex_init(&notifications->change_lock, NULL);
	pthread_rwlock_init(&notifications->lock, NULL);
	int err = store_bucket_list(store, remember, &opening);
	for (size_t i = 0; i < opening.count && err == 0; i++)
		err = load(notifications, &opening.buckets[i]);
	free(opening.buckets);
	if (err < 0)
		s3_notifications_free(notifications);
	else
		*ret_notifications = notifications;
	return err;
}

struct s3_notifications *s3_notifications_free(struct s3_notifications *notifications)
{
	if (notifications == NULL)
		return NULL;
	for (size_t i = 0; i < count_of(notifications); i++)
		s3_notification_free(notifications->entries[i].notification);
	eos_counter_sub(&configured, count_of(notifications));
	free(notifications->entries);
	pthread_rwlock_destroy(&notifications->lock);
	pthread_mutex_destroy(&notifications->change_lock);
	free(notifications);
	return NULL;
}

/* --- using --- */

void s3_notifications_match(void *ctx, const struct store_event *event,
			    void (*emit)(void *emit_ctx, const char *function, const char *rule),
			    void *emit_ctx)
{
	struct s3_notifications *notifications = ctx;
	bool is_there;
	if (count_of(notifications) == 0)
		return;
	pthread_rwlock_rdlock(&notifications->lock);
	const struct entry *entry =
		notifications->entries + find(notifications, event->bucket, &is_there);
	if (is_there && entry->created_ns == event->bucket_created_ns) {
		const struct s3_notification_rule *rule =
			s3_notification_match(entry->notification, event);
		if (rule != NULL)
			emit(emit_ctx, rule->function, rule->id);
	}
	pthread_rwlock_unlock(&notifications->lock);
}

/* --- changing --- */

static int write_document(struct store *store, const char *bucket,
			  const struct s3_notification *notification)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	if (notification->count == 0) {
		int err = store_bucket_document_delete(store, bucket, DOCUMENT);
		return err == -ENOENT ? 0 : err;
	}
	s3_notification_write(notification, &text);
	if (eos_buf_failed(&text))
		return -ENOMEM;
	return store_bucket_document_set(store, bucket, DOCUMENT, text.data, text.len);
}

static int set_locked(struct s3_notifications *notifications, const char *bucket,
		      struct s3_notification *notification)
{
	struct store_bucket_info info;
	int err = store_bucket_get(notifications->store, bucket, &info);
	if (err == 0)
		err = reserve(notifications);
	if (err == 0)
		err = write_document(notifications->store, bucket, notification);
	if (err < 0)
		return err;
	struct entry entry = {.created_ns = info.created_ns, .notification = notification};
	memcpy(entry.bucket, info.name, sizeof(entry.bucket));
	if (notification->count == 0)
		entry.notification = s3_notification_free(notification);
	exchange(notifications, &entry);
	return 0;
}

int s3_notifications_set(struct s3_notifications *notifications, const char *bucket,
			 struct s3_notification *notification)
{
	pthread_mutex_lock(&notifications->change_lock);
	int err = set_locked(notifications, bucket, notification);
	pthread_mutex_unlock(&notifications->change_lock);
	return err;
}

void s3_notifications_forget(struct s3_notifications *notifications, const char *bucket)
{
	struct store_bucket_info info;
	struct entry none = {.notification = NULL};
	bool is_there;
	pthread_mutex_lock(&notifications->change_lock);
	size_t at = find(notifications, bucket, &is_there);
	/* It may have been made anew, with rules of its own, since it was deleted. */
	if (is_there && (store_bucket_get(notifications->store, bucket, &info) < 0 ||
			 info.created_ns != notifications->entries[at].created_ns)) {
		memcpy(none.bucket, notifications->entries[at].bucket, sizeof(none.bucket));
		exchange(notifications, &none);
	}
	pthread_mutex_unlock(&notifications->change_lock);
}
