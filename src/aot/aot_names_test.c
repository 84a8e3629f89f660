/*
 * Names of functions and the map to native code, without wabt: modules in bytes, objects that the
 * system's compiler makes of symbols like wasm2c's.
 */
#include "aot/aot_names.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aot/aot_elf.h"
#include "aot/aot_map.h"
#include "base/file.h"

/* One type () -> (); the import "e" "i"; four functions; the exports "one" of function 1 and "also"
 * of 1. */
#define MODULE                                                                                     \
	0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 2, 7, 1, 1, 'e', 1, 'i', 0, 0, 3, 5, 4, \
		0, 0, 0, 0, 7, 14, 2, 3, 'o', 'n', 'e', 0, 1, 4, 'a', 'l', 's', 'o', 0, 1
#define FUNCTIONS 5

static void read_names(const uint8_t *bytes, size_t len, struct aot_module *module,
		       struct aot_names *names)
{
	struct eos_why why = {""};
	if (aot_module_read(bytes, len, module, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(aot_names_read(module, names), 0);
}

/* MODULE with a custom section behind it. */
static void check_names(const uint8_t *section, size_t len, const char *const wanted[FUNCTIONS])
{
	static const uint8_t start[] = {MODULE};
	uint8_t *bytes = test_malloc(sizeof(start) + len);
	struct aot_module module;
	struct aot_names names;
	memcpy(bytes, start, sizeof(start));
	memcpy(bytes + sizeof(start), section, len);
	read_names(bytes, sizeof(start) + len, &module, &names);
	for (uint32_t i = 0; i < FUNCTIONS; i++) {
		char name[IMAGE_NAME_BYTES_MAX + 1];
		aot_names_get(&names, i, name);
		assert_string_equal(name, wanted[i]);
	}
	aot_names_fini(&names);
	aot_module_fini(&module);
	test_free(bytes);
}

#define CHECK_NAMES(section, ...)                                                                  \
	check_names(section, sizeof(section), (const char *const[FUNCTIONS]){__VA_ARGS__})

static void test_without_section(void **state)
{
	check_names((const uint8_t *)"", 0,
		    (const char *const[]){"e.i", "one", "func[2]", "func[3]", "func[4]"});
}

static void test_section(void **state)
{
	/* The module's own name, the functions' names, locals' names; then a second section. */
	static const uint8_t section[] = {0, 32,  4,   'n', 'a', 'm', 'e', 0,	3, 2, 'm',  'o',
					  1, 15,  3,   0,   3,	 'i', 'm', 'p', 2, 2, 0xc3, 0xbc,
					  4, 3,	  'e', 'n', 'd', 2,   3,   0,	0, 0, 0,    11,
					  4, 'n', 'a', 'm', 'e', 1,   4,   1,	3, 1, 'x'};
	CHECK_NAMES(section, "imp", "one", "\xc3\xbc", "func[3]", "end");
}

static void test_hostile_section(void **state)
{
	/* Beyond the module, twice, not UTF-8, empty, and one that is good. */
	static const uint8_t entries[] = {0,  27,   4,	 'n', 'a', 'm', 'e', 1, 20,  6,
					  99, 1,    'x', 2,   1,   'a', 2,   1, 'b', 3,
					  1,  0xff, 4,	 0,   1,   1,	'm', 0, 0};
	CHECK_NAMES(entries, "e.i", "m", "a", "func[3]", "func[4]");
	/* Controls, a line end, C1, a turn of direction, a byte order mark. */
	static const uint8_t controls[] = {0,	 31,   4,    'n',  'a',	 'm',  'e',  1,	   24,
					   2,	 2,    7,    'a',  0x1b, '[',  0,    '\n', 0x7f,
					   'b',	 3,    11,   0xc2, 0x9b, 0xe2, 0x80, 0xae, 'c',
					   0xef, 0xbb, 0xbf, '\r', 'd',	 'e'};
	CHECK_NAMES(controls, "e.i", "one", "a?[???b", "??c??d", "func[4]");
	/* A count, a name, and a subsection that promise more than there is. */
	static const uint8_t count[] = {0,    16,   4,	  'n',	'a',  'm', 'e', 1,   9,
					0xff, 0xff, 0xff, 0xff, 0x0f, 2,   1,	'a', 3};
	CHECK_NAMES(count, "e.i", "one", "a", "func[3]", "func[4]");
	static const uint8_t length[] = {0, 13, 4, 'n', 'a', 'm', 'e', 1, 6, 2, 2, 1, 'a', 3, 9};
	CHECK_NAMES(length, "e.i", "one", "a", "func[3]", "func[4]");
	static const uint8_t size[] = {0, 11, 4, 'n', 'a', 'm', 'e', 1, 200, 1, 1, 2, 1};
	CHECK_NAMES(size, "e.i", "one", "func[2]", "func[3]", "func[4]");
	static const uint8_t no_name[] = {0, 2, 200, 'n'};
	CHECK_NAMES(no_name, "e.i", "one", "func[2]", "func[3]", "func[4]");
}

/* Names are cut between characters. */
static void test_long_names(void **state)
{
	uint8_t section[600] = {0, 0xc0, 4, 4, 'n', 'a', 'm', 'e', 1, 0xb6, 4, 1, 2, 0xb1, 4};
	char wanted[IMAGE_NAME_BYTES_MAX + 1] = "a";
	size_t at = 15;
	section[at++] = 'a';
	for (; at + 1 < 15 + 561; at += 2)
		memcpy(section + at, "\xc3\xbc", 2);
	for (size_t i = 1; i + 1 < IMAGE_NAME_BYTES_MAX; i += 2)
		memcpy(wanted + i, "\xc3\xbc", 2);
	section[1] = 0x80 | (574 & 0x7f); /* the section's size, 7 bytes of head and the rest */
	section[2] = 574 >> 7;
	section[9] = 0x80 | (566 & 0x7f);
	section[10] = 566 >> 7;
	section[13] = 0x80 | (561 & 0x7f);
	section[14] = 561 >> 7;
	wanted[IMAGE_NAME_BYTES_MAX] = '\0';
	check_names(section, 15 + 561 + 1,
		    (const char *const[]){"e.i", "one", wanted, "func[3]", "func[4]"});
}

static char dir[] = "/tmp/aot_names_test.XXXXXX";

/* Compiles TEXT to a shared object, and lists its symbols into "nm". */
static void compile(const char *text, struct eos_buf *elf)
{
	char path[64], command[512];
	(void)snprintf(path, sizeof(path), "%s/o.c", dir);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(command, sizeof(command),
		       "gcc -O1 -w -fPIC -shared -nostdlib -o %s/o.so %s/o.c && nm %s/o.so > %s/nm",
		       dir, dir, dir, dir);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/o.so", dir);
	eos_buf_clear(elf);
	assert_int_equal(eos_read_file(AT_FDCWD, path, 1 << 20, elf), 0);
}

#define FUNCTION(name, label)                                                                      \
	"__attribute__((noinline, used)) int " name "(int x) __asm__(\"" label "\");"              \
	"int " name "(int x) { return x * 3 + __LINE__; }\n"

static const char object[] = FUNCTION("a", "w2c_f2") FUNCTION("b", "w2c_x0")
	FUNCTION("c", "Z_hZ_i0") FUNCTION("d", "w2c_f3.cold") FUNCTION("e", "Z_mZ_x1") FUNCTION(
		"f", "w2c_f4.part.0.isra.1") FUNCTION("g", "w2c_f4.A") FUNCTION("h", "wasm_rt_trap")
		FUNCTION("i", "w2c_f5") FUNCTION("j", "w2c_f") FUNCTION("k", "w2c_f1_0")
			FUNCTION("l", "w2c_f99999999999")
				FUNCTION("m", "w2c_x2") "int w2c_f1 = 1;\n"
							"__asm__(\".globl w2c_f0\\n.type "
							"w2c_f0,@function\\n.set w2c_f0, w2c_f2\\n"
							".size w2c_f0, 3\\n\");\n";

static const struct {
	const char *symbol, *name;
	uint32_t function;
} expected[] = {
	{"w2c_f0", "e.i", 0}, /* the same code as w2c_f2: the first function is named */
	{"w2c_x0", "one", 1},
	{"Z_hZ_i0", "e.i", 0},
	{"w2c_f3.cold", "func[3].cold", 3},
	{"Z_mZ_x1", "one", 1},
	{"w2c_f4.part.0.isra.1", "func[4].part.0.isra.1", 4},
	{"w2c_f4.A", "func[4]", 4},
};

/* The address of SYMBOL, as nm says. */
static unsigned long nm_address(const char *symbol)
{
	char path[64], line[256];
	unsigned long address = 0;
	(void)snprintf(path, sizeof(path), "%s/nm", dir);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (address == 0 && fgets(line, sizeof(line), file) != NULL) {
		char *name = line + 19;
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) > 19 && strcmp(name, symbol) == 0)
			address = strtoul(line, NULL, 16);
	}
	(void)fclose(file);
	if (address == 0)
		fail_msg("no symbol %s", symbol);
	return address;
}

static void test_map(void **state)
{
	static const uint8_t bytes[] = {MODULE};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf elf = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct aot_module module;
	struct aot_names names;
	struct eos_why why = {""};
	read_names(bytes, sizeof(bytes), &module, &names);
	compile(object, &elf);
	assert_int_equal(aot_map_write((const uint8_t *)elf.data, elf.len, &names, &section, &why),
			 0);
	assert_int_equal(image_names_check(section.data, section.len, &why), 0);
	/* What is no function of this module is not there. */
	assert_int_equal(image_names_count(section.data, section.len), EOS_ARRAY_SIZE(expected));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(expected); i++) {
		struct image_name found;
		unsigned long address = nm_address(expected[i].symbol);
		assert_true(image_names_find(section.data, section.len, address, &found));
		assert_int_equal(found.offset, address);
		assert_int_equal(found.function, expected[i].function);
		assert_string_equal(found.name, expected[i].name);
	}
	struct image_name found;
	assert_false(
		image_names_find(section.data, section.len, nm_address("wasm_rt_trap"), &found));
	aot_names_fini(&names);
	aot_module_fini(&module);
}

static void test_strip(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf elf = {0};
	struct aot_elf_symbol *symbols = NULL;
	uint32_t count;
	char path[64], command[256];
	size_t size = 0;
	compile(object, &elf);
	uint8_t *bytes = (uint8_t *)elf.data;
	assert_int_equal(aot_elf_functions(bytes, elf.len, &symbols, &count), 0);
	assert_true(count >= EOS_ARRAY_SIZE(expected));
	free(symbols);
	assert_int_equal(aot_elf_strip(bytes, elf.len, &size), 0);
	assert_true(size < elf.len);
	assert_int_equal(aot_elf_functions(bytes, size, &symbols, &count), -ENOEXEC);
	(void)snprintf(path, sizeof(path), "%s/s.so", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(eos_write_full(fd, bytes, size), 0);
	close(fd);
	/* Still a shared object with its dynamic symbols, and nothing to say about it. */
	(void)snprintf(command, sizeof(command),
		       "readelf -hW %s/s.so 2>&1 | grep -q 'section headers: *0$' && "
		       "readelf -DsW %s/s.so 2>%s/err | grep -q w2c_f2 && ! test -s %s/err",
		       dir, dir, dir, dir);
	assert_int_equal(system(command), 0);
}

/* Every byte of the tables, and every length: an error or a section that is good. */
static void test_damaged_objects(void **state)
{
	static const uint8_t module_bytes[] = {MODULE};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf elf = {0};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct aot_module module;
	struct aot_names names;
	struct eos_why why = {""};
	size_t stripped = 0;
	read_names(module_bytes, sizeof(module_bytes), &module, &names);
	compile(object, &elf);
	uint8_t *bytes = test_malloc(elf.len);
	memcpy(bytes, elf.data, elf.len);
	assert_int_equal(aot_elf_strip((uint8_t *)elf.data, elf.len, &stripped), 0);
	for (size_t at = 0; at < elf.len; at += at < 1024 || at >= stripped ? 1 : 509) {
		uint8_t old = bytes[at];
		bytes[at] ^= (uint8_t)(1u << at % 8) | 0x80;
		eos_buf_clear(&section);
		int err = aot_map_write(bytes, elf.len, &names, &section, &why);
		if (err == 0)
			assert_int_equal(image_names_check(section.data, section.len, &why), 0);
		else
			assert_int_equal(err, -EIO);
		bytes[at] = old;
	}
	for (size_t len = 0; len < elf.len; len += 31) {
		uint8_t *part = test_malloc(len + 1);
		memcpy(part, bytes, len);
		eos_buf_clear(&section);
		assert_int_equal(aot_map_write(part, len, &names, &section, &why), -EIO);
		int err = aot_elf_strip(part, len, &stripped);
		assert_true(err == -ENOEXEC || (err == 0 && stripped <= len));
		test_free(part);
	}
	test_free(bytes);
	aot_names_fini(&names);
	aot_module_fini(&module);
}

static int setup(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	char command[64];
	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_section),
		cmocka_unit_test(test_section),
		cmocka_unit_test(test_hostile_section),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_damaged_objects),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
