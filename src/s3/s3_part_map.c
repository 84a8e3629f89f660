#include "s3/s3_part_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void end_run(struct s3_part_map *map)
{
	char run[48];
	int len = 0;

	if (map->run_count == 0)
		return;
	const char *comma = map->len > 0 ? "," : "";
	if (map->run_count == 1)
		len = snprintf(run, sizeof(run), "%s%" PRIu64, comma, map->run_bytes);
	else
		len = snprintf(run, sizeof(run), "%s%" PRIu64 "*%" PRIu64, comma, map->run_bytes,
			       map->run_count);
	map->run_count = 0;
	if (map->len + (size_t)len >= sizeof(map->text)) {
		map->is_full = true;
		return;
	}
	snprintf(map->text + map->len, sizeof(map->text) - map->len, "%s", run);
	map->len += (size_t)len;
}

void s3_part_map_add(struct s3_part_map *map, uint64_t bytes)
{
	if (map->is_full)
		return;
	if (map->run_bytes != bytes)
		end_run(map);
	map->run_bytes = bytes;
	map->run_count++;
}

void s3_part_map_end(struct s3_part_map *map)
{
	end_run(map);
	if (map->is_full)
		map->text[0] = '\0';
}

int s3_part_map_find(const char *text, uint64_t number, struct s3_part_place *ret_place)
{
	uint64_t offset = 0, before = 0;

	if (number == 0)
		return -ENOENT;
	while (*text != '\0') {
		uint64_t bytes, count = 1;
		int used = 0;
		if (sscanf(text, "%" SCNu64 "%n", &bytes, &used) != 1)
			return -EBADMSG;
		text += used;
		if (*text == '*') {
			if (sscanf(text, "*%" SCNu64 "%n", &count, &used) != 1)
				return -EBADMSG;
			text += used;
		}
		if (number - before <= count) {
			*ret_place = (struct s3_part_place){
				.offset = offset + (number - before - 1) * bytes,
				.size = bytes,
			};
			return 0;
		}
		before += count;
		offset += bytes * count;
		if (*text != ',' && *text != '\0')
			return -EBADMSG;
		text += *text == ',';
	}
	return -ENOENT;
}
