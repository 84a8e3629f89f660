#include "base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

int eos_why(struct eos_why *why, int err, const char *fmt, ...)
{
	if (why != NULL) {
		va_list args;
		va_start(args, fmt);
		(void)vsnprintf(why->text, sizeof(why->text), fmt, args);
		va_end(args);
		/* It may quote bytes from outside. */
		eos_make_printable(why->text, strlen(why->text));
	}
	return err;
}

void eos_why_prefix(struct eos_why *why, const char *fmt, ...)
{
	if (why == NULL)
		return;
	char old[EOS_WHY_SIZE];
	memcpy(old, why->text, sizeof(old));
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(why->text, sizeof(why->text), fmt, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof(why->text))
		(void)snprintf(why->text + n, sizeof(why->text) - (size_t)n, ": %s", old);
	eos_make_printable(why->text, strlen(why->text));
}
