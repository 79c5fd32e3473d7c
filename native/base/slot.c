/* slot.c - taking a slot, and keeping promises with it.
 *
 * arena_hold(len) must mean that blocks up to len bytes can be had whatever
 * the heap looks like by then. A count of free pages would not do: pages may
 * be free and yet no run of them. So each slot has a spare of its own that the
 * heap never sees, and only allocations that the heap refuses go there. A
 * quarter more than promised lies ready: all of it may be used up without one
 * byte freed, and what is freed and taken again in another order finds room.
 * Promises that the spare is too small for get a run of pages as long as they
 * last; common operations need none, for in a full arena runs are scarce.
 *
 * A block may outlive its operation (a key, loaded in a full arena). In the
 * spare it then takes room from later promises; a run stays behind as an
 * orphan until its last block goes. arena_hold_keep exists so that this stays
 * the exception. */
#include "slot.h"

#include <sched.h>
#include <string.h>
#include <time.h>

#include "arena.h"
#include "bytes.h"
#include "fault.h"
#include "fork.h"
#include "mark.h"
#include "pages.h"

#define REGIONS 1280            /* STACKS_MAX * SLOT_RUNS, and an orphan every 64 KiB */
#define OVERHEAD ((size_t)1 << 10)
#define FLOOR ((size_t)64 << 10)        /* bytes that kept blocks leave to the heap */
#define PATIENCE 1000           /* tries to take a slot: ten seconds in all */
#define STARVED 300             /* of them: some milliseconds */

static struct slot slots[STACKS_MAX];
static size_t count;
static struct region regions[REGIONS];
static struct lock regions_lock;
static atomic_uint pausing;
static atomic_uint starving;            /* threads that have waited long */

/* This thread: the slot it is in, the one it was in last, how often. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	struct slot *in;
	unsigned last, deep, life;
} me;

/* ---- runs -------------------------------------------------------------------- */

static struct region *
run_make(size_t len)
{
	size_t pages = (len + PAGE_LEN - 1) / PAGE_LEN;
	struct region *r = NULL;
	uint8_t *at = pages_take(pages);
	struct page *p;

	if (at == NULL)
		return NULL;
	lock_take(&regions_lock);
	for (size_t i = 0; i < REGIONS && r == NULL; i++)
		if (regions[i].base == NULL)
			r = &regions[i];
	if (r != NULL)
		r->base = at;
	lock_give(&regions_lock);
	if (r == NULL) {
		pages_give(at, pages);
		return NULL;
	}
	p = page_of(at);
	for (size_t i = 0; i < pages; i++) {
		p[i].kind = PAGE_REGION;
		p[i].region = r;
	}
	region_init(r, at, pages * PAGE_LEN);
	return r;
}

static void
run_end(struct region *r)
{
	uint8_t *at = r->base;
	size_t pages = r->len / PAGE_LEN;

	lock_take(&regions_lock);
	region_end(r);
	lock_give(&regions_lock);
	pages_give(at, pages);
}

/* The slot lets go of it: gone if empty, an orphan else. Under its lock, so
 * that its last block, freed by somebody else just now, dissolves it once. */
static void
run_leave(struct region *r)
{
	bool empty;

	lock_take(&r->lock);
	empty = r->live == 0;
	r->orphan = !empty;
	lock_give(&r->lock);
	if (empty)
		run_end(r);
}

void
slot_free_run(struct region *r, void *ptr)
{
	if (region_free(r, ptr))
		run_end(r);
}

bool
slot_free_spare(void *ptr)
{
	size_t i = spare_number(ptr);

	if (i >= count)
		return false;
	(void)region_free(&slots[i].spare, ptr);
	return true;
}

/* ---- taking ------------------------------------------------------------------ */

static bool
try_take(struct slot *s)
{
	if (atomic_load_explicit(&s->busy, memory_order_relaxed) != 0 ||
	    atomic_exchange(&s->busy, 1) != 0)
		return false;
	/* Sequentially consistent with slots_pause: one of us sees the other. */
	if (atomic_load(&pausing) == 0)
		return true;
	atomic_store_explicit(&s->busy, 0, memory_order_release);
	return false;
}

static struct slot *
take_any(void)
{
	size_t at = me.last < count ? me.last : 0;

	for (size_t i = 0; i < count; i++, at = at + 1 < count ? at + 1 : 0) {
		if (try_take(&slots[at])) {
			me.last = (unsigned)at;
			return &slots[at];
		}
	}
	return NULL;
}

/* More threads than slots: wait. Holders are inside operations, which end. */
static struct slot *
take_patiently(void)
{
	struct slot *s = NULL;
	bool starved = false;

	for (unsigned n = 0; n < PATIENCE && s == NULL && count > 0; n++) {
		struct timespec nap = { 0, n < 500 ? 20000 : 20000000 };

		if (n == STARVED) {
			starved = true;
			atomic_fetch_add(&starving, 1);
		}
		if (n < 50)
			sched_yield();
		else
			nanosleep(&nap, NULL);
		s = take_any();
	}
	if (starved)
		atomic_fetch_sub(&starving, 1);
	return s;
}

/* Its first use: paged in once, and not in the middle of an operation. */
static void
slot_touch(struct slot *s)
{
	uint8_t *spare = spare_base((size_t)(s - slots));

	for (size_t at = 0; at < STACK_LEN; at += PAGE_LEN)
		*(volatile uint8_t *)(s->stack + at) = 0;
	for (size_t at = 0; at < SPARE_LEN; at += PAGE_LEN)
		*(volatile uint8_t *)(spare + at) = 0;
	region_init(&s->spare, spare, SPARE_LEN);
	s->touched = true;
}

/* Whoever comes back for its next operation lets those in first that have
 * waited long: a slot is free for so short a time that sleepers miss it. */
static void
give_way(void)
{
	static const struct timespec nap = { 0, 100000 };

	for (unsigned n = 0; n < 50 && atomic_load_explicit(&starving, memory_order_relaxed) != 0; n++)
		nanosleep(&nap, NULL);
}

static struct slot *
slot_take(void)
{
	struct slot *s;

	if (count == 0)
		return NULL;
	give_way();
	if ((s = take_any()) == NULL && (s = take_patiently()) == NULL)
		return NULL;
	if (!s->touched)
		slot_touch(s);
	me.in = s;
	return s;
}

static void
slot_give(struct slot *s)
{
	me.in = NULL;
	atomic_store_explicit(&s->busy, 0, memory_order_release);
}

struct slot *
slot_enter(void)
{
	if (arena_forked())
		return NULL;
	if (me.in != NULL && me.life != arena_generation())
		me.in = NULL;                   /* the slot of another life */
	if (me.in == NULL) {
		if (slot_take() == NULL)
			return NULL;
		me.life = arena_generation();
		me.deep = 0;
	}
	me.deep++;
	return me.in;
}

/* Promises end with the outermost one: what was promised inside may still be
 * in use until then. */
static void
promises_end(struct slot *s)
{
	s->promised = 0;
	for (size_t i = 0; i < SLOT_RUNS; i++) {
		if (s->runs[i] != NULL)
			run_leave(s->runs[i]);
		s->runs[i] = NULL;
	}
}

void
slot_leave(void)
{
	struct slot *s = me.in;

	if (s == NULL || --me.deep > 0)
		return;
	if (s->promised != 0)
		promises_end(s);
	slot_give(s);
}

static bool
slot_inside(void)
{
	return me.in != NULL && me.life == arena_generation();
}

/* ---- promises ----------------------------------------------------------------- */

static size_t
with_slack(size_t len)
{
	return len + len / 4 + OVERHEAD;
}

/* What the spare can be counted on for. Inside another promise its blocks are
 * that one's, and no wear. */
static size_t
spare_worth(struct slot *s)
{
	if (s->promised != 0 || atomic_load_explicit(&s->spare.live, memory_order_relaxed) == 0)
		return s->spare.len;
	return region_room(&s->spare);
}

/* Make sure that `len` more can be had on top of what is promised already. */
static bool
promise(struct slot *s, size_t len)
{
	size_t need = with_slack(s->promised + len);
	size_t have = spare_worth(s);

	for (size_t i = 0; have < need && i < SLOT_RUNS; i++) {
		if (s->runs[i] == NULL)
			s->runs[i] = run_make(with_slack(len));
		if (s->runs[i] == NULL)
			break;
		have += s->runs[i]->len;
	}
	if (have < need) {
		if (s->promised == 0)
			promises_end(s);
		return false;
	}
	if (s->promised == 0)
		meter_start();
	s->promised += len > 0 ? len : 1;
	return true;
}

/* Room in the heap itself, the runs of the slots untouched. */
static bool
lasting_room(size_t keep)
{
	size_t left = (pages_count() - pages_used()) * PAGE_LEN;

	return keep == 0 || left >= keep + keep / 4 + FLOOR;
}

hsm_status
arena_hold(size_t len)
{
	return arena_hold_keep(len, 0);
}

hsm_status
arena_hold_keep(size_t len, size_t keep)
{
	struct slot *s;

	if (len > pages_count() * PAGE_LEN || fault_now() || !lasting_room(keep))
		return HSM_E_MEMORY;
	if ((s = slot_enter()) == NULL)
		return HSM_E_MEMORY;
	if (promise(s, len))
		return HSM_OK;
	slot_leave();
	return HSM_E_MEMORY;
}

void
arena_release(void)
{
	slot_leave();
}

void *
slot_alloc(size_t len)
{
	void *ptr = NULL;

	if (!slot_inside() || me.in->promised == 0)
		return NULL;
	ptr = region_alloc(&me.in->spare, len);
	for (size_t i = 0; i < SLOT_RUNS && ptr == NULL; i++)
		if (me.in->runs[i] != NULL)
			ptr = region_alloc(me.in->runs[i], len);
	return ptr;
}

size_t
slots_live(void)
{
	size_t live = 0;

	for (size_t i = 0; i < count; i++)
		live += atomic_load_explicit(&slots[i].spare.live, memory_order_relaxed);
	for (size_t i = 0; i < REGIONS; i++)
		live += atomic_load_explicit(&regions[i].live, memory_order_relaxed);
	return live;
}

/* ---- life --------------------------------------------------------------------- */

void
slots_open(void)
{
	memset(slots, 0, sizeof(slots));
	memset(regions, 0, sizeof(regions));
	for (size_t i = 0; i < stack_count(); i++) {
		slots[i].stack = stack_base(i);
#ifdef MARK_VALGRIND
		slots[i].registered = VALGRIND_STACK_REGISTER(slots[i].stack, slots[i].stack + STACK_LEN);
#endif
	}
	count = stack_count();
}

void
slots_close(void)
{
	for (size_t i = 0; i < count; i++) {
#ifdef MARK_VALGRIND
		VALGRIND_STACK_DEREGISTER(slots[i].registered);
#endif
		if (!slots[i].touched)
			continue;
		mark_open(slots[i].stack, STACK_LEN);
		bytes_wipe(slots[i].stack, STACK_LEN);
		mark_open(slots[i].spare.base, SPARE_LEN);
		bytes_wipe(slots[i].spare.base, SPARE_LEN);
	}
	count = 0;
}

void
slots_forget(void)
{
	count = 0;
	atomic_store(&pausing, 0);
	atomic_store(&starving, 0);
	me.in = NULL;
}

static bool
others_inside(void)
{
	for (size_t i = 0; i < count; i++)
		if (&slots[i] != me.in && atomic_load(&slots[i].busy) != 0)
			return true;
	return false;
}

void
slots_pause(void)
{
	static const struct timespec nap = { 0, 50000 };

	atomic_fetch_add(&pausing, 1);
	for (int n = 0; n < 5000 && others_inside(); n++)
		nanosleep(&nap, NULL);
}

void
slots_resume(void)
{
	atomic_fetch_sub(&pausing, 1);
}
