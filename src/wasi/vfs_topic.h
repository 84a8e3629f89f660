/*
 * Topics as files: a directory in which each granted topic is a stream, and each write to it is one
 * message. What publishing means is the owner's affair.
 */
#pragma once

#include "wasi/wasi.h"

#define VFS_TOPIC_NAME_MAX    255u /* bytes; no slash, not "." or ".." */
#define VFS_TOPIC_MESSAGE_MAX (256u << 10)

struct vfs_topic_ops {
	/* LEN bytes of the guest's memory, borrowed for the call, which may block the FWP. 0 or a
	 * negative errno, which the guest's write fails with. */
	int (*publish)(void *ctx, const char *topic, const void *data, uint32_t len);
};

/* A directory of COUNT topics; NAMES are copied, OPS and CTX are borrowed until the last node is
 * gone. -EINVAL: a name that cannot be one, or twice the same; -ENOMEM. */
int vfs_topic_new(const char *const *names, size_t count, const struct vfs_topic_ops *ops,
		  void *ctx, struct wasi_node **ret_root) EOS_MUST_CHECK;
