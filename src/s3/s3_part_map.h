/*
 * Where the parts of an object made by a multipart upload begin and end, as a text that is kept in
 * its metadata: runs of parts of one size, "5242880*3,17". Almost all uploads have one size and a
 * last part; one whose parts are so different that the text would not fit has no map. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define S3_PART_MAP_SIZE 1536u

struct s3_part_map {
	char text[S3_PART_MAP_SIZE]; /* after s3_part_map_end(): "" when it did not fit */
	size_t len;
	uint64_t run_bytes, run_count;
	bool is_full;
};

/* Starts from all zeros; parts in order. */
void s3_part_map_add(struct s3_part_map *map, uint64_t bytes);
void s3_part_map_end(struct s3_part_map *map);

struct s3_part_place {
	uint64_t offset, size;
};
/* The part NUMBER (from 1) of the map TEXT. -ENOENT: there are not so many; -EBADMSG: no map. */
int s3_part_map_find(const char *text, uint64_t number,
		     struct s3_part_place *ret_place) EOS_MUST_CHECK;
