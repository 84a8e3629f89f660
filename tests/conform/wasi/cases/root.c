#include <fcntl.h>

#include "check.h"

int main(void)
{
	CHECK(open("/greeting", O_RDONLY) >= 0);
	CHECK(open("/../greeting", O_RDONLY) == -1);
	CHECK(open("/none", O_RDONLY) == -1 && errno == ENOENT);
	return 0;
}
