/*
 * The model of store_model_test.c: what the rules of store.h say that the store holds, and how that
 * is compared with what it holds. Failures are cmocka's.
 */
#pragma once

#include "store/store_fixture_priv.h"

#define BUCKETS	     3
#define KEYS	     7
#define VERSIONS_MAX 40
#define COLORS	     4

extern const char *const model_buckets[BUCKETS];
/* The last bucket has a tenant of its own. */
extern const char *const model_tenants[BUCKETS];

struct version {
	uint64_t id, seed;
	size_t size;
	bool is_marker, is_held;
	int color, number; /* -1: none */
};

struct key {
	unsigned count;
	struct version versions[VERSIONS_MAX]; /* the latest first */
};

struct bucket {
	enum store_versioning versioning;
	uint64_t quota_bytes, quota_objects;
	struct key keys[KEYS];
};

struct model {
	struct bucket buckets[BUCKETS];
	uint64_t tenant_bytes; /* quota of plant-1 */
	uint64_t last_sequence;
	unsigned refused[3]; /* EDQUOT, EPERM, ESTALE: the run must have met each */
};

/* A random number below N. */
unsigned model_pick(unsigned n);
/* In byte order. */
const char *model_key_name(int key);
struct store_usage model_usage(const struct bucket *b);
/* The latest version, unless it is a delete marker or not there: NULL. */
struct version *model_latest(struct key *k);
struct version *model_find_version(struct key *k, uint64_t id);
void model_remove_at(struct key *k, unsigned at);
/* VERSION becomes the latest. -EPERM: what it would replace is held. */
int model_push(struct bucket *b, struct key *k, struct version version);
/* -EDQUOT when NEW_B, which bucket number BUCKET shall become, adds what does not fit. */
int model_check_quota(const struct model *m, int bucket, const struct bucket *new_b);
void model_add_metadata(struct store_object_info *info, const struct version *version);
/* Compares everything. */
void model_check(struct store *store, struct model *m);
