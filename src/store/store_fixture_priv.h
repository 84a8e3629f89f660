/*
 * What the tests of the store share: a store in a temporary directory, made-up contents that can be
 * told from each other, and short ways to put and check objects. Failures are cmocka's.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "store/local_priv.h"
#include "store/store.h"

struct fixture {
	char dir[64];
	struct store *store;
	bool is_damaged; /* no store_audit() when it is opened anew, and at the end */
};

/* On tmpfs where there is one: the tests are about order and errors, not about the disk. */
void fixture_make_dir(char out[64]);
void fixture_remove_dir(const char *dir);
/* cmocka's setup and teardown; *STATE is the fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_reopen(struct fixture *f);

/* Content number SEED. */
void content_fill(uint64_t seed, uint64_t offset, void *out, size_t len);
int object_put(struct store *store, const char *bucket, const char *key, uint64_t seed,
	       size_t size);
/* 0 when the object is there and is content SEED of SIZE; -ENOENT; -EBADMSG damage; -EILSEQ:
 * other content. */
int object_check(struct store *store, const char *bucket, const char *key, uint64_t seed,
		 size_t size);

/* Everything can be read, all counts are right, nothing is leaked. Waits for the reclaimer. */
void store_audit(struct store *store);
/* Waits until nothing is in the trash that could be reclaimed. */
void store_reclaim(struct store *store);
uint64_t store_chunks_count(struct store *store);
/* Files in DIR/segments and DIR/staging. */
unsigned segment_files_count(const char *dir);
unsigned staging_files_count(const char *dir);
/* The path of the only segment. */
void segment_file_path(const char *dir, char *out, size_t size);

/* As store_reader_read(), which may give less at once: LEN bytes, or as many as there are. */
int64_t fixture_read(struct store_reader *reader, void *data, size_t len, uint64_t offset);
