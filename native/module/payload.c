/* Payload rooms: what JavaScript's external buffers stand on.
 *
 * Chunks of 256 KiB, aligned to their size, so that the chunk of a room is
 * found by clearing low bits. The first page of a chunk is its header; the
 * rest is rooms of one class (4 KiB ... 64 KiB). Larger rooms have a chunk of
 * their own, as long as needed. Rooms are wiped when freed, so a free room is
 * all zero. Not dumped, not seen by a forked child; locked as far as a small
 * part of RLIMIT_MEMLOCK goes, for the arena needs the rest. */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "hsm.h"

#define PAGE 4096u
#define CHUNK 262144u
#define CLASSES 5u                      /* PAGE << class */
#define ALONE CLASSES
#define LOCKED_MAX (8u << 20)
#define CHUNK_MAGIC 0x53525061796c6f64u

struct chunk {
	uint64_t magic;
	struct chunk *next, *before;    /* of its class, those with a free room */
	size_t len;                     /* of the mapping */
	uint64_t taken;                 /* a bit a room */
	unsigned class, rooms;
	bool locked;
};

_Static_assert(PAGE == HSM_PAYLOAD_MIN, "the smallest room is a page");
_Static_assert(CHUNK / PAGE - 1 <= 64, "a bit a room");
_Static_assert(sizeof(struct chunk) <= PAGE, "the header is a page");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct chunk *open_chunks[CLASSES];
static size_t locked;

/* A child sees zeroes where the chunks were. */
static void
payload_forked(void)
{
	memset(open_chunks, 0, sizeof open_chunks);
	locked = 0;
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

static void
payload_watch_fork(void)
{
	(void)pthread_atfork(NULL, NULL, payload_forked);
}

static size_t
lock_budget(void)
{
	struct rlimit limit;
	size_t part;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
		return 0;
	part = limit.rlim_cur == RLIM_INFINITY ? LOCKED_MAX : (size_t)limit.rlim_cur / 8;
	return part < LOCKED_MAX ? part : LOCKED_MAX;
}

/* Aligned by mapping too much and giving the ends back. */
static void *
map_aligned(size_t len)
{
	uint8_t *at = mmap(NULL, len + CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t head, tail;

	if (at == MAP_FAILED)
		return NULL;
	head = (CHUNK - (uintptr_t)at % CHUNK) % CHUNK;
	tail = CHUNK - head;
	if (head > 0)
		munmap(at, head);
	if (tail > 0)
		munmap(at + head + len, tail);
	return at + head;
}

static struct chunk *
chunk_map(size_t len, unsigned class, unsigned rooms)
{
	struct chunk *c = map_aligned(len);

	if (c == NULL)
		return NULL;
	(void)madvise(c, len, MADV_DONTDUMP);
	(void)madvise(c, len, MADV_WIPEONFORK);
	*c = (struct chunk){ .magic = CHUNK_MAGIC, .len = len, .class = class, .rooms = rooms };
	if (locked + len <= lock_budget() && mlock(c, len) == 0) {
		c->locked = true;
		locked += len;
	}
	return c;
}

static void
chunk_unmap(struct chunk *c)
{
	if (c->locked)
		locked -= c->len;
	munmap(c, c->len);
}

static void
list_add(struct chunk *c)
{
	c->before = NULL;
	c->next = open_chunks[c->class];
	if (c->next != NULL)
		c->next->before = c;
	open_chunks[c->class] = c;
}

static void
list_remove(struct chunk *c)
{
	if (c->next != NULL)
		c->next->before = c->before;
	if (c->before != NULL)
		c->before->next = c->next;
	else
		open_chunks[c->class] = c->next;
	c->next = c->before = NULL;
}

static bool
chunk_full(const struct chunk *c)
{
	return c->taken == UINT64_MAX >> (64 - c->rooms);
}

static void *
room_take(unsigned class)
{
	struct chunk *c = open_chunks[class];
	unsigned room;

	if (c == NULL) {
		if ((c = chunk_map(CHUNK, class, (CHUNK - PAGE) / (PAGE << class))) == NULL)
			return NULL;
		list_add(c);
	}
	room = (unsigned)__builtin_ctzll(~c->taken);
	c->taken |= (uint64_t)1 << room;
	if (chunk_full(c))
		list_remove(c);
	return (uint8_t *)c + PAGE + ((size_t)room * PAGE << class);
}

static void *
room_alone(size_t len)
{
	const size_t whole = (len + PAGE - 1) / PAGE * PAGE + PAGE;
	struct chunk *c = whole < len ? NULL : chunk_map(whole, ALONE, 1);

	return c == NULL ? NULL : (uint8_t *)c + PAGE;
}

void *
hsm_payload_alloc(size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned class = 0;
	void *room;

	if (len > SIZE_MAX / 2)
		return NULL;
	pthread_once(&once, payload_watch_fork);
	while (class < CLASSES && len > (size_t)PAGE << class)
		class++;
	pthread_mutex_lock(&lock);
	room = class == ALONE ? room_alone(len) : room_take(class);
	pthread_mutex_unlock(&lock);
	return room;
}

/* One empty chunk a class is kept. */
static void
room_give(struct chunk *c, size_t offset)
{
	const bool was_full = chunk_full(c);

	c->taken &= ~((uint64_t)1 << (offset - PAGE) / ((size_t)PAGE << c->class));
	if (was_full)
		list_add(c);
	if (c->taken == 0 && (c->next != NULL || c->before != NULL)) {
		list_remove(c);
		chunk_unmap(c);
	}
}

void
hsm_payload_free(void *ptr)
{
	struct chunk *const c = (struct chunk *)((uintptr_t)ptr & ~(uintptr_t)(CHUNK - 1));

	/* A room that a parent made is not ours: its header reads as zero. */
	if (ptr == NULL || c->magic != CHUNK_MAGIC)
		return;
	bytes_wipe(ptr, c->class == ALONE ? c->len - PAGE : (size_t)PAGE << c->class);
	pthread_mutex_lock(&lock);
	if (c->class == ALONE)
		chunk_unmap(c);
	else
		room_give(c, (size_t)((uint8_t *)ptr - (uint8_t *)c));
	pthread_mutex_unlock(&lock);
}

void
hsm_payload_wipe(void *ptr, size_t len)
{
	if (ptr != NULL)
		bytes_wipe(ptr, len);
}
