#include "edged/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "tenant/tenant.h"

#define FILE_NAME      "credentials"
#define FILE_BYTES_MAX 4096u

/* The value of "NAME = VALUE" in an ini text, copied to OUT. */
static int find_value(const char *text, const char *name, char *out, size_t size)
{
	for (const char *line = text; *line != '\0';) {
		size_t len = strcspn(line, "\n");
		const char *p = line + strspn(line, " \t");
		size_t name_len = strlen(name);
		if (strncmp(p, name, name_len) == 0) {
			p += name_len;
			p += strspn(p, " \t");
			if (*p == '=') {
				p++;
				p += strspn(p, " \t");
				size_t value_len = strcspn(p, " \t\r\n");
				if (value_len == 0 || value_len >= size)
					return -EINVAL;
				memcpy(out, p, value_len);
				out[value_len] = '\0';
				return 0;
			}
		}
		line += len + (line[len] == '\n');
	}
	return -ENOENT;
}

static int make(int dir_fd, struct s3_credentials *credentials, struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct tenant_key key;
	int err = tenant_key_make(&key);
	if (err == 0) {
		memcpy(credentials->access_key, key.access_key, sizeof(key.access_key));
		memcpy(credentials->secret_key, key.secret_key, sizeof(key.secret_key));
	}
	explicit_bzero(&key, sizeof(key));
	if (err == 0)
		err = eos_buf_printf(&text,
				     "[default]\naws_access_key_id = %s\n"
				     "aws_secret_access_key = %s\n",
				     credentials->access_key, credentials->secret_key);
	if (err == 0)
		err = eos_replace_file(dir_fd, FILE_NAME, text.data, text.len, 0600);
	if (err < 0)
		return eos_why(why, err, FILE_NAME ": %s", strerror(-err));
	return 0;
}

/* The file's text. It holds a secret: what others may read is closed to them. */
static int read_text(int dir_fd, struct eos_buf *text)
{
	/* O_NONBLOCK: a FIFO must not keep the node from starting. */
	EOS_CLEANUP(eos_close_ptr)
	int fd = openat(dir_fd, FILE_NAME, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > FILE_BYTES_MAX)
		return -EFBIG;
	if ((status.st_mode & 077) != 0)
		eos_log(EOS_LOG_WARN, "edged", "event=credentials_readable_by_others mode=%03o %s",
			(unsigned)status.st_mode & 0777,
			fchmod(fd, 0600) < 0 ? "now=unchanged" : "now=600");
	size_t len = (size_t)status.st_size;
	int err = eos_buf_reserve(text, len + 1);
	if (err == 0)
		err = eos_pread_full(fd, text->data, len, 0);
	if (err < 0)
		return err;
	text->data[len] = '\0';
	text->len = len;
	return 0;
}

int edged_credentials_load(int dir_fd, struct s3_credentials *ret_credentials, bool *ret_is_new,
			   struct eos_why *why)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct s3_credentials found = {0};
	int err = read_text(dir_fd, &text);
	bool is_new = err == -ENOENT;
	if (is_new) {
		err = make(dir_fd, &found, why);
		if (err < 0)
			return err;
	} else if (err < 0) {
		return eos_why(why, err, FILE_NAME ": %s",
			       err == -EINVAL ? "not a plain file" : strerror(-err));
	} else if (find_value(text.data, "aws_access_key_id", found.access_key,
			      sizeof(found.access_key)) < 0 ||
		   find_value(text.data, "aws_secret_access_key", found.secret_key,
			      sizeof(found.secret_key)) < 0) {
		return eos_why(why, -EINVAL,
			       FILE_NAME ": aws_access_key_id or aws_secret_access_key is "
					 "missing; remove the file to have new keys made");
	}
	*ret_credentials = found;
	*ret_is_new = is_new;
	return 0;
}
