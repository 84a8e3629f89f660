/*
 * thumbnail: a picture that a camera put into a bucket becomes a small PNG in another one.
 *
 * Reads BMP (24 or 32 bits, not compressed), PGM and PPM (P2, P3, P5, P6; up to 16 bits a sample):
 * what cameras and frame grabbers write without a codec. The result is a PNG that any browser
 * shows, no wider and no higher than SIZE pixels (environment; 160), never larger than the
 * original.
 *
 * Each pixel of the result is the mean of those it stands for (a box filter). The input is read row
 * by row, so a picture of any height needs the memory of the result and one row only.
 *
 * The PNG's data is "stored", not deflated: a thumbnail is small, and this file needs no library.
 * Memory is not given back: an instance is one picture, and its memory ends with it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

#define DIMENSION_MAX  32768u
#define SIZE_DEFAULT   160u
#define SIZE_MAX_OUT   1024u
#define PATH_BYTES_MAX 2048
#define CHANNELS       3u /* of a row, and of the result: red, green, blue */
/* The most that one stored block of deflate can hold. */
#define STORED_MAX 65535u

enum format { FORMAT_BMP, FORMAT_PNM_TEXT, FORMAT_PNM_BINARY };

struct picture {
	FILE *in;
	enum format format;
	uint32_t width, height;
	uint32_t channels;    /* of the file: 1, 3, or 4 */
	uint32_t sample_max;  /* PNM: the value that is white */
	bool is_bottom_up;    /* BMP */
	uint32_t row_padding; /* BMP: bytes after each row */
};

struct thumbnail {
	uint32_t width, height;
	uint64_t *sums;	  /* width * height * CHANNELS */
	uint32_t *counts; /* width * height: pixels of the input in each */
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "thumbnail: %s: %s\n", what, why);
	return 1;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The next number of a PNM file's text, over white space and comments; -1: none. */
static int64_t pnm_number(FILE *in)
{
	int64_t value = 0;
	int c = getc(in);

	while (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#') {
		if (c == '#')
			while (c != '\n' && c != EOF)
				c = getc(in);
		else
			c = getc(in);
	}
	if (c < '0' || c > '9')
		return -1;
	for (; c >= '0' && c <= '9'; c = getc(in)) {
		value = value * 10 + (c - '0');
		if (value > UINT32_MAX)
			return -1;
	}
	/* The one byte after a number is white space that belongs to it. */
	return value;
}

static const char *pnm_open(struct picture *picture, char kind)
{
	int64_t width = pnm_number(picture->in);
	int64_t height = pnm_number(picture->in);
	int64_t sample_max = pnm_number(picture->in);

	if (width < 1 || height < 1 || sample_max < 1 || sample_max > 65535)
		return "its header is damaged";
	picture->format = kind <= '3' ? FORMAT_PNM_TEXT : FORMAT_PNM_BINARY;
	picture->channels = kind == '2' || kind == '5' ? 1 : 3;
	picture->width = width > DIMENSION_MAX ? UINT32_MAX : (uint32_t)width;
	picture->height = height > DIMENSION_MAX ? UINT32_MAX : (uint32_t)height;
	picture->sample_max = (uint32_t)sample_max;
	return NULL;
}

/* After "BM": the rest of a file header of 14 bytes and the first 20 of an information header. */
static const char *bmp_open(struct picture *picture)
{
	uint8_t header[32];
	uint32_t offset, bits;
	int32_t height;

	if (fread(header, 1, sizeof(header), picture->in) != sizeof(header))
		return "its header is cut off";
	offset = le32(header + 8);
	bits = header[26] | header[27] << 8;
	height = (int32_t)le32(header + 20);
	if (le32(header + 12) < 40 || (bits != 24 && bits != 32) || le32(header + 28) != 0 ||
	    offset < 54 || height == INT32_MIN)
		return "only BMP of 24 or 32 bits without compression can be read";
	/* By reading and not by seeking: the input may be a stream. */
	for (uint32_t at = 34; at < offset; at++)
		if (getc(picture->in) == EOF)
			return "its header is cut off";
	picture->format = FORMAT_BMP;
	picture->channels = bits / 8;
	picture->width = le32(header + 16);
	picture->is_bottom_up = height > 0;
	picture->height = (uint32_t)(height > 0 ? height : -height);
	picture->row_padding = (4 - picture->width * picture->channels % 4) % 4;
	return NULL;
}

/* Reads the header. NULL, or what is wrong. */
static const char *picture_open(struct picture *picture)
{
	int first = getc(picture->in), second = getc(picture->in);
	const char *error = "neither BMP nor PGM nor PPM";

	if (first == 'B' && second == 'M')
		error = bmp_open(picture);
	else if (first == 'P' && second != EOF && strchr("2356", second))
		error = pnm_open(picture, (char)second);
	if (!error && (picture->width < 1 || picture->width > DIMENSION_MAX ||
		       picture->height < 1 || picture->height > DIMENSION_MAX))
		error = "it must be between 1 and 32768 pixels wide and high";
	return error;
}

/* One sample of a PNM file as 0 … 255; -1 at the end of the file or where it is damaged. */
static int pnm_sample(const struct picture *picture)
{
	int64_t value;

	if (picture->format == FORMAT_PNM_TEXT) {
		value = pnm_number(picture->in);
	} else {
		value = getc(picture->in);
		if (value >= 0 && picture->sample_max > 255) {
			int low = getc(picture->in);

			value = low == EOF ? -1 : value << 8 | low;
		}
	}
	if (value < 0 || value > picture->sample_max)
		return -1;
	return (int)(value * 255 / picture->sample_max);
}

/* The next row of the file as red, green, blue. False: the file ends too early. */
static bool picture_read_row(const struct picture *picture, uint8_t *row)
{
	uint8_t padding[4];

	for (uint32_t x = 0; x < picture->width; x++, row += CHANNELS) {
		if (picture->format == FORMAT_BMP) {
			uint8_t pixel[4];

			if (fread(pixel, 1, picture->channels, picture->in) != picture->channels)
				return false;
			row[0] = pixel[2];
			row[1] = pixel[1];
			row[2] = pixel[0];
			continue;
		}
		for (uint32_t channel = 0; channel < picture->channels; channel++) {
			int sample = pnm_sample(picture);

			if (sample < 0)
				return false;
			row[channel] = (uint8_t)sample;
		}
		if (picture->channels == 1)
			row[1] = row[2] = row[0];
	}
	return fread(padding, 1, picture->row_padding, picture->in) == picture->row_padding;
}

/* The size of the result: as the picture, shrunk until the longer side is SIZE. */
static void thumbnail_fit(struct thumbnail *thumbnail, const struct picture *picture, uint32_t size)
{
	uint32_t longer = picture->width > picture->height ? picture->width : picture->height;

	if (size > longer)
		size = longer;
	thumbnail->width = (uint32_t)((uint64_t)picture->width * size / longer);
	thumbnail->height = (uint32_t)((uint64_t)picture->height * size / longer);
	thumbnail->width += thumbnail->width == 0;
	thumbnail->height += thumbnail->height == 0;
}

/* Reads the picture's rows and adds them up. NULL, or what is wrong. */
static const char *thumbnail_fill(struct thumbnail *thumbnail, const struct picture *picture)
{
	size_t pixels = (size_t)thumbnail->width * thumbnail->height;
	uint8_t *row = malloc((size_t)picture->width * CHANNELS);

	thumbnail->sums = calloc(pixels * CHANNELS, sizeof(*thumbnail->sums));
	thumbnail->counts = calloc(pixels, sizeof(*thumbnail->counts));
	if (!row || !thumbnail->sums || !thumbnail->counts)
		return strerror(ENOMEM);
	for (uint32_t i = 0; i < picture->height; i++) {
		uint32_t y = picture->is_bottom_up ? picture->height - 1 - i : i;
		uint32_t out_y = (uint32_t)((uint64_t)y * thumbnail->height / picture->height);

		if (!picture_read_row(picture, row))
			return "it is cut off or damaged";
		for (uint32_t x = 0; x < picture->width; x++) {
			uint32_t out_x =
				(uint32_t)((uint64_t)x * thumbnail->width / picture->width);
			size_t at = (size_t)out_y * thumbnail->width + out_x;

			for (uint32_t channel = 0; channel < CHANNELS; channel++)
				thumbnail->sums[at * CHANNELS + channel] +=
					row[x * CHANNELS + channel];
			thumbnail->counts[at]++;
		}
	}
	free(row);
	return NULL;
}

/* The checksum of a PNG chunk (CRC-32), bit by bit: thumbnails are small. */
static uint32_t crc32_update(uint32_t crc, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
	}
	return crc;
}

static uint32_t adler32(const uint8_t *data, size_t len)
{
	uint32_t a = 1, b = 0;

	for (size_t i = 0; i < len; i++) {
		a = (a + data[i]) % 65521;
		b = (b + a) % 65521;
	}
	return b << 16 | a;
}

static void put_be32(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 24);
	out[1] = (uint8_t)(value >> 16);
	out[2] = (uint8_t)(value >> 8);
	out[3] = (uint8_t)value;
}

static void write_chunk(FILE *out, const char *type, const uint8_t *data, size_t len)
{
	uint8_t word[4];
	uint32_t crc;

	put_be32(word, (uint32_t)len);
	fwrite(word, 1, 4, out);
	fwrite(type, 1, 4, out);
	if (len)
		fwrite(data, 1, len, out);
	crc = crc32_update(~0u, (const uint8_t *)type, 4);
	put_be32(word, ~crc32_update(crc, data, len));
	fwrite(word, 1, 4, out);
}

/* The rows as PNG wants them: a filter byte (0: none) before each. */
static void fill_rows(const struct thumbnail *thumbnail, uint8_t *rows)
{
	for (uint32_t y = 0; y < thumbnail->height; y++) {
		*rows++ = 0;
		for (uint32_t x = 0; x < thumbnail->width; x++) {
			size_t at = (size_t)y * thumbnail->width + x;

			for (uint32_t channel = 0; channel < CHANNELS; channel++)
				*rows++ = (uint8_t)(thumbnail->sums[at * CHANNELS + channel] /
						    thumbnail->counts[at]);
		}
	}
}

/* False: no memory. Write errors are in ferror(OUT). */
static bool thumbnail_write(const struct thumbnail *thumbnail, FILE *out)
{
	size_t rows_len = ((size_t)thumbnail->width * CHANNELS + 1) * thumbnail->height;
	size_t blocks = (rows_len + STORED_MAX - 1) / STORED_MAX;
	/* zlib's header, 5 bytes before each block, the checksum. */
	uint8_t *data = malloc(2 + rows_len + 5 * blocks + 4), *p = data;
	uint8_t *rows = malloc(rows_len);
	uint8_t header[13] = {[8] = 8, [9] = 2}; /* 8 bits a sample, red-green-blue */

	if (!data || !rows)
		return false;
	fill_rows(thumbnail, rows);
	*p++ = 0x78;
	*p++ = 0x01;
	for (size_t at = 0; at < rows_len;) {
		size_t len = rows_len - at < STORED_MAX ? rows_len - at : STORED_MAX;

		*p++ = at + len == rows_len; /* the last block says so */
		*p++ = (uint8_t)len;
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)~len;
		*p++ = (uint8_t)(~len >> 8);
		memcpy(p, rows + at, len);
		p += len;
		at += len;
	}
	put_be32(p, adler32(rows, rows_len));
	p += 4;
	put_be32(header, thumbnail->width);
	put_be32(header + 4, thumbnail->height);
	fwrite("\x89PNG\r\n\x1a\n", 1, 8, out);
	write_chunk(out, "IHDR", header, sizeof(header));
	write_chunk(out, "IDAT", data, (size_t)(p - data));
	write_chunk(out, "IEND", NULL, 0);
	free(rows);
	free(data);
	return true;
}

static int make_thumbnail(const char *name, const char *in_path, const char *out_path,
			  uint32_t size)
{
	struct picture picture = {.in = fopen(in_path, "rb")};
	struct thumbnail thumbnail = {0};
	const char *error;
	FILE *out;

	if (!picture.in)
		return fail(in_path, strerror(errno));
	error = picture_open(&picture);
	if (!error) {
		thumbnail_fit(&thumbnail, &picture, size);
		error = thumbnail_fill(&thumbnail, &picture);
	}
	if (error)
		return fail(name, error);
	out = event_open_result(out_path);
	if (!out)
		return fail(out_path, strerror(errno));
	if (!thumbnail_write(&thumbnail, out))
		return fail(name, strerror(ENOMEM));
	if (ferror(out) || fclose(out) != 0)
		return fail(out_path, strerror(errno));
	fprintf(stderr, "thumbnail: %s: %u x %u became %u x %u\n", name, picture.width,
		picture.height, thumbnail.width, thumbnail.height);
	return 0;
}

int main(int argc, char **argv)
{
	const char *size_text = getenv("SIZE"), *directory = getenv("OUTPUT");
	unsigned long size = size_text ? strtoul(size_text, NULL, 10) : SIZE_DEFAULT;
	char path[PATH_BYTES_MAX];
	struct event event;

	if (size < 1 || size > SIZE_MAX_OUT)
		return fail("SIZE", "must be between 1 and 1024");
	if (argc == 3)
		return make_thumbnail(argv[1], argv[1], argv[2], (uint32_t)size);
	if (argc > 1)
		return fail("wrong use", "expected an event on standard input, or IN OUT.png");
	if (event_read(stdin, &event) != 0)
		return fail("standard input", "not an event of an object");
	if (event_result_path(&event, directory ? directory : "/thumbnails", ".png", path,
			      sizeof(path)) != 0)
		return fail(event.key, "the name of the result would be too long");
	return make_thumbnail(event.key, EVENT_OBJECT, path, (uint32_t)size);
}
