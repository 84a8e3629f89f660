#include "aot/aot_fixture_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/str.h"

char test_dir[] = "/tmp/aot_test.XXXXXX";
static char test_program[4200];
struct image_key test_key;
int test_cache_fd;
char test_phases[128];

static void on_progress(void *ctx, const char *phase)
{
	assert_ptr_equal(ctx, test_phases);
	size_t len = strlen(test_phases);
	(void)snprintf(test_phases + len, sizeof(test_phases) - len, "%s ", phase);
}

struct aot_config test_config(void)
{
	test_phases[0] = '\0';
	return (struct aot_config){
		.cache_dir_fd = test_cache_fd,
		.work_dir = test_dir,
		.key = &test_key,
		.program = test_program,
		.on_progress = on_progress,
		.progress_ctx = test_phases,
	};
}

void test_assemble(const char *text, const char *options, struct eos_buf *out)
{
	char path[64], command[256];
	eos_buf_clear(out);
	(void)snprintf(path, sizeof(path), "%s/t.wat", test_dir);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(command, sizeof(command), "wat2wasm %s %s/t.wat -o %s/t.wasm", options,
		       test_dir, test_dir);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/t.wasm", test_dir);
	assert_int_equal(eos_read_file(AT_FDCWD, path, AOT_MODULE_BYTES_MAX, out), 0);
}

struct image *test_build(const struct aot_config *config, const char *text)
{
	struct eos_buf module = {0};
	struct eos_why why = {""};
	struct image *image = NULL;
	test_assemble(text, "", &module);
	if (aot_build(config, "t.wasm", module.data, module.len, &image, &why) < 0)
		fail_msg("%s", why.text);
	eos_buf_fini(&module);
	return image;
}

struct eos_why test_fail_to_build(const struct aot_config *config, const void *module, size_t len,
				  int wanted)
{
	struct eos_why why = {""};
	struct image *image = NULL;
	int err = aot_build(config, "t.wasm", module, len, &image, &why);
	assert_null(image);
	if (err != wanted)
		fail_msg("%d instead of %d: %s", err, wanted, why.text);
	assert_true(eos_str_starts_with(why.text, "t.wasm: "));
	/* No temporary path, one line. */
	assert_null(strstr(why.text, "/tmp"));
	assert_null(strchr(why.text, '\n'));
	return why;
}

/* edge-aot lies in the build directory's root when all is built, else in its folder there. */
static void find_program(void)
{
	static const char *const places[] = {"edge-aot", "src/aot/edge-aot"};
	char here[4096];
	assert_int_equal(eos_program_dir(here, sizeof(here)), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(places); i++) {
		(void)snprintf(test_program, sizeof(test_program), "%s/%s", here, places[i]);
		if (access(test_program, X_OK) == 0)
			return;
	}
	fail_msg("edge-aot is not built");
}

int test_setup(void **state)
{
	/* Images call these; the test must have the library that they are in. */
	static double (*volatile keep_libm)(double) = nearbyint;
	(void)keep_libm;
	find_program();
	assert_non_null(mkdtemp(test_dir));
	char cache[64];
	(void)snprintf(cache, sizeof(cache), "%s/cache", test_dir);
	assert_int_equal(mkdir(cache, 0700), 0);
	test_cache_fd = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(test_cache_fd >= 0);
	struct eos_why why = {""};
	int dir_fd = open(test_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(image_key_load(dir_fd, "key", &test_key, &why), 0);
	close(dir_fd);
	return 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
	/* Work directories must be gone already. */
	return strstr(path, "/edge-aot.") != NULL ? -1 : remove(path);
}

int test_teardown(void **state)
{
	close(test_cache_fd);
	return nftw(test_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
