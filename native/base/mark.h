/* mark.h - telling ASan and valgrind what may be touched.
 *
 * Free bytes, headers and the slack behind a block are out of bounds for
 * everybody but the allocator. ASan's marks come with its build; valgrind's
 * cost a few instructions each and are made in test builds alone, but for the
 * stacks', without which no program that loads us could run under it. */
#ifndef STRONGROOM_MARK_H
#define STRONGROOM_MARK_H

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define MARK_ASAN(verb, at, len) __asan_##verb##_memory_region(at, len)
#define MARK_UNSEEN __attribute__((no_sanitize_address))
#else
#define MARK_ASAN(verb, at, len) ((void)0)
#define MARK_UNSEEN
#endif

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <valgrind/memcheck.h>
#pragma GCC diagnostic pop
#define MARK_VALGRIND 1
#endif
#endif

#if defined(MARK_VALGRIND) && defined(STRONGROOM_FAULTS)
#define MARK_MEMCHECK(verb, at, len) ((void)VALGRIND_MAKE_MEM_##verb(at, len))
#else
#define MARK_MEMCHECK(verb, at, len) ((void)0)
#endif

/* Nobody's bytes. */
#define mark_shut(at, len) do { MARK_MEMCHECK(NOACCESS, at, len); MARK_ASAN(poison, at, len); } while (0)
/* Somebody's, and they hold something (zeros count). */
#define mark_open(at, len) do { MARK_ASAN(unpoison, at, len); MARK_MEMCHECK(DEFINED, at, len); } while (0)

/* These came of secrets and may show: the caller is told so anyhow. Read by the
 * search for branches on secrets alone (test/ct). */
#define mark_public(at, len) MARK_MEMCHECK(DEFINED, at, len)

/* An outcome that the caller is told. */
static inline int
mark_shown(int outcome)
{
	mark_public(&outcome, sizeof outcome);
	return outcome;
}

#endif
