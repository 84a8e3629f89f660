#include "check.h"

extern char **environ;

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("[%s]", argv[i]);
	int count = 0;
	while (environ[count] != NULL)
		count++;
	printf(" %d %s %s\n", count, getenv("A"), getenv("B"));
	CHECK(getenv("PATH") == NULL);
	return 0;
}
