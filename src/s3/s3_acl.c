#include "s3/s3_acl.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <libxml/tree.h>

#include "base/str.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_tree_priv.h"

#define GROUPS "http://acs.amazonaws.com/groups/"

static const struct {
	const char *name;
	unsigned permission;
} permissions[] = {
	{"READ", S3_PERMISSION_READ},	      {"WRITE", S3_PERMISSION_WRITE},
	{"READ_ACP", S3_PERMISSION_READ_ACP}, {"WRITE_ACP", S3_PERMISSION_WRITE_ACP},
	{"FULL_CONTROL", S3_PERMISSION_FULL},
};

static const struct {
	const char *uri, *grantee;
} groups[] = {
	{GROUPS "global/AllUsers", S3_EVERYBODY},
	{GROUPS "global/AuthenticatedUsers", S3_AUTHENTICATED},
};

static unsigned permission_of(const char *name, size_t len)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(permissions); i++)
		if (strlen(permissions[i].name) == len &&
		    strncmp(permissions[i].name, name, len) == 0)
			return permissions[i].permission;
	return 0;
}

static const char *permission_name(unsigned permission)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(permissions); i++)
		if (permissions[i].permission == permission)
			return permissions[i].name;
	return "";
}

static const char *group_of(const char *uri)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].uri, uri) == 0)
			return groups[i].grantee;
	return NULL;
}

static bool is_tenant(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return len > 0 && len <= STORE_TENANT_MAX && text[len] == '\0';
}

enum s3_code s3_acl_grant(struct s3_acl *acl, unsigned permission, const char *grantee)
{
	if (acl->count == S3_GRANTS_MAX)
		return S3_INVALID_ARGUMENT;
	struct s3_grant *grant = &acl->grants[acl->count];
	if (eos_str_copy(grant->grantee, sizeof(grant->grantee), grantee) < 0)
		return S3_INVALID_ARGUMENT;
	grant->permission = permission;
	acl->count++;
	return S3_OK;
}

void s3_acl_private(struct s3_acl *acl, const char *owner)
{
	acl->count = 0;
	if (eos_str_copy(acl->owner, sizeof(acl->owner), owner) == 0)
		(void)!s3_acl_grant(acl, S3_PERMISSION_FULL, owner);
}

enum s3_code s3_acl_canned(const char *name, const char *owner, const char *bucket_owner,
			   struct s3_acl *ret_acl)
{
	static const struct {
		const char *name, *grantee; /* NULL: the bucket's owner */
		unsigned permissions[2];
	} canned[] = {
		{"private", S3_EVERYBODY, {0, 0}},
		{"public-read", S3_EVERYBODY, {S3_PERMISSION_READ, 0}},
		{"public-read-write", S3_EVERYBODY, {S3_PERMISSION_READ, S3_PERMISSION_WRITE}},
		{"authenticated-read", S3_AUTHENTICATED, {S3_PERMISSION_READ, 0}},
		{"bucket-owner-read", NULL, {S3_PERMISSION_READ, 0}},
		{"bucket-owner-full-control", NULL, {S3_PERMISSION_FULL, 0}},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(canned); i++) {
		if (strcmp(canned[i].name, name) != 0)
			continue;
		const char *grantee = canned[i].grantee != NULL ? canned[i].grantee : bucket_owner;
		s3_acl_private(ret_acl, owner);
		enum s3_code code = S3_OK;
		for (size_t k = 0; k < 2 && code == S3_OK; k++)
			if (canned[i].permissions[k] != 0 && strcmp(grantee, owner) != 0)
				code = s3_acl_grant(ret_acl, canned[i].permissions[k], grantee);
		return code;
	}
	return S3_INVALID_ARGUMENT;
}

/* One `id="acme"`. */
static enum s3_code read_grantee(const char *text, size_t len, unsigned permission,
				 struct s3_acl *acl)
{
	char value[128];
	const char *equals = memchr(text, '=', len);
	if (equals == NULL)
		return S3_INVALID_ARGUMENT;
	size_t name_len = (size_t)(equals - text), value_len = len - name_len - 1;
	const char *start = equals + 1;
	if (value_len >= 2 && start[0] == '"' && start[value_len - 1] == '"') {
		start++;
		value_len -= 2;
	}
	if (value_len >= sizeof(value))
		return S3_INVALID_ARGUMENT;
	memcpy(value, start, value_len);
	value[value_len] = '\0';
	if (name_len == 2 && strncasecmp(text, "id", 2) == 0)
		return is_tenant(value) ? s3_acl_grant(acl, permission, value)
					: S3_INVALID_ARGUMENT;
	if (name_len == 3 && strncasecmp(text, "uri", 3) == 0)
		return group_of(value) != NULL ? s3_acl_grant(acl, permission, group_of(value))
					       : S3_INVALID_ARGUMENT;
	/* Tenants have no address. */
	return name_len == 12 && strncasecmp(text, "emailAddress", 12) == 0 ? S3_UNRESOLVABLE_EMAIL
									    : S3_INVALID_ARGUMENT;
}

enum s3_code s3_acl_read_header(const char *text, unsigned permission, struct s3_acl *acl)
{
	for (;;) {
		text += strspn(text, " \t");
		size_t len = strcspn(text, ",");
		const char *next = text + len;
		while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
			len--;
		enum s3_code code = read_grantee(text, len, permission, acl);
		if (code != S3_OK || *next == '\0')
			return code;
		text = next + 1;
	}
}

static enum s3_code read_grant(const xmlNode *node, struct s3_acl *acl)
{
	char permission[16], value[128];
	const xmlNode *grantee = s3_xml_child(node, "Grantee");

	if (grantee == NULL || s3_xml_copy(node, "Permission", permission, sizeof(permission)) < 0)
		return S3_MALFORMED_ACL;
	unsigned bits = permission_of(permission, strlen(permission));
	if (bits == 0)
		return S3_MALFORMED_ACL;
	/* The type in xsi:type says no more than which child there is. */
	if (s3_xml_copy(grantee, "ID", value, sizeof(value)) == 0)
		return is_tenant(value) ? s3_acl_grant(acl, bits, value) : S3_INVALID_ARGUMENT;
	if (s3_xml_copy(grantee, "URI", value, sizeof(value)) == 0)
		return group_of(value) != NULL ? s3_acl_grant(acl, bits, group_of(value))
					       : S3_INVALID_ARGUMENT;
	return s3_xml_child(grantee, "EmailAddress") != NULL ? S3_UNRESOLVABLE_EMAIL
							     : S3_MALFORMED_ACL;
}

enum s3_code s3_acl_read_xml(const char *text, size_t len, struct s3_acl *ret_acl)
{
	xmlDoc *doc = s3_xml_parse(text, len, "AccessControlPolicy");
	if (doc == NULL)
		return S3_MALFORMED_ACL;
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *owner = s3_xml_child(root, "Owner");
	const xmlNode *list = s3_xml_child(root, "AccessControlList");
	enum s3_code code = S3_OK;
	ret_acl->count = 0;
	if (owner == NULL || list == NULL ||
	    s3_xml_copy(owner, "ID", ret_acl->owner, sizeof(ret_acl->owner)) < 0 ||
	    !is_tenant(ret_acl->owner))
		code = S3_MALFORMED_ACL;
	const xmlNode *node = code == S3_OK ? s3_xml_child(list, "Grant") : NULL;
	for (; node != NULL && code == S3_OK; node = s3_xml_next(node, "Grant"))
		code = read_grant(node, ret_acl);
	xmlFreeDoc(doc);
	return code;
}

static void write_grant(const struct s3_grant *grant, struct eos_buf *buf)
{
	const char *uri = NULL;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(groups); i++)
		if (strcmp(groups[i].grantee, grant->grantee) == 0)
			uri = groups[i].uri;
	s3_xml_open(buf, "Grant");
	eos_buf_printf(buf,
		       "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" "
		       "xsi:type=\"%s\">",
		       uri != NULL ? "Group" : "CanonicalUser");
	if (uri != NULL) {
		s3_xml_text(buf, "URI", uri);
	} else {
		s3_xml_text(buf, "ID", grant->grantee);
		s3_xml_text(buf, "DisplayName", grant->grantee);
	}
	s3_xml_close(buf, "Grantee");
	s3_xml_text(buf, "Permission", permission_name(grant->permission));
	s3_xml_close(buf, "Grant");
}

static bool is_group(const struct s3_grant *grant)
{
	return strcmp(grant->grantee, S3_EVERYBODY) == 0 ||
	       strcmp(grant->grantee, S3_AUTHENTICATED) == 0;
}

/* Who is let in by name stands behind the groups: clients of other stores look for them there. */
void s3_acl_write_xml(const struct s3_acl *acl, struct eos_buf *buf)
{
	s3_xml_begin(buf, "AccessControlPolicy");
	s3_xml_open(buf, "Owner");
	s3_xml_text(buf, "ID", acl->owner);
	s3_xml_text(buf, "DisplayName", acl->owner);
	s3_xml_close(buf, "Owner");
	s3_xml_open(buf, "AccessControlList");
	for (size_t i = 0; i < acl->count; i++)
		if (is_group(&acl->grants[i]))
			write_grant(&acl->grants[i], buf);
	for (size_t i = 0; i < acl->count; i++)
		if (!is_group(&acl->grants[i]))
			write_grant(&acl->grants[i], buf);
	s3_xml_close(buf, "AccessControlList");
	s3_xml_close(buf, "AccessControlPolicy");
}

void s3_acl_encode(const struct s3_acl *acl, struct eos_buf *buf)
{
	eos_buf_puts(buf, acl->owner);
	for (size_t i = 0; i < acl->count; i++)
		eos_buf_printf(buf, " %s=%s", permission_name(acl->grants[i].permission),
			       acl->grants[i].grantee);
}

int s3_acl_decode(const char *text, size_t len, struct s3_acl *ret_acl)
{
	const char *end = text + len;
	size_t n = 0;

	while (n < len && text[n] != ' ')
		n++;
	if (n == 0 || n > STORE_TENANT_MAX)
		return -EINVAL;
	memcpy(ret_acl->owner, text, n);
	ret_acl->owner[n] = '\0';
	ret_acl->count = 0;
	for (text += n; text < end;) {
		const char *word = text + 1;
		const char *stop = memchr(word, ' ', (size_t)(end - word));
		if (stop == NULL)
			stop = end;
		const char *equals = memchr(word, '=', (size_t)(stop - word));
		if (equals == NULL || ret_acl->count == S3_GRANTS_MAX)
			return -EINVAL;
		struct s3_grant *grant = &ret_acl->grants[ret_acl->count++];
		size_t grantee_len = (size_t)(stop - equals - 1);
		grant->permission = permission_of(word, (size_t)(equals - word));
		if (grant->permission == 0 || grantee_len == 0 || grantee_len > STORE_TENANT_MAX)
			return -EINVAL;
		memcpy(grant->grantee, equals + 1, grantee_len);
		grant->grantee[grantee_len] = '\0';
		text = stop;
	}
	return 0;
}

bool s3_acl_allows(const struct s3_acl *acl, const char *tenant, unsigned permission,
		   bool ignores_public)
{
	for (size_t i = 0; i < acl->count; i++) {
		const struct s3_grant *grant = &acl->grants[i];
		if ((grant->permission & permission) != permission)
			continue;
		if (strcmp(grant->grantee, S3_EVERYBODY) == 0) {
			if (!ignores_public)
				return true;
		} else if (strcmp(grant->grantee, S3_AUTHENTICATED) == 0) {
			if (!ignores_public && tenant != NULL)
				return true;
		} else if (tenant != NULL && strcmp(grant->grantee, tenant) == 0) {
			return true;
		}
	}
	return false;
}

bool s3_acl_is_public(const struct s3_acl *acl)
{
	for (size_t i = 0; i < acl->count; i++)
		if (is_group(&acl->grants[i]))
			return true;
	return false;
}
