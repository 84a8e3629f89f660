/* What the loader says of where things are in an image that is mapped. */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fwp/fixtures/fixture.h"
#include "fwp/fwp_priv.h"

/* The fixture image's bytes, with all of its data read-only after relocation if WIDE_RELRO. */
static uint8_t *read_image(bool wide_relro, size_t *ret_size)
{
	uint8_t *elf = fixture_read("image", ret_size);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = 0;
	Elf64_Ehdr header;
	memcpy(&header, elf, sizeof(header));
	for (unsigned i = 0; wide_relro && i < header.e_phnum; i++) {
		uint8_t *at = elf + header.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr p;
		memcpy(&p, at, sizeof(p));
		if (p.p_type == PT_LOAD)
			end = EOS_ALIGN_UP(p.p_vaddr + p.p_memsz, page);
		if (p.p_type == PT_GNU_RELRO)
			p.p_memsz = end - p.p_vaddr;
		memcpy(at, &p, sizeof(p));
	}
	return elf;
}

/* Loading writes the host's functions into the image's tables: where it cannot, that is said. */
static void read_only_tables_are_refused(void **state)
{
	size_t size;
	struct eos_why why = {""};
	struct fwp_image image = {0};
	uint8_t *elf = read_image(true, &size);
	assert_int_equal(fwp_image_map(elf, size, &image, &why), -ENOEXEC);
	assert_non_null(strstr(why.text, "its tables are outside of its data"));
	assert_null(image.elf.base);
	free(elf);
}

static void what_is_read_only_is_not_writable(void **state)
{
	for (int wide = 0; wide < 2; wide++) {
		size_t size;
		struct eos_why why = {""};
		struct fwp_elf loaded;
		uint8_t *elf = read_image(wide, &size);
		assert_int_equal(fwp_elf_load(elf, size, IMAGE_EXPORTS_SYMBOL, 8, &loaded, &why),
				 0);
		const struct fwp_elf_segment *s = &loaded.segments[loaded.segments_count - 1];
		assert_int_equal(s->access, FWP_ELF_WRITE);
		const uint8_t *low = loaded.base + s->address;
		assert_true(fwp_elf_contains(&loaded, low, s->size, FWP_ELF_READ));
		assert_false(fwp_elf_contains(&loaded, low, s->size + 1, FWP_ELF_READ));
		assert_int_equal(fwp_elf_contains(&loaded, low + s->size - 8, 8, FWP_ELF_WRITE),
				 !wide);
		/* The linker's own part is, in either. */
		assert_false(fwp_elf_contains(&loaded, low, 8, FWP_ELF_WRITE));
		assert_false(fwp_elf_contains(&loaded, low, s->size, FWP_ELF_WRITE));
		fwp_elf_unload(&loaded);
		free(elf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_only_tables_are_refused),
		cmocka_unit_test(what_is_read_only_is_not_writable),
	};
	return cmocka_run_group_tests_name("fwp_elf", tests, NULL, NULL);
}
