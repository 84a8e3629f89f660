/*
 * Keeping the index, and the order of its values. The entries: local_index_priv.h.
 */
#include "store/local_index_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "store/local_changes_priv.h"
#include "store/store_metadata_priv.h"

bool local_index_has(const char *name)
{
	return eos_str_starts_with(name, STORE_META_USER) ||
	       eos_str_starts_with(name, STORE_META_TAG);
}

bool local_text_is_number(const char *text)
{
	static const char digits[] = "0123456789";
	text += *text == '-';
	size_t len = strspn(text, digits);
	if (len == 0)
		return false;
	text += len;
	if (*text == '\0')
		return true;
	if (*text++ != '.')
		return false;
	len = strspn(text, digits);
	return len > 0 && text[len] == '\0';
}

/* Without sign: "12.50" and "012.5" are the same. */
static int compare_magnitudes(const char *a, const char *b)
{
	a += strspn(a, "0");
	b += strspn(b, "0");
	size_t a_len = strcspn(a, "."), b_len = strcspn(b, ".");
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	int order = memcmp(a, b, a_len);
	if (order != 0)
		return order;
	a += a_len + (a[a_len] == '.');
	b += b_len + (b[b_len] == '.');
	for (; *a != '\0' || *b != '\0'; a += *a != '\0', b += *b != '\0') {
		char a_digit = *a != '\0' ? *a : '0', b_digit = *b != '\0' ? *b : '0';
		if (a_digit != b_digit)
			return a_digit < b_digit ? -1 : 1;
	}
	return 0;
}

int local_text_compare(const char *a, const char *b)
{
	if (!local_text_is_number(a) || !local_text_is_number(b))
		return strcmp(a, b);
	bool a_is_negative = *a == '-', b_is_negative = *b == '-';
	a += a_is_negative;
	b += b_is_negative;
	if (a_is_negative == b_is_negative)
		return a_is_negative ? compare_magnitudes(b, a) : compare_magnitudes(a, b);
	/* "-0" and "0" are equal. */
	if (compare_magnitudes(a, "0") == 0 && compare_magnitudes(b, "0") == 0)
		return 0;
	return a_is_negative ? -1 : 1;
}

/* Rounding keeps the order, if not strictly; who finds an entry compares the texts. */
static uint64_t number_bits(const char *text)
{
	double number = strtod(text, NULL);
	uint64_t bits;
	if (number == 0)
		number = 0; /* no minus */
	static_assert(sizeof(bits) == sizeof(number), "doubles have 64 bits");
	memcpy(&bits, &number, sizeof(bits));
	return (bits >> 63) != 0 ? ~bits : bits | UINT64_C(1) << 63;
}

static void put_text(struct local_index_entry *entry, const char *text)
{
	size_t len = strnlen(text, LOCAL_INDEX_TEXT_MAX);
	memcpy(entry->bytes + entry->len, text, len);
	entry->len += len;
	entry->bytes[entry->len++] = '\0';
}

void local_index_entry_make(struct local_index_entry *entry, uint64_t node, const char *name,
			    const char *value, uint64_t sequence)
{
	bool is_number = local_text_is_number(value);
	local_be64_put(entry->bytes, node);
	entry->len = 8;
	put_text(entry, name);
	entry->bytes[entry->len++] = is_number ? 'n' : 't';
	entry->value_at = entry->len;
	if (is_number) {
		local_be64_put(entry->bytes + entry->len, number_bits(value));
		entry->len += 8;
	} else {
		put_text(entry, value);
	}
	entry->value_end = entry->len;
	local_be64_put(entry->bytes + entry->len, sequence);
	entry->len += 8;
	EOS_ASSERT(entry->len <= sizeof(entry->bytes));
}

static uint64_t entry_sum(const MDB_val *entry, const char *key, size_t key_len)
{
	return local_sum(key, key_len, local_sum(entry->mv_data, entry->mv_size, 0));
}

int local_index_parse(const MDB_val *entry, const MDB_val *value, const char **ret_key,
		      size_t *ret_len)
{
	uint64_t sum;
	if (value->mv_size <= sizeof(sum) || value->mv_size - sizeof(sum) > STORE_KEY_MAX ||
	    entry->mv_size < 16)
		return -EBADMSG;
	memcpy(&sum, value->mv_data, sizeof(sum));
	const char *key = (const char *)value->mv_data + sizeof(sum);
	size_t len = value->mv_size - sizeof(sum);
	if (sum != entry_sum(entry, key, len))
		return -EBADMSG;
	*ret_key = key;
	*ret_len = len;
	return 0;
}

static int put_entry(struct local_txn *t, struct local_index_entry *entry, const char *key,
		     size_t key_len)
{
	MDB_val name = local_index_entry_val(entry);
	uint64_t sum = entry_sum(&name, key, key_len);
	MDB_val value = {.mv_size = sizeof(sum) + key_len};
	int err = local_put(t->txn, t->local->index, &name, &value, MDB_RESERVE);
	if (err < 0)
		return err;
	memcpy(value.mv_data, &sum, sizeof(sum));
	memcpy((char *)value.mv_data + sizeof(sum), key, key_len);
	return 0;
}

static int delete_entry(struct local_txn *t, struct local_index_entry *entry)
{
	MDB_val name = local_index_entry_val(entry);
	int err = local_delete(t->txn, t->local->index, &name);
	/* Metadata may have the same pair twice, and then one entry. */
	return err == -ENOENT ? 0 : err;
}

int local_index_change(struct local_txn *t, const struct local_indexed *object, bool is_added)
{
	const struct local_record *record = object->record;
	struct local_index_entry entry;
	const char *name, *value;
	uint32_t offset = 0;
	if (store_bucket_is_own(object->bucket) || record->kind == LOCAL_RECORD_MARKER)
		return 0;
	/* It may stand in LMDB, and move. */
	memcpy(t->indexed, object->metadata, record->metadata_len);
	while (store_metadata_pair(t->indexed, record->metadata_len, &offset, &name, &value)) {
		if (!local_index_has(name))
			continue;
		local_index_entry_make(&entry, object->node, name, value, record->sequence);
		int err = is_added ? put_entry(t, &entry, object->key, object->key_len)
				   : delete_entry(t, &entry);
		if (err < 0)
			return err;
	}
	return 0;
}
