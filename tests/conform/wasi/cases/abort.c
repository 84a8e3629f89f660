#include "check.h"

int main(void)
{
	puts("before");
	fflush(stdout);
	abort();
}
