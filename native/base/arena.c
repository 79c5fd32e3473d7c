/* arena.c - secret memory: the mapping and a first-fit heap in it. */
#include "arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bytes.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define PAGE ((size_t)4096)
#define MAX_SIZE ((size_t)64 << 20)
#define DEFAULT_SIZE ((size_t)8 << 20)
#define MIN_SIZE ((size_t)1 << 20)

/* A block: header, then bytes. Neighbours are found by size, so that free
 * blocks melt together. */
struct block { size_t size, before, asked, used; };

#define HEAD sizeof(struct block)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *base;
static size_t total, used, high, live;
static struct arena_info about;

static struct block *
block_next(struct block *b)
{
	uint8_t *at = (uint8_t *)b + b->size;

	return at < base + total ? (struct block *)(void *)at : NULL;
}

static void
block_resize(struct block *b, size_t size)
{
	struct block *after;

	b->size = size;
	if ((after = block_next(b)) != NULL)
		after->before = size;
}

static size_t
lock_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r) != 0)
		return 0;
	return r.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)r.rlim_cur;
}

static uint8_t *
map_secret(size_t size)
{
	uint8_t *at = MAP_FAILED;
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)size) == 0)
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

static uint8_t *
map_plain(size_t size)
{
	uint8_t *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return NULL;
	madvise(at, size, MADV_DONTDUMP);
	return at;
}

static void
map_any(size_t size)
{
	if ((base = map_secret(size)) != NULL) {
		about.kind = ARENA_SECRET;
		return;
	}
	snprintf(about.reason, sizeof(about.reason), "memfd_secret: %s", strerror(errno));
	if ((base = map_plain(size)) == NULL)
		return;
	about.kind = mlock(base, size) == 0 ? ARENA_LOCKED : ARENA_PLAIN;
}

hsm_status
arena_open(size_t size)
{
	hsm_status st = HSM_OK;
	struct block *all;

	pthread_mutex_lock(&lock);
	if (base != NULL)
		goto out;
	about = (struct arena_info){ .kind = ARENA_NONE, .lock_limit = lock_limit() };
	if (size == 0)
		size = about.lock_limit < DEFAULT_SIZE ? about.lock_limit - about.lock_limit / 4 : DEFAULT_SIZE - DEFAULT_SIZE / 4;
	size = size < MIN_SIZE ? MIN_SIZE : size > MAX_SIZE ? MAX_SIZE : size;
	size = (size + PAGE - 1) & ~(PAGE - 1);
	map_any(size);
	st = HSM_E_MEMORY;
	if (base == NULL)
		goto out;
	total = size;
	memset(base, 0, total);
	all = (struct block *)(void *)base;
	*all = (struct block){ .size = total };
	used = high = live = 0;
	st = HSM_OK;
out:
	pthread_mutex_unlock(&lock);
	return st;
}

void
arena_close(void)
{
	pthread_mutex_lock(&lock);
	if (base != NULL) {
		bytes_wipe(base, total);
		munmap(base, total);
	}
	base = NULL;
	total = used = live = 0;
	about.kind = ARENA_NONE;
	pthread_mutex_unlock(&lock);
}

void
arena_describe(struct arena_info *info)
{
	pthread_mutex_lock(&lock);
	*info = about;
	info->size = total;
	info->used = used;
	info->high = high;
	pthread_mutex_unlock(&lock);
}

#ifdef STRONGROOM_FAULTS
static long countdown = -1;
static bool fired;

static bool
fault_now(void)
{
	if (countdown < 0)
		return false;
	if (countdown-- > 0)
		return false;
	fired = true;
	return true;
}

void
fault_after(unsigned n)
{
	countdown = (long)n;
	fired = false;
}

bool
fault_fired(void)
{
	return fired;
}

void
fault_off(void)
{
	countdown = -1;
}
#else
static bool
fault_now(void)
{
	return false;
}
#endif

void *
arena_alloc(size_t len)
{
	size_t need = (len + HEAD + 15) & ~(size_t)15;
	struct block *b = NULL;
	void *ptr = NULL;

	if (len > MAX_SIZE)
		return NULL;
	pthread_mutex_lock(&lock);
	if (base == NULL || fault_now())
		goto out;
	for (b = (struct block *)(void *)base; b != NULL; b = block_next(b))
		if (!b->used && b->size >= need)
			break;
	if (b == NULL)
		goto out;
	if (b->size - need >= HEAD + 16) {
		size_t rest = b->size - need;
		struct block *after = (struct block *)(void *)((uint8_t *)b + need);

		*after = (struct block){ .before = need };
		block_resize(after, rest);
		b->size = need;
	}
	b->used = 1;
	b->asked = len;
	used += b->size;
	high = used > high ? used : high;
	live++;
	ptr = b + 1;
out:
	pthread_mutex_unlock(&lock);
	return ptr;
}

void
arena_free(void *ptr)
{
	struct block *b, *other;

	if (ptr == NULL)
		return;
	b = (struct block *)ptr - 1;
	pthread_mutex_lock(&lock);
	bytes_wipe(ptr, b->size - HEAD);
	b->used = 0;
	used -= b->size;
	live--;
	other = block_next(b);
	if (other != NULL && !other->used) {
		size_t size = b->size + other->size;

		bytes_wipe(other, HEAD);
		block_resize(b, size);
	}
	if (b->before > 0) {
		other = (struct block *)(void *)((uint8_t *)b - b->before);
		if (!other->used) {
			size_t size = b->size + other->size;

			bytes_wipe(b, HEAD);
			block_resize(other, size);
		}
	}
	pthread_mutex_unlock(&lock);
}

size_t
arena_size(const void *ptr)
{
	return ((const struct block *)ptr - 1)->asked;
}

bool
arena_owns(const void *ptr)
{
	return base != NULL && (const uint8_t *)ptr >= base && (const uint8_t *)ptr < base + total;
}

size_t
arena_live(void)
{
	return live;
}

hsm_status
arena_hold(size_t len)
{
	return base != NULL && total - used >= len ? HSM_OK : HSM_E_MEMORY;
}

void
arena_release(void)
{
}
