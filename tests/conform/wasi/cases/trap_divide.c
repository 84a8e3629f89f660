__attribute__((noinline)) static int divide(volatile int *a, volatile int *b)
{
	return *a / *b;
}

int main(void)
{
	volatile int one = 1, zero = 0;
	return divide(&one, &zero);
}
