/* Events: written with the change, in order, listed, put off, acknowledged. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

static _Atomic int notifications;

static void notify(void *ctx)
{
	atomic_fetch_add(&notifications, 1);
}

/* Two targets for keys that begin with "two", none for "none", one for the others. */
static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	assert_int_equal(strlen(event->key), event->key_len);
	if (strncmp(event->key, "none", 4) == 0)
		return;
	emit(emit_ctx, "function/a", NULL);
	if (strncmp(event->key, "two", 3) == 0)
		emit(emit_ctx, "function/b", NULL);
	if (strncmp(event->key, "long", 4) == 0) {
		char target[STORE_TARGET_MAX + 2];
		memset(target, 't', sizeof(target) - 1);
		target[sizeof(target) - 1] = '\0';
		emit(emit_ctx, target, NULL); /* too long: dropped */
	}
}

static int append_event(void *ctx, const struct store_event *event)
{
	eos_buf_printf(ctx, "%llu %s %s/%s %llu -> %s #%u\n", (unsigned long long)event->id,
		       event->kind == STORE_EVENT_CREATED ? "created" : "removed", event->bucket,
		       event->key, (unsigned long long)event->size, event->target, event->attempts);
	return event->attempts == 99 ? 1 : 0;
}

static void expect(struct store *store, uint64_t after, const char *expected)
{
	struct eos_buf got;
	eos_buf_init(&got);
	eos_buf_puts(&got, "");
	assert_int_equal(store_outbox_list(store, after, append_event, &got), 0);
	assert_string_equal(got.data, expected);
	eos_buf_fini(&got);
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct store *store = f->store;
	struct store_stats stats;
	store_set_matcher(store, match, notify, NULL);
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	assert_int_equal(store_bucket_create(store, ".own"), 0);
	assert_int_equal(object_put(store, "raw", "a", 1, 10), 0);
	assert_int_equal(object_put(store, "raw", "none", 1, 10), 0);
	assert_int_equal(object_put(store, ".own", "a", 1, 10), 0);
	assert_int_equal(object_put(store, "raw", "two", 1, 20), 0);
	assert_int_equal(object_put(store, "raw", "long", 1, 5), 0);
	assert_int_equal(store_object_rename(store, "raw", "a", 1, "b", 1), 0);
	assert_int_equal(store_object_delete(store, "raw", "b", 1, NULL, NULL), 0);
	assert_int_equal(store_object_delete(store, "raw", "b", 1, NULL, NULL), -ENOENT);
	static const char all[] = "1 created raw/a 10 -> function/a #0\n"
				  "2 created raw/two 20 -> function/a #0\n"
				  "3 created raw/two 20 -> function/b #0\n"
				  "4 created raw/long 5 -> function/a #0\n"
				  "5 created raw/b 10 -> function/a #0\n"
				  "6 removed raw/a 10 -> function/a #0\n"
				  "7 removed raw/b 10 -> function/a #0\n";
	expect(store, 0, all);
	assert_int_equal(store_stats(store, &stats), 0);
	assert_int_equal(stats.outbox_events, 7);
	fixture_reopen(f);
	store = f->store;
	/* Close waited for the last notification. */
	assert_int_equal(atomic_load(&notifications), 5);
	expect(store, 0, all);
	expect(store, 5, strstr(all, "6 "));
	expect(store, 7, "");
	expect(store, UINT64_MAX, "");

	assert_int_equal(store_outbox_remove(store, 1), 0);
	assert_int_equal(store_outbox_remove(store, 1), -ENOENT);
	assert_int_equal(store_outbox_retry(store, 1, 5), -ENOENT);
	for (uint64_t id = 3; id <= 6; id++)
		assert_int_equal(store_outbox_remove(store, id), 0);
	assert_int_equal(store_outbox_retry(store, 2, 12345), 0);
	assert_int_equal(store_outbox_retry(store, 2, 12345), 0);
	expect(store, 0,
	       "2 created raw/two 20 -> function/a #2\n"
	       "7 removed raw/b 10 -> function/a #0\n");
	assert_int_equal(store_stats(store, &stats), 0);
	assert_int_equal(stats.outbox_events, 2);
	/* Ids go on, also when the outbox was emptied. */
	assert_int_equal(store_outbox_remove(store, 2), 0);
	assert_int_equal(store_outbox_remove(store, 7), 0);
	fixture_reopen(f);
	store_set_matcher(f->store, match, NULL, NULL);
	assert_int_equal(object_put(f->store, "raw", "c", 1, 1), 0);
	expect(f->store, 0, "8 created raw/c 1 -> function/a #0\n");
}

/* What the matcher says and sees of the bucket; kinds; all of it after a restart and a retry. */
static uint64_t seen_created_ns;

static void match_rule(void *ctx, const struct store_event *event,
		       void (*emit)(void *emit_ctx, const char *target, const char *rule),
		       void *emit_ctx)
{
	char rule[STORE_RULE_MAX + 2];
	memset(rule, 'r', sizeof(rule));
	rule[STORE_RULE_MAX] = '\0';
	seen_created_ns = event->bucket_created_ns;
	emit(emit_ctx, "f", rule);
	rule[STORE_RULE_MAX] = 'r';
	rule[STORE_RULE_MAX + 1] = '\0';
	emit(emit_ctx, "f", rule); /* too long: dropped */
}

static int check_rule(void *ctx, const struct store_event *event)
{
	unsigned *kinds = ctx;
	assert_int_equal(strlen(event->rule), STORE_RULE_MAX);
	assert_int_equal(strlen(event->owner), STORE_TENANT_MAX);
	assert_string_equal(event->key, "key");
	*kinds = *kinds * 10 + event->kind;
	return 0;
}

static void test_kinds_and_rules(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings = {.versioning = STORE_VERSIONING_OFF};
	struct store_bucket_info info;
	const struct store_removal expiration = {.version = STORE_VERSION_LATEST,
						 .is_expiration = true};
	unsigned kinds = 0;
	memset(settings.tenant, 't', STORE_TENANT_MAX);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	store_set_matcher(f->store, match_rule, NULL, NULL);
	for (int kind = STORE_EVENT_CREATED_POST; kind <= STORE_EVENT_CREATED_MULTIPART; kind++) {
		const struct store_put_options options = {.event = (enum store_event_kind)kind};
		struct store_upload *upload;
		assert_int_equal(store_upload_begin(f->store, "raw", "key", 3, NULL, &upload), 0);
		assert_int_equal(store_upload_commit(upload, &options, NULL), 0);
	}
	assert_int_equal(store_object_delete(f->store, "raw", "key", 3, &expiration, NULL), 0);
	settings.versioning = STORE_VERSIONING_ENABLED;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "key", 3, &expiration, NULL), 0);
	assert_int_equal(store_bucket_get(f->store, "raw", &info), 0);
	assert_true(seen_created_ns == info.created_ns);
	assert_int_equal(store_outbox_retry(f->store, 1, 5), 0);
	fixture_reopen(f);
	assert_int_equal(store_outbox_list(f->store, 0, check_rule, &kinds), 0);
	assert_int_equal(kinds, 34567);
}

static int take_event(void *ctx, const struct store_event *event)
{
	memcpy(ctx, event, sizeof(*event));
	return 42;
}

static void test_fields(void **state)
{
	struct fixture *f = *state;
	struct store_object_info info;
	static struct store_event event;
	char key[STORE_KEY_MAX + 1];
	memset(key, 'k', STORE_KEY_MAX);
	key[STORE_KEY_MAX] = '\0';
	store_set_matcher(f->store, match, NULL, NULL);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	uint64_t before = eos_wall_ns();
	assert_int_equal(object_put(f->store, "raw", key, 3, 100000), 0);
	assert_int_equal(object_put(f->store, "raw", key, 4, 10), 0);
	assert_int_equal(
		store_object_get(f->store, "raw", key, STORE_KEY_MAX, STORE_VERSION_LATEST, &info),
		0);
	assert_int_equal(store_outbox_list(f->store, 1, take_event, &event), 42);
	assert_int_equal(event.id, 2);
	assert_string_equal(event.key, key);
	assert_string_equal(event.etag, info.etag);
	assert_int_equal(event.sequence, info.sequence);
	assert_int_equal(event.not_before_ns, 0);
	assert_true(event.time_ns >= before && event.time_ns <= eos_wall_ns());
	assert_int_equal(store_outbox_retry(f->store, 2, UINT64_MAX), 0);
	assert_int_equal(store_outbox_list(f->store, 1, take_event, &event), 42);
	assert_int_equal(event.not_before_ns, UINT64_MAX);
	assert_int_equal(event.attempts, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_events),
		TEST(test_kinds_and_rules),
		TEST(test_fields),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
