/*
 * Directories and streams of the host as WASI files, for `edgeos run --dir`.
 * Names are resolved by the kernel below the directory (openat2 with RESOLVE_BENEATH), so
 * symbolic links cannot lead out of it, however they change meanwhile.
 */
#pragma once

#include "wasi/wasi.h"

/* A directory. DIR_FD is taken. */
int vfs_host_directory(int dir_fd, struct wasi_node **ret_node) EOS_MUST_CHECK;
/* A stream over FD: pipe, terminal, socket or file at its own position. FD is taken. */
int vfs_host_stream(int fd, struct wasi_node **ret_node) EOS_MUST_CHECK;
