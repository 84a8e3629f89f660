/*
 * What a delivery's verdict means for the outbox. Runs on a worker, because the store blocks until
 * the change is on disk; several at once share a commit.
 *
 * A dead letter is an object of its own in the bucket that the manifest names, and it is there
 * before the event goes: a crash between the two leaves the event, whose last attempt then repeats
 * and writes the same object again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "trigger/object_priv.h"

#define STORE_FAILED_DELAY_NS (30 * EOS_NS_PER_S)

EOS_COUNTER(delivered_total, "trigger.events_delivered_total", "Events whose function ended well.")
EOS_COUNTER(failed_total, "trigger.events_retried_total", "Failed deliveries that are tried again.")
EOS_COUNTER(dead_total, "trigger.events_dead_total", "Events given up after their last attempt.")
EOS_COUNTER(dropped_total, "trigger.events_dropped_total",
	    "Events whose function was removed, or may not hear of them.")

static int write_object(struct store *store, const char *bucket, const char *key,
			const struct eos_buf *body)
{
	struct store_upload *upload;
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	int err = store_metadata_add(info, "content-type", "application/json");
	if (err == 0)
		err = store_upload_begin(store, bucket, key, strlen(key), info, &upload);
	free(info);
	if (err < 0)
		return err;
	err = store_upload_write(upload, body->data, body->len, 0);
	if (err < 0) {
		store_upload_abort(upload);
		return err;
	}
	return store_upload_commit(upload, NULL, NULL);
}

static int format_letter(const struct trigger_delivery *delivery, struct eos_buf *buf)
{
	char time[EOS_ISO8601_SIZE];
	struct eos_buf event;
	eos_buf_init(&event);
	eos_format_iso8601(eos_wall_ns(), time);
	int err = trigger_event_to_json(&delivery->event, &event);
	if (err == 0) {
		struct eos_json json = eos_json_begin(buf);
		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, "function", delivery->event.target);
		eos_json_u64(&json, "version", delivery->func->version);
		eos_json_text(&json, "reason", delivery->reason);
		eos_json_u64(&json, "attempts", delivery->event.attempts + 1);
		eos_json_text(&json, "time", time);
		eos_json_raw(&json, "event", event.data, event.len);
		eos_json_close(&json, '}');
		err = eos_buf_failed(buf) ? -ENOMEM : 0;
	}
	eos_buf_fini(&event);
	return err;
}

static int write_dead_letter(const struct trigger_delivery *delivery)
{
	struct store *store = delivery->trigger->store;
	const char *bucket = delivery->func->manifest->dead_letter;
	char key[STORE_TARGET_MAX + 32];
	if (bucket[0] == '\0')
		return 0;
	(void)snprintf(key, sizeof(key), "%s/%016" PRIx64 ".json", delivery->event.target,
		       delivery->event.id);
	struct eos_buf body;
	eos_buf_init(&body);
	int err = format_letter(delivery, &body);
	if (err == 0)
		err = eos_fault("trigger.dead_letter_write");
	if (err == 0)
		err = write_object(store, bucket, key, &body);
	if (err == -ENOENT) {
		err = store_bucket_create(store, bucket);
		if (err == 0 || err == -EEXIST)
			err = write_object(store, bucket, key, &body);
	}
	eos_buf_fini(&body);
	return err;
}

static int remove_event(const struct trigger_delivery *delivery)
{
	int err = eos_fault("trigger.event_remove");
	if (err == 0)
		err = store_outbox_remove(delivery->trigger->store, delivery->event.id);
	return err == -ENOENT ? 0 : err;
}

static int put_off(const struct trigger_delivery *delivery)
{
	int err = store_outbox_retry(delivery->trigger->store, delivery->event.id,
				     delivery->not_before_ns);
	return err == -ENOENT ? 0 : err;
}

static void run(struct eos_job *job)
{
	struct trigger_delivery *delivery = EOS_CONTAINER_OF(job, struct trigger_delivery, job);
	switch (delivery->verdict) {
	case TRIGGER_DELIVERED:
	case TRIGGER_DROPPED:
		delivery->result = remove_event(delivery);
		break;
	case TRIGGER_FAILED:
		delivery->result = put_off(delivery);
		break;
	case TRIGGER_DEAD:
		delivery->result = write_dead_letter(delivery);
		if (delivery->result == 0)
			delivery->result = remove_event(delivery);
		break;
	}
}

static void count(const struct trigger_delivery *delivery)
{
	static struct eos_counter *const counters[] = {
		[TRIGGER_DELIVERED] = &delivered_total,
		[TRIGGER_DROPPED] = &dropped_total,
		[TRIGGER_FAILED] = &failed_total,
		[TRIGGER_DEAD] = &dead_total,
	};
	eos_counter_add(counters[delivery->verdict], 1);
}

/* An event that could not be settled is still in the outbox, as it was, and comes again. */
static void settled(struct eos_job *job)
{
	struct trigger_delivery *delivery = EOS_CONTAINER_OF(job, struct trigger_delivery, job);
	struct trigger_object *trigger = delivery->trigger;
	if (delivery->result < 0) {
		eos_log(EOS_LOG_ERROR, "trigger",
			"event not settled function=%s event=%" PRIx64 " error=%s",
			delivery->event.target, delivery->event.id, strerror(-delivery->result));
		trigger_object_expect(trigger, eos_wall_ns() + STORE_FAILED_DELAY_NS);
	} else {
		count(delivery);
		if (delivery->verdict == TRIGGER_FAILED)
			trigger_object_expect(trigger, delivery->not_before_ns);
	}
	trigger_object_release(delivery);
	trigger_object_pump(trigger);
}

void trigger_object_settle(struct trigger_delivery *delivery)
{
	delivery->job.run = run;
	delivery->job.done = settled;
	eos_workers_submit(delivery->trigger->workers, &delivery->job);
}
