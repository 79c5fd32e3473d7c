/* handles.c - see handles.h. */
#include "handles.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FREE, MADE, LIVE, CLOSING };

#define STATE_BITS 2u
#define STATE_MASK 3u

struct slot {
	_Atomic uint64_t word;                  /* generation << STATE_BITS | state */
	_Atomic(void *) item;
};

struct chunk {
	struct slot slots[CHUNK_SLOTS];
	uint32_t next[CHUNK_SLOTS];             /* free list, under the table's lock */
	_Atomic int32_t loans[HANDLE_SHARDS][CHUNK_SLOTS];
};

_Static_assert(HANDLE_BITS <= 53, "JavaScript carries handles as numbers");
_Static_assert(HANDLE_BITS + STATE_BITS <= 64, "a generation and a state share a word");
_Static_assert((uint64_t)TABLE_CHUNKS * CHUNK_SLOTS <= 1u << 24, "slots are at most 24 bits");
_Static_assert(STATE_MASK == (1u << STATE_BITS) - 1 && CLOSING <= STATE_MASK, "states fit their bits");

static uint64_t
generation_max(const struct table *t)
{
	return (UINT64_C(1) << (HANDLE_BITS - t->slot_bits)) - 1;
}

/* Threads take shards in turn. */
static uint32_t
shard_mine(void)
{
	static _Atomic uint32_t turn;
	static _Thread_local uint32_t mine __attribute__((tls_model("initial-exec")));

	if (mine == 0)
		mine = 1 + atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % HANDLE_SHARDS;
	return mine - 1;
}

uint32_t
table_slot(const struct table *t, uint64_t handle)
{
	return (uint32_t)(handle & ((UINT64_C(1) << t->slot_bits) - 1));
}

static uint64_t
handle_word(const struct table *t, uint64_t handle, uint64_t state)
{
	return handle >> t->slot_bits << STATE_BITS | state;
}

static struct chunk *
chunk_of(struct table *t, uint32_t slot)
{
	if (slot >> CHUNK_BITS >= TABLE_CHUNKS)
		return NULL;
	return atomic_load_explicit(&t->chunks[slot >> CHUNK_BITS], memory_order_acquire);
}

static int64_t
chunk_loans(struct chunk *c, uint32_t at)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < HANDLE_SHARDS; i++)
		sum += atomic_load(&c->loans[i][at]);
	return sum;
}

/* A slot that nobody has used, or NULL with *st set. Under the lock. */
static hsm_status
slot_fresh(struct table *t, uint32_t *slot)
{
	uint32_t span = atomic_load_explicit(&t->span, memory_order_relaxed);

	if (span >= UINT32_C(1) << t->slot_bits || span >> CHUNK_BITS >= TABLE_CHUNKS)
		return HSM_E_LIMIT;
	if (chunk_of(t, span) == NULL) {
		struct chunk *c = calloc(1, sizeof *c);

		if (c == NULL)
			return HSM_E_MEMORY;
		atomic_store_explicit(&t->chunks[span >> CHUNK_BITS], c, memory_order_release);
	}
	*slot = span;
	atomic_store_explicit(&t->span, span + 1, memory_order_release);
	return HSM_OK;
}

static void
slot_give(struct table *t, struct chunk *c, uint32_t slot)
{
	c->next[slot & (CHUNK_SLOTS - 1)] = t->free;
	t->free = slot + 1;
}

/* Under the lock. */
static void
live_count(struct table *t, uint32_t by)
{
	atomic_store_explicit(&t->live, atomic_load_explicit(&t->live, memory_order_relaxed) + by, memory_order_relaxed);
}

hsm_status
table_reserve(struct table *t, uint64_t generation, uint64_t *handle)
{
	hsm_status st = HSM_OK;
	struct chunk *c;
	struct slot *s;
	uint32_t slot = 0;

	*handle = 0;
	lock_take(&t->lock);
	if (t->free != 0) {
		slot = t->free - 1;
		t->free = chunk_of(t, slot)->next[slot & (CHUNK_SLOTS - 1)];
	} else if ((st = slot_fresh(t, &slot)) != HSM_OK) {
		goto out;
	}
	c = chunk_of(t, slot);
	s = &c->slots[slot & (CHUNK_SLOTS - 1)];
	if (generation == 0)
		generation = (atomic_load_explicit(&s->word, memory_order_relaxed) >> STATE_BITS) + 1;
	atomic_store(&s->word, generation << STATE_BITS | MADE);
	*handle = generation << t->slot_bits | slot;
	live_count(t, 1);
out:
	lock_give(&t->lock);
	return st;
}

void
table_publish(struct table *t, uint64_t handle, void *item)
{
	uint32_t slot = table_slot(t, handle);
	struct slot *s = &chunk_of(t, slot)->slots[slot & (CHUNK_SLOTS - 1)];

	atomic_store_explicit(&s->item, item, memory_order_release);
	atomic_store(&s->word, handle_word(t, handle, LIVE));
}

/* Back to the free list; a slot whose generations are used up rests for ever. */
static void
slot_free(struct table *t, struct chunk *c, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);

	lock_take(&t->lock);
	atomic_store(&c->slots[slot & (CHUNK_SLOTS - 1)].word, handle_word(t, handle, FREE));
	if (handle >> t->slot_bits < generation_max(t))
		slot_give(t, c, slot);
	live_count(t, UINT32_MAX);
	lock_give(&t->lock);
}

void
table_cancel(struct table *t, uint64_t handle)
{
	if (handle != 0)
		slot_free(t, chunk_of(t, table_slot(t, handle)), handle);
}

/* Whoever finds a closing slot without loans ends it; the state decides who. */
static void
slot_reap(struct table *t, struct chunk *c, uint64_t handle)
{
	uint32_t at = table_slot(t, handle) & (CHUNK_SLOTS - 1);
	uint64_t closing = handle_word(t, handle, CLOSING);
	void *item;

	if (chunk_loans(c, at) != 0)
		return;
	item = atomic_load_explicit(&c->slots[at].item, memory_order_acquire);
	if (!atomic_compare_exchange_strong(&c->slots[at].word, &closing, handle_word(t, handle, MADE)))
		return;
	t->reap(item);
	slot_free(t, c, handle);
}

static void
loan_back(struct table *t, struct chunk *c, uint32_t slot)
{
	uint32_t at = slot & (CHUNK_SLOTS - 1);
	uint64_t word;

	atomic_fetch_sub(&c->loans[shard_mine()][at], 1);
	word = atomic_load(&c->slots[at].word);
	if ((word & STATE_MASK) == CLOSING)
		slot_reap(t, c, word >> STATE_BITS << t->slot_bits | slot);
}

void *
table_acquire(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle), at = slot & (CHUNK_SLOTS - 1);
	struct chunk *c;

	if (handle >> HANDLE_BITS != 0 || (c = chunk_of(t, slot)) == NULL)
		return NULL;
	/* A cheap look first, so that made-up numbers write nothing. */
	if (atomic_load_explicit(&c->slots[at].word, memory_order_relaxed) != handle_word(t, handle, LIVE))
		return NULL;
	atomic_fetch_add(&c->loans[shard_mine()][at], 1);
	if (atomic_load(&c->slots[at].word) == handle_word(t, handle, LIVE))
		return atomic_load_explicit(&c->slots[at].item, memory_order_acquire);
	loan_back(t, c, slot);
	return NULL;
}

void
table_release(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);

	loan_back(t, chunk_of(t, slot), slot);
}

void *
table_at(struct table *t, uint32_t slot, uint64_t *handle)
{
	struct chunk *c = chunk_of(t, slot);
	uint64_t word;

	if (c == NULL)
		return NULL;
	word = atomic_load_explicit(&c->slots[slot & (CHUNK_SLOTS - 1)].word, memory_order_acquire);
	if ((word & STATE_MASK) != LIVE)
		return NULL;
	*handle = word >> STATE_BITS << t->slot_bits | slot;
	return table_acquire(t, *handle);
}

int64_t
table_loans(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);

	return chunk_loans(chunk_of(t, slot), slot & (CHUNK_SLOTS - 1));
}

bool
table_retire(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);
	struct slot *s = &chunk_of(t, slot)->slots[slot & (CHUNK_SLOTS - 1)];
	uint64_t live = handle_word(t, handle, LIVE);

	return atomic_compare_exchange_strong(&s->word, &live, handle_word(t, handle, CLOSING));
}

void *
table_item(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);
	struct chunk *c;

	if (handle >> HANDLE_BITS != 0 || (c = chunk_of(t, slot)) == NULL)
		return NULL;
	return atomic_load_explicit(&c->slots[slot & (CHUNK_SLOTS - 1)].item, memory_order_acquire);
}

bool
table_live(struct table *t, uint64_t handle)
{
	uint32_t slot = table_slot(t, handle);
	struct chunk *c = chunk_of(t, slot);

	return c != NULL && atomic_load(&c->slots[slot & (CHUNK_SLOTS - 1)].word) == handle_word(t, handle, LIVE);
}

bool
table_end(struct table *t, uint64_t handle)
{
	struct chunk *c;

	if (handle >> HANDLE_BITS != 0 || (c = chunk_of(t, table_slot(t, handle))) == NULL || !table_retire(t, handle))
		return false;
	slot_reap(t, c, handle);
	return true;
}

/* What a child leaves of its parent's: not freed, since other threads may have
 * held it half-changed when the process forked, but not lost from sight. */
struct estate { struct estate *older; struct chunk *chunks[]; };
static struct estate *estates;

static void
estate_keep(struct table *t)
{
	const uint32_t n = (atomic_load(&t->span) + CHUNK_SLOTS - 1) >> CHUNK_BITS;
	struct estate *e;

	if (n == 0 || (e = malloc(sizeof *e + n * sizeof *e->chunks)) == NULL)
		return;
	for (uint32_t i = 0; i < n; i++)
		e->chunks[i] = atomic_load(&t->chunks[i]);
	e->older = estates;
	estates = e;
}

void
table_forget(struct table *t)
{
	lock_give(&t->lock);
	estate_keep(t);
	for (uint32_t i = 0; i < TABLE_CHUNKS; i++)
		atomic_store(&t->chunks[i], NULL);
	atomic_store(&t->span, 0);
	atomic_store(&t->live, 0);
	t->free = 0;
}
