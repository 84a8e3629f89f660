/*
 * Files: whole reads and writes, atomic replacement, closing in every path.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"

struct eos_buf;

/* Closes FD if it is >= 0 and returns -1, so that `fd = eos_close(fd)` reads well. Keeps errno. */
int eos_close(int fd);
/* For EOS_CLEANUP(eos_close_ptr). */
void eos_close_ptr(int *fd);

/* Opens /dev/null where standard input, output or error is closed, so that no file opened later
 * gets its number, and with it what is printed there. */
int eos_fill_streams(void) EOS_MUST_CHECK;

/* Reads or writes all LEN bytes across short transfers and EINTR. 0, or negative errno;
 * -ENODATA when the file ends first. */
int eos_read_full(int fd, void *data, size_t len) EOS_MUST_CHECK;
int eos_write_full(int fd, const void *data, size_t len) EOS_MUST_CHECK;
int eos_pread_full(int fd, void *data, size_t len, off_t offset) EOS_MUST_CHECK;
int eos_pwrite_full(int fd, const void *data, size_t len, off_t offset) EOS_MUST_CHECK;

/* Appends the whole file to BUF. -EFBIG when it is larger than MAX bytes. DIR_FD may be AT_FDCWD.
 */
int eos_read_file(int dir_fd, const char *path, size_t max, struct eos_buf *buf) EOS_MUST_CHECK;

/* Replaces the file DIR_FD/NAME by DATA: temporary file, fsync, rename, fsync of the directory.
 * A power cut leaves the old file or the new one. NAME has no slash. */
int eos_replace_file(int dir_fd, const char *name, const void *data, size_t len,
		     mode_t mode) EOS_MUST_CHECK;

/* mkdir -p with MODE for what is made. An existing directory is success. */
int eos_mkdir_p(const char *path, mode_t mode) EOS_MUST_CHECK;

/* The directory of the running program ("/usr/bin"), into OUT. -ENAMETOOLONG or readlink's error.
 */
int eos_program_dir(char *out, size_t size) EOS_MUST_CHECK;
/* The path of one of our own programs (edged, edge-cell, edge-aot, or bench/NAME): beside the
 * running one, else in the installation's libexec folder. -ENOENT. */
int eos_find_program(const char *name, char *out, size_t size) EOS_MUST_CHECK;
