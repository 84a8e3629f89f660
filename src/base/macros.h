/*
 * Compiler attributes and the few macros every folder uses.
 */
#pragma once

#include <stddef.h>

/* The result of a function that can fail must be looked at. */
#define EOS_MUST_CHECK __attribute__((warn_unused_result))
/* Runs FN(&variable) when the variable leaves its scope. Control paths only. */
#define EOS_CLEANUP(fn)			  __attribute__((cleanup(fn)))
#define EOS_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define EOS_NORETURN			  __attribute__((noreturn))
#define EOS_LIKELY(x)			  __builtin_expect(!!(x), 1)
#define EOS_UNLIKELY(x)			  __builtin_expect(!!(x), 0)

#define EOS_ARRAY_SIZE(a)		    (sizeof(a) / sizeof((a)[0]))
#define EOS_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define EOS_JOIN_(a, b)			    a##b
#define EOS_JOIN(a, b)			    EOS_JOIN_(a, b)
/* Each argument is evaluated once; the names are fresh, so that the macros nest. */
#define EOS_PICK_(a, op, b, x, y)                                                                  \
	({                                                                                         \
		__typeof__(a) x = (a);                                                             \
		__typeof__(b) y = (b);                                                             \
		x op y ? x : y;                                                                    \
	})
#define EOS_MIN(a, b)                                                                              \
	EOS_PICK_(a, <, b, EOS_JOIN(eos_a_, __COUNTER__), EOS_JOIN(eos_b_, __COUNTER__))
#define EOS_MAX(a, b)                                                                              \
	EOS_PICK_(a, >, b, EOS_JOIN(eos_a_, __COUNTER__), EOS_JOIN(eos_b_, __COUNTER__))
/* ALIGN is a power of two. */
#define EOS_ALIGN_UP(x, align) (((x) + ((align)-1)) & ~((__typeof__(x))(align)-1))
