/* arena.h - secret memory: where every key byte of the process lies.
 *
 * One mapping, reserved and pre-faulted at start: memfd_secret(2), else locked
 * pages with MADV_DONTDUMP, else (no locking allowed) wiped MADV_DONTDUMP
 * pages; which of the three, and why not a better one, is reported, never
 * silent. Guard pages on both sides, wiped on free, poisoned while free for
 * ASan and valgrind. AWS-LC's heap is here (crypto/heap.c).
 *
 * Room is promised before it is needed: AWS-LC aborts when its random
 * generator cannot allocate, so an operation holds its worst case first
 * (arena_hold) and AWS-LC is entered only with the promise in hand. What the
 * generator keeps for a thread comes from a reserve that nothing else may use.
 *
 * Fork: a child never sees a key. The generator's state lives in a private
 * region that a child gets a copy of, so that AWS-LC can walk it at exit. */
#ifndef STRONGROOM_ARENA_H
#define STRONGROOM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

enum arena_kind { ARENA_NONE, ARENA_SECRET, ARENA_LOCKED, ARENA_PLAIN };

struct arena_info {
	enum arena_kind kind;
	size_t size, used, high, reserve;       /* bytes */
	size_t lock_limit;                      /* RLIMIT_MEMLOCK, bytes; SIZE_MAX: none */
	char reason[128];                       /* why not a better kind, or "" */
};

/* size 0: choose by RLIMIT_MEMLOCK (at most 64 MiB, at least what the
 * self-tests need). Idempotent. HSM_E_MEMORY with the reason in arena_info. */
HSM_MUST_USE hsm_status arena_open(size_t size);
void arena_close(void);                        /* wipes everything */
void arena_describe(struct arena_info *info);

void *arena_alloc(size_t len);                 /* zeroed, 16-aligned; NULL: full */
/* Was this thread refused since it last asked? A library that swallows its
 * allocation failures calls them bad signatures. */
bool arena_refused(void);
void arena_free(void *ptr);                    /* wipes; NULL is fine */
/* For a thread that ends, at whatever moment: waits for an arena that is being
 * opened or closed, and frees nothing of another generation's. */
void arena_free_late(void *ptr, unsigned generation);
size_t arena_size(const void *ptr);            /* what was asked for, in bytes */
bool arena_owns(const void *ptr);
size_t arena_live(void);                       /* allocations alive, for tests */

/* Promise `len` bytes (any number of blocks, each counted 48 bytes longer than
 * it is) to this thread until released.
 * HSM_E_MEMORY: not there; the caller evicts and tries again, or refuses. */
HSM_MUST_USE hsm_status arena_hold(size_t len);
/* The same when `keep` of the bytes stay after the release (a key is loaded):
 * refused while the heap proper has no room for them, so that keys which are
 * there already can be used in however full an arena. */
HSM_MUST_USE hsm_status arena_hold_keep(size_t len, size_t keep);
void arena_release(void);

/* Run fn(arg) on a stack inside the arena, `depth` bytes of which are wiped
 * afterwards, vector registers cleared. Nested calls run straight on.
 * With more threads than stacks the others wait; HSM_E_MEMORY when none came
 * free in ten seconds, or the arena is not open. fn takes no lock that
 * somebody holds who may be waiting for a stack, and does not fork. */
HSM_MUST_USE hsm_status arena_run(void (*fn)(void *arg), void *arg, size_t depth);

/* What the random generator keeps for a thread: between enter and leave this
 * thread allocates from the reserve, and nobody else does. HSM_E_MEMORY: not
 * `len` bytes left there in one piece. */
HSM_MUST_USE hsm_status arena_reserve_enter(size_t len);
void arena_reserve_leave(void);        /* also after blocks of it were freed */

/* Fork. A child has none of the arena: arena_alloc answers NULL, arena_free of
 * what it inherited does nothing, arena_hold and arena_run refuse, until it
 * calls arena_open, which gives it an arena of its own. What it inherited as
 * numbers and pointers (handles, objects, sessions) it must forget first:
 * whoever keeps such compares arena_generation with the one he made it in.
 * exit, _exit and exec need nothing. */
bool arena_forked(void);
/* Changes in every child, and with every arena_open; never 0. */
unsigned arena_generation(void);

/* Around each fork, for who keeps secrets or locks where a child inherits
 * them: before (in the parent; what is taken here is given back in after),
 * after (in parent and child), scrub (on a copy of each block in the reserve,
 * which a child gets instead of it). */
struct arena_fork { void (*before)(void); void (*after)(bool child); void (*scrub)(void *copy, size_t len); };
void arena_on_fork(const struct arena_fork *f);       /* one, kept by address */

/* Build switch STRONGROOM_FAULTS only: the n-th allocation from now fails
 * (0: the next). fault_fired says whether it did. fault_off stops it. */
void fault_after(unsigned n);
bool fault_fired(void);
void fault_off(void);
/* The same builds, to hold rows against (mech.h: depth, heap): bytes of stack
 * that this thread's last arena_run used; bytes it had allocated at most at a
 * time since its outermost arena_hold, what a block costs besides included. */
size_t arena_run_depth(void);
/* And whether the search for what lies on a stack can find it: this thread's
 * arena_run wipes no stack while on. */
void arena_run_leave(bool on);
size_t arena_hold_peak(void);

#endif
