/*
 * The files that manifests name: modules, and what is made into modules here.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"

/* FILE as the manifest at MANIFEST means it, relative to the manifest, into OUT. -ENAMETOOLONG. */
int cli_path_beside(const char *manifest, const char *file, char *out, size_t size);
/* Appends the file, up to MAX bytes. 0, or an exit code after a message. */
int cli_read_file(const char *path, size_t max, struct eos_buf *buf);
/* The same for a module. FILE.click is compiled first. */
int cli_read_module(const char *path, struct eos_buf *buf);
