/*
 * The data plane's state (docs/formats/plane-control.md, `state`) as metrics in Prometheus' text
 * format. docs/chains.md lists them.
 *
 * The state comes from another process and is taken for hostile: what is not a number is left out,
 * names only become label values, escaped.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define PLANE_METRICS_BYTES_MAX (8u << 20) /* of samples; what is beyond is counted */

/* Appends the metrics. -EPROTO: STATE is not one, and nothing was appended; -ENOMEM. */
int plane_metrics_format(const char *state, size_t len, struct eos_buf *out,
			 struct eos_why *why) EOS_MUST_CHECK;
