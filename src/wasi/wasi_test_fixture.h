/*
 * What the unit tests of this folder share: an FWP with a tree in memory as descriptor 3
 * ("/data"), the same read-only as 4 ("/ro"), a stream as 0 to 2, and short names for calls.
 */
#pragma once

#include <stdint.h>

#include "wasi/fwp_double.h"
#include "wasi/vfs_memory.h"
#include "wasi/wasi_priv.h"

#define DATA_FD 3u
#define RO_FD	4u
/* Places in guest memory. */
#define AT_OUT	 0x100u
#define AT_OUT2	 0x180u
#define AT_PATH	 0x1000u
#define AT_PATH2 0x2000u
#define AT_IOVS	 0x3000u
#define AT_BUF	 0x4000u

#define ALL_RIGHTS (WASI_RIGHTS_FILE | WASI_RIGHTS_DIRECTORY)

/* A stream that says what it was given, call by call. */
struct stream_double {
	struct wasi_node node;
	const char *input;
	char output[256];
	size_t output_len;
	unsigned writes, closes;
	int next_error; /* negative: what the next call returns */
};

struct fixture {
	struct fwp *fwp;
	struct wasi *wasi;
	struct wasi_node *root;
	struct stream_double stream; /* descriptors 0, 1 and 2 */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
/* Opens PATH in DIR_FD; returns the new descriptor or the negative errno. */
int open_in(struct fixture *f, uint32_t dir_fd, const char *path, uint32_t oflags, uint64_t rights,
	    uint32_t fdflags);
int create(struct fixture *f, const char *path);
void put_iovec(struct fixture *f, uint32_t index, uint32_t buf, uint32_t len);
/* Writes TEXT; returns the count or the negative errno. */
int write_text(struct fixture *f, uint32_t fd, const char *text);
/* Reads up to LEN bytes to AT_BUF. */
int read_some(struct fixture *f, uint32_t fd, uint32_t len);
int64_t seek(struct fixture *f, uint32_t fd, int64_t delta, uint32_t whence);
