#include "fwp/fwp_names_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct image_name entries[] = {
	{0x1000, 0x200, 3, "main"},
	{0x1200, 1, 4,
	 "gr\xc3\xb6\xc3\x9f"
	 "e"},
	{0x10000000, 0xe0000000, 5, "huge.cold"},
};

static struct fwp_names *make_names(void)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct eos_why why = {""};
	assert_int_equal(image_names_encode(entries, EOS_ARRAY_SIZE(entries), &section), 0);
	assert_int_equal(image_names_check(section.data, section.len, &why), 0);
	struct fwp_names *names = fwp_names_new(section.data, section.len);
	assert_non_null(names);
	return names;
}

static void expect(const struct fwp_names *names, uint64_t offset, const char *wanted)
{
	char text[FWP_NAMES_TEXT_SIZE];
	assert_int_equal(fwp_names_describe(names, offset, text, sizeof(text)), strlen(wanted));
	assert_string_equal(text, wanted);
}

static void expect_none(const struct fwp_names *names, uint64_t offset)
{
	char text[FWP_NAMES_TEXT_SIZE] = "as it was";
	assert_int_equal(fwp_names_describe(names, offset, text, sizeof(text)), -ENOENT);
	assert_string_equal(text, "as it was");
}

static void test_describe(void **state)
{
	struct fwp_names *names = make_names();
	expect(names, 0x1000, "main+0x0");
	expect(names, 0x11a3, "main+0x1a3");
	expect(names, 0x11ff, "main+0x1ff");
	expect(names, 0x1200,
	       "gr\xc3\xb6\xc3\x9f"
	       "e+0x0");
	expect(names, 0x10000000, "huge.cold+0x0");
	expect(names, 0xefffffff, "huge.cold+0xdfffffff");
	expect_none(names, 0xfff);
	expect_none(names, 0x1201);
	expect_none(names, 0xf0000000);
	expect_none(names, UINT64_MAX);
	expect_none(names, UINT64_C(0x100001000));
	assert_null(fwp_names_free(names));
	assert_null(fwp_names_free(NULL));
}

static void test_without_names(void **state)
{
	struct fwp_names *names = fwp_names_new(NULL, 0);
	assert_non_null(names);
	expect_none(names, 0);
	expect_none(NULL, 0x1000);
	fwp_names_free(names);
}

/* For each size of the caller's buffer: a C string inside of it, and whole characters. */
static void test_small_buffers(void **state)
{
	static const struct {
		size_t size;
		const char *text;
	} cases[] = {
		{1, ""},
		{2, "g"},
		{3, "gr"},
		{4, "gr"},
		{5, "gr\xc3\xb6"},
		{6, "gr\xc3\xb6"},
		{7, "gr\xc3\xb6\xc3\x9f"},
		{8, "gr\xc3\xb6\xc3\x9f"
		    "e"},
		{9, "gr\xc3\xb6\xc3\x9f"
		    "e"},
		{11, "gr\xc3\xb6\xc3\x9f"
		     "e"},
		{12, "gr\xc3\xb6\xc3\x9f"
		     "e+0x0"},
	};
	struct fwp_names *names = make_names();
	char *none = NULL;
	assert_int_equal(fwp_names_describe(names, 0x1200, none, 0), -EINVAL);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		char *text = test_malloc(cases[i].size);
		assert_int_equal(fwp_names_describe(names, 0x1200, text, cases[i].size),
				 strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
		test_free(text);
	}
	fwp_names_free(names);
}

static const struct fwp_names *described;
static char described_text[FWP_NAMES_TEXT_SIZE];
static volatile int described_len;

static void on_signal(int signal_number)
{
	described_len =
		fwp_names_describe(described, 0x11a3, described_text, sizeof(described_text));
}

static void test_in_signal(void **state)
{
	struct fwp_names *names = make_names();
	const struct sigaction action = {.sa_handler = on_signal};
	struct sigaction before;
	described = names;
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	assert_int_equal(described_len, strlen("main+0x1a3"));
	assert_string_equal(described_text, "main+0x1a3");
	fwp_names_free(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_without_names),
		cmocka_unit_test(test_small_buffers),
		cmocka_unit_test(test_in_signal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
