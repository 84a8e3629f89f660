#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define FILES 500

static void make_file(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0666);
	CHECK(fd >= 0);
	CHECK(close(fd) == 0);
}

/* Lists and unlinks at the same time: each entry comes exactly once. */
static void list_many(void)
{
	static char seen[FILES];
	char path[64];
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "work/many/file-%d", i);
		make_file(path);
	}
	DIR *dir = opendir("work/many");
	CHECK(dir != NULL);
	int count = 0, dots = 0;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == '.') {
			CHECK(entry->d_type == DT_DIR);
			dots++;
			continue;
		}
		int i = atoi(entry->d_name + 5);
		CHECK(!seen[i] && entry->d_type == DT_REG && entry->d_ino != 0);
		seen[i] = 1;
		count++;
		snprintf(path, sizeof(path), "work/many/%s", entry->d_name);
		CHECK(unlink(path) == 0);
	}
	CHECK(count == FILES && dots == 2);
	rewinddir(dir);
	CHECK(readdir(dir) != NULL && readdir(dir) != NULL && readdir(dir) == NULL);
	CHECK(closedir(dir) == 0);
}

static void rename_all(void)
{
	struct stat st;
	make_file("work/a");
	CHECK(rename("work/a", "work/b") == 0);
	CHECK_ERROR(stat("work/a", &st), ENOENT);
	CHECK(rename("work/b", "work/sub/c") == 0);
	CHECK_ERROR(rename("work/b", "work/x"), ENOENT);
	make_file("work/d");
	CHECK(rename("work/d", "work/sub/c") == 0);
	CHECK_ERROR(rename("work/sub/c", "work/many"), EISDIR);
	CHECK_ERROR(rename("work/many", "work/sub/c"), ENOTDIR);
	CHECK_ERROR(rename("work/many", "work/sub"), ENOTEMPTY);
	CHECK_ERROR(rename("work/sub", "work/sub/below"), EINVAL);
	CHECK(rename("work/sub", "work/many") == 0);
	CHECK(stat("work/many/c", &st) == 0);
	CHECK(rename("work/many", "work/sub") == 0);
}

static void link_all(void)
{
	struct stat st;
	char target[32] = "";
	make_file("work/file");
	CHECK(link("work/file", "work/hard") == 0);
	CHECK(stat("work/hard", &st) == 0 && st.st_nlink == 2);
	CHECK_ERROR(link("work/file", "work/hard"), EEXIST);
	CHECK(unlink("work/hard") == 0);
	CHECK(symlink("sub/c", "work/soft") == 0);
	CHECK(readlink("work/soft", target, sizeof(target)) == 5);
	CHECK(strcmp(target, "sub/c") == 0);
	CHECK(readlink("work/soft", target, 3) == 3);
	CHECK_ERROR(readlink("work/file", target, 3), EINVAL);
	CHECK(lstat("work/soft", &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(stat("work/soft", &st) == 0 && S_ISREG(st.st_mode));
	CHECK_ERROR(open("work/soft", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK(symlink("loop", "work/loop") == 0);
	CHECK_ERROR(open("work/loop", O_RDONLY), ELOOP);
	CHECK(unlink("work/loop") == 0 && unlink("work/soft") == 0 && unlink("work/file") == 0);
}

int main(void)
{
	struct stat st;
	CHECK(mkdir("work/sub", 0777) == 0);
	CHECK(mkdir("work/many", 0777) == 0);
	CHECK_ERROR(mkdir("work/sub", 0777), EEXIST);
	CHECK_ERROR(mkdir("work/no/sub", 0777), ENOENT);
	CHECK(stat("work/sub", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(stat("work/sub/../sub/./", &st) == 0);
	list_many();
	rename_all();
	link_all();
	CHECK_ERROR(unlink("work/sub"), EISDIR);
	CHECK_ERROR(rmdir("work/sub"), ENOTEMPTY);
	CHECK_ERROR(rmdir("work/sub/c"), ENOTDIR);
	CHECK(unlink("work/sub/c") == 0);
	CHECK(rmdir("work/sub") == 0);
	CHECK_ERROR(rmdir("work/sub"), ENOENT);
	return 0;
}
