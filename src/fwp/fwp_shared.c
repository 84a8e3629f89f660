/*
 * The page that FWPs of an engine share: a file in memory, mapped once for the host and, at bind
 * time, over a page of each memory that has it (fwp_slot.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/file.h"
#include "fwp/fwp_priv.h"

static bool has_small_pages(void)
{
	return sysconf(_SC_PAGESIZE) == (long)FWP_PAGE_BYTES;
}

static int make_file(void)
{
	int err = eos_fault("fwp.memfd");
	if (err < 0)
		return err;
	int fd = memfd_create("edgeos-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, FWP_PAGE_BYTES) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = -errno;
		eos_close(fd);
		return err;
	}
	return fd;
}

int fwp_shared_make(struct fwp_engine *engine)
{
	if (engine->page != NULL || !has_small_pages())
		return 0;
	int fd = make_file();
	if (fd < 0)
		return fd;
	int err = eos_fault("fwp.mmap");
	if (err < 0) {
		eos_close(fd);
		return err;
	}
	void *page = mmap(NULL, FWP_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			  fd, 0);
	if (page == MAP_FAILED) {
		err = -errno;
		eos_close(fd);
		return err;
	}
	engine->page = page;
	engine->page_fd = fd;
	return 0;
}

int fwp_template_share_page(struct fwp_template *template, uint32_t address)
{
	struct fwp_snapshot *snapshot = &template->snapshot;
	struct fwp_pool *pool = &template->pool;
	EOS_ASSERT(pool->clean == NULL && pool->dirty_count == 0);
	if (address % FWP_PAGE_BYTES != 0 || snapshot->memory_bytes < FWP_PAGE_BYTES ||
	    address > snapshot->memory_bytes - FWP_PAGE_BYTES)
		return -EINVAL;
	if (!has_small_pages())
		return -ENOTSUP;
	int err = fwp_shared_make(pool->engine);
	if (err < 0)
		return err;
	snapshot->page_fd = pool->engine->page_fd;
	snapshot->page_address = address;
	return 0;
}

uint8_t *fwp_engine_page(const struct fwp_engine *engine)
{
	return engine->page;
}

void fwp_shared_fini(struct fwp_engine *engine)
{
	if (engine->page == NULL)
		return;
	(void)munmap(engine->page, FWP_PAGE_BYTES);
	eos_close(engine->page_fd);
	engine->page = NULL;
	engine->page_fd = -1;
}
