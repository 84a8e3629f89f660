#include "func/manifest.h"

#include <errno.h>

#include "base/clock.h"
#include "func/func_test_priv.h"

static struct eos_why why;

static int decode(const char *yaml, struct func_manifest **ret_manifest)
{
	struct eos_doc *doc;
	int err = eos_doc_parse_yaml("m.yaml", yaml, strlen(yaml), &doc, &why);
	if (err < 0)
		return err;
	err = func_manifest_decode(eos_doc_root(doc), ret_manifest, &why);
	eos_doc_free(doc);
	return err;
}

static void test_defaults(void **state)
{
	struct func_manifest *m;
	assert_int_equal(decode("function: f\nimage: f.wasm\n", &m), 0);
	assert_string_equal(m->name, "f");
	assert_string_equal(m->tenant, "default");
	assert_string_equal(m->image, "f.wasm");
	assert_int_equal(m->isolation, FUNC_ISOLATION_REQUEST);
	assert_int_equal(m->memory_bytes, 64 << 20);
	assert_int_equal(m->stack_bytes, 256 << 10);
	assert_int_equal(m->timeout_ns, 10 * EOS_NS_PER_S);
	assert_int_equal(m->concurrency_max, 64);
	assert_int_equal(m->host_calls_per_s, 0);
	assert_int_equal(m->cpu_class, 4);
	assert_int_equal(m->cpu.budget_ns + m->cpu.period_ns, 0);
	assert_int_equal(m->retry_attempts, 5);
	assert_int_equal(m->retry_backoff_ns, EOS_NS_PER_S);
	assert_string_equal(m->dead_letter, "");
	assert_int_equal(m->grants_count + m->triggers_count + m->config_count, 0);
	assert_null(func_manifest_free(m));
	assert_null(func_manifest_free(NULL));
}

static void test_isolation(void **state)
{
	struct func_manifest *m;
	assert_int_equal(decode("function: f\nimage: f.wasm\nisolation: tenant\n", &m), 0);
	assert_int_equal(m->isolation, FUNC_ISOLATION_TENANT);
	func_manifest_free(m);
}

static void test_everything(void **state)
{
	struct func_manifest *m;
	int err = decode("function: downsample\n"
			 "tenant: acme\n"
			 "image: ../downsample.wasm\n"
			 "isolation: request\n"
			 "limits: {memory: 16MiB, timeout: 2s, stack: 64KiB, concurrency: 100, "
			 "host_calls: 5000}\n"
			 "cpu: {class: 2, budget: 20ms, period: 1s}\n"
			 "grants:\n"
			 "  - {bucket: raw, access: read}\n"
			 "  - {bucket: cooked, access: write}\n"
			 "  - {bucket: both.of-them, access: read-write}\n"
			 "triggers:\n"
			 "  - object: {bucket: raw, prefix: cam/, suffix: .csv, "
			 "events: [ObjectCreated, ObjectRemoved]}\n"
			 "  - object: {bucket: both.of-them, recursion: allow}\n"
			 "  - http: {path: /downsample, methods: [POST, GET]}\n"
			 "  - http: {path: /a/b.c/~d}\n"
			 "retry: {attempts: 3, backoff: 10ms, dead_letter: failed}\n"
			 "config: {threshold: \"21.5\", _X9: a=b, EMPTY: ''}\n",
			 &m);
	if (err < 0)
		fail_msg("%s", why.text);
	assert_int_equal(m->memory_bytes, 16 << 20);
	assert_int_equal(m->concurrency_max, 100);
	assert_int_equal(m->host_calls_per_s, 5000);
	assert_int_equal(m->cpu_class, 2);
	assert_int_equal(m->cpu.budget_ns, 20 * EOS_NS_PER_MS);
	assert_int_equal(m->cpu.period_ns, EOS_NS_PER_S);
	assert_int_equal(m->grants_count, 3);
	assert_int_equal(m->grants[0].access, FUNC_ACCESS_READ);
	assert_int_equal(m->grants[1].access, FUNC_ACCESS_WRITE);
	assert_int_equal(m->grants[2].access, FUNC_ACCESS_READ | FUNC_ACCESS_WRITE);
	assert_int_equal(m->triggers_count, 4);
	assert_int_equal(m->triggers[0].kind, FUNC_TRIGGER_OBJECT);
	assert_string_equal(m->triggers[0].prefix, "cam/");
	assert_string_equal(m->triggers[0].suffix, ".csv");
	assert_true(m->triggers[0].on_created && m->triggers[0].on_removed);
	assert_true(m->triggers[1].on_created && !m->triggers[1].on_removed);
	assert_int_equal(m->triggers[2].kind, FUNC_TRIGGER_HTTP);
	assert_int_equal(m->triggers[2].methods, FUNC_METHOD_POST | FUNC_METHOD_GET);
	assert_int_equal(m->triggers[3].methods, 0);
	assert_string_equal(m->triggers[3].path, "/a/b.c/~d");
	assert_int_equal(m->retry_attempts, 3);
	assert_string_equal(m->dead_letter, "failed");
	assert_int_equal(m->config_count, 3);
	assert_string_equal(m->config[0], "threshold=21.5");
	assert_string_equal(m->config[1], "_X9=a=b");
	assert_string_equal(m->config[2], "EMPTY=");
	func_manifest_free(m);
}

#define HEAD "function: f\nimage: f.wasm\n"

static void test_packets(void **state)
{
	struct func_manifest *m = NULL;
	(void)state;
	assert_int_equal(decode(HEAD "triggers: [{udp: {port: 11211}}]\n", &m), 0);
	assert_true(m->is_packet);
	assert_int_equal(m->isolation, FUNC_ISOLATION_CLIENT);
	assert_int_equal(m->timeout_ns, 10 * EOS_NS_PER_MS);
	assert_int_equal(m->memory_bytes, 16 << 20);
	assert_int_equal(m->triggers[0].kind, FUNC_TRIGGER_UDP);
	assert_int_equal(m->triggers[0].port, 11211);
	assert_string_equal(m->triggers[0].address, "127.0.0.1");
	assert_int_equal(m->triggers[0].idle_ns, 30 * EOS_NS_PER_S);
	func_manifest_free(m);
	assert_int_equal(decode(HEAD "isolation: tenant\nlimits: {timeout: 100us, stack: 16KiB}\n"
				     "triggers:\n - tcp: {port: 7, address: \"::\", idle: 0}\n",
				&m),
			 0);
	assert_int_equal(m->isolation, FUNC_ISOLATION_TENANT);
	assert_int_equal(m->timeout_ns, 100 * EOS_NS_PER_US);
	assert_int_equal(m->triggers[0].kind, FUNC_TRIGGER_TCP);
	assert_string_equal(m->triggers[0].address, "::");
	assert_int_equal(m->triggers[0].idle_ns, 0);
	func_manifest_free(m);
	/* A limit of packet functions is not one of the others. */
	assert_int_equal(decode(HEAD "limits: {timeout: 100us}\n", &m), -EINVAL);
}

/* What is refused, and the beginning of what is said. */
static const struct {
	const char *yaml, *message;
} refusals[] = {
	{"image: f.wasm\n", "m.yaml:1: function: is missing"},
	{"function: f\n", "m.yaml:1: image: is missing"},
	{"[]\n", "m.yaml:1: not a map"},
	{"function: F\nimage: f\n", "m.yaml:1: function: not a name"},
	{"function: 1f\nimage: f\n", "m.yaml:1: function: not a name"},
	{"function: f/g\nimage: f\n", "m.yaml:1: function: not a name"},
	{HEAD "tenant: ''\n", "m.yaml:3: tenant: not a name"},
	{HEAD "colour: red\n", "m.yaml:3: unknown key \"colour\""},
	{HEAD "isolation: client\n", "m.yaml:3: isolation: client: only with a udp or tcp"},
	{HEAD "isolation: tenant\ngrants: [{bucket: raw, access: read}]\n",
	 "m.yaml:4: grants: not supported by this version with isolation: tenant"},
	{HEAD "isolation: none\n", "m.yaml:3: isolation: must be"},
	{HEAD "cpu: {class: 8}\n", "m.yaml:3: cpu.class: must be from 0 to 7"},
	{HEAD "cpu: {class: -1}\n", "m.yaml:3: cpu.class: not a"},
	{HEAD "cpu:\n  budget: 2s\n", "m.yaml:4: budget: longer than its period"},
	{HEAD "cpu:\n  budget: 20us\n", "m.yaml:4: cpu.budget: must be from 100us to 1m"},
	{HEAD "cpu:\n  budget: 0\n", "m.yaml:4: cpu.budget: must be from 100us to 1m"},
	{HEAD "cpu: {budget: 1ms, period: 2m}\n", "m.yaml:3: cpu.period: must be from 1ms to 1m"},
	{HEAD "cpu: {budget: 1ms, period: 1us}\n", "m.yaml:3: cpu.period: must be from 1ms to"},
	{HEAD "cpu:\n  period: 1s\n", "m.yaml:4: period: without a budget"},
	{HEAD "cpu: {share: 1}\n", "m.yaml:3: unknown key \"cpu.share\""},
	{HEAD "cpu: fast\n", "m.yaml:3: cpu: not a map"},
	{HEAD "limits: {host_calls: lots}\n", "m.yaml:3: limits.host_calls: not a"},
	{HEAD "limits: {host_calls: 2000000000}\n", "m.yaml:3: limits.host_calls: must be from 0"},
	{HEAD "cloudevents: true\n", "m.yaml:3: cloudevents: not supported by this version"},
	{HEAD "limits: {memory: 1B}\n", "m.yaml:3: limits.memory: must be from 64KiB to"},
	{HEAD "limits: {memory: 5GiB}\n", "m.yaml:3: limits.memory: must be from 64KiB to"},
	{HEAD "limits: {timeout: 16m}\n", "m.yaml:3: limits.timeout: must be from 1ms to 15m"},
	{HEAD "limits:\n  stack: 1KiB\n", "m.yaml:4: limits.stack: must be from 16KiB to 8MiB"},
	{HEAD "limits: {concurrency: 0}\n", "m.yaml:3: limits.concurrency: must be from 1 to 1000"},
	{HEAD "limits: {disk: 1}\n", "m.yaml:3: unknown key \"limits.disk\""},
	{HEAD "limits: 3\n", "m.yaml:3: limits: not a map"},
	{HEAD "grants: raw\n", "m.yaml:3: grants: not a list"},
	{HEAD "grants:\n - {topic: a, access: publish}\n",
	 "m.yaml:4: topic: not supported by this version"},
	{HEAD "grants:\n - {bucket: raw}\n", "m.yaml:4: access: is missing"},
	{HEAD "grants:\n - {access: read}\n", "m.yaml:4: bucket: is missing"},
	{HEAD "grants:\n - {bucket: raw, access: all}\n", "m.yaml:4: access: must be"},
	{HEAD "grants:\n - {bucket: .functions, access: read}\n", "m.yaml:4: bucket: not a bucket"},
	{HEAD "grants:\n - {bucket: a..b, access: read}\n", "m.yaml:4: bucket: not a bucket"},
	{HEAD "grants:\n - {bucket: ab, access: read}\n", "m.yaml:4: bucket: not a bucket"},
	{HEAD "grants:\n - {bucket: raw, access: read}\n - {bucket: raw, access: write}\n",
	 "m.yaml:5: a second grant for the bucket raw"},
	{HEAD "triggers: {http: {path: /x}}\n", "m.yaml:3: triggers: not a list"},
	{HEAD "triggers:\n - timer: {every: 5s}\n",
	 "m.yaml:4: timer: not supported by this version"},
	{HEAD "triggers:\n - mqtt: {topic: a}\n", "m.yaml:4: mqtt: not supported by this version"},
	{HEAD "triggers:\n - udp: {}\n", "m.yaml:4: port: is missing"},
	{HEAD "triggers:\n - tcp: {port: 65536}\n", "m.yaml:4: triggers[0].tcp.port: must be from"},
	{HEAD "triggers:\n - tcp: {port: 0}\n", "m.yaml:4: triggers[0].tcp.port: must be from"},
	{HEAD "triggers:\n - udp: {port: 1, address: here}\n", "m.yaml:4: address: not an address"},
	{HEAD "triggers:\n - udp: {port: 1, match: x}\n", "m.yaml:4: unknown key"},
	{HEAD "triggers:\n - udp: {port: 1, idle: 25h}\n", "m.yaml:4: triggers[0].udp.idle: must"},
	{HEAD "triggers:\n - udp: {port: 1}\n - tcp: {port: 1}\n",
	 "m.yaml:3: triggers: udp or tcp is a function's only trigger"},
	{HEAD "triggers:\n - http: {path: /x}\n - udp: {port: 1}\n",
	 "m.yaml:3: triggers: udp or tcp is a function's only trigger"},
	{HEAD "isolation: request\ntriggers:\n - udp: {port: 1}\n",
	 "m.yaml:3: isolation: must be client or tenant"},
	{HEAD "cpu: {class: 1}\ntriggers:\n - udp: {port: 1}\n", "m.yaml:3: cpu: not with a udp"},
	{HEAD "retry: {attempts: 1}\ntriggers:\n - udp: {port: 1}\n",
	 "m.yaml:3: retry: not with a udp"},
	{HEAD "grants:\n - {bucket: raw, access: read}\ntriggers:\n - udp: {port: 1}\n",
	 "m.yaml:3: grants: not with a udp"},
	{HEAD "limits: {concurrency: 2}\ntriggers:\n - udp: {port: 1}\n",
	 "m.yaml:3: limits.concurrency: not with a udp"},
	{HEAD "limits: {timeout: 2s}\ntriggers:\n - udp: {port: 1}\n",
	 "m.yaml:3: limits.timeout: must be from 100us to 1s"},
	{HEAD "triggers:\n - ftp: {port: 1}\n", "m.yaml:4: unknown key \"triggers[0].ftp\""},
	{HEAD "triggers:\n - {}\n", "m.yaml:4: a trigger has one key"},
	{HEAD "triggers:\n - {http: {path: /x}, object: {bucket: raw}}\n",
	 "m.yaml:4: a trigger has one key"},
	{HEAD "triggers:\n - http: {}\n", "m.yaml:4: path: is missing"},
	{HEAD "triggers:\n - http: {path: x}\n", "m.yaml:4: path: \"x\": must begin with '/'"},
	{HEAD "triggers:\n - http: {path: /}\n", "m.yaml:4: path: \"/\": \"/\" belongs to"},
	{HEAD "triggers:\n - http: {path: /a//b}\n", "m.yaml:4: path: \"/a//b\": has an empty"},
	{HEAD "triggers:\n - http: {path: /a/}\n", "m.yaml:4: path: \"/a/\": has an empty"},
	{HEAD "triggers:\n - http: {path: /a/../b}\n", "m.yaml:4: path: \"/a/../b\": has a seg"},
	{HEAD "triggers:\n - http: {path: /a/.}\n", "m.yaml:4: path: \"/a/.\": has a segment"},
	{HEAD "triggers:\n - http: {path: /a?b}\n", "m.yaml:4: path: \"/a?b\": may have only"},
	{HEAD "triggers:\n - http: {path: /a%2f}\n", "m.yaml:4: path: \"/a%2f\": may have only"},
	{HEAD "triggers:\n - http: {path: /api}\n", "m.yaml:4: path: \"/api\": is reserved"},
	{HEAD "triggers:\n - http: {path: /f/x}\n", "m.yaml:4: path: \"/f/x\": is reserved"},
	{HEAD "triggers:\n - http: {path: /metrics}\n", "m.yaml:4: path: \"/metrics\": is res"},
	{HEAD "triggers:\n - http: {path: /healthz}\n", "m.yaml:4: path: \"/healthz\": is res"},
	{HEAD "triggers:\n - http: {path: /readyz}\n", "m.yaml:4: path: \"/readyz\": is res"},
	{HEAD "triggers:\n - http: {path: /2015-03-31/f}\n",
	 "m.yaml:4: path: \"/2015-03-31/f\": is reserved"},
	{HEAD "triggers:\n - http: {path: /x, methods: GET}\n", "m.yaml:4: methods: not a list"},
	{HEAD "triggers:\n - http: {path: /x, methods: []}\n", "m.yaml:4: methods: not a list"},
	{HEAD "triggers:\n - http: {path: /x, methods: [get]}\n", "m.yaml:4: methods: \"get\" is"},
	{HEAD "triggers:\n - http: {path: /x}\n - http: {path: /x}\n",
	 "m.yaml:5: a second trigger for the path /x"},
	{HEAD "triggers:\n - object: {prefix: a}\n", "m.yaml:4: bucket: is missing"},
	{HEAD "triggers:\n - object: {bucket: raw, events: [ObjectRead]}\n",
	 "m.yaml:4: events: must"},
	{HEAD "triggers:\n - object: {bucket: raw, events: []}\n", "m.yaml:4: events: not a list"},
	{HEAD "triggers:\n - object: {bucket: raw, recursion: maybe}\n",
	 "m.yaml:4: recursion: must"},
	{HEAD "grants: [{bucket: raw, access: write}]\ntriggers:\n - object: {bucket: raw}\n",
	 "m.yaml:5: the function may write to the bucket raw, whose new objects trigger it"},
	{HEAD "retry: {dead_letter: raw}\ntriggers:\n - object: {bucket: raw}\n",
	 "m.yaml:5: the function has its dead letters in the bucket raw"},
	{HEAD "retry: {attempts: 0}\n", "m.yaml:3: retry.attempts: must be from 1 to 100"},
	{HEAD "retry: {backoff: 1us}\n", "m.yaml:3: retry.backoff: must be from 10ms to 1h"},
	{HEAD "retry: {dead_letter: X}\n", "m.yaml:3: dead_letter: not a bucket"},
	{HEAD "config: [a]\n", "m.yaml:3: config: not a map"},
	{HEAD "config: {a b: c}\n", "m.yaml:3: config: not the name of"},
	{HEAD "config: {9: c}\n", "m.yaml:3: config: not the name of"},
	{HEAD "config: {a: [c]}\n", "m.yaml:3: config.a: a single value"},
	{HEAD "config: {HTTP_PROXY: x}\n", "m.yaml:3: config: HTTP_PROXY describes"},
	{HEAD "config: {REQUEST_METHOD: x}\n", "m.yaml:3: config: REQUEST_METHOD describes"},
};

static void test_refusals(void **state)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(refusals); i++) {
		struct func_manifest *m;
		assert_int_equal(decode(refusals[i].yaml, &m), -EINVAL);
		if (strncmp(why.text, refusals[i].message, strlen(refusals[i].message)) != 0)
			fail_msg("\n%s\nsaid: %s\nnot:  %s", refusals[i].yaml, why.text,
				 refusals[i].message);
	}
}

static void test_removal_and_writing_is_no_recursion(void **state)
{
	struct func_manifest *m;
	assert_int_equal(decode(HEAD "grants: [{bucket: raw, access: write}]\ntriggers:\n"
				     " - object: {bucket: raw, events: [ObjectRemoved]}\n",
				&m),
			 0);
	func_manifest_free(m);
}

static void refuse_many(const char *head, const char *item, int count, const char *message)
{
	struct eos_buf buf;
	struct func_manifest *m;
	eos_buf_init(&buf);
	eos_buf_printf(&buf, HEAD "%s\n", head);
	for (int i = 0; i < count; i++)
		eos_buf_printf(&buf, item, i);
	assert_int_equal(decode(buf.data, &m), -EINVAL);
	assert_non_null(strstr(why.text, message));
	eos_buf_fini(&buf);
}

static void test_too_many(void **state)
{
	refuse_many("grants:", " - {bucket: b%04d, access: read}\n", 33, "more than 32");
	refuse_many("triggers:", " - http: {path: /p%04d}\n", 33, "more than 32");
	refuse_many("config:", "  k%04d: v\n", 65, "more than 64");
	char item[2048] = "  k%d: ";
	memset(item + 7, 'v', 1000);
	strcpy(item + 1007, "\n");
	refuse_many("config:", item, 40, "more than 32768 bytes");
	struct func_manifest *m;
	char yaml[1024];
	snprintf(yaml, sizeof(yaml), "function: f\nimage: %0300d\n", 1);
	assert_int_equal(decode(yaml, &m), -EINVAL);
	assert_string_equal(why.text, "m.yaml:2: image: longer than 255 bytes");
}

static void test_methods(void **state)
{
	char text[FUNC_METHODS_TEXT_SIZE];
	func_methods_format(0, text);
	assert_string_equal(text, "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS");
	func_methods_format(FUNC_METHOD_POST | FUNC_METHOD_GET, text);
	assert_string_equal(text, "GET, POST");
	assert_int_equal(func_method_parse("PATCH"), FUNC_METHOD_PATCH);
	assert_int_equal(func_method_parse("TRACE"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_isolation),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_removal_and_writing_is_no_recursion),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_methods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
