/* The example requests are AWS's own: "Signature Calculations for the Authorization Header". */
#include "s3/s3_auth.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "s3/s3_body.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define EMPTY  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CREDENTIAL                                                                                 \
	"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
#define HOST                                                                                       \
	{                                                                                          \
		"Host", "examplebucket.s3.amazonaws.com"                                           \
	}
#define DATE                                                                                       \
	{                                                                                          \
		"X-Amz-Date", "20130524T000000Z"                                                   \
	}

struct example {
	const char *authorization, *method, *path, *query, *payload;
	struct s3_header headers[8];
};

static const struct example examples[] = {
	{CREDENTIAL "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
		    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
	 "GET",
	 "/test.txt",
	 "",
	 EMPTY,
	 {HOST, DATE, {"Range", " bytes=0-9 "}, {"x-amz-content-sha256", EMPTY}}},
	{CREDENTIAL "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
		    "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
	 "PUT",
	 "/test$file.text",
	 "",
	 "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
	 {HOST,
	  DATE,
	  {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
	  {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
	  {"x-amz-content-sha256",
	   "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"}}},
	{CREDENTIAL "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
		    "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
	 "GET",
	 "/",
	 "lifecycle",
	 EMPTY,
	 {HOST, DATE, {"x-amz-content-sha256", EMPTY}}},
	{CREDENTIAL "SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
		    "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
	 "GET",
	 "/",
	 "prefix=J&max-keys=2",
	 EMPTY,
	 {HOST, DATE, {"x-amz-content-sha256", EMPTY}}},
};

static size_t count_headers(const struct s3_header *headers)
{
	size_t count = 0;
	while (count < 8 && headers[count].name != NULL)
		count++;
	return count;
}

static enum s3_code verify(const struct example *example, struct s3_signer *signer)
{
	struct s3_auth auth;
	struct s3_query query;
	enum s3_code code = s3_auth_parse_header(example->authorization, &auth);
	assert_int_equal(code, S3_OK);
	strcpy(auth.amz_date, "20130524T000000Z");
	assert_int_equal(s3_query_parse(&query, example->query), 0);
	const struct s3_sign_input input = {
		.method = example->method,
		.path = example->path,
		.query = &query,
		.headers = example->headers,
		.headers_count = count_headers(example->headers),
		.payload = example->payload,
	};
	code = s3_auth_verify(&auth, &input, SECRET, signer);
	s3_query_fini(&query);
	return code;
}

static void test_examples(void **state)
{
	struct s3_signer signer;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(examples); i++)
		assert_int_equal(verify(&examples[i], &signer), S3_OK);
}

static void test_differences(void **state)
{
	struct s3_signer signer;
	struct example example = examples[3];
	example.query = "max-keys=2&prefix=J";
	assert_int_equal(verify(&example, &signer), S3_OK);
	example.query = "prefix=K&max-keys=2";
	assert_int_equal(verify(&example, &signer), S3_SIGNATURE_MISMATCH);
	example = examples[1];
	example.path = "/test%24file.text";
	assert_int_equal(verify(&example, &signer), S3_OK);
	example.path = "/test%2";
	assert_int_equal(verify(&example, &signer), S3_INVALID_URI);
	example = examples[0];
	example.headers[2].value = "bytes=0-8";
	assert_int_equal(verify(&example, &signer), S3_SIGNATURE_MISMATCH);
	example = examples[0];
	example.headers[2].name = "Rangf";
	assert_int_equal(verify(&example, &signer), S3_SIGNATURE_MISMATCH);
	/* Something with a meaning that was not signed. */
	example = examples[0];
	example.headers[4] = (struct s3_header){"x-amz-acl", "private"};
	assert_int_equal(verify(&example, &signer), S3_ACCESS_DENIED);
}

static void test_canonical_values(void **state)
{
	struct s3_auth auth = {.signed_headers = "host;x-a"};
	struct s3_query query;
	const struct s3_header headers[] = {
		{"X-A", "  one   two\t three "}, {"HOST", "h"}, {"x-a", "four"}, {"x-ab", "no"}};
	struct eos_buf buf;
	assert_int_equal(s3_query_parse(&query, "b=%20x&a=1+2&a=&acl&a%2Fb=~"), 0);
	const struct s3_sign_input input = {.method = "GET",
					    .path = "/a//../%c3%A9~*",
					    .query = &query,
					    .headers = headers,
					    .headers_count = 4,
					    .payload = "P"};
	eos_buf_init(&buf);
	assert_int_equal(s3_auth_canonical(&auth, &input, &buf), 0);
	assert_string_equal(buf.data, "GET\n/a//../%C3%A9~%2A\na=&a=1%202&a%2Fb=~&acl=&b=%20x\n"
				      "host:h\nx-a:one two three,four\n\nhost;x-a\nP");
	eos_buf_fini(&buf);
	s3_query_fini(&query);
}

static void test_presigned(void **state)
{
	struct s3_query query;
	struct s3_auth auth;
	struct s3_signer signer;
	assert_int_equal(
		s3_query_parse(
			&query,
			"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
			"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
			"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
			"aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
		0);
	assert_int_equal(s3_auth_parse_query(&query, &auth), S3_OK);
	assert_true(auth.is_presigned);
	assert_int_equal(auth.expires_s, 86400);
	assert_string_equal(auth.access_key, "AKIAIOSFODNN7EXAMPLE");
	const struct s3_header headers[] = {HOST};
	struct s3_sign_input input = {.method = "GET",
				      .path = "/test.txt",
				      .query = &query,
				      .headers = headers,
				      .headers_count = 1,
				      .payload = "UNSIGNED-PAYLOAD"};
	assert_int_equal(s3_auth_verify(&auth, &input, SECRET, &signer), S3_OK);
	input.method = "PUT";
	assert_int_equal(s3_auth_verify(&auth, &input, SECRET, &signer), S3_SIGNATURE_MISMATCH);
	s3_query_fini(&query);
}

static void test_bad_headers(void **state)
{
#define SCOPE "/20130524/us-east-1/s3/aws4_request"
#define SIG   "Signature=" EMPTY
	static const char *const bad[] = {
		"AWS4-HMAC-SHA256 ",
		"AWS4-HMAC-SHA256 Credential=A" SCOPE,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=host",
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=host," SIG "," SIG,
		"AWS4-HMAC-SHA256 Credential=" SCOPE ",SignedHeaders=host," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE "/x,SignedHeaders=host," SIG,
		"AWS4-HMAC-SHA256 Credential=A/2013052x/r/s3/aws4_request,SignedHeaders=host," SIG,
		"AWS4-HMAC-SHA256 Credential=A/20130524/r/ec2/aws4_request,SignedHeaders=host," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=host;a," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=a;a," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=Host," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=a;;b," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=," SIG,
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=a,Signature=",
		"AWS4-HMAC-SHA256 Credential=A" SCOPE ",SignedHeaders=a," SIG ",x=y",
	};
	struct s3_auth auth;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_auth_parse_header(bad[i], &auth), S3_AUTH_HEADER_MALFORMED);
	assert_int_equal(s3_auth_parse_header("AWS AK:sig", &auth), S3_INVALID_REQUEST);
	assert_int_equal(s3_auth_parse_header("AWS rubbish", &auth), S3_INVALID_ARGUMENT);
	assert_int_equal(s3_auth_parse_header("Bearer x", &auth), S3_INVALID_ARGUMENT);
	assert_int_equal(s3_auth_parse_header("AWS4-HMAC-SHA256", &auth), S3_INVALID_ARGUMENT);
	/* What is no signature is one that does not match. */
	assert_int_equal(s3_auth_parse_header("AWS4-HMAC-SHA256 Credential=A" SCOPE
					      ",SignedHeaders=a,Signature=12",
					      &auth),
			 S3_OK);
	assert_string_equal(auth.signature, "");
	struct s3_query query;
	assert_int_equal(s3_query_parse(&query, "X-Amz-Signature=1"), 0);
	assert_int_equal(s3_auth_parse_query(&query, &auth), S3_AUTH_QUERY_ERROR);
	s3_query_fini(&query);
	int64_t time_s;
	assert_int_equal(s3_auth_parse_time("20130524T000001Z", &time_s), 0);
	assert_int_equal(time_s, 1369353601);
	assert_int_equal(time_s, 1369353601);
	assert_int_equal(s3_auth_parse_time("20240229T235960Z", &time_s), 0);
	assert_int_equal(time_s, 1709251200);
	assert_int_equal(s3_auth_parse_time("20230231T000000Z", &time_s), 0);
	assert_int_equal(time_s, 1677801600); /* March 3 */
	assert_int_equal(s3_auth_parse_time("20131324T000001Z", &time_s), -EINVAL);
	assert_int_equal(s3_auth_parse_time("19691231T235959Z", &time_s), -EINVAL);
	assert_int_equal(s3_auth_parse_time("20130524T000001", &time_s), -EINVAL);
}

/* AWS's chunked example: 65 KiB of 'a' in chunks of 64 KiB. */
static const struct example chunked_example = {
	CREDENTIAL "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;"
		   "x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"
		   "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	"PUT",
	"/examplebucket/chunkObject.txt",
	"",
	"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
	{{"Host", "s3.amazonaws.com"},
	 DATE,
	 {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
	 {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
	 {"Content-Encoding", "aws-chunked"},
	 {"x-amz-decoded-content-length", "66560"},
	 {"Content-Length", "66824"}}};

static int count_sink(void *ctx, const void *data, size_t len)
{
	uint64_t *count = ctx;
	*count += len;
	return 0;
}

static size_t build_chunks(char *out)
{
	static const char *const heads[] = {
		"10000;chunk-signature="
		"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
		"400;chunk-signature="
		"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
		"0;chunk-signature="
		"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n"};
	static const size_t sizes[] = {65536, 1024, 0};
	char *at = out;
	for (int i = 0; i < 3; i++) {
		at = stpcpy(at, heads[i]);
		memset(at, 'a', sizes[i]);
		at = stpcpy(at + sizes[i], "\r\n");
	}
	return (size_t)(at - out);
}

/* Feeds the example in pieces of PIECE bytes, with byte DAMAGED changed. */
static enum s3_code run_chunks(size_t piece, size_t damaged)
{
	static char body_text[70000];
	struct s3_signer signer;
	struct s3_body body;
	uint64_t count = 0;
	size_t len = build_chunks(body_text);
	assert_int_equal(len, 66824);
	if (damaged < len)
		body_text[damaged] ^= 1;
	assert_int_equal(verify(&chunked_example, &signer), S3_OK);
	assert_int_equal(s3_body_init(&body, S3_PAYLOAD_STREAM_SIGNED, chunked_example.payload,
				      chunked_example.headers, 7, &signer, true),
			 S3_OK);
	body.sink = count_sink;
	body.sink_ctx = &count;
	enum s3_code code = S3_OK;
	for (size_t at = 0; at < len && code == S3_OK; at += piece)
		code = s3_body_feed(&body, body_text + at, EOS_MIN(piece, len - at));
	if (code == S3_OK)
		code = s3_body_finish(&body);
	if (code == S3_OK)
		assert_int_equal(count, 66560);
	s3_body_fini(&body);
	return code;
}

static void test_chunked(void **state)
{
	assert_int_equal(run_chunks(100000, SIZE_MAX), S3_OK);
	assert_int_equal(run_chunks(1, SIZE_MAX), S3_OK);
	assert_int_equal(run_chunks(87, SIZE_MAX), S3_OK);
	assert_int_equal(run_chunks(4096, 100), S3_SIGNATURE_MISMATCH);
	assert_int_equal(run_chunks(4096, 66000), S3_SIGNATURE_MISMATCH);
	/* A digit of a chunk's signature. */
	assert_int_equal(run_chunks(4096, 23), S3_SIGNATURE_MISMATCH);
}

static enum s3_code run_body(enum s3_payload payload, const char *payload_text,
			     const struct s3_header *headers, size_t count, const char *text)
{
	struct s3_body body;
	enum s3_code code = s3_body_init(&body, payload, payload_text, headers, count, NULL, true);
	if (code != S3_OK)
		return code;
	code = s3_body_feed(&body, text, strlen(text));
	if (code == S3_OK)
		code = s3_body_finish(&body);
	s3_body_fini(&body);
	return code;
}

static void test_body_checks(void **state)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	assert_int_equal(run_body(S3_PAYLOAD_HASH, abc, NULL, 0, "abc"), S3_OK);
	assert_int_equal(run_body(S3_PAYLOAD_HASH, abc, NULL, 0, "abd"), S3_PAYLOAD_MISMATCH);
	struct s3_header md5[] = {{"Content-MD5", "kAFQmDzST7DWlj99KOF/cg=="}};
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", md5, 1, "abc"), S3_OK);
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", md5, 1, "abx"), S3_BAD_DIGEST);
	md5[0].value = "kAFQ";
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", md5, 1, "abc"), S3_INVALID_DIGEST);
	struct s3_header sums[] = {{"x-amz-checksum-crc32c", "4waSgw=="}};
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "123456789"), S3_OK);
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "123456780"), S3_BAD_DIGEST);
	sums[0] = (struct s3_header){"x-amz-checksum-crc32", "y/Q5Jg=="};
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "123456789"), S3_OK);
	sums[0] = (struct s3_header){"x-amz-checksum-sha1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="};
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "abc"), S3_OK);
	sums[0] = (struct s3_header){"x-amz-checksum-crc64nvme", "rosUhgp5mIg="};
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "123456789"), S3_OK);
	sums[0].value = "rosUhgp5";
	assert_int_equal(run_body(S3_PAYLOAD_UNSIGNED, "", sums, 1, "123456789"),
			 S3_INVALID_REQUEST);
}

static void test_trailers(void **state)
{
	const enum s3_payload payload = S3_PAYLOAD_STREAM_UNSIGNED_TRAILER;
	struct s3_header headers[] = {{"x-amz-decoded-content-length", "9"},
				      {"x-amz-trailer", "x-amz-checksum-crc32"}};
	static const char head[] = "9\r\n123456789\r\n0\r\n";
	char text[200];
	strcat(strcpy(text, head), "x-amz-checksum-crc32:y/Q5Jg==\r\n\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_OK);
	strcat(strcpy(text, head), "x-amz-checksum-crc32:y/Q5JQ==\r\n\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_BAD_DIGEST);
	strcat(strcpy(text, head), "x-amz-checksum-crc32:y/Q5Jg==\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_INCOMPLETE_BODY);
	strcat(strcpy(text, head), "\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_INVALID_REQUEST);
	strcat(strcpy(text, head), "x-amz-checksum-sha1:y/Q5Jg==\r\n\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_INVALID_REQUEST);
	headers[0].value = "8";
	strcat(strcpy(text, head), "x-amz-checksum-crc32:y/Q5Jg==\r\n\r\n");
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_INCOMPLETE_BODY);
	headers[0].value = "10";
	assert_int_equal(run_body(payload, "", headers, 2, text), S3_INCOMPLETE_BODY);
	assert_int_equal(run_body(payload, "", headers, 0, text), S3_MISSING_LENGTH);
	enum s3_payload parsed;
	assert_int_equal(s3_payload_parse("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", &parsed),
			 S3_NOT_IMPLEMENTED);
	assert_int_equal(s3_payload_parse("abc", &parsed), S3_INVALID_ARGUMENT);
	assert_int_equal(s3_payload_parse(EMPTY, &parsed), S3_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),    cmocka_unit_test(test_differences),
		cmocka_unit_test(test_presigned),   cmocka_unit_test(test_canonical_values),
		cmocka_unit_test(test_bad_headers), cmocka_unit_test(test_chunked),
		cmocka_unit_test(test_body_checks), cmocka_unit_test(test_trailers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
