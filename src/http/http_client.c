/*
 * The client over libcurl: one easy handle a call. Redirects are not followed and proxies from the
 * environment are not used: whoever calls names exactly whom to talk to.
 */
#include "http/http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RESPONSE_BYTES_DEFAULT (16u << 20)
#define CONNECT_TIMEOUT_S      30L

struct call {
	const struct http_client_request *request;
	struct http_client_response *response;
	CURL *curl;
	size_t response_bytes_max;
	uint64_t sent_bytes;
	int err; /* why a callback stopped the transfer */
};

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static bool is_initialised;

static void init_curl(void)
{
	is_initialised = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

static size_t on_write(char *data, size_t size, size_t count, void *ctx)
{
	struct call *call = ctx;
	const struct http_client_request *request = call->request;
	size_t len = size * count;
	long status = 0;

	curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
	if (request->write != NULL && status >= 200 && status < 300) {
		if (request->write(request->ctx, data, len) >= 0)
			return len;
		call->err = -ECANCELED;
		return 0;
	}
	if (len > call->response_bytes_max - call->response->body.len) {
		call->err = -EFBIG;
		return 0;
	}
	call->err = eos_buf_append(&call->response->body, data, len);
	return call->err < 0 ? 0 : len;
}

static size_t on_read(char *data, size_t size, size_t count, void *ctx)
{
	struct call *call = ctx;
	const struct http_client_request *request = call->request;
	size_t len = size * count;

	if (len > request->body_len - call->sent_bytes)
		len = (size_t)(request->body_len - call->sent_bytes);
	if (len == 0)
		return 0;
	if (request->read == NULL) {
		memcpy(data, (const char *)request->body + call->sent_bytes, len);
		call->sent_bytes += len;
		return len;
	}
	int64_t n = request->read(request->ctx, data, len);
	if (n <= 0 || (uint64_t)n > len) {
		call->err = -ECANCELED;
		return CURL_READFUNC_ABORT;
	}
	call->sent_bytes += (uint64_t)n;
	return (size_t)n;
}

static int build_headers(const struct http_client_request *request, struct curl_slist **ret_list)
{
	/* Waiting for "100 Continue" costs a round trip and nobody here needs it. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; request->headers != NULL && request->headers[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
		if (longer == NULL) {
			curl_slist_free_all(list);
			return -ENOMEM;
		}
		list = longer;
	}
	*ret_list = list;
	return 0;
}

static void set_options(struct call *call, struct curl_slist *headers, char *error)
{
	const struct http_client_request *request = call->request;
	CURL *curl = call->curl;

	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)request->timeout_s);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	if (request->unix_socket != NULL)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
	if (request->read != NULL || request->body_len > 0) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(curl, CURLOPT_READDATA, call);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_len);
	} else if (strcmp(request->method, "HEAD") == 0) {
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	} else if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "DELETE") != 0) {
		/* An empty body has its Content-Length too. */
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static int error_of(CURLcode code, const struct call *call)
{
	if (call->err < 0)
		return call->err;
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
		return -ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	default:
		return -EPROTO;
	}
}

int http_client_perform(const struct http_client_request *request,
			struct http_client_response *ret_response, struct eos_why *why)
{
	struct http_client_response response = {0};
	struct curl_slist *headers = NULL;
	char error[CURL_ERROR_SIZE] = "";
	long status = 0;

	pthread_once(&init_once, init_curl);
	struct call call = {.request = request, .response = &response};
	call.response_bytes_max = request->response_bytes_max > 0 ? request->response_bytes_max
								  : RESPONSE_BYTES_DEFAULT;
	call.curl = is_initialised ? curl_easy_init() : NULL;
	if (call.curl == NULL)
		return eos_why(why, -ENOMEM, "cannot start an HTTP request: out of memory");
	eos_buf_init(&response.body);
	int err = build_headers(request, &headers);
	if (err < 0) {
		eos_why(why, err, "cannot start an HTTP request: out of memory");
		goto fail;
	}
	set_options(&call, headers, error);
	CURLcode code = curl_easy_perform(call.curl);
	if (code != CURLE_OK) {
		err = error_of(code, &call);
		eos_why(why, err, "%s %s: %s", request->method, request->url,
			error[0] != '\0' ? error : curl_easy_strerror(code));
		goto fail;
	}
	curl_easy_getinfo(call.curl, CURLINFO_RESPONSE_CODE, &status);
	response.status = (unsigned)status;
	*ret_response = response;
	curl_slist_free_all(headers);
	curl_easy_cleanup(call.curl);
	return 0;

fail:
	eos_buf_fini(&response.body);
	curl_slist_free_all(headers);
	curl_easy_cleanup(call.curl);
	return err;
}
