#include "ctl/ctl_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/node.h"
#include "base/str.h"
#include "http/http_client.h"

int ctl_client_init(struct ctl_client *client, const char *data_dir, struct eos_why *why)
{
	int n = snprintf(client->socket_path, sizeof(client->socket_path), "%s/control.sock",
			 data_dir);
	if (n >= 0 && (size_t)n < sizeof(client->socket_path))
		return 0;
	int fd = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	client->socket_path[0] = '\0';
	if (fd < 0)
		return eos_why(why, -errno, "data directory %s: %s", data_dir, strerror(errno));
	snprintf(client->socket_path, sizeof(client->socket_path), "/proc/self/fd/%d/control.sock",
		 fd);
	return 0;
}

/* The text of {"error": "…"}, or the status alone. */
static int explain(const struct http_client_response *response, struct eos_why *why)
{
	struct eos_doc *doc = NULL;
	const char *text = "";
	if (response->body.len > 0 && eos_doc_parse_json("answer", response->body.data,
							 response->body.len, &doc, NULL) == 0) {
		const struct eos_node *error = eos_node_get(eos_doc_root(doc), "error");
		text = error == NULL ? "" : eos_node_text(error);
	}
	int err = text[0] != '\0' ? eos_why(why, -EREMOTEIO, "%s", text)
				  : eos_why(why, -EREMOTEIO, "the node answered with status %u",
					    response->status);
	eos_doc_free(doc);
	return err;
}

static int perform(const struct ctl_client *client, struct http_client_request *request,
		   const char *path, struct eos_buf *ret_body, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf url = {0};
	if (eos_buf_printf(&url, "http://localhost%s", path) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	request->url = url.data;
	request->unix_socket = client->socket_path;
	struct http_client_response response = {0};
	int err = http_client_perform(request, &response, why);
	if (err == -ECONNREFUSED || err == -ENOENT) {
		eos_why(why, err,
			"no node answers at %s; start one with `edgeos up`, or name its data "
			"directory with --data",
			client->socket_path);
	} else if (err == 0 && (response.status < 200 || response.status > 299)) {
		err = explain(&response, why);
	} else if (err == 0 && ret_body != NULL) {
		err = eos_buf_append(ret_body, response.body.data, response.body.len);
	}
	eos_buf_fini(&response.body);
	return err;
}

int ctl_client_call(const struct ctl_client *client, const char *method, const char *path,
		    const void *body, size_t body_len, struct eos_buf *ret_body,
		    struct eos_why *why)
{
	struct http_client_request request = {
		.method = method,
		.body = body,
		.body_len = body_len,
		.response_bytes_max = 64u << 20,
	};
	return perform(client, &request, path, ret_body, why);
}

int ctl_client_stream(const struct ctl_client *client, const char *method, const char *path,
		      int64_t (*read)(void *ctx, void *data, size_t len), uint64_t body_len,
		      int (*write)(void *ctx, const void *data, size_t len), void *ctx,
		      struct eos_why *why)
{
	struct http_client_request request = {
		.method = method,
		.read = read,
		.body_len = body_len,
		.write = write,
		.ctx = ctx,
	};
	return perform(client, &request, path, NULL, why);
}
