/*
 * Capturing a template.
 *
 * The FWP that initialised has its instance in the arena of a plain slot, directly below its linear
 * memory. Both are copied into a file in memory, which is then sealed; slots map it copy-on-write
 * at other addresses. Guests have no addresses of the host in their memory, so that can be mapped
 * as it is. The instance has some, all of kinds that are known:
 * - tables and memory point at their contents, which are in the arena, or at the linear memory;
 * - elements of tables of functions point at their instance, or into it;
 * - the instance points at itself (image_abi.h, self_offset), and at its FWP (host_offset).
 * The generated code names tables and memory while it makes them (host_ops->note()). In the file
 * each of these pointers is its distance from the start of the linear memory. Code is at the same
 * address for all.
 */
#include "fwp/fwp_template.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/file.h"
#include "fwp/fwp_priv.h"

EOS_COUNTER(templates, "fwp.templates_total", "Templates captured.");

struct capture {
	struct fwp *fwp;
	struct fwp_template *template;
	uint8_t *file; /* the file's bytes, mapped for writing */
	size_t bytes;
	char *arena; /* in the slot: what the file's first byte is */
	size_t pointers_room;
	struct eos_why *why;
};

int fwp_new_for_template(struct fwp_engine *engine, struct fwp_image *image,
			 const struct fwp_limits *limits, void *context, struct fwp **ret_fwp,
			 struct eos_why *why)
{
	struct fwp *fwp;
	int err = eos_fault("fwp.calloc");
	struct fwp_notes *notes = err == 0 ? calloc(1, sizeof(*notes)) : NULL;
	if (notes == NULL)
		return eos_why(why, -ENOMEM, "no memory for a template");
	err = fwp_new_with_entry(engine, image, limits, context, NULL, &fwp, why);
	if (err < 0) {
		free(notes);
		return err;
	}
	fwp->is_initialising = true;
	fwp->notes = notes;
	*ret_fwp = fwp;
	return 0;
}

static bool is_zero(const char *page, size_t size)
{
	return page[0] == 0 && memcmp(page, page + 1, size - 1) == 0;
}

/* Pages of zeros stay holes. */
static void copy_pages(struct capture *c)
{
	size_t page = FWP_SLOT_PAGE;
	for (size_t at = 0; at < c->bytes; at += page) {
		if (!is_zero(c->arena + at, page))
			memcpy(c->file + at, c->arena + at, page);
	}
}

/* Where the SIZE bytes of the arena at POINTER are in the file; an error that names WHAT otherwise.
 */
static int place_of(const struct capture *c, const void *pointer, uint64_t size, const char *what,
		    uint32_t *ret_offset)
{
	uintptr_t from = (uintptr_t)c->arena, address = (uintptr_t)pointer;
	size_t arena_bytes = c->template->snapshot.arena_bytes;
	if (address < from || address - from > arena_bytes ||
	    size > arena_bytes - (address - from) || address % 8 != 0)
		return eos_why(c->why, -EIO, "damaged image: %s is outside of its instance", what);
	*ret_offset = (uint32_t)(address - from);
	return 0;
}

/* Notes that the file has a pointer at OFFSET, and turns it into a distance. */
static int add_pointer(struct capture *c, uint32_t offset, bool is_owner)
{
	struct fwp_template *template = c->template;
	struct fwp_snapshot *snapshot = &template->snapshot;
	if (snapshot->pointers_count == c->pointers_room) {
		size_t room = EOS_MAX(2 * c->pointers_room, (size_t)64);
		int err = eos_fault("fwp.calloc");
		uint32_t *grown =
			err == 0 ? realloc(template->pointers, room * sizeof(*grown)) : NULL;
		if (grown == NULL)
			return eos_why(c->why, -ENOMEM, "no memory for a template");
		template->pointers = grown;
		snapshot->pointers = grown;
		c->pointers_room = room;
	}
	uint64_t value;
	memcpy(&value, c->file + offset, sizeof(value));
	int64_t distance =
		is_owner ? FWP_SNAPSHOT_OWNER : (int64_t)(value - (uintptr_t)c->fwp->slot.memory);
	memcpy(c->file + offset, &distance, sizeof(distance));
	template->pointers[snapshot->pointers_count++] = offset;
	return 0;
}

static int add_table(struct capture *c, const struct image_table *table, bool has_functions)
{
	uint32_t offset = 0;
	size_t element_size = has_functions ? sizeof(struct image_funcref) : sizeof(void *);
	int err = place_of(c, table, sizeof(*table), "a table", &offset);
	if (err < 0 || table->data == NULL)
		return err;
	uint32_t elements = 0;
	err = place_of(c, table->data, table->size * element_size, "a table", &elements);
	for (uint32_t i = 0; err == 0 && i < table->size; i++) {
		if (!has_functions) {
			if (((void **)table->data)[i] != NULL)
				return eos_why(c->why, -EIO, "a reference of the host in a table");
			continue;
		}
		const struct image_funcref *element = (struct image_funcref *)table->data + i;
		uint32_t instance;
		if (element->instance == NULL)
			continue;
		err = place_of(c, element->instance, 0, "a function's instance", &instance);
		if (err == 0)
			err = add_pointer(
				c,
				elements + (uint32_t)(i * element_size +
						      offsetof(struct image_funcref, instance)),
				false);
	}
	return err < 0 ? err : add_pointer(c, offset + offsetof(struct image_table, data), false);
}

static int add_memory(struct capture *c, const struct image_memory *memory)
{
	uint32_t offset = 0;
	int err = place_of(c, memory, sizeof(*memory), "the memory", &offset);
	if (err < 0)
		return err;
	if (memory->data != (uint8_t *)c->fwp->slot.memory)
		return eos_why(c->why, -EIO, "damaged image: the memory is elsewhere");
	return add_pointer(c, offset + offsetof(struct image_memory, data), false);
}

static int add_instance(struct capture *c)
{
	const struct image_exports *exports = &c->fwp->image->exports;
	const char *instance = c->fwp->instance;
	uint32_t offset = 0;
	int err = place_of(c, instance + exports->host_offset, sizeof(void *), "the host pointer",
			   &offset);
	if (err == 0)
		err = add_pointer(c, offset, true);
	if (err < 0 || exports->self_offset == IMAGE_NO_OFFSET)
		return err;
	err = place_of(c, instance + exports->self_offset, sizeof(void *), "the self pointer",
		       &offset);
	return err < 0 ? err : add_pointer(c, offset, false);
}

static int compare_offsets(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static int find_pointers(struct capture *c)
{
	const struct fwp_notes *notes = c->fwp->notes;
	int err = add_instance(c);
	if (notes->is_full)
		return eos_why(c->why, -E2BIG, "more than %u tables", FWP_TEMPLATE_TABLES_MAX);
	for (unsigned i = 0; err == 0 && i < notes->count; i++) {
		void *object = notes->notes[i].object;
		switch (notes->notes[i].kind) {
		case IMAGE_NOTE_MEMORY:
			err = add_memory(c, object);
			break;
		case IMAGE_NOTE_FUNCTIONS:
		case IMAGE_NOTE_REFERENCES:
			err = add_table(c, object, notes->notes[i].kind == IMAGE_NOTE_FUNCTIONS);
			break;
		default:
			err = eos_why(c->why, -EIO, "damaged image: a note of kind %u",
				      notes->notes[i].kind);
		}
	}
	/* There is one pointer at least, the host's. */
	if (err == 0)
		qsort(c->template->pointers, c->template->snapshot.pointers_count, sizeof(uint32_t),
		      compare_offsets);
	return err;
}

/* The file, empty, and its bytes to write to. */
static int make_file(struct capture *c)
{
	struct fwp_snapshot *snapshot = &c->template->snapshot;
	int err = eos_fault("fwp.memfd");
	if (err < 0)
		return err;
	snapshot->fd = memfd_create("edgeos-template", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (snapshot->fd < 0)
		return -errno;
	err = eos_fault("fwp.memfd");
	if (err < 0)
		return err;
	if (ftruncate(snapshot->fd, (off_t)c->bytes) < 0)
		return -errno;
	err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	void *file = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, snapshot->fd, 0);
	if (file == MAP_FAILED)
		return -errno;
	c->file = file;
	return 0;
}

/* Nobody can write to the file any more. */
static int seal_file(struct capture *c)
{
	struct fwp_snapshot *snapshot = &c->template->snapshot;
	(void)munmap(c->file, c->bytes);
	c->file = NULL;
	int err = eos_fault("fwp.memfd");
	if (err < 0)
		return err;
	if (fcntl(snapshot->fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	err = eos_fault("fwp.mmap");
	if (err < 0)
		return err;
	void *bytes = mmap(NULL, c->bytes, PROT_READ, MAP_PRIVATE, snapshot->fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	snapshot->bytes = bytes;
	return 0;
}

static void free_template(struct fwp_template *template)
{
	struct fwp_snapshot *snapshot = &template->snapshot;
	if (snapshot->bytes != NULL)
		(void)munmap((void *)(uintptr_t)snapshot->bytes,
			     snapshot->arena_bytes + snapshot->memory_bytes);
	eos_close(snapshot->fd);
	fwp_image_unref(template->image);
	free(template->pointers);
	free(template);
}

static int fill_template(struct capture *c)
{
	int err = make_file(c);
	if (err < 0)
		return eos_why(c->why, err, "no memory for a template of %zu bytes", c->bytes);
	copy_pages(c);
	err = find_pointers(c);
	if (err < 0)
		return err;
	err = seal_file(c);
	return err < 0 ? eos_why(c->why, err, "cannot map a template of %zu bytes", c->bytes) : 0;
}

int fwp_template_capture(struct fwp *fwp, struct fwp_template **ret_template, struct eos_why *why)
{
	EOS_ASSERT(fwp->engine == fwp_engine_here);
	if (!fwp->is_initialising || fwp->state != FWP_DEAD || fwp->instance == NULL ||
	    fwp->death.kind != FWP_DEATH_EXIT || fwp->death.code != 0)
		return eos_why(why, -EINVAL, "the initialisation did not end with exit code 0");
	int err = eos_fault("fwp.calloc");
	struct fwp_template *template = err == 0 ? calloc(1, sizeof(*template)) : NULL;
	if (template == NULL)
		return eos_why(why, -ENOMEM, "no memory for a template");
	template->references = 1;
	template->image = fwp_image_ref(fwp->image);
	template->has_memory = fwp->has_memory;
	template->instance_distance = (size_t)(fwp->slot.memory - (char *)fwp->instance);
	template->snapshot = (struct fwp_snapshot){
		.fd = -1,
		.arena_bytes = EOS_ALIGN_UP((size_t)fwp->arena_used, (size_t)FWP_SLOT_PAGE),
		.arena_used = fwp->arena_used,
		.memory_bytes = fwp_memory_bytes(fwp),
		.page_fd = -1,
	};
	struct capture capture = {
		.fwp = fwp,
		.template = template,
		.bytes = template->snapshot.arena_bytes + template->snapshot.memory_bytes,
		.arena = fwp->slot.memory - template->snapshot.arena_bytes,
		.why = why,
	};
	err = fill_template(&capture);
	if (err < 0) {
		if (capture.file != NULL)
			(void)munmap(capture.file, capture.bytes);
		free_template(template);
		return err;
	}
	fwp_pool_init(&template->pool, fwp->engine, &template->snapshot);
	eos_counter_add(&templates, 1);
	*ret_template = template;
	return 0;
}

int fwp_template_new(struct fwp_engine *engine, struct fwp_image *image,
		     const struct fwp_limits *limits, void *context,
		     struct fwp_template **ret_template, struct eos_why *why)
{
	struct fwp *fwp;
	int err = fwp_new_for_template(engine, image, limits, context, &fwp, why);
	if (err < 0)
		return err;
	if (fwp_run(fwp) == FWP_BLOCKED)
		err = eos_why(why, -EIO, "its initialisation waits for something");
	else if (fwp->death.kind == FWP_DEATH_EXIT && fwp->death.code != 0)
		err = eos_why(why, -EIO, "its initialisation exited with code %u", fwp->death.code);
	else if (fwp->death.kind != FWP_DEATH_EXIT)
		err = eos_why(why, -EIO, "its initialisation ended: %s", fwp->death.text);
	else
		err = fwp_template_capture(fwp, ret_template, why);
	fwp_free(fwp);
	return err;
}

size_t fwp_template_arena_bytes(const struct fwp_template *template)
{
	return template->snapshot.arena_used;
}

struct fwp_template *fwp_template_ref(struct fwp_template *template)
{
	template->references++;
	return template;
}

struct fwp_template *fwp_template_unref(struct fwp_template *template)
{
	if (template == NULL)
		return NULL;
	EOS_ASSERT(template->references > 0);
	if (--template->references > 0)
		return NULL;
	fwp_pool_fini(&template->pool);
	free_template(template);
	return NULL;
}

static int make_from(struct fwp_template *template, const struct fwp_limits *limits, void *context,
		     bool is_for_turns, void (*entry)(struct fwp *fwp, void *instance),
		     struct fwp **ret_fwp, struct eos_why *why)
{
	uint64_t memory_bytes = template->snapshot.memory_bytes;
	struct fwp *fwp;
	int err = fwp_place_take(&template->pool, memory_bytes, &limits, !is_for_turns, &fwp, why);
	if (err < 0)
		return err;
	fwp_place_start(fwp, template->image, limits, context);
	fwp->template = fwp_template_ref(template);
	fwp->entry = entry;
	fwp->instance = fwp->slot.memory - template->instance_distance;
	fwp->has_memory = template->has_memory;
	fwp->arena_used = (uint32_t) template->snapshot.arena_used;
	atomic_store_explicit(&fwp->memory_bytes, memory_bytes, memory_order_relaxed);
	if (is_for_turns)
		err = fwp_turns_join(fwp, limits->stack_bytes);
	if (EOS_UNLIKELY(err < 0)) {
		fwp_free(fwp);
		return eos_why(why, err, "no memory for the stack of turns");
	}
	*ret_fwp = fwp;
	return 0;
}

int fwp_new_from_with_entry(struct fwp_template *template, const struct fwp_limits *limits,
			    void *context, void (*entry)(struct fwp *fwp, void *instance),
			    struct fwp **ret_fwp, struct eos_why *why)
{
	return make_from(template, limits, context, false, entry, ret_fwp, why);
}

int fwp_new_from_for_turns(struct fwp_template *template, const struct fwp_limits *limits,
			   void *context, void (*turn)(struct fwp *fwp, void *instance),
			   struct fwp **ret_fwp, struct eos_why *why)
{
	return make_from(template, limits, context, true, turn, ret_fwp, why);
}

int fwp_new_from(struct fwp_template *template, const struct fwp_limits *limits, void *context,
		 struct fwp **ret_fwp, struct eos_why *why)
{
	if (template->image->start == NULL)
		return eos_why(why, -EINVAL, "it does not export a function \"_start\"");
	return fwp_new_from_with_entry(template, limits, context, NULL, ret_fwp, why);
}
