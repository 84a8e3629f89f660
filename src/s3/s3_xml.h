/*
 * Writing S3's XML into a buffer. A failed append marks the buffer (base/buf.h), which is checked
 * once, at the end.
 *
 * Characters that XML 1.0 does not know (a key may hold them) become numeric references, as in S3:
 * a client that does not ask for encoding-type=url then gets a document that its parser refuses,
 * which is better than a wrong key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* The declaration and the opening root element in S3's name space. */
void s3_xml_begin(struct eos_buf *buf, const char *root);
void s3_xml_open(struct eos_buf *buf, const char *tag);
void s3_xml_close(struct eos_buf *buf, const char *tag);
/* What is not UTF-8 (a path or a name that is told back to whoever sent it) becomes U+FFFD. */
void s3_xml_escape(struct eos_buf *buf, const char *text, size_t len);
/* <TAG>text</TAG> */
void s3_xml_text(struct eos_buf *buf, const char *tag, const char *text);
void s3_xml_bytes(struct eos_buf *buf, const char *tag, const char *text, size_t len);
/* The same, percent-encoded first if IS_URL (encoding-type=url). */
void s3_xml_key(struct eos_buf *buf, const char *tag, const char *text, size_t len, bool is_url);
/* <ETag>, whose quotes S3 sends as &quot;. */
void s3_xml_etag(struct eos_buf *buf, const char *etag);
void s3_xml_u64(struct eos_buf *buf, const char *tag, uint64_t value);
void s3_xml_bool(struct eos_buf *buf, const char *tag, bool value);
/* ISO 8601 in UTC with milliseconds. */
void s3_xml_time(struct eos_buf *buf, const char *tag, uint64_t wall_ns);
