#include "plane/plane_metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"

static int format(const char *state, struct eos_buf *out)
{
	struct eos_why why = {""};
	int err = plane_metrics_format(state, strlen(state), out, &why);
	assert_true((err == 0) == (why.text[0] == '\0'));
	if (err < 0)
		assert_int_equal(out->len, 0);
	return err;
}

static void assert_line(const struct eos_buf *out, const char *line)
{
	const char *found = strstr(out->data, line);
	if (found == NULL || (found != out->data && found[-1] != '\n') ||
	    found[strlen(line)] != '\n')
		fail_msg("no line %s in:\n%s", line, out->data);
}

static const char small[] =
	"{\"fwps\":3,\"fwps_max\":4096,\"datagrams_cut\":1,"
	"\"ports\":[{\"port\":\"lan\",\"is_up\":true,\"mtu\":1500,\"received\":7,\"mac\":\"x\"}],"
	"\"chains\":[{\"chain\":\"a\",\"tenant\":\"}]{[\",\"version\":2,\"chains\":1,"
	"\"start_ns\":1500000000,\"packets\":9223372036854775807,\"stages\":["
	"{\"image\":\"\\\"]\",\"received\":4,\"run_ns\":7,\"counters\":{\"hits\":9,\"a/b@c\":1}},"
	"{\"image\":\"y\",\"received\":5,\"counters\":{}}]},"
	"{\"chain\":\"b\",\"version\":1,\"stages\":[]}]}";

static void test_small(void **state)
{
	struct eos_buf out = {0};
	(void)state;
	assert_int_equal(format(small, &out), 0);
	assert_line(&out, "# TYPE edgeos_plane_fwps gauge");
	assert_line(&out, "edgeos_plane_fwps 3");
	assert_line(&out, "edgeos_plane_datagrams_cut_total 1");
	assert_line(&out, "edgeos_plane_port_up{port=\"lan\"} 1");
	assert_line(&out, "edgeos_plane_port_received_total{port=\"lan\"} 7");
	assert_line(&out, "# TYPE edgeos_chain_packets_total counter");
	assert_line(&out, "edgeos_chain_packets_total{chain=\"a\"} 9223372036854775807");
	assert_line(&out, "edgeos_chain_start_seconds_total{chain=\"a\"} 1.500000000");
	assert_line(&out, "edgeos_chain_stage_received_total{chain=\"a\",stage=\"0\"} 4");
	assert_line(&out, "edgeos_chain_stage_received_total{chain=\"a\",stage=\"1\"} 5");
	assert_line(&out, "edgeos_chain_stage_run_seconds_total{chain=\"a\",stage=\"0\"} "
			  "0.000000007");
	assert_line(&out, "edgeos_chain_function_counter{chain=\"a\",stage=\"0\",counter=\"hits\"} "
			  "9");
	assert_line(&out,
		    "edgeos_chain_function_counter{chain=\"a\",stage=\"0\",counter=\"a/b@c\"} "
		    "1");
	assert_line(&out, "edgeos_plane_metrics_left_out 0");
	/* All of a metric together, its type once before them. */
	const char *type = "# TYPE edgeos_chain_version gauge\n"
			   "edgeos_chain_version{chain=\"a\"} 2\n"
			   "edgeos_chain_version{chain=\"b\"} 1\n";
	assert_non_null(strstr(out.data, type));
	eos_buf_fini(&out);
}

/* What a hostile data plane says stays inside of its labels, or is left out. */
static void test_hostile_values(void **state)
{
	struct eos_buf out = {0};
	(void)state;
	assert_int_equal(format("{\"fwps\":-1,\"fwps_max\":\"4\\n5\",\"fwps_peak\":1e3,"
				"\"ports\":5,\"chains\":[{\"chain\":\"a\\\"} 1\\nb\\\\\","
				"\"version\":1,\"packets\":{},\"started\":[1],"
				"\"stages\":{\"x\":{\"received\":1}}},[1,2],{\"chain\":{}}]}",
				&out),
			 0);
	assert_null(strstr(out.data, "edgeos_plane_fwps"));
	assert_null(strstr(out.data, "edgeos_chain_packets"));
	assert_line(&out, "edgeos_chain_version{chain=\"a\\\"} 1\\nb\\\\\"} 1");
	eos_buf_fini(&out);
}

static void test_not_a_state(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[",
		"hello",
		"{\"chains\":[",
		"{\"chains\":[{]}",
		"{\"chains\":[{\"chain\":\"a}]}",
		"{\"chains\":[{\"chain\":\"a\",}]}",
		"{\"chains\":[{\"chain\":\"a\"}]",
		"{\"chains\":[{\"chain\":\"a\",\"chain\":\"b\"}]}",
		"{\"fwps\":1,\"chains\":[]}}",
		"\"\\",
	};
	(void)state;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(texts); i++) {
		struct eos_buf out = {0};
		if (format(texts[i], &out) != -EPROTO)
			fail_msg("taken: %s", texts[i]);
		eos_buf_fini(&out);
	}
}

/* Every piece of a state, as a data plane that dies, or lies, may send. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(small); len++) {
		struct eos_buf out = {0};
		struct eos_why why = {""};
		assert_int_equal(plane_metrics_format(small, len, &out, &why), -EPROTO);
		eos_buf_fini(&out);
	}
}

/* CHAINS chains of STAGES stages with COUNTERS counters each. */
static void make_state(struct eos_buf *buf, unsigned chains, unsigned stages, unsigned counters)
{
	struct eos_json json = eos_json_begin(buf);
	char name[64];
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "chains", '[');
	for (unsigned i = 0; i < chains; i++) {
		eos_json_open(&json, NULL, '{');
		snprintf(name, sizeof(name), "chain-with-a-rather-long-name-%u", i);
		eos_json_text(&json, "chain", name);
		eos_json_u64(&json, "packets", i);
		eos_json_open(&json, "stages", '[');
		for (unsigned j = 0; j < stages; j++) {
			eos_json_open(&json, NULL, '{');
			eos_json_u64(&json, "received", j);
			eos_json_open(&json, "counters", '{');
			for (unsigned k = 0; k < counters; k++) {
				snprintf(name, sizeof(name), "counter%u", k);
				eos_json_u64(&json, name, k);
			}
			eos_json_close(&json, '}');
			eos_json_close(&json, '}');
		}
		eos_json_close(&json, ']');
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	assert_false(eos_buf_failed(buf));
}

/* As many chains as there can be, in more nodes than one document may have. */
static void test_many_chains(void **state)
{
	struct eos_buf text = {0}, out = {0};
	(void)state;
	make_state(&text, 1024, 16, 4);
	assert_int_equal(format(text.data, &out), 0);
	assert_line(&out,
		    "edgeos_chain_packets_total{chain=\"chain-with-a-rather-long-name-1023\"} "
		    "1023");
	assert_non_null(strstr(out.data, "name-1023\",stage=\"15\",counter=\"counter3\"} 3\n"));
	assert_line(&out, "edgeos_plane_metrics_left_out 0");
	eos_buf_fini(&text);
	eos_buf_fini(&out);
}

static void test_bounded(void **state)
{
	struct eos_buf text = {0}, out = {0};
	(void)state;
	make_state(&text, 200, 16, 64);
	assert_int_equal(format(text.data, &out), 0);
	assert_true(out.len < PLANE_METRICS_BYTES_MAX + 65536);
	const char *left = strstr(out.data, "\nedgeos_plane_metrics_left_out ");
	unsigned long long count = 0;
	assert_non_null(left);
	assert_int_equal(sscanf(left, "\nedgeos_plane_metrics_left_out %llu", &count), 1);
	assert_true(count > 0);
	/* Nothing is cut in the middle of a line. */
	assert_int_equal(out.data[out.len - 1], '\n');
	eos_buf_fini(&text);
	eos_buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),	    cmocka_unit_test(test_hostile_values),
		cmocka_unit_test(test_not_a_state), cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_many_chains), cmocka_unit_test(test_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
