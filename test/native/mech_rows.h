/* mech_rows.h - every kind and every row with something to do: keys,
 * parameters and inputs, for tests that must hold for all of them. */
#ifndef STRONGROOM_MECH_ROWS_H
#define STRONGROOM_MECH_ROWS_H

#include "mech/known_answers.h"
#include "mech_known.h"

#define UNUSED __attribute__((unused))

/* ---- kinds ------------------------------------------------------------------------ */

static const hsm_spec specs[] = {
	{ HSM_KEY_GENERIC, 512 }, { HSM_KEY_HKDF, 256 }, { HSM_KEY_KDK, 256 }, { HSM_KEY_AES, 128 }, { HSM_KEY_AES, 192 },
	{ HSM_KEY_AES, 256 }, { HSM_KEY_AES_XTS, 512 }, { HSM_KEY_CHACHA20, 256 }, { HSM_KEY_RSA, 2048 },
	{ HSM_KEY_EC, HSM_P224 }, { HSM_KEY_EC, HSM_P256 }, { HSM_KEY_EC, HSM_P384 }, { HSM_KEY_EC, HSM_P521 },
	{ HSM_KEY_EC, HSM_SECP256K1 }, { HSM_KEY_EDWARDS, HSM_ED25519 }, { HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ HSM_KEY_ML_DSA, 44 }, { HSM_KEY_ML_DSA, 65 }, { HSM_KEY_ML_DSA, 87 }, { HSM_KEY_ML_KEM, 512 },
	{ HSM_KEY_ML_KEM, 768 }, { HSM_KEY_ML_KEM, 1024 }, { HSM_KEY_DES3, 192 },
};
#define SPECS (sizeof specs / sizeof *specs)

/* Under valgrind, where all is fifty times as slow: keys of each kind still,
 * the slowest curves and sets and the making of RSA keys left out. */
static UNUSED bool
hurried(void)
{
	return getenv("STRONGROOM_SLOW") != NULL;
}

static UNUSED bool
left_out(hsm_spec spec)
{
	if (!hurried())
		return false;
	return (spec.type == HSM_KEY_EC && spec.param != HSM_P256 && spec.param != HSM_P384) || (spec.type == HSM_KEY_ML_DSA && spec.param != 44)
	       || (spec.type == HSM_KEY_ML_KEM && spec.param != 768);
}

struct pair { struct secret material, spki; struct key key, pub; };
static struct pair pairs[SPECS];

struct kind_job { const struct kind *kind; hsm_spec spec; struct pair *pair; };

static UNUSED hsm_status
rsa_known(struct pair *pair)
{
	static struct bytes b;
	struct key key = key_of(HSM_KEY_RSA, PART_PRIVATE, (hsm_in){ known_rsa_pkcs8, sizeof known_rsa_pkcs8 });
	hsm_out out = room(&b);
	hsm_status st = key.kind->publish(&key, &out);

	key_unload(&key);
	if (st == HSM_OK && (st = secret_copy(&pair->spki, out_in(out))) == HSM_OK)
		st = secret_copy(&pair->material, (hsm_in){ known_rsa_pkcs8, sizeof known_rsa_pkcs8 });
	return st;
}

/* Keys of a kind that makes none come from here. */
static UNUSED hsm_status
job_generate(void *arg)
{
	static const hsm_params none;
	struct kind_job *j = arg;

	if (hurried() && j->spec.type == HSM_KEY_RSA)
		return rsa_known(j->pair);
	if (j->kind->generate == NULL)
		return secret_copy(&j->pair->material, hex("0123456789abcdef23456789abcdef01456789abcdef0123"));
	return j->kind->generate(j->spec, &none, &j->pair->material, &j->pair->spki);
}

static UNUSED hsm_status
job_load(void *arg)
{
	struct kind_job *j = arg;

	return key_load(&j->pair->key, j->kind->type, j->pair->spki.ptr == NULL ? PART_SECRET : PART_PRIVATE, secret_in(&j->pair->material));
}

static UNUSED hsm_status
job_load_public(void *arg)
{
	struct kind_job *j = arg;

	return key_load(&j->pair->pub, j->kind->type, PART_PUBLIC, secret_in(&j->pair->spki));
}

static UNUSED hsm_status
job_consistent(void *arg)
{
	struct kind_job *j = arg;

	return j->kind->consistent(&j->pair->key);
}

static UNUSED hsm_status
job_publish(void *arg)
{
	static struct bytes b;
	struct kind_job *j = arg;
	hsm_out out = room(&b);

	return j->kind->publish(&j->pair->key, &out);
}

/* Every component, then the key made from them again. */
static UNUSED hsm_status
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

		st = j->kind->component(&j->pair->key, all[i], &out);
		if (st == HSM_OK)
			attrs[n++] = (hsm_attr){ all[i], out_in(out) };
		else if (st != HSM_E_ATTR_TYPE)
			return st;
	}
	st = j->kind->compose(j->pair->key.part, attrs, n, &again);
	secret_wipe(&again);
	return st;
}

/* Keys of all kinds, loaded; public ones beside private ones. */
static UNUSED int
pairs_setup(void **state)
{
	if (mech_setup(state) != 0)
		return -1;
	for (size_t i = 0; i < SPECS; i++) {
		struct kind_job j = { kind_find(specs[i].type), specs[i], &pairs[i] };

		if (left_out(specs[i]))
			continue;
		if (job_generate(&j) != HSM_OK || job_load(&j) != HSM_OK || (pairs[i].spki.ptr != NULL && job_load_public(&j) != HSM_OK))
			return -1;
	}
	return 0;
}

/* ---- rows ---------------------------------------------------------------------------- */

/* One use of a row. pub: the key that verifies and encrypts. */
struct row_job {
	const struct mech *row;
	const struct key *key, *pub;
	hsm_params params;
	uint32_t use;
	hsm_in in, sig;
	hsm_out out;
	struct secret made;
};

static UNUSED hsm_status
job_once(void *arg)
{
	struct row_job *j = arg;

	switch (j->use) {
	case MECH_ENCRYPT: return j->row->seal(j->pub, &j->params, j->in, &j->out);
	case MECH_DECRYPT: return j->row->open(j->key, &j->params, j->in, &j->out);
	case MECH_SIGN: return j->row->sign(j->key, &j->params, j->in, &j->out);
	case MECH_VERIFY: return j->row->verify(j->pub, &j->params, j->in, j->sig);
	case MECH_RECOVER: return j->row->recover(j->pub, &j->params, j->sig, &j->out);
	case MECH_DIGEST: return j->row->digest(&j->params, j->in, &j->out);
	case MECH_DERIVE: return j->row->derive(j->key, &j->params, 0, &j->made);
	case MECH_ENCAP: return j->row->encap(j->pub, &j->params, &j->out, &j->made);
	case MECH_DECAP: return j->row->decap(j->key, &j->params, j->in, &j->made);
	default: return HSM_E_ARGS;
	}
}

/* In two parts; what comes out is joined. */
static UNUSED hsm_status
job_stream(void *arg)
{
	struct row_job *j = arg;
	struct stream s = { .mech = j->row, .use = j->use, .params = j->params,
		.key = j->use == MECH_DIGEST ? NULL : j->use == MECH_SIGN || j->use == MECH_DECRYPT ? j->key : j->pub };
	size_t half = j->in.len / 2 + 1, cap = j->out.cap, len = 0;
	hsm_out out = { j->out.ptr, cap, 0 };
	hsm_status st;

	if ((st = j->row->begin(&s)) != HSM_OK)
		goto out;
	if ((st = j->row->update(&s, (hsm_in){ j->in.ptr, half }, &out)) != HSM_OK)
		goto out;
	len = out.len;
	out = (hsm_out){ j->out.ptr + len, cap - len, 0 };
	if ((st = j->row->update(&s, (hsm_in){ j->in.ptr + half, j->in.len - half }, &out)) != HSM_OK)
		goto out;
	len += out.len;
	out = (hsm_out){ j->out.ptr + len, cap - len, 0 };
	st = j->row->final(&s, j->sig, &out);
	len += out.len;
out:
	j->row->end(&s);
	j->out.len = len;
	return st;
}

static UNUSED bool
job_streams(const struct row_job *j)
{
	return (j->row->flags & MECH_STREAM) != 0 && j->use != MECH_RECOVER;
}

static UNUSED void
params_fill(const struct mech *row, const struct pair *pair, hsm_params *p)
{
	static const uint8_t zero[16];

	*p = (hsm_params){ .hash = row->hash != HSM_HASH_NONE ? row->hash : HSM_SHA512, .mgf = HSM_SHA512,
		.salt_len = HSM_SALT_DIGEST, .iterations = 2, .tag_bits = 128, .iv = { zero, 16 }, .label = text("label"),
		.salt = text("salt"), .data = { zero, 16 }, .flags = HSM_PARAM_EXTRACT | HSM_PARAM_EXPAND,
		.peer = { pair->spki.ptr, pair->spki.len } };
	switch (row->id) {
	case HSM_AES_GCM: case HSM_AES_CCM: case HSM_CHACHA20_POLY1305: case HSM_AES_GMAC: p->iv.len = 12; break;
	case 0x132: case 0x133: case 0x136: case HSM_AES_KEY_WRAP: p->iv.len = 8; break;
	case HSM_AES_KEY_WRAP_KWP: case 0x210A: case 0x210C: p->iv.len = 0; break;
	case HSM_EDDSA: p->label.len = 0; break;
	default: break;
	}
}

typedef void row_visit(struct row_job *j, void *arg);

/* Where there is a slot for this use: done once (what came out stays in
 * j->out for the next use), then visited. */
static UNUSED void
row_use(struct row_job *j, uint32_t use, struct bytes *to, hsm_in in, hsm_in sig, row_visit *visit, void *arg)
{
	hsm_status st;

	j->use = use;
	j->in = in;
	j->sig = sig;
	j->out = room(to);
	if ((st = job_once(j)) != HSM_OK)
		print_message("%s, use %x\n", j->row->name, use);
	assert_status(st, HSM_OK);
	secret_wipe(&j->made);
	visit(j, arg);
}

/* Bytes of a message, at most 8192. */
static UNUSED size_t row_message = 96;

/* Visits each use of a row with a key of the pair. */
static UNUSED void
row_uses(const struct mech *row, const struct pair *pair, row_visit *visit, void *arg)
{
	static struct bytes sealed, sig, clear;
	static const uint8_t zero[8192];
	struct row_job j = { .row = row, .key = &pair->key, .pub = pair->spki.ptr == NULL ? &pair->key : &pair->pub };
	hsm_in in = { zero, row_message }, made;

	params_fill(row, pair, &j.params);
	if (row->id == HSM_RSA_PSS || row->id == HSM_HASH_ML_DSA)
		in.len = 64;
	if (row->id == HSM_RSA_X_509)
		in = text("not zero");
	if (row->digest != NULL)
		row_use(&j, MECH_DIGEST, &clear, in, HSM_NONE, visit, arg);
	made = in;
	if (row->seal != NULL) {
		row_use(&j, MECH_ENCRYPT, &sealed, in, HSM_NONE, visit, arg);
		made = out_in(j.out);
	}
	if (row->open != NULL && row->id != 0x136)      /* there is no padded DES3 to open */
		row_use(&j, MECH_DECRYPT, &clear, made, HSM_NONE, visit, arg);
	if (row->sign != NULL) {
		row_use(&j, MECH_SIGN, &sig, in, HSM_NONE, visit, arg);
		made = out_in(j.out);
		row_use(&j, MECH_VERIFY, &clear, in, made, visit, arg);
	}
	if (row->recover != NULL)
		row_use(&j, MECH_RECOVER, &clear, HSM_NONE, made, visit, arg);
	if (row->derive != NULL)
		row_use(&j, MECH_DERIVE, &clear, HSM_NONE, HSM_NONE, visit, arg);
	if (row->encap != NULL) {
		row_use(&j, MECH_ENCAP, &sealed, HSM_NONE, HSM_NONE, visit, arg);
		row_use(&j, MECH_DECAP, &clear, out_in(j.out), HSM_NONE, visit, arg);
	}
}

static UNUSED bool
row_takes(const struct mech *row, hsm_spec spec)
{
	/* Hurried: of the many hashes of a public-key mechanism one stands for all. */
	if (left_out(spec) || (hurried() && (spec.type == HSM_KEY_RSA || spec.type == HSM_KEY_EC || spec.type == HSM_KEY_ML_DSA)
	                       && row->hash != HSM_HASH_NONE && row->hash != HSM_SHA256))
		return false;
	if (row->id == HSM_ECDH1_DERIVE || row->id == HSM_ECDH1_COFACTOR_DERIVE)
		return spec.type == HSM_KEY_EC || spec.type == HSM_KEY_MONTGOMERY;
	if (row->key_type == HSM_KEY_ANY)
		return spec.type == HSM_KEY_GENERIC;
	return row->key_type == spec.type;
}

/* Every use of every row with every key that fits. */
static UNUSED void
all_uses(row_visit *visit, void *arg)
{
	const struct mech *row;

	for (size_t i = 0; (row = mech_at(i)) != NULL; i++) {
		for (size_t s = 0; s < SPECS; s++) {
			if (row_takes(row, specs[s]))
				row_uses(row, &pairs[s], visit, arg);
		}
	}
}

#endif
