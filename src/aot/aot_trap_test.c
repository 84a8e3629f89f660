/*
 * Names of real images: where a trap is, and whose name that place has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aot/aot_fixture_test.h"
#include "aot/aot_image_test.h"
#include "base/clock.h"
#include "image/image_names.h"

struct opened {
	struct image *image;
	struct test_image code;
	void *instance;
};

static void open_module(const struct eos_buf *module, const char *compiler, struct opened *opened)
{
	struct aot_config config = test_config();
	struct eos_why why = {""};
	config.compiler = compiler;
	if (aot_build(&config, "t.wasm", module->data, module->len, &opened->image, &why) < 0)
		fail_msg("%s", why.text);
	test_image_open(opened->image, test_dir, &opened->code);
	opened->instance = test_image_instantiate(&opened->code, NULL);
	assert_non_null(opened->instance);
}

static void open_text(const char *text, const char *options, const char *compiler,
		      struct opened *opened)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	test_assemble(text, options, &module);
	open_module(&module, compiler, opened);
}

static void close_opened(struct opened *opened)
{
	test_image_drop(opened->instance);
	test_image_close(&opened->code);
	image_close(opened->image);
}

/* The entry of the code at ADDRESS. */
static struct image_name name_at(const struct opened *opened, const void *address)
{
	struct image_name name;
	size_t size;
	const void *section = image_names(opened->image, &size);
	uint64_t offset = test_image_offset(&opened->code, address);
	if (!image_names_find(section, size, offset, &name))
		fail_msg("%llx has no name", (unsigned long long)offset);
	return name;
}

/* Calls the export with ARGUMENT: it traps, in code of this function. */
static void expect_trap_in(const struct opened *opened, const char *export, uint32_t argument,
			   enum image_trap trap, uint32_t function, const char *function_name)
{
	void (*volatile call)(void *, uint32_t) =
		(void (*)(void *, uint32_t))test_image_export(&opened->code, export, "i:");
	assert_non_null(call);
	test_host.trap = IMAGE_TRAP_NONE;
	if (setjmp(test_host.trapped) == 0)
		call(opened->instance, argument);
	assert_int_equal(test_host.trap, trap);
	struct image_name name = name_at(opened, test_host.trap_pc);
	assert_int_equal(name.function, function);
	/* Or a part that was split off, such as "divide.cold". */
	size_t len = strlen(function_name);
	if (strncmp(name.name, function_name, len) != 0 ||
	    (name.name[len] != '\0' && name.name[len] != '.'))
		fail_msg("%s is not %s", name.name, function_name);
}

/* "lost" and "quiet" are reached through the table only; nothing follows the call in "lost". */
static const char sample[] =
	"(module\n"
	" (memory 1)\n"
	" (global $g (mut i32) (i32.const 0))\n"
	" (table $t 3 funcref)\n"
	" (elem (table $t) (i32.const 0) func $lost $quiet $lost)\n"
	" (type $v (func (param i32)))\n"
	" (func $lost (type $v) unreachable)\n"
	" (func $quiet (type $v) (global.set $g (i32.div_u (i32.const 7) (local.get 0))))\n"
	" (func $by_table (export \"table\") (type $v)\n"
	"  (call_indirect $t (type $v) (i32.const 0) (local.get 0)))\n"
	" (func $fill_far (export \"fill\") (type $v)\n"
	"  (memory.fill (local.get 0) (i32.const 1) (i32.const 10))\n"
	"  (memory.copy (i32.const 0) (local.get 0) (i32.const 20)))\n"
	" (func $divide (export \"divide\") (export \"again\") (type $v)\n"
	"  (global.set $g (i32.div_u (i32.const 7) (local.get 0)))\n"
	"  (global.set $g (i32.rem_u (global.get $g) (local.get 0)))))\n";

static void check_traps(const char *options, const char *compiler, const char *const names[5])
{
	struct opened opened;
	open_text(sample, options, compiler, &opened);
	expect_trap_in(&opened, "table", 0, IMAGE_TRAP_UNREACHABLE, 0, names[0]);
	expect_trap_in(&opened, "table", 1, IMAGE_TRAP_DIVIDE_BY_ZERO, 1, names[1]);
	expect_trap_in(&opened, "table", 9, IMAGE_TRAP_CALL_INDIRECT, 2, names[2]);
	/* The check is in a helper of wasm2c's; once for each of two helpers. */
	expect_trap_in(&opened, "fill", 70000, IMAGE_TRAP_OUT_OF_BOUNDS, 3, names[3]);
	expect_trap_in(&opened, "fill", 65520, IMAGE_TRAP_OUT_OF_BOUNDS, 3, names[3]);
	expect_trap_in(&opened, "divide", 0, IMAGE_TRAP_DIVIDE_BY_ZERO, 4, names[4]);
	expect_trap_in(&opened, "again", 0, IMAGE_TRAP_DIVIDE_BY_ZERO, 4, names[4]);
	static const char *const exports[] = {"table", "fill", "divide", "again"};
	static const uint32_t functions[] = {2, 3, 4, 4};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(exports); i++) {
		void (*call)(void) = test_image_export(&opened.code, exports[i], "i:");
		struct image_name name = name_at(&opened, (const void *)call);
		assert_int_equal(name.function, functions[i]);
		assert_string_equal(name.name, names[functions[i]]);
		assert_int_equal(name.offset, test_image_offset(&opened.code, (const void *)call));
	}
	/* Our own code has no name. */
	struct image_name name;
	size_t size;
	const void *section = image_names(opened.image, &size);
	uint64_t offset =
		test_image_offset(&opened.code, (const void *)opened.code.exports->instantiate);
	assert_false(image_names_find(section, size, offset, &name));
	close_opened(&opened);
}

static void test_names(void **state)
{
	static const char *const names[] = {"lost", "quiet", "by_table", "fill_far", "divide"};
	static const char *const compilers[] = {AOT_COMPILERS};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(compilers); i++)
		check_traps("--debug-names", compilers[i], names);
}

static void test_no_names(void **state)
{
	static const char *const names[] = {"func[0]", "func[1]", "table", "fill", "divide"};
	check_traps("", NULL, names);
}

/* A damaged name section harms nobody, and names that are commands to a terminal become harmless.
 */
static void test_hostile_names(void **state)
{
	/* Functions' names: of 0, of 77, which is not there, and of 1, which ends too late. */
	static const uint8_t section[] = {
		0,   25,  4,   'n', 'a',  'm', 'e', 1,	18, 3,	 0, 9,	 27,  '[',
		'2', 'J', '"', ';', '\n', '*', '/', 77, 1,  'x', 1, 200, 'y',
	};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	struct opened opened;
	test_assemble(sample, "", &module);
	assert_int_equal(eos_buf_append(&module, section, sizeof(section)), 0);
	open_module(&module, NULL, &opened);
	expect_trap_in(&opened, "table", 0, IMAGE_TRAP_UNREACHABLE, 0, "?[2J\";?*/");
	expect_trap_in(&opened, "table", 1, IMAGE_TRAP_DIVIDE_BY_ZERO, 1, "func[1]");
	expect_trap_in(&opened, "divide", 0, IMAGE_TRAP_DIVIDE_BY_ZERO, 4, "divide");
	close_opened(&opened);
}

/* gcc takes minutes for these when it optimises their registration. */
static void test_many_types(void **state)
{
	enum { TYPES = 1000, PARAMETERS = 60 };
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct aot_config config = test_config();
	(void)eos_buf_puts(&text, "(module (table 1 funcref)\n");
	for (unsigned i = 0; i < TYPES; i++) {
		(void)eos_buf_printf(&text, "(type $t%u (func (param", i);
		for (unsigned j = 0; j < PARAMETERS; j++)
			(void)eos_buf_puts(&text, (i >> j % 10 & 1) != 0 ? " i64" : " i32");
		(void)eos_buf_puts(&text, ")))\n");
	}
	(void)eos_buf_puts(&text, "(func (type $t999)))\n");
	assert_false(eos_buf_failed(&text));
	config.timeout_ns = 40 * EOS_NS_PER_S;
	image_close(test_build(&config, text.data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_names),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_many_types),
	};
	return cmocka_run_group_tests(tests, test_setup, test_teardown);
}
