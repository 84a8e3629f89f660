/*
 * The binary interface between a native image and its host.
 *
 * This header is compiled twice: into the host, and into every image (together with the C that
 * wasm2c made and the glue that src/aot writes). So it includes nothing of ours, and every
 * change of it is a new IMAGE_ABI_VERSION, which makes cached images stale.
 *
 * The image has one symbol, `eos_image_exports`, a struct image_exports. It has no undefined
 * symbols but the functions of the C library that docs/formats/image.md lists (they are code that
 * the compiler makes of WebAssembly instructions): what the module imports, and the runtime it
 * needs, it calls through the tables below, which the loader fills in.
 */
#pragma once

#include <stdint.h>

#define IMAGE_ABI_VERSION 3u

enum image_trap {
	IMAGE_TRAP_NONE = 0,
	IMAGE_TRAP_OUT_OF_BOUNDS,
	IMAGE_TRAP_INTEGER_OVERFLOW,
	IMAGE_TRAP_DIVIDE_BY_ZERO,
	IMAGE_TRAP_INVALID_CONVERSION,
	IMAGE_TRAP_UNREACHABLE,
	IMAGE_TRAP_CALL_INDIRECT,
	IMAGE_TRAP_STACK_OVERFLOW,
};

/*
 * The host's services for generated code. They act on the FWP that runs on the calling thread.
 * trap() does not return. Where no memory can be had they trap or return NULL as said.
 */
struct image_host_ops {
	/* PC is in the function that trapped: the last byte of its call instruction. (What that
	 * call would return to may already be another function: nothing has to follow it.) */
	void (*trap)(uint32_t reason, const void *pc) __attribute__((noreturn));
	/* The start of the linear memory, INITIAL pages of which are zero and accessible; it is
	 * where the instance ends (instance + instance_size), for generated code finds its memory
	 * there. Called at most once an instance. Traps when INITIAL is beyond the FWP's limit. */
	uint8_t *(*memory_reserve)(uint32_t initial_pages);
	/* Makes pages [from, to) accessible. 0, or -1 when they are beyond the limit. */
	int (*memory_extend)(uint32_t from_page, uint32_t to_page);
	/* SIZE zero bytes that live as long as the instance (tables). Traps at the limit. */
	void *(*allocate)(uint64_t size);
	/* While the instance is made: OBJECT, in it, holds pointers. Whoever wants to have the same
	 * instance at another address must know them. KIND is an enum image_note. */
	void (*note)(uint32_t kind, void *object);
};

enum image_note {
	IMAGE_NOTE_MEMORY = 1, /* struct image_memory */
	IMAGE_NOTE_FUNCTIONS,  /* struct image_table of struct image_funcref */
	IMAGE_NOTE_REFERENCES, /* struct image_table of void * */
};

struct image_memory {
	uint8_t *data;
	uint32_t pages, max_pages, size;
};

struct image_table {
	void *data;
	uint32_t max_size, size;
};

struct image_funcref {
	uint32_t type;
	void (*call)(void);
	void *instance;
};

/* A function that the module imports. The loader fills in `call`. */
struct image_import {
	const char *module;
	const char *name;
	/* One letter a value: i = i32, I = i64, f = f32, F = f64; parameters, ':', results. */
	const char *signature;
	/* Called as result (*)(void *host, parameters…). */
	void (*call)(void);
};

/* A function that the module exports; called as result (*)(void *instance, parameters…). */
struct image_export {
	const char *name;
	const char *signature;
	void (*call)(void);
};

struct image_exports {
	uint32_t abi_version;
	uint32_t instance_size; /* bytes, aligned to 16 */
	uint32_t imports_count;
	uint32_t exports_count;
	/* Where an instance holds the HOST of instantiate(), and a pointer to itself: the address
	 * of that pointer (IMAGE_NO_OFFSET: it has none). All other pointers in it have been noted.
	 */
	uint32_t host_offset, self_offset;
	struct image_import *imports;
	const struct image_export *exports;
	const struct image_host_ops **host_ops; /* where the loader puts its table */
	/* Once after loading: registers function types. */
	void (*init_module)(void);
	/* Fills a zeroed instance: globals, memory, tables, segments, and runs the module's start
	 * function if it has one. HOST is given to every import. May trap. */
	void (*instantiate)(void *instance, void *host);
	/* The current start and size in bytes of the linear memory; NULL where there is none.
	 * The size of a full 65,536-page memory does not fit the generated code's u32 and
	 * cannot occur: the host's limit is 65,535 pages. */
	uint8_t *(*memory)(void *instance, uint64_t *ret_size);
};

#define IMAGE_NO_OFFSET UINT32_MAX

#define IMAGE_EXPORTS_SYMBOL "eos_image_exports"
