#include <unistd.h>

#include "check.h"

int main(void)
{
	static unsigned char a[256], b[256];
	CHECK(getentropy(a, sizeof(a)) == 0 && getentropy(b, sizeof(b)) == 0);
	CHECK(memcmp(a, b, sizeof(a)) != 0);
	CHECK_ERROR(getentropy(a, 257), EIO);
	return 0;
}
