/* stack.c - running on a stack inside the arena.
 *
 * An ECDSA nonce or half of an RSA key spilled to an ordinary stack is key
 * material in a core dump. So operations run on a stack in secret memory, and
 * what they left on it is wiped: as deep as their row says, since wiping all
 * of it would cost more than a short operation itself. */
#include <string.h>

#include "arena.h"
#include "bytes.h"
#include "fault.h"
#include "mark.h"
#include "pages.h"
#include "slot.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

void stack_switch(void (*fn)(void *), void *arg, void *top, unsigned vectors);

struct call {
	void (*fn)(void *arg);
	void *arg;
	void *fake;                     /* ASan's notes of the stack we came from */
	const void *bottom;
	size_t len;
};

#ifdef STRONGROOM_FAULTS
static _Thread_local size_t last_depth;
static _Thread_local bool left;

void
arena_run_leave(bool on)
{
	left = on;
}

size_t
arena_run_depth(void)
{
	return last_depth;
}

/* An idle stack is all zeros: the deepest byte that is none was used. */
static size_t
depth_used(const uint8_t *stack)
{
	size_t i = 0;

	while (i < STACK_LEN && stack[i] == 0)
		i++;
	return STACK_LEN - i;
}
#endif

/* 0, 1, 2: see switch_x86_64.S. */
static unsigned
vector_level(void)
{
#if defined(__x86_64__)
	static int level = -1;

	/* Two threads may both find out; they find the same. */
	if (__atomic_load_n(&level, __ATOMIC_RELAXED) < 0) {
		int found = __builtin_cpu_supports("avx512f") ? 2 : __builtin_cpu_supports("avx") ? 1 : 0;

		__atomic_store_n(&level, found, __ATOMIC_RELAXED);
	}
	return (unsigned)__atomic_load_n(&level, __ATOMIC_RELAXED);
#else
	return 0;
#endif
}

/* First and last on the new stack. */
static void
call_run(void *arg)
{
	struct call *c = arg;

#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(NULL, &c->bottom, &c->len);
#endif
	c->fn(c->arg);
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(NULL, c->bottom, c->len);
#endif
}

static void
stack_wipe(uint8_t *stack, size_t depth)
{
	depth = (depth + 63) & ~(size_t)63;
	depth = depth > STACK_LEN ? STACK_LEN : depth;
#ifdef MARK_VALGRIND
	/* To memcheck, what lies beyond a stack's pointer is nobody's. */
	(void)VALGRIND_MAKE_MEM_DEFINED(stack, STACK_LEN);
#endif
	MARK_ASAN(unpoison, stack, STACK_LEN);
#ifdef STRONGROOM_FAULTS
	last_depth = depth_used(stack);
	depth = last_depth > depth ? last_depth : depth;
	if (left)
		return;
#endif
	bytes_wipe(stack + STACK_LEN - depth, depth);
}

hsm_status
arena_run(void (*fn)(void *arg), void *arg, size_t depth)
{
	struct call c = { .fn = fn, .arg = arg };
	struct slot *s;

	if (fault_now() || (s = slot_enter()) == NULL)
		return HSM_E_MEMORY;
	if (s->running) {
		fn(arg);
		slot_leave();
		return HSM_OK;
	}
	s->running = true;
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_start_switch_fiber(&c.fake, s->stack, STACK_LEN);
#endif
	stack_switch(call_run, &c, s->stack + STACK_LEN, vector_level());
#if defined(__SANITIZE_ADDRESS__)
	__sanitizer_finish_switch_fiber(c.fake, NULL, NULL);
#endif
	stack_wipe(s->stack, depth);
	s->running = false;
	slot_leave();
	return HSM_OK;
}
