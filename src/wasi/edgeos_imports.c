/*
 * The entry points of module "edgeos", made as those of WASI are.
 */
#include "base/clock.h"
#include "wasi/edgeos_priv.h"
#include "wasi/wasi_priv.h"

#define EDGEOS_FUNCTION(name, signature, parameters, arguments)                                    \
	static uint32_t enter_##name parameters                                                    \
	{                                                                                          \
		fwp_host_enter(fwp);                                                               \
		int result = edgeos_call_##name arguments;                                         \
		fwp_host_leave(fwp);                                                               \
		return result >= 0 ? (uint32_t)result                                              \
				   : 0u - (uint32_t)wasi_errno_from_linux(result);                 \
	}
#include "wasi/edgeos_functions.def"
#undef EDGEOS_FUNCTION

static uint64_t enter_now_ns(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	uint64_t now_ns = eos_now_ns();
	fwp_host_leave(fwp);
	return now_ns;
}

static const struct fwp_import imports[] = {
#define EDGEOS_FUNCTION(name, signature, parameters, arguments)                                    \
	{EDGEOS_MODULE, "edgeos_" #name, signature, (void (*)(void))enter_##name},
#include "wasi/edgeos_functions.def"
#undef EDGEOS_FUNCTION
	{EDGEOS_MODULE, "edgeos_now_ns", ":I", (void (*)(void))enter_now_ns},
};

const struct fwp_import *edgeos_imports(size_t *ret_count)
{
	*ret_count = EOS_ARRAY_SIZE(imports);
	return imports;
}
