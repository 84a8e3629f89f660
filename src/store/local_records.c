/*
 * Encoding and checking of what is on disk. Whatever is read is hostile until its checksum and its
 * lengths agree; every failure is -EBADMSG.
 */
#include "store/local_records_priv.h"

#include <errno.h>
#include <string.h>

#include <xxhash.h>

#include "base/str.h"

uint64_t local_sum(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

void local_be64_put(uint8_t out[8], uint64_t value)
{
	value = __builtin_bswap64(value);
	memcpy(out, &value, sizeof(value));
}

uint64_t local_be64_get(const uint8_t in[8])
{
	uint64_t value;
	memcpy(&value, in, sizeof(value));
	return __builtin_bswap64(value);
}

/* Of a struct that begins with its own checksum. */
static uint64_t sum_behind(const void *record, size_t size, uint64_t seed)
{
	return local_sum((const char *)record + sizeof(uint64_t), size - sizeof(uint64_t), seed);
}

uint64_t local_record_seed(uint64_t node, const char *key, size_t key_len)
{
	return local_sum(key, key_len, node);
}

static uint64_t record_sum(const struct local_record *record, const char *metadata, uint64_t seed)
{
	return local_sum(metadata, record->metadata_len, sum_behind(record, sizeof(*record), seed));
}

void local_record_seal(struct local_record *record, const char *metadata, uint64_t seed)
{
	record->format = LOCAL_FORMAT_VERSION;
	record->sum = record_sum(record, metadata, seed);
}

size_t local_record_size(const struct local_record *record)
{
	return sizeof(*record) + record->metadata_len +
	       (record->kind == LOCAL_RECORD_INLINE ? local_inline_bytes(record) : 0);
}

int local_record_parse(const MDB_val *value, uint64_t seed, struct local_record *ret_record,
		       const char **ret_metadata, const char **ret_data)
{
	struct local_record record;
	if (value->mv_size < sizeof(record))
		return -EBADMSG;
	memcpy(&record, value->mv_data, sizeof(record));
	bool is_inline = record.kind == LOCAL_RECORD_INLINE;
	bool is_marker = record.kind == LOCAL_RECORD_MARKER;
	if (record.format != LOCAL_FORMAT_VERSION || record.metadata_len > STORE_METADATA_MAX ||
	    (!is_inline && !is_marker && record.kind != LOCAL_RECORD_CHUNKED) ||
	    (is_marker && record.size != 0) ||
	    record.size > (is_inline ? LOCAL_INLINE_MAX : STORE_OBJECT_BYTES_MAX) ||
	    value->mv_size != local_record_size(&record))
		return -EBADMSG;
	const char *metadata = (const char *)value->mv_data + sizeof(record);
	if (record.sum != record_sum(&record, metadata, seed))
		return -EBADMSG;
	*ret_record = record;
	*ret_metadata = metadata;
	*ret_data = is_inline ? metadata + record.metadata_len : NULL;
	return 0;
}

bool local_record_looks_like_marker(const MDB_val *value)
{
	size_t at = offsetof(struct local_record, kind);
	return value->mv_size > at && ((const uint8_t *)value->mv_data)[at] == LOCAL_RECORD_MARKER;
}

void local_record_write(const struct local_record *record, const char *metadata, const void *data,
			void *out)
{
	char *at = out;
	size_t data_len = local_record_size(record) - sizeof(*record) - record->metadata_len;
	memcpy(at, record, sizeof(*record));
	memcpy(at + sizeof(*record), metadata, record->metadata_len);
	if (data_len > 0)
		memcpy(at + sizeof(*record) + record->metadata_len, data, data_len);
}

void local_record_info(const struct local_record *record, const char *metadata,
		       struct store_object_info *ret_info)
{
	ret_info->size = record->size;
	ret_info->modified_ns = record->modified_ns;
	ret_info->sequence = record->sequence;
	ret_info->version = record->version;
	ret_info->is_latest = true;
	ret_info->is_delete_marker = record->kind == LOCAL_RECORD_MARKER;
	eos_hex_encode(record->md5, sizeof(record->md5), ret_info->etag);
	if (ret_info->is_delete_marker)
		ret_info->etag[0] = '\0';
	ret_info->encryption = record->key == 0			   ? STORE_PLAIN
			       : record->key == LOCAL_KEY_CUSTOMER ? STORE_ENCRYPTED_BY_CUSTOMER
								   : STORE_ENCRYPTED;
	ret_info->metadata_len = record->metadata_len;
	memcpy(ret_info->metadata, metadata, record->metadata_len);
}

void local_bucket_seal(struct local_bucket *bucket, const char *name, size_t name_len)
{
	bucket->sum = sum_behind(bucket, sizeof(*bucket), local_sum(name, name_len, 0));
}

int local_bucket_parse(const MDB_val *value, const char *name, size_t name_len,
		       struct local_bucket *ret_bucket)
{
	struct local_bucket bucket;
	if (value->mv_size != sizeof(bucket))
		return -EBADMSG;
	memcpy(&bucket, value->mv_data, sizeof(bucket));
	if (bucket.sum != sum_behind(&bucket, sizeof(bucket), local_sum(name, name_len, 0)) ||
	    bucket.versioning > STORE_VERSIONING_SUSPENDED ||
	    memchr(bucket.tenant, '\0', sizeof(bucket.tenant)) == NULL)
		return -EBADMSG;
	*ret_bucket = bucket;
	return 0;
}

void local_tenant_seal(struct local_tenant *tenant, const char *name)
{
	tenant->sum = sum_behind(tenant, sizeof(*tenant), local_sum(name, strlen(name), 0));
}

int local_tenant_parse(const MDB_val *value, const char *name, struct local_tenant *ret_tenant)
{
	struct local_tenant tenant;
	if (value->mv_size != sizeof(tenant))
		return -EBADMSG;
	memcpy(&tenant, value->mv_data, sizeof(tenant));
	if (tenant.sum != sum_behind(&tenant, sizeof(tenant), local_sum(name, strlen(name), 0)))
		return -EBADMSG;
	*ret_tenant = tenant;
	return 0;
}

void local_state_seal(struct local_state *state)
{
	state->sum = sum_behind(state, sizeof(*state), 0);
}

uint32_t local_state_format(const MDB_val *value)
{
	/* Every version begins with the checksum of the rest and the version. */
	struct {
		uint64_t sum;
		uint32_t version;
	} head;
	if (value->mv_size < sizeof(head))
		return 0;
	memcpy(&head, value->mv_data, sizeof(head));
	return head.sum == sum_behind(value->mv_data, value->mv_size, 0) ? head.version : 0;
}

int local_state_parse(const MDB_val *value, struct local_state *ret_state)
{
	struct local_state state;
	if (value->mv_size != sizeof(state))
		return -EBADMSG;
	memcpy(&state, value->mv_data, sizeof(state));
	if (state.sum != sum_behind(&state, sizeof(state), 0) ||
	    state.version != LOCAL_FORMAT_VERSION)
		return -EBADMSG;
	*ret_state = state;
	return 0;
}

static size_t event_texts_len(const struct local_event *head)
{
	return (size_t)head->bucket_len + head->target_len + head->key_len + head->rule_len +
	       head->owner_len;
}

static uint64_t event_sum(const struct local_event *head, const uint8_t *texts, uint64_t id)
{
	return local_sum(texts, event_texts_len(head), sum_behind(head, sizeof(*head), id));
}

static uint8_t *put_text(uint8_t *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

static const uint8_t *get_text(const uint8_t *in, char *text, size_t len)
{
	memcpy(text, in, len);
	text[len] = '\0';
	return in + len;
}

size_t local_event_encode(const struct store_event *event, uint8_t *out)
{
	struct local_event head = {
		.version = LOCAL_FORMAT_VERSION,
		.kind = (uint8_t)event->kind,
		.bucket_len = (uint16_t)strlen(event->bucket),
		.target_len = (uint16_t)strlen(event->target),
		.key_len = (uint16_t)event->key_len,
		.rule_len = (uint16_t)strlen(event->rule),
		.owner_len = (uint16_t)strlen(event->owner),
		.attempts = event->attempts,
		.not_before_ns = event->not_before_ns,
		.time_ns = event->time_ns,
		.size = event->size,
		.sequence = event->sequence,
		.object_version = event->version,
	};
	/* Ours, hence 32 digits, or none for a delete marker: zeros. */
	if (eos_hex_decode(event->etag, head.md5, sizeof(head.md5)) < 0)
		memset(head.md5, 0, sizeof(head.md5));
	uint8_t *texts = out + sizeof(head);
	uint8_t *at = put_text(texts, event->bucket, head.bucket_len);
	at = put_text(at, event->target, head.target_len);
	at = put_text(at, event->key, head.key_len);
	at = put_text(at, event->rule, head.rule_len);
	(void)put_text(at, event->owner, head.owner_len);
	head.sum = event_sum(&head, texts, event->id);
	memcpy(out, &head, sizeof(head));
	return sizeof(head) + event_texts_len(&head);
}

static bool event_head_is_good(const struct local_event *head, size_t value_size)
{
	return head->version == LOCAL_FORMAT_VERSION && head->kind < STORE_EVENT_KINDS &&
	       head->bucket_len <= STORE_BUCKET_NAME_MAX && head->target_len <= STORE_TARGET_MAX &&
	       head->key_len <= STORE_KEY_MAX && head->rule_len <= STORE_RULE_MAX &&
	       head->owner_len <= STORE_TENANT_MAX &&
	       value_size == sizeof(*head) + event_texts_len(head);
}

int local_event_parse(const MDB_val *value, uint64_t id, struct store_event *ret_event)
{
	struct local_event head;
	if (value->mv_size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, value->mv_data, sizeof(head));
	const uint8_t *texts = (const uint8_t *)value->mv_data + sizeof(head);
	if (!event_head_is_good(&head, value->mv_size) || head.sum != event_sum(&head, texts, id))
		return -EBADMSG;
	struct store_event *event = ret_event;
	event->id = id;
	event->attempts = head.attempts;
	event->not_before_ns = head.not_before_ns;
	event->kind = (enum store_event_kind)head.kind;
	event->time_ns = head.time_ns;
	event->size = head.size;
	event->sequence = head.sequence;
	event->version = head.object_version;
	event->bucket_created_ns = 0;
	static const uint8_t none[LOCAL_MD5_SIZE];
	eos_hex_encode(head.md5, sizeof(head.md5), event->etag);
	if (memcmp(head.md5, none, sizeof(none)) == 0)
		event->etag[0] = '\0';
	event->key_len = head.key_len;
	texts = get_text(texts, event->bucket, head.bucket_len);
	texts = get_text(texts, event->target, head.target_len);
	texts = get_text(texts, event->key, head.key_len);
	texts = get_text(texts, event->rule, head.rule_len);
	(void)get_text(texts, event->owner, head.owner_len);
	return 0;
}
