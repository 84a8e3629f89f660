/* What the bench "churn" executes: writes to four pages, and ends; guests/dirty.c does the same. */
#define PAGE 4096u

static volatile char pages[5 * PAGE];

int main(void)
{
	for (unsigned i = 0; i < 4; i++)
		pages[i * PAGE + PAGE / 2] = 1;
	return 0;
}
