/*
 * A small file tree in memory: a function's /tmp and /event. Gone with its FWP.
 */
#pragma once

#include "wasi/wasi.h"

/* An empty directory; everything in it together may hold BYTES_MAX bytes and FILES_MAX entries
 * (-ENOSPC beyond). The tree lives as long as a node of it is referenced. */
int vfs_memory_new(uint64_t bytes_max, unsigned files_max,
		   struct wasi_node **ret_root) EOS_MUST_CHECK;
