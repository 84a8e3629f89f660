/*
 * The part of every image that is the same: the runtime that wasm2c's output calls. This file is
 * not linked into any of our programs; its text is compiled into each image, behind that output
 * and these definitions, which aot_glue.c writes:
 *
 *     IMPORTS_COUNT, EXPORTS_COUNT   functions
 *     TYPES_COUNT                    function types of the module
 *     TYPE_VALUES_COUNT              all their parameters and results together
 *     TYPE_SLOTS_COUNT               a power of two, at least twice TYPES_COUNT
 *     HAS_MEMORY                     0 or 1
 *
 * struct instance is image_access.c's.
 *
 * The host pointer. wasm2c 1.0.32 hands an imported function the value of the field
 * `Z_h_instance` when it is called directly, but the address of that field when it is called
 * through a table. So the field holds its own address: both are the same then, and
 * host_of() finds the instance, and in it the real host pointer, from there.
 */
#include <stdarg.h>

#if !defined(__clang__) && !defined(__POPCNT__)
/* gcc calls this for __builtin_popcountll() where the processor may have no such instruction; it is
 * in libgcc, which images are not linked with. */
int __popcountdi2(long value)
{
	uint64_t x = (uint64_t)value;
	x -= x >> 1 & UINT64_C(0x5555555555555555);
	x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
	x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	return (int)(x * UINT64_C(0x0101010101010101) >> 56);
}
#endif

static const struct image_host_ops *host_ops;

#if IMPORTS_COUNT > 0
static inline void *host_of(struct Z_h_instance_t *field)
{
	char *instance = (char *)field - offsetof(struct instance, module.Z_h_instance);
	return ((struct instance *)instance)->host;
}
#endif

bool wasm_rt_is_initialized(void)
{
	return true;
}

/* A function of its own, so that its return address is in the function that trapped. */
__attribute__((noinline)) void wasm_rt_trap(wasm_rt_trap_t trap)
{
	static const uint8_t reasons[] = {
		[WASM_RT_TRAP_NONE] = IMAGE_TRAP_UNREACHABLE,
		[WASM_RT_TRAP_OOB] = IMAGE_TRAP_OUT_OF_BOUNDS,
		[WASM_RT_TRAP_INT_OVERFLOW] = IMAGE_TRAP_INTEGER_OVERFLOW,
		[WASM_RT_TRAP_DIV_BY_ZERO] = IMAGE_TRAP_DIVIDE_BY_ZERO,
		[WASM_RT_TRAP_INVALID_CONVERSION] = IMAGE_TRAP_INVALID_CONVERSION,
		[WASM_RT_TRAP_UNREACHABLE] = IMAGE_TRAP_UNREACHABLE,
		[WASM_RT_TRAP_CALL_INDIRECT] = IMAGE_TRAP_CALL_INDIRECT,
		[WASM_RT_TRAP_UNCAUGHT_EXCEPTION] = IMAGE_TRAP_UNREACHABLE,
		[WASM_RT_TRAP_EXHAUSTION] = IMAGE_TRAP_STACK_OVERFLOW,
	};
	host_ops->trap(reasons[trap], (const char *)__builtin_return_address(0) - 1);
}

/*
 * Function types. Equal types get equal numbers, from 1 (0 is the type of a null reference).
 * The numbers are the image's own: no function of another module ever gets into its tables.
 * Open addressing: a module may have a million types.
 */
static struct {
	uint32_t first_value, params, results;
} types[TYPES_COUNT + 1];
static uint32_t types_used = 1;
static uint8_t type_values[TYPE_VALUES_COUNT + 1];
static uint32_t type_values_used;
static uint32_t type_slots[TYPE_SLOTS_COUNT];

uint32_t wasm_rt_register_func_type(uint32_t params, uint32_t results, ...)
{
	uint32_t count = params + results;
	uint8_t *values = &type_values[type_values_used];
	uint32_t hash = 2166136261u ^ params;
	va_list args;
	va_start(args, results);
	for (uint32_t i = 0; i < count; i++) {
		values[i] = (uint8_t)va_arg(args, int);
		hash = (hash ^ values[i]) * 16777619u;
	}
	va_end(args);
	uint32_t slot = (hash ^ hash >> 15) & (TYPE_SLOTS_COUNT - 1);
	for (; type_slots[slot] != 0; slot = (slot + 1) & (TYPE_SLOTS_COUNT - 1)) {
		uint32_t type = type_slots[slot];
		if (types[type].params == params && types[type].results == results &&
		    memcmp(&type_values[types[type].first_value], values, count) == 0)
			return type;
	}
	types[types_used].first_value = type_values_used;
	types[types_used].params = params;
	types[types_used].results = results;
	type_values_used += count;
	type_slots[slot] = types_used;
	return types_used++;
}

void wasm_rt_allocate_memory(wasm_rt_memory_t *memory, uint32_t initial_pages, uint32_t max_pages)
{
	/* The FWP's own limit is the host's to keep, in memory_extend(). */
	memory->data = host_ops->memory_reserve(initial_pages);
	memory->pages = initial_pages;
	memory->max_pages = max_pages;
	memory->size = initial_pages * 65536u;
#if HAS_MEMORY
	/* image_access.c goes there without looking. */
	const char *instance = (const char *)memory - offsetof(struct instance, module.w2c_memory);
	if ((const char *)memory->data != instance + sizeof(struct instance))
		wasm_rt_trap(WASM_RT_TRAP_UNREACHABLE);
#endif
	host_ops->note(IMAGE_NOTE_MEMORY, memory);
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *memory, uint32_t pages)
{
	uint32_t from = memory->pages;
	uint64_t to = (uint64_t)from + pages;
	if (pages == 0)
		return from;
	if (to > memory->max_pages || to > 65535)
		return UINT32_MAX;
	if (host_ops->memory_extend(from, (uint32_t)to) != 0)
		return UINT32_MAX;
	memory->pages = (uint32_t)to;
	memory->size = (uint32_t)to * 65536u;
	return from;
}

/* How many elements there is room for in a table of SIZE: the next power of two. What a growing
 * table leaves behind stays allocated, and is in all not more than the table itself. */
static uint64_t table_capacity(uint64_t size)
{
	uint64_t capacity = size == 0 ? 0 : 1;
	while (capacity < size)
		capacity *= 2;
	return capacity;
}

#define DEFINE_TABLE(kind, note_kind)                                                              \
	void wasm_rt_allocate_##kind##_table(wasm_rt_##kind##_table_t *table, uint32_t size,       \
					     uint32_t max_size)                                    \
	{                                                                                          \
		table->data = NULL;                                                                \
		if (size > 0)                                                                      \
			table->data =                                                              \
				host_ops->allocate(table_capacity(size) * sizeof(*table->data));   \
		table->size = size;                                                                \
		table->max_size = max_size;                                                        \
		host_ops->note(note_kind, table);                                                  \
	}                                                                                          \
                                                                                                   \
	uint32_t wasm_rt_grow_##kind##_table(wasm_rt_##kind##_table_t *table, uint32_t delta,      \
					     wasm_rt_##kind##_t value)                             \
	{                                                                                          \
		uint32_t old_size = table->size;                                                   \
		uint64_t size = (uint64_t)old_size + delta;                                        \
		if (size > table->max_size)                                                        \
			return UINT32_MAX;                                                         \
		if (size > table_capacity(old_size)) {                                             \
			wasm_rt_##kind##_t *data =                                                 \
				host_ops->allocate(table_capacity(size) * sizeof(*data));          \
			if (old_size > 0)                                                          \
				memcpy(data, table->data, old_size * sizeof(*data));               \
			table->data = data;                                                        \
		}                                                                                  \
		for (uint64_t i = old_size; i < size; i++)                                         \
			table->data[i] = value;                                                    \
		table->size = (uint32_t)size;                                                      \
		return old_size;                                                                   \
	}                                                                                          \
                                                                                                   \
	/* The instance's memory is freed as a whole, by the host. */                              \
	void wasm_rt_free_##kind##_table(wasm_rt_##kind##_table_t *table)                          \
	{                                                                                          \
	}

DEFINE_TABLE(funcref, IMAGE_NOTE_FUNCTIONS)
DEFINE_TABLE(externref, IMAGE_NOTE_REFERENCES)

_Static_assert(sizeof(struct image_memory) == sizeof(wasm_rt_memory_t) &&
		       offsetof(struct image_memory, data) == offsetof(wasm_rt_memory_t, data),
	       "the memory of wasm2c is the ABI's");
_Static_assert(sizeof(struct image_table) == sizeof(wasm_rt_funcref_table_t) &&
		       sizeof(struct image_table) == sizeof(wasm_rt_externref_table_t) &&
		       offsetof(struct image_table, size) ==
			       offsetof(wasm_rt_funcref_table_t, size) &&
		       offsetof(struct image_table, size) ==
			       offsetof(wasm_rt_externref_table_t, size),
	       "the tables of wasm2c are the ABI's");
_Static_assert(sizeof(struct image_funcref) == sizeof(wasm_rt_funcref_t) &&
		       offsetof(struct image_funcref, instance) ==
			       offsetof(wasm_rt_funcref_t, module_instance),
	       "the references of wasm2c are the ABI's");

void wasm_rt_free_memory(wasm_rt_memory_t *memory)
{
}

static void instantiate(void *instance, void *host)
{
	struct instance *self = instance;
	self->host = host;
#if IMPORTS_COUNT > 0
	Z_m_instantiate(&self->module, (struct Z_h_instance_t *)&self->module.Z_h_instance);
#else
	Z_m_instantiate(&self->module);
#endif
}

#if IMPORTS_COUNT > 0
#define SELF_OFFSET offsetof(struct instance, module.Z_h_instance)
#else
#define SELF_OFFSET IMAGE_NO_OFFSET
#endif

static uint8_t *get_memory(void *instance, uint64_t *ret_size)
{
#if HAS_MEMORY
	const wasm_rt_memory_t *memory = Z_mZ_memory(instance);
	*ret_size = memory->size;
	return memory->data;
#else
	*ret_size = 0;
	return NULL;
#endif
}
