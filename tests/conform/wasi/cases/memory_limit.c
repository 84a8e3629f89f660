#include "check.h"

int main(void)
{
	int got = 0;
	for (char *volatile p; got < 64 && (p = malloc(1 << 20)) != NULL; got++)
		memset(p, 1, 1 << 20);
	printf("%s\n", got > 4 && got < 8 ? "limited" : "not limited");
	CHECK(__builtin_wasm_memory_grow(0, 1000) == (size_t)-1);
	return 0;
}
