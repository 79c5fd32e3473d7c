/* pages.h - the mapping behind the arena, and its pages.
 *
 *   | guard | heap pages | guard | stack | guard | spare | guard | stack | ...
 *
 * and, mapped once for the life of the process, the reserve:
 *
 *   | guard | reserve | guard |
 *
 * Heap pages are given out in runs. They are touched ahead of need, some at
 * start and then a step at a time: a first touch of memfd_secret costs 25 us
 * a page, and no operation should pay for it. */
#ifndef STRONGROOM_PAGES_H
#define STRONGROOM_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arena.h"

#define PAGE_LEN ((size_t)4096)
#define STACK_LEN ((size_t)192 << 10)
#define STACKS_MAX 64u
#define SPARE_LEN ((size_t)96 << 10)

enum page_kind { PAGE_FREE, PAGE_SLAB, PAGE_RUN, PAGE_REGION };

/* What is known of a heap page. Lies outside the arena: there is nothing
 * secret in it. Fields belong to whoever took the page. */
struct page {
	uint8_t kind, class, lane;
	uint16_t free;                  /* SLAB: first free block, 1-based; 0: none */
	uint16_t live, carved;          /* SLAB: blocks in use, blocks ever made */
	uint32_t next, prev;            /* SLAB: neighbours in the lane's list, 1-based */
	uint32_t count;                 /* RUN, on its first page: pages */
	size_t asked;                   /* RUN, on its first page: bytes */
	void *region;                   /* REGION: the one it lies in */
};

/* size 0: by RLIMIT_MEMLOCK. Fills kind, size, lock_limit, reason, and size
 * and kind of the reserve when that is not there yet. */
HSM_MUST_USE hsm_status pages_open(size_t size, struct arena_info *info);
void pages_close(void);                         /* wipes */
void pages_forget(void);                        /* in a child: the mapping is gone */

void *pages_take(size_t count);                 /* zeros; NULL: no such run */
void pages_give(void *at, size_t count);        /* wiped by the giver */
size_t pages_count(void);
size_t pages_used(void);
size_t pages_high(void);
bool pages_own(const void *ptr);
struct page *page_of(const void *ptr);
struct page *page_at(uint32_t number);          /* 1-based */
uint32_t page_number(const struct page *page);  /* 1-based */
uint8_t *page_start(const struct page *page);

size_t stack_count(void);
uint8_t *stack_base(size_t i);                  /* STACK_LEN bytes, zeros, not touched yet */
uint8_t *spare_base(size_t i);                  /* SPARE_LEN bytes, the same */
size_t spare_number(const void *ptr);           /* whose spare ptr lies in; SIZE_MAX: nobody's */

/* The reserve: stays where it is until the process ends. */
uint8_t *reserve_base(void);                    /* NULL: not there yet */
size_t reserve_len(void);
/* In a child: private pages at the reserve's address, holding `used` bytes of
 * image and zeros. */
bool reserve_restore(const uint8_t *image, size_t used);
/* In a child that opens anew: the best kind of memory under the reserve
 * again, what it holds kept. */
void reserve_renew(void);

#endif
