/*
 * Reading, writing, seeking, sizes and listing of open descriptors.
 *
 * The guest's iovecs are copied out and checked, all of them, before the first byte moves: reading
 * may overwrite the array itself. A transfer that was short ends the call, as on Linux; an error
 * after some bytes reports these bytes.
 *
 * A stream is read into the first iovec only (a second read could block although there is
 * something to return), and written with one write, so that a message that the C library hands
 * over in two pieces stays one message.
 */
#include <errno.h>
#include <string.h>

#include "wasi/wasi_priv.h"

/* What a stream takes without blocking once poll(2) says that it is writable: PIPE_BUF. */
#define STREAM_PIECE_BYTES 4096u

struct iovecs {
	struct wasi_abi_iovec *items; /* in the scratch buffer */
	uint32_t count;
	uint32_t used;	/* with length > 0 */
	uint64_t total; /* bytes; at most WASI_TRANSFER_BYTES_MAX */
};

/* One transfer as the functions below see it. */
struct transfer {
	struct fwp *fwp;
	struct wasi_descriptor *descriptor;
	struct iovecs iovecs;
	uint64_t offset;
	bool is_append;
};

static int iovecs_get(struct fwp *fwp, uint32_t address, uint32_t count, struct iovecs *ret_iovecs)
{
	if (count > WASI_IOVECS_MAX)
		return -EINVAL;
	struct iovecs iovecs = {.count = count};
	uint64_t size = (uint64_t)count * sizeof(*iovecs.items);
	iovecs.items = wasi_scratch(fwp_context(fwp), EOS_MAX(size, sizeof(*iovecs.items)));
	if (iovecs.items == NULL)
		return -ENOMEM;
	int err = wasi_copy_in(fwp, iovecs.items, address, size);
	for (uint32_t i = 0; i < count && err == 0; i++) {
		err = wasi_check_range(fwp, iovecs.items[i].buf, iovecs.items[i].len);
		iovecs.total += iovecs.items[i].len;
		iovecs.used += iovecs.items[i].len > 0;
	}
	if (err == 0 && iovecs.total > WASI_TRANSFER_BYTES_MAX)
		err = -EINVAL;
	if (err == 0)
		*ret_iovecs = iovecs;
	return err;
}

static int64_t read_stream(struct transfer *transfer)
{
	struct wasi_node *node = transfer->descriptor->node;
	for (uint32_t i = 0; i < transfer->iovecs.count; i++) {
		struct wasi_abi_iovec iovec = transfer->iovecs.items[i];
		if (iovec.len == 0)
			continue;
		int err = wasi_stream_wait(transfer->fwp, transfer->descriptor, false);
		if (err < 0)
			return err;
		void *data = fwp_memory(transfer->fwp, iovec.buf, iovec.len);
		return node->ops->read(node, data, iovec.len, 0);
	}
	return 0;
}

static int64_t read_file(struct transfer *transfer)
{
	struct wasi_node *node = transfer->descriptor->node;
	int64_t done = 0;
	for (uint32_t i = 0; i < transfer->iovecs.count; i++) {
		struct wasi_abi_iovec iovec = transfer->iovecs.items[i];
		if (iovec.len == 0)
			continue;
		void *data = fwp_memory(transfer->fwp, iovec.buf, iovec.len);
		int64_t n =
			node->ops->read(node, data, iovec.len, transfer->offset + (uint64_t)done);
		if (n < 0)
			return done > 0 ? done : n;
		done += n;
		if (n < iovec.len)
			break;
	}
	return done;
}

/* All iovecs as one piece of memory: the guest's own if there is just one. */
static int gather(struct transfer *transfer, const char **ret_data, uint64_t *ret_len)
{
	struct iovecs *iovecs = &transfer->iovecs;
	if (iovecs->used == 1) {
		uint32_t i = 0;
		while (iovecs->items[i].len == 0)
			i++;
		*ret_data = fwp_memory(transfer->fwp, iovecs->items[i].buf, iovecs->items[i].len);
		*ret_len = iovecs->items[i].len;
		return 0;
	}
	uint64_t head = iovecs->count * sizeof(*iovecs->items);
	uint64_t len = EOS_MIN(iovecs->total, (uint64_t)WASI_GATHER_BYTES_MAX);
	char *scratch = wasi_scratch(fwp_context(transfer->fwp), head + len);
	if (scratch == NULL)
		return -ENOMEM;
	iovecs->items = (struct wasi_abi_iovec *)(void *)scratch;
	uint64_t used = 0;
	for (uint32_t i = 0; i < iovecs->count && used < len; i++) {
		uint64_t piece = EOS_MIN((uint64_t)iovecs->items[i].len, len - used);
		int err = wasi_copy_in(transfer->fwp, scratch + head + used, iovecs->items[i].buf,
				       piece);
		if (err < 0)
			return err;
		used += piece;
	}
	*ret_data = scratch + head;
	*ret_len = len;
	return 0;
}

static int64_t write_stream(struct transfer *transfer)
{
	struct wasi_descriptor *descriptor = transfer->descriptor;
	struct wasi_node *node = descriptor->node;
	const char *data;
	uint64_t len;
	if (transfer->iovecs.used == 0)
		return 0;
	int err = gather(transfer, &data, &len);
	if (err < 0)
		return err;
	bool may_not_block = fwp_deadline_ns(transfer->fwp) != UINT64_MAX ||
			     (descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0;
	uint64_t piece = node->ops->poll_fd != NULL && may_not_block ? STREAM_PIECE_BYTES : len;
	uint64_t done = 0;
	while (done < len) {
		int64_t n = wasi_stream_wait(transfer->fwp, descriptor, true);
		if (n == 0)
			n = node->ops->write(node, data + done, EOS_MIN(piece, len - done), 0);
		if (n <= 0)
			return done > 0 ? (int64_t)done : n;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int64_t write_piece(struct transfer *transfer, const void *data, uint64_t len,
			   uint64_t offset)
{
	struct wasi_node *node = transfer->descriptor->node;
	if (!transfer->is_append)
		return node->ops->write(node, data, len, offset);
	if (node->ops->append != NULL)
		return node->ops->append(node, data, len);
	struct wasi_stat stat;
	int err = node->ops->stat != NULL ? node->ops->stat(node, &stat) : -EOPNOTSUPP;
	return err < 0 ? err : node->ops->write(node, data, len, stat.size);
}

static int64_t write_file(struct transfer *transfer)
{
	int64_t done = 0;
	for (uint32_t i = 0; i < transfer->iovecs.count; i++) {
		struct wasi_abi_iovec iovec = transfer->iovecs.items[i];
		if (iovec.len == 0)
			continue;
		if (!transfer->is_append &&
		    transfer->offset + (uint64_t)done + iovec.len > (uint64_t)INT64_MAX)
			return done > 0 ? done : -EFBIG;
		const void *data = fwp_memory(transfer->fwp, iovec.buf, iovec.len);
		int64_t n =
			write_piece(transfer, data, iovec.len, transfer->offset + (uint64_t)done);
		if (n < 0)
			return done > 0 ? done : n;
		done += n;
		if (n < iovec.len)
			break;
	}
	return done;
}

/* The flags DSYNC and SYNC: on disk before the guest hears of it. RSYNC asks no more of us. */
static int sync_written(const struct wasi_descriptor *descriptor)
{
	struct wasi_node *node = descriptor->node;
	if ((descriptor->flags & (WASI_FDFLAG_DSYNC | WASI_FDFLAG_SYNC)) == 0 ||
	    node->ops->sync == NULL)
		return 0;
	return node->ops->sync(node, (descriptor->flags & WASI_FDFLAG_SYNC) == 0);
}

/* Moves the file's position behind what was transferred. */
static int advance(struct transfer *transfer, uint64_t done)
{
	struct wasi_descriptor *descriptor = transfer->descriptor;
	if (!transfer->is_append) {
		descriptor->offset = transfer->offset + done;
		return 0;
	}
	struct wasi_node *node = descriptor->node;
	struct wasi_stat stat;
	int err = node->ops->stat != NULL ? node->ops->stat(node, &stat) : 0;
	if (err == 0 && node->ops->stat != NULL)
		descriptor->offset = stat.size;
	return err;
}

static int put_count(struct fwp *fwp, uint32_t out, int64_t count)
{
	uint32_t count32 = (uint32_t)count;
	return wasi_copy_out(fwp, out, &count32, sizeof(count32));
}

static int transfer_begin(struct transfer *transfer, uint32_t fd, uint64_t rights, uint32_t iovs,
			  uint32_t count, uint32_t out)
{
	struct fwp *fwp = transfer->fwp;
	int err = wasi_file_get(fwp_context(fwp), fd, rights, &transfer->descriptor);
	if (err == 0)
		err = wasi_check_range(fwp, out, sizeof(uint32_t));
	if (err == 0)
		err = iovecs_get(fwp, iovs, count, &transfer->iovecs);
	return err;
}

int wasi_fd_read(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint32_t out)
{
	struct transfer transfer = {.fwp = fwp};
	int err = transfer_begin(&transfer, fd, WASI_RIGHT_FD_READ, iovs, count, out);
	if (err < 0)
		return err;
	struct wasi_descriptor *descriptor = transfer.descriptor;
	if (descriptor->node->ops->read == NULL)
		return -EOPNOTSUPP;
	transfer.offset = descriptor->offset;
	int64_t n = descriptor->node->kind == WASI_NODE_STREAM ? read_stream(&transfer)
							       : read_file(&transfer);
	if (n < 0)
		return (int)n;
	if (descriptor->node->kind != WASI_NODE_STREAM)
		descriptor->offset += (uint64_t)n;
	return put_count(fwp, out, n);
}

int wasi_fd_write(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint32_t out)
{
	struct transfer transfer = {.fwp = fwp};
	int err = transfer_begin(&transfer, fd, WASI_RIGHT_FD_WRITE, iovs, count, out);
	if (err < 0)
		return err;
	struct wasi_descriptor *descriptor = transfer.descriptor;
	if (descriptor->node->ops->write == NULL)
		return -EOPNOTSUPP;
	bool is_stream = descriptor->node->kind == WASI_NODE_STREAM;
	transfer.offset = descriptor->offset;
	transfer.is_append = !is_stream && (descriptor->flags & WASI_FDFLAG_APPEND) != 0;
	int64_t n = is_stream ? write_stream(&transfer) : write_file(&transfer);
	if (n < 0)
		return (int)n;
	err = is_stream || n == 0 ? 0 : advance(&transfer, (uint64_t)n);
	if (err == 0)
		err = sync_written(descriptor);
	return err < 0 ? err : put_count(fwp, out, n);
}

int wasi_fd_pread(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint64_t offset,
		  uint32_t out)
{
	struct transfer transfer = {.fwp = fwp, .offset = offset};
	int err = transfer_begin(&transfer, fd, WASI_RIGHT_FD_READ, iovs, count, out);
	if (err < 0)
		return err;
	if (transfer.descriptor->node->kind == WASI_NODE_STREAM)
		return -ESPIPE;
	if ((transfer.descriptor->rights_base & WASI_RIGHT_FD_SEEK) == 0)
		return -WASI_ENOTCAPABLE;
	if (offset > (uint64_t)INT64_MAX)
		return -EINVAL;
	if (transfer.descriptor->node->ops->read == NULL)
		return -EOPNOTSUPP;
	int64_t n = read_file(&transfer);
	return n < 0 ? (int)n : put_count(fwp, out, n);
}

int wasi_fd_pwrite(struct fwp *fwp, uint32_t fd, uint32_t iovs, uint32_t count, uint64_t offset,
		   uint32_t out)
{
	struct transfer transfer = {.fwp = fwp, .offset = offset};
	int err = transfer_begin(&transfer, fd, WASI_RIGHT_FD_WRITE, iovs, count, out);
	if (err < 0)
		return err;
	if (transfer.descriptor->node->kind == WASI_NODE_STREAM)
		return -ESPIPE;
	if ((transfer.descriptor->rights_base & WASI_RIGHT_FD_SEEK) == 0)
		return -WASI_ENOTCAPABLE;
	if (offset > (uint64_t)INT64_MAX)
		return -EINVAL;
	if (transfer.descriptor->node->ops->write == NULL)
		return -EOPNOTSUPP;
	int64_t n = write_file(&transfer);
	if (n < 0)
		return (int)n;
	err = sync_written(transfer.descriptor);
	return err < 0 ? err : put_count(fwp, out, n);
}
