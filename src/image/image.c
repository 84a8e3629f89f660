/*
 * Images: writing and checking. The bytes are in docs/formats/image.md.
 *
 * Invariants
 * 1. What image_elf() returns was verified: the signature is checked over the bytes of the sealed
 *    memfd itself, after the seals are on, so there is no moment between check and use.
 * 2. The header is read once, into our memory; sizes are checked before anything is allocated or
 *    copied by them.
 * 3. A file that is longer than its header says is refused like one that is shorter: there are no
 *    bytes that nobody signed.
 */
#include "image/image.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "image/image_abi.h"
#include "image/image_names.h"

static const char magic[IMAGE_MAGIC_SIZE] = {'\x7f', 'F', 'W', 'P', 'I', 'M', 'G', '\n'};

/* Little-endian, as all of the file. */
struct image_header {
	char magic[8];
	uint32_t format_version;
	uint32_t abi_version;
	uint32_t target;
	uint32_t memory_pages_initial;
	uint64_t elf_bytes;
	uint8_t module_sha256[CRYPTO_SHA256_SIZE];
	uint8_t toolchain_sha256[CRYPTO_SHA256_SIZE];
	uint64_t names_bytes;
	uint8_t zero[IMAGE_HEADER_SIZE - 104];
};
static_assert(sizeof(struct image_header) == IMAGE_HEADER_SIZE, "the header is one page");
static_assert(offsetof(struct image_header, elf_bytes) == 24, "no padding");
static_assert(offsetof(struct image_header, names_bytes) == 96, "no padding");
static_assert(offsetof(struct image_header, zero) == 104, "no padding");

#define ELF_BYTES_MAX                                                                              \
	(IMAGE_BYTES_MAX - IMAGE_HEADER_SIZE - IMAGE_NAMES_BYTES_MAX - CRYPTO_SIGNATURE_SIZE)

struct image {
	int fd;
	uint8_t *bytes; /* the whole file, read-only */
	size_t size;
	struct image_info info;
};

enum image_target image_target_native(void)
{
#if defined(__x86_64__)
	return IMAGE_TARGET_X86_64;
#elif defined(__aarch64__)
	return IMAGE_TARGET_AARCH64;
#else
#error "no image target for this processor"
#endif
}

const char *image_target_name(uint32_t target)
{
	switch (target) {
	case IMAGE_TARGET_X86_64:
		return "x86_64";
	case IMAGE_TARGET_AARCH64:
		return "aarch64";
	}
	return "an unknown processor";
}

bool image_has_magic(const void *bytes, size_t len)
{
	return len >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
}

static void header_encode(const struct image_info *info, struct image_header *header)
{
	memset(header, 0, sizeof(*header));
	memcpy(header->magic, magic, sizeof(magic));
	header->format_version = htole32(IMAGE_FORMAT_VERSION);
	header->abi_version = htole32(IMAGE_ABI_VERSION);
	header->target = htole32((uint32_t)info->target);
	header->memory_pages_initial = htole32(info->memory_pages_initial);
	header->elf_bytes = htole64(info->elf_bytes);
	header->names_bytes = htole64(info->names_bytes);
	memcpy(header->module_sha256, info->module_sha256, sizeof(header->module_sha256));
	memcpy(header->toolchain_sha256, info->toolchain_sha256, sizeof(header->toolchain_sha256));
}

/* The bytes that are signed. */
static size_t signed_bytes(const struct image_info *info)
{
	return IMAGE_HEADER_SIZE + (size_t)info->elf_bytes + (size_t)info->names_bytes;
}

static bool is_too_large(const struct image_info *info)
{
	return info->elf_bytes > ELF_BYTES_MAX || info->names_bytes > IMAGE_NAMES_BYTES_MAX;
}

int image_write(int fd, const struct image_info *info, const void *elf, const void *names,
		const struct image_key *key, struct eos_why *why)
{
	if (is_too_large(info))
		return eos_why(why, -EFBIG, "the image would be larger than %u MiB",
			       IMAGE_BYTES_MAX >> 20);
	size_t signed_size = signed_bytes(info);
	size_t size = signed_size + CRYPTO_SIGNATURE_SIZE;
	uint8_t *bytes = malloc(size);
	if (bytes == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	struct image_header header;
	header_encode(info, &header);
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + IMAGE_HEADER_SIZE, elf, (size_t)info->elf_bytes);
	if (info->names_bytes > 0)
		memcpy(bytes + IMAGE_HEADER_SIZE + info->elf_bytes, names,
		       (size_t)info->names_bytes);
	int err = crypto_sign(key->seed, bytes, signed_size, bytes + signed_size);
	if (err < 0)
		eos_why(why, err, "cannot sign the image: %s", strerror(-err));
	if (err == 0) {
		err = eos_pwrite_full(fd, bytes, size, 0);
		if (err == 0 && ftruncate(fd, (off_t)size) < 0)
			err = -errno;
		if (err < 0)
			eos_why(why, err, "cannot write the image: %s", strerror(-err));
	}
	free(bytes);
	return err;
}

/* Everything but the signature. */
static int header_decode(const struct image_header *header, enum image_target wanted,
			 struct image_info *ret_info, struct eos_why *why)
{
	static const uint8_t zero[sizeof(header->zero)];
	if (memcmp(header->magic, magic, sizeof(magic)) != 0)
		return eos_why(why, -ENOEXEC, "not an EdgeOS image");
	uint32_t format = le32toh(header->format_version);
	if (format != IMAGE_FORMAT_VERSION)
		return eos_why(why, -EPROTO,
			       "the image has format %u, and this build reads format %u", format,
			       IMAGE_FORMAT_VERSION);
	uint32_t abi = le32toh(header->abi_version);
	if (abi != IMAGE_ABI_VERSION)
		return eos_why(why, -EPROTO,
			       "the image was made for interface version %u, and this build has %u",
			       abi, IMAGE_ABI_VERSION);
	uint32_t target = le32toh(header->target);
	if (target != (uint32_t)wanted)
		return eos_why(why, -EPROTO, "the image is for %s, and %s %s",
			       image_target_name(target),
			       wanted == image_target_native() ? "this machine is" : "wanted is",
			       image_target_name((uint32_t)wanted));
	ret_info->elf_bytes = le64toh(header->elf_bytes);
	ret_info->names_bytes = le64toh(header->names_bytes);
	if (is_too_large(ret_info))
		return eos_why(why, -EFBIG, "the image is larger than %u MiB",
			       IMAGE_BYTES_MAX >> 20);
	if (memcmp(header->zero, zero, sizeof(zero)) != 0)
		return eos_why(why, -ENOEXEC,
			       "the image is damaged: its header has unknown fields");
	ret_info->target = (enum image_target)target;
	ret_info->memory_pages_initial = le32toh(header->memory_pages_initial);
	memcpy(ret_info->module_sha256, header->module_sha256, sizeof(ret_info->module_sha256));
	memcpy(ret_info->toolchain_sha256, header->toolchain_sha256,
	       sizeof(ret_info->toolchain_sha256));
	return 0;
}

/* Reads SIZE bytes of FD from OFFSET; a file that ends first is damaged, not an I/O error. */
static int read_part(int fd, void *data, size_t size, off_t offset, struct eos_why *why)
{
	int err = eos_pread_full(fd, data, size, offset);
	if (err == -ENODATA)
		return eos_why(why, -ENOEXEC, "the image is damaged: it is too short");
	if (err < 0)
		return eos_why(why, err, "cannot read the image: %s", strerror(-err));
	return 0;
}

/* Fills the memfd with HEADER and the rest of FD. */
static int copy_bytes(struct image *image, int fd, const struct image_header *header,
		      struct eos_why *why)
{
	if (ftruncate(image->fd, (off_t)image->size) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	uint8_t *bytes = mmap(NULL, image->size, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
	if (bytes == MAP_FAILED)
		return eos_why(why, -ENOMEM, "out of memory");
	memcpy(bytes, header, sizeof(*header));
	int err = read_part(fd, bytes + IMAGE_HEADER_SIZE, image->size - IMAGE_HEADER_SIZE,
			    IMAGE_HEADER_SIZE, why);
	munmap(bytes, image->size);
	uint8_t beyond;
	if (err == 0 && eos_pread_full(fd, &beyond, 1, (off_t)image->size) != -ENODATA)
		err = eos_why(why, -ENOEXEC, "the image is damaged: it is too long");
	return err;
}

static int seal_and_verify(struct image *image, const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE],
			   struct eos_why *why)
{
	if (fcntl(image->fd, F_ADD_SEALS,
		  F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
		return eos_why(why, -errno, "cannot seal the image: %s", strerror(errno));
	void *bytes = mmap(NULL, image->size, PROT_READ, MAP_SHARED, image->fd, 0);
	if (bytes == MAP_FAILED)
		return eos_why(why, -ENOMEM, "out of memory");
	image->bytes = bytes;
	size_t signed_size = image->size - CRYPTO_SIGNATURE_SIZE;
	int err = crypto_verify(public_key, image->bytes, signed_size, image->bytes + signed_size);
	if (err == -EBADMSG)
		return eos_why(why, err,
			       "the image's signature is not by the trusted key, or it is damaged");
	return err < 0 ? eos_why(why, err, "out of memory") : 0;
}

int image_open_for(int fd, enum image_target target,
		   const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], struct image **ret_image,
		   struct eos_why *why)
{
	struct image_header header;
	struct image *image = calloc(1, sizeof(*image));
	if (image == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	image->fd = -1;
	int err = read_part(fd, &header, sizeof(header), 0, why);
	if (err < 0)
		goto fail;
	err = header_decode(&header, target, &image->info, why);
	if (err < 0)
		goto fail;
	image->size = signed_bytes(&image->info) + CRYPTO_SIGNATURE_SIZE;
	image->fd = memfd_create("image", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (image->fd < 0) {
		err = eos_why(why, -errno, "cannot make a memory file: %s", strerror(errno));
		goto fail;
	}
	err = copy_bytes(image, fd, &header, why);
	if (err < 0)
		goto fail;
	err = seal_and_verify(image, public_key, why);
	if (err < 0)
		goto fail;
	size_t names_size;
	const void *names = image_names(image, &names_size);
	err = image_names_check(names, names_size, why);
	if (err < 0)
		goto fail;
	*ret_image = image;
	return 0;
fail:
	image_close(image);
	return err;
}

int image_open(int fd, const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], struct image **ret_image,
	       struct eos_why *why)
{
	return image_open_for(fd, image_target_native(), public_key, ret_image, why);
}

struct image *image_close(struct image *image)
{
	if (image != NULL) {
		if (image->bytes != NULL)
			munmap(image->bytes, image->size);
		image->fd = eos_close(image->fd);
		free(image);
	}
	return NULL;
}

const struct image_info *image_info(const struct image *image)
{
	return &image->info;
}

const void *image_elf(const struct image *image, size_t *ret_size)
{
	*ret_size = (size_t)image->info.elf_bytes;
	return image->bytes + IMAGE_HEADER_SIZE;
}

const void *image_names(const struct image *image, size_t *ret_size)
{
	*ret_size = (size_t)image->info.names_bytes;
	return image->bytes + IMAGE_HEADER_SIZE + image->info.elf_bytes;
}

const void *image_file(const struct image *image, size_t *ret_size)
{
	*ret_size = image->size;
	return image->bytes;
}

int image_fd(const struct image *image)
{
	return image->fd;
}
