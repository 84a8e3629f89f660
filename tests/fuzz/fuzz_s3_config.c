/*
 * The XML documents of a bucket's configuration, and what is written of them is read again as the
 * same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_acl.h"
#include "s3/s3_bucket_xml.h"
#include "s3/s3_cors.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_tags.h"
#include "s3/s3_notification.h"
#include "s3/s3_xml_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_lifecycle(const char *text, size_t size)
{
	struct s3_lifecycle *lifecycle, *again;
	struct eos_buf first, second;

	if (s3_lifecycle_read(text, size, &lifecycle) != S3_OK)
		return;
	eos_buf_init(&first);
	eos_buf_init(&second);
	s3_lifecycle_write(lifecycle, &first);
	if (s3_lifecycle_read(first.data, first.len, &again) != S3_OK)
		abort();
	s3_lifecycle_write(again, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	s3_lifecycle_free(again);
	s3_lifecycle_free(lifecycle);
	eos_buf_fini(&first);
	eos_buf_fini(&second);
}

static void try_notification(const char *text, size_t size)
{
	struct s3_notification *notification, *again;
	struct eos_buf first, second;
	struct eos_why why = {""};

	if (s3_notification_read(text, size, &notification, &why) != S3_OK)
		return;
	eos_buf_init(&first);
	eos_buf_init(&second);
	s3_notification_write(notification, &first);
	if (s3_notification_read(first.data, first.len, &again, &why) != S3_OK)
		abort();
	s3_notification_write(again, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	s3_notification_free(again);
	s3_notification_free(notification);
	eos_buf_fini(&first);
	eos_buf_fini(&second);
}

static void try_acl(const char *text, size_t size)
{
	struct s3_acl acl, again;
	struct eos_buf buf;

	if (s3_acl_read_xml(text, size, &acl) != S3_OK)
		return;
	eos_buf_init(&buf);
	s3_acl_encode(&acl, &buf);
	if (s3_acl_decode(buf.data, buf.len, &again) < 0 || again.count != acl.count ||
	    s3_acl_is_public(&again) != s3_acl_is_public(&acl))
		abort();
	eos_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct s3_public_block block;
	enum store_versioning versioning;
	static struct s3_tags tags;
	struct s3_cors *cors;
	struct s3_acl acl;
	char word[32];
	bool has_mfa;

	s3_xml_read_init();
	(void)!s3_xml_read_public_block(text, size, &block);
	(void)!s3_xml_read_versioning(text, size, &versioning, &has_mfa);
	(void)!s3_xml_read_encryption(text, size);
	(void)!s3_xml_read_ownership(text, size, word);
	(void)!s3_xml_read_bucket_tags(text, size);
	tags.count = 0;
	(void)!s3_tags_read_xml(&tags, text, size);
	(void)!s3_acl_decode(text, size, &acl);
	if (s3_cors_read(text, size, &cors) == S3_OK) {
		(void)s3_cors_find(cors, "http://a", "GET", "x, y");
		s3_cors_free(cors);
	}
	try_lifecycle(text, size);
	try_notification(text, size);
	try_acl(text, size);
	return 0;
}
