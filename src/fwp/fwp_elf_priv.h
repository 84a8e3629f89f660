/*
 * The loader of ELF shared objects as our compiler makes them; fwp_elf.c says which that is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define FWP_ELF_SEGMENTS_MAX 8

enum fwp_elf_access { FWP_ELF_READ, FWP_ELF_WRITE, FWP_ELF_EXECUTE };

struct fwp_elf_segment {
	uint64_t address; /* relative to the base */
	uint64_t size;	  /* in memory */
	enum fwp_elf_access access;
};

struct fwp_elf {
	uint8_t *base; /* owned mapping; NULL when nothing is loaded */
	size_t span;
	size_t segments_count;
	struct fwp_elf_segment segments[FWP_ELF_SEGMENTS_MAX];
	/* What is read-only after loading, of a writable segment; whole pages. */
	uint64_t relro_low, relro_end;
	const void *symbol; /* the one exported object that was asked for */
};

/*
 * Copies the segments of FILE into fresh memory, relocates and protects them, and looks up the
 * exported object SYMBOL of at least SYMBOL_SIZE bytes. FILE is borrowed for the call. No code of
 * the file is run. -ENOEXEC: WHY says what is wrong with it; -ENOMEM.
 */
int fwp_elf_load(const void *file, size_t size, const char *symbol, size_t symbol_size,
		 struct fwp_elf *ret_elf, struct eos_why *why) EOS_MUST_CHECK;
void fwp_elf_unload(struct fwp_elf *elf);

/* Takes the right to write away from all segments. */
int fwp_elf_seal(const struct fwp_elf *elf) EOS_MUST_CHECK;

/* True when all LEN bytes at POINTER are in one segment with this ACCESS (READ: any; WRITE: can be
 * written until fwp_elf_seal()). */
bool fwp_elf_contains(const struct fwp_elf *elf, const void *pointer, uint64_t len,
		      enum fwp_elf_access access);
/* True when a NUL ends the text at POINTER within its segment. */
bool fwp_elf_contains_text(const struct fwp_elf *elf, const char *pointer);

/* The C library's function that images may call, or NULL. */
void *fwp_symbol_find(const char *name);
