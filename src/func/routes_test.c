#include "func/routes_priv.h"

#include "func/func_test_priv.h"

static struct func *funcs[4];
static struct func_routes *routes;

static int make_routes(void **state)
{
	funcs[0] = make_func("function: a\nimage: x\ntriggers:\n"
			     " - http: {path: /a}\n"
			     " - http: {path: /a/b/c}\n"
			     " - object: {bucket: raw}\n"
			     " - object: {bucket: raw, prefix: cam/}\n",
			     1);
	funcs[1] = make_func("function: b\nimage: x\ntriggers:\n"
			     " - http: {path: /a-b}\n"
			     " - http: {path: /a/b}\n"
			     " - object: {bucket: raw, prefix: cam/, suffix: .csv}\n"
			     " - object: {bucket: other, events: [ObjectRemoved]}\n",
			     1);
	funcs[2] = make_func("function: c\nimage: x\n", 1);
	/* Its packets do not come by here. */
	funcs[3] = make_func("function: d\nimage: x\ntriggers: [{udp: {port: 7}}]\n", 1);
	return func_routes_new(funcs, EOS_ARRAY_SIZE(funcs), &routes);
}

static int free_routes(void **state)
{
	routes = func_routes_free(routes);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(funcs); i++)
		func_unref(funcs[i]);
	return 0;
}

static const char *find(const char *path)
{
	const struct func_http_route *route = func_routes_find_http(routes, path);
	return route == NULL ? "none" : route->trigger->path;
}

static void test_the_longest_path_wins(void **state)
{
	assert_string_equal(find("/a"), "/a");
	assert_string_equal(find("/a/"), "/a");
	assert_string_equal(find("/a/x/y"), "/a");
	assert_string_equal(find("/a/b"), "/a/b");
	assert_string_equal(find("/a/b/cc"), "/a/b");
	assert_string_equal(find("/a/b/c/d"), "/a/b/c");
	assert_string_equal(find("/a-b"), "/a-b");
	assert_string_equal(find("/a-b/c"), "/a-b");
	assert_string_equal(find("/ab"), "none");
	assert_string_equal(find("/"), "none");
	assert_string_equal(find("//"), "none");
	assert_string_equal(find(""), "none");
	assert_string_equal(find("a"), "none");
	char path[4096] = "/a/b/";
	memset(path + 5, 'x', 4000);
	assert_string_equal(find(path), "/a/b");
}

static void collect(void *ctx, const char *function)
{
	strcat(ctx, function);
	strcat(ctx, " ");
}

static void expect(const char *bucket, const char *key, enum store_event_kind kind,
		   const char *functions)
{
	char found[64] = "";
	struct store_event event = {.kind = kind, .key_len = (uint32_t)strlen(key)};
	strcpy(event.bucket, bucket);
	strcpy(event.key, key);
	func_routes_find_object(routes, &event, collect, found);
	assert_string_equal(found, functions);
}

static void test_objects(void **state)
{
	expect("raw", "x", STORE_EVENT_CREATED, "a ");
	expect("raw", "cam/1.csv", STORE_EVENT_CREATED, "a b ");
	expect("raw", "cam/1.txt", STORE_EVENT_CREATED, "a ");
	expect("raw", "cam/", STORE_EVENT_CREATED, "a ");
	expect("raw", "cam/1.csv", STORE_EVENT_REMOVED, "");
	expect("other", "x", STORE_EVENT_REMOVED, "b ");
	expect("other", "x", STORE_EVENT_DAMAGED, "");
	expect("other", "x", STORE_EVENT_CREATED, "");
	expect("none", "x", STORE_EVENT_CREATED, "");
	expect("", "x", STORE_EVENT_CREATED, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_longest_path_wins),
		cmocka_unit_test(test_objects),
	};
	return cmocka_run_group_tests(tests, make_routes, free_routes);
}
