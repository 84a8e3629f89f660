int main(void)
{
	volatile char *p = (char *)0x7fffff00;
	return *p;
}
