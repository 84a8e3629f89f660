/*
 * Writing JSON (RFC 8259) into a buffer. Commas are the writer's job; nesting is the caller's.
 *
 *     struct eos_json json = eos_json_begin(&buf);
 *     eos_json_open(&json, NULL, '{');
 *     eos_json_text(&json, "name", name);
 *     eos_json_close(&json, '}');
 *
 * KEY is NULL inside lists and at the top. Errors stay in the buffer (eos_buf_failed()).
 * Bytes that are not UTF-8 are written as U+FFFD, so the document is always well formed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct eos_json {
	struct eos_buf *buf; /* borrowed */
	bool needs_comma;
};

struct eos_json eos_json_begin(struct eos_buf *buf);
/* BRACKET: '{' or '['. */
void eos_json_open(struct eos_json *json, const char *key, char bracket);
/* BRACKET: '}' or ']'. */
void eos_json_close(struct eos_json *json, char bracket);
/* TEXT may be NULL: null. */
void eos_json_text(struct eos_json *json, const char *key, const char *text);
void eos_json_text_n(struct eos_json *json, const char *key, const char *text, size_t len);
void eos_json_u64(struct eos_json *json, const char *key, uint64_t value);
void eos_json_i64(struct eos_json *json, const char *key, int64_t value);
void eos_json_f64(struct eos_json *json, const char *key, double value);
void eos_json_bool(struct eos_json *json, const char *key, bool value);
/* DOCUMENT is JSON already and is put in as it is. */
void eos_json_raw(struct eos_json *json, const char *key, const char *document, size_t len);
