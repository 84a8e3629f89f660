/*
 * Reading the small XML documents that configure a bucket. All of them refuse (-EINVAL) elements
 * that they do not know: what is not understood must not seem to be in force. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "s3/s3_access.h"
#include "s3/s3_error.h"
#include "store/store.h"

#define S3_BUCKET_TAGS_MAX 50u

/* PublicAccessBlockConfiguration. -EINVAL. */
int s3_xml_read_public_block(const char *text, size_t len,
			     struct s3_public_block *ret_block) EOS_MUST_CHECK;
/* VersioningConfiguration. *RET_HAS_MFA: it asks for deletes by MFA. -EINVAL. */
int s3_xml_read_versioning(const char *text, size_t len, enum store_versioning *ret_versioning,
			   bool *ret_has_mfa) EOS_MUST_CHECK;
/* ServerSideEncryptionConfiguration. S3_MALFORMED_XML; S3_NOT_IMPLEMENTED: keys of KMS. */
enum s3_code s3_xml_read_encryption(const char *text, size_t len) EOS_MUST_CHECK;
/* OwnershipControls: the word. -EINVAL. */
int s3_xml_read_ownership(const char *text, size_t len, char ret_word[32]) EOS_MUST_CHECK;
/* Is it one of the three words? */
bool s3_is_ownership(const char *word);

/* A bucket's Tagging, which is only checked. S3_MALFORMED_XML, S3_INVALID_TAG. */
enum s3_code s3_xml_read_bucket_tags(const char *text, size_t len) EOS_MUST_CHECK;
