/*
 * PutBucketNotificationConfiguration. A target must be a function that both the bucket's owner and
 * who asks may start; that it still is so is looked at again for each event (trigger/trigger.h).
 */
#include "s3/s3_notification.h"

#include <errno.h>
#include <string.h>

#include "s3/s3_priv.h"

static const char no_such_target[] = "Unable to validate the following destination configurations";

static int ask(const struct s3_request *request, const struct s3_notification_rule *rule,
	       const char *tenant)
{
	const struct s3_config *config = &request->server->config;
	if (config->check_function == NULL || config->notifications == NULL)
		return -ENOENT;
	return config->check_function(config->ctx, rule->function, tenant, request->bucket,
				      s3_notification_is_for_new(rule));
}

static enum s3_code check_target(struct s3_request *request,
				 const struct s3_notification_rule *rule)
{
	if (rule->region[0] != '\0' && strcmp(rule->region, request->server->config.region) != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The notification destination service region is not valid for the "
			      "bucket location constraint");
	/* Only the operator may start the functions of all tenants. Who asks comes first, and hears
	 * of circles (-ELOOP) only where the function is his. */
	int err = ask(request, rule, request->tenant);
	if (err == 0)
		err = ask(request, rule, request->settings.tenant);
	if (err == 0 && rule->tenant[0] != '\0')
		err = ask(request, rule, rule->tenant);
	if (err == -ELOOP)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "The function %s may write to this bucket and could call itself "
			      "without end.",
			      rule->function);
	/* Whether there are functions of others is not told. */
	return err < 0 ? s3_say(request, S3_INVALID_ARGUMENT, "%s", no_such_target) : S3_OK;
}

enum s3_code s3_put_notification(struct s3_request *request)
{
	struct s3_notifications *notifications = request->server->config.notifications;
	struct s3_notification *notification;
	struct eos_why why = {""};

	/* Nobody in particular may not start functions, whatever the policy says. */
	if (request->is_anonymous)
		return S3_ACCESS_DENIED;
	enum s3_code code =
		s3_notification_read(request->xml.data, request->xml.len, &notification, &why);
	if (code != S3_OK)
		return why.text[0] != '\0' ? s3_say(request, code, "%s", why.text) : code;
	for (size_t i = 0; i < notification->count && code == S3_OK; i++)
		code = check_target(request, &notification->rules[i]);
	int err = 0;
	if (code == S3_OK && notifications != NULL)
		err = s3_notifications_set(notifications, request->bucket, notification);
	if (code != S3_OK || err < 0 || notifications == NULL)
		s3_notification_free(notification);
	if (code != S3_OK || err < 0)
		return code != S3_OK ? code : s3_code_of(err, S3_NO_SUCH_BUCKET);
	s3_respond(request, 200, NULL, 0, NULL, 0);
	return S3_OK;
}
