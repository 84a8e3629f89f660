int main(void)
{
	/* A function of another type than the call says. */
	int (*volatile f)(double, long long) = (int (*)(double, long long))main;
	return f(1.0, 2);
}
