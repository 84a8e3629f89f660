/*
 * Cuts: the same whatever pieces the bytes come in, within bounds, and found again behind an
 * insertion. `local_cdc_test speed` prints how fast, and how large the chunks are.
 */
#include "store/local_cdc_priv.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"

#define CUTS_MAX 4096u

static void fill(uint64_t seed, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint64_t z = seed + (i / 8) * UINT64_C(0x9E3779B97F4A7C15);
		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		out[i] = (uint8_t)((z ^ (z >> 31)) >> (i % 8 * 8));
	}
}

/* Cuts DATA, which becomes known PIECE bytes at a time. Returns the count of ends in CUTS. */
static size_t cut_all(const uint8_t *data, size_t len, size_t piece, uint64_t offset, size_t *cuts)
{
	struct local_cdc cdc;
	size_t count = 0, start = 0, known = 0;
	local_cdc_begin(&cdc, offset);
	while (known < len) {
		known = EOS_MIN(known + piece, len);
		size_t n;
		while ((n = local_cdc_end(&cdc, data + start, known - start)) > 0) {
			start += n;
			assert_true(count < CUTS_MAX);
			cuts[count++] = start;
			local_cdc_begin(&cdc, offset + start);
		}
	}
	return count;
}

static void test_same_cuts_in_any_pieces(void **state)
{
	static const size_t pieces[] = {1, 63, 4096, 65536, 1000003, SIZE_MAX / 4};
	static size_t first[CUTS_MAX], cuts[CUTS_MAX];
	size_t len = 3u << 20;
	uint8_t *data = malloc(len);
	assert_non_null(data);
	fill(1, data, len);
	size_t count = cut_all(data, len, len, 0, first);
	assert_in_range(count, 20, 100);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(pieces); i++) {
		assert_int_equal(cut_all(data, len, pieces[i], 0, cuts), count);
		assert_memory_equal(cuts, first, count * sizeof(cuts[0]));
	}
	/* For ever the same: stored chunks are found again by later versions of this code. */
	assert_int_equal(first[0], 38877);
	assert_int_equal(first[1], 107284);
	free(data);
}

static void check_bounds(const uint8_t *data, size_t len, uint64_t offset, size_t min, size_t max,
			 size_t *ret_count)
{
	static size_t cuts[CUTS_MAX];
	size_t count = cut_all(data, len, 1u << 20, offset, cuts), start = 0;
	for (size_t i = 0; i < count; i++) {
		assert_in_range(cuts[i] - start, min, max);
		start = cuts[i];
	}
	/* What is left is no chunk yet. */
	assert_true(len - start < max);
	*ret_count = count;
}

static void test_bounds(void **state)
{
	size_t len = 40u << 20, count;
	uint8_t *data = malloc(len);
	assert_non_null(data);
	fill(2, data, len);
	check_bounds(data, len, 0, 16384, LOCAL_CDC_FINE_MAX, &count);
	assert_in_range(len / count, 56000, 80000);
	check_bounds(data, len, LOCAL_CDC_FINE_BYTES, 262144, LOCAL_CDC_COARSE_MAX, &count);
	assert_in_range(len / count, 700000, 1500000);
	/* Without any change in the bytes there is no place to cut: the largest size. */
	memset(data, 0, len);
	check_bounds(data, len, 0, 16384, LOCAL_CDC_FINE_MAX, &count);
	assert_int_equal(count, len / LOCAL_CDC_FINE_MAX);
	free(data);
}

/* Three bytes inserted: all cuts but those of a few chunks come again, three bytes later. */
static void test_insertion(void **state)
{
	static size_t before[CUTS_MAX], behind[CUTS_MAX];
	size_t len = 16u << 20, at = 5u << 20, found = 0;
	uint8_t *data = malloc(len + 3), *changed = malloc(len + 3);
	assert_true(data != NULL && changed != NULL);
	fill(3, data, len);
	memcpy(changed, data, at);
	memcpy(changed + at, "+++", 3);
	memcpy(changed + at + 3, data + at, len - at);
	size_t count = cut_all(data, len, len, 0, before);
	size_t count_behind = cut_all(changed, len + 3, len, 0, behind);
	for (size_t i = 0, j = 0; i < count; i++) {
		size_t expected = before[i] <= at ? before[i] : before[i] + 3;
		while (j < count_behind && behind[j] < expected)
			j++;
		found += j < count_behind && behind[j] == expected;
	}
	assert_true(found + 4 >= count);
	free(data);
	free(changed);
}

static int speed(void)
{
	static size_t cuts[CUTS_MAX];
	size_t len = 128u << 20;
	uint8_t *data = malloc(len);
	if (data == NULL)
		return 1;
	fill(4, data, len);
	for (int is_coarse = 0; is_coarse < 2; is_coarse++) {
		uint64_t start = eos_now_ns();
		size_t count = cut_all(data, len, len, is_coarse ? LOCAL_CDC_FINE_BYTES : 0, cuts);
		double seconds = (double)(eos_now_ns() - start) / 1e9, squares = 0;
		for (size_t i = 1; i < count; i++) {
			double size = (double)(cuts[i] - cuts[i - 1]);
			squares += size * size;
		}
		printf("from %s: %.0f MB/s, %zu chunks, mean %zu, weighted by bytes %.0f\n",
		       is_coarse ? "64 MiB" : "0", (double)len / 1e6 / seconds, count,
		       len / (count + 1), squares / (double)len);
	}
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "speed") == 0)
		return speed();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_cuts_in_any_pieces),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_insertion),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
