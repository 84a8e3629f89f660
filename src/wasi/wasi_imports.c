/*
 * The entry points: what an image calls. Each is made by the macro, so that none can forget
 * fwp_host_enter() or fwp_host_leave(), or to translate the error number.
 */
#include "wasi/wasi_priv.h"

#define WASI_FUNCTION(name, signature, parameters, arguments)                                      \
	static uint32_t enter_##name parameters                                                    \
	{                                                                                          \
		fwp_host_enter(fwp);                                                               \
		int err = wasi_##name arguments;                                                   \
		fwp_host_leave(fwp);                                                               \
		return wasi_errno_from_linux(err);                                                 \
	}
#include "wasi/wasi_functions.def"
#undef WASI_FUNCTION

/* The only one without a result; and it does not return. */
static void enter_proc_exit(struct fwp *fwp, uint32_t code)
{
	fwp_host_enter(fwp);
	if (code == 0)
		wasi_finish(fwp);
	fwp_exit(fwp, code);
}

static const struct fwp_import imports[] = {
#define WASI_FUNCTION(name, signature, parameters, arguments)                                      \
	{WASI_MODULE, #name, signature, (void (*)(void))enter_##name},
#include "wasi/wasi_functions.def"
#undef WASI_FUNCTION
	{WASI_MODULE, "proc_exit", "i:", (void (*)(void))enter_proc_exit},
};

const struct fwp_import *wasi_imports(size_t *ret_count)
{
	*ret_count = EOS_ARRAY_SIZE(imports);
	return imports;
}
