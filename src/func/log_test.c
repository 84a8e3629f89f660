#include <errno.h>
#include <pthread.h>

#include "base/str.h"
#include "func/func_test_priv.h"

static struct func_log *log_;

static int make_log(void **state)
{
	return func_log_new(&log_);
}

static int free_log(void **state)
{
	log_ = func_log_free(log_);
	return 0;
}

static void append(const char *function, const char *text)
{
	func_log_append(log_, function, text, strlen(text));
}

/* The log without its times, which all have one form. */
static char *read_log(const char *function)
{
	struct eos_buf buf;
	struct eos_buf out;
	eos_buf_init(&buf);
	eos_buf_init(&out);
	eos_buf_puts(&buf, "");
	assert_int_equal(func_log_read(log_, function, &buf), 0);
	for (char *line = buf.data; *line != '\0';) {
		char *end = strchr(line, '\n');
		assert_true(end != NULL && end - line >= 25);
		assert_int_equal(line[10], 'T');
		assert_int_equal(line[23], 'Z');
		eos_buf_append(&out, line + 25, (size_t)(end + 1 - (line + 25)));
		line = end + 1;
	}
	eos_buf_fini(&buf);
	return eos_buf_steal(&out);
}

static void expect(const char *function, const char *text)
{
	char *log = read_log(function);
	assert_string_equal(log, text);
	free(log);
}

static void test_lines(void **state)
{
	append("f", "one\ntwo\n");
	append("f", "three");
	append("f", "");
	append("g", "other\n\n");
	expect("f", "one\ntwo\nthree\n");
	expect("g", "other\n\n");
	expect("h", "");
}

static void test_unprintable(void **state)
{
	append("f", "a\x1b[2Jb\tc\r\x7f\n\xff\xc3\xa9\xe2\x82\n\xc2\x9bm\n");
	expect("f", "a?[2Jb\tc??\n?\xc3\xa9?\?\n?\?m\n");
}

static void test_long_lines_are_split(void **state)
{
	char text[2 * FUNC_LOG_LINE_BYTES + 20];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\n';
	func_log_append(log_, "f", text, sizeof(text));
	text[FUNC_LOG_LINE_BYTES] = '\n';
	func_log_append(log_, "f", text, FUNC_LOG_LINE_BYTES + 1);
	char *log = read_log("f");
	size_t want[] = {FUNC_LOG_LINE_BYTES, FUNC_LOG_LINE_BYTES, 19, FUNC_LOG_LINE_BYTES};
	const char *p = log;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(want); i++) {
		assert_int_equal(strcspn(p, "\n"), want[i]);
		p += want[i] + 1;
	}
	assert_string_equal(p, "");
	free(log);
}

static void test_the_last_lines_stay(void **state)
{
	char line[16];
	for (unsigned i = 0; i < 3 * FUNC_LOG_LINES_MAX + 7; i++) {
		snprintf(line, sizeof(line), "%u\n", i);
		append("f", line);
	}
	char *log = read_log("f");
	const char *p = log;
	for (unsigned i = 2 * FUNC_LOG_LINES_MAX + 7; i < 3 * FUNC_LOG_LINES_MAX + 7; i++) {
		snprintf(line, sizeof(line), "%u\n", i);
		assert_true(eos_str_starts_with(p, line));
		p += strlen(line);
	}
	assert_string_equal(p, "");
	free(log);
}

static void test_the_silent_ring_goes(void **state)
{
	char name[16];
	for (unsigned i = 0; i < FUNC_LOG_RINGS_MAX; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		append(name, "x");
	}
	append("f0", "y");
	append("new", "z");
	expect("f0", "x\ny\n");
	expect("f1", "");
	expect("f2", "x\n");
	expect("new", "z\n");
}

static void *append_many(void *arg)
{
	for (int i = 0; i < 500; i++)
		append(arg, "line\n");
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[3];
	static char names[3][2] = {"a", "b", "a"};
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, names[i]), 0);
	for (int i = 0; i < 50; i++)
		free(read_log("a"));
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	char *log = read_log("b");
	assert_int_equal(strlen(log), 5 * FUNC_LOG_LINES_MAX);
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, make_log, free_log),
		cmocka_unit_test_setup_teardown(test_unprintable, make_log, free_log),
		cmocka_unit_test_setup_teardown(test_long_lines_are_split, make_log, free_log),
		cmocka_unit_test_setup_teardown(test_the_last_lines_stay, make_log, free_log),
		cmocka_unit_test_setup_teardown(test_the_silent_ring_goes, make_log, free_log),
		cmocka_unit_test_setup_teardown(test_threads, make_log, free_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
