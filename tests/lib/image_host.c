/*
 * Calls the exports of an image's ELF object, for tests/integ/test_build.py: without the loader,
 * so that it can be compiled for the other processor and emulated.
 *
 *     image_host FILE.so NAME ARGUMENT…     calls NAME(ARGUMENT) for each pair; they take an i32
 *
 * Each call prints "NAME ARGUMENT TRAP OFFSET": 0 and 0, or the trap and where in the object.
 */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_abi.h"

#define MEMORY_BYTES (1u << 20)
#define INSTANCE_MAX (64u << 10)

/* The instance ends where the memory starts. */
static _Alignas(16) uint8_t place[INSTANCE_MAX + MEMORY_BYTES];

static jmp_buf trapped;
static const void *trap_pc;

__attribute__((noreturn)) static void trap(uint32_t reason, const void *pc)
{
	trap_pc = pc;
	longjmp(trapped, (int)reason);
}

static uint8_t *memory_reserve(uint32_t initial_pages)
{
	return place + INSTANCE_MAX;
}

static int memory_extend(uint32_t from_page, uint32_t to_page)
{
	return -1;
}

static void *allocate(uint64_t size)
{
	return calloc(1, size);
}

static void note(uint32_t kind, void *object)
{
}

static const struct image_host_ops ops = {trap, memory_reserve, memory_extend, allocate, note};

static const struct image_export *find(const struct image_exports *exports, const char *name)
{
	for (uint32_t i = 0; i < exports->exports_count; i++) {
		if (strcmp(exports->exports[i].name, name) == 0)
			return &exports->exports[i];
	}
	(void)fprintf(stderr, "no export %s\n", name);
	exit(2);
}

int main(int argc, char **argv)
{
	void *library = argc < 2 ? NULL : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	const struct image_exports *exports =
		library == NULL ? NULL : dlsym(library, IMAGE_EXPORTS_SYMBOL);
	Dl_info info;
	if (exports == NULL || dladdr(exports, &info) == 0) {
		(void)fprintf(stderr, "%s\n", library == NULL ? dlerror() : "not an image");
		return 2;
	}
	if (exports->instance_size > INSTANCE_MAX) {
		(void)fprintf(stderr, "its instances are too large\n");
		return 2;
	}
	void *instance = place + INSTANCE_MAX - exports->instance_size;
	*exports->host_ops = &ops;
	exports->init_module();
	exports->instantiate(instance, NULL);
	for (volatile int i = 2; i + 1 < argc; i += 2) {
		const struct image_export *export = find(exports, argv[i]);
		uint32_t argument = (uint32_t)strtoul(argv[i + 1], NULL, 0);
		int reason = setjmp(trapped);
		if (reason == 0) {
			trap_pc = info.dli_fbase;
			((void (*)(void *, uint32_t)) export->call)(instance, argument);
		}
		(void)printf("%s %s %d %lu\n", argv[i], argv[i + 1], reason,
			     (unsigned long)((const char *)trap_pc - (char *)info.dli_fbase));
	}
	return 0;
}
