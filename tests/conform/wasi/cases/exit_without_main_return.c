#include "check.h"

static void bye(void)
{
	fputs("bye\n", stdout);
}

int main(void)
{
	atexit(bye);
	fputs("no newline, not flushed: ", stdout);
	exit(255);
}
