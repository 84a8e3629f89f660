/*
 * What the bench "compute" computes. compute_kernels.c is compiled twice: natively into the bench,
 * and to WebAssembly, where each kernel is an export of the same name without "kernel_".
 *
 * A kernel is called with no arguments and returns a checksum of its result, the same each time.
 */
#pragma once

#include <stdint.h>

/* SHA-256 of 64 KiB. */
uint64_t kernel_sha256(void);
/* CRC-32 (IEEE) of 256 KiB, a byte and a table look-up at a time. */
uint64_t kernel_crc32(void);
/* Sorts 8,192 records of 16 bytes by a comparator that is called through a pointer. */
uint64_t kernel_sort(void);
/* Parses a JSON document of about 50 KB into a tree and writes the tree as text again. */
uint64_t kernel_json(void);
/* The product of two matrices of 100 x 100 doubles. */
uint64_t kernel_matmul(void);
