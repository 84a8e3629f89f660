#include <errno.h>
#include <unistd.h>

#include "base/fault.h"
#include "func/func_test_priv.h"

static char dir[64];
static struct store *store;
static struct func_registry *registry;
static struct eos_why why;

static void open_all(void)
{
	int err = store_open(dir, &store, &why);
	if (err == 0)
		err = func_registry_open(store, &registry, &why);
	if (err < 0)
		fail_msg("%s", why.text);
}

static void close_all(void)
{
	registry = func_registry_free(registry);
	store = store_close(store);
}

static int setup(void **state)
{
	/* These tests make many small commits; what a disk does with them is tested elsewhere. */
	strcpy(dir,
	       access("/dev/shm", W_OK) == 0 ? "/dev/shm/eos-func-XXXXXX" : "/tmp/eos-func-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	open_all();
	return 0;
}

static int teardown(void **state)
{
	char command[96];
	close_all();
	if (eos_fault_arm(NULL, NULL) < 0)
		return -1;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : -1;
}

static int put(const char *yaml, const char *module, struct func **ret_func)
{
	return func_registry_put(registry, "t.yaml", yaml, strlen(yaml), module, strlen(module),
				 ret_func, &why);
}

static void must_put(const char *yaml, const char *module)
{
	if (put(yaml, module, NULL) < 0)
		fail_msg("%s", why.text);
}

static int count_module(void *ctx, const char *key, const struct store_object_info *info)
{
	*(int *)ctx += strncmp(key, "modules/", 8) == 0;
	return 0;
}

static int modules(void)
{
	int count = 0;
	assert_int_equal(func_keys_each(store, count_module, &count), 0);
	return count;
}

static void test_deploy_and_look(void **state)
{
	static const char yaml[] = "function: f\nimage: f.wasm\ntriggers: [{http: {path: /x}}]\n";
	struct func *func;
	const struct func_trigger *trigger;
	assert_int_equal(put(yaml, "module one", &func), 0);
	assert_int_equal(func->version, 1);
	assert_true(func->deployed_ns > 0);
	struct func *got = func_registry_get(registry, "f");
	assert_ptr_equal(got, func);
	func_unref(got);
	got = func_registry_match_http(registry, "/x/below", &trigger);
	assert_ptr_equal(got, func);
	assert_string_equal(trigger->path, "/x");
	func_unref(got);
	assert_null(func_registry_match_http(registry, "/y", &trigger));
	assert_null(func_registry_get(registry, "g"));
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_registry_read_module(registry, func, &buf), 0);
	assert_string_equal(buf.data, "module one");
	eos_buf_clear(&buf);
	assert_int_equal(func_registry_read_manifest(registry, "f", &buf), 0);
	assert_string_equal(buf.data, yaml);
	assert_int_equal(func_registry_read_manifest(registry, "g", &buf), -ENOENT);
	eos_buf_fini(&buf);
	func_unref(func);
}

static void collect(void *ctx, struct func *func)
{
	char entry[80];
	snprintf(entry, sizeof(entry), "%s:%u ", func->manifest->name, (unsigned)func->version);
	strcat(ctx, entry);
}

/* The clock was put back since the version before. */
static void test_versions_come_one_after_the_other(void **state)
{
	static const char yaml[] = "function: f\nimage: f.wasm\n";
	struct func *func;
	assert_int_equal(put(yaml, "module one", &func), 0);
	struct func_record record = {.version = 1, .deployed_ns = func->deployed_ns + (1ull << 50)};
	memcpy(record.module_sha256, func->module_sha256, sizeof(record.module_sha256));
	func_unref(func);
	assert_int_equal(func_record_write(store, "f", &record, yaml, strlen(yaml)), 0);
	close_all();
	open_all();
	assert_int_equal(put(yaml, "module two", &func), 0);
	assert_int_equal(func->version, 2);
	assert_int_equal(func->deployed_ns, record.deployed_ns + 1);
	func_unref(func);
}

static void test_survives_a_restart(void **state)
{
	must_put("function: b\nimage: x\n", "one");
	must_put("function: a-b\nimage: x\n", "two");
	must_put("function: a\nimage: x\n", "one");
	must_put("function: b\nimage: y\n", "three");
	struct func *before = func_registry_get(registry, "b");
	uint64_t deployed = before->deployed_ns;
	func_unref(before);
	close_all();
	open_all();
	char all[128] = "";
	func_registry_each(registry, collect, all);
	assert_string_equal(all, "a:1 a-b:1 b:2 ");
	struct func *func = func_registry_get(registry, "b");
	assert_int_equal(func->deployed_ns, deployed);
	assert_string_equal(func->manifest->image, "y");
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_registry_read_module(registry, func, &buf), 0);
	assert_string_equal(buf.data, "three");
	eos_buf_fini(&buf);
	func_unref(func);
	must_put("function: b\nimage: z\n", "four");
	func = func_registry_get(registry, "b");
	assert_int_equal(func->version, 3);
	func_unref(func);
}

static void test_modules_that_nobody_needs_go(void **state)
{
	must_put("function: a\nimage: x\n", "one");
	must_put("function: b\nimage: x\n", "one");
	assert_int_equal(modules(), 1);
	must_put("function: a\nimage: x\n", "two");
	assert_int_equal(modules(), 2);
	must_put("function: a\nimage: x\n", "three");
	assert_int_equal(modules(), 3);
	struct func *three = func_registry_get(registry, "a");
	must_put("function: a\nimage: x\n", "four");
	assert_int_equal(modules(), 3); /* one (b), three (the version before), four */
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_registry_read_module(registry, three, &buf), 0);
	func_unref(three);
	close_all();
	open_all();
	assert_int_equal(modules(), 2);
	assert_int_equal(func_registry_remove(registry, "a"), 0);
	assert_int_equal(modules(), 1);
	assert_int_equal(func_registry_remove(registry, "a"), -ENOENT);
	assert_int_equal(func_registry_remove(registry, "b"), 0);
	assert_int_equal(modules(), 0);
	eos_buf_fini(&buf);
	close_all();
	open_all();
	assert_null(func_registry_get(registry, "a"));
}

static void test_refused_deploys_change_nothing(void **state)
{
	must_put("function: a\nimage: x\ntriggers: [{http: {path: /x}}]\n", "one");
	assert_int_equal(
		put("function: b\nimage: x\ntriggers:\n - http: {path: /x}\n", "two", NULL),
		-EEXIST);
	assert_string_equal(why.text, "the path /x belongs to the function a");
	assert_int_equal(put("function: b\nimge: x\n", "two", NULL), -EINVAL);
	assert_string_equal(why.text, "t.yaml:2: unknown key \"imge\"");
	assert_int_equal(put("function: [\n", "two", NULL), -EINVAL);
	assert_int_equal(put("function: b\nimage: x\n", "", NULL), -EINVAL);
	char *big = calloc(1, FUNC_MODULE_MAX + 1);
	assert_int_equal(
		func_registry_put(registry, "t", "", 0, big, FUNC_MODULE_MAX + 1, NULL, &why),
		-EFBIG);
	free(big);
	assert_int_equal(modules(), 1);
	assert_null(func_registry_get(registry, "b"));
	/* The same path, below it, and by the same function again. */
	must_put("function: b\nimage: x\ntriggers: [{http: {path: /x/y}}]\n", "two");
	must_put("function: a\nimage: x\ntriggers: [{http: {path: /x}}]\n", "one");
}

static void test_a_failed_write_changes_nothing(void **state)
{
	must_put("function: a\nimage: x\n", "one");
	assert_int_equal(eos_fault_arm("func.manifest_write:*=ENOSPC", NULL), 0);
	assert_int_equal(put("function: a\nimage: y\n", "two", NULL), -ENOSPC);
	assert_non_null(strstr(why.text, "cannot store the function a"));
	assert_int_equal(put("function: b\nimage: y\n", "one", NULL), -ENOSPC);
	assert_int_equal(modules(), 1);
	struct func *func = func_registry_get(registry, "a");
	assert_int_equal(func->version, 1);
	func_unref(func);
	/* An error of which nobody knows whether it came before or after the write. */
	assert_int_equal(eos_fault_arm("func.manifest_write:*=EIO", NULL), 0);
	assert_int_equal(put("function: b\nimage: y\n", "two", NULL), -EIO);
	assert_int_equal(modules(), 2);
	close_all();
	open_all();
	assert_int_equal(modules(), 1);
	assert_null(func_registry_get(registry, "b"));
}

static void put_raw(const char *key, const char *data, const char *sha256)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct store_upload *upload;
	if (sha256 != NULL) {
		assert_int_equal(store_metadata_add(info, "version", "7"), 0);
		assert_int_equal(store_metadata_add(info, "module-sha256", sha256), 0);
		assert_int_equal(store_metadata_add(info, "deployed-ns", "1"), 0);
	}
	assert_int_equal(store_upload_begin(store, FUNC_BUCKET, key, strlen(key), info, &upload),
			 0);
	assert_int_equal(store_upload_write(upload, data, strlen(data), 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	free(info);
}

static void test_broken_records_are_left_alone(void **state)
{
	static const char sha[] =
		"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
	char key[96];
	must_put("function: good\nimage: x\n", "one");
	put_raw("broken/manifest", "function: [", sha);
	put_raw("other/manifest", "function: another\nimage: x\n", sha);
	snprintf(key, sizeof(key), "modules/%s", sha);
	put_raw(key, "foo", NULL);
	put_raw("modules/0000000000000000000000000000000000000000000000000000000000000000", "x",
		NULL);
	close_all();
	open_all();
	/* The module of a record that cannot be read is kept, the nameless one is not. */
	assert_int_equal(modules(), 2);
	char all[128] = "";
	func_registry_each(registry, collect, all);
	assert_string_equal(all, "good:1 ");
	/* A record without metadata: nothing is removed. */
	put_raw("blind/manifest", "function: blind\nimage: x\n", NULL);
	put_raw("modules/0000000000000000000000000000000000000000000000000000000000000000", "x",
		NULL);
	close_all();
	open_all();
	assert_int_equal(modules(), 3);
	assert_null(func_registry_get(registry, "blind"));
	must_put("function: blind\nimage: x\n", "new");
}

static void test_a_damaged_module_is_found(void **state)
{
	must_put("function: a\nimage: x\n", "one");
	struct func *func = func_registry_get(registry, "a");
	char key[96] = "modules/";
	for (int i = 0; i < 32; i++)
		snprintf(key + 8 + 2 * i, 3, "%02x", func->module_sha256[i]);
	put_raw(key, "other", NULL);
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_registry_read_module(registry, func, &buf), -EBADMSG);
	/* Deploying it again mends it. */
	must_put("function: a\nimage: x\n", "one");
	assert_int_equal(func_registry_read_module(registry, func, &buf), 0);
	assert_string_equal(buf.data, "one");
	eos_buf_fini(&buf);
	func_unref(func);
}

static void emit(void *ctx, const char *function)
{
	strcat(ctx, function);
}

static void test_objects_are_matched(void **state)
{
	struct store_event event = {.bucket = "raw", .key = "k", .key_len = 1};
	char found[16] = "";
	func_registry_match_object(registry, &event, emit, found);
	assert_string_equal(found, "");
	must_put("function: a\nimage: x\ntriggers: [{object: {bucket: raw}}]\n", "one");
	func_registry_match_object(registry, &event, emit, found);
	assert_string_equal(found, "a");
	assert_int_equal(func_registry_remove(registry, "a"), 0);
	func_registry_match_object(registry, &event, emit, found);
	assert_string_equal(found, "a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_deploy_and_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_versions_come_one_after_the_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_survives_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modules_that_nobody_needs_go, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused_deploys_change_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_failed_write_changes_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_broken_records_are_left_alone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_damaged_module_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_objects_are_matched, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
