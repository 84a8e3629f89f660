/*
 * Lambda's Invoke, as its clients use it: POST /2015-03-31/functions/NAME/invocations. The body is
 * the event, the output is the answer. A function that failed is status 200 with the header
 * X-Amz-Function-Error and a JSON error, as there; what never ran is a 4xx or 5xx.
 * Invocation types: RequestResponse and DryRun.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/str.h"
#include "trigger/http_priv.h"

#define PREFIX "/2015-03-31/functions/"
#define SUFFIX "/invocations"

bool trigger_invoke_parse_path(const char *path, char name[FUNC_NAME_MAX + 1])
{
	if (!eos_str_starts_with(path, PREFIX) || !eos_str_ends_with(path, SUFFIX))
		return false;
	path += strlen(PREFIX);
	size_t len = strcspn(path, "/");
	if (strcmp(path + len, SUFFIX) != 0)
		return false;
	if (len > FUNC_NAME_MAX)
		len = 0; /* no function has such a name; the answer will be 404 */
	memcpy(name, path, len);
	name[len] = '\0';
	return true;
}

void trigger_invoke_fail(struct trigger_exchange *exchange, unsigned status, const char *type,
			 const char *message)
{
	const struct http_header headers[] = {{"Content-Type", "application/json"},
					      {"x-amzn-ErrorType", type}};
	struct eos_buf body;
	eos_buf_init(&body);
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "Type", status < 500 ? "User" : "Service");
	eos_json_text(&json, "message", message);
	eos_json_close(&json, '}');
	http_respond(exchange->request, status, headers, EOS_ARRAY_SIZE(headers), body.data,
		     eos_buf_failed(&body) ? 0 : body.len);
	eos_buf_fini(&body);
}

bool trigger_invoke_refuse(struct trigger_exchange *exchange)
{
	struct http_request *request = exchange->request;
	const char *type = http_request_header(request, "x-amz-invocation-type");
	if (strcmp(http_request_method(request), "POST") != 0) {
		trigger_exchange_respond(exchange, 405, &(struct http_header){"Allow", "POST"},
					 "Functions are invoked with POST.\n");
		return true;
	}
	if (exchange->func == NULL) {
		trigger_invoke_fail(exchange, 404, "ResourceNotFoundException",
				    "Function not found.");
		return true;
	}
	if (type == NULL || strcasecmp(type, "RequestResponse") == 0)
		return false;
	if (strcasecmp(type, "DryRun") == 0)
		http_respond(request, 204, NULL, 0, NULL, 0);
	else
		trigger_invoke_fail(exchange, 400, "InvalidParameterValueException",
				    "The invocation type must be RequestResponse or DryRun.");
	return true;
}

static const char *const error_types[] = {
	[FUNC_EXIT] = "Runtime.ExitError",   [FUNC_TRAP] = "Runtime.Trap",
	[FUNC_TIMEOUT] = "Sandbox.Timedout", [FUNC_CELL_LOST] = "Sandbox.Failure",
	[FUNC_REFUSED] = "Sandbox.Refused",  [FUNC_OUTPUT_LIMIT] = "Function.ResponseSizeTooLarge",
};

static void put_error(struct eos_buf *body, const struct func_call *call)
{
	char message[sizeof(call->text) + 64];
	if (call->outcome == FUNC_EXIT)
		(void)snprintf(message, sizeof(message), "Exit code %" PRIu32, call->exit_code);
	else
		(void)snprintf(message, sizeof(message), "%s",
			       call->text[0] == '\0' ? "The function failed" : call->text);
	struct eos_json json = eos_json_begin(body);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "errorMessage", message);
	eos_json_text(&json, "errorType", error_types[call->outcome]);
	eos_json_close(&json, '}');
}

void trigger_invoke_answer(struct trigger_exchange *exchange, struct func_call *call)
{
	char version[24];
	struct http_header headers[3] = {{"Content-Type", "application/json"},
					 {"X-Amz-Executed-Version", version},
					 {"X-Amz-Function-Error", "Unhandled"}};
	(void)snprintf(version, sizeof(version), "%" PRIu64, call->func->version);
	if (call->outcome == FUNC_OK) {
		http_respond(exchange->request, 200, headers, 2, call->output.data,
			     call->output.len);
		return;
	}
	if (call->outcome == FUNC_REFUSED) {
		trigger_invoke_fail(exchange, 503, "ServiceException",
				    "The function cannot run now.");
		return;
	}
	struct eos_buf body;
	eos_buf_init(&body);
	put_error(&body, call);
	http_respond(exchange->request, 200, headers, 3, body.data,
		     eos_buf_failed(&body) ? 0 : body.len);
	eos_buf_fini(&body);
}
