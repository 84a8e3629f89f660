/*
 * The C library's functions that an image may leave undefined: what compilers emit calls to for
 * copying memory, and the arithmetic of WebAssembly that has no instruction on every processor.
 * They are pure and hold no lock, so a guest can be ended inside of them.
 */
#include "fwp/fwp_elf_priv.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* The program is linked with immediate binding (meson.build), so none of these addresses leads
 * through the dynamic linker's lazy resolver, which does hold locks. */
#define SYMBOL(function)                                                                           \
	{                                                                                          \
#function, (void (*)(void))(function)                                              \
	}

static const struct {
	const char *name;
	void (*function)(void);
} symbols[] = {
	SYMBOL(memcpy), SYMBOL(memmove),  SYMBOL(memset),     SYMBOL(memcmp),
	SYMBOL(floor),	SYMBOL(ceil),	  SYMBOL(trunc),      SYMBOL(nearbyint),
	SYMBOL(rint),	SYMBOL(sqrt),	  SYMBOL(fabs),	      SYMBOL(fmin),
	SYMBOL(fmax),	SYMBOL(copysign), SYMBOL(floorf),     SYMBOL(ceilf),
	SYMBOL(truncf), SYMBOL(rintf),	  SYMBOL(nearbyintf), SYMBOL(sqrtf),
	SYMBOL(fabsf),	SYMBOL(fminf),	  SYMBOL(fmaxf),      SYMBOL(copysignf),
	SYMBOL(bcmp), /* clang's memcmp() when only equality counts */
};

void *fwp_symbol_find(const char *name)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(symbols); i++) {
		if (strcmp(name, symbols[i].name) == 0)
			return (void *)symbols[i].function;
	}
	return NULL;
}
