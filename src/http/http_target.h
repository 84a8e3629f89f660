/*
 * The request target of HTTP/1.1, origin form only: "/path?query".
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"

/*
 * Splits TEXT (LEN bytes, followed by a writable NUL) in place: the '?' becomes NUL. The path
 * begins with '/', neither part holds a control character or a space. Bytes over 0x7f pass: many
 * clients send UTF-8 without encoding it. *RET_QUERY is "" when there is none.
 * -EINVAL: anything else, also "*" and the absolute form. Any thread.
 */
int http_target_split(char *text, size_t len, const char **ret_path,
		      const char **ret_query) EOS_MUST_CHECK;
