#include "aot/aot_compile.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "aot/aot_tool.h"

/* gcc and clang both take all of these. */
const char *const aot_compile_flags[] = {
	"-std=gnu17",
	"-O2",
	"-w",
	"-DNDEBUG",
	"-fPIC",
	/* Code stays in the function that it was written in, for the names of traps, where that
	 * costs nothing: wasm's compilers have inlined already. (clang does not know this one.) */
	"-fno-inline-functions-called-once",
	/* Unbounded recursion must reach the stack's guard, and may not jump over it. */
	"-fno-optimize-sibling-calls",
	"-fstack-clash-protection",
	/* What C leaves undefined and WebAssembly defines: aliasing, overflow, endless loops. */
	"-fno-strict-aliasing",
	"-fwrapv",
	"-fno-finite-loops",
	/* Floating point to the bit: no fused operations, no folding that loses or keeps a
	 * signalling NaN. errno is nobody's. */
	"-ffp-contract=off",
	"-frounding-math",
	"-fsignaling-nans",
	"-fno-math-errno",
	/* The loader (src/fwp) knows no constructors, lazy binding, unwinding or TLS. */
	"-fno-stack-protector",
	"-fno-asynchronous-unwind-tables",
	"-fno-unwind-tables",
	"-fno-plt",
	"-fvisibility=hidden",
	"-shared",
	"-nostdlib",
	"-Wl,-Bsymbolic,-z,now,-z,relro,-z,noexecstack,-z,separate-code",
	"-Wl,--hash-style=sysv,--build-id=none,--no-eh-frame-hdr",
	NULL,
};

/*
 * gcc alone, which has a switch for each pass. Equal functions stay apart: each keeps its name, and
 * comparing 10,000 exports with each other took most of a minute. With the others a store stays
 * where it is and is done as often as the module does it, and with it all that its value was
 * computed from; image_access.c relies on it. So loops over floating-point arrays can be
 * vectorised, which is then worth more than gcc thinks at -O2.
 */
static const char *const gcc_flags[] = {
	"-fno-ipa-icf",
	"-DGUEST_STORES_STAY=1",
	"-fno-tree-dse",
	"-fno-dse",
	"-fno-tree-sink",
	"-fno-move-loop-stores",
	"-fno-tree-loop-distribute-patterns",
	"-fvect-cost-model=dynamic",
};

#define FLAGS_COUNT	(EOS_ARRAY_SIZE(aot_compile_flags) - 1)
#define GCC_FLAGS_COUNT EOS_ARRAY_SIZE(gcc_flags)

/* /usr/lib/llvm-14/bin/clang, /usr/bin/x86_64-linux-gnu-gcc-12 */
static bool is_clang(const char *compiler)
{
	const char *slash = strrchr(compiler, '/');
	return strstr(slash != NULL ? slash : compiler, "clang") != NULL;
}

int aot_compile(const char *compiler, const char *result, struct eos_why *why)
{
	const char *argv[FLAGS_COUNT + GCC_FLAGS_COUNT + 5] = {compiler};
	size_t n = 1;
	for (size_t i = 0; i < FLAGS_COUNT; i++)
		argv[n++] = aot_compile_flags[i];
	for (size_t i = 0; i < GCC_FLAGS_COUNT && !is_clang(compiler); i++)
		argv[n++] = gcc_flags[i];
	argv[n++] = "-o";
	argv[n++] = result;
	argv[n++] = "glue.c";
	EOS_CLEANUP(eos_buf_fini) struct eos_buf output = {0};
	int status;
	int err = aot_tool_run(argv, &output, &status);
	if (err < 0)
		return eos_why(why, err, "cannot run the compiler %s: %s", compiler,
			       strerror(-err));
	if (status != 0)
		return aot_tool_failed(-EIO, "the compiler failed on it", status, &output, why);
	return 0;
}
