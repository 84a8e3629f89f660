/*
 * Standard input, output and errors of a call.
 *
 * Input comes with the INVOKE as far as it is small; what is beyond is asked for when the guest
 * reads it: large reads go straight into the guest's memory, small ones through the buffer.
 * Output gathers in the call's buffers and leaves with the DONE, or as OUTPUT messages when a
 * buffer is full; while the ring has no room, the guest waits.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "cell/cell_priv.h"

/* From here on a read is worth a message of its own. */
#define DIRECT_READ_MIN (CELL_INPUT_BYTES / 2)

static int64_t ask_input(struct cell_call *call, uint64_t offset, void *out, uint32_t size)
{
	struct link_file_request request = {
		.op = LINK_OP_READ_INPUT,
		.offset = offset,
		.size = size,
	};
	struct link_span none = {NULL, 0};
	uint32_t got;
	int64_t n = cell_call_request_paths(call, &request, none, none, out, size, &got);
	if (n > 0 && n != got)
		return -EIO;
	return n;
}

static int64_t read_input(struct wasi_node *node, void *data, uint64_t len, uint64_t offset)
{
	struct cell_call *call = EOS_CONTAINER_OF(node, struct cell_call, input);
	uint64_t at = call->input_offset + call->input_at;
	if (len == 0 || at >= call->input_len)
		return 0;
	if (call->input_at == call->input_have) {
		if (len >= DIRECT_READ_MIN) {
			int64_t n = ask_input(call, at, data,
					      (uint32_t)EOS_MIN(len, (uint64_t)LINK_DATA_MAX));
			if (n > 0)
				call->input_offset += (uint64_t)n;
			return n;
		}
		call->input_offset = at;
		call->input_at = call->input_have = 0;
		int64_t n = ask_input(call, at, call->input_bytes, CELL_INPUT_BYTES);
		if (n <= 0)
			return n;
		call->input_have = (uint32_t)n;
	}
	uint32_t n = (uint32_t)EOS_MIN(len, (uint64_t)(call->input_have - call->input_at));
	memcpy(data, call->input_bytes + call->input_at, n);
	call->input_at += n;
	return n;
}

static void send_output(struct cell_call *call, enum link_stream stream, const void *data,
			uint32_t len)
{
	struct link_output output = {
		.header = {.kind = LINK_OUTPUT, .payload_len = len},
		.call_id = call->id,
		.stream = stream,
	};
	cell_call_send(call, &output, sizeof(output), data, len);
}

/* Adds to a buffer of SIZE bytes, of which *USED are in use; sends what does not fit. */
static void gather(struct cell_call *call, enum link_stream stream, char *buffer, uint32_t size,
		   uint32_t *used, const char *data, uint64_t len)
{
	if (len <= size - *used) {
		memcpy(buffer + *used, data, len);
		*used += (uint32_t)len;
		return;
	}
	if (*used > 0) {
		/* Emptied only when it was sent: the call may die while it waits for room, and
		 * then its DONE carries these bytes. */
		send_output(call, stream, buffer, *used);
		*used = 0;
	}
	while (len > size) {
		uint32_t n = (uint32_t)EOS_MIN(len, (uint64_t)LINK_DATA_MAX);
		send_output(call, stream, data, n);
		data += n;
		len -= n;
	}
	memcpy(buffer, data, len);
	*used = (uint32_t)len;
}

static int64_t write_output(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	struct cell_call *call = EOS_CONTAINER_OF(node, struct cell_call, output);
	if (len > LINK_OUTPUT_MAX - call->output_total) {
		call->outcome = LINK_OUTPUT_LIMIT;
		snprintf(call->text, sizeof(call->text), "wrote more than %u MiB",
			 LINK_OUTPUT_MAX >> 20);
		fwp_exit(call->fwp, 1);
	}
	call->output_total += len;
	gather(call, LINK_STREAM_OUTPUT, call->output_bytes, CELL_OUTPUT_BYTES, &call->output_len,
	       data, len);
	return (int64_t)len;
}

static int64_t write_errors(struct wasi_node *node, const void *data, uint64_t len, uint64_t offset)
{
	struct cell_call *call = EOS_CONTAINER_OF(node, struct cell_call, errors);
	gather(call, LINK_STREAM_ERRORS, call->errors_bytes, CELL_ERRORS_BYTES, &call->errors_len,
	       data, len);
	return (int64_t)len;
}

int cell_stream_stat(struct wasi_node *node, struct wasi_stat *ret_stat)
{
	*ret_stat = (struct wasi_stat){.kind = WASI_NODE_STREAM, .links = 1};
	return 0;
}

void cell_stream_release(struct wasi_node *node)
{
}

static const struct wasi_vfs_ops input_ops = {
	.read = read_input,
	.stat = cell_stream_stat,
	.release = cell_stream_release,
};
static const struct wasi_vfs_ops output_ops = {
	.write = write_output,
	.stat = cell_stream_stat,
	.release = cell_stream_release,
};
static const struct wasi_vfs_ops errors_ops = {
	.write = write_errors,
	.stat = cell_stream_stat,
	.release = cell_stream_release,
};

void cell_call_streams_init(struct cell_call *call)
{
	wasi_node_init(&call->input, &input_ops, WASI_NODE_STREAM);
	wasi_node_init(&call->output, &output_ops, WASI_NODE_STREAM);
	wasi_node_init(&call->errors, &errors_ops, WASI_NODE_STREAM);
}
