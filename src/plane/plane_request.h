/*
 * What edged asks the data plane for, decoded: docs/formats/plane-control.md. Nothing is changed
 * here; what is decoded is well formed, and may still be refused.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/node.h"

enum plane_request_op { PLANE_REQUEST_APPLY, PLANE_REQUEST_REMOVE, PLANE_REQUEST_STATE };

struct plane_request {
	enum plane_request_op op;
	uint64_t id;
	/* APPLY: what MANIFEST is called in messages, "chain" if nobody said; REMOVE: a chain's;
	 * STATE: a chain's, or NULL: of all. */
	const char *name;
	const char *manifest; /* APPLY: YAML */
	struct eos_doc *doc;  /* owned: the texts' */
};

/* -EPROTO: not a request; -ENOMEM. */
int plane_request_decode(const char *data, size_t len,
			 struct plane_request *ret_request) EOS_MUST_CHECK;
void plane_request_fini(struct plane_request *request);
