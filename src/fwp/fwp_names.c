/*
 * fwp_names_describe() is for signal handlers: it calls nothing but image_names_find(), which is
 * for them too, and writes numbers itself.
 */
#include "fwp/fwp_names_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fwp_names {
	size_t size;
	uint8_t section[];
};

struct fwp_names *fwp_names_new(const void *section, size_t size)
{
	struct fwp_names *names = malloc(sizeof(*names) + size);
	if (names == NULL)
		return NULL;
	names->size = size;
	if (size > 0)
		memcpy(names->section, section, size);
	return names;
}

struct fwp_names *fwp_names_free(struct fwp_names *names)
{
	free(names);
	return NULL;
}

/* Writes "+0x…" and a zero byte; returns the length. */
static size_t put_offset(uint32_t value, char out[sizeof("+0x12345678")])
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 3;
	unsigned shift = 28;
	memcpy(out, "+0x", len);
	while (shift > 0 && value >> shift == 0)
		shift -= 4;
	for (;; shift -= 4) {
		out[len++] = digits[value >> shift & 0xf];
		if (shift == 0)
			break;
	}
	out[len] = '\0';
	return len;
}

int fwp_names_describe(const struct fwp_names *names, uint64_t offset, char *out, size_t size)
{
	struct image_name name;
	char tail[sizeof("+0x12345678")];
	if (size == 0)
		return -EINVAL;
	if (names == NULL || !image_names_find(names->section, names->size, offset, &name))
		return -ENOENT;
	size_t len = 0, tail_len = put_offset((uint32_t)(offset - name.offset), tail);
	while (name.name[len] != '\0' && len < size - 1) {
		out[len] = name.name[len];
		len++;
	}
	if (name.name[len] != '\0') {
		while (len > 0 && ((uint8_t)name.name[len] & 0xc0) == 0x80)
			len--;
	} else if (tail_len < size - len) {
		memcpy(out + len, tail, tail_len);
		len += tail_len;
	}
	out[len] = '\0';
	return (int)len;
}
