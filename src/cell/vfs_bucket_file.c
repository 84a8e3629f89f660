/*
 * Open files of buckets.
 *
 * The file itself is at edged, behind a handle. Here is one buffer, which is one of
 *
 *   NONE     nothing
 *   READ     bytes of the file from buffer_offset on (read-ahead)
 *   WRITTEN  bytes from buffer_offset on that edged does not have yet (write-behind)
 *
 * so that reading or writing byte by byte does not become a message a byte. A call is the only user
 * of its handles, so the buffer cannot be stale. Written bytes go out before anything that could
 * see their absence: a read, a truncation, a close. An error of write-behind is reported by what
 * sent it, at the latest by close. What is beyond the buffer's size goes directly.
 *
 * The guest's close makes the object visible; a file that is released without it (the FWP died, or
 * close failed) is dropped at edged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "cell/cell_priv.h"

#define FILE_BUFFER_BYTES (32u << 10)

enum buffer_state { BUFFER_NONE, BUFFER_READ, BUFFER_WRITTEN };

struct bucket_file {
	struct wasi_node node;
	struct cell_call *call;
	uint32_t handle;
	bool is_open; /* edged has the handle */
	bool is_writable;
	uint64_t inode, size, modified_ns;
	enum buffer_state buffer_state;
	uint64_t buffer_offset;
	uint32_t buffer_len;
	char *buffer; /* FILE_BUFFER_BYTES, made at first use */
	int err;      /* the first failure of a write; close reports it again and commits nothing */
};

static const struct wasi_vfs_ops file_ops;

static struct bucket_file *file_of(struct wasi_node *node)
{
	EOS_ASSERT(node->ops == &file_ops);
	return EOS_CONTAINER_OF(node, struct bucket_file, node);
}

int cell_bucket_file_new(struct cell_call *call, uint32_t handle, uint64_t inode,
			 const struct link_stat *stat, bool is_writable,
			 struct wasi_node **ret_node)
{
	struct bucket_file *file = calloc(1, sizeof(*file));
	if (file == NULL) {
		cell_call_drop_handle(call, handle);
		return -ENOMEM;
	}
	wasi_node_init(&file->node, &file_ops, WASI_NODE_FILE);
	file->call = call;
	file->handle = handle;
	file->is_open = true;
	file->is_writable = is_writable;
	file->inode = inode;
	file->size = stat->size;
	file->modified_ns = stat->modified_ns;
	*ret_node = &file->node;
	return 0;
}

static void release_file(struct wasi_node *node)
{
	struct bucket_file *file = file_of(node);
	if (file->is_open)
		cell_call_drop_handle(file->call, file->handle);
	free(file->buffer);
	free(file);
}

static int need_buffer(struct bucket_file *file)
{
	if (file->buffer == NULL)
		file->buffer = malloc(FILE_BUFFER_BYTES);
	return file->buffer != NULL ? 0 : -ENOMEM;
}

static int64_t ask_read(struct bucket_file *file, uint64_t offset, void *out, uint32_t size)
{
	struct link_file_request request = {
		.op = LINK_OP_READ,
		.handle = file->handle,
		.offset = offset,
		.size = size,
	};
	struct link_span none = {NULL, 0};
	uint32_t got;
	int64_t n = cell_call_request_paths(file->call, &request, none, none, out, size, &got);
	return n > 0 && n != got ? -EIO : n;
}

static int send_bytes(struct bucket_file *file, uint64_t offset, const void *data, uint32_t len)
{
	struct link_file_request request = {
		.op = LINK_OP_WRITE,
		.handle = file->handle,
		.offset = offset,
	};
	int64_t n = cell_call_request_data(file->call, &request, data, len);
	int err = n < 0 ? (int)n : n == len ? 0 : -EIO;
	if (err < 0)
		file->err = err;
	return err;
}

/* Sends what was written. What edged refused is dropped: repeating it would refuse it again. */
static int flush_file(struct bucket_file *file)
{
	if (file->buffer_state != BUFFER_WRITTEN)
		return 0;
	file->buffer_state = BUFFER_NONE;
	return send_bytes(file, file->buffer_offset, file->buffer, file->buffer_len);
}

static int64_t read_file(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	struct bucket_file *file = file_of(node);
	if (!file->is_open)
		return -EBADF;
	int err = flush_file(file);
	if (err < 0)
		return err;
	if (len == 0 || offset >= file->size)
		return 0;
	bool is_buffered = file->buffer_state == BUFFER_READ && offset >= file->buffer_offset &&
			   offset - file->buffer_offset < file->buffer_len;
	if (!is_buffered && len >= FILE_BUFFER_BYTES)
		return ask_read(file, offset, data,
				(uint32_t)EOS_MIN(len, (uint64_t)LINK_DATA_MAX));
	if (!is_buffered) {
		err = need_buffer(file);
		if (err < 0)
			return err;
		file->buffer_state = BUFFER_NONE;
		int64_t n = ask_read(file, offset, file->buffer, FILE_BUFFER_BYTES);
		if (n <= 0)
			return n;
		file->buffer_state = BUFFER_READ;
		file->buffer_offset = offset;
		file->buffer_len = (uint32_t)n;
	}
	uint32_t at = (uint32_t)(offset - file->buffer_offset);
	uint32_t n = (uint32_t)EOS_MIN(len, (uint64_t)(file->buffer_len - at));
	memcpy(data, file->buffer + at, n);
	return n;
}

static int64_t write_directly(struct bucket_file *file, const char *data, uint64_t len,
			      uint64_t offset)
{
	uint32_t n = (uint32_t)EOS_MIN(len, (uint64_t)LINK_DATA_MAX);
	int err = send_bytes(file, offset, data, n);
	return err < 0 ? err : (int64_t)n;
}

static int64_t write_file(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	struct bucket_file *file = file_of(node);
	uint64_t end;
	if (!file->is_open || !file->is_writable)
		return -EBADF;
	if (len == 0)
		return 0;
	if (__builtin_add_overflow(offset, len, &end) || end > INT64_MAX)
		return -EFBIG;
	bool fits = file->buffer_state == BUFFER_WRITTEN &&
		    offset == file->buffer_offset + file->buffer_len &&
		    len <= FILE_BUFFER_BYTES - file->buffer_len;
	int64_t n = (int64_t)len;
	if (fits) {
		memcpy(file->buffer + file->buffer_len, data, len);
		file->buffer_len += (uint32_t)len;
	} else {
		int err = flush_file(file);
		file->buffer_state = BUFFER_NONE;
		if (err == 0 && len < FILE_BUFFER_BYTES)
			err = need_buffer(file);
		if (err < 0)
			return err;
		if (len < FILE_BUFFER_BYTES) {
			memcpy(file->buffer, data, len);
			file->buffer_state = BUFFER_WRITTEN;
			file->buffer_offset = offset;
			file->buffer_len = (uint32_t)len;
		} else {
			n = write_directly(file, data, len, offset);
			if (n < 0)
				return n;
		}
	}
	file->size = EOS_MAX(file->size, offset + (uint64_t)n);
	return n;
}

static int truncate_file(struct wasi_node *node, uint64_t size)
{
	struct bucket_file *file = file_of(node);
	if (!file->is_open || !file->is_writable)
		return -EBADF;
	int err = flush_file(file);
	if (err < 0)
		return err;
	file->buffer_state = BUFFER_NONE;
	struct link_file_request request = {
		.op = LINK_OP_TRUNCATE,
		.handle = file->handle,
		.offset = size,
	};
	err = (int)cell_call_request_data(file->call, &request, NULL, 0);
	if (err == 0)
		file->size = size;
	else
		file->err = err;
	return err;
}

/* Nothing of an object can be durable before all of it is: close does that. */
static int sync_file(struct wasi_node *node, bool data_only)
{
	struct bucket_file *file = file_of(node);
	return file->is_open ? flush_file(file) : -EBADF;
}

static int stat_file(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	struct bucket_file *file = file_of(node);
	struct link_stat stat = {
		.size = file->size,
		.modified_ns = file->modified_ns,
		.kind = LINK_FILE,
	};
	cell_bucket_stat(&stat, file->inode, ret_stat);
	return 0;
}

static int close_file(struct wasi_node *node)
{
	struct bucket_file *file = file_of(node);
	if (!file->is_open)
		return 0;
	if (!file->is_writable)
		return 0; /* release drops it, without waiting */
	int err = flush_file(file);
	if (file->err < 0)
		err = file->err;
	if (err < 0)
		return err; /* release drops it: not half of it is seen */
	struct link_file_request request = {.op = LINK_OP_CLOSE, .handle = file->handle};
	err = (int)cell_call_request_data(file->call, &request, NULL, 0);
	file->is_open = false;
	return err;
}

static const struct wasi_vfs_ops file_ops = {
	.read = read_file,
	.write = write_file,
	.truncate = truncate_file,
	.sync = sync_file,
	.stat = stat_file,
	.close = close_file,
	.release = release_file,
};
