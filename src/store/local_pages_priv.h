/*
 * The structure of LMDB's file: that every page is what it says, in its place, and leads only where
 * it may. LMDB believes its pages; one that is damaged would make it read outside of them, or look
 * in the wrong place. Our records have checksums of their own; this is for what is around them.
 *
 * It reads the file, not LMDB's map, and believes nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

struct local;

/*
 * Checks what transaction TXNID (0: the newest) in the file FD can reach, and the list of free
 * pages. Nobody may write over that: a read transaction on TXNID is open, or nobody has the file.
 * An empty file is well. GOES_ON(CTX), if not NULL, is asked before each page. *RET_BYTES: in use,
 * or free. -EBADMSG, with what is wrong and where in WHY; -EAGAIN: there is no such transaction any
 * more; -EINTR; -EIO; -ENOMEM.
 */
int local_pages_check(int fd, uint64_t txnid, bool (*goes_on)(void *ctx), void *ctx,
		      uint64_t *ret_bytes, struct eos_why *why) EOS_MUST_CHECK;
/* The same for the present state of an open store; others may write meanwhile. */
int local_pages_check_now(struct local *local, bool (*goes_on)(void *ctx), void *ctx,
			  uint64_t *ret_bytes, struct eos_why *why) EOS_MUST_CHECK;
