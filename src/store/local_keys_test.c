/* The order of keys: any bytes, 1 to 1,024 of them, against memcmp on a sorted array. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/local_keys_priv.h"

#define KEYS 400

struct key {
	size_t len;
	char bytes[STORE_KEY_MAX];
};

static struct key keys[KEYS];
static size_t keys_count;

static int compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = memcmp(x->bytes, y->bytes, EOS_MIN(x->len, y->len));
	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Lengths around the segments' ends, few different bytes, and beginnings in common. */
static void make_key(struct key *key)
{
	static const uint8_t alphabet[] = {0x00, 0x01, 'a', 0xfe, 0xff};
	static const size_t lengths[] = {1, 2, 479, 480, 481, 482, 959, 960, 961, 1023, 1024};
	size_t same = 0;
	key->len = random() % 2 == 0 ? lengths[(size_t)random() % EOS_ARRAY_SIZE(lengths)]
				     : 1 + (size_t)random() % STORE_KEY_MAX;
	if (keys_count > 0 && random() % 4 != 0) {
		const struct key *other = &keys[(size_t)random() % keys_count];
		same = EOS_MIN((size_t)random() % (other->len + 1), key->len);
		if (random() % 2 == 0)
			same = EOS_MIN(other->len, key->len);
		memcpy(key->bytes, other->bytes, same);
	}
	bool is_flat = random() % 2 == 0;
	for (size_t i = same; i < key->len; i++)
		key->bytes[i] = is_flat ? 'a' : (char)alphabet[(size_t)random() % sizeof(alphabet)];
}

static void fill_keys(void)
{
	keys_count = 0;
	while (keys_count < KEYS) {
		make_key(&keys[keys_count]);
		bool is_new = true;
		for (size_t i = 0; i < keys_count; i++)
			is_new &= compare(&keys[i], &keys[keys_count]) != 0;
		keys_count += is_new;
	}
}

static void put_key(MDB_txn *txn, MDB_dbi dbi, uint64_t *node_next, const struct key *key)
{
	void *space;
	assert_int_equal(
		local_keys_put(txn, dbi, 1, key->bytes, key->len, key->len, node_next, &space), 0);
	memcpy(space, key->bytes, key->len);
}

/* Walks from the first key >= keys[from] and compares with keys[from..]. */
static void expect_from(MDB_txn *txn, MDB_dbi dbi, size_t from)
{
	struct local_key_cursor cursor;
	local_key_cursor_init(&cursor, txn, dbi, 1);
	int err = local_key_cursor_seek(&cursor, keys[from].bytes, keys[from].len);
	for (size_t i = from; i < keys_count; i++) {
		assert_int_equal(err, 0);
		assert_int_equal(cursor.key_len, keys[i].len);
		assert_memory_equal(cursor.key, keys[i].bytes, keys[i].len);
		assert_int_equal(cursor.value.mv_size, keys[i].len);
		assert_memory_equal(cursor.value.mv_data, keys[i].bytes, keys[i].len);
		err = local_key_cursor_next(&cursor);
	}
	assert_int_equal(err, -ENOENT);
	local_key_cursor_fini(&cursor);
}

/* Seeks to keys that are not there, shorter and longer, too. */
static void expect_seek(MDB_txn *txn, MDB_dbi dbi)
{
	struct key target;
	make_key(&target);
	size_t first = 0;
	while (first < keys_count && compare(&keys[first], &target) < 0)
		first++;
	struct local_key_cursor cursor;
	local_key_cursor_init(&cursor, txn, dbi, 1);
	int err = local_key_cursor_seek(&cursor, target.bytes, target.len);
	assert_int_equal(err, first == keys_count ? -ENOENT : 0);
	if (err == 0) {
		assert_int_equal(cursor.key_len, keys[first].len);
		assert_memory_equal(cursor.key, keys[first].bytes, keys[first].len);
	}
	local_key_cursor_fini(&cursor);
}

static void test_order(void **state)
{
	struct local *local = local_of(((struct fixture *)*state)->store);
	uint64_t node_next = 10;
	MDB_txn *txn;
	MDB_val value;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srandom(seed);
	fill_keys();
	/* The committer sleeps: this thread may write. */
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	for (size_t i = 0; i < KEYS; i++)
		put_key(txn, local->objects, &node_next, &keys[i]);
	qsort(keys, keys_count, sizeof(keys[0]), compare);
	expect_from(txn, local->objects, 0);
	for (int i = 0; i < 20; i++)
		expect_from(txn, local->objects, (size_t)random() % keys_count);
	for (int i = 0; i < 2000; i++)
		expect_seek(txn, local->objects);
	/* Every second goes away; the others stay. */
	size_t kept = 0;
	for (size_t i = 0; i < KEYS; i++) {
		if (i % 2 == 0) {
			assert_int_equal(local_keys_delete(txn, local->objects, 1, keys[i].bytes,
							   keys[i].len),
					 0);
			assert_int_equal(local_keys_get(txn, local->objects, 1, keys[i].bytes,
							keys[i].len, &value),
					 -ENOENT);
		} else {
			keys[kept++] = keys[i];
		}
	}
	keys_count = kept;
	expect_from(txn, local->objects, 0);
	for (int i = 0; i < 1000; i++)
		expect_seek(txn, local->objects);
	for (size_t i = 0; i < keys_count; i++)
		assert_int_equal(
			local_keys_delete(txn, local->objects, 1, keys[i].bytes, keys[i].len), 0);
	/* No node is left behind. */
	MDB_stat stat;
	assert_int_equal(local_keys_is_empty(txn, local->objects, 1), 1);
	assert_int_equal(mdb_stat(txn, local->objects, &stat), 0);
	assert_int_equal(stat.ms_entries, 0);
	assert_int_equal(local_keys_delete(txn, local->objects, 1, keys[0].bytes, keys[0].len),
			 -ENOENT);
	mdb_txn_abort(txn);
}

/* Keys that differ only at their end cost one entry each and a constant number of nodes. */
static void test_common_beginning(void **state)
{
	struct local *local = local_of(((struct fixture *)*state)->store);
	uint64_t node_next = 10;
	MDB_txn *txn;
	MDB_stat stat;
	static struct key key;
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	memset(key.bytes, 'h', STORE_KEY_MAX);
	key.len = STORE_KEY_MAX;
	for (int i = 0; i < 5000; i++) {
		char digits[8];
		snprintf(digits, sizeof(digits), "%05d", i);
		memcpy(key.bytes + STORE_KEY_MAX - 5, digits, 5);
		put_key(txn, local->objects, &node_next, &key);
	}
	assert_int_equal(mdb_stat(txn, local->objects, &stat), 0);
	assert_int_equal(stat.ms_entries, 5002);
	assert_int_equal(node_next, 12);
	mdb_txn_abort(txn);
}

/* A tree that leads into itself, or to a key too long, is damage, and ends. */
static void test_damaged_tree(void **state)
{
	struct local *local = local_of(((struct fixture *)*state)->store);
	MDB_txn *txn;
	MDB_stat stat;
	uint64_t node_next = 1; /* the first child gets the root's own number */
	static struct key key;
	struct local_key_cursor cursor;
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	memset(key.bytes, 'x', sizeof(key.bytes));
	key.len = 481;
	put_key(txn, local->objects, &node_next, &key);
	assert_int_equal(mdb_stat(txn, local->objects, &stat), 0);
	local_key_cursor_init(&cursor, txn, local->objects, 1);
	int err = local_key_cursor_seek(&cursor, "", 0);
	for (int i = 0; i < 10 && err == 0; i++)
		err = local_key_cursor_next(&cursor);
	assert_int_equal(err, -EBADMSG);
	local_key_cursor_fini(&cursor);
	mdb_txn_abort(txn);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_order),
		TEST(test_common_beginning),
		TEST(test_damaged_tree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
