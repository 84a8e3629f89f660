#include "wasi/wasi_test_fixture.h"

#include <stdlib.h>
#include <string.h>

static int64_t stream_double_read(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	struct stream_double *stream = EOS_CONTAINER_OF(node, struct stream_double, node);
	uint64_t n = EOS_MIN(len, (uint64_t)strlen(stream->input));
	memcpy(data, stream->input, n);
	stream->input += n;
	return (int64_t)n;
}

static int64_t stream_double_write(struct wasi_node *node, const void *data, uint64_t len,
				   uint64_t offset)
{
	struct stream_double *stream = EOS_CONTAINER_OF(node, struct stream_double, node);
	if (stream->next_error < 0)
		return stream->next_error;
	uint64_t n = EOS_MIN(len, sizeof(stream->output) - stream->output_len);
	memcpy(stream->output + stream->output_len, data, n);
	stream->output_len += n;
	stream->writes++;
	return (int64_t)n;
}

static int stream_double_close(struct wasi_node *node)
{
	struct stream_double *stream = EOS_CONTAINER_OF(node, struct stream_double, node);
	stream->closes++;
	return stream->next_error;
}

static void stream_double_release(struct wasi_node *node)
{
}

static const struct wasi_vfs_ops stream_double_ops = {
	.read = stream_double_read,
	.write = stream_double_write,
	.close = stream_double_close,
	.release = stream_double_release,
};

int fixture_setup(void **state)
{
	static const char *const argv[] = {"prog", "one", ""};
	static const char *const env[] = {"A=1", "LONG=two words"};
	struct fixture *f = calloc(1, sizeof(*f));
	int err = wasi_new(argv, EOS_ARRAY_SIZE(argv), env, EOS_ARRAY_SIZE(env), &f->wasi);
	if (err == 0)
		err = vfs_memory_new(1 << 20, 64, &f->root);
	wasi_node_init(&f->stream.node, &stream_double_ops, WASI_NODE_STREAM);
	f->stream.input = "input";
	for (unsigned fd = 0; fd <= 2 && err == 0; fd++)
		err = wasi_set_stdio(f->wasi, fd, &f->stream.node);
	if (err == 0)
		err = wasi_add_preopen(f->wasi, "/data", f->root, false);
	if (err == 0)
		err = wasi_add_preopen(f->wasi, "/ro", f->root, true);
	f->fwp = fwp_double_new(f->wasi);
	*state = f;
	return err;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	fwp_double_free(f->fwp);
	wasi_free(f->wasi);
	wasi_node_unref(f->root);
	free(f);
	return 0;
}

int open_in(struct fixture *f, uint32_t dir_fd, const char *path, uint32_t oflags, uint64_t rights,
	    uint32_t fdflags)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, path);
	int err = wasi_path_open(f->fwp, dir_fd, 0, AT_PATH, len, oflags, rights, ALL_RIGHTS,
				 fdflags, AT_OUT);
	return err < 0 ? err : (int)fwp_double_u32(f->fwp, AT_OUT);
}

int create(struct fixture *f, const char *path)
{
	return open_in(f, DATA_FD, path, WASI_OFLAG_CREAT, WASI_RIGHTS_FILE, 0);
}

void put_iovec(struct fixture *f, uint32_t index, uint32_t buf, uint32_t len)
{
	struct wasi_abi_iovec iovec = {buf, len};
	memcpy(fwp_double_at(f->fwp, AT_IOVS + index * 8, 8), &iovec, sizeof(iovec));
}

int write_text(struct fixture *f, uint32_t fd, const char *text)
{
	put_iovec(f, 0, AT_BUF, fwp_double_put(f->fwp, AT_BUF, text));
	int err = wasi_fd_write(f->fwp, fd, AT_IOVS, 1, AT_OUT);
	return err < 0 ? err : (int)fwp_double_u32(f->fwp, AT_OUT);
}

int read_some(struct fixture *f, uint32_t fd, uint32_t len)
{
	put_iovec(f, 0, AT_BUF, len);
	int err = wasi_fd_read(f->fwp, fd, AT_IOVS, 1, AT_OUT);
	return err < 0 ? err : (int)fwp_double_u32(f->fwp, AT_OUT);
}

int64_t seek(struct fixture *f, uint32_t fd, int64_t delta, uint32_t whence)
{
	int err = wasi_fd_seek(f->fwp, fd, (uint64_t)delta, whence, AT_OUT);
	return err < 0 ? err : (int64_t)fwp_double_u64(f->fwp, AT_OUT);
}
