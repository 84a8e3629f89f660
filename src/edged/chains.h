/*
 * The node's chains: kept in the data directory, built, and applied to the data plane, again
 * whenever that was started anew.
 *
 * A chain is the folder chains/NAME with manifest.yaml, its file's name, the modules of its stages
 * (0.wasm, 1.wasm, …), and where its endpoint speaks TLS certificate.pem, key.pem and
 * client_ca.pem. All are their owner's alone (0600). A folder is there whole or not at all.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

struct edged;
struct edged_chains;

/* Starts the data plane's program, before the process gives up its rights: right after the data
 * directory was entered. NULL is the result where the configuration has no `plane`. */
int edged_chains_new(struct edged *edged, struct edged_chains **ret_chains,
		     struct eos_why *why) EOS_MUST_CHECK;
/* From now on chains are applied; when all the rest of the node is there. */
int edged_chains_start(struct edged_chains *chains, struct eos_why *why) EOS_MUST_CHECK;
struct edged_chains *edged_chains_free(struct edged_chains *chains);

/* struct ctl_ops' functions, with the struct edged as their context. Any thread but the loop's. */
int edged_chain_apply(void *ctx, const char *name, const char *source, const char *manifest,
		      size_t manifest_len, const void *const *files, const size_t *files_len,
		      unsigned count, struct eos_why *why);
int edged_chain_remove(void *ctx, const char *name, struct eos_why *why);
int edged_chain_state(void *ctx, const char *name, struct eos_buf *buf, struct eos_why *why);
