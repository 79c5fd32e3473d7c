/* head.c - making and checking heads. */
#include "head.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t cookie;

void
head_init(void)
{
	struct timespec now;

	while (cookie == 0) {
		if (getrandom(&cookie, sizeof(cookie), 0) == (ssize_t)sizeof(cookie))
			continue;
		/* A kernel without getrandom: against accidents the clock will do. */
		clock_gettime(CLOCK_MONOTONIC, &now);
		cookie = (uint64_t)now.tv_nsec << 32 | (uint64_t)now.tv_sec | 1;
	}
}

static uint64_t
guard_of(const void *ptr, size_t asked)
{
	uint64_t word = (cookie ^ (uint64_t)(uintptr_t)ptr ^ (uint64_t)asked << 48) * UINT64_C(0x9e3779b97f4a7c15);

	return word | 1;                /* never 0 */
}

/* The heap is damaged: going on could write a key anywhere. */
static _Noreturn void
damaged(void)
{
	static const char text[] = "strongroom: secret memory is damaged (overrun or double free)\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	abort();
}

MARK_UNSEEN void
head_make(void *ptr, size_t asked)
{
	struct head *h = (struct head *)ptr - 1;

	MARK_MEMCHECK(DEFINED, h, HEAD_LEN);
	h->guard = guard_of(ptr, asked);
	h->asked = (uint32_t)asked;
	MARK_MEMCHECK(NOACCESS, h, HEAD_LEN);
}

MARK_UNSEEN size_t
head_asked(const void *ptr)
{
	const struct head *h = (const struct head *)ptr - 1;
	size_t asked;
	uint64_t guard;

	MARK_MEMCHECK(DEFINED, h, HEAD_LEN);
	asked = h->asked;
	guard = h->guard;
	MARK_MEMCHECK(NOACCESS, h, HEAD_LEN);
	if (guard != guard_of(ptr, asked))
		damaged();
	return asked;
}

MARK_UNSEEN size_t
head_check(const void *ptr, size_t room)
{
	size_t asked = head_asked(ptr);
	const uint8_t *slack = (const uint8_t *)ptr + asked;

	if (asked > room)
		damaged();
	room -= asked;
	room = room < 8 ? room : 8;
	MARK_MEMCHECK(DEFINED, slack, room);
	for (size_t i = 0; i < room; i++)
		if (slack[i] != 0)
			damaged();
	MARK_MEMCHECK(NOACCESS, slack, room);
	return asked;
}

MARK_UNSEEN void
head_drop(void *ptr)
{
	struct head *h = (struct head *)ptr - 1;

	MARK_MEMCHECK(DEFINED, h, HEAD_LEN);
	h->guard = 0;
	h->asked = 0;
	MARK_MEMCHECK(NOACCESS, h, HEAD_LEN);
}
