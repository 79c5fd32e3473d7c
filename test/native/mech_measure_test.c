/* mech_measure_test.c - what rows and kinds say they need, against what they
 * take: arena bytes (the promise an operation is given) and stack depth (what
 * is wiped after it). A figure below what was measured fails; with
 * MEASURE=1 in the environment every row is printed. */
#include "mech_rows.h"

/* ---- counting what is allocated (linked with --wrap) --------------------------- */

void *__real_arena_alloc(size_t len);
void __real_arena_free(void *ptr);
void *__wrap_arena_alloc(size_t len);
void __wrap_arena_free(void *ptr);

static size_t live, peak;

#ifndef DEPTH_ONLY
void *
__wrap_arena_alloc(size_t len)
{
	void *ptr = __real_arena_alloc(len);

	if (ptr != NULL)
		live += len + 16;
	if (live > peak)
		peak = live;
	return ptr;
}

void
__wrap_arena_free(void *ptr)
{
	if (ptr != NULL && arena_owns(ptr))
		live -= arena_size(ptr) + 16;
	__real_arena_free(ptr);
}
#endif

struct figure { size_t heap, depth; };

struct call { hsm_status (*fn)(void *arg); void *arg; hsm_status st; };

static void
call_enter(void *arg)
{
	struct call *c = arg;

	c->st = c->fn(c->arg);
}

/* Run it as the gate does; raises `f` to what it took. */
static hsm_status
measure(struct figure *f, hsm_status (*fn)(void *arg), void *arg)
{
	struct call c = { fn, arg, HSM_OK };
	size_t before = live;

	peak = live;
	assert_status(arena_run(call_enter, &c, 196608), HSM_OK);
	if (peak - before > f->heap)
		f->heap = peak - before;
#ifndef __SANITIZE_ADDRESS__            /* sanitized frames are larger than released ones */
	if (arena_run_depth() > f->depth)
		f->depth = arena_run_depth();
#endif
	return c.st;
}

static void
report(const char *what, const char *name, struct figure took, size_t heap, size_t depth)
{
	if (getenv("MEASURE") != NULL)
		print_message("%-8s %-28s heap %6zu of %6zu   depth %6zu of %6zu%s\n", what, name, took.heap, heap, took.depth, depth,
		              took.heap > heap || took.depth > depth ? "   SHORT" : "");
}

/* ---- kinds ------------------------------------------------------------------------ */

static void
kinds(void **state)
{
	bool shorter = false;

	(void)state;
	if (hurried())
		return;                         /* the figures are the same there */
	for (size_t i = 0; i < SPECS; i++) {
		const struct kind *kind = kind_find(specs[i].type);
		struct kind_job j = { kind, specs[i], &pairs[i] };
		struct figure made = { 0, 0 }, load = { 0, 0 }, other = { 0, 0 };
		char name[40];
		size_t before, depth, factor = specs[i].type == HSM_KEY_RSA ? 3 : 1;

		if (left_out(specs[i]))
			continue;
		snprintf(name, sizeof name, "%s %u", kind->name, specs[i].param);
		secret_wipe(&pairs[i].material);
		secret_wipe(&pairs[i].spki);
		key_unload(&pairs[i].key);
		key_unload(&pairs[i].pub);
		assert_status(measure(&made, job_generate, &j), HSM_OK);
		before = live;
		assert_status(measure(&load, job_load, &j), HSM_OK);
		load.heap = load.heap > live - before ? load.heap : live - before;
		if (pairs[i].spki.ptr != NULL) {
			assert_status(measure(&load, job_load_public, &j), HSM_OK);
			assert_status(measure(&other, job_consistent, &j), HSM_OK);
			assert_status(measure(&other, job_publish, &j), HSM_OK);
		}
		if (kind->component != NULL)
			assert_status(measure(&other, job_compose, &j), HSM_OK);
		depth = made.depth > load.depth ? made.depth : load.depth;
		depth = depth > other.depth ? depth : other.depth;
		/* RSA here is 2048 bits, and goes up to 8192, which takes less
		 * than three times as much (measured: 103 KB to make one). */
		report("load", name, (struct figure){ load.heap * factor, depth }, kind->heap, kind->depth);
		report("generate", name, (struct figure){ made.heap * factor, made.depth }, kind->work, kind->depth);
		report("other", name, (struct figure){ other.heap * factor, other.depth }, kind->work, kind->depth);
		shorter |= load.heap * factor > kind->heap || depth > kind->depth || made.heap * factor > kind->work
		           || other.heap * factor > kind->work;
	}
	assert_false(shorter);
}

/* ---- rows --------------------------------------------------------------------------- */

static void
visit_measure(struct row_job *j, void *arg)
{
	struct figure *took = arg;
	hsm_out out = j->out;

	assert_status(measure(took, job_once, j), HSM_OK);
	secret_wipe(&j->made);
	if (job_streams(j))
		assert_status(measure(took, job_stream, j), HSM_OK);
	j->out = out;
}

static void
visit_once(struct row_job *j, void *arg)
{
	hsm_out out = j->out;

	assert_status(measure(arg, job_once, j), HSM_OK);
	secret_wipe(&j->made);
	j->out = out;
}

static void
rows(void **state)
{
	const struct mech *row;
	bool shorter = false;

	(void)state;
	if (hurried())
		return;                         /* the figures are the same there */
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		struct figure took = { 0, 0 };
		size_t factor = row->key_type == HSM_KEY_RSA ? 2 : 1;

		for (size_t s = 0; s < SPECS; s++) {
			if (row_takes(row, specs[s]))
				row_uses(row, &pairs[s], visit_measure, &took);
		}
		took.heap *= factor;
		report("row", row->name, took, row->heap, row->depth);
		shorter |= took.heap > row->heap || took.depth > row->depth;
	}
	assert_false(shorter);
}

/* Rows that take messages of any length, under a key of any length. */
static bool
row_takes_long(const struct mech *row)
{
	bool symmetric = row->key_type == HSM_KEY_AES || row->key_type == HSM_KEY_CHACHA20 || row->key_type == HSM_KEY_GENERIC
	                 || row->key_type == HSM_KEY_ANY;

	return symmetric && (row->flags & MECH_STREAM) != 0;
}

/* Long messages may take other code: AES-GCM's keeps powers of the hash key on
 * the stack. Short ones are promised to take less. */
static void
lengths(void **state)
{
	static const size_t len[] = { 96, 208, 1024, 8192 };
	const struct mech *row;
	bool shorter = false;

	(void)state;
	if (hurried())
		return;
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		for (size_t n = 0; n < sizeof len / sizeof *len; n++) {
			bool brief = len[n] + 40 < row->brief.len;
			size_t heap = brief ? 0 : row->heap, depth = brief ? row->brief.depth : row->depth;
			struct figure took = { 0, 0 };

			if (!brief && !row_takes_long(row))
				continue;
			row_message = len[n];
			for (size_t s = 0; s < SPECS; s++) {
				if (row_takes(row, specs[s]))
					row_uses(row, &pairs[s], brief ? visit_once : visit_measure, &took);
			}
			row_message = 96;
			report(brief ? "brief" : "long", row->name, took, heap, depth);
			shorter |= took.depth > depth || (brief && took.heap > heap);
		}
	}
	assert_false(shorter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(rows), cmocka_unit_test(lengths) };

	return cmocka_run_group_tests(tests, pairs_setup, NULL);
}
