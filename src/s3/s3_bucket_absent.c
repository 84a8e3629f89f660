/*
 * What S3's clients ask each bucket for and no bucket here has: access logs, requests that the
 * requester pays for, acceleration, replication, websites. They are told so in S3's words, as of a
 * bucket where it was never set up. Setting it up is NotImplemented: there is no operation for it.
 */
#include "s3/s3_priv.h"

#include <string.h>

#include "s3/s3_xml.h"

/* The configuration is there, and empty. */
static enum s3_code respond_empty(struct s3_request *request, const char *root)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, root);
	if (strcmp(root, "RequestPaymentConfiguration") == 0)
		s3_xml_text(&buf, "Payer", "BucketOwner");
	s3_xml_close(&buf, root);
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_get_absent(struct s3_request *request)
{
	static const struct {
		const char *selector, *root; /* NULL: answered with CODE */
		enum s3_code code;
	} rows[] = {
		{"accelerate", "AccelerateConfiguration", S3_OK},
		{"logging", "BucketLoggingStatus", S3_OK},
		{"replication", NULL, S3_NO_SUCH_REPLICATION},
		{"requestPayment", "RequestPaymentConfiguration", S3_OK},
		{"website", NULL, S3_NO_SUCH_WEBSITE},
	};
	size_t i = 0;
	/* The table of operations names only selectors that are here. */
	while (strcmp(rows[i].selector, request->operation->selector) != 0)
		i++;
	return rows[i].root != NULL ? respond_empty(request, rows[i].root) : rows[i].code;
}

enum s3_code s3_delete_absent(struct s3_request *request)
{
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}
