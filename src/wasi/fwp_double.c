#include "wasi/fwp_double.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

#define GUARD_SIZE 4096u

struct fwp *fwp_double_new(void *context)
{
	struct fwp *fwp = calloc(1, sizeof(*fwp));
	EOS_ASSERT(fwp != NULL);
	uint8_t *area = mmap(NULL, DOUBLE_MEMORY_SIZE + 2 * GUARD_SIZE, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EOS_ASSERT(area != MAP_FAILED);
	fwp->memory = area + GUARD_SIZE;
	EOS_ASSERT(mprotect(fwp->memory, DOUBLE_MEMORY_SIZE, PROT_READ | PROT_WRITE) == 0);
	atomic_init(&fwp->memory_bytes, DOUBLE_MEMORY_SIZE);
	fwp->context = context;
	fwp->deadline_ns = UINT64_MAX;
	return fwp;
}

struct fwp *fwp_double_free(struct fwp *fwp)
{
	munmap(fwp->memory - GUARD_SIZE, DOUBLE_MEMORY_SIZE + 2 * GUARD_SIZE);
	free(fwp);
	return NULL;
}

void *fwp_double_at(struct fwp *fwp, uint32_t address, uint32_t len)
{
	void *at = fwp_memory(fwp, address, len);
	EOS_ASSERT(at != NULL);
	return at;
}

uint32_t fwp_double_u32(struct fwp *fwp, uint32_t address)
{
	uint32_t value;
	memcpy(&value, fwp_double_at(fwp, address, sizeof(value)), sizeof(value));
	return value;
}

uint64_t fwp_double_u64(struct fwp *fwp, uint32_t address)
{
	uint64_t value;
	memcpy(&value, fwp_double_at(fwp, address, sizeof(value)), sizeof(value));
	return value;
}

uint32_t fwp_double_put(struct fwp *fwp, uint32_t address, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	if (len > 0)
		memcpy(fwp_double_at(fwp, address, len), text, len);
	return len;
}

void *fwp_memory(struct fwp *fwp, uint32_t address, uint64_t len)
{
	if (len > DOUBLE_MEMORY_SIZE || address > DOUBLE_MEMORY_SIZE - len)
		return NULL;
	return fwp->memory + address;
}

struct fwp_memory_view fwp_memory_view(struct fwp *fwp)
{
	return (struct fwp_memory_view){fwp->memory, &fwp->memory_bytes};
}

void (*fwp_image_find_export(const struct fwp_image *image, const char *name,
			     const char *signature))(void)
{
	for (const struct fwp_double_export *export = image->exports; export->name != NULL;
	     export ++)
		if (strcmp(export->name, name) == 0 && strcmp(export->signature, signature) == 0)
			return export->call;
	return NULL;
}

void *fwp_context(struct fwp *fwp)
{
	return fwp->context;
}

uint64_t fwp_deadline_ns(const struct fwp *fwp)
{
	return fwp->deadline_ns;
}

void fwp_host_enter(struct fwp *fwp)
{
	fwp->entered++;
}

void fwp_host_leave(struct fwp *fwp)
{
	fwp->left++;
}

void fwp_exit(struct fwp *fwp, uint32_t code)
{
	fwp->has_exited = true;
	fwp->exit_code = code;
	longjmp(fwp->on_exit, 1);
}
