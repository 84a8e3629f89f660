/*
 * Events as AWS S3 sends them: programs written for S3 notifications find every field they know.
 * What EdgeOS does not have (who asked, from where) is there and empty.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "trigger/trigger.h"

/* Keys are form-encoded in notifications: a space is '+', slashes stay. */
static void put_key(struct eos_json *json, const struct store_event *event)
{
	struct eos_buf key;
	eos_buf_init(&key);
	for (size_t at = 0; at < event->key_len;) {
		const char *space = memchr(event->key + at, ' ', event->key_len - at);
		size_t n = space == NULL ? event->key_len - at : (size_t)(space - event->key) - at;
		(void)eos_percent_encode(&key, event->key + at, n, true);
		if (space != NULL)
			eos_buf_puts(&key, "+");
		at += n + 1;
	}
	if (eos_buf_failed(&key))
		json->buf->failed = true;
	else
		eos_json_text(json, "key", key.data == NULL ? "" : key.data);
	eos_buf_fini(&key);
}

static void put_principal(struct eos_json *json, const char *name, const char *principal)
{
	eos_json_open(json, name, '{');
	eos_json_text(json, "principalId", principal[0] == '\0' ? "edgeos" : principal);
	eos_json_close(json, '}');
}

static void put_bucket(struct eos_json *json, const char *bucket, const char *owner)
{
	char arn[sizeof("arn:aws:s3:::") + STORE_BUCKET_NAME_MAX];
	(void)snprintf(arn, sizeof(arn), "arn:aws:s3:::%s", bucket);
	eos_json_open(json, "bucket", '{');
	eos_json_text(json, "name", bucket);
	put_principal(json, "ownerIdentity", owner);
	eos_json_text(json, "arn", arn);
	eos_json_close(json, '}');
}

static void put_object(struct eos_json *json, const struct store_event *event)
{
	char sequencer[24], version[24];
	(void)snprintf(sequencer, sizeof(sequencer), "%016" PRIX64, event->sequence);
	eos_json_open(json, "object", '{');
	put_key(json, event);
	if (store_event_is_creation(event->kind)) {
		eos_json_u64(json, "size", event->size);
		eos_json_text(json, "eTag", event->etag);
	}
	if (event->version != STORE_VERSION_NULL) {
		/* As S3's clients see it. */
		(void)snprintf(version, sizeof(version), "%016" PRIx64, event->version);
		eos_json_text(json, "versionId", version);
	}
	eos_json_text(json, "sequencer", sequencer);
	eos_json_close(json, '}');
}

int trigger_event_to_json(const struct store_event *event, struct eos_buf *buf)
{
	static const char *const names[] = {
		[STORE_EVENT_CREATED] = "ObjectCreated:Put",
		[STORE_EVENT_REMOVED] = "ObjectRemoved:Delete",
		[STORE_EVENT_MARKER_CREATED] = "ObjectRemoved:DeleteMarkerCreated",
		[STORE_EVENT_CREATED_POST] = "ObjectCreated:Post",
		[STORE_EVENT_CREATED_COPY] = "ObjectCreated:Copy",
		[STORE_EVENT_CREATED_MULTIPART] = "ObjectCreated:CompleteMultipartUpload",
		[STORE_EVENT_EXPIRED] = "LifecycleExpiration:Delete",
		/* S3's word for an object that it has lost. */
		[STORE_EVENT_DAMAGED] = "ReducedRedundancyLostObject",
		[STORE_EVENT_MARKER_EXPIRED] = "LifecycleExpiration:DeleteMarkerCreated",
	};
	static_assert(EOS_ARRAY_SIZE(names) == STORE_EVENT_KINDS, "a name for each kind");
	char time[EOS_ISO8601_SIZE];
	char id[24];
	struct eos_json json = eos_json_begin(buf);
	eos_format_iso8601(event->time_ns, time);
	(void)snprintf(id, sizeof(id), "%016" PRIX64, event->id);
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "Records", '[');
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "eventVersion", "2.1");
	eos_json_text(&json, "eventSource", "aws:s3");
	eos_json_text(&json, "awsRegion", "us-east-1");
	eos_json_text(&json, "eventTime", time);
	eos_json_text(&json, "eventName", names[event->kind]);
	put_principal(&json, "userIdentity", "");
	eos_json_open(&json, "requestParameters", '{');
	eos_json_text(&json, "sourceIPAddress", "");
	eos_json_close(&json, '}');
	eos_json_open(&json, "responseElements", '{');
	eos_json_text(&json, "x-amz-request-id", id);
	eos_json_text(&json, "x-amz-id-2", "");
	eos_json_close(&json, '}');
	eos_json_open(&json, "s3", '{');
	eos_json_text(&json, "s3SchemaVersion", "1.0");
	eos_json_text(&json, "configurationId",
		      event->rule[0] != '\0' ? event->rule : event->target);
	put_bucket(&json, event->bucket, event->owner);
	put_object(&json, event);
	eos_json_close(&json, '}');
	eos_json_close(&json, '}');
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	return eos_buf_failed(buf) ? -ENOMEM : 0;
}
