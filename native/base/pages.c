/* pages.c - mapping secret memory, and giving out its pages. */
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bytes.h"
#include "lock.h"
#include "mark.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define MAX_LEN ((size_t)64 << 20)
#define MIN_LEN ((size_t)1 << 20)
#define PLAIN_LEN ((size_t)8 << 20)             /* where no lock limit rules */
#define FIRST_TOUCH ((size_t)1 << 20)
#define TOUCH_STEP ((size_t)256 << 10)
#define CAP_IPC_LOCK_BIT 14
#define SLOT_LEN (STACK_LEN + SPARE_LEN)
#define RESERVE_MIN ((size_t)32 << 10)          /* 60 threads */
#define RESERVE_MAX ((size_t)1 << 20)           /* 2,000 */

#define WORD_BITS 64u
#define WORDS (MAX_LEN / PAGE_LEN / WORD_BITS)

static struct {
	enum arena_kind kind;
	uint8_t *base;                  /* of the reservation */
	size_t len;
	uint8_t *heap;
	size_t pages, stacks, gap;      /* gap: bytes of one guard */
	struct page *table;
	struct lock lock;               /* over what follows */
	size_t ready;                   /* pages touched so far */
	atomic_size_t used, high;       /* pages given out, at most: others look without the lock */
	uint64_t free[WORDS];           /* a bit a touched page */
} map;

static struct {
	enum arena_kind kind;
	uint8_t *base;
	size_t len;
} reserve;

/* ---- where slots lie -------------------------------------------------------- */

static size_t
slot_stride(void)
{
	return STACK_LEN + map.gap + SPARE_LEN + map.gap;
}

uint8_t *
stack_base(size_t i)
{
	return map.heap + map.pages * PAGE_LEN + map.gap + i * slot_stride();
}

uint8_t *
spare_base(size_t i)
{
	return stack_base(i) + STACK_LEN + map.gap;
}

size_t
spare_number(const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)stack_base(0);

	if (map.base == NULL || offset >= map.stacks * slot_stride() || offset % slot_stride() < STACK_LEN + map.gap)
		return SIZE_MAX;
	return offset / slot_stride();
}

/* ---- how much, and of what ------------------------------------------------- */

/* One "Name:\tvalue" line of /proc/self/status, in base `radix`; 0 where there
 * is none. Plain system calls: this may run before the host is set up. */
static unsigned long long
proc_number(const char *name, int radix)
{
	char text[4096];
	const char *at;
	ssize_t got;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	at = strstr(text, name);
	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, radix);
}

static size_t
lock_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r) != 0)
		return 0;
	return r.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)r.rlim_cur;
}

/* Three quarters of what may still be locked: the host may want some, and a
 * second copy of this module in the process (both doors) gets its share. */
static size_t
choose_len(size_t limit)
{
	size_t locked = (size_t)proc_number("VmLck:", 10) << 10;
	size_t left;

	if (limit == SIZE_MAX || (proc_number("CapEff:", 16) >> CAP_IPC_LOCK_BIT & 1) != 0)
		return MAX_LEN;
	left = limit > locked ? limit - locked : 0;
	left -= left / 4;
	return left > MAX_LEN ? MAX_LEN : left;
}

/* ---- backing ---------------------------------------------------------------- */

/* Locked as they are touched, where the kernel can (4.4); else all at once. */
static bool
lock_pages(uint8_t *at, size_t len)
{
#ifdef MARK_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return mlock(at, len) == 0;
#endif
	return mlock2(at, len, MLOCK_ONFAULT) == 0 || (errno == ENOSYS && mlock(at, len) == 0);
}

/* Memory of `kind` at `at`, an address of ours. offset is into fd, ARENA_SECRET
 * alone. A child inherits none of it. */
static bool
back(uint8_t *at, size_t len, enum arena_kind kind, int fd, size_t offset)
{
	void *got;

	if (kind == ARENA_SECRET)
		got = mmap(at, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)offset);
	else
		got = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (got == MAP_FAILED)
		return false;
	if (madvise(at, len, MADV_DONTDUMP) != 0 || madvise(at, len, MADV_DONTFORK) != 0)
		return false;
	return kind != ARENA_LOCKED || lock_pages(at, len);
}

static int
secret_file(size_t len)
{
	int fd;

#ifdef MARK_VALGRIND
	if (RUNNING_ON_VALGRIND) {
		errno = ENOSYS;
		return -1;
	}
#endif
	fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, (off_t)len) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static uint8_t *
reserve_addresses(size_t len)
{
	void *at = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* The reserve, once for the life of the process. */
static bool
reserve_map(size_t len, enum arena_kind kind, size_t gap)
{
	uint8_t *at;
	int fd = -1;
	bool done;

	if (reserve.base != NULL)
		return true;
	len = (len + gap - 1) / gap * gap;
	at = reserve_addresses(len + 2 * gap);
	if (at == NULL)
		return false;
	if (kind == ARENA_SECRET && (fd = secret_file(len)) < 0) {
		munmap(at, len + 2 * gap);
		return false;
	}
	done = back(at + gap, len, kind, fd, 0);
	if (fd >= 0)
		close(fd);
	if (!done) {
		int error = errno;

		munmap(at, len + 2 * gap);
		errno = error;
		return false;
	}
	for (size_t i = 0; i < RESERVE_MIN; i += PAGE_LEN)
		*(volatile uint8_t *)(at + gap + i) = 0;
	reserve.kind = kind;
	reserve.base = at + gap;
	reserve.len = len;
	return true;
}

static bool
map_pieces(int fd)
{
	uint8_t *at = map.heap;

	if (!back(at, map.pages * PAGE_LEN, map.kind, fd, 0))
		return false;
	for (size_t i = 0; i < map.stacks; i++) {
		size_t offset = map.pages * PAGE_LEN + i * SLOT_LEN;

		if (!back(stack_base(i), STACK_LEN, map.kind, fd, offset) ||
		    !back(spare_base(i), SPARE_LEN, map.kind, fd, offset + STACK_LEN))
			return false;
	}
	return true;
}

/* A third of the arena at most, and not many more than can run at a time:
 * a thread that was preempted on one keeps it. */
static size_t
choose_stacks(size_t len)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t useful = cpus < 2 ? 16 : 8 * (size_t)cpus;
	size_t n = len / (3 * SLOT_LEN);

	n = n > useful ? useful : n;
	return n < 1 ? 1 : n > STACKS_MAX ? STACKS_MAX : n;
}

/* All of it in one kind, or nothing. On failure errno tells. */
static bool
map_kind(size_t len, enum arena_kind kind)
{
	size_t gap = (size_t)sysconf(_SC_PAGESIZE);
	size_t aside = len / 24;
	size_t stacks = choose_stacks(len);
	int fd = -1, error;

	aside = aside < RESERVE_MIN ? RESERVE_MIN : aside > RESERVE_MAX ? RESERVE_MAX : aside;
	if (!reserve_map(aside, kind, gap))
		return false;
	map.kind = kind;
	map.gap = gap;
	map.stacks = stacks;
	map.pages = (len - aside - stacks * SLOT_LEN) / gap * gap / PAGE_LEN;
	map.len = gap + map.pages * PAGE_LEN + gap + stacks * slot_stride();
	map.base = reserve_addresses(map.len);
	if (map.base == NULL)
		return false;
	map.heap = map.base + gap;
	if (kind == ARENA_SECRET && (fd = secret_file(map.pages * PAGE_LEN + stacks * SLOT_LEN)) < 0)
		goto fail;
	if (map_pieces(fd)) {
		if (fd >= 0)
			close(fd);
		return true;
	}
fail:
	error = errno;
	if (fd >= 0)
		close(fd);
	munmap(map.base, map.len);
	map.base = NULL;
	errno = error;
	return false;
}

/* Takes less where less is to be had, down to MIN_LEN, if the size is ours to
 * choose. The reserve comes first and in the same kind. */
static bool
map_shrinking(size_t len, enum arena_kind kind, bool exact)
{
	for (;; len /= 2) {
		if (len < MIN_LEN) {
			errno = ENOMEM;
			return false;
		}
		if (map_kind(len, kind))
			return true;
		if (exact || (errno != EAGAIN && errno != ENOMEM && errno != EPERM))
			return false;
	}
}

static void
reason_add(struct arena_info *info, const char *what, size_t want)
{
	size_t at = strlen(info->reason);
	const char *sep = at == 0 ? "" : "; ";

	if ((errno == EAGAIN || errno == ENOMEM || errno == EPERM) && info->lock_limit != SIZE_MAX)
		snprintf(info->reason + at, sizeof(info->reason) - at, "%s%s: RLIMIT_MEMLOCK is %zu KiB, %zu KiB wanted",
			sep, what, info->lock_limit >> 10, want >> 10);
	else
		snprintf(info->reason + at, sizeof(info->reason) - at, "%s%s: %s", sep, what,
			errno == ENOSYS ? "this kernel has none" : strerror(errno));
}

static bool
map_best(size_t size, struct arena_info *info)
{
	size_t len = size != 0 ? size : choose_len(info->lock_limit);
	size_t want = len < MIN_LEN ? MIN_LEN : len;

	if (map_shrinking(len, ARENA_SECRET, size != 0))
		return true;
	reason_add(info, "memfd_secret", want);
	if (map_shrinking(len, ARENA_LOCKED, size != 0))
		return true;
	reason_add(info, "mlock", want);
	return map_kind(size != 0 ? size : PLAIN_LEN, ARENA_PLAIN);
}

/* ---- pages ------------------------------------------------------------------ */

static void
bits_set(size_t first, size_t count, bool is_free)
{
	for (size_t i = first; i < first + count; i++) {
		uint64_t bit = (uint64_t)1 << (i % WORD_BITS);

		if (is_free)
			map.free[i / WORD_BITS] |= bit;
		else
			map.free[i / WORD_BITS] &= ~bit;
	}
}

static bool
bit_free(size_t i)
{
	return (map.free[i / WORD_BITS] >> (i % WORD_BITS) & 1) != 0;
}

/* Touch `step` more bytes. One byte a page is enough: pages come as zeros. */
static bool
touch_more(size_t step)
{
	size_t to = map.ready + step / PAGE_LEN;
	size_t from = map.ready;

	to = to > map.pages ? map.pages : to;
	if (to == from)
		return false;
	for (size_t i = from; i < to; i++) {
		volatile uint8_t *at = map.heap + i * PAGE_LEN;

		mark_open(map.heap + i * PAGE_LEN, 1);
		*at = 0;
	}
	mark_shut(map.heap + from * PAGE_LEN, (to - from) * PAGE_LEN);
	bits_set(from, to - from, true);
	map.ready = to;
	return true;
}

/* Single pages from below, runs from above: so long runs stay to be found. */
static size_t
find_one(void)
{
	for (size_t w = 0; w * WORD_BITS < map.ready; w++)
		if (map.free[w] != 0)
			return w * WORD_BITS + (size_t)__builtin_ctzll(map.free[w]);
	return SIZE_MAX;
}

static size_t
find_run(size_t count)
{
	size_t seen = 0;

	for (size_t i = map.ready; i-- > 0;) {
		if (map.free[i / WORD_BITS] == 0) {
			i -= i % WORD_BITS;
			seen = 0;
			continue;
		}
		seen = bit_free(i) ? seen + 1 : 0;
		if (seen == count)
			return i;
	}
	return SIZE_MAX;
}

void *
pages_take(size_t count)
{
	size_t first;
	void *at = NULL;

	if (count == 0)
		return NULL;
	lock_take(&map.lock);
	while (map.base != NULL) {
		first = count == 1 ? find_one() : find_run(count);
		if (first != SIZE_MAX) {
			bits_set(first, count, false);
			map.used += count;
			map.high = map.used > map.high ? map.used : map.high;
			at = map.heap + first * PAGE_LEN;
			break;
		}
		if (!touch_more(count * PAGE_LEN > TOUCH_STEP ? count * PAGE_LEN : TOUCH_STEP))
			break;
	}
	lock_give(&map.lock);
	return at;
}

void
pages_give(void *at, size_t count)
{
	size_t first = (size_t)((uint8_t *)at - map.heap) / PAGE_LEN;

	mark_shut(at, count * PAGE_LEN);
	for (size_t i = first; i < first + count; i++)
		map.table[i] = (struct page){ .kind = PAGE_FREE };
	lock_take(&map.lock);
	bits_set(first, count, true);
	map.used -= count;
	lock_give(&map.lock);
}

size_t
pages_count(void)
{
	return map.pages;
}

size_t
pages_used(void)
{
	return map.used;
}

size_t
pages_high(void)
{
	return map.high;
}

bool
pages_own(const void *ptr)
{
	uintptr_t at = (uintptr_t)ptr, from = (uintptr_t)map.base;

	return map.base != NULL && at >= from && at < from + map.len;
}

struct page *
page_of(const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)map.heap;

	return map.base != NULL && offset < map.pages * PAGE_LEN ? &map.table[offset / PAGE_LEN] : NULL;
}

struct page *
page_at(uint32_t number)
{
	return &map.table[number - 1];
}

uint32_t
page_number(const struct page *page)
{
	return (uint32_t)(page - map.table) + 1;
}

uint8_t *
page_start(const struct page *page)
{
	return map.heap + (size_t)(page - map.table) * PAGE_LEN;
}

size_t
stack_count(void)
{
	return map.stacks;
}

uint8_t *
reserve_base(void)
{
	return reserve.base;
}

size_t
reserve_len(void)
{
	return reserve.len;
}

/* ---- life ------------------------------------------------------------------- */

hsm_status
pages_open(size_t size, struct arena_info *info)
{
	size_t table_len;
	void *table;

	*info = (struct arena_info){ .kind = ARENA_NONE, .lock_limit = lock_limit() };
	if (size > MAX_LEN || (size != 0 && size < MIN_LEN)) {
		snprintf(info->reason, sizeof(info->reason), "between %zu KiB and %zu KiB", MIN_LEN >> 10, MAX_LEN >> 10);
		return HSM_E_MEMORY;
	}
	if (!map_best(size, info)) {
		reason_add(info, "mmap", size != 0 ? size : PLAIN_LEN);
		return HSM_E_MEMORY;
	}
	table_len = map.pages * sizeof(struct page);
	table = mmap(NULL, table_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (table == MAP_FAILED) {
		reason_add(info, "mmap", table_len);
		munmap(map.base, map.len);
		map.base = NULL;
		return HSM_E_MEMORY;
	}
	map.table = table;
	atomic_store(&map.lock.held, 0);
	map.ready = 0;
	map.used = map.high = 0;
	memset(map.free, 0, sizeof(map.free));
	touch_more(FIRST_TOUCH);
	info->kind = map.kind;
	info->size = map.pages * PAGE_LEN + map.stacks * SLOT_LEN + reserve.len;
	info->reserve = reserve.len;
	return HSM_OK;
}

void
pages_close(void)
{
	if (map.base == NULL)
		return;
	mark_open(map.heap, map.ready * PAGE_LEN);
	bytes_wipe(map.heap, map.ready * PAGE_LEN);
	munmap(map.base, map.len);
	munmap(map.table, map.pages * sizeof(struct page));
	map.base = NULL;
	map.table = NULL;
}

/* ---- a child's side --------------------------------------------------------- */

/* Take addresses that the fork left empty. Nothing of the child's own may lie
 * there; valgrind alone still believes in our old mapping. */
static bool
settle(uint8_t *at, size_t len, int prot)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *got = mmap(at, len, prot, flags | MAP_FIXED_NOREPLACE, -1, 0);

	if (got == at)
		return true;
	if (got != MAP_FAILED)
		munmap(got, len);
#ifdef MARK_VALGRIND
	if (RUNNING_ON_VALGRIND)
		return mmap(at, len, prot, flags | MAP_FIXED, -1, 0) == at;
#endif
	return false;
}

/* A stale pointer must meet nothing readable, and nothing of a later mapping. */
void
pages_forget(void)
{
	if (map.base == NULL)
		return;
	settle(map.heap, map.pages * PAGE_LEN, PROT_NONE);
	for (size_t i = 0; i < map.stacks; i++) {
		settle(stack_base(i), STACK_LEN, PROT_NONE);
		settle(spare_base(i), SPARE_LEN, PROT_NONE);
	}
	munmap(map.table, map.pages * sizeof(struct page));
	map.base = NULL;
	map.table = NULL;
}

bool
reserve_restore(const uint8_t *image, size_t used)
{
	if (!settle(reserve.base, reserve.len, PROT_READ | PROT_WRITE))
		return false;
	madvise(reserve.base, reserve.len, MADV_DONTDUMP);
	madvise(reserve.base, reserve.len, MADV_DONTFORK);
	reserve.kind = ARENA_PLAIN;
	mark_open(reserve.base, used);
	memcpy(reserve.base, image, used);
	return true;
}

/* What the reserve holds goes through the arena meanwhile. */
void
reserve_renew(void)
{
	size_t count = reserve.len / PAGE_LEN;
	uint8_t *keep;
	int fd = -1;

	if (reserve.base == NULL || reserve.kind <= map.kind)
		return;
	keep = pages_take(count);
	if (keep == NULL)
		return;
	if (map.kind == ARENA_SECRET && (fd = secret_file(reserve.len)) < 0)
		goto out;
	mark_open(keep, reserve.len);
	mark_open(reserve.base, reserve.len);
	memcpy(keep, reserve.base, reserve.len);
	if (back(reserve.base, reserve.len, map.kind, fd, 0))
		reserve.kind = map.kind;
	else
		settle(reserve.base, reserve.len, PROT_READ | PROT_WRITE);
	memcpy(reserve.base, keep, reserve.len);
	bytes_wipe(keep, reserve.len);
out:
	if (fd >= 0)
		close(fd);
	pages_give(keep, count);
}
