/*
 * A loader for one kind of ELF file only: the shared objects that edge-aot links.
 *
 * Accepted: ET_DYN for this machine; PT_LOAD segments in ascending order that share no page, none
 * both writable and executable, exactly one executable; PT_DYNAMIC; PT_GNU_STACK without X;
 * PT_GNU_RELRO; notes and unwind tables, which are ignored. Relocations: relative, absolute,
 * and the two kinds of table slots, into writable segments. Undefined symbols: those of
 * fwp_symbols.c. Refused: thread-local storage, IFUNC, constructors, DT_NEEDED, text relocations,
 * an interpreter, and whatever is not named here. dlopen() would accept all of that, run code of
 * the file while loading, and trust its offsets.
 *
 * How a damaged file cannot hurt:
 * 1. Headers are read from the file with read_file(), which checks bounds. A segment is copied into
 *    fresh memory; afterwards only that copy is read.
 * 2. Everything that the file calls an address is turned into a pointer by at(), which answers
 *    only if the whole object lies in one segment.
 * 3. Relocations write 8 bytes inside a writable segment and nothing else. Entries of tables are
 *    copied before they are checked, as a relocation may change the tables themselves.
 * 4. Loops over the file's structures are bounded by counts that were checked against sizes.
 */
#include "fwp/fwp_elf_priv.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fault.h"
#include "fwp/fwp_machine_priv.h"

#define SPAN_MAX	(512u << 20) /* twice the largest file: room for zeroed data */
#define HEADERS_MAX	16
#define DYNAMICS_MAX	64
#define RELOCATIONS_MAX (16u << 20)

struct table {
	uint64_t address, size;
};

/* What loading needs to know and the loaded object does not. */
struct loader {
	const uint8_t *file;
	size_t size;
	struct fwp_elf elf;
	struct {
		uint64_t offset, size;
	} contents[FWP_ELF_SEGMENTS_MAX]; /* of the segments, in the file */
	size_t page;
	bool has_stack_header;
	struct table dynamic, relro;
	struct table symbols, strings, rela, jmprel;
	uint64_t hash;
	uint32_t buckets_count, symbols_count; /* from the hash table */
	struct eos_why *why;
};

#define BAD(loader, ...) eos_why((loader)->why, -ENOEXEC, "damaged image: " __VA_ARGS__)

static bool read_file(const struct loader *l, uint64_t offset, void *out, size_t len)
{
	if (offset > l->size || len > l->size - offset)
		return false;
	memcpy(out, l->file + offset, len);
	return true;
}

static const struct fwp_elf_segment *segment_of(const struct fwp_elf *elf, uint64_t address,
						uint64_t len)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		const struct fwp_elf_segment *s = &elf->segments[i];
		if (address >= s->address && address - s->address <= s->size &&
		    len <= s->size - (address - s->address))
			return s;
	}
	return NULL;
}

/* The LEN bytes at ADDRESS of the loaded copy, or NULL. */
static uint8_t *at(const struct loader *l, uint64_t address, uint64_t len)
{
	return segment_of(&l->elf, address, len) != NULL ? l->elf.base + address : NULL;
}

static uint64_t page_up(const struct loader *l, uint64_t value)
{
	return EOS_ALIGN_UP(value, (uint64_t)l->page);
}

static int read_header(struct loader *l, Elf64_Ehdr *ret_header)
{
	Elf64_Ehdr h;
	if (!read_file(l, 0, &h, sizeof(h)) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
		return BAD(l, "not an ELF file");
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
	    h.e_ident[EI_VERSION] != EV_CURRENT || h.e_version != EV_CURRENT)
		return BAD(l, "not a 64-bit little-endian ELF file");
	if (h.e_type != ET_DYN)
		return BAD(l, "not a shared object (type %u)", h.e_type);
	if (h.e_machine != fwp_machine_elf.machine)
		return BAD(l, "for another processor (ELF machine %u)", h.e_machine);
	if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum == 0 || h.e_phnum > HEADERS_MAX)
		return BAD(l, "%u program headers of %u bytes", h.e_phnum, h.e_phentsize);
	*ret_header = h;
	return 0;
}

static int add_segment(struct loader *l, const Elf64_Phdr *p)
{
	struct fwp_elf *elf = &l->elf;
	if (elf->segments_count == FWP_ELF_SEGMENTS_MAX)
		return BAD(l, "more than %d segments", FWP_ELF_SEGMENTS_MAX);
	if (p->p_filesz > p->p_memsz || p->p_offset > l->size ||
	    p->p_filesz > l->size - p->p_offset)
		return BAD(l, "a segment is beyond the end of the file");
	if (p->p_vaddr > SPAN_MAX || p->p_memsz > SPAN_MAX - p->p_vaddr)
		return BAD(l, "a segment is larger than %u bytes", SPAN_MAX);
	uint64_t end = 0;
	if (elf->segments_count > 0) {
		const struct fwp_elf_segment *last = &elf->segments[elf->segments_count - 1];
		end = page_up(l, last->address + last->size);
	}
	if (p->p_vaddr / l->page * l->page < end)
		return BAD(l, "segments overlap");
	if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return BAD(l, "a segment is writable and executable");
	enum fwp_elf_access access = FWP_ELF_READ;
	if ((p->p_flags & PF_X) != 0)
		access = FWP_ELF_EXECUTE;
	else if ((p->p_flags & PF_W) != 0)
		access = FWP_ELF_WRITE;
	l->contents[elf->segments_count].offset = p->p_offset;
	l->contents[elf->segments_count].size = p->p_filesz;
	elf->segments[elf->segments_count++] = (struct fwp_elf_segment){
		.address = p->p_vaddr, .size = p->p_memsz, .access = access};
	return 0;
}

static int add_program_header(struct loader *l, const Elf64_Phdr *p)
{
	switch (p->p_type) {
	case PT_LOAD:
		return add_segment(l, p);
	case PT_DYNAMIC:
		if (l->dynamic.size != 0)
			return BAD(l, "two dynamic sections");
		l->dynamic = (struct table){p->p_vaddr, p->p_memsz};
		return 0;
	case PT_GNU_RELRO:
		l->relro = (struct table){p->p_vaddr, p->p_memsz};
		return 0;
	case PT_GNU_STACK:
		if ((p->p_flags & PF_X) != 0)
			return BAD(l, "it asks for an executable stack");
		l->has_stack_header = true;
		return 0;
	case PT_NULL:
	case PT_NOTE:
	case PT_PHDR:
	case PT_GNU_EH_FRAME:
	case PT_GNU_PROPERTY:
		return 0;
	case PT_TLS:
		return BAD(l, "it has thread-local storage");
	case PT_INTERP:
		return BAD(l, "it has an interpreter");
	default:
		return BAD(l, "program header of type %#x", p->p_type);
	}
}

static int read_program_headers(struct loader *l)
{
	Elf64_Ehdr header = {0};
	int err = read_header(l, &header);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr p;
		if (header.e_phoff > l->size ||
		    !read_file(l, header.e_phoff + i * sizeof(p), &p, sizeof(p)))
			return BAD(l, "program headers are beyond the end of the file");
		if ((err = add_program_header(l, &p)) < 0)
			return err;
	}
	unsigned executables = 0;
	for (size_t i = 0; i < l->elf.segments_count; i++)
		executables += l->elf.segments[i].access == FWP_ELF_EXECUTE;
	if (executables != 1)
		return BAD(l, "%u executable segments instead of one", executables);
	if (l->dynamic.size == 0)
		return BAD(l, "it has no dynamic section");
	if (!l->has_stack_header)
		return BAD(l, "it does not say that its stack is not executable");
	return 0;
}

static int set_access(uint8_t *low, size_t len, int prot)
{
	int err = eos_fault("fwp.mprotect");
	if (err == 0 && mprotect(low, len, prot) < 0)
		err = -errno;
	return err;
}

/* The pages of a segment. */
static int protect(const struct fwp_elf *elf, const struct fwp_elf_segment *s, int prot)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t low = s->address / page * page;
	uint64_t high = EOS_ALIGN_UP(s->address + s->size, (uint64_t)page);
	return high > low ? set_access(elf->base + low, high - low, prot) : 0;
}

static int map_segments(struct loader *l)
{
	struct fwp_elf *elf = &l->elf;
	const struct fwp_elf_segment *last = &elf->segments[elf->segments_count - 1];
	elf->span = page_up(l, last->address + last->size);
	if (elf->span == 0)
		return BAD(l, "its segments are empty");
	int err = eos_fault("fwp.mmap");
	void *base = MAP_FAILED;
	if (err == 0)
		base = mmap(NULL, elf->span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
	if (base == MAP_FAILED)
		return eos_why(l->why, err < 0 ? err : -errno,
			       "no memory for the image's %zu bytes", elf->span);
	elf->base = base;
	for (size_t i = 0; i < elf->segments_count; i++) {
		err = protect(elf, &elf->segments[i], PROT_READ | PROT_WRITE);
		if (err < 0)
			return eos_why(l->why, err, "no memory for the image");
		memcpy(elf->base + elf->segments[i].address, l->file + l->contents[i].offset,
		       l->contents[i].size);
	}
	return 0;
}

static int add_dynamic(struct loader *l, const Elf64_Dyn *d, uint64_t *symbol_bytes)
{
	switch (d->d_tag) {
	case DT_HASH:
		l->hash = d->d_un.d_ptr;
		return 0;
	case DT_SYMTAB:
		l->symbols.address = d->d_un.d_ptr;
		return 0;
	case DT_SYMENT:
		*symbol_bytes = d->d_un.d_val;
		return 0;
	case DT_STRTAB:
		l->strings.address = d->d_un.d_ptr;
		return 0;
	case DT_STRSZ:
		l->strings.size = d->d_un.d_val;
		return 0;
	case DT_RELA:
		l->rela.address = d->d_un.d_ptr;
		return 0;
	case DT_RELASZ:
		l->rela.size = d->d_un.d_val;
		return 0;
	case DT_JMPREL:
		l->jmprel.address = d->d_un.d_ptr;
		return 0;
	case DT_PLTRELSZ:
		l->jmprel.size = d->d_un.d_val;
		return 0;
	case DT_RELAENT:
		return d->d_un.d_val == sizeof(Elf64_Rela) ? 0 : BAD(l, "odd relocations");
	case DT_PLTREL:
		return d->d_un.d_val == DT_RELA ? 0 : BAD(l, "odd relocations");
	case DT_FLAGS:
		if ((d->d_un.d_val & ~(uint64_t)(DF_SYMBOLIC | DF_BIND_NOW)) != 0)
			return BAD(l, "dynamic flags %#llx", (unsigned long long)d->d_un.d_val);
		return 0;
	case DT_FLAGS_1:
	case DT_PLTGOT:
	case DT_RELACOUNT:
	case DT_GNU_HASH:
	case DT_SONAME:
	case DT_SYMBOLIC:
	case DT_BIND_NOW:
	case DT_DEBUG:
		return 0;
	default:
		/* Among them DT_NEEDED, DT_INIT, DT_INIT_ARRAY, DT_FINI, DT_TEXTREL. */
		return BAD(l, "dynamic entry %#llx", (unsigned long long)d->d_tag);
	}
}

static int read_dynamic(struct loader *l)
{
	const uint8_t *entries = at(l, l->dynamic.address, l->dynamic.size);
	if (entries == NULL)
		return BAD(l, "its dynamic section is outside of its segments");
	uint64_t symbol_bytes = 0;
	for (size_t i = 0; i < DYNAMICS_MAX; i++) {
		Elf64_Dyn d;
		if ((i + 1) * sizeof(d) > l->dynamic.size)
			return BAD(l, "its dynamic section has no end");
		memcpy(&d, entries + i * sizeof(d), sizeof(d));
		if (d.d_tag == DT_NULL)
			return symbol_bytes == sizeof(Elf64_Sym) ? 0 : BAD(l, "odd symbols");
		int err = add_dynamic(l, &d, &symbol_bytes);
		if (err < 0)
			return err;
	}
	return BAD(l, "more than %d dynamic entries", DYNAMICS_MAX);
}

/* The hash table tells how many symbols there are. */
static int read_tables(struct loader *l)
{
	uint32_t counts[2];
	const uint8_t *hash = at(l, l->hash, sizeof(counts));
	if (l->hash == 0 || hash == NULL)
		return BAD(l, "it has no symbol hash table");
	memcpy(counts, hash, sizeof(counts));
	l->buckets_count = counts[0];
	l->symbols_count = counts[1];
	uint64_t hash_bytes = 4 * (UINT64_C(2) + counts[0] + counts[1]);
	l->symbols.size = (uint64_t)counts[1] * sizeof(Elf64_Sym);
	if (counts[0] == 0 || at(l, l->hash, hash_bytes) == NULL)
		return BAD(l, "its symbol hash table is cut");
	if (at(l, l->symbols.address, l->symbols.size) == NULL ||
	    at(l, l->strings.address, l->strings.size) == NULL)
		return BAD(l, "its symbol table is outside of its segments");
	const struct table *relocations[] = {&l->rela, &l->jmprel};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(relocations); i++) {
		const struct table *t = relocations[i];
		if (t->size % sizeof(Elf64_Rela) != 0 ||
		    t->size / sizeof(Elf64_Rela) > RELOCATIONS_MAX ||
		    (t->size > 0 && at(l, t->address, t->size) == NULL))
			return BAD(l, "its relocations are outside of its segments");
	}
	return 0;
}

static int read_symbol(const struct loader *l, uint64_t index, Elf64_Sym *ret_symbol,
		       const char **ret_name)
{
	if (index >= l->symbols_count)
		return BAD(l, "symbol %llu of %u", (unsigned long long)index, l->symbols_count);
	Elf64_Sym symbol;
	memcpy(&symbol, l->elf.base + l->symbols.address + index * sizeof(symbol), sizeof(symbol));
	if (symbol.st_name >= l->strings.size)
		return BAD(l, "the name of symbol %llu is cut", (unsigned long long)index);
	const char *name = (const char *)l->elf.base + l->strings.address + symbol.st_name;
	if (memchr(name, 0, l->strings.size - symbol.st_name) == NULL)
		return BAD(l, "the name of symbol %llu is cut", (unsigned long long)index);
	*ret_symbol = symbol;
	*ret_name = name;
	return 0;
}

/* The absolute value of a symbol: ours, or the C library's. */
static int resolve(const struct loader *l, uint64_t index, uint64_t *ret_value)
{
	Elf64_Sym symbol = {0};
	const char *name = NULL;
	int err = read_symbol(l, index, &symbol, &name);
	if (err < 0)
		return err;
	unsigned type = ELF64_ST_TYPE(symbol.st_info);
	if (symbol.st_shndx == SHN_UNDEF) {
		const void *function = fwp_symbol_find(name);
		if (function == NULL)
			return BAD(l, "undefined symbol \"%.100s\"", name);
		*ret_value = (uint64_t)(uintptr_t)function;
		return 0;
	}
	if (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE && type != STT_SECTION)
		return BAD(l, "symbol \"%.100s\" is of type %u", name, type);
	if (symbol.st_shndx >= SHN_LORESERVE || at(l, symbol.st_value, 0) == NULL)
		return BAD(l, "symbol \"%.100s\" is outside of its segments", name);
	*ret_value = (uint64_t)(uintptr_t)l->elf.base + symbol.st_value;
	return 0;
}

static int relocate_one(const struct loader *l, const Elf64_Rela *r)
{
	uint32_t type = ELF64_R_TYPE(r->r_info);
	const struct fwp_machine_elf *machine = &fwp_machine_elf;
	const struct fwp_elf_segment *target = segment_of(&l->elf, r->r_offset, 8);
	if (type == machine->none)
		return 0;
	if (target == NULL || target->access != FWP_ELF_WRITE)
		return BAD(l, "a relocation outside of its data");
	uint64_t value = 0;
	int err = 0;
	if (type == machine->relative) {
		if (at(l, (uint64_t)r->r_addend, 0) == NULL)
			return BAD(l, "a relocation to outside of its segments");
		value = (uint64_t)(uintptr_t)l->elf.base + (uint64_t)r->r_addend;
	} else if (type == machine->glob_dat || type == machine->jump_slot ||
		   type == machine->absolute) {
		err = resolve(l, ELF64_R_SYM(r->r_info), &value);
		value += (uint64_t)r->r_addend;
	} else {
		return BAD(l, "relocation of type %u", type);
	}
	if (err == 0)
		memcpy(l->elf.base + r->r_offset, &value, sizeof(value));
	return err;
}

static int relocate(const struct loader *l, const struct table *table)
{
	for (uint64_t i = 0; i < table->size / sizeof(Elf64_Rela); i++) {
		Elf64_Rela r;
		memcpy(&r, l->elf.base + table->address + i * sizeof(r), sizeof(r));
		int err = relocate_one(l, &r);
		if (err < 0)
			return err;
	}
	return 0;
}

/* The hash function of the System V ABI. */
static uint32_t hash_name(const char *name)
{
	uint32_t h = 0;
	for (; *name != '\0'; name++) {
		h = (h << 4) + (unsigned char)*name;
		uint32_t g = h & 0xf0000000u;
		h ^= g >> 24;
		h &= ~g;
	}
	return h;
}

static uint32_t hash_word(const struct loader *l, uint64_t index)
{
	uint32_t word;
	memcpy(&word, l->elf.base + l->hash + 4 * index, sizeof(word));
	return word;
}

static int find_symbol(struct loader *l, const char *name, size_t size)
{
	uint32_t index = hash_word(l, 2 + hash_name(name) % l->buckets_count);
	/* A chain that is a circle ends with the count. */
	for (uint32_t n = 0; index != STN_UNDEF && n < l->symbols_count; n++) {
		Elf64_Sym symbol = {0};
		const char *candidate = NULL;
		int err = read_symbol(l, index, &symbol, &candidate);
		if (err < 0)
			return err;
		if (strcmp(candidate, name) == 0 && symbol.st_shndx != SHN_UNDEF) {
			const uint8_t *p = at(l, symbol.st_value, size);
			if (p == NULL || symbol.st_size < size ||
			    ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || ((uintptr_t)p & 7) != 0)
				return BAD(l, "\"%s\" is not what it should be", name);
			l->elf.symbol = p;
			return 0;
		}
		index = hash_word(l, UINT64_C(2) + l->buckets_count + index);
	}
	return BAD(l, "it does not export \"%s\"", name);
}

/* Starts where the data segment starts; whole pages of it become read-only. */
static int protect_relro(struct loader *l)
{
	const struct fwp_elf_segment *s = segment_of(&l->elf, l->relro.address, 0);
	/* The end is rounded up to a page by some linkers, beyond the segment's own end. */
	if (s == NULL || s->access != FWP_ELF_WRITE || l->relro.address != s->address ||
	    l->relro.size > page_up(l, s->address + s->size) - s->address)
		return BAD(l, "its read-only data is outside of its segments");
	uint64_t low = s->address / l->page * l->page;
	uint64_t high = (s->address + l->relro.size) / l->page * l->page;
	if (high <= low)
		return 0;
	int err = set_access(l->elf.base + low, high - low, PROT_READ);
	if (err < 0)
		return eos_why(l->why, err, "cannot protect the image's memory");
	l->elf.relro_low = low;
	l->elf.relro_end = high;
	return 0;
}

static int protect_all(struct loader *l)
{
	static const int prot[] = {
		[FWP_ELF_READ] = PROT_READ,
		[FWP_ELF_WRITE] = PROT_READ | PROT_WRITE,
		[FWP_ELF_EXECUTE] = PROT_READ | PROT_EXEC,
	};
	const struct fwp_elf *elf = &l->elf;
	for (size_t i = 0; i < elf->segments_count; i++) {
		const struct fwp_elf_segment *s = &elf->segments[i];
		if (s->access == FWP_ELF_EXECUTE)
			__builtin___clear_cache((char *)elf->base + s->address,
						(char *)elf->base + s->address + s->size);
		int err = protect(elf, s, prot[s->access]);
		if (err < 0)
			return eos_why(l->why, err, "cannot protect the image's memory");
	}
	if (l->relro.size == 0)
		return 0;
	return protect_relro(l);
}

int fwp_elf_load(const void *file, size_t size, const char *symbol, size_t symbol_size,
		 struct fwp_elf *ret_elf, struct eos_why *why)
{
	struct loader l = {
		.file = file,
		.size = size,
		.page = (size_t)sysconf(_SC_PAGESIZE),
		.why = why,
	};
	int err = read_program_headers(&l);
	if (err == 0)
		err = map_segments(&l);
	if (err == 0)
		err = read_dynamic(&l);
	if (err == 0)
		err = read_tables(&l);
	if (err == 0)
		err = relocate(&l, &l.rela);
	if (err == 0)
		err = relocate(&l, &l.jmprel);
	if (err == 0)
		err = find_symbol(&l, symbol, symbol_size);
	if (err == 0)
		err = protect_all(&l);
	if (err < 0) {
		fwp_elf_unload(&l.elf);
		return err;
	}
	*ret_elf = l.elf;
	return 0;
}

void fwp_elf_unload(struct fwp_elf *elf)
{
	if (elf->base != NULL)
		(void)munmap(elf->base, elf->span);
	elf->base = NULL;
}

int fwp_elf_seal(const struct fwp_elf *elf)
{
	for (size_t i = 0; i < elf->segments_count; i++) {
		if (elf->segments[i].access != FWP_ELF_WRITE)
			continue;
		int err = protect(elf, &elf->segments[i], PROT_READ);
		if (err < 0)
			return err;
	}
	return 0;
}

bool fwp_elf_contains(const struct fwp_elf *elf, const void *pointer, uint64_t len,
		      enum fwp_elf_access access)
{
	uintptr_t address = (uintptr_t)pointer, base = (uintptr_t)elf->base;
	if (address < base)
		return false;
	const struct fwp_elf_segment *s = segment_of(elf, address - base, len);
	if (s == NULL || (access != FWP_ELF_READ && s->access != access))
		return false;
	uint64_t low = address - base;
	return access != FWP_ELF_WRITE || low + len <= elf->relro_low || low >= elf->relro_end;
}

bool fwp_elf_contains_text(const struct fwp_elf *elf, const char *pointer)
{
	uintptr_t address = (uintptr_t)pointer, base = (uintptr_t)elf->base;
	if (address < base)
		return false;
	const struct fwp_elf_segment *s = segment_of(elf, address - base, 1);
	return s != NULL && memchr(pointer, 0, s->size - (address - base - s->address)) != NULL;
}
