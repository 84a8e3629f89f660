/* Tenants and their keys, over a real store. */
#include "tenant/tenant.h"

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	char dir[64];
	struct store *store;
	struct tenant_registry *registry;
};

static void open_all(struct fixture *f)
{
	struct eos_why why = {""};
	assert_int_equal(store_open(f->dir, &f->store, &why), 0);
	assert_int_equal(tenant_registry_open(f->store, &f->registry, &why), 0);
}

static void close_all(struct fixture *f)
{
	f->registry = tenant_registry_free(f->registry);
	f->store = store_close(f->store);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/tenant_test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	open_all(f);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	close_all(f);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",	 "A",	   "1a",      "-a",  "a b",
					  "a.b", "edgeos", "default", "a/b", "*"};
	assert_true(tenant_is_name("acme"));
	assert_true(tenant_is_name("a1-b"));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_false(tenant_is_name(bad[i]));
	char name[STORE_TENANT_MAX + 2];
	memset(name, 'a', sizeof(name) - 1);
	name[STORE_TENANT_MAX + 1] = '\0';
	assert_false(tenant_is_name(name));
	name[STORE_TENANT_MAX] = '\0';
	assert_true(tenant_is_name(name));
}

static void test_keys(void **state)
{
	struct fixture *f = *state;
	struct tenant_key first, second, found;
	char name[STORE_TENANT_MAX + 1];

	assert_int_equal(tenant_create(f->registry, "Bad", &first), -EINVAL);
	assert_int_equal(tenant_create(f->registry, "acme", &first), 0);
	assert_int_equal(tenant_create(f->registry, "acme", &second), -EEXIST);
	assert_int_equal(tenant_key_add(f->registry, "nobody", &second), -ENOENT);
	assert_int_equal(tenant_key_add(f->registry, "acme", &second), 0);
	assert_string_not_equal(first.access_key, second.access_key);
	assert_string_not_equal(first.secret_key, second.secret_key);
	/* They survive a restart. */
	close_all(f);
	open_all(f);
	assert_int_equal(tenant_find_key(f->registry, second.access_key, &found, name), 0);
	assert_string_equal(name, "acme");
	assert_string_equal(found.secret_key, second.secret_key);
	assert_int_equal(tenant_key_remove(f->registry, "acme", first.access_key), 0);
	assert_int_equal(tenant_key_remove(f->registry, "acme", first.access_key), -ENOENT);
	assert_int_equal(tenant_find_key(f->registry, first.access_key, &found, name), -ENOENT);
	close_all(f);
	open_all(f);
	assert_int_equal(tenant_find_key(f->registry, first.access_key, &found, name), -ENOENT);
	assert_int_equal(tenant_find_key(f->registry, second.access_key, &found, name), 0);
	for (unsigned i = 1; i < TENANT_KEYS_MAX; i++)
		assert_int_equal(tenant_key_add(f->registry, "acme", &first), 0);
	assert_int_equal(tenant_key_add(f->registry, "acme", &first), -EMFILE);
}

static void count_one(void *ctx, const struct tenant *tenant)
{
	(*(unsigned *)ctx)++;
}

static void test_remove(void **state)
{
	struct fixture *f = *state;
	struct tenant_key key;
	struct store_bucket_settings settings = {.tenant = "acme"};
	unsigned count = 0;

	assert_int_equal(tenant_create(f->registry, "zeta", &key), 0);
	assert_int_equal(tenant_create(f->registry, "acme", &key), 0);
	assert_int_equal(store_bucket_create(f->store, "data"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "data", &settings), 0);
	assert_int_equal(tenant_remove(f->registry, "acme"), -ENOTEMPTY);
	assert_true(tenant_exists(f->registry, "acme"));
	assert_int_equal(store_bucket_delete(f->store, "data"), 0);
	assert_int_equal(tenant_remove(f->registry, "acme"), 0);
	assert_int_equal(tenant_remove(f->registry, "acme"), -ENOENT);
	close_all(f);
	open_all(f);
	assert_false(tenant_exists(f->registry, "acme"));
	tenant_each(f->registry, count_one, &count);
	assert_int_equal(count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
