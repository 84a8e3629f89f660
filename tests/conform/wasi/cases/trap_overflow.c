#include <limits.h>

int main(void)
{
	volatile int least = INT_MIN, minus_one = -1;
	return least / minus_one;
}
