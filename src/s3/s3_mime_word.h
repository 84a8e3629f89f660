/*
 * Encoded words of RFC 2047, by which values of user metadata that are not plain ASCII travel in
 * headers: "=?UTF-8?B?w7w=?=". Any thread.
 */
#pragma once

#include "base/buf.h"

/* Appends TEXT with its encoded words (UTF-8, US-ASCII or ISO-8859-1; B or Q) decoded; what is no
 * valid encoded word stays as it is. */
void s3_mime_decode(struct eos_buf *out, const char *text);
/* Appends TEXT, as encoded words if it holds anything but printable ASCII. What is no UTF-8 is
 * appended as it is: nobody knows what it means. */
void s3_mime_encode(struct eos_buf *out, const char *text);
