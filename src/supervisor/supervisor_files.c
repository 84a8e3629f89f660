/*
 * Files of calls, the loop's half: checks what the cell asks for, gives it to a worker, sends the
 * reply.
 *
 * The cell is not trusted. What an honest cell never sends (a request while another of the same
 * call is under way, a handle that is not open, a bucket that the call does not have) ends the
 * link. What a guest may try (writing to a bucket that it may only read) is an errno.
 *
 * A worker has a request from submit to done, and nobody else touches its file meanwhile: a call
 * has one request at a time, DROP takes the file out of the table first, and an ended call's files
 * are closed after its request came back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "supervisor/supervisor_priv.h"

EOS_COUNTER(requests_total, "supervisor.file_requests_total", "File operations of functions.")
EOS_COUNTER(handles_full_total, "supervisor.file_handles_full_total",
	    "Files not opened because the call has LINK_HANDLES_MAX open.")

/* A file on its way to be dropped by a worker. */
struct drop_job {
	struct eos_job job;
	struct supervisor_file file;
};

static void send_reply(struct supervisor_call *call, uint32_t request_id, int64_t result,
		       const void *data, uint32_t len)
{
	struct link_file_reply reply = {
		.header = {.kind = LINK_FILE_REPLY, .payload_len = result < 0 ? 0 : len},
		.call_id = call->id,
		.result = result,
		.request_id = request_id,
	};
	supervisor_send(call->supervisor, &reply, sizeof(reply), data, reply.header.payload_len);
}

static struct supervisor_request *take_request(struct supervisor *supervisor)
{
	if (supervisor->kept_requests_count > 0)
		return supervisor->kept_requests[--supervisor->kept_requests_count];
	return malloc(sizeof(struct supervisor_request));
}

static void give_request(struct supervisor_request *request)
{
	struct supervisor *supervisor = request->supervisor;
	if (supervisor->kept_requests_count < SUPERVISOR_JOBS_KEPT)
		supervisor->kept_requests[supervisor->kept_requests_count++] = request;
	else
		free(request);
}

void supervisor_requests_free(struct supervisor *supervisor)
{
	while (supervisor->kept_requests_count > 0)
		free(supervisor->kept_requests[--supervisor->kept_requests_count]);
}

static void run_request(struct eos_job *job)
{
	supervisor_request_run(EOS_CONTAINER_OF(job, struct supervisor_request, job));
}

/* Counts handles: the worker filled or emptied the file's place. */
static void count_handles(struct supervisor_call *call, const struct supervisor_request *request)
{
	if (request->op == LINK_OP_OPEN && request->result >= 0)
		call->files->count++;
	if (request->op == LINK_OP_CLOSE) {
		EOS_ASSERT(call->files->count > 0);
		call->files->count--;
	}
}

static void finish_request(struct eos_job *job)
{
	struct supervisor_request *request = EOS_CONTAINER_OF(job, struct supervisor_request, job);
	struct supervisor_call *call = request->call;
	EOS_ASSERT(call->request == request);
	call->request = NULL;
	count_handles(call, request);
	if (call->state == SUPERVISOR_CALL_RUNNING)
		send_reply(call, request->request_id, request->result, request->data,
			   request->data_len);
	give_request(request);
	if (call->state == SUPERVISOR_CALL_ENDING)
		supervisor_call_settle(call);
}

/* Which bucket, with what rights. -EBADMSG: one that the call does not have. */
static int set_bucket(struct supervisor_request *request, const struct func_call *call,
		      const struct link_file_request *wanted)
{
	const struct func_manifest *manifest = call->func->manifest;
	if (wanted->bucket == LINK_BUCKET_EVENT) {
		const struct store_event *event = call->event;
		if (event == NULL)
			return -EBADMSG;
		request->is_event = true;
		request->has_owner = event->rule[0] != '\0';
		memcpy(request->owner, event->owner, sizeof(request->owner));
		request->access = FUNC_ACCESS_READ;
		request->key_len = event->key_len;
		memcpy(request->bucket, event->bucket, sizeof(request->bucket));
		memcpy(request->key, event->key, event->key_len + 1);
		return 0;
	}
	if (wanted->bucket >= manifest->grants_count)
		return -EBADMSG;
	const struct func_grant *grant = &manifest->grants[wanted->bucket];
	request->is_event = request->has_owner = false;
	request->access = grant->access;
	memcpy(request->bucket, grant->bucket, sizeof(request->bucket));
	return 0;
}

static void set_paths(struct supervisor_request *request, const struct link_message *message)
{
	struct link_span path = message->file_parts.path, path2 = message->file_parts.path2;
	request->path_len = path.len;
	request->path2_len = path2.len;
	memcpy(request->path, path.data, path.len);
	memcpy(request->path2, path2.data, path2.len);
	request->path[path.len] = request->path2[path2.len] = '\0';
}

/* A place for a new file. -EMFILE, -ENOMEM: the guest's error. */
static int set_new_file(struct supervisor_request *request, struct supervisor_call *call)
{
	if (call->files == NULL)
		call->files = calloc(1, sizeof(*call->files));
	if (call->files == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < LINK_HANDLES_MAX; i++) {
		if (call->files->files[i].kind != SUPERVISOR_FILE_NONE)
			continue;
		request->handle = i;
		request->file = &call->files->files[i];
		return 0;
	}
	eos_counter_add(&handles_full_total, 1);
	return -EMFILE;
}

static struct supervisor_file *open_file(struct supervisor_call *call, uint32_t handle)
{
	if (call->files == NULL || handle >= LINK_HANDLES_MAX ||
	    call->files->files[handle].kind == SUPERVISOR_FILE_NONE)
		return NULL;
	return &call->files->files[handle];
}

static bool is_handle_op(uint32_t op)
{
	return op == LINK_OP_READ || op == LINK_OP_WRITE || op == LINK_OP_TRUNCATE ||
	       op == LINK_OP_CLOSE || op == LINK_OP_DROP;
}

/* Fills REQUEST. -EBADMSG: not a request of an honest cell; other errors are the guest's. */
static int decode_request(struct supervisor_call *call, const struct link_message *message,
			  struct supervisor_request *request)
{
	const struct link_file_request *wanted = &message->file_request;
	request->job.run = run_request;
	request->job.done = finish_request;
	request->supervisor = call->supervisor;
	request->call = call;
	request->store = call->supervisor->config.store;
	request->op = wanted->op;
	request->flags = wanted->flags;
	request->request_id = wanted->request_id;
	request->offset = wanted->offset;
	request->size = wanted->size;
	request->handle = wanted->handle;
	request->file = NULL;
	request->result = 0;
	request->data_len = 0;
	if (is_handle_op(wanted->op)) {
		request->file = open_file(call, wanted->handle);
		if (request->file == NULL)
			return -EBADMSG;
		if (wanted->op == LINK_OP_WRITE) {
			request->data_len = message->payload.len;
			memcpy(request->data, message->payload.data, message->payload.len);
		}
		return 0;
	}
	int err = set_bucket(request, call->call, wanted);
	if (err < 0)
		return err;
	set_paths(request, message);
	return wanted->op == LINK_OP_OPEN ? set_new_file(request, call) : 0;
}

static void read_input(struct supervisor_call *call, const struct link_file_request *wanted)
{
	const struct eos_buf *input = &call->call->input;
	size_t len = 0;
	const char *data = "";
	if (wanted->offset < input->len) {
		len = EOS_MIN(input->len - (size_t)wanted->offset, (size_t)wanted->size);
		data = input->data + wanted->offset;
	}
	send_reply(call, wanted->request_id, (int64_t)len, data, (uint32_t)len);
}

static void run_drop(struct eos_job *job)
{
	supervisor_file_drop(&EOS_CONTAINER_OF(job, struct drop_job, job)->file);
}

static void finish_drop(struct eos_job *job)
{
	free(EOS_CONTAINER_OF(job, struct drop_job, job));
}

/* The handle is free at once; the file is closed when a worker comes to it. */
static int drop_handle(struct supervisor_call *call, uint32_t handle)
{
	struct supervisor_file *file = open_file(call, handle);
	if (file == NULL)
		return -EBADMSG;
	struct drop_job *job = calloc(1, sizeof(*job));
	if (job != NULL) {
		job->job.run = run_drop;
		job->job.done = finish_drop;
		job->file = *file;
		*file = (struct supervisor_file){.kind = SUPERVISOR_FILE_NONE};
		eos_workers_submit(call->supervisor->config.file_workers, &job->job);
	} else {
		supervisor_file_drop(file); /* here, then */
	}
	call->files->count--;
	return 0;
}

int supervisor_file_request(struct supervisor *supervisor, const struct link_message *message)
{
	const struct link_file_request *wanted = &message->file_request;
	struct supervisor_call *call = supervisor_call_find(supervisor, wanted->call_id);
	if (call == NULL || call->request != NULL)
		return -EBADMSG;
	eos_counter_add(&requests_total, 1);
	if (wanted->op == LINK_OP_READ_INPUT) {
		read_input(call, wanted);
		return 0;
	}
	if (wanted->op == LINK_OP_DROP)
		return drop_handle(call, wanted->handle);
	struct supervisor_request *request = take_request(supervisor);
	if (request == NULL) {
		send_reply(call, wanted->request_id, -ENOMEM, NULL, 0);
		return 0;
	}
	request->supervisor = supervisor;
	int err = decode_request(call, message, request);
	if (err < 0) {
		give_request(request);
		if (err != -EBADMSG)
			send_reply(call, wanted->request_id, err, NULL, 0);
		return err == -EBADMSG ? err : 0;
	}
	call->request = request;
	eos_workers_submit(supervisor->config.file_workers, &request->job);
	return 0;
}

static void run_close(struct eos_job *job)
{
	struct supervisor_call *call = EOS_CONTAINER_OF(job, struct supervisor_call, close_job);
	for (size_t i = 0; i < LINK_HANDLES_MAX; i++)
		supervisor_file_drop(&call->files->files[i]);
}

static void finish_close(struct eos_job *job)
{
	struct supervisor_call *call = EOS_CONTAINER_OF(job, struct supervisor_call, close_job);
	free(call->files);
	call->files = NULL;
	supervisor_call_settle(call);
}

void supervisor_files_close(struct supervisor_call *call)
{
	EOS_ASSERT(call->state == SUPERVISOR_CALL_ENDING && call->request == NULL);
	if (call->files->count == 0) {
		finish_close(&call->close_job);
		return;
	}
	call->close_job.run = run_close;
	call->close_job.done = finish_close;
	eos_workers_submit(call->supervisor->config.file_workers, &call->close_job);
}
