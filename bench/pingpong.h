/*
 * Two processes of Linux that wake each other in turn: what switches and messages between FWPs are
 * compared with. Both run on one core if the caller is pinned to one (bench_pin()).
 */
#pragma once

#include "base/macros.h"
#include "base/why.h"
#include "samples.h"

#define PINGPONG_BYTES_MAX 4096u
/* Each sample is there and back: two switches, two messages. */
#define PINGPONG_EACH 2u

/* Fills SAMPLES with the nanoseconds of round trips of BYTES through two pipes. Needs
 * ticks_calibrate(). */
int pingpong_pipe(size_t bytes, struct samples *samples, struct eos_why *why) EOS_MUST_CHECK;
/* The same with a word in shared memory for which each waits by futex(). */
int pingpong_futex(struct samples *samples, struct eos_why *why) EOS_MUST_CHECK;
