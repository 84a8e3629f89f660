/* What a handler may ask of a request. */
#include "http/http_server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

const char *http_request_method(const struct http_request *request)
{
	return request->method;
}

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

const char *http_request_query(const struct http_request *request)
{
	return request->query;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	const struct http_plain *plain = request->plain;
	if (plain == NULL)
		return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
	for (size_t i = 0; i < plain->headers_count; i++)
		if (strcasecmp(plain->headers[i].name, name) == 0)
			return plain->headers[i].value;
	return NULL;
}

struct each {
	void (*visit)(void *ctx, const char *name, const char *value);
	void *ctx;
};

static enum MHD_Result visit_one(void *cls, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	struct each *each = cls;
	(void)kind;
	each->visit(each->ctx, name, value != NULL ? value : "");
	return MHD_YES;
}

void http_request_each_header(struct http_request *request,
			      void (*visit)(void *ctx, const char *name, const char *value),
			      void *ctx)
{
	struct each each = {.visit = visit, .ctx = ctx};
	const struct http_plain *plain = request->plain;
	if (plain != NULL) {
		for (size_t i = 0; i < plain->headers_count; i++)
			visit(ctx, plain->headers[i].name, plain->headers[i].value);
		return;
	}
	(void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, visit_one, &each);
}

void http_client_format(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
	const void *number = NULL;
	if (address->sa_family == AF_INET)
		number = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
	else if (address->sa_family == AF_INET6)
		number = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	if (number == NULL || inet_ntop(address->sa_family, number, text, INET6_ADDRSTRLEN) == NULL)
		text[0] = '\0';
}

const char *http_request_client(const struct http_request *request)
{
	/* Formatted on demand and once a connection: few handlers ask. */
	struct http_connection *connection = request->connection;
	if (connection->client[0] == '\0' && request->mhd != NULL) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		if (info != NULL && info->client_addr != NULL)
			http_client_format(info->client_addr, connection->client);
	}
	return connection->client;
}

bool http_request_content_length(const struct http_request *request, uint64_t *ret_bytes)
{
	if (request->has_content_length)
		*ret_bytes = request->content_length;
	return request->has_content_length;
}

void http_request_set_data(struct http_request *request, void *data)
{
	request->data = data;
}

void *http_request_data(const struct http_request *request)
{
	return request->data;
}

bool http_request_is_answered(const struct http_request *request)
{
	return request->is_answered;
}

bool http_request_is_secure(const struct http_request *request)
{
	return request->server->is_secure;
}

int http_request_add_header(struct http_request *request, const char *name, const char *value)
{
	struct eos_buf *headers = &request->headers;
	size_t len = headers->len;
	eos_buf_append(headers, name, strlen(name) + 1);
	if (eos_buf_append(headers, value, strlen(value) + 1) < 0 || eos_buf_failed(headers)) {
		/* Whole pairs only. */
		headers->len = len;
		headers->failed = false;
		return -ENOMEM;
	}
	return 0;
}
