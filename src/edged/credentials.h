/*
 * The node's S3 credentials: made at the first start and kept in DATA/credentials, in the format of
 * AWS's shared credentials file, so that clients can be pointed at it.
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"
#include "s3/s3.h"

/* Reads DIR_FD/credentials, or makes it, durably and with mode 0600. *RET_IS_NEW says which. */
int edged_credentials_load(int dir_fd, struct s3_credentials *ret_credentials, bool *ret_is_new,
			   struct eos_why *why) EOS_MUST_CHECK;
