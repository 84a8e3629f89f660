#include "aot/aot_image_test.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

#define MEMORY_BYTES (1u << 20)
#define BLOCKS_MAX   16u

struct test_host test_host;
#define ARENA_BYTES (64u << 10)
static uint8_t *memory; /* behind ARENA_BYTES, which end with the instance */
static void *blocks[BLOCKS_MAX];
static unsigned blocks_count;

EOS_NORETURN static void host_trap(uint32_t reason, const void *pc)
{
	test_host.trap_pc = pc;
	test_host.trap = reason;
	longjmp(test_host.trapped, 1);
}

static uint8_t *host_memory_reserve(uint32_t initial_pages)
{
	if (initial_pages > test_host.pages_max)
		host_trap(IMAGE_TRAP_OUT_OF_BOUNDS, NULL);
	return memory;
}

static int host_memory_extend(uint32_t from_page, uint32_t to_page)
{
	return to_page <= test_host.pages_max ? 0 : -1;
}

static void *host_allocate(uint64_t size)
{
	if (blocks_count == BLOCKS_MAX || size > MEMORY_BYTES)
		host_trap(IMAGE_TRAP_OUT_OF_BOUNDS, NULL);
	blocks[blocks_count] = calloc(1, size);
	return blocks[blocks_count++];
}

static void host_note(uint32_t kind, void *object)
{
	assert_in_range(kind, IMAGE_NOTE_MEMORY, IMAGE_NOTE_REFERENCES);
	assert_non_null(object);
}

static const struct image_host_ops ops = {
	host_trap, host_memory_reserve, host_memory_extend, host_allocate, host_note,
};

void test_image_open(const struct image *image, const char *dir, struct test_image *ret_image)
{
	char path[256];
	size_t size;
	const void *elf = image_elf(image, &size);
	(void)snprintf(path, sizeof(path), "%s/opened.so", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(eos_write_full(fd, elf, size), 0);
	close(fd);
	ret_image->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (ret_image->library == NULL)
		fail_msg("%s", dlerror());
	(void)unlink(path);
	ret_image->exports = dlsym(ret_image->library, IMAGE_EXPORTS_SYMBOL);
	assert_non_null(ret_image->exports);
	assert_int_equal(ret_image->exports->abi_version, IMAGE_ABI_VERSION);
	assert_int_equal(ret_image->exports->instance_size % 16, 0);
	*ret_image->exports->host_ops = &ops;
	ret_image->exports->init_module();
	test_host.pages_max = MEMORY_BYTES / 65536;
}

uint64_t test_image_offset(const struct test_image *image, const void *address)
{
	Dl_info info;
	assert_int_not_equal(dladdr(image->exports, &info), 0);
	return (uint64_t)((uintptr_t)address - (uintptr_t)info.dli_fbase);
}

void test_image_close(struct test_image *image)
{
	assert_int_equal(dlclose(image->library), 0);
}

void *test_image_instantiate(const struct test_image *image, void *host)
{
	assert_null(memory);
	assert_true(image->exports->instance_size <= ARENA_BYTES);
	uint8_t *arena = mmap(NULL, ARENA_BYTES + MEMORY_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(arena, MAP_FAILED);
	memory = arena + ARENA_BYTES;
	void *volatile instance = memory - image->exports->instance_size;
	if (setjmp(test_host.trapped) == 0) {
		image->exports->instantiate(instance, host);
		return instance;
	}
	test_image_drop(instance);
	return NULL;
}

void test_image_drop(void *instance)
{
	(void)instance;
	while (blocks_count > 0)
		free(blocks[--blocks_count]);
	munmap(memory - ARENA_BYTES, ARENA_BYTES + MEMORY_BYTES);
	memory = NULL;
}

void (*test_image_export(const struct test_image *image, const char *name,
			 const char *signature))(void)
{
	for (uint32_t i = 0; i < image->exports->exports_count; i++) {
		const struct image_export *export = &image->exports->exports[i];
		if (strcmp(export->name, name) == 0 && strcmp(export->signature, signature) == 0)
			return export->call;
	}
	return NULL;
}
