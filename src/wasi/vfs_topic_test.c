#include "wasi/vfs_topic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"

#define WRITE (WASI_OPEN_WRITE | WASI_OPEN_CREATE | WASI_OPEN_TRUNCATE)

struct published {
	char topic[VFS_TOPIC_NAME_MAX + 1], data[64];
	uint32_t len;
	unsigned count;
	int err;
};

static int publish(void *ctx, const char *topic, const void *data, uint32_t len)
{
	struct published *published = ctx;
	if (published->err < 0)
		return published->err;
	strcpy(published->topic, topic);
	memcpy(published->data, data, EOS_MIN(len, (uint32_t)sizeof(published->data)));
	published->len = len;
	published->count++;
	return 0;
}

static const struct vfs_topic_ops ops = {.publish = publish};
static const char *const names[] = {"alerts", "state"};

static struct wasi_node *new_root(struct published *published)
{
	struct wasi_node *root;
	*published = (struct published){.count = 0};
	assert_int_equal(vfs_topic_new(names, 2, &ops, published, &root), 0);
	return root;
}

static void each_write_is_a_message(void **state)
{
	static char large[VFS_TOPIC_MESSAGE_MAX + 1];
	struct published published;
	struct wasi_node *root = new_root(&published), *file;
	assert_int_equal(root->ops->open(root, "alerts", WRITE, &file), 0);
	/* An open topic keeps the directory. */
	wasi_node_unref(root);
	assert_int_equal(file->ops->write(file, "hot", 3, 0), 3);
	assert_string_equal(published.topic, "alerts");
	assert_int_equal(published.len, 3);
	assert_memory_equal(published.data, "hot", 3);
	assert_int_equal(file->ops->write(file, "", 0, 100), 0);
	assert_int_equal(published.count, 2);
	assert_int_equal(file->ops->write(file, large, sizeof(large), 0), -EMSGSIZE);
	assert_int_equal(file->ops->write(file, large, sizeof(large) - 1, 0), sizeof(large) - 1);
	published.err = -ENOSPC;
	assert_int_equal(file->ops->write(file, "hot", 3, 0), -ENOSPC);
	assert_int_equal(published.count, 3);
	assert_int_equal(file->ops->sync(file, false), 0);
	wasi_node_unref(file);
}

static void only_what_was_granted(void **state)
{
	struct published published;
	struct wasi_node *root = new_root(&published), *file = NULL;
	assert_int_equal(root->ops->open(root, "others", WRITE, &file), -EACCES);
	assert_int_equal(root->ops->open(root, "others", WASI_OPEN_WRITE, &file), -ENOENT);
	assert_int_equal(root->ops->open(root, "alerts/x", WRITE, &file), -EACCES);
	assert_int_equal(root->ops->open(root, "alerts", WASI_OPEN_READ, &file), -EACCES);
	assert_int_equal(root->ops->open(root, "alerts", WRITE | WASI_OPEN_EXCLUSIVE, &file),
			 -EEXIST);
	assert_int_equal(
		root->ops->open(root, "alerts", WASI_OPEN_WRITE | WASI_OPEN_DIRECTORY, &file),
		-ENOTDIR);
	assert_int_equal(root->ops->open(root, "", WASI_OPEN_WRITE, &file), -EISDIR);
	assert_null(file);
	assert_int_equal(published.count, 0);
	wasi_node_unref(root);
}

static void is_a_directory(void **state)
{
	struct published published;
	struct wasi_node *root = new_root(&published), *again;
	struct wasi_dirent entry;
	struct wasi_stat status;
	uint64_t cookie = 0;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(root->ops->read_dir(root, cookie, &entry), 1);
		assert_int_equal(entry.name_len, strlen(names[i]));
		assert_memory_equal(entry.name, names[i], entry.name_len);
		assert_int_equal(root->ops->stat_at(root, names[i], true, &status), 0);
		assert_int_equal(status.inode, entry.inode);
		assert_int_equal(status.kind, WASI_NODE_STREAM);
		cookie = entry.next;
	}
	assert_int_equal(root->ops->read_dir(root, cookie, &entry), 0);
	assert_int_equal(root->ops->read_dir(root, UINT64_MAX, &entry), 0);
	assert_int_equal(root->ops->stat_at(root, "", true, &status), 0);
	assert_int_equal(status.kind, WASI_NODE_DIRECTORY);
	assert_int_equal(root->ops->stat_at(root, "none", true, &status), -ENOENT);
	assert_int_equal(root->ops->open(root, "", WASI_OPEN_READ | WASI_OPEN_DIRECTORY, &again),
			 0);
	assert_ptr_equal(again, root);
	wasi_node_unref(again);
	wasi_node_unref(root);
}

static void bad_names_and_no_memory(void **state)
{
	static const char *const bad[][2] = {{"a", "a"}, {"a", ""}, {"a", "b/c"}, {"..", "a"}};
	struct wasi_node *root = NULL, *file = NULL;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(vfs_topic_new(bad[i], 2, &ops, NULL, &root), -EINVAL);
	assert_int_equal(eos_fault_arm("wasi.topic_new:1=ENOMEM,wasi.topic_open:1=ENOMEM", NULL),
			 0);
	assert_int_equal(vfs_topic_new(names, 2, &ops, NULL, &root), -ENOMEM);
	assert_null(root);
	assert_int_equal(vfs_topic_new(names, 2, &ops, NULL, &root), 0);
	assert_int_equal(root->ops->open(root, "state", WRITE, &file), -ENOMEM);
	assert_null(file);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	wasi_node_unref(root);
	assert_int_equal(vfs_topic_new(NULL, 0, &ops, NULL, &root), 0);
	wasi_node_unref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_write_is_a_message),
		cmocka_unit_test(only_what_was_granted),
		cmocka_unit_test(is_a_directory),
		cmocka_unit_test(bad_names_and_no_memory),
	};
	return cmocka_run_group_tests_name("vfs_topic", tests, NULL, NULL);
}
