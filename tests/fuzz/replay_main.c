/*
 * Runs a fuzz target over files, so that its corpus is replayed in every test run by any compiler.
 *
 *     fuzz_yaml_test [FILE|DIRECTORY …]     without arguments: the corpus named at build time
 *
 * To fuzz, tests/fuzz/run builds the target with clang's libFuzzer instead of this file.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	int err = eos_read_file(AT_FDCWD, path, 64u << 20, &buf);
	if (err < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-err));
		eos_buf_fini(&buf);
		return -1;
	}
	/* A copy of the exact size, so that a sanitizer sees a read past the end. */
	uint8_t *data = malloc(buf.len > 0 ? buf.len : 1);
	if (data == NULL) {
		eos_buf_fini(&buf);
		return -1;
	}
	if (buf.len > 0)
		memcpy(data, buf.data, buf.len);
	(void)LLVMFuzzerTestOneInput(data, buf.len);
	free(data);
	eos_buf_fini(&buf);
	return 1;
}

static int replay(const char *path)
{
	struct stat status;
	if (stat(path, &status) < 0) {
		perror(path);
		return -1;
	}
	if (!S_ISDIR(status.st_mode))
		return replay_file(path);
	DIR *dir = opendir(path);
	if (dir == NULL) {
		perror(path);
		return -1;
	}
	int count = 0;
	for (struct dirent *e = readdir(dir); e != NULL && count >= 0; e = readdir(dir)) {
		char file[4096];
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
		int n = replay_file(file);
		count = n < 0 ? n : count + n;
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	static char default_corpus[] = FUZZ_CORPUS;
	char *defaults[] = {argv[0], default_corpus, NULL};
	if (argc < 2)
		argv = defaults;
	int total = 0;
	for (char **path = argv + 1; *path != NULL; path++) {
		int count = replay(*path);
		if (count < 0)
			return 1;
		total += count;
	}
	printf("%d inputs\n", total);
	return total == 0;
}
