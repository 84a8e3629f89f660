/*
 * Running an image inside a test, without isolation: dlopen() instead of the loader in src/fwp,
 * and a host that gives plain memory and jumps out of traps.
 */
#pragma once

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "image/image_abi.h"

struct test_image {
	void *library;
	const struct image_exports *exports;
};

/* What the host saw. */
struct test_host {
	jmp_buf trapped;
	uint32_t trap; /* enum image_trap */
	const void *trap_pc;
	uint32_t pages_max;
	void *last_host; /* the host pointer an import got */
	unsigned calls;
};
extern struct test_host test_host;

void test_image_open(const struct image *image, const char *dir, struct test_image *ret_image);
/* The offset of an address in the image's ELF object. */
uint64_t test_image_offset(const struct test_image *image, const void *address);
void test_image_close(struct test_image *image);
/* A new instance, zeroed and instantiated with HOST. NULL when it trapped. */
void *test_image_instantiate(const struct test_image *image, void *host);
void test_image_drop(void *instance);
/* The function of this export, or NULL. */
void (*test_image_export(const struct test_image *image, const char *name,
			 const char *signature))(void);
