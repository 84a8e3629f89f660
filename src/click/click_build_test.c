/*
 * From a configuration's text to a module.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "click/click_build.h"

static int build(const char *text, struct eos_buf *module, struct eos_buf *errors,
		 struct eos_why *why)
{
	char dir[] = "/tmp/click_build_test.XXXXXX";
	assert_non_null(mkdtemp(dir));
	int err = click_build("a\"b\\.click", text, strlen(text), dir, module, errors, why);
	/* It is empty again, whatever happened. */
	assert_int_equal(rmdir(dir), 0);
	return err;
}

static bool has(const struct eos_buf *module, const char *text)
{
	return memmem(module->data, module->len, text, strlen(text)) != NULL;
}

static void test_module(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0}, errors = {0};
	struct eos_why why = {""};
	static const char text[] = "FromDevice(0) -> c :: Counter -> ToDevice(1) // \"?\?/\\\n";
	assert_int_equal(build(text, &module, &errors, &why), 0);
	assert_int_equal(errors.len, 0);
	assert_memory_equal(module.data, "\0asm\1\0\0\0", 8);
	static const char *const wanted[] = {"edgeos_packet", "edgeos_timer", "edgeos_init", text,
					     "a\"b\\.click",  "Counter"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(wanted); i++)
		assert_true(has(&module, wanted[i]));
	/* Elements that it does not name are not in it. */
	assert_false(has(&module, "RatedSource"));
}

static void test_mistakes(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0}, errors = {0};
	struct eos_why why = {""};
	assert_int_equal(build("x :: Cuonter\n\ny :: Queu", &module, &errors, &why), -EINVAL);
	assert_int_equal(module.len, 0);
	assert_string_equal(errors.data,
			    "a\"b\\.click:1: unknown element class 'Cuonter'; did you mean "
			    "'Counter'?\n"
			    "a\"b\\.click:3: unknown element class 'Queu'; did you mean "
			    "'Queue'?\n");
	assert_string_equal(why.text, "a\"b\\.click:1: unknown element class 'Cuonter'; did you "
				      "mean 'Counter'?");
	eos_buf_clear(&errors);
	assert_int_equal(click_check("f", "x :: Idle", 9, &errors), 0);
	assert_int_equal(click_check("f", "x :: ", 5, &errors), -EINVAL);
	assert_string_equal(errors.data, "f:1: the file ends where an element class is expected\n");
}

static void test_no_directory(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0}, errors = {0};
	struct eos_why why = {""};
	assert_int_equal(click_build("f", "", 0, "/nowhere", &module, &errors, &why), -ENOENT);
	assert_string_equal(why.text,
			    "cannot make a directory in /nowhere: No such file or directory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_module),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_no_directory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
