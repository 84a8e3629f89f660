/*
 * A reader of WebAssembly modules, as far as the host must understand them: the sections, the
 * function types, what is imported and exported, and the memory.
 *
 * Three steps, in this order: aot_module_check() looks at the frame (magic, version, sections
 * that fit the file); wasm-validate (aot_translate.h) proves the module valid; aot_module_read()
 * lists its interface. The reader trusts neither: it checks every length itself.
 *
 * Names are bytes of the module and may be anything. aot_module_rewrite() makes a module that does
 * the same and has names of ours only; that one is translated to C, so no name of a tenant's ever
 * reaches a C compiler but as a string constant that aot_glue.h writes.
 *
 * Pointers in these structs point into the module's bytes, borrowed until aot_module_fini().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define AOT_TYPES_MAX	     1000000u
#define AOT_IMPORTS_MAX	     10000u
#define AOT_EXPORTS_MAX	     100000u
#define AOT_MEMORY_PAGES_MAX 65535u

struct aot_name {
	const uint8_t *bytes; /* valid UTF-8 without a zero byte */
	uint32_t len;
};

/* Value types as in the binary format: 0x7f i32, 0x7e i64, 0x7d f32, 0x7c f64, others. */
struct aot_type {
	const uint8_t *params, *results;
	uint32_t params_count, results_count;
};

/* An imported function. */
struct aot_import {
	struct aot_name module, name;
	uint32_t type;
};

/* An exported function. */
struct aot_export {
	struct aot_name name;
	uint32_t function;
};

struct aot_module {
	const uint8_t *bytes;
	size_t len;
	struct aot_type *types; /* owned */
	uint32_t types_count;
	struct aot_import *imports; /* owned */
	uint32_t imports_count;
	uint32_t *functions; /* owned: types of the functions that are not imported */
	uint32_t functions_count;
	struct aot_export *exports; /* owned */
	uint32_t exports_count;
	bool has_memory;
	uint32_t memory_pages_initial;
};

/* The frame. -EINVAL: WHY says "not a WebAssembly module", "truncated at byte …" and so on. */
int aot_module_check(const uint8_t *bytes, size_t len, struct eos_why *why) EOS_MUST_CHECK;

/*
 * The interface. -EINVAL: damaged, or it wants what no host offers (imports that are not
 * functions, values that are not numbers, a memory that is too large), and WHY names it; -ENOMEM.
 */
int aot_module_read(const uint8_t *bytes, size_t len, struct aot_module *ret_module,
		    struct eos_why *why) EOS_MUST_CHECK;
void aot_module_fini(struct aot_module *module);

/* The type of the function with this index, imported or not. FUNCTION must be in range. */
const struct aot_type *aot_module_type_of(const struct aot_module *module, uint32_t function);

/*
 * True when the host can call such a function: numbers only, at most one result. Then its letters
 * ("ii:i", see image_abi.h) are appended to OUT, if that is not NULL.
 */
bool aot_type_signature(const struct aot_type *type, struct eos_buf *out);

/*
 * Appends to OUT the same module with our names: import N is "h" "iN", exported function N is
 * "xN", the memory is "memory", nothing else is exported, and there are no custom sections.
 * The module must be valid. -ENOMEM.
 */
int aot_module_rewrite(const struct aot_module *module, struct eos_buf *out) EOS_MUST_CHECK;
