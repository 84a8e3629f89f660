#include "click/click_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sdk/click/router.h>

#include "aot/aot_tool.h"
#include "base/file.h"

#define CLANG	       "/usr/bin/clang-14"
#define PATH_BYTES     4096
#define MODULE_MAX     (16u << 20)
#define BYTES_PER_LINE 64u

/* --- checking --- */

static void add_error(void *ctx, const char *line)
{
	struct eos_buf *errors = ctx;
	(void)eos_buf_puts(errors, line);
	(void)eos_buf_puts(errors, "\n");
}

/* Nothing is sent by a configuration that only gets ready. */
static void send_nothing(void *ctx, unsigned device, const struct click_packet *packet)
{
}

static const struct click_host check_host = {.send = send_nothing};

static int load(const char *name, const char *text, size_t len, struct eos_buf *errors,
		struct click_router **ret_router)
{
	struct click_errors out = {.ctx = errors, .tell = add_error};
	struct click_router *router = click_router_new(&check_host, NULL);
	if (router == NULL)
		return -ENOMEM;
	if (click_router_load(router, text, len, name, &out) < 0) {
		if (out.count > CLICK_ERRORS_MAX)
			(void)eos_buf_printf(errors, "%s: %u more\n", name,
					     out.count - CLICK_ERRORS_MAX);
		(void)click_router_free(router);
		return eos_buf_failed(errors) ? -ENOMEM : -EINVAL;
	}
	*ret_router = router;
	return 0;
}

int click_check(const char *name, const char *text, size_t len, struct eos_buf *errors)
{
	struct click_router *router;
	int err = load(name, text, len, errors, &router);
	if (err == 0)
		(void)click_router_free(router);
	return err;
}

/* --- the table of constants --- */

/* As a string constant in which every byte that is not harmless is a number. */
static void write_bytes(struct eos_buf *out, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (i % BYTES_PER_LINE == 0)
			(void)eos_buf_puts(out, i == 0 ? "\"" : "\"\n\"");
		if (c == ' ' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
			(void)eos_buf_append(out, &bytes[i], 1);
		else
			(void)eos_buf_printf(out, "\\%03o", c);
	}
	(void)eos_buf_puts(out, len == 0 ? "\"\"" : "\"");
}

/* The functions of dispatch.h: what they return, are called, take and pass on. */
static const struct {
	const char *type, *name, *parameters, *arguments;
} dispatched[] = {
	{"struct click_packet *", "take", ", unsigned p, struct click_packet *q", ", p, q"},
	{"struct click_packet *", "pass", ", struct click_packet *q", ", q"},
	{"struct click_packet *", "give", ", unsigned p", ", p"},
	{"_Bool ", "run_task", "", ""},
	{"void ", "run_timer", "", ""},
};

/* Elements have the numbers of the table that was written just before. */
static void write_dispatch(const struct click_router *router, struct eos_buf *out)
{
	for (size_t f = 0; f < EOS_ARRAY_SIZE(dispatched); f++) {
		unsigned number = 0;
		(void)eos_buf_printf(out,
				     "%sclick_dispatch_%s(struct click_element *e%s)\n"
				     "{\nswitch (e->class_number) {\n",
				     dispatched[f].type, dispatched[f].name,
				     dispatched[f].parameters);
		for (size_t i = 0; click_classes[i] != NULL; i++)
			if (click_router_uses(router, i))
				(void)eos_buf_printf(
					out,
					"case %u: return click_class_%s(&click_class_%s, e%s);\n",
					number++, dispatched[f].name, click_classes[i]->name,
					dispatched[f].arguments);
		(void)eos_buf_puts(out, "default: __builtin_trap();\n}\n}\n");
	}
}

static int write_source(const struct click_router *router, const char *name, const char *text,
			size_t len, struct eos_buf *out)
{
	(void)eos_buf_puts(out, "#include \"dispatch.h\"\n");
	for (size_t i = 0; click_classes[i] != NULL; i++)
		if (click_router_uses(router, i))
			(void)eos_buf_printf(out,
					     "extern const struct click_class click_class_%s;\n",
					     click_classes[i]->name);
	(void)eos_buf_puts(out, "extern const struct click_class *const click_classes[];\n"
				"const struct click_class *const click_classes[] = {\n");
	for (size_t i = 0; click_classes[i] != NULL; i++)
		if (click_router_uses(router, i))
			(void)eos_buf_printf(out, "&click_class_%s,\n", click_classes[i]->name);
	(void)eos_buf_puts(out, "0};\n");
	write_dispatch(router, out);
	(void)eos_buf_puts(out, "extern const char click_config_name[], click_config_text[];\n"
				"extern const unsigned click_config_len;\n"
				"const char click_config_name[] = ");
	write_bytes(out, name, strlen(name));
	(void)eos_buf_puts(out, ";\nconst char click_config_text[] = ");
	write_bytes(out, text, len);
	(void)eos_buf_printf(out, ";\nconst unsigned click_config_len = %zu;\n", len);
	return eos_buf_failed(out) ? -ENOMEM : 0;
}

/* --- compiling --- */

static int find_archive(char out[PATH_BYTES], struct eos_why *why)
{
	static const char *const places[] = {"", "/../libexec/edgeos", "/.."};
	char dir[PATH_BYTES];
	int err = eos_program_dir(dir, sizeof(dir));
	if (err < 0)
		return eos_why(why, err, "cannot find this program's directory");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(places); i++) {
		int n = snprintf(out, PATH_BYTES, "%s%s/click-guest.a", dir, places[i]);
		if (n > 0 && n < PATH_BYTES && access(out, R_OK) == 0)
			return 0;
	}
	return eos_why(why, -ENOENT,
		       "cannot find click-guest.a, which belongs beside the program edge-aot");
}

static int run_compiler(const char *const *argv, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf output = {0};
	int status;
	int err = aot_tool_run(argv, &output, &status);
	if (err == -ENOENT)
		return eos_why(why, err,
			       "there is no %s (install Debian's packages clang-14 lld-14 "
			       "wasi-libc libclang-rt-14-dev-wasm32)",
			       argv[0]);
	if (err < 0)
		return eos_why(why, err, "%s: %s", argv[0], strerror(-err));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return aot_tool_failed(-EIO, "the compiler for functions failed", status, &output, why);
}

/* The source's, beside which they are put. */
extern const char click_text_click[], click_text_dispatch[];
static const struct {
	const char *name, *text;
} headers[] = {{"click.h", click_text_click}, {"dispatch.h", click_text_dispatch}};

static int write_sources(int dir, const struct eos_buf *source)
{
	int err = eos_replace_file(dir, "config.c", source->data, source->len, 0600);
	for (size_t i = 0; err == 0 && i < EOS_ARRAY_SIZE(headers); i++)
		err = eos_replace_file(dir, headers[i].name, headers[i].text,
				       strlen(headers[i].text), 0600);
	return err;
}

/* In DIR, which is empty: FILE.c to FILE.o to FILE.wasm. */
static int compile_in(const char *dir, const struct eos_buf *source, struct eos_buf *module,
		      struct eos_why *why)
{
	char archive[PATH_BYTES], c[PATH_BYTES], o[PATH_BYTES], wasm[PATH_BYTES];
	int err = find_archive(archive, why);
	if (err < 0)
		return err;
	if (snprintf(c, sizeof(c), "%s/config.c", dir) >= PATH_BYTES ||
	    snprintf(o, sizeof(o), "%s/config.o", dir) >= PATH_BYTES ||
	    snprintf(wasm, sizeof(wasm), "%s/config.wasm", dir) >= PATH_BYTES)
		return eos_why(why, -ENAMETOOLONG, "%s: the path is too long", dir);
	/* All is optimised together when it is linked: so what the switches call is inlined. */
	const char *const compile[] = {CLANG,
				       "--target=wasm32-wasi",
				       "--sysroot=/usr",
				       "-std=gnu17",
				       "-O2",
				       "-flto",
				       "-c",
				       "-w",
				       "-o",
				       o,
				       c,
				       NULL};
	/* The main is taken because of its exports; then what it needs. */
	const char *const link[] = {CLANG,
				    "--target=wasm32-wasi",
				    "--sysroot=/usr",
				    "-O2",
				    "-flto",
				    "-mexec-model=reactor",
				    "-Wl,--undefined=edgeos_packet",
				    "-Wl,--strip-debug",
				    "-o",
				    wasm,
				    o,
				    archive,
				    NULL};
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = fd < 0 ? -errno : write_sources(fd, source);
	if (err < 0)
		err = eos_why(why, err, "%s: %s", c, strerror(-err));
	if (err == 0)
		err = run_compiler(compile, why);
	if (err == 0)
		err = run_compiler(link, why);
	if (err == 0) {
		err = eos_read_file(fd, "config.wasm", MODULE_MAX, module);
		if (err < 0)
			err = eos_why(why, err, "%s: %s", wasm, strerror(-err));
	}
	static const char *const made[] = {"config.c", "config.o", "config.wasm"};
	for (size_t i = 0; fd >= 0 && i < EOS_ARRAY_SIZE(made); i++)
		(void)unlinkat(fd, made[i], 0);
	for (size_t i = 0; fd >= 0 && i < EOS_ARRAY_SIZE(headers); i++)
		(void)unlinkat(fd, headers[i].name, 0);
	(void)eos_close(fd);
	return err;
}

int click_build(const char *name, const char *text, size_t len, const char *work_dir,
		struct eos_buf *module, struct eos_buf *errors, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf source = {0};
	struct click_router *router;
	size_t before = errors->len;
	int err = load(name, text, len, errors, &router);
	if (err == -EINVAL)
		return eos_why(why, err, "%.*s", (int)strcspn(errors->data + before, "\n"),
			       errors->data + before);
	if (err == 0) {
		err = write_source(router, name, text, len, &source);
		(void)click_router_free(router);
	}
	if (err < 0)
		return eos_why(why, err, "out of memory");
	char dir[PATH_BYTES];
	int n = snprintf(dir, sizeof(dir), "%s/click.XXXXXX", work_dir);
	if (n < 0 || n >= PATH_BYTES)
		return eos_why(why, -ENAMETOOLONG, "%s: the path is too long", work_dir);
	if (mkdtemp(dir) == NULL)
		return eos_why(why, -errno, "cannot make a directory in %s: %s", work_dir,
			       strerror(errno));
	err = compile_in(dir, &source, module, why);
	(void)rmdir(dir);
	return err;
}
