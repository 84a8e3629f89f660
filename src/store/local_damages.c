#include "store/local_damages_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "store/local_changes_priv.h"

EOS_COUNTER(untold, "store.damage_events_dropped_total",
	    "Damaged objects that no event tells of, because there were too many or no memory.")

struct damage {
	struct eos_list node;
	uint64_t version, sequence;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	size_t key_len;
	char key[];
};

void local_damages_init(struct local_damages *damages)
{
	pthread_mutex_init(&damages->lock, NULL);
	eos_list_init(&damages->waiting);
	damages->waiting_count = 0;
	memset(damages->told, 0, sizeof(damages->told));
}

void local_damages_fini(struct local_damages *damages)
{
	struct eos_list *node;
	while ((node = eos_list_take(&damages->waiting)) != NULL)
		free(EOS_CONTAINER_OF(node, struct damage, node));
	pthread_mutex_destroy(&damages->lock);
}

static uint64_t hash_of(const struct damage *damage)
{
	uint64_t hash = local_sum(&damage->sequence, sizeof(damage->sequence), damage->version);
	hash = local_sum(damage->bucket, strlen(damage->bucket), hash);
	hash = local_sum(damage->key, damage->key_len, hash);
	return hash != 0 ? hash : 1;
}

void local_damages_note(struct local *local, const char *bucket, const char *key, size_t key_len,
			uint64_t version, uint64_t sequence)
{
	struct local_damages *damages = &local->damages;
	if (store_bucket_is_own(bucket))
		return;
	struct damage *damage = malloc(sizeof(*damage) + key_len);
	if (damage == NULL) {
		eos_counter_add(&untold, 1); /* until it is met again */
		return;
	}
	damage->version = version;
	damage->sequence = sequence;
	damage->key_len = key_len;
	memcpy(damage->bucket, bucket, strlen(bucket) + 1);
	memcpy(damage->key, key, key_len);
	uint64_t hash = hash_of(damage);
	pthread_mutex_lock(&damages->lock);
	uint64_t *told = &damages->told[hash % LOCAL_DAMAGES_TOLD];
	bool is_new = *told != hash;
	if (is_new && damages->waiting_count < LOCAL_DAMAGES_WAITING_MAX) {
		*told = hash;
		eos_list_add_tail(&damages->waiting, &damage->node);
		damages->waiting_count++;
		damage = NULL;
	} else if (is_new) {
		eos_counter_add(&untold, 1);
	}
	pthread_mutex_unlock(&damages->lock);
	free(damage);
}

static struct damage *take(struct local_damages *damages)
{
	pthread_mutex_lock(&damages->lock);
	struct eos_list *node = eos_list_take(&damages->waiting);
	damages->waiting_count -= node != NULL;
	pthread_mutex_unlock(&damages->lock);
	return node != NULL ? EOS_CONTAINER_OF(node, struct damage, node) : NULL;
}

/* Its event could not be written: who meets it again tells again. */
static void forget(struct local_damages *damages, const struct damage *damage)
{
	uint64_t hash = hash_of(damage);
	pthread_mutex_lock(&damages->lock);
	if (damages->told[hash % LOCAL_DAMAGES_TOLD] == hash)
		damages->told[hash % LOCAL_DAMAGES_TOLD] = 0;
	pthread_mutex_unlock(&damages->lock);
}

void local_damages_tell(struct local *local)
{
	struct damage *damage;
	while ((damage = take(&local->damages)) != NULL) {
		struct local_op op = {
			.kind = LOCAL_OP_DAMAGE,
			.bucket = damage->bucket,
			.key = damage->key,
			.key_len = damage->key_len,
			.version = damage->version,
			.record = {.sequence = damage->sequence},
		};
		int err = local_commit(local, &op);
		if (err < 0 && err != -ENOENT) {
			forget(&local->damages, damage);
			eos_log(EOS_LOG_WARN, "store",
				"event of a damaged object not written bucket=%s key=%.*s error=%s",
				damage->bucket, (int)damage->key_len, damage->key, strerror(-err));
		}
		free(damage);
	}
}

int local_apply_damage(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct local_found found;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	err = local_version_find(t->local, t->txn, op->bucket, bucket.node, op->key, op->key_len,
				 op->version, &found);
	if (err == 0 && op->record.sequence != found.record.sequence)
		err = -ENOENT; /* replaced meanwhile, or made whole */
	if (err < 0 && err != -EBADMSG)
		return local_refuse(t, op, err);
	/* Of what its record said nothing can be told. */
	if (err == -EBADMSG)
		found.record = (struct local_record){
			.version = op->version == STORE_VERSION_LATEST ? STORE_VERSION_NULL
								       : op->version,
		};
	err = local_emit_events(t, STORE_EVENT_DAMAGED, op->bucket, &bucket, op->key, op->key_len,
				&found.record);
	return err < 0 ? err : local_accept(t, op);
}
