/* rng.c - AWS-LC's generator: prepared, pooled, watched, and safe to fork.
 *
 * Where the entropy comes from: AWS-LC keeps one CTR_DRBG (AES-256, SP
 * 800-90A) a thread. Built as we build it (DISABLE_CPU_JITTER_ENTROPY) it is
 * seeded with 384 bits from getrandom(2), mixed with 384 bits of RDRAND or
 * RNDR where the processor has it, and again after 2^12 calls and after each
 * fork. There is no noise source inside the boundary: the health tests of SP
 * 800-90B are the kernel's. Ours watches the output: two successive draws of
 * a thread that agree in 128 bits mean a stuck generator, and end service.
 *
 * Memory: a generator's state is allocated by the thread's first draw, and
 * AWS-LC aborts when that fails. rng_prepare makes that draw, from the
 * reserve, after it saw that the reserve has the room.
 *
 * What callers add (rng_add) is additional input of SP 800-90A: a digest of it
 * goes into each thread's generator with that thread's next draw, beside the
 * seeds, never in their place, so that it can only add.
 *
 * Fork: AWS-LC walks the list of states at exit, so a child inherits them,
 * with the keys exchanged for random ones (rng_scrub). The list and its lock
 * change when a thread draws first or ends; both happen under `list`, which is
 * held across a fork. A child's first draw reseeds: AWS-LC sees the fork. */
#include "rng.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/aes.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/thread.h>

#include "../base/arena.h"
#include "../base/bytes.h"
#include "../base/lab.h"
#include "../base/mark.h"
#include "../base/state.h"

#define POOL_LEN ((size_t)1024)
#define NONCE_MAX ((size_t)64)
#define STATE_ROOM ((size_t)1 << 10)            /* both blocks of a thread, cells included */
#define DRAW_DEPTH ((size_t)2 << 10)
#define CHUNK ((size_t)1 << 16)

/* AWS-LC exports this in a header that it does not install. 32 bytes of
 * additional input. */
int RAND_bytes_with_user_prediction_resistance(uint8_t *out, size_t len, const uint8_t added[SHA256_DIGEST_LENGTH]);

/* In the arena: what is left of the pool (its end is used first), and a print
 * of the last draw. */
struct pool { size_t left; uint64_t print; uint8_t bytes[POOL_LEN]; };

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
	struct pool *pool;
	unsigned life;                  /* arena_generation() it was made in */
	unsigned turn;                  /* of `added`, that its generator has taken */
} me;

static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool have_key;
static uint8_t added[SHA256_DIGEST_LENGTH];     /* digest of all that was added; under `list` */
static _Atomic unsigned turn;                   /* how often */
static uint32_t stand_in[sizeof(((AES_KEY *)0)->rd_key) / 4];

/* ---- the states in the reserve -------------------------------------------------- */

/* What AWS-LC 5.12 (crypto/fipsmodule/rand/rand.c) keeps for a thread. The
 * size tells the block from others; rng_test.c holds the rest against the
 * library. */
struct drbg_state {
	AES_KEY key;
	void *functions[2];
	uint8_t counter[16];
	uint64_t counts[4];
	void *source, *next, *before;
	CRYPTO_MUTEX lock;
};

/* Keys of the copies: drawn once, and no secret. What matters is that they are
 * not the parent's; the child reseeds before it draws. Locks are free there. */
static void
rng_scrub(void *copy, size_t len)
{
	struct drbg_state *state = copy;

	if (len <= 4 * sizeof(void *))          /* the source: two pointers */
		return;
	if (len != sizeof(*state)) {
		memset(copy, 0, len);
		return;
	}
	memcpy(state->key.rd_key, stand_in, sizeof(stand_in));
	memset(state->counter, 0, sizeof(state->counter));
	memset(&state->lock, 0, sizeof(state->lock));
}

static void
fork_before(void)
{
	pthread_mutex_lock(&list);
}

static void
fork_after(bool child)
{
	(void)child;
	pthread_mutex_unlock(&list);
}

static const struct arena_fork on_fork = { fork_before, fork_after, rng_scrub };

/* ---- drawing -------------------------------------------------------------------- */

#ifdef STRONGROOM_FAULTS
static bool stuck;
static _Atomic unsigned additions;

void
rng_stick(bool on)
{
	stuck = on;
}

unsigned
rng_additions(void)
{
	return additions;
}
#endif

struct draw { uint8_t *out; size_t len; int done; };

static bool
addition_waits(void)
{
	return me.turn != atomic_load_explicit(&turn, memory_order_relaxed);
}

static int
draw_with_addition(struct draw *d)
{
	uint8_t now[sizeof added];

	pthread_mutex_lock(&list);
	memcpy(now, added, sizeof now);
	me.turn = atomic_load_explicit(&turn, memory_order_relaxed);
	pthread_mutex_unlock(&list);
#ifdef STRONGROOM_FAULTS
	additions++;
#endif
	return RAND_bytes_with_user_prediction_resistance(d->out, d->len, now);
}

static void
draw_run(void *arg)
{
	struct draw *d = arg;

	d->done = addition_waits() ? draw_with_addition(d) : RAND_bytes(d->out, d->len);
#ifdef STRONGROOM_FAULTS
	if (stuck)
		memset(d->out, 0x5a, d->len);
#endif
	if (lab(LAB_OUTPUT_STUCK) != 0)
		memset(d->out, 0x5a, d->len);
}

/* 64 bits over the first 128, so that no copy of a key stays with us. 0 is
 * kept for "none yet". */
static uint64_t
print_of(const uint8_t *bytes)
{
	uint64_t a, b;

	memcpy(&a, bytes, 8);
	memcpy(&b, bytes + 8, 8);
	a = (a ^ a >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
	b = (b ^ b >> 32) * UINT64_C(0x94d049bb133111eb);
	return (a ^ (b << 31 | b >> 33)) | 1;
}

/* Blocks within a draw are compared too: a generator stuck in the middle of a
 * long one would pass from draw to draw. */
static hsm_status
draw_check(const uint8_t *out, size_t len)
{
	uint64_t print;
	hsm_status latched;

	if (len < 16 || me.pool == NULL)
		return HSM_OK;
	print = print_of(out);
	if (mark_shown(print == me.pool->print))
		goto stuck;
	me.pool->print = print;
	for (size_t i = 16; i + 16 <= len; i += 16)
		if (bytes_equal_secret(out + i - 16, out + i, 16))
			goto stuck;
	return HSM_OK;
stuck:
	latched = state_event(EVENT_TEST_FAILED, "random generator: output repeats");
	(void)latched;                          /* out of service already, or never in */
	return HSM_E_RANDOM;
}

static hsm_status
draw(uint8_t *out, size_t len)
{
	struct draw d = { out, len, 0 };
	hsm_status st = arena_run(draw_run, &d, DRAW_DEPTH);

	if (st == HSM_OK && d.done != 1)
		st = HSM_E_RANDOM;
	if (st == HSM_OK)
		st = draw_check(out, len);
	if (st != HSM_OK)
		bytes_wipe(out, len);
	return st;
}

/* ---- a thread's life -------------------------------------------------------------- */

/* Before AWS-LC's own: its key is made later, and keys are served in order. */
static void
thread_over(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&list);
	AWSLC_thread_local_clear();
	arena_reserve_leave();
	pthread_mutex_unlock(&list);
	arena_free_late(me.pool, me.life);
	me.pool = NULL;
	me.life = 0;
}

static void
first_time(void)
{
	if (getrandom(stand_in, sizeof(stand_in), 0) < 0)
		memset(stand_in, 0x5a, sizeof(stand_in));
	have_key = pthread_key_create(&at_thread_end, thread_over) == 0;
	arena_on_fork(&on_fork);
}

/* On an arena stack, and the lock inside it: who waits for a stack must not
 * hold what somebody on a stack waits for. */
static void
first_draw(void *arg)
{
	hsm_status *st = arg;
	uint8_t byte;

	pthread_mutex_lock(&list);
	*st = arena_reserve_enter(STATE_ROOM);
	if (*st == HSM_OK) {
		*st = RAND_bytes(&byte, 1) == 1 ? HSM_OK : HSM_E_RANDOM;
		arena_reserve_leave();
	}
	pthread_mutex_unlock(&list);
}

hsm_status
rng_prepare(void)
{
	hsm_status st, drawn;

	if (me.life == arena_generation())
		return HSM_OK;
	pthread_once(&once, first_time);
	if (!have_key || pthread_setspecific(at_thread_end, &me) != 0)
		return HSM_E_MEMORY;
	me.pool = NULL;                         /* of another life: gone */
	if ((st = arena_run(first_draw, &drawn, DRAW_DEPTH)) != HSM_OK || (st = drawn) != HSM_OK)
		return st;
	me.life = arena_generation();
	/* Without a pool it is slower, and still right. */
	me.pool = arena_alloc(sizeof(*me.pool));
	return HSM_OK;
}

/* ---- bytes ------------------------------------------------------------------------ */

hsm_status
rng_bytes(void *out, size_t len)
{
	hsm_status st = rng_prepare();
	uint8_t *at = out;

	while (st == HSM_OK && len > 0) {
		size_t part = len < CHUNK ? len : CHUNK;

		st = draw(at, part);
		at += part;
		len -= part;
	}
	return st;
}

static hsm_status
pool_fill(struct pool *p)
{
	hsm_status st = draw(p->bytes, POOL_LEN);

	p->left = st == HSM_OK ? POOL_LEN : 0;
	return st;
}

hsm_status
rng_nonce(void *out, size_t len)
{
	hsm_status st;
	struct pool *p;

	if (len > NONCE_MAX)
		return HSM_E_ARGS;
	if ((st = rng_prepare()) != HSM_OK)
		return st;
	if ((p = me.pool) == NULL)
		return rng_bytes(out, len);
	/* What lies in the pool was drawn before the addition. */
	if ((p->left < len || addition_waits()) && (st = pool_fill(p)) != HSM_OK)
		return st;
	p->left -= len;
	memcpy(out, p->bytes + p->left, len);
	bytes_wipe(p->bytes + p->left, len);
	return HSM_OK;
}

/* ---- what callers add --------------------------------------------------------------- */

static void
add_run(void *arg)
{
	const hsm_in *in = arg;
	SHA256_CTX ctx;

	pthread_mutex_lock(&list);
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, added, sizeof added);
	SHA256_Update(&ctx, in->ptr, in->len);
	SHA256_Final(added, &ctx);
	atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);
	pthread_mutex_unlock(&list);
}

hsm_status
rng_add(hsm_in in)
{
	hsm_status st = rng_prepare();

	return st == HSM_OK && in.len != 0 ? arena_run(add_run, &in, DRAW_DEPTH) : st;
}
