/* mech_measure_test.c - what rows and kinds say they need, against what they
 * take: arena bytes (the promise an operation is given) and stack depth (what
 * is wiped after it). A figure below what was measured fails; with
 * MEASURE=1 in the environment every row is printed. */
#include "mech_known.h"

/* ---- counting what is allocated (linked with --wrap) --------------------------- */

void *__real_arena_alloc(size_t len);
void __real_arena_free(void *ptr);
void *__wrap_arena_alloc(size_t len);
void __wrap_arena_free(void *ptr);

static size_t live, peak;

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
	if (arena_run_depth() > f->depth)
		f->depth = arena_run_depth();
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

static const hsm_spec specs[] = {
	{ HSM_KEY_GENERIC, 512 }, { HSM_KEY_HKDF, 256 }, { HSM_KEY_KDK, 256 }, { HSM_KEY_AES, 128 }, { HSM_KEY_AES, 192 },
	{ HSM_KEY_AES, 256 }, { HSM_KEY_AES_XTS, 512 }, { HSM_KEY_CHACHA20, 256 }, { HSM_KEY_RSA, 2048 },
	{ HSM_KEY_EC, HSM_P224 }, { HSM_KEY_EC, HSM_P256 }, { HSM_KEY_EC, HSM_P384 }, { HSM_KEY_EC, HSM_P521 },
	{ HSM_KEY_EC, HSM_SECP256K1 }, { HSM_KEY_EDWARDS, HSM_ED25519 }, { HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ HSM_KEY_ML_DSA, 44 }, { HSM_KEY_ML_DSA, 65 }, { HSM_KEY_ML_DSA, 87 }, { HSM_KEY_ML_KEM, 512 },
	{ HSM_KEY_ML_KEM, 768 }, { HSM_KEY_ML_KEM, 1024 },
};
#define SPECS (sizeof specs / sizeof *specs)

struct pair { struct secret material, spki; struct key key, pub; };
static struct pair pairs[SPECS];
static struct pair des3;

struct kind_job { const struct kind *kind; hsm_spec spec; struct pair *pair; };

static hsm_status
job_generate(void *arg)
{
	static const hsm_params none;
	struct kind_job *j = arg;

	return j->kind->generate(j->spec, &none, &j->pair->material, &j->pair->spki);
}

static hsm_status
job_load(void *arg)
{
	struct kind_job *j = arg;

	return key_load(&j->pair->key, j->kind->type, j->pair->spki.ptr == NULL ? PART_SECRET : PART_PRIVATE, secret_in(&j->pair->material));
}

static hsm_status
job_load_public(void *arg)
{
	struct kind_job *j = arg;

	return key_load(&j->pair->pub, j->kind->type, PART_PUBLIC, secret_in(&j->pair->spki));
}

static hsm_status
job_consistent(void *arg)
{
	struct kind_job *j = arg;

	return j->kind->consistent(&j->pair->key);
}

static hsm_status
job_publish(void *arg)
{
	static struct bytes b;
	struct kind_job *j = arg;
	hsm_out out = room(&b);

	return j->kind->publish(&j->pair->key, &out);
}

/* Every component, then the key made from them again. */
static hsm_status
job_compose(void *arg)
{
	static const uint32_t all[] = {
		HSM_ATTR_VALUE, HSM_ATTR_MODULUS, HSM_ATTR_PUBLIC_EXPONENT, HSM_ATTR_PRIVATE_EXPONENT, HSM_ATTR_EC_PARAMS,
		HSM_ATTR_PARAMETER_SET, HSM_ATTR_SEED,
	};
	static struct bytes b[7];
	struct kind_job *j = arg;
	struct secret again = SECRET_NONE;
	hsm_attr attrs[7];
	size_t n = 0;
	hsm_status st;

	for (size_t i = 0; i < 7; i++) {
		hsm_out out = room(&b[i]);

		if (j->kind->component(&j->pair->key, all[i], &out) == HSM_OK)
			attrs[n++] = (hsm_attr){ all[i], out_in(out) };
	}
	st = j->kind->compose(j->pair->key.part, attrs, n, &again);
	secret_wipe(&again);
	return st;
}

static void
kinds(void **state)
{
	bool shorter = false;

	(void)state;
	for (size_t i = 0; i < SPECS; i++) {
		const struct kind *kind = kind_find(specs[i].type);
		struct kind_job j = { kind, specs[i], &pairs[i] };
		struct figure made = { 0, 0 }, load = { 0, 0 }, other = { 0, 0 };
		char name[40];
		size_t before, factor = specs[i].type == HSM_KEY_RSA ? 3 : 1, depth;

		snprintf(name, sizeof name, "%s %u", kind->name, specs[i].param);
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

struct row_job {
	const struct mech *row;
	const struct pair *pair;
	hsm_params params;
	uint32_t use;
	hsm_in in, sig;
	hsm_out out;
	struct secret made;
	hsm_params stream_params;
};

static hsm_status
job_once(void *arg)
{
	struct row_job *j = arg;
	const struct key *pub = j->pair->spki.ptr == NULL ? &j->pair->key : &j->pair->pub;

	switch (j->use) {
	case MECH_ENCRYPT: return j->row->seal(pub, &j->params, j->in, &j->out);
	case MECH_DECRYPT: return j->row->open(&j->pair->key, &j->params, j->in, &j->out);
	case MECH_SIGN: return j->row->sign(&j->pair->key, &j->params, j->in, &j->out);
	case MECH_VERIFY: return j->row->verify(pub, &j->params, j->in, j->sig);
	case MECH_RECOVER: return j->row->recover(pub, &j->params, j->sig, &j->out);
	case MECH_DIGEST: return j->row->digest(&j->params, j->in, &j->out);
	case MECH_DERIVE: return j->row->derive(&j->pair->key, &j->params, 0, &j->made);
	case MECH_ENCAP: return j->row->encap(pub, &j->params, &j->out, &j->made);
	case MECH_DECAP: return j->row->decap(&j->pair->key, &j->params, j->in, &j->made);
	default: return HSM_E_ARGS;
	}
}

static hsm_status
job_stream(void *arg)
{
	static struct bytes b;
	struct row_job *j = arg;
	bool private = j->pair->spki.ptr != NULL && (j->use == MECH_SIGN || j->use == MECH_DECRYPT);
	struct stream s = { .mech = j->row, .use = j->use, .params = j->params,
		.key = j->use == MECH_DIGEST ? NULL : private || j->pair->spki.ptr == NULL ? &j->pair->key : &j->pair->pub };
	hsm_out out = room(&b), end = room(&b);
	hsm_status st;

	if ((st = j->row->begin(&s)) == HSM_OK && (st = j->row->update(&s, j->in, &out)) == HSM_OK)
		st = j->row->final(&s, j->sig, &end);
	j->row->end(&s);
	return st;
}

static void
use_measure(struct figure *f, struct row_job *j, uint32_t use, hsm_in in, hsm_in sig)
{
	hsm_out out = j->out;
	hsm_status st;

	if ((j->row->flags & use) == 0)
		return;
	j->use = use;
	j->in = in;
	j->sig = sig;
	st = measure(f, job_once, j);
	if (st != HSM_OK)
		print_message("%s use %x\n", j->row->name, use);
	assert_status(st, HSM_OK);
	secret_wipe(&j->made);
	if ((j->row->flags & MECH_STREAM) == 0 || use == MECH_RECOVER)
		return;
	out = j->out;
	assert_status(measure(f, job_stream, j), HSM_OK);
	j->out = out;
}

static void
params_fill(struct row_job *j)
{
	static const uint8_t zero[16];
	hsm_params *p = &j->params;

	*p = (hsm_params){ .hash = HSM_SHA512, .mgf = HSM_SHA512, .salt_len = HSM_SALT_DIGEST, .iterations = 2, .tag_bits = 128 };
	p->iv = (hsm_in){ zero, 16 };
	p->label = text("label");
	p->salt = text("salt");
	p->data = (hsm_in){ zero, 16 };
	p->peer = secret_in(&j->pair->spki);
	p->flags = HSM_PARAM_EXTRACT | HSM_PARAM_EXPAND;
	switch (j->row->id) {
	case HSM_AES_GCM: case HSM_AES_CCM: case HSM_CHACHA20_POLY1305: case HSM_AES_GMAC: p->iv.len = 12; break;
	case 0x132: case 0x133: case 0x136: case HSM_AES_KEY_WRAP: p->iv.len = 8; break;
	case HSM_AES_KEY_WRAP_KWP: case 0x210A: case 0x210C: p->iv.len = 0; break;
	case HSM_EDDSA: p->label.len = 0; break;
	default: break;
	}
	if (j->row->hash != HSM_HASH_NONE)
		p->hash = j->row->hash;
}

static void
row_measure(struct figure *f, const struct mech *row, const struct pair *pair)
{
	static struct bytes sealed, sig, clear;
	static const uint8_t zero[96];
	struct row_job j = { .row = row, .pair = pair };
	hsm_in in = { zero, sizeof zero };

	params_fill(&j);
	if (row->id == HSM_RSA_PSS || row->id == HSM_HASH_ML_DSA)
		in.len = 64;
	if (row->id == HSM_RSA_X_509)
		in = text("not zero");
	j.out = room(&sealed);
	use_measure(f, &j, MECH_DIGEST, in, HSM_NONE);
	use_measure(f, &j, MECH_ENCRYPT, in, HSM_NONE);
	if ((row->flags & MECH_ENCRYPT) == 0 && (row->flags & MECH_WRAP) != 0) {
		j.use = MECH_ENCRYPT;
		j.in = in;
		assert_status(measure(f, job_once, &j), HSM_OK);
		j.use = MECH_DECRYPT;
		j.in = out_in(j.out);
		j.out = room(&clear);
		assert_status(measure(f, job_once, &j), HSM_OK);
	}
	if ((row->flags & MECH_DECRYPT) != 0 && row->id != 0x136) {
		hsm_in ct = (row->flags & MECH_ENCRYPT) != 0 ? out_in(j.out) : in;

		j.out = room(&clear);
		use_measure(f, &j, MECH_DECRYPT, ct, HSM_NONE);
	}
	j.out = room(&sig);
	use_measure(f, &j, MECH_SIGN, in, HSM_NONE);
	if ((row->flags & MECH_SIGN) != 0) {
		hsm_in made = out_in(j.out);

		use_measure(f, &j, MECH_VERIFY, in, made);
		j.out = room(&clear);
		use_measure(f, &j, MECH_RECOVER, HSM_NONE, made);
	}
	use_measure(f, &j, MECH_DERIVE, HSM_NONE, HSM_NONE);
	j.out = room(&sealed);
	use_measure(f, &j, MECH_ENCAP, HSM_NONE, HSM_NONE);
	if ((row->flags & MECH_DECAP) != 0)
		use_measure(f, &j, MECH_DECAP, out_in(j.out), HSM_NONE);
}

static bool
row_takes(const struct mech *row, hsm_spec spec)
{
	if (row->id == HSM_ECDH1_DERIVE || row->id == HSM_ECDH1_COFACTOR_DERIVE)
		return spec.type == HSM_KEY_EC || spec.type == HSM_KEY_MONTGOMERY;
	if (row->key_type == HSM_KEY_ANY)
		return spec.type == HSM_KEY_GENERIC;
	return row->key_type == spec.type;
}

static void
rows(void **state)
{
	const struct mech *row;
	bool shorter = false;

	(void)state;
	des3.key = key_of(HSM_KEY_DES3, PART_SECRET, hex("0123456789abcdef23456789abcdef01456789abcdef0123"));
	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		struct figure took = { 0, 0 };
		size_t factor = row->key_type == HSM_KEY_RSA ? 2 : 1;

		if (row->key_type == HSM_KEY_DES3)
			row_measure(&took, row, &des3);
		for (size_t s = 0; s < SPECS; s++) {
			if (row_takes(row, specs[s]))
				row_measure(&took, row, &pairs[s]);
		}
		took.heap *= factor;
		report("row", row->name, took, row->heap, row->depth);
		shorter |= took.heap > row->heap || took.depth > row->depth;
	}
	assert_false(shorter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(kinds), cmocka_unit_test(rows) };

	return cmocka_run_group_tests(tests, mech_setup, NULL);
}
