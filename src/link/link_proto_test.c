#include "link/link_proto.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link/link_counters.h"

typedef int (*decode_fn)(const void *data, size_t len, struct link_message *ret_message);

/* A message under construction, in memory of exactly its size, so that the address sanitizer sees
 * any read past it. */
struct sample {
	decode_fn decode;
	alignas(8) uint8_t bytes[LINK_MESSAGE_MAX];
	size_t len;
};

static void sample_set(struct sample *s, decode_fn decode, void *header, size_t header_len,
		       const void *payload, size_t payload_len)
{
	s->decode = decode;
	((struct link_header *)header)->payload_len = (uint32_t)payload_len;
	memcpy(s->bytes, header, header_len);
	memcpy(s->bytes + header_len, payload, payload_len);
	s->len = header_len + payload_len;
}

static int sample_decode(const struct sample *s, size_t len, struct link_message *ret_message)
{
	void *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, s->bytes, len);
	int err = s->decode(copy, len, ret_message);
	free(copy);
	return err;
}

static void invoke_sample(struct sample *s)
{
	char payload[512];
	struct link_preopen preopens[2] = {
		{.bucket = "raw", .access = LINK_ACCESS_READ},
		{.bucket = "cooked", .access = LINK_ACCESS_READ | LINK_ACCESS_WRITE},
	};
	struct link_invoke v = {
		.header.kind = LINK_INVOKE,
		.call_id = 77,
		.timeout_ns = 5,
		.input_len = 1000,
		.deployment = 2,
		.function = {.budget_ns = 5000000, .period_ns = 100000000},
		.tenant = {.budget_ns = 100000, .period_ns = 1000000},
		.host_calls_per_s = 1000,
		.task_class = 7,
		.image_id = 3,
		.flags = LINK_INVOKE_EVENT,
		.preopens_count = 2,
		.name_len = 5,
		.tenant_len = 4,
		.environment_len = 8,
		.environment_count = 2,
		.input_inline_len = 4,
	};
	memcpy(payload, preopens, sizeof(preopens));
	memcpy(payload + sizeof(preopens), "helloacmeA=1\0B=2\0body", 21);
	sample_set(s, link_decode_to_cell, &v, sizeof(v), payload, sizeof(preopens) + 21);
}

static void request_sample(struct sample *s, uint32_t op, const char *path, const char *path2)
{
	char payload[2 * LINK_PATH_MAX];
	struct link_file_request v = {
		.header.kind = LINK_FILE_REQUEST,
		.call_id = 77,
		.request_id = 1,
		.op = op,
		.path_len = (uint32_t)strlen(path),
		.path2_len = (uint32_t)strlen(path2),
	};
	memcpy(payload, path, v.path_len);
	memcpy(payload + v.path_len, path2, v.path2_len);
	sample_set(s, link_decode_to_node, &v, sizeof(v), payload, v.path_len + v.path2_len);
}

static void done_sample(struct sample *s)
{
	struct link_done v = {
		.header.kind = LINK_DONE,
		.call_id = 9,
		.outcome = LINK_TRAPPED,
		.text_len = 4,
		.output_len = 3,
		.errors_len = 3,
	};
	sample_set(s, link_decode_to_node, &v, sizeof(v), "trapoutlog", 10);
}

static void counters_sample(struct sample *s)
{
	struct link_counters_report v = {.header.kind = LINK_COUNTERS};
	uint64_t values[LINK_COUNTERS_COUNT] = {0, 7};
	values[LINK_COUNTERS_COUNT - 1] = LINK_COUNTER_MAX;
	sample_set(s, link_decode_to_node, &v, sizeof(v), values, sizeof(values));
}

/* One sample of each kind; returns false behind the last. */
static bool sample_at(struct sample *s, unsigned index)
{
	struct link_load load = {.header.kind = LINK_LOAD, .image_id = 1};
	struct link_unload unload = {.header.kind = LINK_UNLOAD, .image_id = 1};
	struct link_file_reply reply = {.header.kind = LINK_FILE_REPLY, .call_id = 1, .result = 3};
	struct link_cancel cancel = {.header.kind = LINK_CANCEL, .call_id = 1};
	struct link_ready ready = {.header.kind = LINK_READY, .version = LINK_PROTO_VERSION};
	struct link_loaded loaded = {.header.kind = LINK_LOADED, .image_id = 1, .err = -ENOSYS};
	struct link_output output = {.header.kind = LINK_OUTPUT, .call_id = 1, .stream = 2};
	struct link_file_request write = {
		.header.kind = LINK_FILE_REQUEST, .call_id = 1, .op = LINK_OP_WRITE};
	switch (index) {
	case 0:
		sample_set(s, link_decode_to_cell, &load, sizeof(load), "", 0);
		return true;
	case 1:
		sample_set(s, link_decode_to_cell, &unload, sizeof(unload), "", 0);
		return true;
	case 2:
		invoke_sample(s);
		return true;
	case 3:
		sample_set(s, link_decode_to_cell, &reply, sizeof(reply), "abc", 3);
		return true;
	case 4:
		sample_set(s, link_decode_to_cell, &cancel, sizeof(cancel), "", 0);
		return true;
	case 5:
		sample_set(s, link_decode_to_node, &ready, sizeof(ready), "", 0);
		return true;
	case 6:
		sample_set(s, link_decode_to_node, &loaded, sizeof(loaded), "why", 3);
		return true;
	case 7:
		sample_set(s, link_decode_to_node, &output, sizeof(output), "log", 3);
		return true;
	case 8:
		request_sample(s, LINK_OP_RENAME, "a/b", "c/d");
		return true;
	case 9:
		sample_set(s, link_decode_to_node, &write, sizeof(write), "data", 4);
		return true;
	case 10:
		done_sample(s);
		return true;
	case 11:
		counters_sample(s);
		return true;
	default:
		return false;
	}
}

static void decodes_each_kind(void **state)
{
	static struct sample s;
	struct link_message m;
	for (unsigned i = 0; sample_at(&s, i); i++)
		assert_int_equal(sample_decode(&s, s.len, &m), 0);
	invoke_sample(&s);
	assert_int_equal(s.decode(s.bytes, s.len, &m), 0);
	assert_int_equal(m.invoke.call_id, 77);
	assert_string_equal(m.invoke_parts.preopens[1].bucket, "cooked");
	assert_int_equal(m.invoke_parts.name.len, 5);
	assert_memory_equal(m.invoke_parts.name.data, "hello", 5);
	assert_int_equal(m.invoke_parts.tenant.len, 4);
	assert_memory_equal(m.invoke_parts.tenant.data, "acme", 4);
	assert_memory_equal(m.invoke_parts.environment.data, "A=1\0B=2", 8);
	assert_memory_equal(m.invoke_parts.input.data, "body", 4);
	request_sample(&s, LINK_OP_LIST, "dir", "name");
	assert_int_equal(s.decode(s.bytes, s.len, &m), 0);
	assert_memory_equal(m.file_parts.path2.data, "name", 4);
	done_sample(&s);
	assert_int_equal(s.decode(s.bytes, s.len, &m), 0);
	assert_memory_equal(m.done_parts.errors.data, "log", 3);
}

static void refuses_truncation(void **state)
{
	static struct sample s;
	struct link_message m;
	for (unsigned i = 0; sample_at(&s, i); i++) {
		for (size_t len = 0; len < s.len; len++)
			assert_int_equal(sample_decode(&s, len, &m), -EBADMSG);
		s.bytes[s.len] = 0;
		assert_int_equal(sample_decode(&s, s.len + 1, &m), -EBADMSG);
	}
}

static void refuses_the_other_direction(void **state)
{
	static struct sample s;
	struct link_message m;
	for (unsigned i = 0; sample_at(&s, i); i++) {
		s.decode =
			s.decode == link_decode_to_cell ? link_decode_to_node : link_decode_to_cell;
		assert_int_equal(sample_decode(&s, s.len, &m), -EBADMSG);
	}
}

/* Puts VALUE at FIELD of sample INDEX; the message must not decode. */
static void check_field(unsigned index, size_t offset, uint32_t value)
{
	static struct sample s;
	struct link_message m;
	assert_true(sample_at(&s, index));
	memcpy(s.bytes + offset, &value, sizeof(value));
	assert_int_equal(sample_decode(&s, s.len, &m), -EBADMSG);
}

static void refuses_hostile_invokes(void **state)
{
	static const uint32_t counts[] = {0, 1, 3, 33, 1u << 26, 0x38e38e39, UINT32_MAX};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(counts); i++) {
		check_field(2, offsetof(struct link_invoke, preopens_count), counts[i]);
		check_field(2, offsetof(struct link_invoke, name_len), counts[i]);
		check_field(2, offsetof(struct link_invoke, tenant_len), counts[i]);
		check_field(2, offsetof(struct link_invoke, environment_len), counts[i]);
		check_field(2, offsetof(struct link_invoke, environment_count), counts[i]);
		check_field(2, offsetof(struct link_invoke, input_inline_len), counts[i]);
		check_field(2, offsetof(struct link_header, payload_len), counts[i]);
	}
	check_field(2, offsetof(struct link_invoke, call_id), 0);
	check_field(2, offsetof(struct link_invoke, input_len), 3);
	check_field(2, offsetof(struct link_invoke, flags), 2);
	check_field(2, offsetof(struct link_invoke, task_class), LINK_CLASSES);
	check_field(2, offsetof(struct link_invoke, host_calls_per_s), LINK_HOST_CALLS_MAX + 1);
	size_t budgets[] = {offsetof(struct link_invoke, function),
			    offsetof(struct link_invoke, tenant)};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(budgets); i++) {
		size_t period = budgets[i] + offsetof(struct link_budget, period_ns);
		check_field(2, budgets[i], 0); /* a period alone */
		check_field(2, budgets[i], LINK_BUDGET_NS_MIN - 1);
		check_field(2, budgets[i], 100000001); /* longer than the period */
		check_field(2, budgets[i] + 4, 1);
		check_field(2, period, 0);
		check_field(2, period, LINK_PERIOD_NS_MIN - 1);
		check_field(2, period + 4, 14); /* over a minute */
	}
	size_t at = sizeof(struct link_invoke);
	check_field(2, at, 0);		/* a bucket without a name */
	check_field(2, at, 0x2f2f2f2f); /* with slashes */
	check_field(2, at + offsetof(struct link_preopen, access), 0);
	check_field(2, at + offsetof(struct link_preopen, access), 4);
	check_field(2, at + offsetof(struct link_preopen, reserved), 4);
	check_field(2, at + 2 * sizeof(struct link_preopen), 0);	       /* NUL in the name */
	check_field(2, at + 2 * sizeof(struct link_preopen) + 5, 0);	       /* in the tenant */
	check_field(2, at + 2 * sizeof(struct link_preopen) + 9, 0x41414100);  /* empty variable */
	check_field(2, at + 2 * sizeof(struct link_preopen) + 13, 0x41414141); /* unended */
}

static void refuses_hostile_replies_and_loads(void **state)
{
	check_field(0, offsetof(struct link_load, isolation), LINK_ISOLATION_LAST + 1);
	check_field(1, offsetof(struct link_unload, reserved), 1);
	check_field(3, offsetof(struct link_file_reply, call_id), 0);
	check_field(3, offsetof(struct link_file_reply, reserved), 1);
	check_field(3, offsetof(struct link_file_reply, result) + 4, 0x80000000);
	check_field(3, offsetof(struct link_file_reply, result) + 4, UINT32_MAX);
	check_field(4, offsetof(struct link_cancel, call_id), 0);
	check_field(5, offsetof(struct link_ready, reserved), 1);
	check_field(6, offsetof(struct link_loaded, err), 1);
	check_field(6, offsetof(struct link_loaded, err), (uint32_t)-5000);
	check_field(6, sizeof(struct link_loaded) - 1, 0);
	check_field(7, offsetof(struct link_output, stream), 0);
	check_field(7, offsetof(struct link_output, stream), 3);
	check_field(7, offsetof(struct link_output, call_id), 0);
}

static void refuses_hostile_requests(void **state)
{
	static const uint32_t lens[] = {
		0, 2, 4, 5, 6, LINK_PATH_MAX + 1, UINT32_MAX, UINT32_MAX - 2};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lens); i++) {
		check_field(8, offsetof(struct link_file_request, path_len), lens[i]);
		check_field(8, offsetof(struct link_file_request, path2_len), lens[i]);
	}
	check_field(8, offsetof(struct link_file_request, op), 0);
	check_field(8, offsetof(struct link_file_request, op), LINK_OP_LAST + 1);
	check_field(8, offsetof(struct link_file_request, op), LINK_OP_READ);
	check_field(8, offsetof(struct link_file_request, op), LINK_OP_UNLINK);
	check_field(8, offsetof(struct link_file_request, flags), 32);
	check_field(8, offsetof(struct link_file_request, size), LINK_DATA_MAX + 1);
	check_field(8, offsetof(struct link_file_request, call_id), 0);
	check_field(8, sizeof(struct link_file_request) + 2, 0);
	check_field(9, offsetof(struct link_file_request, path_len), 4);
	check_field(10, offsetof(struct link_done, outcome), 0);
	check_field(10, offsetof(struct link_done, outcome), LINK_OUTCOME_LAST + 1);
	check_field(10, offsetof(struct link_done, text_len), 5);
	check_field(10, offsetof(struct link_done, text_len), LINK_TEXT_MAX + 1);
	check_field(10, offsetof(struct link_done, output_len), UINT32_MAX);
	check_field(10, offsetof(struct link_done, errors_len), 0);
	check_field(10, sizeof(struct link_done), 0);
}

static void refuses_hostile_counters(void **state)
{
	static struct sample s;
	struct link_message m;
	uint64_t values[LINK_COUNTERS_COUNT + 1] = {0};
	struct link_counters_report v = {.header.kind = LINK_COUNTERS};
	/* One more or less than there are, none at all, and a part of one. */
	size_t lens[] = {0,
			 1,
			 sizeof(values[0]),
			 sizeof(values) - 2 * sizeof(values[0]),
			 sizeof(values) - 1,
			 sizeof(values)};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lens); i++) {
		sample_set(&s, link_decode_to_node, &v, sizeof(v), values, lens[i]);
		assert_int_equal(sample_decode(&s, s.len, &m), -EBADMSG);
	}
	size_t last = sizeof(v) + (LINK_COUNTERS_COUNT - 1) * sizeof(values[0]);
	check_field(11, last, 1); /* the largest there may be, and one more */
	check_field(11, last + 4, UINT32_MAX);
	check_field(11, sizeof(v) + 4, UINT32_MAX);
}

static void names_counters(void **state)
{
	static struct sample s;
	struct link_message m;
	uint64_t values[LINK_COUNTERS_COUNT];
	for (unsigned i = 0; i < LINK_COUNTERS_COUNT; i++)
		assert_int_equal(link_counters_find(link_counters[i].name), i);
	assert_int_equal(link_counters_find("cell.call"), -1);
	assert_int_equal(link_counters_find("store.puts_total"), -1);
	assert_true(link_counters_is_gauge((unsigned)link_counters_find("cell.residents")));
	assert_false(link_counters_is_gauge((unsigned)link_counters_find("cell.calls_total")));
	counters_sample(&s);
	assert_int_equal(s.decode(s.bytes, s.len, &m), 0);
	link_counters_get(m.payload, values);
	assert_int_equal(values[1], 7);
	assert_int_equal(values[LINK_COUNTERS_COUNT - 1], LINK_COUNTER_MAX);
}

static void refuses_large_payloads(void **state)
{
	static struct sample s;
	struct link_message m;
	struct link_output output = {.header.kind = LINK_OUTPUT, .call_id = 1, .stream = 1};
	static uint8_t data[LINK_PAYLOAD_MAX];
	sample_set(&s, link_decode_to_node, &output, sizeof(output), data, LINK_PAYLOAD_MAX);
	assert_int_equal(sample_decode(&s, s.len, &m), 0);
	sample_set(&s, link_decode_to_node, &output, sizeof(output), data, 0);
	s.len += LINK_PAYLOAD_MAX + 1;
	output.header.payload_len = LINK_PAYLOAD_MAX + 1;
	memcpy(s.bytes, &output, sizeof(output));
	assert_int_equal(sample_decode(&s, s.len, &m), -EBADMSG);
}

/* Bytes changed at random decode or not, but never read outside the message. */
static void survives_random_changes(void **state)
{
	static struct sample s;
	struct link_message m;
	unsigned seed = 7;
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; sample_at(&s, i); i++) {
			for (unsigned k = 0; k < 1 + round % 4; k++)
				s.bytes[(size_t)rand_r(&seed) % s.len] = (uint8_t)rand_r(&seed);
			int err = sample_decode(&s, s.len, &m);
			assert_true(err == 0 || err == -EBADMSG);
		}
	}
}

static void dirents(void **state)
{
	char out[64];
	size_t used = 0;
	uint32_t offset = 0;
	struct link_dirent entry;
	struct link_span name;
	assert_int_equal(link_dirent_append(out, sizeof(out), &used, "file", 4, LINK_FILE), 0);
	assert_int_equal(link_dirent_append(out, sizeof(out), &used, "dir", 3, LINK_DIRECTORY), 0);
	char large[64];
	memset(large, 'x', sizeof(large));
	assert_int_equal(link_dirent_append(out, sizeof(out), &used, large, 64, LINK_FILE),
			 -ENOSPC);
	struct link_span payload = {out, (uint32_t)used};
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), 1);
	assert_int_equal(entry.kind, LINK_FILE);
	assert_memory_equal(name.data, "file", 4);
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), 1);
	assert_int_equal(entry.kind, LINK_DIRECTORY);
	assert_int_equal(name.len, 3);
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), 0);
	for (uint32_t len = 1; len < used; len++) {
		struct link_span part = {out, len};
		offset = 0;
		int err;
		do
			err = link_dirent_next(part, &offset, &entry, &name);
		while (err == 1);
		assert_int_equal(err, len == 8 ? 0 : -EBADMSG);
	}
	out[2] = 9; /* kind */
	offset = 0;
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), -EBADMSG);
	out[2] = LINK_FILE;
	out[5] = '\0';
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), -EBADMSG);
	offset = 1000;
	assert_int_equal(link_dirent_next(payload, &offset, &entry, &name), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_each_kind),
		cmocka_unit_test(refuses_truncation),
		cmocka_unit_test(refuses_the_other_direction),
		cmocka_unit_test(refuses_hostile_invokes),
		cmocka_unit_test(refuses_hostile_replies_and_loads),
		cmocka_unit_test(refuses_hostile_requests),
		cmocka_unit_test(refuses_hostile_counters),
		cmocka_unit_test(names_counters),
		cmocka_unit_test(refuses_large_payloads),
		cmocka_unit_test(survives_random_changes),
		cmocka_unit_test(dirents),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
