/*
 * The names of a module's functions, for people: from its name section, else from its exports, else
 * "module.name" of an import, else "func[12]".
 *
 * A name section is a custom section, which may be damaged in a valid module: what cannot be read
 * of it is not there. Names are the tenant's; what this file hands out is harmless in logs and
 * on terminals.
 */
#pragma once

#include "aot/aot_module.h"
#include "image/image_names.h"

struct aot_names {
	const struct aot_module *module; /* borrowed */
	struct aot_name *functions;	 /* owned: by index; those without a name have no bytes */
};

/* MODULE is borrowed until aot_names_fini(). -ENOMEM. */
int aot_names_read(const struct aot_module *module, struct aot_names *ret_names) EOS_MUST_CHECK;
void aot_names_fini(struct aot_names *names);

/*
 * The name of a function of the module, as a C string: cut to what fits (never within a character),
 * and '?' for each character that is not printed but obeyed: controls, line ends, directions.
 */
void aot_names_get(const struct aot_names *names, uint32_t function,
		   char out[IMAGE_NAME_BYTES_MAX + 1]);
