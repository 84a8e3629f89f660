/*
 * The container of a native image (a .fwp file): a header of one page, an ELF shared object for
 * the target, the names of its functions (image_names.h), and an Ed25519 signature over everything
 * before it. docs/formats/image.md.
 *
 * The signature is the only reason to trust the code in it: an image that does not verify with a
 * trusted key is never mapped. Reading is done on a private, sealed copy (memfd), so that nobody
 * can change the bytes between check and use. Any thread; objects are not shared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "crypto/crypto.h"

#define IMAGE_FORMAT_VERSION 2u
#define IMAGE_HEADER_SIZE    4096u
#define IMAGE_BYTES_MAX	     (256u << 20)
#define IMAGE_ID_SIZE	     CRYPTO_SHA256_SIZE

enum image_target { IMAGE_TARGET_X86_64 = 1, IMAGE_TARGET_AARCH64 = 2 };

/* What the header says beside the version numbers. */
struct image_info {
	enum image_target target;
	uint8_t module_sha256[CRYPTO_SHA256_SIZE];    /* of the WebAssembly module */
	uint8_t toolchain_sha256[CRYPTO_SHA256_SIZE]; /* of compiler version, flags, glue */
	uint32_t memory_pages_initial;
	uint64_t elf_bytes;
	uint64_t names_bytes; /* 0: the names are not known */
};

struct image_key {
	uint8_t seed[CRYPTO_SIGN_SEED_SIZE];
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE];
};

/* Reads the key file DIR_FD/NAME (mode 0600, 32 bytes), or makes it, durably, if there is none. */
int image_key_load(int dir_fd, const char *name, struct image_key *ret_key,
		   struct eos_why *why) EOS_MUST_CHECK;

/* Writes header, ELF, names and signature to FD from its start. ELF and NAMES (NULL when there are
 * none) are borrowed and are not looked at. -EFBIG; -ENOMEM; errors of writing. */
int image_write(int fd, const struct image_info *info, const void *elf, const void *names,
		const struct image_key *key, struct eos_why *why) EOS_MUST_CHECK;

/* True when a file that begins with these bytes is meant to be an image. */
bool image_has_magic(const void *bytes, size_t len);
#define IMAGE_MAGIC_SIZE 8u

struct image;

/*
 * Copies FD (any readable file, from its start) into a sealed memfd and checks it: magic, versions,
 * target of this machine, sizes, signature with PUBLIC_KEY, names. FD is borrowed for the call.
 * -ENOEXEC not an image or damaged; -EPROTO another format, ABI or target; -EBADMSG the
 * signature; -EFBIG; -ENOMEM. WHY names what and is complete but for the file's name.
 */
int image_open(int fd, const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], struct image **ret_image,
	       struct eos_why *why) EOS_MUST_CHECK;
/* The same for an image that is to be for TARGET, this machine's or another. */
int image_open_for(int fd, enum image_target target,
		   const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], struct image **ret_image,
		   struct eos_why *why) EOS_MUST_CHECK;
struct image *image_close(struct image *image);

const struct image_info *image_info(const struct image *image);
/* The ELF object: bytes, borrowed until image_close(). */
const void *image_elf(const struct image *image, size_t *ret_size);
/* The names of its functions (image_names.h), checked; borrowed until image_close(). */
const void *image_names(const struct image *image, size_t *ret_size);
/* The whole file, borrowed until image_close(). */
const void *image_file(const struct image *image, size_t *ret_size);
/* The sealed memfd, borrowed; it is the whole file, and the ELF starts at IMAGE_HEADER_SIZE. */
int image_fd(const struct image *image);
enum image_target image_target_native(void);
/* "x86_64"; "an unknown processor" for any other number. */
const char *image_target_name(uint32_t target);
