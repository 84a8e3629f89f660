/* Dates as object lock has them. Any thread. */
#pragma once

#include <stdint.h>

#include "base/macros.h"

/* "2030-01-01T00:00:00Z", also with a fraction, which is dropped, or "+01:00". -EINVAL. */
int s3_parse_iso_date(const char *text, int64_t *ret_s) EOS_MUST_CHECK;
