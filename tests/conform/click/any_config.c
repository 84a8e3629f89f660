/*
 * In the place of the file that `edgeos build` makes of a configuration: all classes, and the
 * configuration is the stage's setting "click". So a module is compiled once for many of them.
 */
#include <stdint.h>
#include <string.h>

#include "c/edgeos.h"
#include "click/router.h"

#define TEXT_MAX (256u << 10)

extern char click_config_name[], click_config_text[];
extern unsigned click_config_len;

char click_config_name[256], click_config_text[TEXT_MAX];
unsigned click_config_len;

static unsigned get(const char *key, char *out, unsigned size)
{
	int32_t len = edgeos_config(key, (uint32_t)strlen(key), out, size - 1);
	if (len < 0 || (uint32_t)len > size - 1)
		__builtin_trap();
	out[len] = '\0';
	return (unsigned)len;
}

/* Before edgeos_init(). */
__attribute__((constructor)) static void get_config(void)
{
	(void)get("name", click_config_name, sizeof(click_config_name));
	click_config_len = get("click", click_config_text, sizeof(click_config_text));
}
