/*
 * Loading an image: its ELF is mapped, its tables are checked, its imports are joined with the
 * host's functions, its types are registered; then its data becomes read-only. So nothing that
 * FWPs share can be written by one of them: all that a guest changes is in its own slot.
 *
 * The tables are checked although images are signed: a compiler's mistake should be a text.
 * Whether code does what it should cannot be checked; that is what the signature is for.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "base/fault.h"

#define INSTANCE_BYTES_MAX (8u << 20) /* leaves half of the arena for tables */

static int check_import(const struct fwp_elf *elf, const struct image_import *import,
			struct eos_why *why)
{
	if (!fwp_elf_contains_text(elf, import->module) ||
	    !fwp_elf_contains_text(elf, import->name) ||
	    !fwp_elf_contains_text(elf, import->signature))
		return eos_why(why, -ENOEXEC, "damaged image: an import has no name");
	return 0;
}

static int check_export(const struct fwp_elf *elf, const struct image_export *export,
			struct eos_why *why)
{
	if (!fwp_elf_contains_text(elf, export->name) ||
	    !fwp_elf_contains_text(elf, export->signature))
		return eos_why(why, -ENOEXEC, "damaged image: an export has no name");
	if (!fwp_elf_contains(elf, (const void *)export->call, 1, FWP_ELF_EXECUTE))
		return eos_why(why, -ENOEXEC, "damaged image: export \"%.100s\" is not code",
			       export->name);
	return 0;
}

static int check_exports(const struct fwp_elf *elf, const struct image_exports *e,
			 struct eos_why *why)
{
	if (e->abi_version != IMAGE_ABI_VERSION)
		return eos_why(why, -ENOEXEC, "image of ABI version %u, but this is version %u",
			       e->abi_version, IMAGE_ABI_VERSION);
	if (e->instance_size > INSTANCE_BYTES_MAX || e->instance_size % 16 != 0)
		return eos_why(why, -ENOEXEC, "damaged image: instances of %u bytes",
			       e->instance_size);
	if (e->host_offset > e->instance_size || e->instance_size - e->host_offset < 8 ||
	    (e->self_offset != IMAGE_NO_OFFSET &&
	     (e->self_offset > e->instance_size || e->instance_size - e->self_offset < 8)))
		return eos_why(why, -ENOEXEC, "damaged image: its pointers are outside of it");
	const void *code[] = {(const void *)e->init_module, (const void *)e->instantiate,
			      (const void *)e->memory};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(code); i++) {
		if (!fwp_elf_contains(elf, code[i], 1, FWP_ELF_EXECUTE))
			return eos_why(why, -ENOEXEC, "damaged image: its entries are not code");
	}
	uint64_t imports_bytes = (uint64_t)e->imports_count * sizeof(*e->imports);
	uint64_t exports_bytes = (uint64_t)e->exports_count * sizeof(*e->exports);
	if ((imports_bytes > 0 &&
	     !fwp_elf_contains(elf, e->imports, imports_bytes, FWP_ELF_WRITE)) ||
	    (exports_bytes > 0 &&
	     !fwp_elf_contains(elf, e->exports, exports_bytes, FWP_ELF_READ)) ||
	    !fwp_elf_contains(elf, e->host_ops, sizeof(*e->host_ops), FWP_ELF_WRITE) ||
	    ((uintptr_t)e->imports | (uintptr_t)e->exports | (uintptr_t)e->host_ops) % 8 != 0)
		return eos_why(why, -ENOEXEC, "damaged image: its tables are outside of its data");
	int err = 0;
	for (uint32_t i = 0; err == 0 && i < e->imports_count; i++)
		err = check_import(elf, &e->imports[i], why);
	for (uint32_t i = 0; err == 0 && i < e->exports_count; i++)
		err = check_export(elf, &e->exports[i], why);
	return err;
}

static const struct image_export *find_export(const struct fwp_image *image, const char *name,
					      const char *signature)
{
	for (uint32_t i = 0; i < image->exports.exports_count; i++) {
		const struct image_export *e = &image->exports.exports[i];
		if (strcmp(e->name, name) == 0 && strcmp(e->signature, signature) == 0)
			return e;
	}
	return NULL;
}

/* An export without parameters and results, or NULL. */
static void (*find_function(const struct fwp_image *image, const char *name))(void *instance)
{
	const struct image_export *export = find_export(image, name, ":");
	return export != NULL ? (void (*)(void *)) export->call : NULL;
}

int fwp_image_map(const void *elf, size_t size, struct fwp_image *image, struct eos_why *why)
{
	int err = fwp_elf_load(elf, size, IMAGE_EXPORTS_SYMBOL, sizeof(image->exports), &image->elf,
			       why);
	if (err < 0)
		return err;
	memcpy(&image->exports, image->elf.symbol, sizeof(image->exports));
	err = check_exports(&image->elf, &image->exports, why);
	if (err < 0) {
		fwp_elf_unload(&image->elf);
		return err;
	}
	image->start = find_function(image, "_start");
	/* Modules with _start are commands: what they do first is part of that. */
	if (image->start == NULL)
		image->initialize = find_function(image, "_initialize");
	image->edgeos_init = find_function(image, "edgeos_init");
	return 0;
}

static int join_import(struct image_import *import, const struct fwp_import *offers, size_t count,
		       struct eos_why *why)
{
	const char *other_signature = NULL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(offers[i].module, import->module) != 0 ||
		    strcmp(offers[i].name, import->name) != 0)
			continue;
		if (strcmp(offers[i].signature, import->signature) == 0) {
			import->call = offers[i].call;
			return 0;
		}
		other_signature = offers[i].signature;
	}
	if (other_signature != NULL)
		return eos_why(why, -ENOSYS,
			       "it imports the function \"%.100s\" \"%.100s\" as (%.40s), but the "
			       "host's is (%s)",
			       import->module, import->name, import->signature, other_signature);
	return eos_why(
		why, -ENOSYS,
		"it imports the function \"%.100s\" \"%.100s\", which the host does not offer",
		import->module, import->name);
}

/* After this the data is read-only and the image may be shared. */
static int start_image(struct fwp_image *image, const struct fwp_import *imports,
		       size_t imports_count, struct eos_why *why)
{
	const struct image_exports *e = &image->exports;
	for (uint32_t i = 0; i < e->imports_count; i++) {
		int err = join_import(&e->imports[i], imports, imports_count, why);
		if (err < 0)
			return err;
	}
	*e->host_ops = &fwp_host_ops;
	e->init_module();
	int err = fwp_elf_seal(&image->elf);
	if (err < 0)
		return eos_why(why, err, "cannot protect the image's memory");
	return 0;
}

static void free_image(struct fwp_image *image)
{
	fwp_elf_unload(&image->elf);
	fwp_names_free(image->names);
	free(image);
}

int fwp_image_load(const struct image *source, const struct fwp_import *imports,
		   size_t imports_count, struct fwp_image **ret_image, struct eos_why *why)
{
	int err = eos_fault("fwp.calloc");
	struct fwp_image *image = err == 0 ? calloc(1, sizeof(*image)) : NULL;
	if (image == NULL)
		return eos_why(why, -ENOMEM, "no memory for an image");
	size_t size;
	const void *elf = image_elf(source, &size);
	image->memory_pages_initial = image_info(source)->memory_pages_initial;
	err = fwp_image_map(elf, size, image, why);
	if (err < 0) {
		free(image);
		return err;
	}
	size_t names_size;
	const void *names = image_names(source, &names_size);
	err = eos_fault("fwp.calloc");
	image->names = err == 0 ? fwp_names_new(names, names_size) : NULL;
	if (image->names == NULL)
		err = eos_why(why, -ENOMEM, "no memory for an image");
	else
		err = start_image(image, imports, imports_count, why);
	if (err < 0) {
		free_image(image);
		return err;
	}
	atomic_init(&image->references, 1);
	*ret_image = image;
	return 0;
}

struct fwp_image *fwp_image_ref(struct fwp_image *image)
{
	atomic_fetch_add_explicit(&image->references, 1, memory_order_relaxed);
	return image;
}

struct fwp_image *fwp_image_unref(struct fwp_image *image)
{
	if (image == NULL)
		return NULL;
	unsigned before = atomic_fetch_sub_explicit(&image->references, 1, memory_order_acq_rel);
	EOS_ASSERT(before > 0);
	if (before == 1)
		free_image(image);
	return NULL;
}

bool fwp_image_has_export(const struct fwp_image *image, const char *name, const char *signature)
{
	return find_export(image, name, signature) != NULL;
}

void (*fwp_image_find_export(const struct fwp_image *image, const char *name,
			     const char *signature))(void)
{
	const struct image_export *e = find_export(image, name, signature);
	return e != NULL ? e->call : NULL;
}

void fwp_image_describe(const struct fwp_image *image, uintptr_t pc, char *out, size_t size)
{
	out[0] = '\0';
	if (!fwp_elf_contains(&image->elf, (const void *)pc, 1, FWP_ELF_EXECUTE))
		return;
	uint64_t offset = pc - (uintptr_t)image->elf.base;
	if (fwp_names_describe(image->names, offset, out, size) >= 0)
		return;
	/* By hand: this may be a signal handler. */
	static const char prefix[] = "image+0x";
	char digits[16];
	size_t count = 0, len = 0;
	do {
		digits[count++] = "0123456789abcdef"[offset % 16];
		offset /= 16;
	} while (offset > 0);
	for (; len + 1 < size && prefix[len] != '\0'; len++)
		out[len] = prefix[len];
	while (len + 1 < size && count > 0)
		out[len++] = digits[--count];
	out[len] = '\0';
}
