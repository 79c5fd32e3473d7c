/* fork.c - noticing a fork, and what the child gets.
 *
 * Two notices. The handlers of pthread_atfork see fork(3): operations come to
 * rest first, for a thread that vanishes inside AWS-LC would leave a lock held
 * for ever in the child. A page that the kernel wipes in children shows what
 * bypasses the handlers (a bare clone).
 *
 * Either way the child puts an image of the reserve where the reserve was:
 * ordinary memory, nothing secret in it, made afresh whenever a block of the
 * reserve comes or goes. */
#include "fork.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages.h"
#include "slot.h"

static atomic_uint generation = 1;
static atomic_bool forked;
static volatile uint8_t *mark;          /* 1; 0 in a child that no handler saw */
static const struct arena_fork *hooks;
static uint8_t *image;                  /* of the reserve; nothing secret in it */
static size_t image_used;
static bool watching;

static void
become_child(void)
{
	if (mark != NULL)
		*mark = 1;
	atomic_fetch_add(&generation, 1);
	atomic_store(&forked, true);
	slots_forget();
	pages_forget();
	(void)reserve_restore(image, image_used);
}

bool
arena_forked(void)
{
	if (mark != NULL && *mark == 0)
		become_child();
	return atomic_load_explicit(&forked, memory_order_relaxed);
}

unsigned
arena_generation(void)
{
	(void)arena_forked();
	return atomic_load_explicit(&generation, memory_order_relaxed);
}

void
fork_renewed(void)
{
	atomic_fetch_add(&generation, 1);
	atomic_store(&forked, false);
}

void
arena_on_fork(const struct arena_fork *f)
{
	hooks = f;
}

static void
see_block(void *copy, size_t len)
{
	if (hooks != NULL && hooks->scrub != NULL)
		hooks->scrub(copy, len);
	else
		memset(copy, 0, len);
}

void
fork_image(void)
{
	if (image != NULL)
		image_used = reserve_image(image, see_block);
}

static void
before(void)
{
	/* In this order: whoever is in a slot may still want what the hook takes. */
	slots_pause();
	if (hooks != NULL && hooks->before != NULL)
		hooks->before();
}

static void
parent(void)
{
	if (hooks != NULL && hooks->after != NULL)
		hooks->after(false);
	slots_resume();
}

static void
child(void)
{
	become_child();
	if (hooks != NULL && hooks->after != NULL)
		hooks->after(true);
}

static uint8_t *
page_map(size_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

/* Without the page (a kernel before 4.14) the handlers alone must do. */
static void
mark_set(void)
{
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at = page_map(len);

	if (at == NULL)
		return;
	if (madvise(at, len, MADV_WIPEONFORK) != 0) {
		munmap(at, len);
		return;
	}
	*at = 1;
	mark = at;
}

hsm_status
fork_watch(void)
{
	if (watching)
		return HSM_OK;
	image = page_map(reserve_len());
	if (image == NULL || pthread_atfork(before, parent, child) != 0)
		return HSM_E_MEMORY;
	mark_set();
	watching = true;
	return HSM_OK;
}
