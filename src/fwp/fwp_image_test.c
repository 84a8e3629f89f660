#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fwp/fixtures/fixture.h"
#include "fwp/fwp_priv.h"

static void loads_and_knows_its_exports(void **state)
{
	struct fwp_image *image = fixture_load("image");
	assert_true(fwp_image_has_export(image, "_start", ":"));
	assert_true(fwp_image_has_export(image, "other", "i:"));
	assert_false(fwp_image_has_export(image, "other", ":"));
	assert_false(fwp_image_has_export(image, "another", ":"));
	assert_ptr_equal(fwp_image_ref(image), image);
	assert_null(fwp_image_unref(image));
	assert_null(fwp_image_unref(image));
	assert_null(fwp_image_unref(NULL));
}

static void odd_images_are_refused_by_name(void **state)
{
	static const struct {
		const char *name;
		int err;
		const char *text;
	} cases[] = {
		{"missing", -ENOSYS, "\"test\" \"missing\""},
		{"signature", -ENOSYS, "\"test\" \"wait\" as (I:i), but the host's is (i:i)"},
		{"tls", -ENOEXEC, "thread-local"},
		{"constructor", -ENOEXEC, "dynamic entry 0x19"},
		{"undefined", -ENOEXEC, "\"getpid\""},
		{"ifunc", -ENOEXEC, ""},
		{"abi", -ENOEXEC, "image of ABI version"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct eos_why why = {""};
		struct fwp_image *image = NULL;
		int err = fixture_try_load(cases[i].name, FIXTURE_PAGES, &image, &why);
		if (err != cases[i].err || strstr(why.text, cases[i].text) == NULL)
			fail_msg("%s: %d: %s", cases[i].name, err, why.text);
		assert_null(image);
	}
}

static void image_without_start_is_refused_as_a_program(void **state)
{
	struct fwp_engine *engine = fixture_engine(NULL);
	struct fwp_image *image = fixture_load("no_start");
	struct fwp *fwp = NULL;
	struct eos_why why = {""};
	assert_int_equal(fwp_new(engine, image, NULL, NULL, &fwp, &why), -EINVAL);
	assert_non_null(strstr(why.text, "_start"));
	fwp_image_unref(image);
	fwp_engine_free(engine);
}

static void (*exported)(void);

/* Calls the export twice, with a pause between. */
static void call_twice(struct fwp *fwp, void *instance)
{
	for (int i = 0; i < 2; i++) {
		fwp_host_leave(fwp);
		((void (*)(void *))exported)(instance);
		fwp_host_enter(fwp);
		fwp_block(fwp);
	}
}

static void entry_calls_exports(void **state)
{
	struct fwp_engine *engine = fixture_engine(NULL);
	struct fwp_image *image = fixture_load("image");
	struct fixture fixture = {.program = PROGRAM_MATH};
	struct fwp *fwp = NULL;
	struct eos_why why = {""};
	exported = fwp_image_find_export(image, "_start", ":");
	assert_non_null(exported);
	assert_null(fwp_image_find_export(image, "_start", "i:"));
	assert_null(fwp_image_find_export(image, "start", ":"));
	assert_int_equal(fwp_new_with_entry(engine, image, NULL, &fixture, call_twice, &fwp, &why),
			 0);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fixture.notes_count, 3);
	/* A trap in a later call ends the FWP like any other. */
	fixture.program = PROGRAM_TRAP_FIRST + IMAGE_TRAP_UNREACHABLE;
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_TRAP);
	fwp_free(fwp);
	/* When the entry returns, so does the program. */
	fixture.program = PROGRAM_RETURN;
	assert_int_equal(fwp_new_with_entry(engine, image, NULL, &fixture, call_twice, &fwp, &why),
			 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
	fwp_free(fwp);
	fwp_image_unref(image);
	/* "_start" need not be there. */
	image = fixture_load("no_start");
	assert_int_equal(fwp_new_with_entry(engine, image, NULL, &fixture, call_twice, &fwp, &why),
			 0);
	fwp_free(fwp);
	fwp_image_unref(image);
	fwp_engine_free(engine);
}

/* Maps the bytes as an image but runs no code of it. True when that succeeded. */
static bool try_bytes(const uint8_t *bytes, size_t size)
{
	struct eos_why why = {""};
	struct fwp_image image = {0};
	/* A copy of exactly this size, so that ASan sees a read beyond it. */
	uint8_t *copy = malloc(size > 0 ? size : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, size);
	int err = fwp_image_map(copy, size, &image, &why);
	free(copy);
	if (err == 0)
		fwp_elf_unload(&image.elf);
	else if (why.text[0] == '\0' || (err != -ENOEXEC && err != -ENOMEM))
		fail_msg("%d: %s", err, why.text);
	return err == 0;
}

static void damaged_files_are_refused_or_harmless(void **state)
{
	size_t size;
	uint8_t *elf = fixture_read("image", &size);
	assert_true(try_bytes(elf, size));
	unsigned refused = 0;
	for (size_t i = 0; i < size; i++) {
		/* Padding between the parts tells nothing, whatever is in it. */
		size_t step = i + 8 < size && memcmp(elf + i, "\0\0\0\0\0\0\0", 8) == 0 ? 7 : 1;
		static const uint8_t flips[] = {0xff, 0x01, 0x80};
		/* One a byte: more of them are in the corpus of fuzz_image, and take long where
		 * this runs emulated. */
		uint8_t flip = flips[i % EOS_ARRAY_SIZE(flips)];
		elf[i] ^= flip;
		refused += !try_bytes(elf, size);
		elf[i] ^= flip;
		i += step - 1;
	}
	assert_true(refused > 200);
	free(elf);
}

static void cut_files_are_refused(void **state)
{
	size_t size;
	uint8_t *elf = fixture_read("image", &size);
	Elf64_Ehdr header;
	memcpy(&header, elf, sizeof(header));
	size_t needed = 0;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr p;
		memcpy(&p, elf + header.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_LOAD)
			needed = p.p_offset + p.p_filesz;
	}
	assert_true(needed > 0 && needed <= size);
	for (size_t len = 0; len < needed; len += 1 + len / 50)
		assert_false(try_bytes(elf, len));
	assert_false(try_bytes(elf, needed - 1));
	assert_true(try_bytes(elf, needed));
	free(elf);
}

/* Applies CHANGE to each program header of TYPE and expects a refusal that says TEXT. */
static void check_header(uint32_t type, void (*change)(Elf64_Phdr *), const char *text)
{
	size_t size;
	uint8_t *elf = fixture_read("image", &size);
	Elf64_Ehdr header;
	memcpy(&header, elf, sizeof(header));
	for (unsigned i = 0; i < header.e_phnum; i++) {
		uint8_t *at = elf + header.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr p;
		memcpy(&p, at, sizeof(p));
		if (p.p_type == type)
			change(&p);
		memcpy(at, &p, sizeof(p));
	}
	struct eos_why why = {""};
	struct fwp_image image = {0};
	assert_int_equal(fwp_image_map(elf, size, &image, &why), -ENOEXEC);
	if (strstr(why.text, text) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, text);
	free(elf);
}

static void make_all_access(Elf64_Phdr *p)
{
	p->p_flags = PF_R | PF_W | PF_X;
}

static void make_data(Elf64_Phdr *p)
{
	p->p_flags = PF_R;
}

static void make_interpreter(Elf64_Phdr *p)
{
	p->p_type = PT_INTERP;
}

static void make_unknown(Elf64_Phdr *p)
{
	p->p_type = 0x12345678;
}

static void make_huge(Elf64_Phdr *p)
{
	p->p_memsz = UINT64_MAX - 4096;
}

static void move_beyond(Elf64_Phdr *p)
{
	p->p_vaddr = UINT64_MAX - 8;
}

static void make_null(Elf64_Phdr *p)
{
	p->p_type = PT_NULL;
}

static void wrong_headers_are_refused(void **state)
{
	check_header(PT_LOAD, make_all_access, "writable and executable");
	check_header(PT_LOAD, make_data, "0 executable segments");
	check_header(PT_LOAD, make_huge, "larger than");
	check_header(PT_GNU_STACK, make_all_access, "executable stack");
	check_header(PT_GNU_STACK, make_interpreter, "interpreter");
	check_header(PT_GNU_STACK, make_unknown, "0x12345678");
	check_header(PT_GNU_STACK, make_null, "does not say that its stack");
	check_header(PT_DYNAMIC, make_null, "no dynamic section");
	check_header(PT_DYNAMIC, move_beyond, "dynamic section is outside");
	check_header(PT_GNU_RELRO, move_beyond, "read-only data is outside");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_and_knows_its_exports),
		cmocka_unit_test(odd_images_are_refused_by_name),
		cmocka_unit_test(image_without_start_is_refused_as_a_program),
		cmocka_unit_test(entry_calls_exports),
		cmocka_unit_test(damaged_files_are_refused_or_harmless),
		cmocka_unit_test(cut_files_are_refused),
		cmocka_unit_test(wrong_headers_are_refused),
	};
	return cmocka_run_group_tests_name("fwp_image", tests, NULL, NULL);
}
