/*
 * edge-aot: one module to one ELF object, in a sandbox. aot_protocol.h says how it is called.
 *
 * Order: arguments, limits, sandbox; only then the first byte of the module is looked at. Its tools
 * inherit the sandbox. The process is the leader of its process group: who wants it gone kills the
 * group, and it does so itself when its parent dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aot/aot.h"
#include "aot/aot_access.h"
#include "aot/aot_compile.h"
#include "aot/aot_elf.h"
#include "aot/aot_glue.h"
#include "aot/aot_map.h"
#include "aot/aot_module.h"
#include "aot/aot_names.h"
#include "aot/aot_protocol.h"
#include "aot/aot_tool.h"
#include "aot/aot_translate.h"
#include "base/file.h"
#include "base/str.h"
#include "sandbox/sandbox.h"

struct options {
	int module_fd, out_fd, names_fd, progress_fd;
	const char *dir, *compiler, *sources;
	uint64_t memory_bytes, seconds;
};

static int parse_fd(const char *text)
{
	uint64_t value;
	return eos_parse_u64(text, &value) == 0 && value <= 1024 ? (int)value : -1;
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{"module-fd", required_argument, NULL, 'm'},
		{"out-fd", required_argument, NULL, 'o'},
		{"names-fd", required_argument, NULL, 'n'},
		{"progress-fd", required_argument, NULL, 'p'},
		{"dir", required_argument, NULL, 'd'},
		{"cc", required_argument, NULL, 'c'},
		{"memory", required_argument, NULL, 'a'},
		{"seconds", required_argument, NULL, 's'},
		{"sources", required_argument, NULL, 'h'},
		{0},
	};
	int c;
	*options = (struct options){
		.module_fd = -1,
		.out_fd = -1,
		.names_fd = -1,
		.progress_fd = -1,
		.compiler = "/usr/bin/gcc",
		.sources = aot_text_sources,
		.memory_bytes = UINT64_C(4) << 30,
		.seconds = 300,
	};
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		int err = 0;
		if (c == 'm')
			options->module_fd = parse_fd(optarg);
		else if (c == 'o')
			options->out_fd = parse_fd(optarg);
		else if (c == 'n')
			options->names_fd = parse_fd(optarg);
		else if (c == 'p')
			options->progress_fd = parse_fd(optarg);
		else if (c == 'd')
			options->dir = optarg;
		else if (c == 'c')
			options->compiler = optarg;
		else if (c == 'h')
			options->sources = optarg;
		else if (c == 'a')
			err = eos_parse_u64(optarg, &options->memory_bytes);
		else if (c == 's')
			err = eos_parse_u64(optarg, &options->seconds);
		else
			err = -EINVAL;
		if (err < 0)
			return err;
	}
	if (options->module_fd < 0 || options->out_fd < 0 || options->dir == NULL || optind != argc)
		return -EINVAL;
	return 0;
}

/* Ends our tools together with us. */
static void on_terminate(int signal_number)
{
	kill(0, SIGKILL);
}

static int set_limits(const struct options *options, struct eos_why *why)
{
	struct rlimit cpu = {options->seconds, options->seconds + 5};
	struct rlimit size = {AOT_FILE_BYTES_MAX, AOT_FILE_BYTES_MAX};
	struct rlimit core = {0, 0};
	if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0 ||
	    setrlimit(RLIMIT_CORE, &core) < 0)
		return eos_why(why, -errno, "cannot set limits: %s", strerror(errno));
	return 0;
}

/* When it is not aot_build() that started us, there may be no group of our own yet. The sandbox,
 * which comes later, keeps the death signal. */
static int follow_parent(struct eos_why *why)
{
	struct sigaction action = {.sa_handler = on_terminate};
	pid_t parent = getppid();
	(void)setpgid(0, 0);
	if (sigaction(SIGTERM, &action, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return eos_why(why, -errno, "cannot follow the parent: %s", strerror(errno));
	if (getppid() != parent)
		return eos_why(why, -ESRCH, "the parent is gone");
	return 0;
}

static int enter_sandbox(const struct options *options, struct eos_why *why)
{
	const struct sandbox_path paths[] = {
		{"/usr", SANDBOX_READ_EXEC},	    {"/bin", SANDBOX_READ_EXEC},
		{"/lib", SANDBOX_READ_EXEC},	    {"/lib64", SANDBOX_READ_EXEC},
		{"/etc/ld.so.cache", SANDBOX_READ}, {"/etc/alternatives", SANDBOX_READ},
		{"/dev/null", SANDBOX_WRITE},	    {options->dir, SANDBOX_WRITE},
	};
	const struct sandbox_config config = {
		.profile = SANDBOX_PROFILE_COMPILER,
		.paths = paths,
		.paths_count = EOS_ARRAY_SIZE(paths),
	};
	struct sandbox_report report;
	return sandbox_enter(&config, &report, why);
}

static void report(const struct options *options, const char *what, const char *value)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s %s\n", what, value);
	/* A parent that does not listen is not an error. */
	if (options->progress_fd >= 0 && n > 0 && (size_t)n < sizeof(line) &&
	    write(options->progress_fd, line, (size_t)n) != n)
		return;
}

static int read_module(int fd, struct eos_buf *module, struct eos_why *why)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return eos_why(why, -errno, "cannot read it: %s", strerror(errno));
	if (status.st_size > AOT_MODULE_BYTES_MAX)
		return eos_why(why, -EFBIG, "larger than %u MiB", AOT_MODULE_BYTES_MAX >> 20);
	if (eos_buf_reserve(module, (size_t)status.st_size) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	int err = eos_pread_full(fd, module->data, (size_t)status.st_size, 0);
	if (err < 0)
		return eos_why(why, err, "cannot read it: %s", strerror(-err));
	module->len = (size_t)status.st_size;
	return 0;
}

static int write_file(const char *name, const void *data, size_t len, struct eos_why *why)
{
	EOS_CLEANUP(eos_close_ptr)
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int err = fd < 0 ? -errno : eos_write_full(fd, data, len);
	if (err < 0)
		eos_why(why, err, "cannot write %s: %s", name, strerror(-err));
	return err;
}

/* Writes everything the compiler needs but m.c and m.h. */
static int write_sources(const struct aot_module *module, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf glue = {0};
	if (aot_glue_write(module, &glue) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	const struct {
		const char *file, *text;
	} texts[] = {
		{"glue.c", glue.data},
		{"image_abi.h", aot_text_image_abi},
		{"image_access.c", aot_text_image_access},
		{"image_prelude.c", aot_text_image_prelude},
		{"image_runtime.c", aot_text_image_runtime},
	};
	int err = 0;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(texts) && err == 0; i++)
		err = write_file(texts[i].file, texts[i].text, strlen(texts[i].text), why);
	return err;
}

static int write_rewritten(const struct aot_module *module, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf rewritten = {0};
	if (aot_module_rewrite(module, &rewritten) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	return write_file("m.wasm", rewritten.data, rewritten.len, why);
}

/* The section of names. It must be made before the object is stripped. */
static int write_names(const struct options *options, const struct aot_module *module,
		       const struct eos_buf *elf, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct aot_names names;
	if (aot_names_read(module, &names) < 0)
		return eos_why(why, -ENOMEM, "out of memory");
	int err = aot_map_write((const uint8_t *)elf->data, elf->len, &names, &section, why);
	aot_names_fini(&names);
	if (err < 0 || options->names_fd < 0)
		return err;
	err = eos_write_full(options->names_fd, section.data, section.len);
	return err < 0 ? eos_why(why, err, "cannot write its names: %s", strerror(-err)) : 0;
}

static int copy_result(const struct options *options, const struct aot_module *module,
		       struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf elf = {0};
	size_t size = 0;
	int err = eos_read_file(AT_FDCWD, "image.so", AOT_ELF_BYTES_MAX, &elf);
	if (err == -EFBIG)
		return eos_why(why, err, "its image is larger than %u MiB",
			       AOT_ELF_BYTES_MAX >> 20);
	if (err == -ENOENT)
		return eos_why(why, -EIO, "the compiler made nothing of it");
	if (err < 0)
		return eos_why(why, err, "cannot read its image: %s", strerror(-err));
	err = write_names(options, module, &elf, why);
	if (err < 0)
		return err;
	if (aot_elf_strip((uint8_t *)elf.data, elf.len, &size) < 0)
		return eos_why(why, -EIO, "the compiler made a damaged object of it");
	err = eos_write_full(options->out_fd, elf.data, size);
	return err < 0 ? eos_why(why, err, "cannot write its image: %s", strerror(-err)) : 0;
}

static int build(const struct options *options, const struct aot_module *module,
		 struct eos_why *why)
{
	char pages[16];
	report(options, "phase", "translating");
	int err = write_rewritten(module, why);
	if (err == 0)
		err = aot_translate("m.wasm", why);
	if (err == 0)
		err = write_sources(module, why);
	if (err < 0)
		return err;
	report(options, "phase", "compiling");
	err = aot_compile(options->compiler, "image.so", why);
	if (err == 0)
		err = copy_result(options, module, why);
	(void)snprintf(pages, sizeof(pages), "%u", module->memory_pages_initial);
	if (err == 0)
		report(options, "pages", pages);
	return err;
}

static int check_and_build(const struct options *options, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf bytes = {0};
	struct aot_module module;
	report(options, "phase", "checking");
	int err = read_module(options->module_fd, &bytes, why);
	if (err == 0)
		err = aot_module_check((const uint8_t *)bytes.data, bytes.len, why);
	if (err == 0)
		err = write_file("module.wasm", bytes.data, bytes.len, why);
	if (err == 0)
		err = aot_validate("module.wasm", why);
	if (err == 0)
		err = aot_module_read((const uint8_t *)bytes.data, bytes.len, &module, why);
	if (err < 0)
		return err;
	err = build(options, &module, why);
	aot_module_fini(&module);
	return err;
}

static enum aot_exit exit_code(int err)
{
	switch (err) {
	case 0:
		return AOT_EXIT_OK;
	case -EINVAL:
		return AOT_EXIT_INVALID;
	case -ENOMEM:
		return AOT_EXIT_NO_MEMORY;
	case -EFBIG:
		return AOT_EXIT_TOO_LARGE;
	case -ETIMEDOUT:
		return AOT_EXIT_TOO_SLOW;
	case -ENOENT:
		return AOT_EXIT_NO_TOOL;
	}
	return AOT_EXIT_FAILED;
}

int main(int argc, char **argv)
{
	struct options options;
	struct eos_why why = {""};
	if (parse_options(argc, argv, &options) < 0) {
		(void)fprintf(stderr, "usage: edge-aot --module-fd N --out-fd N --dir DIR "
				      "[--names-fd N] [--progress-fd N] [--cc PATH] "
				      "[--memory BYTES] [--seconds N]\n");
		return AOT_EXIT_USAGE;
	}
	/* The caller names images in its cache by its own sources. */
	if (strcmp(options.sources, aot_text_sources) != 0) {
		(void)fprintf(stderr, "edge-aot was built from other sources than its caller; "
				      "install both from one build\n");
		return AOT_EXIT_FAILED;
	}
	/* Tools get their three standard descriptors and nothing else. */
	for (int fd = STDERR_FILENO + 1; fd < AOT_FDS_END; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	aot_tool_init(options.memory_bytes);
	int err = follow_parent(&why);
	if (err == 0)
		err = set_limits(&options, &why);
	if (err == 0)
		err = enter_sandbox(&options, &why);
	if (err == 0 && chdir(options.dir) < 0)
		err = eos_why(&why, -EIO, "cannot use the work directory: %s", strerror(errno));
	if (err == 0)
		err = check_and_build(&options, &why);
	if (err < 0)
		(void)fprintf(stderr, "%s\n", why.text);
	return (int)exit_code(err);
}
