#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/mem.h>
#include <openssl/nid.h>

#include "base/arena.h"
#include "base/secret.h"
#include "crypto/rng.h"

#define MIB ((size_t)1 << 20)

static int
open_arena(void **state)
{
	(void)state;
	return arena_open(2 * MIB) == HSM_OK && rng_prepare() == HSM_OK ? 0 : -1;
}

/* Small, fast and the same every time. */
static uint32_t
dice(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/* Lengths as they come: many small, few large. */
static size_t
any_len(uint32_t *seed)
{
	uint32_t roll = dice(seed) % 100;

	if (roll < 70)
		return dice(seed) % 300;
	if (roll < 95)
		return dice(seed) % 3000;
	return dice(seed) % 30000;
}

/* ---- blocks ------------------------------------------------------------------- */

static void
blocks_are_zeroed_aligned_and_remember_their_length(void **state)
{
	void *block[64];
	size_t before = arena_live();

	(void)state;
	for (size_t round = 0; round < 3; round++) {
		for (size_t i = 0; i < 64; i++) {
			size_t len = i * i * 3;
			uint8_t *p = block[i] = arena_alloc(len);

			assert_non_null(p);
			assert_int_equal((uintptr_t)p % 16, 0);
			assert_int_equal(arena_size(p), len);
			assert_true(arena_owns(p));
			for (size_t j = 0; j < len; j++)
				assert_int_equal(p[j], 0);
			memset(p, 0xa5, len);
		}
		assert_int_equal(arena_live(), before + 64);
		for (size_t i = 0; i < 64; i++)
			arena_free(block[i * 37 % 64]);
	}
	arena_free(NULL);
	assert_int_equal(arena_live(), before);
	assert_false(arena_owns(&before));
	assert_null(arena_alloc(SIZE_MAX));
	assert_null(arena_alloc(3 * MIB));
}

static void
every_length_keeps_its_bytes(void **state)
{
	(void)state;
	for (size_t len = 0; len < 9000; len += len < 2200 ? 1 : 97) {
		uint8_t *p = arena_alloc(len), *q = arena_alloc(len);

		assert_non_null(p);
		assert_non_null(q);
		memset(p, 0x11, len);
		memset(q, 0x22, len);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(p[i], 0x11);
		arena_free(p);
		for (size_t i = 0; i < len; i++)
			assert_int_equal(q[i], 0x22);
		arena_free(q);
	}
}

static void
libcrypto_allocates_here(void **state)
{
	size_t before = arena_live();
	uint8_t *p = OPENSSL_malloc(100);

	(void)state;
	assert_true(arena_owns(p));
	memset(p, 1, 100);
	p = OPENSSL_realloc(p, 300);
	assert_true(arena_owns(p));
	assert_int_equal(p[99], 1);
	assert_int_equal(p[100], 0);
	OPENSSL_free(p);
	assert_int_equal(arena_live(), before);
}

static void
secrets_own_their_bytes(void **state)
{
	struct secret a = SECRET_NONE, b = SECRET_NONE;
	size_t before = arena_live();

	(void)state;
	assert_int_equal(secret_copy(&a, (hsm_in){ (const uint8_t *)"key", 3 }), HSM_OK);
	assert_true(arena_owns(a.ptr));
	secret_move(&b, &a);
	assert_null(a.ptr);
	assert_memory_equal(secret_in(&b).ptr, "key", 3);
	secret_wipe(&b);
	secret_wipe(&b);
	secret_wipe(&a);
	assert_int_equal(arena_live(), before);
}

/* ---- damage is found ------------------------------------------------------------ */

static void
overrun(void)
{
	volatile uint8_t *p = arena_alloc(100);

	p[100] = 1;
	arena_free((void *)(uintptr_t)p);
}

static void
overrun_into_the_next(void)
{
	uint8_t *p = arena_alloc(112), *q = arena_alloc(112);
	volatile uint8_t *low = p < q ? p : q;

	low[112] ^= 1;          /* a cell of 128: the next one's guard word */
	arena_free(p < q ? q : p);
}

static void
underrun(void)
{
	volatile uint8_t *p = arena_alloc(500);

	p[-16] ^= 1;
	arena_free((void *)(uintptr_t)p);
}

static void
second_free(void)
{
	void *p = arena_alloc(100);

	arena_free(p);
	arena_free(p);
}

static void
second_free_of_a_run(void)
{
	void *p = arena_alloc(100000);

	arena_free(p);
	arena_free(p);
}

static void
free_of_the_middle(void)
{
	uint8_t *p = arena_alloc(100);

	arena_free(p + 16);
}

/* In a child with an arena of its own. ASan and valgrind have their say too:
 * anything but a clean exit counts. */
static bool
ends_the_process(void (*crime)(void))
{
	int how = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		if (arena_open(2 * MIB) == HSM_OK)
			crime();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &how, 0), pid);
	return !WIFEXITED(how) || WEXITSTATUS(how) != 0;
}

static void
innocent(void)
{
	arena_free(arena_alloc(100));
}

static void
damage_ends_the_process(void **state)
{
	(void)state;
	assert_true(ends_the_process(overrun));
	assert_true(ends_the_process(overrun_into_the_next));
	assert_true(ends_the_process(underrun));
	assert_true(ends_the_process(second_free));
	assert_true(ends_the_process(second_free_of_a_run));
	assert_true(ends_the_process(free_of_the_middle));
	assert_false(ends_the_process(innocent));
}

/* ---- full, and in between ------------------------------------------------------- */

#define MANY 70000

struct fill { void *block[MANY]; size_t count; uint32_t seed; };

static struct fill *
fill_start(void)
{
	struct fill *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->seed = 7;
	return f;
}

/* Up to `bytes` more; false when the arena is full. */
static bool
fill_more(struct fill *f, size_t bytes)
{
	for (size_t done = 0; done < bytes && f->count < MANY;) {
		size_t len = any_len(&f->seed);
		void *p = arena_alloc(len);

		if (p == NULL)
			return false;
		f->block[f->count++] = p;
		done += len + 1;
	}
	return true;
}

/* To the last cell. */
static void
fill_up(struct fill *f)
{
	for (size_t len = 30000; len > 0; len /= 2)
		while (f->count < MANY && (f->block[f->count] = arena_alloc(len)) != NULL)
			f->count++;
}

static void
fill_end(struct fill *f)
{
	while (f->count > 0)
		arena_free(f->block[--f->count]);
	free(f);
}

/* Blocks of any length that come to `len` in all. */
static void
use_promise(size_t len, uint32_t *seed)
{
	void *block[600];
	size_t n = 0;

	while (len > 64 && n < 600) {
		size_t part = 1 + dice(seed) % (len < 5000 ? len : 5000);
		size_t cost = part + 48;        /* as arena.h counts */

		if (cost > len)
			break;
		block[n] = arena_alloc(part);
		assert_non_null(block[n]);
		memset(block[n++], 0xee, part);
		len -= cost;
	}
	while (n > 0)
		arena_free(block[--n]);
}

static void
a_promise_is_kept_at_every_level_of_fullness(void **state)
{
	static const size_t lens[] = { 0, 100, 4000, 16000, 30000, 60000, 100000 };
	struct fill *f = fill_start();
	size_t before = arena_live(), kept = 0, refused = 0;
	bool more = true;

	(void)state;
	while (more) {
		more = fill_more(f, 20000);
		if (!more)
			fill_up(f);
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			if (arena_hold(lens[i]) != HSM_OK) {
				refused++;
				continue;
			}
			kept++;
			use_promise(lens[i], &f->seed);
			/* one block of all of it */
			if (lens[i] > 0) {
				void *all = arena_alloc(lens[i]);

				assert_non_null(all);
				arena_free(all);
			}
			arena_release();
		}
	}
	/* In a full arena what a slot has of its own still stands. */
	for (int round = 0; round < 50; round++) {
		assert_int_equal(arena_hold(30000), HSM_OK);
		use_promise(30000, &f->seed);
		arena_release();
	}
	assert_true(kept > 100);
	assert_true(refused > 0);
	fill_end(f);
	assert_int_equal(arena_live(), before);
}

static void
promises_nest(void **state)
{
	struct fill *f = fill_start();

	(void)state;
	fill_up(f);
	assert_int_equal(arena_hold(8000), HSM_OK);
	assert_int_equal(arena_hold(8000), HSM_OK);
	arena_release();
	use_promise(16000, &f->seed);
	arena_release();
	arena_release();                /* one too many is nothing */
	fill_end(f);
}

/* Blocks that stay: an arena filled by kept keys still serves those it has. */
static void
kept_blocks_leave_room_to_work(void **state)
{
	struct fill *f = fill_start();

	(void)state;
	for (;;) {
		if (arena_hold_keep(3000, 3000) != HSM_OK)
			break;
		assert_true(f->count < MANY);
		f->block[f->count] = arena_alloc(3000);
		assert_non_null(f->block[f->count++]);
		arena_release();
	}
	for (int i = 0; i < 100; i++) {
		assert_int_equal(arena_hold(16000), HSM_OK);
		use_promise(16000, &f->seed);
		arena_release();
	}
	fill_end(f);
}

/* A block from a promise outlives it, and is freed by another thread. */
static void *
free_it(void *ptr)
{
	arena_free(ptr);
	return NULL;
}

static void
a_block_may_outlive_its_promise(void **state)
{
	struct fill *f = fill_start();
	size_t before = arena_live();
	void *kept[20];

	(void)state;
	fill_up(f);
	for (int i = 0; i < 20; i++) {
		kept[i] = NULL;
		if (arena_hold(2000) != HSM_OK)
			continue;
		kept[i] = arena_alloc(2000);
		assert_non_null(kept[i]);
		memset(kept[i], i, 2000);
		arena_release();
	}
	assert_non_null(kept[0]);
	for (int i = 0; i < 20; i++) {
		pthread_t t;

		if (kept[i] == NULL)
			continue;
		for (int j = 0; j < 2000; j++)
			assert_int_equal(((uint8_t *)kept[i])[j], i);
		assert_int_equal(pthread_create(&t, NULL, free_it, kept[i]), 0);
		pthread_join(t, NULL);
	}
	fill_end(f);
	assert_int_equal(arena_live(), before);
	assert_int_equal(arena_hold(30000), HSM_OK);
	arena_release();
}

static void
sign(void *arg)
{
	static const uint8_t digest[32] = { 1 };
	uint8_t sig[80];
	unsigned len = sizeof(sig);

	assert_int_equal(ECDSA_sign(0, digest, sizeof(digest), sig, &len, arg), 1);
}

/* A new thread's first random bytes: AWS-LC would abort if they had no room. */
static void *
first_draw(void *arg)
{
	uint8_t bytes[16];

	(void)arg;
	return (void *)(uintptr_t)rng_bytes(bytes, sizeof(bytes));
}

static void
libcrypto_works_in_a_full_arena(void **state)
{
	struct fill *f = fill_start();
	EC_KEY *key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);

	(void)state;
	assert_int_equal(EC_KEY_generate_key(key), 1);
	fill_up(f);
	for (int i = 0; i < 20; i++) {
		pthread_t t;
		void *st = NULL;

		assert_int_equal(arena_hold(16000), HSM_OK);
		assert_int_equal(arena_run(sign, key, 16000), HSM_OK);
		arena_release();
		assert_int_equal(pthread_create(&t, NULL, first_draw, NULL), 0);
		assert_int_equal(pthread_join(t, &st), 0);
		assert_int_equal((uintptr_t)st, HSM_OK);
	}
	fill_end(f);
	EC_KEY_free(key);
}

/* Threads until the reserve is used up: refused, never an abort. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *
draw_and_stay(void *arg)
{
	uint8_t bytes[16];
	hsm_status st = rng_bytes(bytes, sizeof(bytes));

	(void)arg;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return (void *)(uintptr_t)st;
}

static void
more_threads_than_the_reserve_holds_are_refused(void **state)
{
	enum { N = 400 };
	static pthread_t t[N];
	pthread_attr_t small;
	size_t fine = 0, refused = 0;

	(void)state;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 << 10);
	pthread_mutex_lock(&gate);
	for (int i = 0; i < N; i++)
		assert_int_equal(pthread_create(&t[i], &small, draw_and_stay, NULL), 0);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < N; i++) {
		void *st;

		pthread_join(t[i], &st);
		fine += (uintptr_t)st == HSM_OK;
		refused += (uintptr_t)st == HSM_E_MEMORY;
	}
	assert_int_equal(fine + refused, N);
	assert_true(fine >= 64);
	/* They gave it all back. */
	assert_int_equal(pthread_create(&t[0], &small, draw_and_stay, NULL), 0);
	pthread_join(t[0], (void **)&fine);
	assert_int_equal(fine, HSM_OK);
	pthread_attr_destroy(&small);
}

/* ---- threads ---------------------------------------------------------------------- */

/* Blocks wander: a thread frees what another allocated. */
#define SHELF 256
static struct { pthread_mutex_t lock; uint8_t *block[SHELF]; } shelf = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *
churn(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg * 2654435761u + 1;

	for (int i = 0; i < 2000; i++) {
		size_t len = any_len(&seed) / 4 + 1;
		uint8_t *mine = arena_alloc(len), *theirs;
		size_t at = dice(&seed) % SHELF;

		if (mine != NULL) {
			for (size_t j = 0; j < len; j++)
				if (mine[j] != 0)
					return "not zeroed";
			memset(mine, (int)(len % 251) + 1, len);
		}
		pthread_mutex_lock(&shelf.lock);
		theirs = shelf.block[at];
		shelf.block[at] = mine;
		pthread_mutex_unlock(&shelf.lock);
		if (theirs == NULL)
			continue;
		len = arena_size(theirs);
		for (size_t j = 0; j < len; j++)
			if (theirs[j] != len % 251 + 1)
				return "not what was written";
		arena_free(theirs);
	}
	return NULL;
}

static void
blocks_wander_between_64_threads(void **state)
{
	pthread_t t[64];
	size_t before = arena_live();

	(void)state;
	for (uintptr_t i = 0; i < 64; i++)
		assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)i), 0);
	for (int i = 0; i < 64; i++) {
		void *why;

		pthread_join(t[i], &why);
		assert_null(why);
	}
	for (size_t i = 0; i < SHELF; i++)
		arena_free(shelf.block[i]);
	assert_int_equal(arena_live(), before);
}

/* Promises of 64 threads while the arena is filled and emptied under them. */
static atomic_int fillers;

static void *
promise_often(void *arg)
{
	uint32_t seed = (uint32_t)(uintptr_t)arg + 99;

	for (int i = 0; i < 200; i++) {
		void *a, *b;

		if (arena_hold(6000) != HSM_OK)
			continue;
		a = arena_alloc(1 + dice(&seed) % 2900);
		b = arena_alloc(1 + dice(&seed) % 2900);
		if (a == NULL || b == NULL)
			return "a promise was broken";
		arena_free(a);
		arena_free(b);
		arena_release();
	}
	atomic_fetch_sub(&fillers, 1);
	return NULL;
}

static void
promises_hold_among_64_threads(void **state)
{
	pthread_t t[64];

	(void)state;
	atomic_store(&fillers, 64);
	for (uintptr_t i = 0; i < 64; i++)
		assert_int_equal(pthread_create(&t[i], NULL, promise_often, (void *)i), 0);
	while (atomic_load(&fillers) > 0) {
		struct fill *f = fill_start();

		fill_up(f);
		usleep(2000);
		fill_end(f);
	}
	for (int i = 0; i < 64; i++) {
		void *why;

		pthread_join(t[i], &why);
		assert_null(why);
	}
}

/* ---- life ---------------------------------------------------------------------------- */

#ifdef STRONGROOM_FAULTS
/* Each made once before, so that what the library keeps for ever is there. */
static bool
work_ec(void)
{
	static const uint8_t digest[32] = { 7 };
	EC_KEY *key = EC_KEY_new_by_curve_name(NID_secp384r1);
	uint8_t sig[128];
	unsigned len = sizeof(sig);
	bool done = key != NULL && EC_KEY_generate_key(key) == 1 &&
		ECDSA_sign(0, digest, sizeof(digest), sig, &len, key) == 1 &&
		ECDSA_verify(0, digest, sizeof(digest), sig, len, key) == 1;

	EC_KEY_free(key);
	return done;
}

static bool
work_hmac(void)
{
	HMAC_CTX *ctx = HMAC_CTX_new();
	uint8_t mac[64];
	unsigned len;
	bool done = ctx != NULL && HMAC_Init_ex(ctx, "key", 3, EVP_sha512(), NULL) == 1 &&
		HMAC_Update(ctx, mac, 0) == 1 && HMAC_Final(ctx, mac, &len) == 1;

	HMAC_CTX_free(ctx);
	return done;
}

static bool
work_ml_dsa(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_PQDSA, NULL);
	EVP_PKEY *key = NULL;
	uint8_t *der = NULL;
	size_t len = 0;
	CBB cbb;
	bool done = ctx != NULL && EVP_PKEY_CTX_pqdsa_set_params(ctx, NID_MLDSA44) == 1 &&
		EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_keygen(ctx, &key) == 1;

	CBB_zero(&cbb);
	done = done && CBB_init(&cbb, 0) == 1 && EVP_marshal_private_key(&cbb, key) == 1 && CBB_finish(&cbb, &der, &len) == 1;
	CBB_cleanup(&cbb);
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(ctx);
	return done;
}

struct work { bool (*run)(void); bool done; };

static void
work_run(void *arg)
{
	struct work *w = arg;

	w->done = w->run();
}

/* Whatever fails, nothing half-made stays behind, and the library never ends
 * the process. */
static void
each_allocation_inside_libcrypto_may_fail(void **state)
{
	static bool (*const works[])(void) = { work_ec, work_hmac, work_ml_dsa };

	(void)state;
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		struct work w = { works[i], false };
		unsigned n = 0;

		assert_int_equal(arena_run(work_run, &w, 64 << 10), HSM_OK);
		assert_true(w.done);
		for (;; n++) {
			size_t before = arena_live();

			fault_after(n + 1);     /* 0 would be the stack */
			assert_int_equal(arena_run(work_run, &w, 64 << 10), HSM_OK);
			fault_off();
			assert_int_equal(arena_live(), before);
			assert_true(w.done || fault_fired());
			if (!fault_fired())
				break;
		}
		assert_true(n > 0);
	}
}

static void
what_a_hold_takes_at_most_is_metered(void **state)
{
	void *a, *b;

	(void)state;
	assert_int_equal(arena_hold(1000), HSM_OK);
	a = arena_alloc(300);
	b = arena_alloc(200);
	arena_free(a);
	a = arena_alloc(100);
	assert_int_equal(arena_hold_peak(), 300 + 200 + 2 * 48);
	arena_free(a);
	arena_free(b);
	arena_release();
	assert_int_equal(arena_hold(1000), HSM_OK);
	assert_int_equal(arena_hold_peak(), 0);
	arena_release();
}

static void
the_nth_allocation_fails(void **state)
{
	void *p[3];

	(void)state;
	fault_after(1);
	p[0] = arena_alloc(10);
	p[1] = arena_alloc(10);
	p[2] = arena_alloc(10);
	assert_non_null(p[0]);
	assert_null(p[1]);
	assert_non_null(p[2]);
	assert_true(fault_fired());
	fault_off();
	fault_after(0);
	assert_int_equal(arena_hold(10), HSM_E_MEMORY);
	fault_after(5);
	assert_false(fault_fired());
	fault_off();
	arena_free(p[0]);
	arena_free(p[2]);
}
#endif

static void
it_opens_again_after_it_was_closed(void **state)
{
	struct arena_info info;
	unsigned life = arena_generation();
	void *stale = arena_alloc(100);
	uint8_t bytes[16];

	(void)state;
	arena_close();
	arena_describe(&info);
	assert_int_equal(info.kind, ARENA_NONE);
	assert_null(arena_alloc(1));
	assert_int_equal(arena_hold(1), HSM_E_MEMORY);
	assert_int_equal(rng_bytes(bytes, 16), HSM_E_MEMORY);
	arena_free(stale);
	assert_int_equal(arena_open(2 * MIB), HSM_OK);
	assert_int_equal(arena_open(5 * MIB), HSM_OK);  /* open already */
	arena_describe(&info);
	assert_int_equal(arena_live(), 0);
	assert_true(info.size <= 2 * MIB);
	assert_true(info.used < info.size);
	assert_true(arena_generation() != life);
	assert_int_equal(rng_bytes(bytes, 16), HSM_OK);
	assert_int_equal(rng_nonce(bytes, 12), HSM_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_zeroed_aligned_and_remember_their_length),
		cmocka_unit_test(every_length_keeps_its_bytes),
		cmocka_unit_test(libcrypto_allocates_here),
		cmocka_unit_test(secrets_own_their_bytes),
		cmocka_unit_test(damage_ends_the_process),
		cmocka_unit_test(a_promise_is_kept_at_every_level_of_fullness),
		cmocka_unit_test(promises_nest),
		cmocka_unit_test(kept_blocks_leave_room_to_work),
		cmocka_unit_test(a_block_may_outlive_its_promise),
		cmocka_unit_test(libcrypto_works_in_a_full_arena),
		cmocka_unit_test(more_threads_than_the_reserve_holds_are_refused),
		cmocka_unit_test(blocks_wander_between_64_threads),
		cmocka_unit_test(promises_hold_among_64_threads),
#ifdef STRONGROOM_FAULTS
		cmocka_unit_test(each_allocation_inside_libcrypto_may_fail),
		cmocka_unit_test(what_a_hold_takes_at_most_is_metered),
		cmocka_unit_test(the_nth_allocation_fails),
#endif
		cmocka_unit_test(it_opens_again_after_it_was_closed),
	};

	return cmocka_run_group_tests(tests, open_arena, NULL);
}
