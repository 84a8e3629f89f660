/*
 * The configurations of tests/conform/click/cases with damaged packets: their own, with bytes
 * changed, cut and lengthened, from a seed. Nothing may read where no packet is (the sanitizers
 * see that), and no packet may be lost: the pool would be empty at the end.
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

#define FILE_MAX    (1u << 16)
#define PACKETS	    (4 * CLICK_PACKETS_MAX) /* a loss of one in four is seen */
#define RECORDS_MAX 64u
#define NS_PER_MS   1000000ull

struct record {
	const uint8_t *data;
	uint32_t len;
};

static uint32_t seed;

static uint32_t next(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static size_t read_file(const char *name, const char *suffix, uint8_t *bytes)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s%s", CLICK_CASES, name, suffix);
	FILE *file = fopen(path, "rb");
	if (!file)
		return 0;
	size_t len = fread(bytes, 1, FILE_MAX - 1, file);
	fclose(file);
	bytes[len] = '\0';
	return len;
}

/* Those that are whole in what was read. */
static unsigned read_records(const uint8_t *bytes, size_t len, struct record *records)
{
	unsigned count = 0;
	for (size_t at = 24; at + 16 <= len && count < RECORDS_MAX; count++) {
		memcpy(&records[count].len, bytes + at + 8, 4);
		records[count].data = bytes + at + 16;
		at += 16 + (size_t)records[count].len;
		if (at > len)
			break;
	}
	return count;
}

/* A damaged copy of RECORD; its length. */
static uint32_t damage(const struct record *record, uint8_t *out)
{
	uint32_t len = record->len < CLICK_PACKET_MAX ? record->len : CLICK_PACKET_MAX;
	memcpy(out, record->data, len);
	if (next(3) == 0)
		len = next(len + 1);
	if (next(10) == 0) {
		uint32_t more = next(CLICK_PACKET_MAX - len + 1);
		memset(out + len, (int)next(256), more);
		len += more;
	}
	/* Mostly in the headers. */
	for (uint32_t i = next(5); i > 0 && len > 0; i--) {
		uint32_t at = next(4) ? next(len < 64 ? len : 64) : next(len);
		out[at] = next(3) ? (uint8_t)next(256) : next(2) ? 0 : 0xff;
	}
	return len;
}

static void run(const char *name)
{
	static uint8_t text[FILE_MAX], pcap[FILE_MAX], packet[CLICK_PACKET_MAX];
	struct record records[RECORDS_MAX];
	struct fixture fixture;
	unsigned count = read_records(pcap, read_file(name, ".in.pcap", pcap), records);
	if (!count || !read_file(name, ".click", text))
		return;
	fixture_now_ns = 1000 * NS_PER_MS;
	if (fixture_load(&fixture, (const char *)text) < 0)
		fail_msg("%s: %s", name, fixture.errors);
	const char *device = click_router_device_name(fixture.router, 0);
	for (unsigned i = 0; i < PACKETS && device; i++) {
		uint32_t len = damage(&records[next(count)], packet);
		fixture_receive(&fixture, device, packet, len);
		fixture_run_at(&fixture, fixture_now_ns + next(20) * NS_PER_MS);
	}
	if (click_router_exhausted(fixture.router))
		fail_msg("%s: packets are lost", name);
	fixture_fini(&fixture);
}

static void damaged_packets_do_no_harm(void **state)
{
	unsigned count = 0;
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
		/* The same for each, whatever order they come in. */
		seed = 1;
		run(name);
		count++;
	}
	closedir(dir);
	assert_true(count > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_packets_do_no_harm)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
