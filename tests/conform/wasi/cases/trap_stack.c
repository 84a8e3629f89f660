/* Deep in the native stack only: nothing is kept in linear memory. */
__attribute__((noinline)) static int deeper(int n)
{
	return n < 0 ? 0 : deeper(n + 1) * 3 + n;
}

int main(void)
{
	volatile int start = 1;
	return deeper(start);
}
