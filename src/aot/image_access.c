/*
 * How generated code reaches its memory and tables, in the place of wasm2c's own way. This text is
 * included in wasm2c's output, behind the definitions of its loads and stores, which it hides;
 * aot_access.c puts it there. docs/decisions/0006-generated-code.md has the measurements.
 *
 * - The linear memory starts where the instance ends (image_abi.h). So its address is the instance,
 *   which is in a register in each function, and a constant: nothing has to be loaded to get it.
 * - A load must trap although nobody uses what was loaded. The empty assembler text takes the whole
 *   value, so that a compiler can neither leave the load out nor make it narrower or later. It
 *   wants it in the register that the value belongs in; and it keeps loops from being vectorised.
 * - A value that cannot but end in a store needs no such care where the compiler keeps all stores
 *   (GUEST_STORES_STAY, set by aot_compile.c with the flags that make it true). aot_access.c finds
 *   loads of this kind and calls them f32_read and f64_read.
 * - A null element of a table has the type 0, which no function has: one comparison finds a wrong
 *   type and a missing function.
 */
#if WABT_BIG_ENDIAN || !WASM_RT_MEMCHECK_SIGNAL_HANDLER
#error "the generated code relies on byte order and on guarded memory"
#endif

struct instance {
	Z_m_instance_t module; /* first: a pointer to one is a pointer to the other */
	void *host;
} __attribute__((aligned(16)));

#define GUEST_MEMORY(instance) ((u8 *)(instance) + sizeof(struct instance))

#ifdef __x86_64__
#define GUEST_FLOAT_REGISTER "x"
#else
#define GUEST_FLOAT_REGISTER "w"
#endif

#define GUEST_UNALIGNED(type)                                                                      \
	struct guest_##type {                                                                      \
		type value;                                                                        \
	} __attribute__((packed, may_alias));
GUEST_UNALIGNED(u8)
GUEST_UNALIGNED(s8)
GUEST_UNALIGNED(u16)
GUEST_UNALIGNED(s16)
GUEST_UNALIGNED(u32)
GUEST_UNALIGNED(s32)
GUEST_UNALIGNED(u64)
GUEST_UNALIGNED(f32)
GUEST_UNALIGNED(f64)

#define GUEST_LOAD(name, stored, extended, type, register)                                         \
	static inline type guest_##name(const u8 *at)                                              \
	{                                                                                          \
		type value = (type)(extended)((const struct guest_##stored *)at)->value;           \
		__asm__ volatile("" : : register(value));                                          \
		return value;                                                                      \
	}
GUEST_LOAD(i32_load, u32, u32, u32, "r")
GUEST_LOAD(i64_load, u64, u64, u64, "r")
GUEST_LOAD(f32_load, f32, f32, f32, GUEST_FLOAT_REGISTER)
GUEST_LOAD(f64_load, f64, f64, f64, GUEST_FLOAT_REGISTER)
GUEST_LOAD(i32_load8_s, s8, s32, u32, "r")
GUEST_LOAD(i64_load8_s, s8, s64, u64, "r")
GUEST_LOAD(i32_load8_u, u8, u32, u32, "r")
GUEST_LOAD(i64_load8_u, u8, u64, u64, "r")
GUEST_LOAD(i32_load16_s, s16, s32, u32, "r")
GUEST_LOAD(i64_load16_s, s16, s64, u64, "r")
GUEST_LOAD(i32_load16_u, u16, u32, u32, "r")
GUEST_LOAD(i64_load16_u, u16, u64, u64, "r")
GUEST_LOAD(i64_load32_s, s32, s64, u64, "r")
GUEST_LOAD(i64_load32_u, u32, u64, u64, "r")

#define GUEST_STORE(name, stored, type)                                                            \
	static inline void guest_##name(u8 *at, type value)                                        \
	{                                                                                          \
		((struct guest_##stored *)at)->value = (stored)value;                              \
	}
GUEST_STORE(i32_store, u32, u32)
GUEST_STORE(i64_store, u64, u64)
GUEST_STORE(f32_store, f32, f32)
GUEST_STORE(f64_store, f64, f64)
GUEST_STORE(i32_store8, u8, u32)
GUEST_STORE(i32_store16, u16, u32)
GUEST_STORE(i64_store8, u8, u64)
GUEST_STORE(i64_store16, u16, u64)
GUEST_STORE(i64_store32, u32, u64)

#if GUEST_STORES_STAY
static inline f32 guest_f32_read(const u8 *at)
{
	return ((const struct guest_f32 *)at)->value;
}

static inline f64 guest_f64_read(const u8 *at)
{
	return ((const struct guest_f64 *)at)->value;
}
#else
#define guest_f32_read guest_f32_load
#define guest_f64_read guest_f64_load
#endif

/* MEMORY is the instance's only one. An address is the 64-bit sum of index and offset. */
#define GUEST_AT(address)		    (GUEST_MEMORY(instance) + (u64)(address))
#define i32_load(memory, address)	    guest_i32_load(GUEST_AT(address))
#define i64_load(memory, address)	    guest_i64_load(GUEST_AT(address))
#define f32_load(memory, address)	    guest_f32_load(GUEST_AT(address))
#define f64_load(memory, address)	    guest_f64_load(GUEST_AT(address))
#define f32_read(memory, address)	    guest_f32_read(GUEST_AT(address))
#define f64_read(memory, address)	    guest_f64_read(GUEST_AT(address))
#define i32_load8_s(memory, address)	    guest_i32_load8_s(GUEST_AT(address))
#define i64_load8_s(memory, address)	    guest_i64_load8_s(GUEST_AT(address))
#define i32_load8_u(memory, address)	    guest_i32_load8_u(GUEST_AT(address))
#define i64_load8_u(memory, address)	    guest_i64_load8_u(GUEST_AT(address))
#define i32_load16_s(memory, address)	    guest_i32_load16_s(GUEST_AT(address))
#define i64_load16_s(memory, address)	    guest_i64_load16_s(GUEST_AT(address))
#define i32_load16_u(memory, address)	    guest_i32_load16_u(GUEST_AT(address))
#define i64_load16_u(memory, address)	    guest_i64_load16_u(GUEST_AT(address))
#define i64_load32_s(memory, address)	    guest_i64_load32_s(GUEST_AT(address))
#define i64_load32_u(memory, address)	    guest_i64_load32_u(GUEST_AT(address))
#define i32_store(memory, address, value)   guest_i32_store(GUEST_AT(address), value)
#define i64_store(memory, address, value)   guest_i64_store(GUEST_AT(address), value)
#define f32_store(memory, address, value)   guest_f32_store(GUEST_AT(address), value)
#define f64_store(memory, address, value)   guest_f64_store(GUEST_AT(address), value)
#define i32_store8(memory, address, value)  guest_i32_store8(GUEST_AT(address), value)
#define i32_store16(memory, address, value) guest_i32_store16(GUEST_AT(address), value)
#define i64_store8(memory, address, value)  guest_i64_store8(GUEST_AT(address), value)
#define i64_store16(memory, address, value) guest_i64_store16(GUEST_AT(address), value)
#define i64_store32(memory, address, value) guest_i64_store32(GUEST_AT(address), value)

#undef CALL_INDIRECT
#define CALL_INDIRECT(table, t, ft, x, ...)                                                        \
	(LIKELY((x) < table.size && table.data[x].func_type == func_types[ft]) ||                  \
		 TRAP(CALL_INDIRECT),                                                              \
	 ((t)table.data[x].func)(__VA_ARGS__))
