/*
 * What a user builds for himself, without a node: where his images are kept and the key that signs
 * them. `edgeos run` trusts what is signed with it; `edgeos build` signs with it.
 *
 *     $XDG_DATA_HOME/edgeos/image.key     (~/.local/share)
 *     $XDG_CACHE_HOME/edgeos/images/      (~/.cache)
 */
#pragma once

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"
#include "image/image.h"

struct aot_user {
	struct image_key key;
	struct eos_buf work_dir; /* its path */
	int cache_dir_fd;
};

/* Makes what is not there yet. -ENOENT: the environment names no place. Others are the file
 * system's; WHY names the file. */
int aot_user_open(struct aot_user *ret_user, struct eos_why *why) EOS_MUST_CHECK;
void aot_user_close(struct aot_user *user);
