/*
 * Calls the exports of one WebAssembly module, for tests/conform/wasm/run:
 *
 *     wasm_spec CACHE_DIR EDGE_AOT MODULE < INVOCATIONS
 *
 * An invocation is a line: the export's name in hexadecimal digits ("-" if it is empty), its
 * signature as in image/image_abi.h ("ii:i"), and the bits of each argument in decimal. Printed is
 * first what became of the instance, then a line for each invocation:
 *
 *     ready                      the module was instantiated
 *     refused TEXT               EdgeOS does not run it (nothing else is printed)
 *     trap TEXT                  its instantiation, or this invocation, ended so
 *     result BITS                or "result" without bits
 *     missing                    no such export with this signature
 *     unsupported                more arguments than can be passed
 *
 * An instance dies with the FWP in a trap, but in the specification it lives on. So after a trap a
 * new instance is made and all invocations that succeeded so far are made again; what a trapping
 * invocation itself changed before its end is lost.
 *
 * Any signature is called with one C type: calling conventions hand out the registers for integers
 * and those for floating point independently of each other, and what finds none is on the stack
 * in order, eight bytes each. So all registers are filled, and behind them the stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"
#include "fwp/fwp.h"

#if defined(__x86_64__)
#define INTEGERS_MAX 5u /* registers beside that of the instance */
#elif defined(__aarch64__)
#define INTEGERS_MAX 7u
#endif
#define FLOATS_MAX    8u
#define STACK_MAX     8u
#define ARGUMENTS_MAX (INTEGERS_MAX + FLOATS_MAX + STACK_MAX)
#define LINE_MAX_SIZE 65536u

struct invocation {
	char name[256], signature[64];
	uint64_t arguments[ARGUMENTS_MAX];
};

struct host {
	struct fwp_engine *engine;
	struct fwp_image *code;
	struct fwp *fwp;
	const struct invocation *next; /* what the entry calls when it goes on */
	uint64_t result;
	struct invocation *done; /* owned: those that succeeded */
	size_t done_count;
};

/* Arguments in the places where a call wants them. */
struct frame {
	uint64_t integers[INTEGERS_MAX];
	double floats[FLOATS_MAX]; /* bits; an f32 is the low half */
	uint64_t stack[STACK_MAX];
};

static bool fill_frame(const struct invocation *invocation, struct frame *frame)
{
	unsigned integers = 0, floats = 0, stack = 0;
	*frame = (struct frame){0};
	for (unsigned i = 0; invocation->signature[i] != ':'; i++) {
		uint64_t bits = invocation->arguments[i];
		bool is_float = strchr("fF", invocation->signature[i]) != NULL;
		if (is_float && floats < FLOATS_MAX)
			memcpy(&frame->floats[floats++], &bits, sizeof(bits));
		else if (!is_float && integers < INTEGERS_MAX)
			frame->integers[integers++] = bits;
		else if (stack < STACK_MAX)
			frame->stack[stack++] = bits;
		else
			return false;
	}
	return true;
}

#if defined(__x86_64__)
#define INTEGER_TYPES	uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define INTEGER_ARGS(a) a[0], a[1], a[2], a[3], a[4]
#else
#define INTEGER_TYPES	uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define INTEGER_ARGS(a) a[0], a[1], a[2], a[3], a[4], a[5], a[6]
#endif
#define EIGHT_TYPES(type) type, type, type, type, type, type, type, type
#define EIGHT_ARGS(a)	  a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]
#define CALL(result)                                                                               \
	((result(*)(void *, INTEGER_TYPES, EIGHT_TYPES(double), EIGHT_TYPES(uint64_t)))call)(      \
		instance, INTEGER_ARGS(f->integers), EIGHT_ARGS(f->floats), EIGHT_ARGS(f->stack))

static uint64_t call_export(void (*call)(void), void *instance, const struct frame *f, char type)
{
	uint64_t bits = 0;
	double value;
	switch (type) {
	case 'i':
		return (uint32_t)CALL(uint64_t);
	case 'I':
		return CALL(uint64_t);
	case 'f':
	case 'F':
		value = CALL(double);
		memcpy(&bits, &value, sizeof(bits));
		return type == 'f' ? (uint32_t)bits : bits;
	}
	CALL(void);
	return 0;
}

/* Runs on the FWP's stack: one invocation after the other, for ever. */
static void serve(struct fwp *fwp, void *instance)
{
	struct host *host = fwp_context(fwp);
	for (;;) {
		fwp_block(fwp);
		const struct invocation *next = host->next;
		struct frame frame;
		(void)fill_frame(next, &frame);
		void (*call)(void) = fwp_image_find_export(host->code, next->name, next->signature);
		char type = strchr(next->signature, ':')[1];
		fwp_host_leave(fwp);
		uint64_t result = call_export(call, instance, &frame, type);
		fwp_host_enter(fwp);
		host->result = result;
	}
}

/* A new instance in which everything is as the invocations so far left it. False: it trapped. */
static bool instantiate(struct host *host)
{
	const struct fwp_limits limits = {
		.memory_bytes = (uint64_t)FWP_MEMORY_PAGES_MAX * FWP_PAGE_SIZE,
		.stack_bytes = 1u << 20,
		.timeout_ns = UINT64_C(120000000000),
	};
	struct eos_why why = {0};
	host->fwp = fwp_free(host->fwp);
	if (fwp_new_with_entry(host->engine, host->code, &limits, host, serve, &host->fwp, &why) <
	    0) {
		printf("refused %s\n", why.text);
		exit(0);
	}
	bool is_alive = fwp_run(host->fwp) == FWP_BLOCKED;
	for (size_t i = 0; is_alive && i < host->done_count; i++) {
		host->next = &host->done[i];
		is_alive = fwp_run(host->fwp) == FWP_BLOCKED;
	}
	return is_alive;
}

static void invoke(struct host *host, const struct invocation *invocation)
{
	struct frame frame;
	if (!fill_frame(invocation, &frame)) {
		puts("unsupported");
		return;
	}
	if (!fwp_image_has_export(host->code, invocation->name, invocation->signature)) {
		puts("missing");
		return;
	}
	if (fwp_state(host->fwp) != FWP_DEAD || instantiate(host)) {
		host->next = invocation;
		(void)fwp_run(host->fwp);
	}
	if (fwp_state(host->fwp) == FWP_DEAD) {
		printf("trap %s\n", fwp_death(host->fwp)->text);
		return;
	}
	if (strchr(invocation->signature, ':')[1] == '\0')
		puts("result");
	else
		printf("result %" PRIu64 "\n", host->result);
	struct invocation *done = realloc(host->done, (host->done_count + 1) * sizeof(*host->done));
	if (done == NULL)
		abort();
	done[host->done_count++] = *invocation;
	host->done = done;
}

static bool parse_name(const char *text, char *name, size_t size)
{
	size_t len = 0;
	for (; text[0] != '\0' && strcmp(text, "-") != 0; text += 2) {
		unsigned byte;
		if (sscanf(text, "%2x", &byte) != 1 || text[1] == '\0' || len + 1 >= size)
			return false;
		name[len++] = (char)byte;
	}
	name[len] = '\0';
	return true;
}

static bool parse_invocation(char *line, struct invocation *invocation)
{
	char *rest = NULL;
	*invocation = (struct invocation){0};
	const char *name = strtok_r(line, " \n", &rest);
	const char *signature = strtok_r(NULL, " \n", &rest);
	if (name == NULL || signature == NULL || strchr(signature, ':') == NULL ||
	    !parse_name(name, invocation->name, sizeof(invocation->name)))
		return false;
	int err = eos_str_copy(invocation->signature, sizeof(invocation->signature), signature);
	const char *argument;
	for (unsigned i = 0; (argument = strtok_r(NULL, " \n", &rest)) != NULL; i++) {
		if (i < ARGUMENTS_MAX)
			invocation->arguments[i] = strtoull(argument, NULL, 10);
	}
	return err >= 0 && strchr(signature, ':') - signature <= ARGUMENTS_MAX;
}

/* What the specification's tests import from "spectest": they print, which nobody looks at. The
 * arguments are in registers of the caller's, so one function does for all. */
static void print_nothing(struct fwp *fwp)
{
	fwp_host_enter(fwp);
	fwp_host_leave(fwp);
}

#define PRINT(name, signature)                                                                     \
	{                                                                                          \
		"spectest", name, signature, (void (*)(void))print_nothing                         \
	}
static const struct fwp_import imports[] = {
	PRINT("print", ":"),	       PRINT("print_i32", "i:"),      PRINT("print_i64", "I:"),
	PRINT("print_f32", "f:"),      PRINT("print_f64", "F:"),      PRINT("print_i32_f32", "if:"),
	PRINT("print_i64_f64", "IF:"), PRINT("print_f64_f64", "FF:"),
};

/* From the files to host->code, or the reason. */
static int load(struct host *host, char **argv, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf module = {0};
	struct image_key key;
	struct image *image = NULL;
	int cache_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cache_fd < 0 || image_key_load(cache_fd, "key", &key, why) < 0 ||
	    eos_read_file(AT_FDCWD, argv[3], AOT_MODULE_BYTES_MAX, &module) < 0) {
		fprintf(stderr, "wasm_spec: cannot use %s or %s\n", argv[1], argv[3]);
		exit(2);
	}
	const struct aot_config config = {
		.cache_dir_fd = cache_fd,
		.work_dir = argv[1],
		.key = &key,
		.program = argv[2],
	};
	int err = aot_build(&config, "module", module.data, module.len, &image, why);
	eos_close(cache_fd);
	if (err == 0)
		err = fwp_engine_new(&(struct fwp_engine_config){.fwps_max = 1}, &host->engine,
				     why);
	if (err == 0)
		err = fwp_image_load(image, imports, EOS_ARRAY_SIZE(imports), &host->code, why);
	image_close(image);
	return err;
}

static void serve_lines(struct host *host)
{
	static char line[LINE_MAX_SIZE];
	struct invocation invocation;
	if (!instantiate(host)) {
		printf("trap %s\n", fwp_death(host->fwp)->text);
		return;
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (parse_invocation(line, &invocation))
			invoke(host, &invocation);
		else
			puts("unsupported");
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct host host = {0};
	struct eos_why why = {0};
	if (argc != 4) {
		fprintf(stderr, "usage: wasm_spec CACHE_DIR EDGE_AOT MODULE\n");
		return 2;
	}
	if (load(&host, argv, &why) < 0)
		printf("refused %s\n", why.text);
	else
		serve_lines(&host);
	fwp_free(host.fwp);
	free(host.done);
	fwp_image_unref(host.code);
	fwp_engine_free(host.engine);
	return 0;
}
