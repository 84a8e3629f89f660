#include "store/local_tables_priv.h"

#include <errno.h>
#include <string.h>

#include "store/local_changes_priv.h"
#include "store/local_index_priv.h"
#include "store/local_priv.h"

static int check_bucket(const MDB_val *key, const MDB_val *value)
{
	struct local_bucket bucket;
	if (key->mv_size > STORE_BUCKET_NAME_MAX)
		return -EBADMSG;
	return local_bucket_parse(value, key->mv_data, key->mv_size, &bucket);
}

static int check_tenant(const MDB_val *key, const MDB_val *value)
{
	struct local_tenant tenant;
	const char *name = key->mv_data;
	if (key->mv_size == 0 || key->mv_size > STORE_TENANT_MAX + 1 ||
	    strnlen(name, key->mv_size) != key->mv_size - 1)
		return -EBADMSG;
	return local_tenant_parse(value, name, &tenant);
}

static int check_index(const MDB_val *key, const MDB_val *value)
{
	const char *object;
	size_t len;
	return local_index_parse(key, value, &object, &len);
}

static int check_chunk(const MDB_val *key, const MDB_val *value)
{
	struct local_chunk chunk;
	return local_chunk_parse(key, value, &chunk);
}

static int check_page(const MDB_val *key, const MDB_val *value)
{
	struct local_page page;
	return local_page_parse(key, value, &page);
}

static int check_segment(const MDB_val *key, const MDB_val *value)
{
	struct local_segment_record record;
	return local_segment_record_parse(key, value, &record);
}

static int check_trash(const MDB_val *key, const MDB_val *value)
{
	uint64_t id;
	return local_trash_parse(key, value, &id);
}

static int check_event(const MDB_val *key, const MDB_val *value)
{
	struct store_event event;
	if (key->mv_size != 8)
		return -EBADMSG;
	return local_event_parse(value, local_be64_get(key->mv_data), &event);
}

const struct local_table local_tables[] = {
	{"bucket record", offsetof(struct local, buckets), check_bucket},
	{"document", offsetof(struct local, documents), local_document_check},
	{"tenant record", offsetof(struct local, tenants), check_tenant},
	{"data key", offsetof(struct local, keys), local_key_record_check},
	{"index entry", offsetof(struct local, index), check_index},
	{"chunk record", offsetof(struct local, chunks), check_chunk},
	{"page of a manifest", offsetof(struct local, manifests), check_page},
	{"count of a segment", offsetof(struct local, segments_dbi), check_segment},
	{"entry of the trash", offsetof(struct local, trash), check_trash},
	{"event", offsetof(struct local, outbox), check_event},
	{NULL, 0, NULL},
};

MDB_dbi local_table_dbi(const struct local *local, const struct local_table *table)
{
	return *(const MDB_dbi *)(const void *)((const char *)local + table->dbi);
}
