/*
 * tests/conform/click/cases: a configuration NAME.click, the packets of NAME.in.pcap by its device
 * "in", at their times, and in NAME.out.pcap what it sends by "out", which make_cases worked out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_elements_fixture.h"

#define NS_PER_S 1000000000ull

struct pcap {
	uint8_t *bytes;
	size_t len, at;
};

struct record {
	uint64_t time_ns;
	const uint8_t *data;
	uint32_t len;
};

static uint8_t *read_file(const char *name, const char *suffix, size_t *ret_len)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s%s", CLICK_CASES, name, suffix);
	FILE *file = fopen(path, "rb");
	if (!file)
		fail_msg("%s cannot be read", path);
	uint8_t *bytes = malloc(1 << 20);
	assert_non_null(bytes);
	*ret_len = fread(bytes, 1, (1 << 20) - 1, file);
	bytes[*ret_len] = '\0';
	fclose(file);
	return bytes;
}

static struct pcap open_pcap(const char *name, const char *suffix)
{
	struct pcap pcap = {.at = 24};
	pcap.bytes = read_file(name, suffix, &pcap.len);
	static const uint8_t magic[] = {0xd4, 0xc3, 0xb2, 0xa1};
	assert_true(pcap.len >= 24 && memcmp(pcap.bytes, magic, 4) == 0);
	return pcap;
}

static bool next(struct pcap *pcap, struct record *ret)
{
	uint32_t header[4];
	if (pcap->at == pcap->len)
		return false;
	assert_true(pcap->len - pcap->at >= sizeof(header));
	memcpy(header, pcap->bytes + pcap->at, sizeof(header));
	pcap->at += sizeof(header);
	assert_true(header[2] <= pcap->len - pcap->at);
	*ret = (struct record){
		.time_ns = header[0] * NS_PER_S + header[1] * 1000ull,
		.data = pcap->bytes + pcap->at,
		.len = header[2],
	};
	pcap->at += header[2];
	return true;
}

static void print(const char *what, const uint8_t *data, uint32_t len)
{
	print_error("%s", what);
	for (uint32_t i = 0; i < len; i++)
		print_error("%s%02x", i % 4 ? "" : " ", data[i]);
	print_error("\n");
}

/* The next packet of OUT is SENT. */
static bool is_expected(const char *name, struct pcap *out, const struct sent *sent)
{
	struct record expected = {.len = 0};
	if (next(out, &expected) && expected.len == sent->len &&
	    memcmp(expected.data, sent->data, sent->len) == 0)
		return true;
	print_error("%s:\n", name);
	print("expected", expected.data, expected.len);
	print("sent    ", sent->data, sent->len);
	return false;
}

static bool run(const char *name)
{
	struct fixture fixture;
	struct pcap in = open_pcap(name, ".in.pcap"), out = open_pcap(name, ".out.pcap");
	struct record record;
	size_t len;
	char *text = (char *)read_file(name, ".click", &len);
	bool is_good = fixture_load(&fixture, text) == 0;
	if (!is_good)
		print_error("%s: %s\n", name, fixture.errors);
	while (is_good && next(&in, &record)) {
		fixture.sent_count = 0;
		fixture_run_at(&fixture, record.time_ns);
		fixture_receive_more(&fixture, "in", record.data, record.len);
		assert_true(fixture.sent_count <= SENT_MAX);
		for (unsigned i = 0; is_good && i < fixture.sent_count; i++)
			is_good = is_expected(name, &out, &fixture.sent[i]);
	}
	if (is_good && next(&out, &record)) {
		is_good = false;
		print_error("%s: missing\n", name);
		print("expected", record.data, record.len);
	}
	fixture_fini(&fixture);
	free(text);
	free(in.bytes);
	free(out.bytes);
	return is_good;
}

static void cases_are_as_expected(void **state)
{
	unsigned count = 0, bad = 0;
	DIR *dir = opendir(CLICK_CASES);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		char name[256];
		size_t len = strlen(entry->d_name);
		if (len < 7 || len >= sizeof(name) ||
		    strcmp(entry->d_name + len - 6, ".click") != 0)
			continue;
		memcpy(name, entry->d_name, len - 6);
		name[len - 6] = '\0';
		bad += !run(name);
		count++;
	}
	closedir(dir);
	print_message("%u cases\n", count);
	assert_true(count > 0);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(cases_are_as_expected)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
