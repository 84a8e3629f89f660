/*
 * Counters: what a running node says about itself in /metrics and `edgeos status`.
 *
 * A counter is a static object named folder.noun_unit that registers itself when the program
 * starts. Adding is one relaxed atomic addition: any thread, any context, signal too.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct eos_counter {
	const char *name; /* "store.puts_total"; a name ending in _total only grows */
	const char *help; /* one sentence */
	_Atomic uint64_t value;
	struct eos_counter *next; /* written once, before main */
};

void eos_counter_register(struct eos_counter *counter);

#define EOS_COUNTER(variable, counter_name, help_text)                                             \
	static struct eos_counter variable = {.name = (counter_name), .help = (help_text)};        \
	__attribute__((constructor)) static void variable##_register(void)                         \
	{                                                                                          \
		eos_counter_register(&variable);                                                   \
	}

static inline void eos_counter_add(struct eos_counter *counter, uint64_t n)
{
	atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}

static inline void eos_counter_sub(struct eos_counter *counter, uint64_t n)
{
	atomic_fetch_sub_explicit(&counter->value, n, memory_order_relaxed);
}

static inline uint64_t eos_counter_read(const struct eos_counter *counter)
{
	return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Calls VISIT for each, in order of names. */
void eos_counter_each(void (*visit)(void *ctx, const struct eos_counter *counter), void *ctx);
