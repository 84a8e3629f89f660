#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

static void check_content(const char *path, const char *expected)
{
	char text[128] = "";
	FILE *f = fopen(path, "r");
	CHECK(f != NULL);
	size_t n = fread(text, 1, sizeof(text) - 1, f);
	CHECK(n == strlen(expected) && strcmp(text, expected) == 0);
	CHECK(fclose(f) == 0);
}

static void positions(void)
{
	struct stat st;
	char text[16] = "";
	int fd = open("data/new", O_CREAT | O_EXCL | O_RDWR, 0666);
	CHECK(fd >= 0);
	CHECK_ERROR(open("data/new", O_CREAT | O_EXCL | O_RDWR, 0666), EEXIST);
	CHECK(write(fd, "0123456789", 10) == 10);
	CHECK(lseek(fd, 3, SEEK_SET) == 3);
	CHECK(read(fd, text, 4) == 4 && memcmp(text, "3456", 4) == 0);
	CHECK(lseek(fd, -2, SEEK_END) == 8);
	CHECK(lseek(fd, -3, SEEK_CUR) == 5);
	CHECK_ERROR(lseek(fd, -6, SEEK_CUR), EINVAL);
	CHECK(pread(fd, text, 3, 7) == 3 && memcmp(text, "789", 3) == 0);
	CHECK(pwrite(fd, "AB", 2, 1) == 2);
	CHECK(lseek(fd, 0, SEEK_CUR) == 5);
	CHECK(read(fd, text, 16) == 5);
	CHECK(read(fd, text, 16) == 0);
	CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
	CHECK(ftruncate(fd, 4) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 4 && S_ISREG(st.st_mode) && st.st_nlink == 1);
	CHECK(ftruncate(fd, 6) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(read(fd, text, 16) == 6 && memcmp(text, "0AB3\0\0", 6) == 0);
	CHECK(posix_fallocate(fd, 0, 100) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 100);
	CHECK(close(fd) == 0);
	CHECK_ERROR(close(fd), EBADF);
}

static void modes(void)
{
	int fd = open("data/log", O_CREAT | O_WRONLY | O_APPEND, 0666);
	CHECK(write(fd, "one,", 4) == 4);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, "two", 3) == 3);
	CHECK(lseek(fd, 0, SEEK_CUR) == 7);
	char c;
	CHECK_ERROR(read(fd, &c, 1), EBADF);
	CHECK(close(fd) == 0);
	check_content("data/log", "one,two");
	fd = open("data/log", O_RDONLY);
	CHECK_ERROR(write(fd, &c, 1), EBADF);
	CHECK(close(fd) == 0);
	fd = open("data/log", O_WRONLY | O_TRUNC);
	CHECK(close(fd) == 0);
	check_content("data/log", "");
	CHECK_ERROR(open("data/none", O_RDONLY), ENOENT);
	CHECK_ERROR(open("data/log/", O_RDONLY), ENOTDIR);
	CHECK_ERROR(open("data/log/x", O_RDONLY), ENOTDIR);
	CHECK_ERROR(open("data/log", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_ERROR(open("data", O_WRONLY), EISDIR);
	fd = open("data/log", O_WRONLY | O_DSYNC | O_SYNC);
	CHECK(write(fd, "x", 1) == 1);
	CHECK(fcntl(fd, F_GETFL) & O_SYNC);
	CHECK(close(fd) == 0);
}

static void large(void)
{
	static char block[1 << 20];
	FILE *f = fopen("data/large", "w+");
	for (int i = 0; i < 8; i++) {
		memset(block, 'a' + i, sizeof(block));
		CHECK(fwrite(block, sizeof(block), 1, f) == 1);
	}
	CHECK(fseek(f, 5 << 20, SEEK_SET) == 0);
	CHECK(fgetc(f) == 'f');
	CHECK(fseek(f, -1, SEEK_END) == 0 && ftell(f) == (8 << 20) - 1);
	CHECK(fgetc(f) == 'h' && fgetc(f) == EOF);
	CHECK(fclose(f) == 0);
	CHECK(unlink("data/large") == 0);
}

int main(void)
{
	check_content("data/greeting", "hello\n");
	positions();
	modes();
	large();
	/* All descriptors come back. */
	for (int i = 0; i < 2000; i++) {
		int fd = open("data/new", O_RDONLY);
		CHECK(fd >= 0 && fd < 16);
		CHECK(close(fd) == 0);
	}
	CHECK(unlink("data/new") == 0);
	CHECK_ERROR(unlink("data/new"), ENOENT);
	puts("ok");
	return 0;
}
