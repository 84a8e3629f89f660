#include "func/tenant.h"

#include <errno.h>

#include "base/clock.h"
#include "func/func_test_priv.h"

static struct func_tenants tenants;
static struct eos_why why;

/* The value of `tenants` in YAML. */
static int decode(const char *yaml)
{
	struct eos_doc *doc;
	if (eos_doc_parse_yaml("n.yaml", yaml, strlen(yaml), &doc, &why) < 0)
		fail_msg("%s", why.text);
	int err = func_tenants_decode(eos_node_get(eos_doc_root(doc), "tenants"), &tenants, &why);
	eos_doc_free(doc);
	return err;
}

static void test_defaults(void **state)
{
	assert_int_equal(decode("{}"), 0);
	const struct func_tenant *tenant = func_tenants_find(&tenants, "anybody");
	assert_int_equal(tenant->running_max, FUNC_TENANT_CALLS_MAX);
	assert_int_equal(tenant->cpu.budget_ns + tenant->cpu.period_ns, 0);
	assert_int_equal(decode("tenants: {}"), 0);
	assert_int_equal(tenants.count, 0);
}

static void test_names(void **state)
{
	int err = decode("tenants:\n"
			 "  zeta: {fwps: 3}\n"
			 "  acme: {cpu: {budget: 5ms}}\n"
			 "  default: {fwps: 9, cpu: {budget: 10ms, period: 20ms}}\n"
			 "  beta: {fwps: 512, cpu: {budget: 1s, period: 1s}}\n");
	if (err < 0)
		fail_msg("%s", why.text);
	const struct func_tenant *tenant = func_tenants_find(&tenants, "zeta");
	assert_int_equal(tenant->running_max, 3);
	assert_int_equal(tenant->cpu.budget_ns, 10 * EOS_NS_PER_MS);
	tenant = func_tenants_find(&tenants, "acme");
	assert_string_equal(tenant->name, "acme");
	assert_int_equal(tenant->running_max, 9);
	assert_int_equal(tenant->cpu.budget_ns, 5 * EOS_NS_PER_MS);
	assert_int_equal(tenant->cpu.period_ns, 100 * EOS_NS_PER_MS);
	assert_int_equal(func_tenants_find(&tenants, "beta")->running_max, 512);
	static const char *const others[] = {"default", "a", "acmf", "zz", ""};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(others); i++)
		assert_ptr_equal(func_tenants_find(&tenants, others[i]), &tenants.others);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *yaml, *message;
	} cases[] = {
		{"tenants: [a]", "n.yaml:1: tenants: not a map"},
		{"tenants:\n  Acme: {}\n", "n.yaml:2: tenants: not a tenant's name"},
		{"tenants:\n  acme: 3\n", "n.yaml:2: tenants.acme: not a map"},
		{"tenants:\n  acme: {fwps: 0}\n", "n.yaml:2: tenants.acme.fwps: must be from 1"},
		{"tenants:\n  acme: {fwps: 513}\n", "n.yaml:2: tenants.acme.fwps: must be from 1"},
		{"tenants:\n  acme: {gpu: 1}\n", "n.yaml:2: unknown key"},
		{"tenants:\n  default:\n    cpu: {class: 1}\n", "n.yaml:3: unknown key"},
		{"tenants:\n  acme:\n    cpu: {period: 1s}\n", "n.yaml:3: period: without a"},
		{"tenants:\n  acme:\n    cpu: {budget: 1s}\n", "n.yaml:3: budget: longer than"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		assert_int_equal(decode(cases[i].yaml), -EINVAL);
		if (strncmp(why.text, cases[i].message, strlen(cases[i].message)) != 0)
			fail_msg("\n%s\nsaid: %s\nnot:  %s", cases[i].yaml, why.text,
				 cases[i].message);
	}
}

static void test_too_many(void **state)
{
	struct eos_buf buf = {0};
	assert_int_equal(eos_buf_puts(&buf, "tenants:\n"), 0);
	for (unsigned i = 0; i < FUNC_TENANTS_MAX; i++)
		eos_buf_printf(&buf, "  t%03u: {}\n", i);
	assert_int_equal(decode(buf.data), 0);
	assert_int_equal(tenants.count, FUNC_TENANTS_MAX);
	for (unsigned i = 0; i < FUNC_TENANTS_MAX; i++)
		assert_string_equal(func_tenants_find(&tenants, tenants.named[i].name)->name,
				    tenants.named[i].name);
	eos_buf_puts(&buf, "  x: {}\n");
	assert_int_equal(decode(buf.data), -EINVAL);
	assert_non_null(strstr(why.text, "more than 128"));
	eos_buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
