#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "edged/config.h"
#include "edged/credentials.h"

/* A directory of the test's own, with TEXT in the file "node.yaml" if TEXT is given. */
struct fixture {
	char dir[64];
	char path[128];
	int dir_fd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	strcpy(f->dir, "/tmp/edged_config_XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/node.yaml", f->dir);
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY);
	assert_true(f->dir_fd >= 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	unlinkat(f->dir_fd, "node.yaml", 0);
	unlinkat(f->dir_fd, "credentials", 0);
	close(f->dir_fd);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *text, struct edged_config *config,
		struct eos_why *why)
{
	assert_int_equal(eos_replace_file(f->dir_fd, "node.yaml", text, strlen(text), 0600), 0);
	edged_config_init(config);
	return edged_config_load(config, f->path, why);
}

/* Field by field: the padding between them may hold anything. */
static void assert_unchanged(const struct edged_config *config, const struct edged_config *before)
{
	assert_int_equal(config->log_level, before->log_level);
	assert_string_equal(config->s3.listen.address, before->s3.listen.address);
	assert_int_equal(config->s3.listen.port, before->s3.listen.port);
	assert_int_equal(config->s3.connections_max, before->s3.connections_max);
	assert_string_equal(config->s3.region, before->s3.region);
	assert_string_equal(config->s3.domain, before->s3.domain);
	assert_string_equal(config->functions.listen.address, before->functions.listen.address);
	assert_int_equal(config->functions.listen.port, before->functions.listen.port);
	assert_int_equal(config->functions.connections_max, before->functions.connections_max);
	assert_int_equal(config->store.scrub_interval_ns, before->store.scrub_interval_ns);
	assert_int_equal(config->cells, before->cells);
	char cell[LINK_CONFIG_TEXT_SIZE], cell_before[LINK_CONFIG_TEXT_SIZE];
	link_config_format(&config->cell, cell);
	link_config_format(&before->cell, cell_before);
	assert_string_equal(cell, cell_before);
	assert_int_equal(config->tenants.count, before->tenants.count);
	assert_int_equal(config->tenants.others.running_max, before->tenants.others.running_max);
	assert_int_equal(config->tenants.others.cpu.budget_ns,
			 before->tenants.others.cpu.budget_ns);
}

static void defaults_hold_for_an_empty_file(void **state)
{
	struct edged_config config;
	struct eos_why why;
	assert_int_equal(load(*state, "", &config, &why), 0);
	assert_string_equal(config.s3.listen.address, "127.0.0.1");
	assert_int_equal(config.s3.listen.port, 9000);
	assert_int_equal(config.functions.listen.port, 9800);
	assert_int_equal(link_config_check(&config.cell), 0);
	assert_int_equal(config.cells, 0); /* the machine decides */
	assert_int_equal(config.tenants.others.running_max, FUNC_TENANT_CALLS_MAX);
}

/* What the packaged file says are the defaults are the defaults. */
static void the_packaged_file_has_the_defaults(void **state)
{
	struct edged_config config, before;
	struct eos_why why = {""};
	edged_config_init(&before);
	edged_config_init(&config);
	config.cell = (struct link_config){.fwps_max = 1};
	if (edged_config_load(&config, PACKAGED_CONFIG, &why) < 0)
		fail_msg("%s", why.text);
	assert_unchanged(&config, &before);
}

/* What follows from other keys. */
static void small_pools_for_small_cells(void **state)
{
	struct edged_config config;
	struct eos_why why;
	assert_int_equal(load(*state, "cell: {fwps_max: 10}\n", &config, &why), 0);
	assert_int_equal(config.cell.pool_high, 10);
	assert_int_equal(config.cell.pool_low, 10);
	assert_int_equal(load(*state, "cell: {pool_high: 3}\n", &config, &why), 0);
	assert_int_equal(config.cell.pool_low, 3);
}

static void every_key_is_read(void **state)
{
	struct edged_config config;
	struct eos_why why;
	assert_int_equal(
		load(*state,
		     "log: debug\n"
		     "s3: {listen: \"[::1]:0\", connections: 7, region: eu-north-1, "
		     "domain: edge.example}\n"
		     "functions:\n  listen: 0.0.0.0:81\n  connections: 9\n"
		     "cell: {cells: 3, fwps_max: 100, pool_low: 2, pool_high: 5, quantum: 2ms, "
		     "policy: edf, init_timeout: 3s}\n"
		     "store: {scrub_rate: 1MiB, scrub_interval: 1h}\n"
		     "tenants: {default: {fwps: 7}, acme: {cpu: {budget: 1ms}}}\n",
		     &config, &why),
		0);
	assert_int_equal(config.log_level, EOS_LOG_DEBUG);
	assert_string_equal(config.s3.listen.address, "::1");
	assert_int_equal(config.s3.listen.port, 0);
	assert_int_equal(config.s3.connections_max, 7);
	assert_string_equal(config.s3.region, "eu-north-1");
	assert_string_equal(config.s3.domain, "edge.example");
	assert_string_equal(config.functions.listen.address, "0.0.0.0");
	assert_int_equal(config.functions.listen.port, 81);
	assert_int_equal(config.functions.connections_max, 9);
	assert_int_equal(config.store.scrub_rate, 1 << 20);
	assert_int_equal(config.store.scrub_interval_ns, UINT64_C(3600000000000));
	assert_int_equal(config.cells, 3);
	assert_int_equal(config.cell.fwps_max, 100);
	assert_int_equal(config.cell.pool_low, 2);
	assert_int_equal(config.cell.pool_high, 5);
	assert_int_equal(config.cell.quantum_ns, 2000000);
	assert_int_equal(config.cell.init_timeout_ns, 3000000000);
	assert_true(config.cell.is_edf);
	assert_int_equal(config.tenants.others.running_max, 7);
	assert_int_equal(func_tenants_find(&config.tenants, "acme")->cpu.budget_ns, 1000000);
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"log: info\nlgo: x\n", "node.yaml:2: "},
		{"log: loud\n", "loud"},
		{"store: {key: usb/edgeos.key}\n", "usb/edgeos.key"},
		{"store: {keys: /a}\n", "keys"},
		{"s3:\n  listen: 9000\n", "node.yaml:2: "},
		{"s3:\n  listen: localhost:9000\n", "localhost:9000"},
		{"s3:\n  listen: 127.0.0.1:70000\n", "70000"},
		{"functions:\n  listen: \"[127.0.0.1]:1\"\n", "node.yaml:2: "},
		{"functions:\n\n  connections: 0\n", "node.yaml:3: "},
		{"s3: [1]\n", "node.yaml:1: "},
		{"s3:\n  region: \"\"\n", "region"},
		{"cell: {fwps: 1}\n", "node.yaml:1: unknown key \"cell.fwps\""},
		{"cell:\n  fwps_max: 513\n", "node.yaml:2: cell.fwps_max: must be from 1 to 512"},
		{"cell:\n  fwps_max: 4\n  pool_high: 5\n", "node.yaml:3: cell.pool_high: must be"},
		{"cell:\n  pool_high: 4\n  pool_low: 5\n", "node.yaml:3: cell.pool_low: must be"},
		{"cell:\n  cells: 0\n", "node.yaml:2: cell.cells: must be from 1 to 64"},
		{"cell: {cells: 65}\n", "node.yaml:1: cell.cells: must be from 1 to 64"},
		{"cell:\n  quantum: 1us\n", "node.yaml:2: cell.quantum: must be from 200us"},
		{"cell:\n  init_timeout: 1h\n", "node.yaml:2: cell.init_timeout: must be from"},
		{"cell:\n  policy: fifo\n", "node.yaml:2: policy: must be priority or edf"},
		{"tenants:\n  acme: {fwps: 0}\n", "node.yaml:2: tenants.acme.fwps: must be"},
		{"store: {scrub: 1}\n", "node.yaml:1: unknown key \"store.scrub\""},
		{"store:\n  scrub_rate: 1KiB\n", "node.yaml:2: scrub_rate: 0 or at least"},
		{"store:\n  scrub_interval: 1ms\n", "node.yaml:2: store.scrub_interval: must be"},
		{"a: [", "node.yaml:1"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct edged_config config, before;
		struct eos_why why = {""};
		edged_config_init(&before);
		assert_int_equal(load(*state, cases[i].text, &config, &why), -EINVAL);
		if (strstr(why.text, cases[i].says) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", why.text, cases[i].says);
		assert_unchanged(&config, &before);
	}
}

static void a_missing_file_is_named(void **state)
{
	struct edged_config config;
	struct eos_why why = {""};
	edged_config_init(&config);
	assert_int_equal(edged_config_load(&config, "/nonexistent/x.yaml", &why), -ENOENT);
	assert_non_null(strstr(why.text, "/nonexistent/x.yaml"));
}

static void credentials_are_made_once(void **state)
{
	struct fixture *f = *state;
	struct s3_credentials first, second;
	struct eos_why why = {""};
	bool is_new;
	struct stat status;
	assert_int_equal(edged_credentials_load(f->dir_fd, &first, &is_new, &why), 0);
	assert_true(is_new);
	assert_int_equal(strlen(first.access_key), 20);
	assert_int_equal(strlen(first.secret_key), 40);
	assert_int_equal(fstatat(f->dir_fd, "credentials", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(edged_credentials_load(f->dir_fd, &second, &is_new, &why), 0);
	assert_false(is_new);
	assert_string_equal(first.access_key, second.access_key);
	assert_string_equal(first.secret_key, second.secret_key);
}

static void damaged_credentials_are_refused(void **state)
{
	struct fixture *f = *state;
	struct s3_credentials credentials;
	struct eos_why why = {""};
	bool is_new;
	static const char text[] = "[default]\naws_access_key_id = X\n";
	assert_int_equal(eos_replace_file(f->dir_fd, "credentials", text, strlen(text), 0600), 0);
	assert_int_equal(edged_credentials_load(f->dir_fd, &credentials, &is_new, &why), -EINVAL);
	assert_non_null(strstr(why.text, "aws_secret_access_key"));
}

static void odd_credentials_files(void **state)
{
	struct fixture *f = *state;
	struct s3_credentials credentials;
	struct eos_why why = {""};
	struct stat status;
	bool is_new;
	static const char text[] = "aws_access_key_id = A\naws_secret_access_key = B\n";
	/* What others could read is closed to them. */
	assert_int_equal(eos_replace_file(f->dir_fd, "credentials", text, strlen(text), 0644), 0);
	assert_int_equal(fchmodat(f->dir_fd, "credentials", 0644, 0), 0);
	assert_int_equal(edged_credentials_load(f->dir_fd, &credentials, &is_new, &why), 0);
	assert_int_equal(fstatat(f->dir_fd, "credentials", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(eos_replace_file(f->dir_fd, "credentials", "", 0, 0600), 0);
	assert_int_equal(edged_credentials_load(f->dir_fd, &credentials, &is_new, &why), -EINVAL);
	/* A FIFO would be waited for without end. */
	assert_int_equal(unlinkat(f->dir_fd, "credentials", 0), 0);
	assert_int_equal(mkfifoat(f->dir_fd, "credentials", 0600), 0);
	assert_int_equal(edged_credentials_load(f->dir_fd, &credentials, &is_new, &why), -EINVAL);
	assert_non_null(strstr(why.text, "not a plain file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults_hold_for_an_empty_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_key_is_read, set_up, tear_down),
		cmocka_unit_test(the_packaged_file_has_the_defaults),
		cmocka_unit_test_setup_teardown(small_pools_for_small_cells, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_named_with_its_line, set_up,
						tear_down),
		cmocka_unit_test(a_missing_file_is_named),
		cmocka_unit_test_setup_teardown(credentials_are_made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_credentials_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(odd_credentials_files, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
