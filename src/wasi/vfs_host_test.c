#include "wasi/vfs_host.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define RW (WASI_OPEN_READ | WASI_OPEN_WRITE)

/* A fresh directory with "secret" and "inside/", which is what the node shows. */
struct area {
	char path[64];
	int fd;
	struct wasi_node *root;
};

static int setup(void **state)
{
	struct area *area = calloc(1, sizeof(*area));
	strcpy(area->path, "/tmp/vfs_host_test.XXXXXX");
	if (mkdtemp(area->path) == NULL)
		return -1;
	area->fd = open(area->path, O_RDONLY | O_DIRECTORY);
	int secret = openat(area->fd, "secret", O_CREAT | O_WRONLY, 0600);
	close(secret);
	if (mkdirat(area->fd, "inside", 0755) < 0)
		return -1;
	*state = area;
	int fd = openat(area->fd, "inside", O_RDONLY | O_DIRECTORY);
	return vfs_host_directory(fd, &area->root);
}

static int teardown(void **state)
{
	struct area *area = *state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", area->path);
	wasi_node_unref(area->root);
	close(area->fd);
	int err = system(command);
	free(area);
	return err;
}

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

static void test_files(void **state)
{
	struct area *area = *state;
	struct wasi_node *root = area->root;
	struct wasi_stat stat;
	char text[16];
	put(root, "file", "hello");
	struct wasi_node *file = open_node(root, "file", RW);
	assert_int_equal(file->kind, WASI_NODE_FILE);
	assert_int_equal(file->ops->read(file, text, 16, 1), 4);
	assert_memory_equal(text, "ello", 4);
	assert_int_equal(file->ops->append(file, "!", 1), 1);
	assert_int_equal(file->ops->stat(file, &stat), 0);
	assert_int_equal(stat.size, 6);
	assert_int_equal(file->ops->truncate(file, 2), 0);
	int err = file->ops->allocate(file, 0, 100);
	assert_true(err == 0 || err == -EOPNOTSUPP);
	assert_int_equal(file->ops->sync(file, true), 0);
	assert_int_equal(file->ops->sync(file, false), 0);
	uint64_t time_ns = UINT64_C(1500000000123456789);
	assert_int_equal(file->ops->set_times(file, NULL, &time_ns), 0);
	assert_int_equal(file->ops->stat(file, &stat), 0);
	assert_int_equal(stat.mtime_ns, time_ns);
	wasi_node_unref(file);
	assert_int_equal(open_error(root, "file", RW | WASI_OPEN_DIRECTORY), -ENOTDIR);
	assert_int_equal(open_error(root, "no", RW), -ENOENT);
	const unsigned exclusive = RW | WASI_OPEN_CREATE | WASI_OPEN_EXCLUSIVE;
	assert_int_equal(open_error(root, "file", exclusive), -EEXIST);
	assert_int_equal(open_error(root, "", RW), -EISDIR);
	time_ns++;
	assert_int_equal(root->ops->set_times_at(root, "file", true, &time_ns, &time_ns), 0);
	assert_int_equal(root->ops->stat_at(root, "file", false, &stat), 0);
	assert_int_equal(stat.atime_ns, time_ns);
	wasi_node_unref(open_node(root, "file", RW | WASI_OPEN_TRUNCATE));
	assert_int_equal(root->ops->stat_at(root, "file", false, &stat), 0);
	assert_int_equal(stat.size, 0);
}

static void test_names(void **state)
{
	struct area *area = *state;
	struct wasi_node *root = area->root;
	struct wasi_stat stat;
	assert_int_equal(root->ops->make_dir(root, "dir"), 0);
	assert_int_equal(root->ops->make_dir(root, "dir"), -EEXIST);
	assert_int_equal(root->ops->make_dir(root, "dir/sub"), 0);
	put(root, "dir/sub/file", "x");
	assert_int_equal(root->ops->remove_dir(root, "dir/sub"), -ENOTEMPTY);
	assert_int_equal(root->ops->unlink(root, "dir/sub"), -EISDIR);
	assert_int_equal(root->ops->link(root, "dir/sub/file", false, root, "hard"), 0);
	assert_int_equal(root->ops->stat_at(root, "hard", false, &stat), 0);
	assert_int_equal(stat.links, 2);
	assert_int_equal(root->ops->rename(root, "dir/sub/file", root, "dir/moved"), 0);
	assert_int_equal(root->ops->rename(root, "dir/sub/file", root, "x"), -ENOENT);
	assert_int_equal(root->ops->rename(root, "dir/moved", root, "no/x"), -ENOENT);
	assert_int_equal(root->ops->remove_dir(root, "dir/sub"), 0);
	assert_int_equal(root->ops->remove_dir(root, "dir/moved"), -ENOTDIR);
	assert_int_equal(root->ops->symlink(root, "dir/moved", "soft"), 0);
	char target[64];
	assert_int_equal(root->ops->read_link(root, "soft", target, sizeof(target)), 9);
	assert_memory_equal(target, "dir/moved", 9);
	assert_int_equal(root->ops->read_link(root, "hard", target, sizeof(target)), -EINVAL);
	assert_int_equal(open_error(root, "soft", RW), -ELOOP);
	wasi_node_unref(open_node(root, "soft", RW | WASI_OPEN_FOLLOW));
	assert_int_equal(root->ops->stat_at(root, "soft", true, &stat), 0);
	assert_int_equal(stat.kind, WASI_NODE_FILE);
	assert_int_equal(root->ops->stat_at(root, "soft", false, &stat), 0);
	assert_int_equal(stat.kind, WASI_NODE_SYMLINK);
	assert_int_equal(root->ops->link(root, "soft", true, root, "l"), -EINVAL);
	assert_int_equal(root->ops->link(root, "hard", true, root, "l"), 0);
	assert_int_equal(root->ops->link(root, "soft", false, root, "m"), 0);
	assert_int_equal(root->ops->unlink(root, "soft"), 0);
	assert_int_equal(root->ops->unlink(root, "soft"), -ENOENT);
}

static void test_escapes(void **state)
{
	struct area *area = *state;
	struct wasi_node *root = area->root;
	struct wasi_stat stat;
	const unsigned follow = WASI_OPEN_READ | WASI_OPEN_FOLLOW;
	/* Links that somebody else has put there. */
	int inside = openat(area->fd, "inside", O_RDONLY | O_DIRECTORY);
	assert_int_equal(symlinkat("/etc/passwd", inside, "absolute"), 0);
	assert_int_equal(symlinkat("../secret", inside, "relative"), 0);
	assert_int_equal(symlinkat("..", inside, "up"), 0);
	assert_int_equal(symlinkat("/", inside, "root"), 0);
	assert_int_equal(symlinkat("/proc/self/fd/0", inside, "magic"), 0);
	assert_int_equal(symlinkat("loop", inside, "loop"), 0);
	static const char *const bad[] = {"absolute", "relative",	 "up",	 "up/secret",
					  "root",     "root/etc/passwd", "magic"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		assert_int_equal(open_error(root, bad[i], follow), -EPERM);
		assert_int_equal(open_error(root, bad[i], follow | RW | WASI_OPEN_CREATE), -EPERM);
		assert_int_equal(root->ops->stat_at(root, bad[i], true, &stat), -EPERM);
		assert_int_equal(root->ops->set_times_at(root, bad[i], true, NULL, NULL), -EPERM);
	}
	/* Also where a caller should have normalised. */
	assert_int_equal(open_error(root, "../secret", follow), -EPERM);
	assert_int_equal(open_error(root, "/etc/passwd", follow), -EPERM);
	put(root, "file", "x");
	char target[16];
	assert_int_equal(root->ops->unlink(root, "up/secret"), -EPERM);
	assert_int_equal(root->ops->make_dir(root, "up/new"), -EPERM);
	assert_int_equal(root->ops->remove_dir(root, "up/inside"), -EPERM);
	assert_int_equal(root->ops->rename(root, "up/secret", root, "mine"), -EPERM);
	assert_int_equal(root->ops->rename(root, "file", root, "up/file"), -EPERM);
	assert_int_equal(root->ops->link(root, "up/secret", false, root, "mine"), -EPERM);
	assert_int_equal(root->ops->link(root, "file", false, root, "up/file"), -EPERM);
	assert_int_equal(root->ops->symlink(root, "x", "up/link"), -EPERM);
	assert_int_equal(root->ops->read_link(root, "up/x", target, sizeof(target)), -EPERM);
	assert_int_equal(open_error(root, "loop", follow), -ELOOP);
	/* Unlinking a link unlinks the link. */
	assert_int_equal(root->ops->unlink(root, "relative"), 0);
	assert_int_equal(faccessat(area->fd, "secret", F_OK, 0), 0);
	close(inside);
}

static void test_listing(void **state)
{
	struct area *area = *state;
	struct wasi_node *root = area->root;
	static bool seen[300];
	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < 300; i++) {
		char name[16];
		snprintf(name, sizeof(name), "f%u", i);
		put(root, name, "");
	}
	/* From a cookie each time, now and then from an earlier one; removing what was seen. */
	uint64_t cookie = 0, earlier = 0;
	struct wasi_dirent entry;
	unsigned count = 0;
	while (root->ops->read_dir(root, cookie, &entry) == 1) {
		entry.name[entry.name_len] = '\0';
		unsigned number = (unsigned)atoi(entry.name + 1);
		assert_int_equal(entry.kind, WASI_NODE_FILE);
		assert_false(seen[number]);
		seen[number] = true;
		count++;
		earlier = cookie;
		cookie = entry.next;
		if (count % 7 == 0) {
			assert_int_equal(root->ops->read_dir(root, earlier, &entry), 1);
			assert_int_equal(entry.next, cookie);
		}
		if (count % 2 == 0)
			assert_int_equal(root->ops->unlink(root, entry.name), 0);
	}
	assert_int_equal(count, 300);
	assert_int_equal(root->ops->read_dir(root, UINT64_MAX, &entry), -EINVAL);
	assert_int_equal(root->ops->read_dir(root, 0, &entry), 1);
}

static void test_special_files(void **state)
{
	struct area *area = *state;
	assert_int_equal(mkfifoat(area->fd, "inside/fifo", 0600), 0);
	/* Opening does not wait for the other end. */
	assert_int_equal(open_error(area->root, "fifo", WASI_OPEN_WRITE), -ENXIO);
	struct wasi_node *fifo = open_node(area->root, "fifo", WASI_OPEN_READ);
	assert_int_equal(fifo->kind, WASI_NODE_STREAM);
	struct wasi_stat stat;
	assert_int_equal(fifo->ops->stat(fifo, &stat), 0);
	assert_int_equal(stat.kind, WASI_NODE_STREAM);
	wasi_node_unref(fifo);
}

static void test_no_directory(void **state)
{
	struct wasi_node *node;
	assert_int_equal(vfs_host_directory(open("/dev/null", O_RDONLY), &node), -ENOTDIR);
}

static void test_stream(void **state)
{
	int fds[2];
	char text[4];
	struct wasi_node *reader, *writer;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(vfs_host_stream(fds[0], &reader), 0);
	assert_int_equal(vfs_host_stream(fds[1], &writer), 0);
	assert_false(reader->is_terminal);
	assert_int_equal(writer->ops->write(writer, "abc", 3, 99), 3);
	assert_int_equal(writer->ops->sync(writer, false), 0);
	assert_int_equal(reader->ops->read(reader, text, 4, 99), 3);
	assert_int_equal(reader->ops->poll_fd(reader), fds[0]);
	wasi_node_unref(writer);
	assert_int_equal(reader->ops->read(reader, text, 4, 0), 0);
	wasi_node_unref(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_escapes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_special_files, setup, teardown),
		cmocka_unit_test(test_no_directory),
		cmocka_unit_test(test_stream),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
