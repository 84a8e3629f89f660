/*
 * Decoding: for each kind its struct's size, and a function that checks the fields and cuts the
 * payload into parts. Sums of lengths are computed in 64 bits from 32-bit fields, so they cannot
 * wrap; every part is set from a sum that was found equal to the payload's length.
 */
#include "link/link_proto.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/assert.h"

#define ERRNO_MAX 4095

typedef int (*check_fn)(struct link_message *message, const char *payload);

struct kind_rule {
	uint32_t kind;
	uint32_t size;
	check_fn check;
};

/* Takes LEN bytes off the front of the payload. */
static struct link_span cut(const char **payload, uint32_t len)
{
	struct link_span span = {.data = *payload, .len = len};
	*payload += len;
	return span;
}

static bool has_nul(struct link_span span)
{
	return span.len > 0 && memchr(span.data, '\0', span.len) != NULL;
}

static int check_load(struct link_message *m, const char *payload)
{
	bool is_good = m->load.header.payload_len == 0 && m->load.isolation <= LINK_ISOLATION_LAST;
	return is_good ? 0 : -EBADMSG;
}

static int check_unload(struct link_message *m, const char *payload)
{
	bool is_good = m->unload.header.payload_len == 0 && m->unload.reserved == 0;
	return is_good ? 0 : -EBADMSG;
}

static int check_preopens(const struct link_preopen *preopens, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct link_preopen *p = &preopens[i];
		const char *end = memchr(p->bucket, '\0', sizeof(p->bucket));
		if (end == NULL || end == p->bucket || strchr(p->bucket, '/') != NULL)
			return -EBADMSG;
		if (p->access == 0 || (p->access & ~(LINK_ACCESS_READ | LINK_ACCESS_WRITE)) != 0 ||
		    p->reserved != 0)
			return -EBADMSG;
	}
	return 0;
}

/* "K=V\0" COUNT times, none empty. */
static int check_environment(struct link_span block, uint32_t count)
{
	uint32_t seen = 0;
	for (uint32_t at = 0; at < block.len; seen++) {
		const char *end = memchr(block.data + at, '\0', block.len - at);
		if (end == NULL || end == block.data + at)
			return -EBADMSG;
		at = (uint32_t)(end - block.data) + 1;
	}
	return seen == count ? 0 : -EBADMSG;
}

static bool is_budget(const struct link_budget *v)
{
	if (v->budget_ns == 0)
		return v->period_ns == 0;
	return v->budget_ns >= LINK_BUDGET_NS_MIN && v->budget_ns <= v->period_ns &&
	       v->period_ns >= LINK_PERIOD_NS_MIN && v->period_ns <= LINK_PERIOD_NS_MAX;
}

static bool is_invoke(const struct link_invoke *v)
{
	if (v->call_id == 0 || (v->flags & ~LINK_INVOKE_EVENT) != 0)
		return false;
	if (v->preopens_count > LINK_PREOPENS_MAX || v->name_len == 0 ||
	    v->name_len > LINK_NAME_MAX || v->tenant_len == 0 || v->tenant_len > LINK_NAME_MAX ||
	    v->environment_count > LINK_VARIABLES_MAX)
		return false;
	if (v->input_inline_len > v->input_len || v->input_inline_len > LINK_INPUT_INLINE_MAX)
		return false;
	return v->task_class < LINK_CLASSES && v->host_calls_per_s <= LINK_HOST_CALLS_MAX &&
	       is_budget(&v->function) && is_budget(&v->tenant);
}

static int check_invoke(struct link_message *m, const char *payload)
{
	const struct link_invoke *v = &m->invoke;
	if (!is_invoke(v))
		return -EBADMSG;
	uint32_t preopens_len = v->preopens_count * (uint32_t)sizeof(struct link_preopen);
	uint64_t sum = (uint64_t)preopens_len + v->name_len + v->tenant_len + v->environment_len;
	if (sum + v->input_inline_len != v->header.payload_len)
		return -EBADMSG;
	const struct link_preopen *preopens = (const void *)payload;
	payload += preopens_len;
	m->invoke_parts.preopens = preopens;
	m->invoke_parts.name = cut(&payload, v->name_len);
	m->invoke_parts.tenant = cut(&payload, v->tenant_len);
	m->invoke_parts.environment = cut(&payload, v->environment_len);
	m->invoke_parts.input = cut(&payload, v->input_inline_len);
	if (has_nul(m->invoke_parts.name) || has_nul(m->invoke_parts.tenant))
		return -EBADMSG;
	int err = check_preopens(preopens, v->preopens_count);
	if (err < 0)
		return err;
	return check_environment(m->invoke_parts.environment, v->environment_count);
}

static int check_file_reply(struct link_message *m, const char *payload)
{
	const struct link_file_reply *v = &m->file_reply;
	if (v->call_id == 0 || v->reserved != 0 || v->result < -ERRNO_MAX)
		return -EBADMSG;
	if (v->result < 0 && v->header.payload_len != 0)
		return -EBADMSG;
	m->payload = cut(&payload, v->header.payload_len);
	return 0;
}

static int check_cancel(struct link_message *m, const char *payload)
{
	bool is_good = m->cancel.call_id != 0 && m->cancel.header.payload_len == 0;
	return is_good ? 0 : -EBADMSG;
}

static int check_ready(struct link_message *m, const char *payload)
{
	bool is_good = m->ready.header.payload_len == 0 && m->ready.reserved == 0;
	return is_good ? 0 : -EBADMSG;
}

static int check_loaded(struct link_message *m, const char *payload)
{
	const struct link_loaded *v = &m->loaded;
	if (v->err > 0 || v->err < -ERRNO_MAX || v->header.payload_len > LINK_TEXT_MAX)
		return -EBADMSG;
	m->payload = cut(&payload, v->header.payload_len);
	return has_nul(m->payload) ? -EBADMSG : 0;
}

static int check_output(struct link_message *m, const char *payload)
{
	const struct link_output *v = &m->output;
	if (v->call_id == 0 || v->reserved != 0 || v->header.payload_len == 0)
		return -EBADMSG;
	if (v->stream != LINK_STREAM_OUTPUT && v->stream != LINK_STREAM_ERRORS)
		return -EBADMSG;
	m->payload = cut(&payload, v->header.payload_len);
	return 0;
}

/* Which operations carry a path, and which a second one. */
static bool op_has_path(uint32_t op)
{
	return op == LINK_OP_OPEN || op >= LINK_OP_STAT;
}

static bool op_has_path2(uint32_t op)
{
	return op == LINK_OP_LIST || op == LINK_OP_RENAME;
}

static int check_file_request(struct link_message *m, const char *payload)
{
	const struct link_file_request *v = &m->file_request;
	if (v->call_id == 0 || v->op < LINK_OP_READ_INPUT || v->op > LINK_OP_LAST)
		return -EBADMSG;
	if ((v->flags & ~LINK_OPEN_ALL) != 0 || v->size > LINK_DATA_MAX)
		return -EBADMSG;
	if (v->op == LINK_OP_WRITE) {
		if (v->path_len != 0 || v->path2_len != 0 || v->header.payload_len == 0 ||
		    v->header.payload_len > LINK_DATA_MAX)
			return -EBADMSG;
		m->payload = cut(&payload, v->header.payload_len);
		return 0;
	}
	if (v->path_len > LINK_PATH_MAX || v->path2_len > LINK_PATH_MAX ||
	    v->path_len + v->path2_len != v->header.payload_len)
		return -EBADMSG;
	if ((v->path_len > 0 && !op_has_path(v->op)) || (v->path2_len > 0 && !op_has_path2(v->op)))
		return -EBADMSG;
	m->file_parts.path = cut(&payload, v->path_len);
	m->file_parts.path2 = cut(&payload, v->path2_len);
	return has_nul(m->file_parts.path) || has_nul(m->file_parts.path2) ? -EBADMSG : 0;
}

static int check_done(struct link_message *m, const char *payload)
{
	const struct link_done *v = &m->done;
	if (v->call_id == 0 || v->reserved != 0 || v->outcome < LINK_EXITED ||
	    v->outcome > LINK_OUTCOME_LAST || v->text_len > LINK_TEXT_MAX)
		return -EBADMSG;
	uint64_t sum = (uint64_t)v->text_len + v->output_len + v->errors_len;
	if (sum != v->header.payload_len)
		return -EBADMSG;
	m->done_parts.text = cut(&payload, v->text_len);
	m->done_parts.output = cut(&payload, v->output_len);
	m->done_parts.errors = cut(&payload, v->errors_len);
	return has_nul(m->done_parts.text) ? -EBADMSG : 0;
}

static int check_counters(struct link_message *m, const char *payload)
{
	uint64_t values[LINK_COUNTERS_COUNT];
	if (m->header.payload_len != sizeof(values))
		return -EBADMSG;
	memcpy(values, payload, sizeof(values));
	for (size_t i = 0; i < LINK_COUNTERS_COUNT; i++)
		if (values[i] > LINK_COUNTER_MAX)
			return -EBADMSG;
	m->payload = cut(&payload, m->header.payload_len);
	return 0;
}

static const struct kind_rule to_cell_rules[] = {
	{LINK_LOAD, sizeof(struct link_load), check_load},
	{LINK_UNLOAD, sizeof(struct link_unload), check_unload},
	{LINK_INVOKE, sizeof(struct link_invoke), check_invoke},
	{LINK_FILE_REPLY, sizeof(struct link_file_reply), check_file_reply},
	{LINK_CANCEL, sizeof(struct link_cancel), check_cancel},
};

static const struct kind_rule to_node_rules[] = {
	{LINK_READY, sizeof(struct link_ready), check_ready},
	{LINK_LOADED, sizeof(struct link_loaded), check_loaded},
	{LINK_OUTPUT, sizeof(struct link_output), check_output},
	{LINK_FILE_REQUEST, sizeof(struct link_file_request), check_file_request},
	{LINK_DONE, sizeof(struct link_done), check_done},
	{LINK_COUNTERS, sizeof(struct link_counters_report), check_counters},
};

static int decode(const struct kind_rule *rules, size_t rules_count, uint32_t first_kind,
		  const void *data, size_t len, struct link_message *ret_message)
{
	struct link_message message;
	EOS_DCHECK(((uintptr_t)data & 7) == 0);
	if (len < sizeof(struct link_header))
		return -EBADMSG;
	memcpy(&message.header, data, sizeof(message.header));
	uint32_t index = message.header.kind - first_kind;
	if (index >= rules_count)
		return -EBADMSG;
	const struct kind_rule *rule = &rules[index];
	EOS_ASSERT(rule->kind == message.header.kind);
	if (len < rule->size || message.header.payload_len > LINK_PAYLOAD_MAX ||
	    message.header.payload_len != len - rule->size)
		return -EBADMSG;
	memcpy(&message, data, rule->size);
	int err = rule->check(&message, (const char *)data + rule->size);
	if (err < 0)
		return err;
	*ret_message = message;
	return 0;
}

int link_decode_to_cell(const void *data, size_t len, struct link_message *ret_message)
{
	return decode(to_cell_rules, EOS_ARRAY_SIZE(to_cell_rules), LINK_LOAD, data, len,
		      ret_message);
}

int link_decode_to_node(const void *data, size_t len, struct link_message *ret_message)
{
	return decode(to_node_rules, EOS_ARRAY_SIZE(to_node_rules), LINK_READY, data, len,
		      ret_message);
}

int link_dirent_next(struct link_span payload, uint32_t *offset, struct link_dirent *ret_entry,
		     struct link_span *ret_name)
{
	struct link_dirent entry;
	if (*offset == payload.len)
		return 0;
	if (*offset > payload.len || payload.len - *offset < sizeof(entry))
		return -EBADMSG;
	memcpy(&entry, payload.data + *offset, sizeof(entry));
	uint32_t rest = payload.len - *offset - (uint32_t)sizeof(entry);
	struct link_span name = {payload.data + *offset + sizeof(entry), entry.name_len};
	if (entry.name_len == 0 || entry.name_len > LINK_PATH_MAX || entry.name_len > rest ||
	    has_nul(name))
		return -EBADMSG;
	if ((entry.kind != LINK_FILE && entry.kind != LINK_DIRECTORY) || entry.reserved != 0)
		return -EBADMSG;
	*offset += (uint32_t)sizeof(entry) + entry.name_len;
	*ret_entry = entry;
	*ret_name = name;
	return 1;
}

int link_dirent_append(char *out, size_t size, size_t *used, const char *name, size_t name_len,
		       enum link_file_kind kind)
{
	struct link_dirent entry = {.name_len = (uint16_t)name_len, .kind = (uint8_t)kind};
	EOS_DCHECK(name_len > 0 && name_len <= LINK_PATH_MAX && *used <= size);
	if (size - *used < sizeof(entry) + name_len)
		return -ENOSPC;
	memcpy(out + *used, &entry, sizeof(entry));
	memcpy(out + *used + sizeof(entry), name, name_len);
	*used += sizeof(entry) + name_len;
	return 0;
}
