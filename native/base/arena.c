/* arena.c - the heap of secret memory.
 *
 * Blocks of up to 2 KiB come from slabs, pages cut into cells of one class;
 * longer ones are runs of pages. A slab belongs to a lane, and a thread to a
 * lane for allocating; freeing goes to the slab's lane whoever frees. With a
 * few more lanes than processors two threads rarely meet at a lock, and one
 * atomic instruction is what a lock costs when they do not.
 *
 * Free bytes are zeros: a block is wiped as it is freed, and so comes zeroed.
 * That holds for a free cell as well, since the list of free cells runs
 * through the heads. */
#include "arena.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "fault.h"
#include "fork.h"
#include "head.h"
#include "lock.h"
#include "mark.h"
#include "pages.h"
#include "region.h"
#include "slot.h"

/* Cells are what a page holds n of: little is lost at its end. */
static const uint16_t cell_len[] = {
	32, 48, 64, 80, 96, 112, 128, 144, 160, 192, 224, 256, 288, 336, 400,
	448, 512, 576, 672, 816, 1024, 1360, 2048,
};

#define CLASSES (sizeof(cell_len) / sizeof(cell_len[0]))
#define CELL_MAX ((size_t)2048)
#define LANES 16

struct lane {
	_Alignas(64) struct lock lock;
	uint32_t open[CLASSES];         /* slabs with a free cell, 1-based page numbers */
	size_t live;                    /* blocks in its slabs */
};

static pthread_mutex_t life = PTHREAD_MUTEX_INITIALIZER;
static struct arena_info about;
static bool is_open;
static struct lane lanes[LANES];
static unsigned lane_count;
static uint8_t class_of[CELL_MAX / 16 + 1];
static atomic_size_t runs_live;
static struct region reserve;

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	unsigned lane;                  /* 1-based; 0: none yet */
	bool reserved;                  /* allocating from the reserve */
	bool refused;                   /* see arena_refused */
} me;

/* ---- slabs -------------------------------------------------------------------- */

static void
slab_open(struct lane *lane, struct page *p)
{
	uint32_t number = page_number(p);

	p->prev = 0;
	p->next = lane->open[p->class];
	if (p->next != 0)
		page_at(p->next)->prev = number;
	lane->open[p->class] = number;
}

static void
slab_shut(struct lane *lane, struct page *p)
{
	if (p->next != 0)
		page_at(p->next)->prev = p->prev;
	if (p->prev != 0)
		page_at(p->prev)->next = p->next;
	else
		lane->open[p->class] = p->next;
	p->next = p->prev = 0;
}

static uint16_t
slab_room(const struct page *p)
{
	return (uint16_t)(PAGE_LEN / cell_len[p->class]);
}

static struct head *
cell_head(const struct page *p, uint16_t number)
{
	return (struct head *)(void *)(page_start(p) + (size_t)(number - 1) * cell_len[p->class]);
}

static MARK_UNSEEN uint32_t
head_next(struct head *h, uint32_t fresh)
{
	uint32_t was;

	MARK_MEMCHECK(DEFINED, h, HEAD_LEN);
	was = h->next;
	h->next = fresh;
	MARK_MEMCHECK(NOACCESS, h, HEAD_LEN);
	return was;
}

/* A cell of an open slab. The lane is locked. */
static void *
slab_cell(struct lane *lane, struct page *p)
{
	struct head *h;

	if (p->free != 0) {
		h = cell_head(p, p->free);
		p->free = (uint16_t)head_next(h, 0);
	} else {
		h = cell_head(p, ++p->carved);
	}
	if (++p->live == slab_room(p))
		slab_shut(lane, p);
	lane->live++;
	return h + 1;
}

static void *
lane_alloc(unsigned number, unsigned class)
{
	struct lane *lane = &lanes[number];
	struct page *p;
	void *at, *ptr = NULL;

	lock_take(&lane->lock);
	if (lane->open[class] != 0) {
		ptr = slab_cell(lane, page_at(lane->open[class]));
		lock_give(&lane->lock);
		return ptr;
	}
	lock_give(&lane->lock);
	if ((at = pages_take(1)) == NULL)
		return NULL;
	p = page_of(at);
	*p = (struct page){ .kind = PAGE_SLAB, .class = (uint8_t)class, .lane = (uint8_t)number };
	lock_take(&lane->lock);
	slab_open(lane, p);
	ptr = slab_cell(lane, p);
	lock_give(&lane->lock);
	return ptr;
}

/* Heads of free cells are no zeros to the next owner of the page. */
static void
slab_clean(struct page *p)
{
	for (uint16_t i = 1; i <= p->carved; i++) {
		struct head *h = cell_head(p, i);

		mark_open(h, HEAD_LEN);
		bytes_wipe(h, HEAD_LEN);
		mark_shut(h, HEAD_LEN);
	}
}

/* One empty slab a class may stay, else a block taken and freed in turn would
 * cost a page each time. */
static void
lane_free(struct page *p, void *ptr)
{
	struct lane *lane = &lanes[p->lane];
	struct head *h = (struct head *)ptr - 1;
	bool gone = false;
	uint16_t number = (uint16_t)((size_t)((uint8_t *)h - page_start(p)) / cell_len[p->class] + 1);

	lock_take(&lane->lock);
	head_next(h, p->free);
	p->free = number;
	lane->live--;
	if (p->live-- == slab_room(p))
		slab_open(lane, p);
	if (p->live == 0 && (p->next != 0 || p->prev != 0)) {
		slab_shut(lane, p);
		gone = true;
	}
	lock_give(&lane->lock);
	if (gone) {
		slab_clean(p);
		pages_give(page_start(p), 1);
	}
}

/* The heap is full: empty slabs that lanes kept go back. */
static void
lanes_shake(void)
{
	for (unsigned n = 0; n < lane_count; n++) {
		for (unsigned class = 0; class < CLASSES; class++) {
			struct lane *lane = &lanes[n];
			struct page *p = NULL;

			lock_take(&lane->lock);
			if (lane->open[class] != 0 && page_at(lane->open[class])->live == 0) {
				p = page_at(lane->open[class]);
				slab_shut(lane, p);
			}
			lock_give(&lane->lock);
			if (p != NULL) {
				slab_clean(p);
				pages_give(page_start(p), 1);
			}
		}
	}
}

/* ---- blocks ------------------------------------------------------------------- */

static unsigned
my_lane(void)
{
	static atomic_uint turn;

	if (me.lane == 0 || me.lane > lane_count)
		me.lane = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) % lane_count + 1;
	return me.lane - 1;
}

static void *
small_alloc(size_t len)
{
	unsigned class = class_of[(len + HEAD_LEN + 15) / 16];
	void *ptr = lane_alloc(my_lane(), class);

	if (ptr != NULL) {
		mark_open(ptr, len);
		head_make(ptr, len);
	}
	return ptr;
}

static void *
run_alloc(size_t len)
{
	size_t count = (len + PAGE_LEN - 1) / PAGE_LEN;
	void *ptr = pages_take(count);
	struct page *p;

	if (ptr == NULL)
		return NULL;
	p = page_of(ptr);
	for (size_t i = 0; i < count; i++)
		p[i].kind = PAGE_RUN;
	p->count = (uint32_t)count;
	p->asked = len;
	mark_open(ptr, len);
	atomic_fetch_add_explicit(&runs_live, 1, memory_order_relaxed);
	return ptr;
}

static void
run_free(struct page *p, void *ptr)
{
	size_t len = p->count * PAGE_LEN;

	mark_open(ptr, len);
	bytes_wipe(ptr, len);
	atomic_fetch_sub_explicit(&runs_live, 1, memory_order_relaxed);
	pages_give(ptr, p->count);
}

static void
small_free(struct page *p, void *ptr)
{
	size_t room = cell_len[p->class] - HEAD_LEN;

	head_check(ptr, room);
	mark_open(ptr, room);
	bytes_wipe(ptr, room);
	mark_shut(ptr, room);
	head_drop(ptr);
	lane_free(p, ptr);
}

static void *
heap_alloc(size_t len)
{
	return len + HEAD_LEN <= CELL_MAX ? small_alloc(len) : run_alloc(len);
}

static void *
any_alloc(size_t len)
{
	void *ptr;

	if ((ptr = heap_alloc(len)) != NULL)
		return ptr;
	lanes_shake();
	if ((ptr = heap_alloc(len)) != NULL)
		return ptr;
	return slot_alloc(len);
}

void *
arena_alloc(size_t len)
{
	void *ptr;

	if (me.reserved)
		return region_alloc(&reserve, len);
	if (!is_open || arena_forked() || len > pages_count() * PAGE_LEN || fault_now() ||
	    (ptr = any_alloc(len)) == NULL) {
		me.refused = true;
		return NULL;
	}
	meter_add(len);
	return ptr;
}

bool
arena_refused(void)
{
	bool refused = me.refused;

	me.refused = false;
	return refused;
}

static bool
in_reserve(const void *ptr)
{
	return reserve.base != NULL && (uintptr_t)ptr - (uintptr_t)reserve.base < reserve.len;
}

/* What a child frees of its parent's is gone already; so is what an arena that
 * was closed since held. */
void
arena_free(void *ptr)
{
	struct page *p;

	if (ptr == NULL)
		return;
	if (in_reserve(ptr)) {
		region_free(&reserve, ptr);
		return;
	}
	if (!is_open || arena_forked())
		return;
	meter_take(arena_size(ptr));
	if ((p = page_of(ptr)) == NULL) {
		(void)slot_free_spare(ptr);
		return;
	}
	switch ((enum page_kind)p->kind) {
	case PAGE_SLAB:
		small_free(p, ptr);
		return;
	case PAGE_RUN:
		run_free(p, ptr);
		return;
	case PAGE_REGION:
		slot_free_run(p->region, ptr);
		return;
	case PAGE_FREE:
		break;
	}
	(void)head_asked(ptr);          /* a second free: ends the process */
}

void
arena_free_late(void *ptr, unsigned generation)
{
	pthread_mutex_lock(&life);
	if (generation == arena_generation())
		arena_free(ptr);
	pthread_mutex_unlock(&life);
}

size_t
arena_size(const void *ptr)
{
	const struct page *p = page_of(ptr);

	if (p != NULL && p->kind == PAGE_RUN)
		return p->asked;
	return p == NULL && !in_reserve(ptr) && spare_number(ptr) == SIZE_MAX ? 0 : head_asked(ptr);
}

bool
arena_owns(const void *ptr)
{
	return is_open && (pages_own(ptr) || in_reserve(ptr));
}

size_t
arena_live(void)
{
	size_t live = atomic_load(&runs_live);

	for (unsigned n = 0; n < lane_count; n++) {
		lock_take(&lanes[n].lock);
		live += lanes[n].live;
		lock_give(&lanes[n].lock);
	}
	return live + slots_live();
}

/* ---- the reserve -------------------------------------------------------------- */

hsm_status
arena_reserve_enter(size_t len)
{
	if (reserve.base == NULL || region_room(&reserve) < len)
		return HSM_E_MEMORY;
	me.reserved = true;
	return HSM_OK;
}

void
arena_reserve_leave(void)
{
	me.reserved = false;
	fork_image();
}

size_t
reserve_image(uint8_t *image, void (*see)(void *copy, size_t len))
{
	size_t used = region_top(&reserve);

	mark_open(reserve.base, used);
	memcpy(image, reserve.base, used);
	region_each(&reserve, image, see);
	return used;
}

/* ---- life --------------------------------------------------------------------- */

static void
classes_fill(void)
{
	unsigned class = 0;

	for (size_t i = 0; i <= CELL_MAX / 16; i++) {
		if (i * 16 > cell_len[class])
			class++;
		class_of[i] = (uint8_t)class;
	}
}

static unsigned
choose_lanes(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t by_room = pages_count() / 192;
	size_t n = cpus < 1 ? 2 : 2 * (size_t)cpus;

	n = n > by_room ? by_room : n;
	return n < 1 ? 1 : n > LANES ? LANES : (unsigned)n;
}

hsm_status
arena_open(size_t size)
{
	hsm_status st = HSM_OK;

	pthread_mutex_lock(&life);
	if (arena_forked()) {
		pages_forget();
		is_open = false;
	}
	if (is_open)
		goto out;
	head_init();
	classes_fill();
	if ((st = pages_open(size, &about)) != HSM_OK)
		goto out;
	memset(lanes, 0, sizeof(lanes));
	atomic_store(&runs_live, 0);
	lane_count = choose_lanes();
	if (reserve.base == NULL)
		region_init(&reserve, reserve_base(), reserve_len());
	atomic_store(&reserve.lock.held, 0);
	reserve_renew();
	slots_open();
	if ((st = fork_watch()) != HSM_OK) {
		slots_close();
		pages_close();
		about.kind = ARENA_NONE;
		goto out;
	}
	fork_renewed();
	is_open = true;
out:
	pthread_mutex_unlock(&life);
	return st;
}

void
arena_close(void)
{
	pthread_mutex_lock(&life);
	if (is_open && !arena_forked()) {
		slots_close();
		pages_close();
		about.kind = ARENA_NONE;
		is_open = false;
	}
	pthread_mutex_unlock(&life);
}

void
arena_describe(struct arena_info *info)
{
	pthread_mutex_lock(&life);
	*info = about;
	if (is_open && !arena_forked()) {
		info->used = pages_used() * PAGE_LEN;
		info->high = pages_high() * PAGE_LEN;
		info->reserve = reserve.len + stack_count() * SPARE_LEN;
	}
	pthread_mutex_unlock(&life);
}
