/*
 * For the files that use OpenSSL.
 */
#pragma once

/* Called by a constructor in each such file, so that none can be linked without it. */
void crypto_init(void);

#define CRYPTO_INIT_BEFORE_MAIN                                                                    \
	__attribute__((constructor)) static void init_before_main(void)                            \
	{                                                                                          \
		crypto_init();                                                                     \
	}
