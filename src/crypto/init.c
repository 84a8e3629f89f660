/*
 * OpenSSL reads a configuration file at its first use. We use fixed algorithms of its built-in
 * provider, and a process that gave up the file system before its first use would be killed for
 * the attempt; so the file is left alone. The first initialisation decides, hence before main().
 */
#include <openssl/crypto.h>

#include "crypto/crypto_priv.h"

void crypto_init(void)
{
	/* A failure shows at the first use, which can say so. */
	(void)OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}
