#include "wasi/vfs_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define RW (WASI_OPEN_READ | WASI_OPEN_WRITE)

static struct wasi_node *open_node(struct wasi_node *root, const char *path, unsigned flags)
{
	struct wasi_node *node;
	assert_int_equal(root->ops->open(root, path, flags, &node), 0);
	return node;
}

static int open_error(struct wasi_node *root, const char *path, unsigned flags)
{
	struct wasi_node *node;
	return root->ops->open(root, path, flags, &node);
}

static void put(struct wasi_node *root, const char *path, const char *text)
{
	struct wasi_node *node = open_node(root, path, RW | WASI_OPEN_CREATE);
	assert_int_equal(node->ops->write(node, text, strlen(text), 0), strlen(text));
	wasi_node_unref(node);
}

static void test_bytes_limit(void **state)
{
	static char block[4096];
	struct wasi_node *root;
	assert_int_equal(vfs_memory_new(10000, 10, &root), 0);
	struct wasi_node *file = open_node(root, "file", RW | WASI_OPEN_CREATE);
	assert_int_equal(file->ops->write(file, block, 4096, 0), 4096);
	assert_int_equal(file->ops->write(file, block, 4096, 4096), 4096);
	assert_int_equal(file->ops->write(file, block, 4096, 8192), -ENOSPC);
	assert_int_equal(file->ops->write(file, block, 1, 9999), 1);
	assert_int_equal(file->ops->write(file, block, 1, 10000), -ENOSPC);
	assert_int_equal(file->ops->write(file, block, 2, UINT64_MAX), -EFBIG);
	assert_int_equal(file->ops->truncate(file, UINT64_MAX), -ENOSPC);
	/* Another file finds no room until the first gives it back. */
	struct wasi_node *other = open_node(root, "other", RW | WASI_OPEN_CREATE);
	assert_int_equal(other->ops->write(other, block, 1, 0), -ENOSPC);
	assert_int_equal(root->ops->symlink(root, "target", "link"), -ENOSPC);
	assert_int_equal(open_error(root, "link", RW), -ENOENT);
	assert_int_equal(file->ops->truncate(file, 0), 0);
	assert_int_equal(other->ops->write(other, block, 4096, 0), 4096);
	/* Removed but open: still counted; closed: not. */
	assert_int_equal(root->ops->unlink(root, "other"), 0);
	assert_int_equal(file->ops->write(file, block, 1, 9000), -ENOSPC);
	wasi_node_unref(other);
	assert_int_equal(file->ops->write(file, block, 1, 9000), 1);
	wasi_node_unref(file);
	wasi_node_unref(root);
}

static void test_entries_limit(void **state)
{
	struct wasi_node *root;
	assert_int_equal(vfs_memory_new(10000, 3, &root), 0);
	put(root, "a", "");
	assert_int_equal(root->ops->make_dir(root, "dir"), 0);
	put(root, "dir/b", "");
	assert_int_equal(open_error(root, "c", RW | WASI_OPEN_CREATE), -ENOSPC);
	assert_int_equal(root->ops->make_dir(root, "c"), -ENOSPC);
	assert_int_equal(root->ops->symlink(root, "a", "c"), -ENOSPC);
	assert_int_equal(root->ops->link(root, "a", false, root, "c"), -ENOSPC);
	/* Renaming needs no more entries. */
	assert_int_equal(root->ops->rename(root, "a", root, "dir/c"), 0);
	assert_int_equal(root->ops->unlink(root, "dir/c"), 0);
	put(root, "c", "");
	wasi_node_unref(root);
}

static void test_names(void **state)
{
	struct wasi_node *root;
	assert_int_equal(vfs_memory_new(10000, 30, &root), 0);
	char name[257];
	memset(name, 'n', 256);
	name[256] = '\0';
	assert_int_equal(open_error(root, name, RW | WASI_OPEN_CREATE), -ENAMETOOLONG);
	name[255] = '\0';
	put(root, name, "x");
	put(root, "\xff\xfe", "x");
	wasi_node_unref(open_node(root, "\xff\xfe", RW));
	wasi_node_unref(root);
}

static void test_symlinks(void **state)
{
	struct wasi_node *root;
	struct wasi_stat stat;
	assert_int_equal(vfs_memory_new(100000, 30, &root), 0);
	assert_int_equal(root->ops->make_dir(root, "dir"), 0);
	assert_int_equal(root->ops->make_dir(root, "dir/sub"), 0);
	put(root, "dir/file", "text");
	assert_int_equal(root->ops->symlink(root, "dir/sub", "to_sub"), 0);
	assert_int_equal(root->ops->symlink(root, "../file", "dir/sub/up"), 0);
	assert_int_equal(root->ops->stat_at(root, "to_sub/up", true, &stat), 0);
	assert_int_equal(stat.size, 4);
	assert_int_equal(root->ops->stat_at(root, "to_sub/up", false, &stat), 0);
	assert_int_equal(stat.kind, WASI_NODE_SYMLINK);
	/* Up from where the link leads, not from where it lies. */
	assert_int_equal(root->ops->symlink(root, "to_sub/../file", "via"), 0);
	assert_int_equal(root->ops->stat_at(root, "via", true, &stat), 0);
	assert_int_equal(stat.size, 4);
	/* Loops, dangling links, and links out of the directory. */
	assert_int_equal(root->ops->symlink(root, "loop", "loop"), 0);
	assert_int_equal(root->ops->stat_at(root, "loop", true, &stat), -ELOOP);
	assert_int_equal(root->ops->stat_at(root, "loop/x", false, &stat), -ELOOP);
	assert_int_equal(root->ops->symlink(root, "nowhere", "dangling"), 0);
	assert_int_equal(root->ops->stat_at(root, "dangling", true, &stat), -ENOENT);
	assert_int_equal(root->ops->symlink(root, "../../x", "dir/out"), 0);
	assert_int_equal(root->ops->stat_at(root, "dir/out", true, &stat), -EPERM);
	struct wasi_node *dir = open_node(root, "dir/sub", WASI_OPEN_READ);
	assert_int_equal(dir->ops->stat_at(dir, "up", true, &stat), -EPERM);
	wasi_node_unref(dir);
	/* Creating through a dangling link makes its target; not when that must be new. */
	const unsigned create = RW | WASI_OPEN_CREATE | WASI_OPEN_FOLLOW;
	assert_int_equal(open_error(root, "dangling", create | WASI_OPEN_EXCLUSIVE), -EEXIST);
	wasi_node_unref(open_node(root, "dangling", create));
	assert_int_equal(root->ops->stat_at(root, "nowhere", false, &stat), 0);
	/* Targets that do not fit behind each other. */
	char target[4000];
	memset(target, '/', sizeof(target));
	memcpy(target, "dir", 3);
	target[sizeof(target) - 1] = '\0';
	assert_int_equal(root->ops->symlink(root, target, "long"), 0);
	assert_int_equal(root->ops->stat_at(root, "long/file", true, &stat), 0);
	char path[200] = "long/";
	memset(path + 5, 'x', 150);
	assert_int_equal(root->ops->stat_at(root, path, true, &stat), -ENAMETOOLONG);
	wasi_node_unref(root);
}

static void test_removed_while_open(void **state)
{
	struct wasi_node *root;
	struct wasi_stat stat;
	char text[4];
	assert_int_equal(vfs_memory_new(10000, 30, &root), 0);
	assert_int_equal(root->ops->make_dir(root, "dir"), 0);
	put(root, "file", "text");
	struct wasi_node *dir = open_node(root, "dir", WASI_OPEN_READ);
	struct wasi_node *file = open_node(root, "file", RW);
	assert_int_equal(root->ops->remove_dir(root, "dir"), 0);
	assert_int_equal(root->ops->unlink(root, "file"), 0);
	assert_int_equal(open_error(dir, "x", RW | WASI_OPEN_CREATE), -ENOENT);
	assert_int_equal(dir->ops->make_dir(dir, "x"), -ENOENT);
	assert_int_equal(root->ops->make_dir(root, "new"), 0);
	assert_int_equal(root->ops->rename(root, "new", dir, "x"), -ENOENT);
	assert_int_equal(file->ops->read(file, text, 4, 0), 4);
	assert_memory_equal(text, "text", 4);
	assert_int_equal(file->ops->stat(file, &stat), 0);
	assert_int_equal(stat.links, 0);
	/* The tree lives on without its root's node. */
	wasi_node_unref(root);
	assert_int_equal(file->ops->write(file, "more", 4, 4), 4);
	wasi_node_unref(dir);
	wasi_node_unref(file);
}

static void test_free_deep_and_wide(void **state)
{
	struct wasi_node *root;
	assert_int_equal(vfs_memory_new(1 << 20, 4000, &root), 0);
	struct wasi_node *dir = wasi_node_ref(root);
	for (unsigned i = 0; i < 1000; i++) {
		assert_int_equal(dir->ops->make_dir(dir, "d"), 0);
		put(dir, "f", "x");
		assert_int_equal(root->ops->link(dir, "f", false, dir, "g"), 0);
		struct wasi_node *below = open_node(dir, "d", WASI_OPEN_READ);
		wasi_node_unref(dir);
		dir = below;
	}
	wasi_node_unref(root);
	wasi_node_unref(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_limit),
		cmocka_unit_test(test_entries_limit),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_symlinks),
		cmocka_unit_test(test_removed_while_open),
		cmocka_unit_test(test_free_deep_and_wide),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
