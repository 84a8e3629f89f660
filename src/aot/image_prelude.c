/*
 * The part of every image that stands before wasm2c's output, as image_runtime.c stands behind it.
 */

/* First, so that wasm2c's output, which includes it too, keeps our isnan(): with -fsignaling-nans
 * the compiler's own would be a call. */
#include <math.h>
#undef isnan
#define isnan(x) ((x) != (x))

/* wasm2c's helpers check bounds: what traps in one of them is to trap in the wasm function that
 * called it. glue.c ends the definition behind wasm2c's output. */
#define inline inline __attribute__((always_inline))

/* It is called once and has a call for each function type of the module, with all the parameters of
 * the type: optimising that takes gcc minutes for a thousand types. */
#ifdef __clang__
#define EOS_UNOPTIMIZED __attribute__((optnone, noinline))
#else
#define EOS_UNOPTIMIZED __attribute__((optimize("O0"), noinline))
#endif
static void init_func_types(void) EOS_UNOPTIMIZED;
