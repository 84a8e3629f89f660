#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	char line[64];
	int lines = 0;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		lines++;
		fputs(line, lines % 2 ? stdout : stderr);
	}
	CHECK(feof(stdin));
	CHECK(!isatty(0) && !isatty(1));
	CHECK_ERROR(lseek(0, 0, SEEK_CUR), ESPIPE);
	char c;
	CHECK_ERROR(read(1, &c, 1), EBADF);
	CHECK_ERROR(write(0, &c, 1), EBADF);
	CHECK(close(0) == 0);
	CHECK_ERROR(read(0, &c, 1), EBADF);
	return 7;
}
