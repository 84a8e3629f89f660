/*
 * The ELF object that the linker made, inside edge-aot: its symbols, and what it is without them.
 * The compiler worked for a tenant, so nothing in the object is believed: every offset and size is
 * checked against the bytes that are there. 64 bit, little-endian.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

/* A symbol that is a function with a size. NAME is in the object's bytes. */
struct aot_elf_symbol {
	uint64_t address, size;
	const char *name;
};

/* The functions in the symbol table, in its order, as an array for free(). -ENOEXEC: damaged, or
 * there is no symbol table; -ENOMEM. */
int aot_elf_functions(const uint8_t *elf, size_t size, struct aot_elf_symbol **ret_symbols,
		      uint32_t *ret_count) EOS_MUST_CHECK;

/*
 * Takes away what no loader reads: sections, and with them symbols and debugging information, which
 * stand behind the segments. RET_SIZE is what is left of it. -ENOEXEC: damaged.
 */
int aot_elf_strip(uint8_t *elf, size_t size, size_t *ret_size) EOS_MUST_CHECK;
