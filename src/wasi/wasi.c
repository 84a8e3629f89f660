/*
 * The life of a struct wasi, its arguments and environment, and the helpers for guest memory.
 */
#include "wasi/wasi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "wasi/wasi_priv.h"

/* In pieces of nothing: the end is known, and a signal only interrupts. */
static void sleep_on_thread(void *ctx, struct fwp *fwp, uint64_t monotonic_ns)
{
	uint64_t until_ns = EOS_MIN(monotonic_ns, fwp_deadline_ns(fwp));
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / EOS_NS_PER_S),
		.tv_nsec = (long)(until_ns % EOS_NS_PER_S),
	};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

static const struct wasi_host_ops thread_ops = {.sleep_until = sleep_on_thread};

void wasi_node_init(struct wasi_node *node, const struct wasi_vfs_ops *ops,
		    enum wasi_node_kind kind)
{
	*node = (struct wasi_node){.ops = ops, .kind = kind, .refs = 1};
}

struct wasi_node *wasi_node_ref(struct wasi_node *node)
{
	EOS_ASSERT(node->refs > 0);
	node->refs++;
	return node;
}

struct wasi_node *wasi_node_unref(struct wasi_node *node)
{
	if (node == NULL)
		return NULL;
	EOS_ASSERT(node->refs > 0);
	if (--node->refs == 0)
		node->ops->release(node);
	return NULL;
}

static int copy_strings(struct wasi_strings *strings, const char *const *texts, size_t count)
{
	uint64_t size = 0;
	for (size_t i = 0; i < count; i++)
		size += strlen(texts[i]) + 1;
	/* The guest has to hold it in its 32-bit memory, each with a pointer. */
	if (count > UINT32_MAX / 4 || size > UINT32_MAX)
		return -E2BIG;
	strings->bytes = malloc(size > 0 ? size : 1);
	if (strings->bytes == NULL)
		return -ENOMEM;
	char *at = strings->bytes;
	for (size_t i = 0; i < count; i++)
		at = stpcpy(at, texts[i]) + 1;
	strings->count = (uint32_t)count;
	strings->size = (uint32_t)size;
	return 0;
}

int wasi_new(const char *const *argv, size_t argc, const char *const *environment, size_t envc,
	     struct wasi **ret_wasi)
{
	struct wasi *wasi = calloc(1, sizeof(*wasi));
	if (wasi == NULL)
		return -ENOMEM;
	wasi->host_ops = &thread_ops;
	int err = copy_strings(&wasi->args, argv, argc);
	if (err == 0)
		err = copy_strings(&wasi->environment, environment, envc);
	if (err < 0) {
		wasi_free(wasi);
		return err;
	}
	*ret_wasi = wasi;
	return 0;
}

struct wasi *wasi_free(struct wasi *wasi)
{
	if (wasi == NULL)
		return NULL;
	for (unsigned i = 0; i < wasi->descriptors_count; i++)
		wasi_descriptor_drop(&wasi->descriptors[i]);
	free(wasi->descriptors);
	free(wasi->args.bytes);
	free(wasi->environment.bytes);
	free(wasi->paths);
	free(wasi->scratch);
	free(wasi);
	return NULL;
}

void wasi_set_host_ops(struct wasi *wasi, const struct wasi_host_ops *ops, void *ctx)
{
	wasi->host_ops = ops;
	wasi->host_ctx = ctx;
}

int wasi_set_stdio(struct wasi *wasi, unsigned fd, struct wasi_node *node)
{
	EOS_ASSERT(fd <= 2);
	uint32_t free_fd;
	int err = wasi_descriptor_reserve(wasi, fd, &free_fd);
	if (err < 0)
		return err;
	if (free_fd != fd)
		return -EBUSY;
	uint64_t unwanted = fd == 0 ? WASI_RIGHT_FD_WRITE : WASI_RIGHT_FD_READ;
	wasi->descriptors[fd] = (struct wasi_descriptor){
		.node = wasi_node_ref(node),
		.rights_base = WASI_RIGHTS_STREAM & ~unwanted,
	};
	return 0;
}

int wasi_add_preopen(struct wasi *wasi, const char *guest_path, struct wasi_node *node,
		     bool is_read_only)
{
	uint32_t fd;
	int err = wasi_descriptor_reserve(wasi, 3, &fd);
	if (err < 0)
		return err;
	char *path = strdup(guest_path);
	if (path == NULL)
		return -ENOMEM;
	uint64_t refused = is_read_only ? WASI_RIGHTS_CHANGE : 0;
	wasi->descriptors[fd] = (struct wasi_descriptor){
		.node = wasi_node_ref(node),
		.preopen_path = path,
		.rights_base = WASI_RIGHTS_DIRECTORY & ~refused,
		.rights_inheriting = (WASI_RIGHTS_DIRECTORY | WASI_RIGHTS_FILE) & ~refused,
	};
	return 0;
}

int wasi_check_range(struct fwp *fwp, uint32_t address, uint64_t len)
{
	return len == 0 || fwp_memory(fwp, address, len) != NULL ? 0 : -EFAULT;
}

int wasi_copy_in(struct fwp *fwp, void *to, uint32_t address, uint64_t len)
{
	if (len == 0)
		return 0;
	const void *from = fwp_memory(fwp, address, len);
	if (from == NULL)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

int wasi_copy_out(struct fwp *fwp, uint32_t address, const void *from, uint64_t len)
{
	if (len == 0)
		return 0;
	void *to = fwp_memory(fwp, address, len);
	if (to == NULL)
		return -EFAULT;
	memcpy(to, from, len);
	return 0;
}

void *wasi_scratch(struct wasi *wasi, size_t size)
{
	if (size <= wasi->scratch_size)
		return wasi->scratch;
	void *scratch = realloc(wasi->scratch, size);
	if (scratch == NULL)
		return NULL;
	wasi->scratch = scratch;
	wasi->scratch_size = size;
	return scratch;
}

static int strings_sizes_get(struct fwp *fwp, const struct wasi_strings *strings, uint32_t count,
			     uint32_t size)
{
	int err = wasi_check_range(fwp, size, sizeof(strings->size));
	if (err == 0)
		err = wasi_copy_out(fwp, count, &strings->count, sizeof(strings->count));
	if (err == 0)
		err = wasi_copy_out(fwp, size, &strings->size, sizeof(strings->size));
	return err;
}

static int strings_get(struct fwp *fwp, const struct wasi_strings *strings, uint32_t pointers,
		       uint32_t buf)
{
	int err = wasi_check_range(fwp, pointers, (uint64_t)strings->count * sizeof(uint32_t));
	if (err == 0)
		err = wasi_copy_out(fwp, buf, strings->bytes, strings->size);
	if (err < 0)
		return err;
	/* Both ranges are inside the memory, so these sums do not wrap. */
	uint32_t offset = 0;
	for (uint32_t i = 0; i < strings->count; i++) {
		uint32_t address = buf + offset;
		err = wasi_copy_out(fwp, pointers + i * (uint32_t)sizeof(address), &address,
				    sizeof(address));
		if (err < 0)
			return err;
		offset += (uint32_t)strlen(strings->bytes + offset) + 1;
	}
	return 0;
}

int wasi_args_get(struct fwp *fwp, uint32_t argv, uint32_t buf)
{
	const struct wasi *wasi = fwp_context(fwp);
	return strings_get(fwp, &wasi->args, argv, buf);
}

int wasi_args_sizes_get(struct fwp *fwp, uint32_t argc, uint32_t size)
{
	const struct wasi *wasi = fwp_context(fwp);
	return strings_sizes_get(fwp, &wasi->args, argc, size);
}

int wasi_environ_get(struct fwp *fwp, uint32_t pointers, uint32_t buf)
{
	const struct wasi *wasi = fwp_context(fwp);
	return strings_get(fwp, &wasi->environment, pointers, buf);
}

int wasi_environ_sizes_get(struct fwp *fwp, uint32_t count, uint32_t size)
{
	const struct wasi *wasi = fwp_context(fwp);
	return strings_sizes_get(fwp, &wasi->environment, count, size);
}
