/*
 * Naming the feature. wasm-validate says "unexpected opcode" where a feature is off, so a module
 * that fails is tried again with each of the features we lack: first each alone, then all but
 * each (it may use several). What makes the difference is what the module uses.
 */
#include "aot/aot_translate.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot_access.h"
#include "aot/aot_tool.h"

struct feature {
	const char *option;
	const char *text;
};

static const struct feature features[] = {
	{"--enable-simd", "SIMD instructions, which are not supported (compile with -mno-simd128)"},
	{"--enable-relaxed-simd", "relaxed SIMD instructions, which are not supported"},
	{"--enable-threads", "threads (shared memory or atomic instructions), which are not "
			     "supported (compile without -pthread and -matomics)"},
	{"--enable-tail-call", "tail calls, which are not supported (compile with "
			       "-mno-tail-call)"},
	{"--enable-exceptions", "exceptions, which are not supported (compile with "
				"-fno-exceptions)"},
	{"--enable-memory64", "64-bit memory, which is not supported (compile for wasm32)"},
	{"--enable-multi-memory", "several memories, which are not supported"},
	{"--enable-extended-const", "extended constant expressions, which are not supported"},
	{"--enable-function-references", "typed function references, which are not supported"},
	{"--enable-gc", "garbage collection, which is not supported"},
};

#define FEATURES_COUNT EOS_ARRAY_SIZE(features)

/* SIMD is on by default in wabt. */
static const char *const disable_simd = "--disable-simd";

/* They say nothing about what a module does, and it is valid whatever is in them. */
static const char *const ignore_custom = "--ignore-custom-section-errors";

struct attempt {
	struct eos_buf output;
	int status;
};

/* Validates with the features of IS_ON besides those that we have. 1: valid, 0: not. */
static int try_features(const char *file, const bool is_on[FEATURES_COUNT], struct attempt *attempt)
{
	const char *argv[FEATURES_COUNT + 4] = {AOT_WASM_VALIDATE, ignore_custom};
	size_t n = 2;
	/* The first feature is SIMD, which needs no option to be on. */
	if (!is_on[0])
		argv[n++] = disable_simd;
	for (size_t i = 1; i < FEATURES_COUNT; i++) {
		if (is_on[i])
			argv[n++] = features[i].option;
	}
	argv[n] = file;
	int err = aot_tool_run(argv, &attempt->output, &attempt->status);
	return err < 0 ? err : attempt->status == 0;
}

/* The names of the features that FILE uses, joined, into OUT; "" if features are not the matter. */
static int name_features(const char *file, char *out, size_t size)
{
	struct attempt attempt = {0};
	bool is_on[FEATURES_COUNT];
	int is_valid = 0;
	out[0] = '\0';
	for (size_t i = 0; is_valid == 0 && i < FEATURES_COUNT; i++) {
		memset(is_on, 0, sizeof(is_on));
		is_on[i] = true;
		is_valid = try_features(file, is_on, &attempt);
		if (is_valid == 1)
			(void)snprintf(out, size, "uses %s", features[i].text);
	}
	if (is_valid != 0)
		goto out;
	memset(is_on, 1, sizeof(is_on));
	is_valid = try_features(file, is_on, &attempt);
	for (size_t i = 0; is_valid == 1 && i < FEATURES_COUNT; i++) {
		is_on[i] = false;
		int is_valid_without = try_features(file, is_on, &attempt);
		is_on[i] = true;
		size_t len = strlen(out);
		if (is_valid_without < 0)
			is_valid = is_valid_without;
		else if (is_valid_without == 0)
			(void)snprintf(out + len, size - len, "%s%s", len == 0 ? "uses " : "; and ",
				       features[i].text);
	}
out:
	eos_buf_fini(&attempt.output);
	return is_valid < 0 ? is_valid : 0;
}

/* "FILE:0000024: error: unexpected type" becomes "not valid: unexpected type (at byte 36)". */
static int explain(const char *file, const struct attempt *attempt, struct eos_why *why)
{
	const char *text = attempt->output.len > 0 ? attempt->output.data : "";
	size_t file_len = strlen(file);
	char *end = NULL;
	unsigned long offset = 0;
	if (strncmp(text, file, file_len) == 0 && text[file_len] == ':')
		offset = strtoul(text + file_len + 1, &end, 16);
	if (end == NULL || strncmp(end, ": error: ", 9) != 0)
		return aot_tool_failed(-EINVAL, "not a valid WebAssembly module", attempt->status,
				       &attempt->output, why);
	text = end + 9;
	return eos_why(why, -EINVAL, "not a valid WebAssembly module: %.*s (at byte %lu)",
		       (int)EOS_MIN(strcspn(text, "\n"), (size_t)200), text, offset);
}

static int no_wabt(int err, const char *tool, struct eos_why *why)
{
	return eos_why(why, err, "cannot run %s: %s (install Debian's package wabt)", tool,
		       strerror(-err));
}

int aot_validate(const char *file, struct eos_why *why)
{
	static const bool none[FEATURES_COUNT];
	struct attempt attempt = {0};
	char names[EOS_WHY_SIZE];
	int err;
	int is_valid = try_features(file, none, &attempt);
	if (is_valid == 1) {
		err = 0;
	} else if (is_valid < 0) {
		err = no_wabt(is_valid, AOT_WASM_VALIDATE, why);
	} else {
		err = name_features(file, names, sizeof(names));
		if (err < 0)
			err = no_wabt(err, AOT_WASM_VALIDATE, why);
		else if (names[0] != '\0')
			err = eos_why(why, -EINVAL, "%s", names);
		else
			err = explain(file, &attempt, why);
	}
	eos_buf_fini(&attempt.output);
	return err;
}

int aot_translate(const char *file, struct eos_why *why)
{
	/* It takes no options about features but the defaults, SIMD on: then it aborts on SIMD. */
	const char *const argv[] = {AOT_WASM2C, "--no-debug-names", "-n", "m", "-o", "m.c", file,
				    NULL};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf output = {0};
	int status;
	int err = aot_tool_run(argv, &output, &status);
	if (err < 0)
		return no_wabt(err, AOT_WASM2C, why);
	if (status != 0)
		return aot_tool_failed(-EINVAL, "wasm2c could not translate it", status, &output,
				       why);
	return aot_access_rewrite("m.c", why);
}
