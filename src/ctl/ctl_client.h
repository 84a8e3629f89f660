/*
 * The client side of the control API: what `edgeos` uses to speak to a node over its local socket.
 * Blocking; one request a call.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

struct ctl_client {
	char socket_path[108]; /* DATA/control.sock, or a shorter name of it */
};

/* A path that does not fit a socket address is reached through a descriptor of the directory,
 * which stays open until the process ends. Errors of opening it. */
int ctl_client_init(struct ctl_client *client, const char *data_dir,
		    struct eos_why *why) EOS_MUST_CHECK;

/*
 * METHOD and PATH ("/api/v1/status", percent-encoded) with a body; the answer's body is appended to
 * RET_BODY (2xx only). -ECONNREFUSED: no node runs here. -EREMOTEIO: the node refused, and WHY is
 * its text.
 */
int ctl_client_call(const struct ctl_client *client, const char *method, const char *path,
		    const void *body, size_t body_len, struct eos_buf *ret_body,
		    struct eos_why *why) EOS_MUST_CHECK;
/* The same with streams: READ delivers BODY_LEN bytes (NULL: no body), WRITE gets the answer's. */
int ctl_client_stream(const struct ctl_client *client, const char *method, const char *path,
		      int64_t (*read)(void *ctx, void *data, size_t len), uint64_t body_len,
		      int (*write)(void *ctx, const void *data, size_t len), void *ctx,
		      struct eos_why *why) EOS_MUST_CHECK;
