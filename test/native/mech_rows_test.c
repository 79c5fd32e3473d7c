/* mech_rows_test.c - what every row and kind promises: sizes can be asked for
 * and spend nothing, short rooms are refused, many parts come out as one, a
 * changed bit does not verify, and whatever allocation fails, nothing half-made
 * stays behind. */
#include "mech_rows.h"

/* ---- sizes and rooms ----------------------------------------------------------------- */

static bool
writes(const struct row_job *j)
{
	return j->use != MECH_VERIFY && j->use != MECH_DERIVE && j->use != MECH_DECAP;
}

/* Out as long as its room: any length is the right one. */
static bool
extends(const struct row_job *j)
{
	return j->row->id == HSM_SHAKE128_ || j->row->id == HSM_SHAKE256_;
}

static void
visit_sizes(struct row_job *j, void *arg)
{
	static struct bytes b;
	hsm_out whole = j->out;

	(void)arg;
	if (!writes(j) || extends(j))
		return;
	j->out = (hsm_out){ NULL, 0, 0 };
	assert_status(job_once(j), HSM_OK);
	secret_wipe(&j->made);
	assert_true(j->out.len >= whole.len);           /* an upper bound is allowed */
	if (whole.len > 0) {
		memset(b.at, 0x5A, sizeof b.at);
		j->out = (hsm_out){ b.at, whole.len - 1, 0 };
		assert_status(job_once(j), HSM_E_BUFFER);
		assert_true(j->out.len >= whole.len);
		assert_int_equal(b.at[whole.len - 1], 0x5A);
	}
	j->out = (hsm_out){ b.at, whole.len, 0 };
	assert_status(job_once(j), HSM_OK);             /* the exact room is enough */
	secret_wipe(&j->made);
	j->out = whole;
}

static void
sizes(void **state)
{
	(void)state;
	all_uses(visit_sizes, NULL);
}

/* ---- many parts ------------------------------------------------------------------------ */

/* Random where it signs or encrypts: then what comes out is checked by undoing. */
static bool
repeats(const struct row_job *j)
{
	struct row_job again = *j;
	static struct bytes b;

	again.out = room(&b);
	assert_status(job_once(&again), HSM_OK);
	secret_wipe(&again.made);
	return again.out.len == j->out.len && memcmp(again.out.ptr, j->out.ptr, j->out.len) == 0;
}

static void
visit_parts(struct row_job *j, void *arg)
{
	static struct bytes b;
	hsm_out whole = j->out;

	(void)arg;
	if (!job_streams(j))
		return;
	j->out = room(&b);
	assert_status(job_stream(j), HSM_OK);
	if (writes(j) && repeats(j))
		assert_bytes(out_in(j->out), out_in(whole));
	else if (j->use == MECH_SIGN)
		assert_status(j->row->verify(j->pub, &j->params, j->in, out_in(j->out)), HSM_OK);
	j->out = whole;
}

static void
parts(void **state)
{
	(void)state;
	all_uses(visit_parts, NULL);
}

/* A stream may be left at any point; end gives all back. */
static void
visit_leave(struct row_job *j, void *arg)
{
	static struct bytes b;
	hsm_out out = room(&b);
	struct stream s = { .mech = j->row, .use = j->use, .params = j->params, .key = j->use == MECH_DIGEST ? NULL : j->key };
	size_t before = arena_live();

	(void)arg;
	if (!job_streams(j))
		return;
	assert_status(j->row->begin(&s), HSM_OK);
	j->row->end(&s);
	assert_int_equal(arena_live(), before);
	s.ctx = NULL;
	assert_status(j->row->begin(&s), HSM_OK);
	assert_status(j->row->update(&s, j->in, &out), HSM_OK);
	j->row->end(&s);
	assert_int_equal(arena_live(), before);
}

static void
left_alone(void **state)
{
	(void)state;
	all_uses(visit_leave, NULL);
}

/* Digest states can be taken over in the middle. */
static void
clones(void **state)
{
	const struct mech *row;

	(void)state;
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		struct stream one = { .mech = row, .use = MECH_DIGEST }, other = one;
		struct bytes a, b;
		hsm_out x = room(&a), y = room(&b);

		if (row->clone == NULL || (row->flags & MECH_DIGEST) == 0)
			continue;
		assert_status(row->begin(&one), HSM_OK);
		assert_status(row->update(&one, text("one way "), NULL), HSM_OK);
		assert_status(row->clone(&one, &other), HSM_OK);
		assert_status(row->update(&one, text("or another"), NULL), HSM_OK);
		assert_status(row->update(&other, text("or another"), NULL), HSM_OK);
		assert_status(row->final(&one, HSM_NONE, &x), HSM_OK);
		assert_status(row->final(&other, HSM_NONE, &y), HSM_OK);
		assert_bytes(out_in(x), out_in(y));
		row->end(&one);
		row->end(&other);
	}
}

/* ---- changed bits ------------------------------------------------------------------------ */

/* Where a change must show: signatures, MACs, and what carries a tag. */
static bool
guarded(const struct row_job *j)
{
	switch (j->row->id) {
	case HSM_AES_GCM: case HSM_AES_CCM: case HSM_CHACHA20_POLY1305: case HSM_AES_KEY_WRAP: case HSM_AES_KEY_WRAP_KWP:
	case 0x210A: case 0x210C: case HSM_RSA_OAEP: case HSM_RSA_AES_KEY_WRAP:
		return j->use == MECH_DECRYPT;
	default:
		return j->use == MECH_VERIFY;
	}
}

static void
visit_change(struct row_job *j, void *arg)
{
	static struct bytes changed, b;
	hsm_in *from = j->use == MECH_VERIFY ? &j->sig : &j->in, kept = *from;
	hsm_out whole = j->out;
	size_t step;

	(void)arg;
	if (!guarded(j))
		return;
	step = kept.len > 128 ? 97 : 7;                 /* RSA and ML-DSA: fewer */
	if (hurried())
		step = kept.len * 8 / 2 + 1;
	memcpy(changed.at, kept.ptr, kept.len);
	*from = (hsm_in){ changed.at, kept.len };
	for (size_t bit = 0; bit < kept.len * 8; bit += step) {
		changed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
		j->out = room(&b);
		assert_true(job_once(j) != HSM_OK);
		if (j->use == MECH_DECRYPT)
			assert_int_equal(j->out.len, 0);
		changed.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	from->len = kept.len - 1;
	j->out = room(&b);
	assert_true(job_once(j) != HSM_OK);
	*from = kept;
	j->out = whole;
}

static void
changed_bits(void **state)
{
	(void)state;
	all_uses(visit_change, NULL);
}

/* ---- allocations that fail ----------------------------------------------------------------- */

#ifdef STRONGROOM_FAULTS
/* Each allocation on the path fails once. */
static void
fail_each(hsm_status (*fn)(void *arg), void *arg, void (*undo)(void *arg), const char *what)
{
	for (unsigned n = 0;; n += hurried() ? 7 : 1) {
		size_t before = arena_live();
		hsm_status st;

		fault_after(n);
		st = fn(arg);
		fault_off();
		if (!fault_fired()) {
			assert_status(st, HSM_OK);
			undo(arg);
			return;
		}
		/* AWS-LC goes without some things it wanted (a cached blinding):
		 * then the answer is right as well. */
		if (st == HSM_OK)
			undo(arg);
		else if (st != HSM_E_MEMORY)
			print_message("%s, allocation %u: %s\n", what, n, hsm_status_name(st));
		assert_true(st == HSM_OK || st == HSM_E_MEMORY);
		assert_true(arena_live() <= before + (st == HSM_OK));
	}
}

static void
undo_row(void *arg)
{
	struct row_job *j = arg;

	secret_wipe(&j->made);
}

static void
visit_fail(struct row_job *j, void *arg)
{
	hsm_out whole = j->out;
	static struct bytes b;

	(void)arg;
	if (hurried() && j->row->key_type == HSM_KEY_RSA)
		return;
	j->out = room(&b);
	fail_each(job_once, j, undo_row, j->row->name);
	if (job_streams(j))
		fail_each(job_stream, j, undo_row, j->row->name);
	j->out = whole;
}

static void
rows_without_memory(void **state)
{
	(void)state;
	all_uses(visit_fail, NULL);
}

static void
undo_nothing(void *arg)
{
	(void)arg;
}

static void
undo_generate(void *arg)
{
	struct kind_job *j = arg;

	secret_wipe(&j->pair->material);
	secret_wipe(&j->pair->spki);
}

static void
undo_load(void *arg)
{
	struct kind_job *j = arg;

	key_unload(&j->pair->key);
}

static void
kinds_without_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		struct pair fresh = { SECRET_NONE, SECRET_NONE, { 0 }, { 0 } };
		struct kind_job make = { kind_find(specs[i].type), specs[i], &fresh }, use = { make.kind, specs[i], &pairs[i] };

		if (left_out(specs[i]))
			continue;
		/* Making RSA keys allocates thousands of times and is a lottery. */
		if (specs[i].type != HSM_KEY_RSA)
			fail_each(job_generate, &make, undo_generate, make.kind->name);
		fresh.material = pairs[i].material;     /* on loan */
		fresh.spki = pairs[i].spki;
		fail_each(job_load, &make, undo_load, make.kind->name);
		if (use.kind->component != NULL)
			fail_each(job_compose, &use, undo_nothing, make.kind->name);
		if (use.kind->consistent != NULL && pairs[i].spki.ptr != NULL) {
			fail_each(job_consistent, &use, undo_nothing, make.kind->name);
			fail_each(job_publish, &use, undo_nothing, make.kind->name);
		}
	}
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes), cmocka_unit_test(parts), cmocka_unit_test(left_alone), cmocka_unit_test(clones),
		cmocka_unit_test(changed_bits),
#ifdef STRONGROOM_FAULTS
		cmocka_unit_test(rows_without_memory), cmocka_unit_test(kinds_without_memory),
#endif
	};

	return cmocka_run_group_tests(tests, pairs_setup, NULL);
}
