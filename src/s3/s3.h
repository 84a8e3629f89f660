/*
 * The S3 protocol over a store: routes, Signature Version 4, XML, S3's error codes.
 * Path style (/bucket/key) and virtual-host style (bucket.DOMAIN) requests. Credentials belong to a
 * tenant, who has its own buckets; who else may do what with these, anonymous requests among them,
 * is for the bucket's policy and access control lists to say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "store/store.h"

struct s3_notifications; /* s3_notification.h */

#define S3_ACCESS_KEY_MAX 128
#define S3_SECRET_KEY_MAX 128

struct s3_credentials {
	char access_key[S3_ACCESS_KEY_MAX + 1];
	char secret_key[S3_SECRET_KEY_MAX + 1];
	char tenant[STORE_TENANT_MAX + 1]; /* whose they are; "": the operator's */
};

struct s3_config {
	const char *address; /* "127.0.0.1" */
	uint16_t port;
	const char *region; /* "us-east-1" */
	const char *domain; /* for virtual-host style: "localhost" */
	unsigned connections_max;
	const char *tls_certificate, *tls_key; /* PEM; NULL: plain HTTP */
	uint64_t lifecycle_interval_ms;	       /* between two rounds of lifecycle rules; 0: none */
	uint64_t lifecycle_day_ns;	       /* how long their days are; 0: a day */
	/* The secret of an access key. Returns 0 or -ENOENT. Any thread. */
	int (*find_credentials)(void *ctx, const char *access_key, struct s3_credentials *ret);
	/* Is there such a tenant? NULL: none but the operator. Any thread. */
	bool (*has_tenant)(void *ctx, const char *tenant);
	/*
	 * Whether a rule that TENANT ("": the operator) has for BUCKET may start FUNCTION: 0;
	 * -ENOENT: no such function; -EACCES: it is another tenant's; -ELOOP: the rule is for new
	 * objects (IS_FOR_NEW), and the function may write into the bucket. NULL: there are no
	 * functions. Any thread.
	 */
	int (*check_function)(void *ctx, const char *function, const char *tenant,
			      const char *bucket, bool is_for_new);
	struct s3_notifications *notifications; /* borrowed; NULL: rules are refused */
	void *ctx;
};

struct s3_server;
/* STORE and CONFIG's pointers are borrowed for the server's life. */
int s3_server_new(const struct s3_config *config, struct store *store,
		  struct s3_server **ret_server, struct eos_why *why) EOS_MUST_CHECK;
uint16_t s3_server_port(const struct s3_server *server);
struct s3_server *s3_server_free(struct s3_server *server);
