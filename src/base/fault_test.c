#include "base/fault.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_nth_and_each(void **state)
{
	struct eos_why why = {""};
	assert_int_equal(eos_fault_arm("a.one:2=EIO,b.two:*=ENOSPC", &why), 0);
	assert_int_equal(eos_fault("a.one"), 0);
	assert_int_equal(eos_fault("a.one"), -EIO);
	assert_int_equal(eos_fault("a.one"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(eos_fault("b.two"), -ENOSPC);
	assert_int_equal(eos_fault("c.three"), 0);
	assert_int_equal(eos_fault_arm(NULL, &why), 0);
	assert_int_equal(eos_fault("b.two"), 0);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {"x",	      "x:1",	  "x=EIO",  "x:0=EIO",
					  "x:1=EFOO", "x:-1=EIO", "x:=EIO", "x:1=EIO,,y:1=EIO",
					  ",",	      "x:a=kill"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		struct eos_why why = {""};
		assert_int_equal(eos_fault_arm(bad[i], &why), -EINVAL);
		assert_non_null(strstr(why.text, "EDGEOS_FAULTS"));
		assert_int_equal(eos_fault("x"), 0);
	}
	char many[1024] = "p:1=EIO";
	for (int i = 0; i < 16; i++)
		strcat(many, ",p:1=EIO");
	assert_int_equal(eos_fault_arm(many, NULL), -EINVAL);
}

static void test_environment(void **state)
{
	struct eos_why why = {""};
	setenv("EDGEOS_FAULTS", "env.point:1=EINTR", 1);
	assert_int_equal(eos_fault_init(&why), 0);
	assert_int_equal(eos_fault("env.point"), -EINTR);
	setenv("EDGEOS_FAULTS", "rubbish", 1);
	assert_int_equal(eos_fault_init(&why), -EINVAL);
	unsetenv("EDGEOS_FAULTS");
	assert_int_equal(eos_fault_init(&why), 0);
}

static void test_kill(void **state)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (eos_fault_arm("die.here:2=kill", NULL) < 0)
			_exit(2);
		(void)eos_fault("die.here");
		(void)eos_fault("die.here");
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nth_and_each),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
