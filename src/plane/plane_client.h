/*
 * edged's side of the data plane: starts the program edge-plane, again if it ends, speaks with it,
 * and has the chains applied again when its worker died.
 *
 * Threads: requests are for any thread, one at a time each waits for its answer (chains are applied
 * by people). A thread of the client's own hears of new workers.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"
#include "crypto/crypto.h"

struct plane_client;

struct plane_client_config {
	const char *program; /* the path of edge-plane */
	const char *config;  /* the node's configuration, its YAML text */
	size_t config_len;
	const uint8_t *public_key; /* of whoever signs images */
	/* A worker has started and has no chains: apply them, by plane_client_apply(). On the
	 * client's thread. */
	void (*started)(void *ctx);
	void *ctx;
	uint64_t answer_ns; /* how long an answer may take; 0: longer than any that is on its way */
};

/* Starts the program, while the process still has the rights that devices are opened with. Before
 * the first thread. CONFIG's texts and key are copied. If the program has to be started again, it
 * has the rights that the process has then. */
int plane_client_new(const struct plane_client_config *config, struct plane_client **ret_client,
		     struct eos_why *why) EOS_MUST_CHECK;
/* From now on the client's thread runs. */
int plane_client_start(struct plane_client *client) EOS_MUST_CHECK;
/* From now on requests fail, also those that wait for their answer (-ECANCELED), soon. */
void plane_client_stop(struct plane_client *client);
/* Ends the program and the thread; nobody may ask any more. NULL is fine. */
struct plane_client *plane_client_free(struct plane_client *client);

/* NAME stands for the manifest in messages; IMAGE_FDS (borrowed) are the stages' images, in order.
 * Errors of the data plane come as -EINVAL with its words; -EAGAIN: it is not there, or died
 * meanwhile; -ETIMEDOUT: it did not answer; -ECANCELED: the node ends; -EMSGSIZE: the manifest is
 * too long. After the first two the chain may or may not be applied, but not for long: a worker
 * without chains starts, and started() is called.
 */
int plane_client_apply(struct plane_client *client, const char *name, const char *manifest,
		       size_t manifest_len, const int *image_fds, unsigned count,
		       struct eos_why *why) EOS_MUST_CHECK;
int plane_client_remove(struct plane_client *client, const char *chain,
			struct eos_why *why) EOS_MUST_CHECK;
/* Appends the data plane's state, a JSON document; CHAIN: that of one chain only. */
int plane_client_state(struct plane_client *client, const char *chain, struct eos_buf *buf,
		       struct eos_why *why) EOS_MUST_CHECK;
/* Why no worker runs, in words ("" when one does). */
void plane_client_failure(struct plane_client *client, char *out, size_t size);
