#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char text[8];
	int fd = open("data/greeting", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, 8) == 6);
	CHECK_ERROR(ftruncate(fd, 0), ENOTCAPABLE);
	CHECK(close(fd) == 0);
	/* The C library asks for no more than the directory gives; so the write is what fails. */
	fd = open("data/greeting", O_WRONLY);
	CHECK(fd == -1 || write(fd, "x", 1) == -1);
	CHECK_ERROR(open("data/new", O_CREAT | O_WRONLY, 0666), ENOTCAPABLE);
	CHECK(open("data/greeting", O_WRONLY | O_TRUNC) == -1);
	CHECK_ERROR(mkdir("data/new", 0777), ENOTCAPABLE);
	CHECK_ERROR(unlink("data/greeting"), ENOTCAPABLE);
	CHECK_ERROR(rename("data/greeting", "data/x"), ENOTCAPABLE);
	CHECK_ERROR(symlink("x", "data/x"), ENOTCAPABLE);
	CHECK_ERROR(link("data/greeting", "data/x"), ENOTCAPABLE);
	struct stat st;
	CHECK(stat("data/greeting", &st) == 0 && st.st_size == 6);
	return 0;
}
