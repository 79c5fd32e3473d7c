/* slot.h - what a running operation needs: a stack, and room of its own.
 *
 * A slot is taken by arena_hold or arena_run and given back when both are
 * over. A thread tries the slot it had last, so that as long as there are
 * slots enough, taking one is a single atomic on a line of its own. */
#ifndef STRONGROOM_SLOT_H
#define STRONGROOM_SLOT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "region.h"
#include "status.h"

#define SLOT_RUNS 3             /* runs of pages a slot may have besides, for big or nested promises */

struct slot {
	_Alignas(64) atomic_uint busy;
	bool touched;                   /* its stack was paged in */
	bool running;                   /* the thread is on its stack */
	size_t promised;                /* bytes, of all holds open now */
	struct region spare;            /* there at any time, and nobody else's */
	struct region *runs[SLOT_RUNS]; /* for the promises open now */
	uint8_t *stack;
	unsigned registered;            /* with valgrind */
};

void slots_open(void);
void slots_close(void);         /* wipes */
void slots_forget(void);

/* In and out, counted: slot_enter NULL when none came free in ten seconds, or
 * in a child. */
struct slot *slot_enter(void);
void slot_leave(void);
size_t slots_live(void);        /* blocks in runs of slots, and orphaned ones */

/* Room for a block from what this thread was promised, when the heap has none. */
void *slot_alloc(size_t len);
/* A block of a run comes back, from any thread; of a spare (false: of none). */
void slot_free_run(struct region *r, void *ptr);
bool slot_free_spare(void *ptr);

/* Nobody enters until slots_resume; waits for those inside, but not for ever. */
void slots_pause(void);
void slots_resume(void);

#endif
