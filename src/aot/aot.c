/*
 * aot_build(): the cache, and putting a new image into it.
 *
 * The key of an image is SHA-256(SHA-256(module), SHA-256(toolchain)); the header says both hashes
 * again, so that a file under a wrong name is noticed. A new image is written under a temporary
 * name, synced, and renamed: two builders of one module do the work twice and agree on the last.
 */
#include "aot/aot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot_priv.h"
#include "aot/aot_protocol.h"
#include "base/buf.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "image/image_names.h"

EOS_COUNTER(hits, "aot.cache_hits_total", "Images taken from the cache.")
EOS_COUNTER(builds, "aot.builds_total", "Images built.")
EOS_COUNTER(failures, "aot.failures_total", "Modules that could not be built.")

struct cache_key {
	uint8_t module_sha256[CRYPTO_SHA256_SIZE];
	uint8_t toolchain_sha256[CRYPTO_SHA256_SIZE];
	char file[2 * CRYPTO_SHA256_SIZE + sizeof(".fwp")];
};

static int make_cache_key(const void *module, size_t len, const struct aot_toolchain *toolchain,
			  struct cache_key *key)
{
	uint8_t both[2 * CRYPTO_SHA256_SIZE], digest[CRYPTO_SHA256_SIZE];
	int err = crypto_sha256(module, len, key->module_sha256);
	if (err < 0)
		return err;
	memcpy(key->toolchain_sha256, toolchain->sha256, sizeof(key->toolchain_sha256));
	memcpy(both, key->module_sha256, CRYPTO_SHA256_SIZE);
	memcpy(both + CRYPTO_SHA256_SIZE, key->toolchain_sha256, CRYPTO_SHA256_SIZE);
	err = crypto_sha256(both, sizeof(both), digest);
	eos_hex_encode(digest, sizeof(digest), key->file);
	memcpy(key->file + 2 * CRYPTO_SHA256_SIZE, ".fwp", sizeof(".fwp"));
	return err;
}

/* The image from the cache, or NULL. One that is not as it should be is removed. */
static struct image *find_in_cache(const struct aot_config *config, enum image_target target,
				   const struct cache_key *key)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = openat(config->cache_dir_fd, key->file,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct image *image = NULL;
	struct eos_why why = {""};
	if (fd < 0)
		return NULL;
	int err = image_open_for(fd, target, config->key->public_key, &image, &why);
	if (err == 0 && (memcmp(image_info(image)->module_sha256, key->module_sha256,
				CRYPTO_SHA256_SIZE) != 0 ||
			 memcmp(image_info(image)->toolchain_sha256, key->toolchain_sha256,
				CRYPTO_SHA256_SIZE) != 0)) {
		eos_why(&why, -ESTALE, "the image belongs to another module");
		image = image_close(image);
	}
	if (image == NULL && err != -ENOMEM && err != -EMFILE && err != -ENFILE) {
		eos_log(EOS_LOG_WARN, "aot", "cached image dropped: file=%s why=\"%s\"", key->file,
			why.text);
		(void)unlinkat(config->cache_dir_fd, key->file, 0);
	}
	return image;
}

static int sync_directory(int dir_fd)
{
	EOS_CLEANUP(eos_close_ptr)
	int directory = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) < 0)
		return -errno;
	return 0;
}

/* Signs the ELF object and its names and gives the image its name in the cache, durably. Opening it
 * checks the names, which nobody but edge-aot has looked at. */
static int store_in_cache(const struct aot_config *config, const struct cache_key *key,
			  const struct image_info *info, const void *elf, const void *names,
			  struct image **ret_image, struct eos_why *why)
{
	char temporary[sizeof(key->file) + 24];
	uint64_t unique;
	int err = crypto_random(&unique, sizeof(unique));
	if (err < 0)
		return eos_why(why, err, "no random numbers: %s", strerror(-err));
	(void)snprintf(temporary, sizeof(temporary), ".%s.%016llx", key->file,
		       (unsigned long long)unique);
	EOS_CLEANUP(eos_close_ptr)
	int fd = openat(config->cache_dir_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);
	if (fd < 0)
		return eos_why(why, -errno, "cannot write to the image cache: %s", strerror(errno));
	err = image_write(fd, info, elf, names, config->key, why);
	if (err == 0 && fsync(fd) < 0)
		err = eos_why(why, -errno, "cannot write to the image cache: %s", strerror(errno));
	if (err == 0)
		err = image_open_for(fd, info->target, config->key->public_key, ret_image, why);
	if (err < 0) {
		(void)unlinkat(config->cache_dir_fd, temporary, 0);
		return err;
	}
	if (renameat(config->cache_dir_fd, temporary, config->cache_dir_fd, key->file) < 0)
		err = -errno;
	else
		err = sync_directory(config->cache_dir_fd);
	if (err < 0) {
		(void)unlinkat(config->cache_dir_fd, temporary, 0);
		*ret_image = image_close(*ret_image);
		return eos_why(why, err, "cannot write to the image cache: %s", strerror(-err));
	}
	return 0;
}

/* All of a file that edge-aot wrote; empty is too little. */
static int read_result(int fd, size_t max, struct eos_buf *out, struct eos_why *why)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return eos_why(why, -errno, "cannot read its image: %s", strerror(errno));
	if (status.st_size <= 0 || (uint64_t)status.st_size > max)
		return eos_why(why, -EFBIG, "its image is empty or too large");
	size_t size = (size_t)status.st_size;
	if (eos_buf_reserve(out, size) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	int err = eos_pread_full(fd, out->data, size, 0);
	if (err < 0)
		return eos_why(why, err, "cannot read its image: %s", strerror(-err));
	out->len = size;
	return 0;
}

static int sign_and_store(const struct aot_config *config, enum image_target target,
			  const struct cache_key *key, const struct aot_result *result,
			  struct image **ret_image, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf elf = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf names = {0};
	int err = read_result(result->elf_fd, AOT_ELF_BYTES_MAX, &elf, why);
	if (err == 0)
		err = read_result(result->names_fd, IMAGE_NAMES_BYTES_MAX, &names, why);
	if (err < 0)
		return err;
	struct image_info info = {
		.target = target,
		.memory_pages_initial = result->memory_pages_initial,
		.elf_bytes = elf.len,
		.names_bytes = names.len,
	};
	memcpy(info.module_sha256, key->module_sha256, sizeof(info.module_sha256));
	memcpy(info.toolchain_sha256, key->toolchain_sha256, sizeof(info.toolchain_sha256));
	return store_in_cache(config, key, &info, elf.data, names.data, ret_image, why);
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	return remove(path);
}

static int build(const struct aot_config *config, const struct aot_toolchain *toolchain,
		 const struct cache_key *key, const void *module, size_t len,
		 struct image **ret_image, struct eos_why *why)
{
	char dir[AOT_PATH_SIZE];
	struct aot_result result;
	int n = snprintf(dir, sizeof(dir), "%s/edge-aot.XXXXXX", config->work_dir);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return eos_why(why, -ENAMETOOLONG, "the work directory's name is too long");
	if (mkdtemp(dir) == NULL)
		return eos_why(why, -errno, "cannot make a directory in %s: %s", config->work_dir,
			       strerror(errno));
	int err = aot_run(config, toolchain, dir, module, len, &result, why);
	/* Its processes are gone. Depth first, links are not followed. */
	(void)nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (err < 0)
		return err;
	err = sign_and_store(config, toolchain->target, key, &result, ret_image, why);
	result.elf_fd = eos_close(result.elf_fd);
	result.names_fd = eos_close(result.names_fd);
	return err;
}

/* Temporary names are ".KEY.fwp.RANDOM" in the cache and "edge-aot.RANDOM" in the work directory.
 */
static void clean_cache(int cache_dir_fd)
{
	int fd = openat(cache_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	if (listing == NULL) {
		(void)eos_close(fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		if (entry->d_name[0] == '.' && strstr(entry->d_name, ".fwp.") != NULL)
			(void)unlinkat(cache_dir_fd, entry->d_name, 0);
	}
	closedir(listing);
}

void aot_clean(const struct aot_config *config)
{
	clean_cache(config->cache_dir_fd);
	DIR *listing = opendir(config->work_dir);
	if (listing == NULL)
		return;
	for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		char path[AOT_PATH_SIZE];
		int n = snprintf(path, sizeof(path), "%s/%s", config->work_dir, entry->d_name);
		if (eos_str_starts_with(entry->d_name, "edge-aot.") && n > 0 &&
		    (size_t)n < sizeof(path))
			(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	}
	closedir(listing);
}

int aot_build(const struct aot_config *config, const char *name, const void *module, size_t len,
	      struct image **ret_image, struct eos_why *why)
{
	struct aot_toolchain toolchain;
	struct cache_key key;
	int err;
	if (len > AOT_MODULE_BYTES_MAX)
		return eos_why(why, -EFBIG, "%s: larger than %u MiB", name,
			       AOT_MODULE_BYTES_MAX >> 20);
	err = aot_toolchain_find(config, &toolchain, why);
	if (err == 0) {
		err = make_cache_key(module, len, &toolchain, &key);
		if (err < 0)
			eos_why(why, err, "out of memory");
	}
	if (err == 0) {
		struct image *image = find_in_cache(config, toolchain.target, &key);
		if (image != NULL) {
			eos_counter_add(&hits, 1);
			*ret_image = image;
			return 0;
		}
		err = build(config, &toolchain, &key, module, len, ret_image, why);
	}
	eos_counter_add(err < 0 ? &failures : &builds, 1);
	if (err < 0)
		eos_why_prefix(why, "%s", name);
	return err;
}
