/*
 * Any bytes as an image (a .fwp file): opened, its ELF mapped, relocated and protected, its tables
 * used as loading and running use them, but for its code, none of which is run.
 *
 * The signature would keep a fuzzer out of all of that. So the bytes are signed here, with a key of
 * this file's: what is looked at is what a compiler gone wrong could have signed.
 *
 * Input: one byte of flags, the used part of the header (the rest of its page is zero), the ELF
 * object, the names. All that is in them is words of 4 or 8 bytes, most of which are addresses,
 * sizes and indices into each other: the mutator below exchanges words, beside what libFuzzer does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"
#include "fwp/fwp_priv.h"
#include "image/image_names.h"

#define HEADER_USED   104u
#define AT_ELF_BYTES  24u
#define AT_NAMES_SIZE 96u

/* Otherwise the sizes in the header are made those of the bytes that follow, so that what is
 * inserted or cut elsewhere does not end everything here. */
#define FLAG_SIZES_AS_GIVEN 1u
#define FLAG_FILE_CUT	    2u
#define FLAG_FILE_LONGER    4u
#define FLAG_BAD_SIGNATURE  8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
/* libFuzzer's own; not there when the corpus is replayed. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max) __attribute__((weak));

static struct image_key key = {.seed = {1, 2, 3}};
static volatile size_t sink;

static uint64_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* What a word becomes: another one of the input, its neighbour, or an end of something. */
static uint64_t new_word(const uint8_t *words, size_t size, uint64_t old, uint64_t *random)
{
	static const uint64_t ends[] = {
		0,	1,	8,	    24,	       4095,	   4096,
		0x2000, 0x3ff8, 512u << 20, INT32_MAX, UINT32_MAX, UINT64_MAX,
	};
	uint64_t other;
	memcpy(&other, words + next_random(random) % (size / 4 - 1) * 4, sizeof(other));
	switch (next_random(random) % 5) {
	case 0:
		return other;
	case 1:
		return old + other;
	case 2:
		return old + next_random(random) % 65 - 32;
	case 3:
		return old ^ UINT64_C(1) << next_random(random) % 64;
	default:
		return ends[next_random(random) % EOS_ARRAY_SIZE(ends)];
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	uint64_t random = seed;
	if (size < 1 + HEADER_USED + 64 || next_random(&random) % 4 == 0)
		return LLVMFuzzerMutate(data, size, size_max);
	uint8_t *words = data + 1;
	for (uint64_t count = 1 + next_random(&random) % 3; count > 0; count--) {
		size_t bytes = next_random(&random) % 2 == 0 ? 4 : 8;
		uint8_t *at = words + next_random(&random) % ((size - 9) / bytes) * bytes;
		uint64_t old = 0;
		memcpy(&old, at, bytes);
		uint64_t value = new_word(words, size - 1, old, &random);
		memcpy(at, &value, bytes);
	}
	return size;
}

static void put_sizes(uint8_t *header, uint64_t body)
{
	uint64_t names, elf;
	memcpy(&names, header + AT_NAMES_SIZE, sizeof(names));
	names = EOS_MIN(names, body);
	elf = body - names;
	memcpy(header + AT_NAMES_SIZE, &names, sizeof(names));
	memcpy(header + AT_ELF_BYTES, &elf, sizeof(elf));
}

/* The file that the input stands for; the caller frees it. */
static uint8_t *make_file(const uint8_t *data, size_t size, size_t *ret_size)
{
	size_t body = size - 1 - HEADER_USED;
	size_t signed_bytes = IMAGE_HEADER_SIZE + body;
	uint8_t *file = calloc(1, signed_bytes + CRYPTO_SIGNATURE_SIZE + 1);
	EOS_ASSERT(file != NULL);
	memcpy(file, data + 1, HEADER_USED);
	memcpy(file + IMAGE_HEADER_SIZE, data + 1 + HEADER_USED, body);
	if ((data[0] & FLAG_SIZES_AS_GIVEN) == 0)
		put_sizes(file, body);
	EOS_ASSERT(crypto_sign(key.seed, file, signed_bytes, file + signed_bytes) == 0);
	if ((data[0] & FLAG_BAD_SIGNATURE) != 0)
		file[signed_bytes + data[1] % CRYPTO_SIGNATURE_SIZE] ^= 1;
	*ret_size = signed_bytes + CRYPTO_SIGNATURE_SIZE;
	if ((data[0] & FLAG_FILE_CUT) != 0)
		*ret_size -= 1;
	else if ((data[0] & FLAG_FILE_LONGER) != 0)
		*ret_size += 1;
	return file;
}

/* Each entry is found by its first and its last byte, under a name that says something. */
static void use_names(const void *names, size_t size)
{
	struct image_name name, found;
	for (uint32_t i = 0; i < image_names_count(names, size); i++) {
		image_names_get(names, i, &name);
		EOS_ASSERT(strlen(name.name) <= IMAGE_NAME_BYTES_MAX && name.name[0] != '\0');
		EOS_ASSERT(image_names_find(names, size, name.offset, &found));
		EOS_ASSERT(found.name == name.name);
		EOS_ASSERT(image_names_find(names, size, name.offset + name.size - 1, &found));
		EOS_ASSERT(found.name == name.name);
	}
	(void)image_names_find(names, size, UINT64_MAX, &found);
}

static void never_called(void)
{
	EOS_ASSERT(!"code of the image runs");
}

/* What loading does after mapping, in this order, without the image's code. */
static void use_tables(struct fwp_image *image)
{
	const struct image_exports *e = &image->exports;
	size_t text = 0;
	for (uint32_t i = 0; i < e->imports_count; i++)
		text += strlen(e->imports[i].module) + strlen(e->imports[i].name) +
			strlen(e->imports[i].signature);
	for (uint32_t i = 0; i < e->exports_count; i++) {
		const struct image_export *export = &e->exports[i];
		text += strlen(export->name) + strlen(export->signature);
		EOS_ASSERT(fwp_image_has_export(image, export->name, export->signature));
		text += *(const volatile uint8_t *)export->call;
	}
	for (uint32_t i = 0; i < e->imports_count; i++)
		e->imports[i].call = never_called;
	*e->host_ops = &fwp_host_ops;
	EOS_ASSERT(fwp_elf_seal(&image->elf) == 0);
	sink = text;
}

static void describe_places(const struct fwp_image *image)
{
	char text[FWP_PLACE_SIZE], cut[9];
	for (size_t i = 0; i < image->elf.segments_count; i++) {
		const struct fwp_elf_segment *s = &image->elf.segments[i];
		uintptr_t low = (uintptr_t)image->elf.base + s->address;
		for (uintptr_t pc = low - 1; pc <= low + s->size && pc + 1 - low < 4096; pc += 7) {
			fwp_image_describe(image, pc, text, sizeof(text));
			fwp_image_describe(image, pc, cut, sizeof(cut));
			EOS_ASSERT(strlen(text) < sizeof(text) && strlen(cut) < sizeof(cut));
		}
	}
}

static void map(const void *elf, size_t elf_size, const void *names, size_t names_size)
{
	struct eos_why why = {""};
	struct fwp_image image = {0};
	/* Copies of exactly this size, so that a sanitizer sees a read beyond them. */
	uint8_t *copy = malloc(elf_size > 0 ? elf_size : 1);
	EOS_ASSERT(copy != NULL);
	memcpy(copy, elf, elf_size);
	int err = fwp_image_map(copy, elf_size, &image, &why);
	free(copy);
	if (err < 0) {
		EOS_ASSERT(why.text[0] != '\0' && image.elf.base == NULL);
		EOS_ASSERT(err == -ENOEXEC || err == -ENOMEM);
		return;
	}
	use_tables(&image);
	image.names = fwp_names_new(names, names_size);
	EOS_ASSERT(image.names != NULL);
	describe_places(&image);
	fwp_names_free(image.names);
	fwp_elf_unload(&image.elf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct eos_why why = {""};
	struct image *image = NULL;
	if (size < 1 + HEADER_USED)
		return 0;
	if (key.public_key[0] == 0)
		EOS_ASSERT(crypto_sign_public(key.seed, key.public_key) == 0);
	size_t file_size, elf_size, names_size;
	uint8_t *file = make_file(data, size, &file_size);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	EOS_ASSERT(fd >= 0 && eos_pwrite_full(fd, file, file_size, 0) == 0);
	free(file);
	int err = image_open(fd, key.public_key, &image, &why);
	eos_close(fd);
	if (err < 0) {
		EOS_ASSERT(why.text[0] != '\0' && image == NULL);
		return 0;
	}
	/* Nobody signed any other file. */
	EOS_ASSERT((data[0] & (FLAG_BAD_SIGNATURE | FLAG_FILE_CUT | FLAG_FILE_LONGER)) == 0);
	const void *elf = image_elf(image, &elf_size);
	const void *names = image_names(image, &names_size);
	EOS_ASSERT(elf_size + names_size == size - 1 - HEADER_USED);
	use_names(names, names_size);
	map(elf, elf_size, names, names_size);
	image_close(image);
	return 0;
}
