/*
 * Objects over the control API, for `edgeos cp`, `ls`, `cat` and `rm`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/ctl_priv.h"

#define LIST_LIMIT 1000u

static void answer_object_error(struct ctl_request *request, int err)
{
	if (err == -ENOENT)
		ctl_answer_error(request, err, "no object s3://%s/%s", request->name,
				 request->rest);
	else if (err == -EINVAL)
		ctl_answer_error(request, err,
				 "not an object's key: 1 to %u bytes of UTF-8 are, without NUL",
				 STORE_KEY_MAX);
	else if (err == -EDQUOT)
		ctl_answer_error(request, err,
				 "s3://%s/%s: the bucket's or its owner's quota is "
				 "used up",
				 request->name, request->rest);
	else
		ctl_answer_error(request, err, "s3://%s/%s: %s", request->name, request->rest,
				 strerror(-err));
}

static int list_object(void *ctx, const struct store_list_entry *entry)
{
	struct eos_json *json = ctx;
	eos_json_open(json, NULL, '{');
	eos_json_text_n(json, entry->is_prefix ? "prefix" : "key", entry->key, entry->key_len);
	if (!entry->is_prefix) {
		char modified[EOS_ISO8601_SIZE];
		eos_format_iso8601(entry->info->modified_ns, modified);
		eos_json_u64(json, "size", entry->info->size);
		eos_json_text(json, "modified", modified);
		eos_json_text(json, "etag", entry->info->etag);
	}
	eos_json_close(json, '}');
	return 0;
}

static void run_list_objects(struct ctl_request *request)
{
	char *prefix = ctl_query_get(request, "prefix");
	char *delimiter = ctl_query_get(request, "delimiter");
	char *after = ctl_query_get(request, "after");
	const struct store_list_query query = {
		.prefix = prefix,
		.prefix_len = prefix == NULL ? 0 : strlen(prefix),
		.delimiter = delimiter,
		.delimiter_len = delimiter == NULL ? 0 : strlen(delimiter),
		.after = after,
		.after_len = after == NULL ? 0 : strlen(after),
		.limit = LIST_LIMIT,
	};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "entries", '[');
	bool has_more = false;
	int err = !ctl_bucket_is_reachable(request->name)
			  ? -ENOENT
			  : store_object_list(request->server->config.store, request->name, &query,
					      list_object, &json, &has_more);
	free(prefix);
	free(delimiter);
	free(after);
	if (err < 0) {
		ctl_answer_bucket_error(request, err);
		return;
	}
	eos_json_close(&json, ']');
	eos_json_bool(&json, "more", has_more);
	eos_json_close(&json, '}');
	ctl_answer_json(request, 200, &body);
}

static int64_t read_object(void *ctx, void *data, size_t len, uint64_t offset)
{
	return store_reader_read(ctx, data, len, offset);
}

static void close_object(void *ctx)
{
	store_reader_close(ctx);
}

static void run_get_object(struct ctl_request *request)
{
	struct store_reader *reader = NULL;
	int err = !ctl_bucket_is_reachable(request->name)
			  ? -ENOENT
			  : store_reader_open(request->server->config.store, request->name,
					      request->rest, request->rest_len,
					      STORE_VERSION_LATEST, &reader);
	if (err < 0) {
		answer_object_error(request, err);
		return;
	}
	static const struct http_header headers[] = {{"Content-Type", "application/octet-stream"}};
	http_respond_stream(request->http, 200, headers, 1, store_reader_info(reader)->size,
			    read_object, close_object, reader);
}

static void run_delete_object(struct ctl_request *request)
{
	int err = !ctl_bucket_is_reachable(request->name)
			  ? -ENOENT
			  : store_object_delete(request->server->config.store, request->name,
						request->rest, request->rest_len, NULL, NULL);
	if (err < 0)
		answer_object_error(request, err);
	else
		ctl_answer_empty(request);
}

static void begin_put_object(struct ctl_request *request)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL) {
		ctl_answer_error(request, -ENOMEM, "out of memory");
		return;
	}
	int err = store_metadata_add(info, "content-type", "application/octet-stream");
	if (err == 0)
		err = !ctl_bucket_is_reachable(request->name)
			      ? -ENOENT
			      : store_upload_begin(request->server->config.store, request->name,
						   request->rest, request->rest_len, info,
						   &request->upload);
	free(info);
	if (err == -ENOENT)
		ctl_answer_bucket_error(request, err);
	else if (err < 0)
		answer_object_error(request, err);
}

static void data_put_object(struct ctl_request *request, const void *data, size_t len)
{
	int err = store_upload_write(request->upload, data, len, request->uploaded);
	request->uploaded += len;
	if (err < 0)
		answer_object_error(request, err);
}

static void run_put_object(struct ctl_request *request)
{
	struct store_upload *upload = request->upload;
	request->upload = NULL;
	int err = store_upload_commit(upload, NULL, NULL);
	if (err < 0)
		answer_object_error(request, err);
	else
		ctl_answer_empty(request);
}

const struct ctl_route ctl_object_routes[] = {
	{.method = "GET", .collection = "objects", .has_name = true, .run = run_list_objects},
	{.method = "GET",
	 .collection = "objects",
	 .has_name = true,
	 .rest = "*",
	 .run = run_get_object},
	{.method = "DELETE",
	 .collection = "objects",
	 .has_name = true,
	 .rest = "*",
	 .run = run_delete_object},
	{.method = "PUT",
	 .collection = "objects",
	 .has_name = true,
	 .rest = "*",
	 .begin = begin_put_object,
	 .data = data_put_object,
	 .run = run_put_object},
	{.method = NULL},
};
