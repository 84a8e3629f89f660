/*
 * Which sanitizer this is compiled with; gcc and clang say it differently.
 */
#pragma once

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCHED_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define SCHED_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SCHED_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define SCHED_TSAN 1
#endif

#ifndef SCHED_ASAN
#define SCHED_ASAN 0
#endif
#ifndef SCHED_TSAN
#define SCHED_TSAN 0
#endif
