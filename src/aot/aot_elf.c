#include "aot/aot_elf.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* COUNT entries of ENTRY_SIZE at OFFSET are inside of SIZE bytes. */
static bool fits(size_t size, uint64_t offset, uint64_t count, size_t entry_size)
{
	return offset <= size && count <= (size - offset) / entry_size;
}

static int read_header(const uint8_t *elf, size_t size, Elf64_Ehdr *ret_header)
{
	if (size < sizeof(*ret_header))
		return -ENOEXEC;
	memcpy(ret_header, elf, sizeof(*ret_header));
	const unsigned char *ident = ret_header->e_ident;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_CLASS] != ELFCLASS64 ||
	    ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	return 0;
}

static Elf64_Shdr section_at(const uint8_t *elf, const Elf64_Ehdr *header, uint32_t index)
{
	Elf64_Shdr section;
	memcpy(&section, elf + header->e_shoff + index * sizeof(section), sizeof(section));
	return section;
}

/* The symbol table and its strings, which end with a zero byte. */
static int find_symbols(const uint8_t *elf, size_t size, Elf64_Shdr *ret_symbols,
			Elf64_Shdr *ret_strings)
{
	Elf64_Ehdr header;
	int err = read_header(elf, size, &header);
	if (err < 0)
		return err;
	if (header.e_shentsize != sizeof(Elf64_Shdr) ||
	    !fits(size, header.e_shoff, header.e_shnum, sizeof(Elf64_Shdr)))
		return -ENOEXEC;
	for (uint32_t i = 0; i < header.e_shnum; i++) {
		Elf64_Shdr symbols = section_at(elf, &header, i);
		if (symbols.sh_type != SHT_SYMTAB)
			continue;
		if (symbols.sh_link >= header.e_shnum || symbols.sh_entsize != sizeof(Elf64_Sym) ||
		    !fits(size, symbols.sh_offset, symbols.sh_size, 1))
			return -ENOEXEC;
		Elf64_Shdr strings = section_at(elf, &header, symbols.sh_link);
		if (strings.sh_type != SHT_STRTAB || strings.sh_size == 0 ||
		    !fits(size, strings.sh_offset, strings.sh_size, 1) ||
		    elf[strings.sh_offset + strings.sh_size - 1] != '\0')
			return -ENOEXEC;
		*ret_symbols = symbols;
		*ret_strings = strings;
		return 0;
	}
	return -ENOEXEC;
}

int aot_elf_functions(const uint8_t *elf, size_t size, struct aot_elf_symbol **ret_symbols,
		      uint32_t *ret_count)
{
	Elf64_Shdr table, strings;
	int err = find_symbols(elf, size, &table, &strings);
	if (err < 0)
		return err;
	uint64_t symbols_count = table.sh_size / sizeof(Elf64_Sym);
	struct aot_elf_symbol *symbols = calloc((size_t)symbols_count + 1, sizeof(*symbols));
	if (symbols == NULL)
		return -ENOMEM;
	uint32_t count = 0;
	for (uint64_t i = 0; i < symbols_count; i++) {
		Elf64_Sym symbol;
		memcpy(&symbol, elf + table.sh_offset + i * sizeof(symbol), sizeof(symbol));
		if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF ||
		    symbol.st_size == 0)
			continue;
		if (symbol.st_name >= strings.sh_size) {
			free(symbols);
			return -ENOEXEC;
		}
		const char *name = (const char *)elf + strings.sh_offset + symbol.st_name;
		symbols[count++] = (struct aot_elf_symbol){symbol.st_value, symbol.st_size, name};
	}
	*ret_symbols = symbols;
	*ret_count = count;
	return 0;
}

int aot_elf_strip(uint8_t *elf, size_t size, size_t *ret_size)
{
	Elf64_Ehdr header;
	int err = read_header(elf, size, &header);
	if (err < 0)
		return err;
	if (header.e_phentsize != sizeof(Elf64_Phdr) ||
	    !fits(size, header.e_phoff, header.e_phnum, sizeof(Elf64_Phdr)))
		return -ENOEXEC;
	uint64_t end = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
	for (uint32_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, elf + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (!fits(size, segment.p_offset, segment.p_filesz, 1))
			return -ENOEXEC;
		if (segment.p_offset + segment.p_filesz > end)
			end = segment.p_offset + segment.p_filesz;
	}
	if (end < sizeof(header))
		return -ENOEXEC;
	header.e_shoff = 0;
	header.e_shnum = 0;
	header.e_shstrndx = SHN_UNDEF;
	memcpy(elf, &header, sizeof(header));
	*ret_size = (size_t)end;
	return 0;
}
