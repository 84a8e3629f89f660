#include "image/image_names.h"

#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Two parts of one function share a name, and the third begins where the second ends. */
static struct image_name entries[] = {
	{16, 16, 3, "start"},
	{32, 1, 1, "\xc3\xbc"},
	{33, 7, 0, "env.f"},
	{100, UINT32_MAX - 100, 2, "last"},
};

static void encode(struct eos_buf *section)
{
	struct eos_why why = {""};
	eos_buf_clear(section);
	assert_int_equal(image_names_encode(entries, EOS_ARRAY_SIZE(entries), section), 0);
	if (image_names_check(section->data, section->len, &why) < 0)
		fail_msg("%s", why.text);
}

static void expect(const struct eos_buf *section, uint64_t offset, const char *name)
{
	struct image_name found;
	bool is_found = image_names_find(section->data, section->len, offset, &found);
	if (is_found != (name != NULL))
		fail_msg("%llu", (unsigned long long)offset);
	if (is_found)
		assert_string_equal(found.name, name);
}

static void test_find(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	encode(&section);
	static const struct {
		uint64_t offset;
		const char *name;
	} cases[] = {
		{0, NULL},
		{15, NULL},
		{16, "start"},
		{31, "start"},
		{32, "\xc3\xbc"},
		{33, "env.f"},
		{39, "env.f"},
		{40, NULL},
		{99, NULL},
		{100, "last"},
		{UINT32_MAX - 1, "last"},
		{UINT32_MAX, NULL},
		{UINT64_C(1) << 32, NULL},
		{UINT64_MAX, NULL},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++)
		expect(&section, cases[i].offset, cases[i].name);
	struct image_name found;
	assert_true(image_names_find(section.data, section.len, 35, &found));
	assert_int_equal(found.offset, 33);
	assert_int_equal(found.size, 7);
	assert_int_equal(found.function, 0);
	assert_int_equal(image_names_count(section.data, section.len), EOS_ARRAY_SIZE(entries));
}

/* No names at all are good too. */
static void test_empty(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct eos_why why = {""};
	struct image_name found;
	assert_int_equal(image_names_check("", 0, &why), 0);
	assert_false(image_names_find("", 0, 5, &found));
	assert_int_equal(image_names_count("", 0), 0);
	assert_int_equal(image_names_encode(NULL, 0, &section), 0);
	assert_int_equal(section.len, 4);
	assert_int_equal(image_names_check(section.data, section.len, &why), 0);
	assert_false(image_names_find(section.data, section.len, 5, &found));
}

/* A text that follows itself is stored once. */
static void test_shared_text(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	static const char name[] = "name";
	const struct image_name shared[] = {{1, 1, 0, name}, {2, 1, 0, name}};
	struct eos_why why = {""};
	assert_int_equal(image_names_encode(shared, 2, &section), 0);
	assert_int_equal(section.len, 4 + 2 * 16 + sizeof(name));
	assert_int_equal(image_names_check(section.data, section.len, &why), 0);
	expect(&section, 2, "name");
}

static void put_u32(struct eos_buf *section, size_t at, uint32_t value)
{
	value = htole32(value);
	memcpy(section->data + at, &value, sizeof(value));
}

#define TEXT_AT (4 + 16 * EOS_ARRAY_SIZE(entries))

static void test_refused(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
	} cases[] = {
		{"more entries than bytes", 0, 1000},
		{"so many that a product overflows", 0, UINT32_MAX},
		{"fewer: the text begins with an entry", 0, 3},
		{"descending", 4, 90},
		{"overlapping", 4 + 4, 17},
		{"empty", 4 + 4, 0},
		{"beyond 32 bits", 4 + 3 * 16 + 4, UINT32_MAX},
		{"a name outside of the text", 4 + 12, 100000},
		{"a name at the text's end", 4 + 12, 6 + 3 + 6 + 5},
		{"a name within a name", 4 + 12, 1},
		{"a control character", TEXT_AT, 0x1b626364},
		{"a line end", TEXT_AT, 0x610a6263},
		{"not UTF-8", TEXT_AT, 0x61ff6263},
		{"C1", TEXT_AT, 0x629bc261},
		{"an empty name", TEXT_AT, 0x61000062},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct eos_why why = {""};
		encode(&section);
		put_u32(&section, cases[i].at, cases[i].value);
		if (image_names_check(section.data, section.len, &why) != -ENOEXEC)
			fail_msg("%s", cases[i].what);
		assert_string_equal(why.text,
				    "the image is damaged: its table of functions' names");
	}
	/* Cut anywhere, the last zero byte too. */
	struct eos_why why = {""};
	encode(&section);
	for (size_t len = 1; len < section.len; len++) {
		bool is_whole_name = len > TEXT_AT && section.data[len - 1] == '\0';
		if (image_names_check(section.data, len, &why) == 0 && !is_whole_name)
			fail_msg("cut at %zu", len);
	}
	/* A name that is too long. */
	char name[IMAGE_NAME_BYTES_MAX + 2];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	const struct image_name one = {1, 1, 0, name};
	eos_buf_clear(&section);
	assert_int_equal(image_names_encode(&one, 1, &section), 0);
	assert_int_equal(image_names_check(section.data, section.len, &why), -ENOEXEC);
	name[IMAGE_NAME_BYTES_MAX] = '\0';
	eos_buf_clear(&section);
	assert_int_equal(image_names_encode(&one, 1, &section), 0);
	assert_int_equal(image_names_check(section.data, section.len, &why), 0);
}

/* Each byte in turn with each value: what passes the check can be looked up without harm, which the
 * sanitizers see. */
static void test_damaged(void **state)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	unsigned passed = 0;
	encode(&section);
	char *exact = test_malloc(section.len);
	memcpy(exact, section.data, section.len);
	for (size_t at = 0; at < section.len; at++) {
		for (unsigned value = 0; value < 256; value++) {
			struct eos_why why = {""};
			exact[at] = (char)value;
			if (image_names_check(exact, section.len, &why) == 0) {
				for (uint64_t offset = 0; offset < 120; offset++) {
					struct image_name found;
					if (image_names_find(exact, section.len, offset, &found))
						assert_true(strlen(found.name) > 0);
				}
				passed++;
			}
		}
		exact[at] = section.data[at];
	}
	assert_true(passed > 0);
	test_free(exact);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),	    cmocka_unit_test(test_empty),
		cmocka_unit_test(test_shared_text), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_damaged),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
