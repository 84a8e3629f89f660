#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cell/run.h"

/* Parses the words of LINE, split at blanks. */
static int parse(const char *line, struct cell_run_config *ret_config, struct eos_why *why)
{
	static char words[512];
	char *argv[32];
	int argc = 0;
	strcpy(words, line);
	for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	return cell_run_parse_args(argc, argv, ret_config, why);
}

static void test_good(void **state)
{
	struct cell_run_config config;
	struct eos_why why;
	assert_int_equal(parse("-e A=1 --env=B=2=3 -e A=4 --dir h::/g --dir=. --dir /x::y::ro "
			       "--memory 1MiB --timeout 300ms f.wasm -e --dir x",
			       &config, &why),
			 0);
	assert_string_equal(config.file, "f.wasm");
	assert_int_equal(config.args_count, 4);
	assert_string_equal(config.args[0], "f.wasm");
	assert_string_equal(config.args[1], "-e");
	assert_string_equal(config.args[3], "x");
	assert_int_equal(config.environment_count, 2);
	assert_string_equal(config.environment[0], "A=4");
	assert_string_equal(config.environment[1], "B=2=3");
	assert_int_equal(config.dirs_count, 3);
	assert_string_equal(config.dirs[0].host, "h");
	assert_string_equal(config.dirs[0].guest, "/g");
	assert_false(config.dirs[0].is_read_only);
	assert_string_equal(config.dirs[1].host, ".");
	assert_string_equal(config.dirs[1].guest, ".");
	assert_string_equal(config.dirs[2].host, "/x");
	assert_string_equal(config.dirs[2].guest, "y");
	assert_true(config.dirs[2].is_read_only);
	assert_int_equal(config.memory_bytes, 1 << 20);
	assert_int_equal(config.timeout_ns, 300000000);
	cell_run_config_fini(&config);

	assert_int_equal(parse("-- -odd.wasm", &config, &why), 0);
	assert_string_equal(config.file, "-odd.wasm");
	assert_int_equal(config.memory_bytes, 0);
	assert_int_equal(config.timeout_ns, 0);
	cell_run_config_fini(&config);
}

static void test_wrong_use(void **state)
{
	static const struct {
		const char *line, *text;
	} rows[] = {
		{"", "which program"},
		{"--", "which program"},
		{"-e A=1", "which program"},
		{"-e", "-e: its value is missing"},
		{"--dir", "--dir: its value is missing"},
		{"-e novalue x.wasm", "\"novalue\" is not NAME=VALUE"},
		{"-e =x x.wasm", "is not NAME=VALUE"},
		{"--env= x.wasm", "is not NAME=VALUE"},
		{"--dir ::/g x.wasm", "is not HOST::GUEST"},
		{"--dir h:: x.wasm", "is not HOST::GUEST"},
		{"--dir= x.wasm", "is not HOST::GUEST"},
		{"--dir h::g::rw x.wasm", "ends in neither"},
		{"--memory many x.wasm", "\"many\" is not a size"},
		{"--memory 1 x.wasm", "between"},
		{"--memory 4GiB x.wasm", "between"},
		{"--timeout 1x x.wasm", "\"1x\" is not a time"},
		{"--timeout 100000d x.wasm", "is not a time"},
		{"--unknown x.wasm", "no option --unknown"},
		{"--dirx x.wasm", "no option --dirx"},
		{"-eA=1 x.wasm", "no option -eA=1"},
		{"-e=A=1 x.wasm", "no option -e=A=1"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct cell_run_config config;
		struct eos_why why = {0};
		assert_int_equal(parse(rows[i].line, &config, &why), -EINVAL);
		assert_non_null(strstr(why.text, rows[i].text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wrong_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
