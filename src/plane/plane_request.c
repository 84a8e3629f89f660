#include "plane/plane_request.h"

#include <errno.h>
#include <string.h>

static int decode_op(const struct eos_node *root, struct plane_request *request)
{
	static const char *const names[] = {
		[PLANE_REQUEST_APPLY] = "apply",
		[PLANE_REQUEST_REMOVE] = "remove",
		[PLANE_REQUEST_STATE] = "state",
	};
	const char *name = "";
	if (eos_node_get_text(root, "op", &name, NULL) < 0)
		return -EPROTO;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i]) == 0) {
			request->op = (enum plane_request_op)i;
			return 0;
		}
	}
	return -EPROTO;
}

static int decode(const struct eos_node *root, struct plane_request *request)
{
	int err = decode_op(root, request);
	if (err < 0 || eos_node_get_u64(root, "id", 0, UINT64_MAX, &request->id, NULL) < 0 ||
	    eos_node_get_text(root, "name", &request->name, NULL) < 0 ||
	    eos_node_get_text(root, "manifest", &request->manifest, NULL) < 0)
		return -EPROTO;
	if (request->op == PLANE_REQUEST_APPLY && request->name == NULL)
		request->name = "chain";
	if (request->op == PLANE_REQUEST_APPLY && request->manifest == NULL)
		return -EPROTO;
	return request->op == PLANE_REQUEST_REMOVE && request->name == NULL ? -EPROTO : 0;
}

int plane_request_decode(const char *data, size_t len, struct plane_request *ret_request)
{
	struct plane_request request = {.name = NULL};
	int err = eos_doc_parse_json("request", data, len, &request.doc, NULL);
	if (err < 0)
		return err == -ENOMEM ? err : -EPROTO;
	err = decode(eos_doc_root(request.doc), &request);
	if (err < 0) {
		eos_doc_free(request.doc);
		return err;
	}
	*ret_request = request;
	return 0;
}

void plane_request_fini(struct plane_request *request)
{
	eos_doc_free(request->doc);
	*request = (struct plane_request){.name = NULL};
}
