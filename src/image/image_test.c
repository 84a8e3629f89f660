#include "image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "image/image_names.h"

#define ELF_SIZE   5000u
#define NAMES_SIZE sizeof(names)
#define IMAGE_SIZE (IMAGE_HEADER_SIZE + ELF_SIZE + NAMES_SIZE + CRYPTO_SIGNATURE_SIZE)

static struct image_key key;
static uint8_t elf[ELF_SIZE];
/* The function 7, called "f", at 0x10 to 0x1f. */
static const uint8_t names[] = {1, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0,   0,
				0, 7, 0, 0, 0,	  0, 0, 0, 0,	 'f', 0};
static struct image_info info;

static int make_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int setup(void **state)
{
	for (size_t i = 0; i < sizeof(elf); i++)
		elf[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(key.seed); i++)
		key.seed[i] = (uint8_t)i;
	assert_int_equal(crypto_sign_public(key.seed, key.public_key), 0);
	info = (struct image_info){
		.target = image_target_native(),
		.memory_pages_initial = 17,
		.elf_bytes = sizeof(elf),
		.names_bytes = sizeof(names),
	};
	memset(info.module_sha256, 0xaa, sizeof(info.module_sha256));
	memset(info.toolchain_sha256, 0xbb, sizeof(info.toolchain_sha256));
	return 0;
}

/* The bytes of a good image. */
static void make_image(uint8_t bytes[IMAGE_SIZE])
{
	struct eos_why why = {""};
	int fd = make_file();
	assert_int_equal(image_write(fd, &info, elf, names, &key, &why), 0);
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_size, IMAGE_SIZE);
	assert_int_equal(eos_pread_full(fd, bytes, IMAGE_SIZE, 0), 0);
	close(fd);
}

/* What image_open() says about these bytes. */
static int open_bytes(const uint8_t *bytes, size_t len, struct eos_why *why)
{
	int fd = make_file();
	assert_int_equal(eos_write_full(fd, bytes, len), 0);
	struct image *image = NULL;
	*why = (struct eos_why){""};
	int err = image_open(fd, key.public_key, &image, why);
	close(fd);
	if (err < 0) {
		assert_null(image);
		assert_string_not_equal(why->text, "");
	}
	image_close(image);
	return err;
}

static void test_round_trip(void **state)
{
	int fd = make_file();
	/* Left-overs of a longer file must not survive. */
	assert_int_equal(ftruncate(fd, 100000), 0);
	struct eos_why why = {""};
	assert_int_equal(image_write(fd, &info, elf, names, &key, &why), 0);
	struct image *image;
	assert_int_equal(image_open(fd, key.public_key, &image, &why), 0);
	close(fd);
	assert_memory_equal(image_info(image)->module_sha256, info.module_sha256, 32);
	assert_memory_equal(image_info(image)->toolchain_sha256, info.toolchain_sha256, 32);
	assert_int_equal(image_info(image)->memory_pages_initial, 17);
	assert_int_equal(image_info(image)->target, image_target_native());
	size_t size;
	const void *read_back = image_elf(image, &size);
	assert_int_equal(size, sizeof(elf));
	assert_memory_equal(read_back, elf, sizeof(elf));
	const void *names_back = image_names(image, &size);
	assert_int_equal(size, sizeof(names));
	assert_memory_equal(names_back, names, sizeof(names));
	const uint8_t *file = image_file(image, &size);
	assert_int_equal(size, IMAGE_SIZE);
	assert_ptr_equal(file + IMAGE_HEADER_SIZE, read_back);
	assert_true(image_has_magic(file, size));
	assert_true(image_has_magic(file, IMAGE_MAGIC_SIZE));
	assert_false(image_has_magic(file, IMAGE_MAGIC_SIZE - 1));
	assert_false(image_has_magic(elf, sizeof(elf)));
	uint8_t from_fd[ELF_SIZE];
	assert_int_equal(
		eos_pread_full(image_fd(image), from_fd, sizeof(from_fd), IMAGE_HEADER_SIZE), 0);
	assert_memory_equal(from_fd, elf, sizeof(elf));
	/* Nobody can change the copy. */
	assert_int_equal(pwrite(image_fd(image), "x", 1, 0), -1);
	assert_int_equal(ftruncate(image_fd(image), 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, image_fd(image), 0), MAP_FAILED);
	assert_null(image_close(image));
	assert_null(image_close(NULL));
}

static void test_truncated_or_longer(void **state)
{
	static uint8_t bytes[IMAGE_SIZE + 1];
	static const size_t sizes[] = {
		0,
		1,
		7,
		8,
		95,
		96,
		IMAGE_HEADER_SIZE - 1,
		IMAGE_HEADER_SIZE,
		IMAGE_HEADER_SIZE + 1,
		IMAGE_HEADER_SIZE + ELF_SIZE - 1,
		IMAGE_HEADER_SIZE + ELF_SIZE,
		IMAGE_HEADER_SIZE + ELF_SIZE + 1,
		IMAGE_SIZE - CRYPTO_SIGNATURE_SIZE,
		IMAGE_SIZE - 1,
		IMAGE_SIZE + 1,
	};
	make_image(bytes);
	struct eos_why why;
	assert_int_equal(open_bytes(bytes, IMAGE_SIZE, &why), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++)
		assert_int_equal(open_bytes(bytes, sizes[i], &why), -ENOEXEC);
}

static void test_flipped_bytes(void **state)
{
	static uint8_t bytes[IMAGE_SIZE];
	make_image(bytes);
	struct eos_why why;
	for (size_t i = 0; i < IMAGE_SIZE; i += i < 128 || i >= IMAGE_SIZE - 64 ? 1 : 97) {
		bytes[i] ^= 0x10;
		int err = open_bytes(bytes, IMAGE_SIZE, &why);
		bytes[i] ^= 0x10;
		if (i < 8)
			assert_int_equal(err, -ENOEXEC);
		else if (i < 20)
			assert_int_equal(err, -EPROTO);
		else if (i < 24)
			assert_int_equal(err, -EBADMSG);
		else if (i < 32 || (i >= 96 && i < 104))
			assert_true(err == -ENOEXEC || err == -EFBIG);
		else if (i >= 104 && i < IMAGE_HEADER_SIZE)
			assert_int_equal(err, -ENOEXEC);
		else
			assert_int_equal(err, -EBADMSG);
	}
}

static void test_versions_and_target(void **state)
{
	static uint8_t bytes[IMAGE_SIZE];
	struct eos_why why;
	make_image(bytes);
	bytes[8] = 1;
	assert_int_equal(open_bytes(bytes, IMAGE_SIZE, &why), -EPROTO);
	assert_string_equal(why.text, "the image has format 1, and this build reads format 2");
	enum image_target native = image_target_native();
	info.target = native == IMAGE_TARGET_X86_64 ? IMAGE_TARGET_AARCH64 : IMAGE_TARGET_X86_64;
	make_image(bytes);
	assert_int_equal(open_bytes(bytes, IMAGE_SIZE, &why), -EPROTO);
	char wanted[128];
	(void)snprintf(wanted, sizeof(wanted), "the image is for %s, and this machine is %s",
		       image_target_name(info.target), image_target_name(native));
	assert_string_equal(why.text, wanted);
	/* Who wants the other's gets it, and nothing else. */
	int fd = make_file();
	struct image *image = NULL;
	assert_int_equal(eos_write_full(fd, bytes, IMAGE_SIZE), 0);
	assert_int_equal(image_open_for(fd, info.target, key.public_key, &image, &why), 0);
	assert_int_equal(image_info(image)->target, info.target);
	image_close(image);
	close(fd);
	info.target = native;
	make_image(bytes);
	fd = make_file();
	assert_int_equal(eos_write_full(fd, bytes, IMAGE_SIZE), 0);
	image = NULL;
	assert_int_equal(image_open_for(fd,
					native == IMAGE_TARGET_X86_64 ? IMAGE_TARGET_AARCH64
								      : IMAGE_TARGET_X86_64,
					key.public_key, &image, &why),
			 -EPROTO);
	assert_null(image);
	close(fd);
}

static void test_wrong_key(void **state)
{
	static uint8_t bytes[IMAGE_SIZE];
	struct eos_why why;
	key.seed[0] ^= 1;
	make_image(bytes);
	key.seed[0] ^= 1;
	assert_int_equal(open_bytes(bytes, IMAGE_SIZE, &why), -EBADMSG);
}

/* Signed, but by somebody whose edge-aot went wrong. */
static void test_damaged_names(void **state)
{
	static uint8_t bytes[IMAGE_SIZE];
	uint8_t bad[sizeof(names)];
	struct eos_why why = {""};
	memcpy(bad, names, sizeof(names));
	bad[sizeof(bad) - 1] = 'f';
	int fd = make_file();
	assert_int_equal(image_write(fd, &info, elf, bad, &key, &why), 0);
	assert_int_equal(eos_pread_full(fd, bytes, IMAGE_SIZE, 0), 0);
	close(fd);
	assert_int_equal(open_bytes(bytes, IMAGE_SIZE, &why), -ENOEXEC);
	assert_string_equal(why.text, "the image is damaged: its table of functions' names");
}

static void test_too_large(void **state)
{
	struct eos_why why = {""};
	int fd = make_file();
	info.elf_bytes = IMAGE_BYTES_MAX;
	assert_int_equal(image_write(fd, &info, elf, names, &key, &why), -EFBIG);
	info.elf_bytes = sizeof(elf);
	info.names_bytes = IMAGE_NAMES_BYTES_MAX + 1;
	assert_int_equal(image_write(fd, &info, elf, names, &key, &why), -EFBIG);
	info.names_bytes = sizeof(names);
	close(fd);
	/* Not even readable: a directory. */
	struct image *image;
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(image_open(fd, key.public_key, &image, &why), -EISDIR);
	close(fd);
}

static void test_key_file(void **state)
{
	char dir[] = "/tmp/image_test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir_fd >= 0);
	struct image_key made, loaded;
	struct eos_why why = {""};
	assert_int_equal(image_key_load(dir_fd, "key", &made, &why), 0);
	assert_int_equal(image_key_load(dir_fd, "key", &loaded, &why), 0);
	assert_memory_equal(&made, &loaded, sizeof(made));
	struct stat status;
	assert_int_equal(fstatat(dir_fd, "key", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_nlink, 1);

	assert_int_equal(fchmodat(dir_fd, "key", 0644, 0), 0);
	assert_int_equal(image_key_load(dir_fd, "key", &loaded, &why), -EPERM);
	assert_int_equal(fchmodat(dir_fd, "key", 0600, 0), 0);
	int fd = openat(dir_fd, "key", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, 31), 0);
	close(fd);
	assert_int_equal(image_key_load(dir_fd, "key", &loaded, &why), -EINVAL);
	assert_string_equal(why.text, "the key file key is not a file of 32 bytes");
	assert_int_equal(unlinkat(dir_fd, "key", 0), 0);
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, "key"), 0);
	assert_int_equal(image_key_load(dir_fd, "key", &loaded, &why), -ELOOP);
	assert_int_equal(unlinkat(dir_fd, "key", 0), 0);
	assert_int_equal(image_key_load(dir_fd, "no/such", &loaded, &why), -ENOENT);

	close(dir_fd);
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_truncated_or_longer),
		cmocka_unit_test(test_flipped_bytes), cmocka_unit_test(test_versions_and_target),
		cmocka_unit_test(test_wrong_key),     cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_key_file),      cmocka_unit_test(test_damaged_names),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
