/* handles.h - numbers for things that several threads use at once.
 *
 * A handle is a generation above a slot and fits 53 bits. Slots lie in chunks
 * that never move; readers take no lock. A slot changes state in one place:
 *
 *   FREE -> MADE -> LIVE -> CLOSING -> FREE (next generation)
 *
 * Loans are counted per slot in sixteen shards, one array a shard, so that
 * two threads that use one key do not fight for one cache line. A loan counts
 * first and looks at the slot's state afterwards; closing changes the state
 * first and counts afterwards: one of the two sees the other. The item is
 * reaped by whoever gives the last loan back after closing. */
#ifndef STRONGROOM_HANDLES_H
#define STRONGROOM_HANDLES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/lock.h"
#include "../base/status.h"

#define HANDLE_BITS   53u
#define CHUNK_BITS    12u
#define CHUNK_SLOTS   (1u << CHUNK_BITS)
#define TABLE_CHUNKS  4096u
#define HANDLE_SHARDS 16u

struct chunk;

struct table {
	struct lock lock;
	unsigned slot_bits;                     /* the rest is generation */
	void (*reap)(void *item);               /* wipe and free; no lock is held */
	_Atomic(struct chunk *) chunks[TABLE_CHUNKS];
	_Atomic uint32_t span;                  /* slots ever used */
	_Atomic uint32_t live;                  /* slots in use, until they are reaped */
	uint32_t free;                          /* head of the free list, slot + 1 */
};

#define TABLE_INIT(bits, reaper) { .slot_bits = (bits), .reap = (reaper) }

/* A slot in state MADE, known to nobody. generation 0: the slot's next.
 * HSM_E_LIMIT, HSM_E_MEMORY. */
HSM_MUST_USE hsm_status table_reserve(struct table *t, uint64_t generation, uint64_t *handle);
void table_publish(struct table *t, uint64_t handle, void *item);
void table_cancel(struct table *t, uint64_t handle);        /* of a reserved slot */

void *table_acquire(struct table *t, uint64_t handle);      /* NULL: stale or made up */
void table_release(struct table *t, uint64_t handle);
/* Whatever lives in `slot`, on loan; NULL: nothing. For walks. */
void *table_at(struct table *t, uint32_t slot, uint64_t *handle);
uint32_t table_slot(const struct table *t, uint64_t handle);
int64_t table_loans(struct table *t, uint64_t handle);

/* The end of a handle: no new loans from now. Only with a loan in hand.
 * false: somebody else was first. */
bool table_retire(struct table *t, uint64_t handle);

/* Without a loan, for tables whose items are never freed: what lies in the
 * slot (whoever's it is now), and whether the handle is good. What was read
 * from the item before table_live said yes was this handle's. */
void *table_item(struct table *t, uint64_t handle);         /* NULL: nothing ever did */
bool table_live(struct table *t, uint64_t handle);
/* Retire, and reap if nobody has a loan. false: no such handle. */
bool table_end(struct table *t, uint64_t handle);

/* In a forked child: forget everything, touch nothing. */
void table_forget(struct table *t);

#endif
