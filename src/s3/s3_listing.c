#include "s3/s3_listing.h"

#include <string.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_xml.h"

enum s3_code s3_read_limit(struct s3_request *request, const char *name, uint64_t max,
			   uint64_t *value)
{
	const char *text = s3_query_get(&request->query, name);
	if (text == NULL || text[0] == '\0')
		return S3_OK;
	if (eos_parse_u64(text, value) < 0 || *value > INT32_MAX)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Argument %s must be an integer between 0 and 2147483647", name);
	*value = EOS_MIN(*value, max);
	return S3_OK;
}

enum s3_code s3_read_encoding(struct s3_request *request, bool *ret_is_url)
{
	const char *text = s3_query_get(&request->query, "encoding-type");
	if (text != NULL && strcmp(text, "url") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Invalid Encoding Method specified in Request");
	*ret_is_url = text != NULL;
	return S3_OK;
}

const char *s3_read_delimiter(const struct s3_request *request)
{
	const char *text = s3_query_get(&request->query, "delimiter");
	return text != NULL && text[0] != '\0' ? text : NULL;
}

void s3_owner_xml(const struct s3_request *request, const char *tag, const char *acl,
		  struct eos_buf *buf)
{
	/* A list begins with its owner (s3_acl_encode()). */
	const char *owner = acl != NULL ? acl : s3_owner_id(request->settings.tenant);
	size_t len = strcspn(owner, " ");

	s3_xml_open(buf, tag);
	s3_xml_bytes(buf, "ID", owner, len);
	s3_xml_bytes(buf, "DisplayName", owner, len);
	s3_xml_close(buf, tag);
}
