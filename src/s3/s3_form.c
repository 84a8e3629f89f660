/*
 * The parts stand between lines "--BOUNDARY" and a last one "--BOUNDARY--". A part is header lines,
 * an empty line and its content, which ends at "\r\n--BOUNDARY". What may be the beginning of that
 * is kept back until more has come. A first delimiter at the body's very start has no line break
 * before it: we begin with one of our own. What follows the file is not looked at (S3 does not
 * either), but for the delimiter that ends it.
 */
#include "s3/s3_form.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The value of PARAMETER in a header like `form-data; name="a"; filename=b`. -ENOENT, -EINVAL. */
static int get_parameter(const char *text, const char *parameter, char *out, size_t size)
{
	size_t name_len = strlen(parameter), n = 0;

	for (const char *at = strchr(text, ';'); at != NULL; at = strchr(at, ';')) {
		at++;
		at += strspn(at, " \t");
		bool is_it = strncasecmp(at, parameter, name_len) == 0 && at[name_len] == '=';
		at += strcspn(at, "=;\"");
		if (*at == '=')
			at++;
		bool is_quoted = *at == '"';
		at += is_quoted;
		for (n = 0; *at != '\0' && (is_quoted ? *at != '"' : strchr("; \t", *at) == NULL);
		     at++) {
			if (is_quoted && *at == '\\' && (at[1] == '"' || at[1] == '\\'))
				at++;
			if (is_it && n + 1 >= size)
				return -EINVAL;
			if (is_it)
				out[n++] = *at;
		}
		if (is_quoted && *at != '"')
			return -EINVAL;
		at += is_quoted;
		if (is_it) {
			out[n] = '\0';
			return 0;
		}
	}
	return -ENOENT;
}

int s3_form_init(struct s3_form *form, const char *content_type,
		 const struct s3_form_handler *handler)
{
	static const char type[] = "multipart/form-data";

	memset(form, 0, sizeof(*form));
	form->handler = *handler;
	memcpy(form->delimiter, "\r\n--", 4);
	if (strncasecmp(content_type, type, sizeof(type) - 1) != 0 ||
	    get_parameter(content_type, "boundary", form->delimiter + 4,
			  sizeof(form->delimiter) - 4) < 0)
		return -EINVAL;
	form->delimiter_len = strlen(form->delimiter);
	if (form->delimiter_len == 4)
		return -EINVAL;
	return eos_buf_append(&form->pending, "\r\n", 2);
}

void s3_form_fini(struct s3_form *form)
{
	eos_buf_fini(&form->pending);
	eos_buf_fini(&form->field);
}

/* One header line of a part. */
static int read_header(struct s3_form *form, const char *line, char *filename, size_t size)
{
	static const char name[] = "content-disposition:";
	if (strncasecmp(line, name, sizeof(name) - 1) != 0)
		return 0;
	int err = get_parameter(line, "name", form->name, sizeof(form->name));
	if (err < 0)
		return -EINVAL;
	err = get_parameter(line, "filename", filename, size);
	return err == -ENOENT ? 0 : err;
}

/* The header lines in TEXT, each ended by CR LF. */
static int read_headers(struct s3_form *form, char *text, size_t len)
{
	char filename[1025] = "";

	form->name[0] = '\0';
	if (memchr(text, '\0', len) != NULL)
		return -EINVAL;
	while (len > 0) {
		char *end = memmem(text, len, "\r\n", 2);
		*end = '\0';
		int err = read_header(form, text, filename, sizeof(filename));
		if (err < 0)
			return err;
		len -= (size_t)(end + 2 - text);
		text = end + 2;
	}
	if (form->name[0] == '\0')
		return -EINVAL;
	if (strcasecmp(form->name, "file") == 0) {
		form->state = S3_FORM_FILE;
		form->has_file = true;
		return form->handler.file(form->handler.ctx, filename);
	}
	form->state = S3_FORM_FIELD;
	form->fields_bytes += strlen(form->name);
	eos_buf_clear(&form->field);
	return 0;
}

/* Behind a delimiter, the part's headers up to the empty line. 0: more must come; 1: done. */
static int take_headers(struct s3_form *form)
{
	struct eos_buf *pending = &form->pending;
	if (pending->len < 2)
		return 0;
	if (memcmp(pending->data, "--", 2) == 0) {
		form->state = S3_FORM_END;
		return 1;
	}
	if (memcmp(pending->data, "\r\n", 2) != 0)
		return -EINVAL;
	char *end = memmem(pending->data, pending->len, "\r\n\r\n", 4);
	if (end == NULL)
		return pending->len > S3_FORM_HEADER_BYTES_MAX ? -EINVAL : 0;
	size_t len = (size_t)(end + 2 - pending->data) - 2;
	if (len > S3_FORM_HEADER_BYTES_MAX)
		return -EINVAL;
	int err = read_headers(form, pending->data + 2, len);
	if (err < 0)
		return err;
	eos_buf_consume(pending, len + 4);
	return 1;
}

static int take_bytes(struct s3_form *form, const char *data, size_t len)
{
	if (form->state == S3_FORM_FILE)
		return len > 0 ? form->handler.data(form->handler.ctx, data, len) : 0;
	if (form->state != S3_FORM_FIELD)
		return 0;
	form->fields_bytes += len;
	if (form->fields_bytes > S3_FORM_FIELDS_BYTES_MAX)
		return -EFBIG;
	return eos_buf_append(&form->field, data, len);
}

static int end_part(struct s3_form *form)
{
	int err = 0;
	if (form->state == S3_FORM_FIELD) {
		if (form->field.data == NULL && eos_buf_reserve(&form->field, 1) < 0)
			return -ENOMEM;
		form->field.data[form->field.len] = '\0';
		err = form->handler.field(form->handler.ctx, form->name, form->field.data,
					  form->field.len);
	}
	form->state = form->state == S3_FORM_FILE ? S3_FORM_END : S3_FORM_HEADER;
	return err;
}

/* Content up to the delimiter, or as much as surely is content. 0: more must come; 1: done. */
static int take_content(struct s3_form *form)
{
	struct eos_buf *pending = &form->pending;
	const char *end = pending->len > 0 ? memmem(pending->data, pending->len, form->delimiter,
						    form->delimiter_len)
					   : NULL;
	size_t kept = form->delimiter_len - 1;
	size_t len = end != NULL	   ? (size_t)(end - pending->data)
		     : pending->len > kept ? pending->len - kept
					   : 0;
	int err = take_bytes(form, pending->data, len);
	if (err == 0 && end != NULL)
		err = end_part(form);
	if (err < 0)
		return err;
	eos_buf_consume(pending, end != NULL ? len + form->delimiter_len : len);
	return end != NULL;
}

int s3_form_feed(struct s3_form *form, const void *data, size_t len)
{
	int more = form->state == S3_FORM_END ? 0 : 1;

	/* What comes behind the file is dropped. */
	if (more == 0)
		return 0;
	if (eos_buf_append(&form->pending, data, len) < 0)
		return -ENOMEM;
	while (more > 0 && form->state != S3_FORM_END)
		more = form->state == S3_FORM_HEADER ? take_headers(form) : take_content(form);
	if (form->state == S3_FORM_END)
		eos_buf_clear(&form->pending);
	return more < 0 ? more : 0;
}

int s3_form_finish(const struct s3_form *form)
{
	return form->state == S3_FORM_END && form->has_file ? 0 : -EINVAL;
}
