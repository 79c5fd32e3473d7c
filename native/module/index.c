/* index.c - see index.h. */
#include "index.h"

#include <stdlib.h>
#include <string.h>

#include "../base/lock.h"
#include "../crypto/rng.h"
#include "attrs.h"
#include "gate.h"
#include "object.h"

#define FIRST_BUCKETS 64u

static struct lock lock;
static struct index_node *first[FIRST_BUCKETS];
static struct index_node **buckets = first;
static size_t mask = FIRST_BUCKETS - 1, used;
static uint64_t seed[2];                /* drawn with the first entry */

/* ---- SipHash-1-3 --------------------------------------------------------------------- */

static uint64_t
turn(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static void
round_one(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = turn(v[1], 13) ^ v[0];
	v[0] = turn(v[0], 32);
	v[2] += v[3];
	v[3] = turn(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = turn(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = turn(v[1], 17) ^ v[2];
	v[2] = turn(v[2], 32);
}

static void
take_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	round_one(v);
	v[0] ^= word;
}

static uint64_t
hash_of(enum index_by by, const struct partition *p, hsm_in value)
{
	uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du,
		seed[0] ^ 0x6c7967656e657261u, seed[1] ^ 0x7465646279746573u };
	uint64_t word;
	size_t at;

	take_word(v, (uint64_t)(uintptr_t)p ^ (uint64_t)by);
	for (at = 0; at + 8 <= value.len; at += 8) {
		memcpy(&word, value.ptr + at, 8);
		take_word(v, word);
	}
	word = (uint64_t)value.len << 56;
	for (size_t i = 0; at + i < value.len; i++)
		word |= (uint64_t)value.ptr[at + i] << (8 * i);
	take_word(v, word);
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		round_one(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Without randomness the hash is merely not keyed. */
static hsm_status
seed_draw(void *arg)
{
	return rng_nonce(arg, sizeof seed);
}

static void
seed_need(void)
{
	uint64_t fresh[2] = { 0, 0 };
	bool need;

	lock_take(&lock);
	need = seed[0] == 0;
	lock_give(&lock);
	if (!need || gate_run(seed_draw, fresh, 0, 2048) != HSM_OK)
		return;
	lock_take(&lock);
	/* Only an empty table may change its seed. */
	if (seed[0] == 0 && used == 0) {
		seed[0] = fresh[0] | 1;
		seed[1] = fresh[1];
	}
	lock_give(&lock);
}

/* ---- the table ------------------------------------------------------------------------- */

static void
node_hang(struct index_node *node)
{
	struct index_node **at = &buckets[node->hash & mask];

	node->next = *at;
	node->link = at;
	if (*at != NULL)
		(*at)->link = &node->next;
	*at = node;
}

static void
node_take(struct index_node *node)
{
	if (node->link == NULL)
		return;
	*node->link = node->next;
	if (node->next != NULL)
		node->next->link = node->link;
	node->link = NULL;
	used--;
}

static void
table_grow(void)
{
	size_t n = (mask + 1) * 4;
	struct index_node **old = buckets, **more = calloc(n, sizeof *more), *next;

	if (more == NULL)
		return;                         /* chains grow longer instead */
	buckets = more;
	for (size_t i = 0, was = mask; i <= was; i++) {
		mask = n - 1;
		for (struct index_node *node = old[i]; node != NULL; node = next) {
			next = node->next;
			node_hang(node);
		}
	}
	if (old != first)
		free(old);
}

static void
node_place(struct index_node *node, uint64_t handle, uint64_t hash)
{
	node->handle = handle;
	node->hash = hash;
	if (++used > mask)
		table_grow();
	node_hang(node);
}

void
index_place(struct index_node *nodes, uint64_t handle, const struct partition *p, const struct facts *f)
{
	static const uint32_t types[] = { [INDEX_LABEL] = HSM_ATTR_LABEL, [INDEX_ID] = HSM_ATTR_ID };
	hsm_in value;

	seed_need();
	lock_take(&lock);
	for (int by = 0; by < INDEX_WAYS; by++)
		node_take(&nodes[by]);
	if (f == NULL)
		node_place(&nodes[INDEX_UNREAD], handle, hash_of(INDEX_UNREAD, p, HSM_NONE));
	for (int by = 0; f != NULL && by < INDEX_UNREAD; by++)
		if (facts_find(f, types[by], &value) && value.len != 0)
			node_place(&nodes[by], handle, hash_of((enum index_by)by, p, value));
	lock_give(&lock);
}

void
index_remove(struct index_node *nodes)
{
	bool there = false;

	/* Its links are the neighbours' to change; its handles are not. */
	for (int by = 0; by < INDEX_WAYS; by++)
		there = there || nodes[by].handle != 0;
	if (!there)
		return;
	lock_take(&lock);
	for (int by = 0; by < INDEX_WAYS; by++)
		node_take(&nodes[by]);
	lock_give(&lock);
}

/* ---- asking ------------------------------------------------------------------------------ */

struct sought { uint64_t hash, slot; };

static uint64_t
slot_of(uint64_t handle)
{
	return handle & ((UINT64_C(1) << OBJECT_SLOT_BITS) - 1);
}

static bool
node_sought(const struct index_node *node, const struct sought *s)
{
	return node->hash == s->hash && slot_of(node->handle) >= s->slot;
}

static int
by_slot(const void *a, const void *b)
{
	const uint64_t x = slot_of(*(const uint64_t *)a), y = slot_of(*(const uint64_t *)b);

	return x < y ? -1 : x > y;
}

hsm_status
index_collect(enum index_by by, const struct partition *p, hsm_in value, uint64_t slot,
	uint64_t **handles, size_t *n)
{
	struct sought s = { 0, slot };
	struct index_node *node;
	size_t count = 0;

	*handles = NULL;
	*n = 0;
	lock_take(&lock);
	s.hash = hash_of(by, p, value);
	for (node = buckets[s.hash & mask]; node != NULL; node = node->next)
		count += node_sought(node, &s);
	if (count != 0 && (*handles = malloc(count * sizeof **handles)) == NULL) {
		lock_give(&lock);
		return HSM_E_MEMORY;
	}
	for (node = buckets[s.hash & mask]; node != NULL; node = node->next)
		if (node_sought(node, &s))
			(*handles)[(*n)++] = node->handle;
	lock_give(&lock);
	if (*n > 1)
		qsort(*handles, *n, sizeof **handles, by_slot);
	return HSM_OK;
}

void
index_fork(void)
{
	lock_give(&lock);
	memset(first, 0, sizeof first);
	buckets = first;
	mask = FIRST_BUCKETS - 1;
	used = 0;
	memset(seed, 0, sizeof seed);
}
