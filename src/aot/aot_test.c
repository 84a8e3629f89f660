/*
 * aot_build() with the real tools: modules from text, images that run, a cache that is damaged,
 * tools that fail.
 */
#include "aot/aot.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aot/aot_fixture_test.h"
#include "aot/aot_image_test.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

static const char sample[] =
	"(module\n"
	" (import \"env\" \"a.b\\22*/\" (func $a (param i32 i64 f32) (result f64)))\n"
	" (import \"env\" \"void\" (func $v))\n"
	" (memory (export \"memory\") 2 5)\n"
	" (table $t 4 1000 funcref)\n"
	" (global $started (mut i32) (i32.const 0))\n"
	" (elem (table $t) (i32.const 0) func $v $answer $a)\n"
	" (data (i32.const 16) \"hello\")\n"
	" (func $start (global.set $started (i32.const 7)) (call $v))\n"
	" (start $start)\n"
	" (func $answer (export \"answer\") (result i32) (i32.const 42))\n"
	" (func (export \"started\") (result i32) (global.get $started))\n"
	" (func (export \"\\c3\\bc \\22 */ \\\\ ?\") (param i32 i64 f32 f64) (result f64)\n"
	"  (f64.add (local.get 3) (call $a (local.get 0) (local.get 1) (local.get 2))))\n"
	" (func (export \"by_table\") (param i32) (call_indirect $t (local.get 0)))\n"
	" (func (export \"two\") (result i32 i32) (i32.const 1) (i32.const 2))\n"
	" (func (export \"divide\") (param i32 i32) (result i32)\n"
	"  (i32.div_s (local.get 0) (local.get 1)))\n"
	" (func (export \"truncate\") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))\n"
	" (func (export \"stop\") unreachable)\n"
	" (func (export \"load\") (param i32) (result i32) (i32.load8_u (local.get 0)))\n"
	" (func (export \"grow\") (param i32) (result i32) (memory.grow (local.get 0)))\n"
	" (func (export \"grow_table\") (param i32) (result i32)\n"
	"  (table.grow $t (ref.func $answer) (local.get 0)))\n"
	" (func (export \"fill\") (param i32 i32 i32)\n"
	"  (memory.fill (local.get 0) (local.get 1) (local.get 2)))\n"
	" (func (export \"bits\") (param i64) (result i64) (i64.popcnt (local.get 0)))\n"
	" (func (export \"rounds\") (param f64) (result f64)\n"
	"  (f64.add (f64.nearest (local.get 0)) (f64.add (f64.floor (local.get 0))\n"
	"   (f64.add (f64.ceil (local.get 0)) (f64.trunc (local.get 0)))))))\n";

static double import_a(void *host, uint32_t i, uint64_t l, float f)
{
	test_host.last_host = host;
	return (double)i + (double)l + (double)f;
}

static void import_void(void *host)
{
	test_host.last_host = host;
	test_host.calls++;
}

static void join_imports(const struct test_image *image)
{
	const struct image_exports *exports = image->exports;
	assert_int_equal(exports->imports_count, 2);
	assert_string_equal(exports->imports[0].module, "env");
	assert_string_equal(exports->imports[0].name, "a.b\"*/");
	assert_string_equal(exports->imports[0].signature, "iIf:F");
	assert_string_equal(exports->imports[1].name, "void");
	assert_string_equal(exports->imports[1].signature, ":");
	exports->imports[0].call = (void (*)(void))import_a;
	exports->imports[1].call = (void (*)(void))import_void;
}

#define EXPORT(type, name, signature)                                                              \
	((type)(void (*)(void))test_image_export(image, (name), (signature)))
typedef uint32_t (*to_u32)(void *, uint32_t);
typedef void (*to_void)(void *, uint32_t);

/* The trap that calling one of these makes. */
#define TRAP_OF(call) (setjmp(test_host.trapped) == 0 ? ((void)(call), 0u) : test_host.trap)

static void check_calls(const struct test_image *image, void *instance, void *host)
{
	uint32_t (*started)(void *) = EXPORT(uint32_t(*)(void *), "started", ":i");
	assert_int_equal(started(instance), 7);
	assert_int_equal(test_host.calls, 1);
	double (*odd)(void *, uint32_t, uint64_t, float, double) =
		EXPORT(double (*)(void *, uint32_t, uint64_t, float, double), "\xc3\xbc \" */ \\ ?",
		       "iIfF:F");
	test_host.last_host = NULL;
	assert_true(odd(instance, 1, 2, 0.5f, 0.25) == 3.75);
	assert_ptr_equal(test_host.last_host, host);
	/* The host pointer is right through a table too. */
	test_host.last_host = NULL;
	to_void by_table = EXPORT(to_void, "by_table", "i:");
	by_table(instance, 0);
	assert_ptr_equal(test_host.last_host, host);
	assert_int_equal(test_host.calls, 2);
	/* Other types and empty places are no targets. */
	for (uint32_t i = 1; i < 6; i++)
		assert_int_equal(TRAP_OF(by_table(instance, i)), IMAGE_TRAP_CALL_INDIRECT);
	assert_null(test_image_export(image, "two", ":ii"));
	uint64_t (*bits)(void *, uint64_t) = EXPORT(uint64_t(*)(void *, uint64_t), "bits", "I:I");
	assert_int_equal(bits(instance, 0xff00ff00ff00ff01), 33);
	double (*rounds)(void *, double) = EXPORT(double (*)(void *, double), "rounds", "F:F");
	assert_true(rounds(instance, -2.5) == -2.0 + -3.0 + -2.0 + -2.0);
	assert_true(isnan(rounds(instance, NAN)));
}

static void check_traps(const struct test_image *image, void *instance)
{
	typedef uint32_t (*divide_fn)(void *, uint32_t, uint32_t);
	divide_fn divide = EXPORT(divide_fn, "divide", "ii:i");
	assert_int_equal(divide(instance, 7, 2), 3);
	assert_int_equal(TRAP_OF(divide(instance, 1, 0)), IMAGE_TRAP_DIVIDE_BY_ZERO);
	assert_int_equal(TRAP_OF(divide(instance, 0x80000000, UINT32_MAX)),
			 IMAGE_TRAP_INTEGER_OVERFLOW);
	uint32_t (*truncate)(void *, double) =
		EXPORT(uint32_t(*)(void *, double), "truncate", "F:i");
	assert_int_equal(TRAP_OF(truncate(instance, NAN)), IMAGE_TRAP_INVALID_CONVERSION);
	assert_int_equal(TRAP_OF(truncate(instance, 1e30)), IMAGE_TRAP_INTEGER_OVERFLOW);
	void (*stop)(void *) = EXPORT(void (*)(void *), "stop", ":");
	assert_int_equal(TRAP_OF(stop(instance)), IMAGE_TRAP_UNREACHABLE);
}

static void check_memory(const struct test_image *image, void *instance)
{
	uint64_t size;
	uint8_t *memory = image->exports->memory(instance, &size);
	assert_int_equal(size, 2 * 65536);
	assert_memory_equal(memory + 16, "hello", 5);
	to_u32 load = EXPORT(to_u32, "load", "i:i");
	assert_int_equal(load(instance, 16), 'h');
	to_u32 grow = EXPORT(to_u32, "grow", "i:i");
	assert_int_equal(grow(instance, 0), 2);
	assert_int_equal(grow(instance, 2), 2);
	assert_int_equal(grow(instance, 2), UINT32_MAX); /* the module's maximum */
	test_host.pages_max = 4;
	assert_int_equal(grow(instance, 1), UINT32_MAX); /* the host's limit */
	assert_ptr_equal(image->exports->memory(instance, &size), memory);
	assert_int_equal(size, 4 * 65536);
	void (*fill)(void *, uint32_t, uint32_t, uint32_t) =
		EXPORT(void (*)(void *, uint32_t, uint32_t, uint32_t), "fill", "iii:");
	fill(instance, 4 * 65536 - 3, 'z', 3);
	assert_int_equal(TRAP_OF(fill(instance, 4 * 65536 - 3, 'z', 4)), IMAGE_TRAP_OUT_OF_BOUNDS);
	assert_int_equal(TRAP_OF(fill(instance, UINT32_MAX, 'z', UINT32_MAX)),
			 IMAGE_TRAP_OUT_OF_BOUNDS);
	to_u32 grow_table = EXPORT(to_u32, "grow_table", "i:i");
	assert_int_equal(grow_table(instance, 3), 4);
	assert_int_equal(grow_table(instance, 100), 7);
	assert_int_equal(grow_table(instance, 894), UINT32_MAX);
	assert_int_equal(grow_table(instance, 893), 107);
}

static void check_image_runs(const char *compiler)
{
	struct aot_config config = test_config();
	config.compiler = compiler;
	struct image *image = test_build(&config, sample);
	assert_string_equal(test_phases, "checking translating compiling ");
	assert_int_equal(image_info(image)->memory_pages_initial, 2);
	struct test_image opened;
	test_image_open(image, test_dir, &opened);
	image_close(image);
	join_imports(&opened);
	for (int round = 0; round < 2; round++) {
		int host;
		test_host.calls = 0;
		test_host.pages_max = 16;
		void *instance = test_image_instantiate(&opened, &host);
		assert_non_null(instance);
		check_calls(&opened, instance, &host);
		check_traps(&opened, instance);
		check_memory(&opened, instance);
		test_image_drop(instance);
	}
	/* Too little memory is a trap at the start. */
	test_host.pages_max = 1;
	assert_null(test_image_instantiate(&opened, NULL));
	assert_int_equal(test_host.trap, IMAGE_TRAP_OUT_OF_BOUNDS);
	test_image_close(&opened);
}

/* By each of those that the build names. */
static void test_image_by_each_compiler(void **state)
{
	static const char *const compilers[] = {AOT_COMPILERS};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(compilers); i++)
		check_image_runs(compilers[i]);
}

static void test_empty_module(void **state)
{
	struct aot_config config = test_config();
	struct image *image = test_build(&config, "(module)");
	struct test_image opened;
	test_image_open(image, test_dir, &opened);
	assert_int_equal(opened.exports->imports_count, 0);
	assert_int_equal(opened.exports->exports_count, 0);
	void *instance = test_image_instantiate(&opened, NULL);
	assert_non_null(instance);
	uint64_t size = 1;
	assert_null(opened.exports->memory(instance, &size));
	assert_int_equal(size, 0);
	test_image_drop(instance);
	test_image_close(&opened);
	image_close(image);
}

/* The only image in the cache directory, and how many there are. */
static unsigned find_images(char name[256])
{
	unsigned count = 0;
	int fd = openat(test_cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = fdopendir(fd);
	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(name, 256, "%s", entry->d_name);
		count++;
	}
	closedir(listing);
	return count;
}

static void clear_cache(void)
{
	char name[256];
	while (find_images(name) > 0)
		assert_int_equal(unlinkat(test_cache_fd, name, 0), 0);
}

/* No names of libraries, no other symbols, nothing to run at load: as docs/formats/image.md says.
 */
static void check_elf(const struct image *image)
{
	static const char *const checks[] = {
		"! readelf -dW %s/e.so | grep -E 'NEEDED|INIT|FINI|TEXTREL|JMPREL|GNU_HASH'",
		"! readelf -lW %s/e.so | grep -E 'TLS|INTERP|RWE|EH_FRAME'",
		"! readelf -DrW %s/e.so | grep -oE 'R_X86_64_[A-Z0-9_]+|R_AARCH64_[A-Z0-9_]+' |"
		" grep -vE '_(RELATIVE|GLOB_DAT|JUMP_SLO.?|64|ABS64)$'",
		"readelf -dW %s/e.so | grep -q '(HASH)'",
		/* No symbols but the dynamic ones: the names are in a table of their own. */
		"readelf -hW %s/e.so | grep -q 'section headers: *0$'",
		"test $(readelf -D --syms -W %s/e.so | awk '$7 != \"UND\" && $5 == \"GLOBAL\" "
		"{print $8}') = eos_image_exports",
		"! readelf -D --syms -W %s/e.so | awk '$7 == \"UND\" && $8 != \"\" {print $8}' |"
		" grep -vE '^(memcpy|memmove|memset|memcmp|bcmp|"
		"(floor|ceil|trunc|nearbyint|rint|sqrt|fabs|copysign)f?)$'",
	};
	char path[64], command[512];
	size_t size;
	const void *elf = image_elf(image, &size);
	(void)snprintf(path, sizeof(path), "%s/e.so", test_dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(eos_write_full(fd, elf, size), 0);
	close(fd);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(checks); i++) {
		size_t len = 0;
		for (const char *p = checks[i]; *p != '\0'; p++) {
			if (p[0] == '%' && p[1] == 's') {
				len += (size_t)snprintf(command + len, sizeof(command) - len, "%s",
							test_dir);
				p++;
			} else {
				command[len++] = *p;
			}
		}
		command[len] = '\0';
		if (system(command) != 0)
			fail_msg("%s", command);
	}
}

static void test_elf(void **state)
{
	struct aot_config config = test_config();
	struct image *image = test_build(&config, sample); /* from the cache by now */
	check_elf(image);
	image_close(image);
}

/* The other processor's image, by its cross compiler: of the same form, and not for here. */
static void test_other_target(void **state)
{
	bool is_x86 = image_target_native() == IMAGE_TARGET_X86_64;
	struct aot_config config = test_config();
	char name[256], path[300];
	size_t size;
	clear_cache();
	config.target = is_x86 ? IMAGE_TARGET_AARCH64 : IMAGE_TARGET_X86_64;
	struct image *image = test_build(&config, sample);
	assert_string_equal(test_phases, "checking translating compiling ");
	assert_int_equal(image_info(image)->target, config.target);
	Elf64_Ehdr header;
	memcpy(&header, image_elf(image, &size), sizeof(header));
	assert_int_equal(header.e_machine, is_x86 ? EM_AARCH64 : EM_X86_64);
	check_elf(image);
	(void)image_names(image, &size);
	assert_true(size > 100);
	image_close(image);

	/* Refused by name here; and it is another one in the cache than this machine's. */
	struct eos_why why = {""};
	assert_int_equal(find_images(name), 1);
	int fd = openat(test_cache_fd, name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(image_open(fd, test_key.public_key, &image, &why), -EPROTO);
	(void)snprintf(path, sizeof(path), "the image is for %s, and this machine is %s",
		       image_target_name(config.target), image_target_name(image_target_native()));
	assert_string_equal(why.text, path);
	close(fd);
	config = test_config();
	image_close(test_build(&config, sample));
	assert_string_equal(test_phases, "checking translating compiling ");
	assert_int_equal(find_images(name), 2);
	config = test_config();
	config.target = is_x86 ? IMAGE_TARGET_AARCH64 : IMAGE_TARGET_X86_64;
	image_close(test_build(&config, sample));
	assert_string_equal(test_phases, "");
	clear_cache();
}

static void test_cache(void **state)
{
	static const char text[] = "(module (func (export \"_start\")))";
	struct aot_config config = test_config();
	char name[256];
	clear_cache();
	image_close(test_build(&config, text));
	assert_string_equal(test_phases, "checking translating compiling ");
	assert_int_equal(find_images(name), 1);
	assert_int_equal(strlen(name), 64 + 4);
	assert_true(eos_str_ends_with(name, ".fwp"));

	config = test_config();
	image_close(test_build(&config, text));
	assert_string_equal(test_phases, "");

	/* Damaged: dropped, and built again. */
	int fd = openat(test_cache_fd, name, O_RDWR | O_CLOEXEC);
	uint8_t byte;
	assert_int_equal(pread(fd, &byte, 1, 5000), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 5000), 1);
	close(fd);
	image_close(test_build(&config, text));
	assert_string_equal(test_phases, "checking translating compiling ");

	/* Signed by somebody else. */
	struct image_key other = test_key;
	other.seed[0] ^= 1;
	assert_int_equal(crypto_sign_public(other.seed, other.public_key), 0);
	config = test_config();
	config.key = &other;
	image_close(test_build(&config, text));
	assert_string_equal(test_phases, "checking translating compiling ");
	assert_int_equal(find_images(name), 1);

	/* An image of another module under this one's name. */
	char other_name[256];
	clear_cache();
	config = test_config();
	image_close(test_build(&config, "(module)"));
	assert_int_equal(find_images(other_name), 1);
	assert_int_equal(renameat(test_cache_fd, other_name, test_cache_fd, name), 0);
	config = test_config();
	image_close(test_build(&config, text));
	assert_string_equal(test_phases, "checking translating compiling ");
}

static void test_clean(void **state)
{
	struct aot_config config = test_config();
	char name[256], left[128], file[256];
	clear_cache();
	image_close(test_build(&config, "(module)"));
	int fd = openat(test_cache_fd, ".0123.fwp.4567", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	(void)snprintf(left, sizeof(left), "%s/edge-aot.left", config.work_dir);
	(void)snprintf(file, sizeof(file), "%s/some.c", left);
	assert_int_equal(mkdir(left, 0700), 0);
	fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	aot_clean(&config);
	assert_int_equal(access(left, F_OK), -1);
	assert_int_equal(faccessat(test_cache_fd, ".0123.fwp.4567", F_OK, 0), -1);
	assert_int_equal(find_images(name), 1);
	clear_cache();
}

/* Each file in bad_modules says in its first line what is wrong with it. */
static void test_bad_modules(void **state)
{
	DIR *listing = opendir(AOT_BAD_MODULES);
	struct eos_buf text = {0}, module = {0};
	struct aot_config config = test_config();
	unsigned count = 0;
	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
		char path[512], wanted[512], options[64] = "";
		if (!eos_str_ends_with(entry->d_name, ".wat"))
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", AOT_BAD_MODULES, entry->d_name);
		eos_buf_clear(&text);
		assert_int_equal(eos_read_file(AT_FDCWD, path, 65536, &text), 0);
		assert_true(sscanf(text.data, ";; expect: %500[^\n]\n;; options: %60[^\n]", wanted,
				   options) >= 1);
		test_assemble(text.data, eos_str_starts_with(options, "--") ? options : "",
			      &module);
		struct eos_why why = test_fail_to_build(&config, module.data, module.len, -EINVAL);
		if (!eos_str_starts_with(why.text + strlen("t.wasm: "), wanted))
			fail_msg("%s: %s", entry->d_name, why.text);
		count++;
	}
	assert_true(count >= 15);
	closedir(listing);
	eos_buf_fini(&text);
	eos_buf_fini(&module);
}

static void test_not_modules(void **state)
{
	struct aot_config config = test_config();
	struct eos_buf module = {0};
	assert_string_equal(test_fail_to_build(&config, "#!/bin/sh\n", 10, -EINVAL).text,
			    "t.wasm: not a WebAssembly module");
	assert_string_equal(test_fail_to_build(&config, "", 0, -EINVAL).text,
			    "t.wasm: not a WebAssembly module (the file is empty)");
	test_assemble("(module (memory 1) (func (export \"_start\")))", "", &module);
	(void)test_fail_to_build(&config, module.data, 9, -EINVAL);
	(void)test_fail_to_build(&config, module.data, module.len - 1, -EINVAL);
	assert_string_equal(test_fail_to_build(&config, module.data, 30, -EINVAL).text,
			    "t.wasm: truncated at byte 30 in the export section");
	(void)test_fail_to_build(&config, module.data, AOT_MODULE_BYTES_MAX + 1, -EFBIG);
	eos_buf_fini(&module);
}

/* Tools that misbehave, in the compiler's place. */
static void test_bad_tools(void **state)
{
	struct eos_buf module = {0};
	struct aot_config config = test_config();
	test_assemble(sample, "", &module);
	config.compiler = "/usr/bin/false";
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -EIO).text,
			    "t.wasm: the compiler failed on it (exit code 1)");
	config.compiler = "/usr/bin/true";
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -EIO).text,
			    "t.wasm: the compiler made nothing of it");
	config.compiler = "/no/such/compiler";
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -ENOENT).text,
			    "t.wasm: there is no compiler /no/such/compiler");
	config.compiler = NULL;
	config.timeout_ns = 1000000;
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -ETIMEDOUT).text,
			    "t.wasm: compiling it takes longer than 1 ms");
	config = test_config();
	config.cancel_fd = eventfd(1, EFD_CLOEXEC);
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -ECANCELED).text,
			    "t.wasm: compiling it was given up");
	close(config.cancel_fd);
	config = test_config();
	config.memory_bytes = 48 << 20;
	(void)test_fail_to_build(&config, module.data, module.len, -ENOMEM);
	config = test_config();
	config.program = "/no/such/edge-aot";
	(void)test_fail_to_build(&config, module.data, module.len, -ENOENT);
	config.program = "/usr/bin/false";
	assert_string_equal(test_fail_to_build(&config, module.data, module.len, -EINVAL).text,
			    "t.wasm: edge-aot failed on it (exit code 1)");
	config = test_config();
	config.work_dir = "/no/such/directory";
	(void)test_fail_to_build(&config, module.data, module.len, -ENOENT);
	eos_buf_fini(&module);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_by_each_compiler),
		cmocka_unit_test(test_elf),
		cmocka_unit_test(test_other_target),
		cmocka_unit_test(test_empty_module),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_bad_modules),
		cmocka_unit_test(test_not_modules),
		cmocka_unit_test(test_bad_tools),
	};
	return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
