/*
 * What a host function asks of edged, and how it waits for the answer.
 *
 * A call has one request at a time, because its FWP waits for the answer. The FWP may die meanwhile
 * (timeout, cancellation): then request.id is 0, nothing is written to request.out any more, and a
 * late reply is ignored. Ids differ between a call's requests, so a reply can never be taken for
 * that of another.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "cell/cell_priv.h"

static_assert(LINK_HANDLES_MAX <= 64, "drops has a bit for each handle");

void cell_call_block(struct cell_call *call, enum cell_call_state state)
{
	cell_call_move(call, state);
	fwp_block(call->fwp);
	EOS_ASSERT(call->state == CELL_CALL_RUNNING);
}

void cell_call_send(struct cell_call *call, const void *header, size_t header_len,
		    const void *payload, size_t payload_len)
{
	struct cell *cell = call->cell;
	int err;
	while ((err = link_send(cell->link, header, header_len, payload, payload_len)) == -EAGAIN)
		cell_call_block(call, CELL_CALL_WAITS_ROOM);
	if (err == 0)
		return;
	/* The link is broken: the cell ends, and this call never continues. */
	cell->err = err;
	for (;;)
		cell_call_block(call, CELL_CALL_WAITS_ROOM);
}

static void send_drops(struct cell_call *call)
{
	while (call->drops != 0) {
		struct link_file_request request = {
			.header.kind = LINK_FILE_REQUEST,
			.call_id = call->id,
			.op = LINK_OP_DROP,
			.handle = (uint32_t)__builtin_ctzll(call->drops),
		};
		cell_call_send(call, &request, sizeof(request), NULL, 0);
		call->drops &= call->drops - 1;
	}
}

/* Numbers the request and says where the reply goes. */
static void prepare_request(struct cell_call *call, struct link_file_request *request, void *out,
			    uint32_t out_size)
{
	EOS_ASSERT(call->request.id == 0);
	call->last_request_id++;
	if (call->last_request_id == 0)
		call->last_request_id = 1;
	call->request = (struct cell_request){
		.id = call->last_request_id,
		.out = out,
		.out_size = out_size,
	};
	request->header.kind = LINK_FILE_REQUEST;
	request->call_id = call->id;
	request->request_id = call->request.id;
}

static int64_t wait_for_reply(struct cell_call *call)
{
	while (call->request.id != 0)
		cell_call_block(call, CELL_CALL_WAITS_REPLY);
	return call->request.result;
}

int64_t cell_call_request_paths(struct cell_call *call, struct link_file_request *request,
				struct link_span path, struct link_span path2, void *out,
				uint32_t out_size, uint32_t *ret_len)
{
	struct cell *cell = call->cell;
	if (path.len > LINK_PATH_MAX || path2.len > LINK_PATH_MAX)
		return -ENAMETOOLONG;
	send_drops(call);
	prepare_request(call, request, out, out_size);
	request->path_len = path.len;
	request->path2_len = path2.len;
	request->header.payload_len = path.len + path2.len;
	for (;;) {
		/* Anew each time: others use the scratch while this call is blocked. */
		if (path.len > 0)
			memcpy(cell->scratch, path.data, path.len);
		if (path2.len > 0)
			memcpy(cell->scratch + path.len, path2.data, path2.len);
		int err = link_send(cell->link, request, sizeof(*request), cell->scratch,
				    request->header.payload_len);
		if (err == 0)
			break;
		if (err != -EAGAIN)
			cell->err = err;
		cell_call_block(call, CELL_CALL_WAITS_ROOM);
	}
	int64_t result = wait_for_reply(call);
	if (ret_len != NULL)
		*ret_len = call->request.out_len;
	return result;
}

int64_t cell_call_request_data(struct cell_call *call, struct link_file_request *request,
			       const void *data, uint32_t len)
{
	EOS_ASSERT(len <= LINK_DATA_MAX);
	send_drops(call);
	prepare_request(call, request, NULL, 0);
	request->header.payload_len = len;
	cell_call_send(call, request, sizeof(*request), data, len);
	return wait_for_reply(call);
}

void cell_call_drop_handle(struct cell_call *call, uint32_t handle)
{
	EOS_ASSERT(handle < LINK_HANDLES_MAX);
	if (!call->is_ending)
		call->drops |= UINT64_C(1) << handle;
}

int cell_call_reply(struct cell_call *call, const struct link_message *message)
{
	const struct link_file_reply *reply = &message->file_reply;
	struct cell_request *request = &call->request;
	/* It may have died and be on its way out; then nobody waits for this. */
	if (request->id == 0 || request->id != reply->request_id)
		return call->state == CELL_CALL_ENDED ? 0 : -EBADMSG;
	if (message->payload.len > request->out_size || call->state != CELL_CALL_WAITS_REPLY)
		return -EBADMSG;
	if (message->payload.len > 0)
		memcpy(request->out, message->payload.data, message->payload.len);
	request->out_len = message->payload.len;
	request->result = reply->result;
	request->id = 0;
	cell_call_move(call, CELL_CALL_READY);
	return 0;
}
