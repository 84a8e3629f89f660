/*
 * Which symbol is which function. wasm2c makes its identifiers of our names and of numbers
 * (aot_module_rewrite()):
 *
 *     w2c_f12    the function 12, if it is not exported
 *     w2c_x3     the function that export 3 is
 *     Z_mZ_x3    what the host calls for export 3; often the function itself, inlined
 *     Z_hZ_i7    what calls import 7
 *
 * Compilers append to them: .cold, .part.0, .constprop.0, .isra.0, .llvm.123. Everything else is
 * wasm2c's and our own runtime.
 */
#include "aot/aot_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot_elf.h"
#include "base/str.h"

#define SUFFIX_BYTES_MAX 32u
/* Of all names together. Behind it functions are called by their numbers: a hostile module shall
 * not make its image much larger than its code is. */
#define TEXT_BYTES_MAX (16u << 20)

struct entry {
	uint32_t offset, size, function;
	const char *suffix; /* in the object's bytes */
	size_t name;	    /* its start in the text */
};

/* A decimal number without sign; *TEXT is moved behind it. */
static bool take_number(const char **text, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *p = *text;
	for (; *p >= '0' && *p <= '9' && value <= UINT32_MAX; p++)
		value = value * 10 + (uint64_t)(*p - '0');
	if (p == *text || value > UINT32_MAX)
		return false;
	*text = p;
	*ret_value = value;
	return true;
}

static bool function_of(const struct aot_module *module, const char *symbol, uint32_t *ret_function,
			const char **ret_suffix)
{
	static const struct {
		const char *prefix;
		enum { FUNCTION, EXPORT, IMPORT } kind;
	} kinds[] = {
		{"w2c_f", FUNCTION}, {"w2c_x", EXPORT}, {"Z_mZ_x", EXPORT}, {"Z_hZ_i", IMPORT}};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		uint64_t number;
		if (!eos_str_starts_with(symbol, kinds[i].prefix))
			continue;
		symbol += strlen(kinds[i].prefix);
		if (!take_number(&symbol, &number) || (*symbol != '\0' && *symbol != '.'))
			return false;
		uint64_t end = kinds[i].kind == EXPORT ? module->exports_count
			       : kinds[i].kind == IMPORT
				       ? module->imports_count
				       : (uint64_t)module->imports_count + module->functions_count;
		if (number >= end)
			return false;
		*ret_function = kinds[i].kind == EXPORT ? module->exports[number].function
							: (uint32_t)number;
		*ret_suffix = symbol;
		return true;
	}
	return false;
}

/* Longer ones, and characters that no compiler uses, are left out. */
static bool is_suffix_plain(const char *suffix)
{
	size_t len = strspn(suffix, "abcdefghijklmnopqrstuvwxyz0123456789._");
	return suffix[len] == '\0' && len <= SUFFIX_BYTES_MAX;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	return x->function < y->function ? -1 : x->function > y->function;
}

/* Ascending, without those that begin inside of another: one code under two names. */
static uint32_t sort_entries(struct entry *entries, uint32_t count)
{
	uint32_t kept = 0;
	qsort(entries, count, sizeof(*entries), compare_entries);
	for (uint32_t i = 0; i < count; i++) {
		if (kept == 0 || entries[i].offset >= (uint64_t)entries[kept - 1].offset +
							      entries[kept - 1].size)
			entries[kept++] = entries[i];
	}
	return kept;
}

static uint32_t make_entries(const struct aot_elf_symbol *symbols, uint32_t count,
			     const struct aot_module *module, struct entry *entries)
{
	uint32_t used = 0;
	for (uint32_t i = 0; i < count; i++) {
		struct entry *entry = &entries[used];
		if (symbols[i].size > UINT32_MAX ||
		    symbols[i].address > UINT32_MAX - symbols[i].size ||
		    !function_of(module, symbols[i].name, &entry->function, &entry->suffix))
			continue;
		entry->offset = (uint32_t)symbols[i].address;
		entry->size = (uint32_t)symbols[i].size;
		used++;
	}
	return sort_entries(entries, used);
}

/* Appends the name of ENTRY and its zero byte. */
static void put_name(const struct aot_names *names, struct entry *entry, struct eos_buf *text)
{
	char name[IMAGE_NAME_BYTES_MAX + 1];
	const char *suffix = is_suffix_plain(entry->suffix) ? entry->suffix : "";
	if (text->len <= TEXT_BYTES_MAX)
		aot_names_get(names, entry->function, name);
	else
		(void)snprintf(name, sizeof(name), "func[%u]", entry->function);
	size_t len = strlen(name);
	size_t room = IMAGE_NAME_BYTES_MAX - strlen(suffix);
	if (len > room) {
		len = room;
		while (len > 0 && ((uint8_t)name[len] & 0xc0) == 0x80)
			len--; /* not within a character */
	}
	entry->name = text->len;
	(void)eos_buf_append(text, name, len);
	(void)eos_buf_append(text, suffix, strlen(suffix) + 1);
}

static int encode(const struct aot_names *names, struct entry *entries, uint32_t count,
		  struct eos_buf *out)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct image_name *encoded = calloc((size_t)count + 1, sizeof(*encoded));
	for (uint32_t i = 0; i < count; i++)
		put_name(names, &entries[i], &text);
	if (encoded == NULL || eos_buf_failed(&text)) {
		free(encoded);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++) {
		encoded[i] = (struct image_name){
			.offset = entries[i].offset,
			.size = entries[i].size,
			.function = entries[i].function,
			.name = text.data + entries[i].name,
		};
	}
	int err = image_names_encode(encoded, count, out);
	free(encoded);
	return err;
}

int aot_map_write(const uint8_t *elf, size_t size, const struct aot_names *names,
		  struct eos_buf *out, struct eos_why *why)
{
	struct aot_elf_symbol *symbols;
	uint32_t count;
	int err = aot_elf_functions(elf, size, &symbols, &count);
	if (err == -ENOEXEC)
		return eos_why(why, -EIO, "the compiler made a damaged object of it");
	if (err < 0)
		return eos_why(why, err, "out of memory");
	struct entry *entries = calloc((size_t)count + 1, sizeof(*entries));
	if (entries == NULL) {
		err = -ENOMEM;
	} else {
		count = make_entries(symbols, count, names->module, entries);
		err = encode(names, entries, count, out);
	}
	free(entries);
	free(symbols);
	if (err == -EFBIG)
		return eos_why(why, err, "it has too many functions");
	return err < 0 ? eos_why(why, err, "out of memory") : 0;
}
