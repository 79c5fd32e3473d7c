/* region.c - first fit in one run.
 *
 * A cell is a tail-to-head chain: its own length, its neighbour's, then the
 * head that every block has. Sizes are in bytes and multiples of 16. */
#include "region.h"

#include <string.h>

#include "bytes.h"
#include "head.h"
#include "mark.h"

struct cell {
	uint32_t size, before;          /* of this cell, of the one below; before 0: the first */
	uint32_t used, pad;
	struct head head;
};

#define CELL_LEN sizeof(struct cell)
#define CELL_MIN (CELL_LEN + 16)

static MARK_UNSEEN void
cell_write(struct cell *c, size_t size, size_t before, bool used)
{
	MARK_MEMCHECK(DEFINED, c, CELL_LEN);
	c->size = (uint32_t)size;
	c->before = (uint32_t)before;
	c->used = used;
	MARK_MEMCHECK(NOACCESS, c, CELL_LEN);
}

/* A copy of the three words; the cell itself stays shut. */
static MARK_UNSEEN struct cell
cell_read(const struct cell *c)
{
	struct cell copy = { 0 };

	MARK_MEMCHECK(DEFINED, c, CELL_LEN);
	copy.size = c->size;
	copy.before = c->before;
	copy.used = c->used;
	MARK_MEMCHECK(NOACCESS, c, CELL_LEN);
	return copy;
}

static struct cell *
cell_first(const struct region *r)
{
	return (struct cell *)(void *)r->base;
}

static struct cell *
cell_after(const struct region *r, struct cell *c, size_t size)
{
	uint8_t *at = (uint8_t *)c + size;

	return at < r->base + r->len ? (struct cell *)(void *)at : NULL;
}

/* The cell above learns how long the one below it is. */
static void
cell_above(const struct region *r, struct cell *c, size_t size)
{
	struct cell *above = cell_after(r, c, size);
	struct cell was;

	if (above == NULL)
		return;
	was = cell_read(above);
	cell_write(above, was.size, size, was.used != 0);
}

void
region_init(struct region *r, uint8_t *base, size_t len)
{
	memset(r, 0, sizeof(*r));
	r->base = base;
	r->len = len & ~(size_t)15;
	mark_shut(base, len);
	cell_write(cell_first(r), r->len, 0, false);
}

static size_t
cell_need(size_t len)
{
	size_t need = (len + CELL_LEN + 15) & ~(size_t)15;

	return need < CELL_MIN ? CELL_MIN : need;
}

void *
region_alloc(struct region *r, size_t len)
{
	size_t need;
	struct cell *c, is;
	uint8_t *ptr = NULL;

	if (len > r->len)
		return NULL;
	need = cell_need(len);
	lock_take(&r->lock);
	for (c = cell_first(r); c != NULL; c = cell_after(r, c, is.size)) {
		is = cell_read(c);
		if (is.used == 0 && is.size >= need)
			break;
	}
	if (c == NULL)
		goto out;
	if (is.size - need >= CELL_MIN) {
		struct cell *rest = (struct cell *)(void *)((uint8_t *)c + need);

		cell_write(rest, is.size - need, need, false);
		cell_above(r, rest, is.size - need);
		is.size = (uint32_t)need;
	}
	cell_write(c, is.size, is.before, true);
	atomic_fetch_add_explicit(&r->live, 1, memory_order_relaxed);
	ptr = (uint8_t *)c + CELL_LEN;
	mark_open(ptr, len);
	head_make(ptr, len);
out:
	lock_give(&r->lock);
	return ptr;
}

/* Melt `c` with the free cell above it. The vanished cell's words are wiped:
 * free bytes are zeros. */
static void
cell_melt(struct region *r, struct cell *c)
{
	struct cell is = cell_read(c), other;
	struct cell *above = cell_after(r, c, is.size);

	if (above == NULL)
		return;
	other = cell_read(above);
	if (other.used != 0)
		return;
	mark_open(above, CELL_LEN);
	bytes_wipe(above, CELL_LEN);
	mark_shut(above, CELL_LEN);
	cell_write(c, is.size + other.size, is.before, false);
	cell_above(r, c, is.size + other.size);
}

bool
region_free(struct region *r, void *ptr)
{
	struct cell *c = (struct cell *)(void *)((uint8_t *)ptr - CELL_LEN);
	struct cell is;
	size_t room;
	bool last;

	lock_take(&r->lock);
	is = cell_read(c);
	room = is.size - CELL_LEN;
	head_check(ptr, room);
	mark_open(ptr, room);
	bytes_wipe(ptr, room);
	mark_shut(ptr, room);
	head_drop(ptr);
	cell_write(c, is.size, is.before, false);
	cell_melt(r, c);
	if (is.before != 0) {
		struct cell *below = (struct cell *)(void *)((uint8_t *)c - is.before);

		if (cell_read(below).used == 0)
			cell_melt(r, below);
	}
	last = atomic_fetch_sub_explicit(&r->live, 1, memory_order_relaxed) == 1 && r->orphan;
	lock_give(&r->lock);
	return last;
}

void
region_end(struct region *r)
{
	mark_open(r->base, CELL_LEN);
	bytes_wipe(r->base, CELL_LEN);
	mark_shut(r->base, CELL_LEN);
	memset(r, 0, sizeof(*r));
}

size_t
region_room(struct region *r)
{
	size_t best = 0;
	struct cell is;

	if (r->base == NULL)
		return 0;
	lock_take(&r->lock);
	for (struct cell *c = cell_first(r); c != NULL; c = cell_after(r, c, is.size)) {
		is = cell_read(c);
		if (is.used == 0 && is.size > best)
			best = is.size;
	}
	lock_give(&r->lock);
	return best < CELL_MIN ? 0 : best - CELL_LEN;
}

/* Above it there are but zeros, if the last cell is free. */
size_t
region_top(const struct region *r)
{
	struct cell *c, *last = cell_first(r);
	struct cell is;

	for (c = last; c != NULL; c = cell_after(r, c, is.size)) {
		is = cell_read(c);
		last = c;
	}
	return is.used != 0 ? r->len : (size_t)((uint8_t *)last - r->base) + CELL_LEN;
}

void
region_each(const struct region *r, uint8_t *image, void (*see)(void *copy, size_t len))
{
	struct cell is;

	for (struct cell *c = cell_first(r); c != NULL; c = cell_after(r, c, is.size)) {
		uint8_t *ptr = (uint8_t *)c + CELL_LEN;

		is = cell_read(c);
		if (is.used != 0)
			see(image + (ptr - r->base), head_check(ptr, is.size - CELL_LEN));
	}
}
