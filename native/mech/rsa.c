/* rsa.c - the RSA kind. Numbers are checked whole when a key is loaded: n is
 * p q, d inverts e, the CRT numbers are d's (RSA_check_key).
 *
 * AWS-LC blinds every private operation and checks its result with the public
 * exponent before it leaves, so that a fault in a CRT half gives no signature
 * (rsa_impl.c, rsa_default_private_transform). */
#include "rsa.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/mem.h>
#include <openssl/sha.h>

#include "primitive.h"

/* FIPS 186-5: odd, above 2^16. AWS-LC makes keys with up to 32 bits of it.
 * params->data: big-endian, empty for 65537. */
static hsm_status
exponent_read(hsm_in bytes, BIGNUM *e)
{
	if (bytes.len == 0)
		return BN_set_word(e, RSA_F4) ? HSM_OK : HSM_E_MEMORY;
	if (bytes.len > 512 || BN_bin2bn(bytes.ptr, bytes.len, e) == NULL)
		return HSM_E_ATTR_VALUE;
	return BN_is_odd(e) && BN_num_bits(e) > 16 && BN_num_bits(e) <= 32 ? HSM_OK : HSM_E_ATTR_VALUE;
}

static hsm_status
rsa_write(RSA *rsa, struct secret *material, struct secret *pub, enum key_part part)
{
	EVP_PKEY *pkey = EVP_PKEY_new();
	hsm_status st = HSM_E_MEMORY;

	if (pkey == NULL || !EVP_PKEY_set1_RSA(pkey, rsa))
		goto out;
	st = part == PART_PUBLIC ? der_public_secret(pkey, material) : der_private(pkey, material);
	if (st == HSM_OK && pub != NULL && (st = der_public_secret(pkey, pub)) != HSM_OK)
		secret_wipe(material);
out:
	EVP_PKEY_free(pkey);
	return st == HSM_OK ? st : library_status(st);
}

static hsm_status
rsa_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	BIGNUM *e = BN_new();
	RSA *rsa = RSA_new();
	hsm_status st = HSM_E_KEY_SIZE;

	if (spec.param < RSA_BITS_MIN || spec.param > RSA_BITS_MAX || spec.param % 128 != 0)
		goto out;
	st = HSM_E_MEMORY;
	if (e == NULL || rsa == NULL)
		goto out;
	if ((st = exponent_read(params->data, e)) != HSM_OK)
		goto out;
	st = HSM_E_CRYPTO;
	if (!RSA_generate_key_ex(rsa, (int)spec.param, e, NULL) || !RSA_check_fips(rsa))
		goto out;
	st = rsa_write(rsa, material, pub, PART_PRIVATE);
out:
	BN_free(e);
	RSA_free(rsa);
	return st == HSM_OK ? st : library_status(st);
}

/* SHA-256 of d, as long as the modulus: the secret behind implicit rejection. */
static hsm_status
reject_make(struct rsa_key *k)
{
	struct secret d = SECRET_NONE;
	hsm_status st = secret_alloc(&d, k->len);

	if (st == HSM_OK && !BN_bn2bin_padded(d.ptr, d.len, RSA_get0_d(k->rsa)))
		st = library_status(HSM_E_KEY_VALUE);
	if (st == HSM_OK)
		SHA256(d.ptr, d.len, k->reject);
	secret_wipe(&d);
	return st;
}

static hsm_status
rsa_load(struct key *key, hsm_in material)
{
	struct rsa_key *k = arena_alloc(sizeof *k);
	hsm_status st;

	if (k == NULL)
		return HSM_E_MEMORY;
	key->ctx = k;
	if ((st = rsa_der_read(key->part, material, &k->pkey)) != HSM_OK)
		return st;
	if (EVP_PKEY_id(k->pkey) != EVP_PKEY_RSA || (k->rsa = EVP_PKEY_get0_RSA(k->pkey)) == NULL)
		return library_status(HSM_E_KEY_VALUE);
	key->spec.param = RSA_bits(k->rsa);
	k->len = RSA_size(k->rsa);
	if (key->spec.param < RSA_BITS_MIN || key->spec.param > RSA_BITS_MAX)
		return HSM_E_KEY_SIZE;
	if (!RSA_check_key(k->rsa))
		return library_status(HSM_E_KEY_VALUE);
	if (key->part != PART_PRIVATE)
		return HSM_OK;
	if (RSA_get0_p(k->rsa) == NULL || RSA_get0_e(k->rsa) == NULL)
		return HSM_E_KEY_VALUE;
	return reject_make(k);
}

static void
rsa_unload(struct key *key)
{
	struct rsa_key *k = key->ctx;

	EVP_PKEY_free(k->pkey);
	arena_free(k);
}

static hsm_status
rsa_publish(const struct key *key, hsm_out *spki)
{
	return der_public(rsa_of(key)->pkey, spki);
}

static hsm_status
number_write(const BIGNUM *number, hsm_out *out)
{
	struct secret bytes = SECRET_NONE;
	hsm_status st;

	if (number == NULL)
		return HSM_E_ATTR_TYPE;
	if ((st = secret_alloc(&bytes, BN_num_bytes(number))) != HSM_OK)
		return st;
	BN_bn2bin(number, bytes.ptr);
	st = out_bytes(out, secret_in(&bytes));
	secret_wipe(&bytes);
	return st;
}

static hsm_status
rsa_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	const RSA *rsa = rsa_of(key)->rsa;

	switch (attr) {
	case HSM_ATTR_MODULUS: return number_write(RSA_get0_n(rsa), out);
	case HSM_ATTR_MODULUS_BITS: return out_number(out, key->spec.param);
	case HSM_ATTR_PUBLIC_EXPONENT: return number_write(RSA_get0_e(rsa), out);
	case HSM_ATTR_PUBLIC_KEY_INFO: return rsa_publish(key, out);
	case HSM_ATTR_PRIVATE_EXPONENT: return number_write(RSA_get0_d(rsa), out);
	case HSM_ATTR_PRIME_1: return number_write(RSA_get0_p(rsa), out);
	case HSM_ATTR_PRIME_2: return number_write(RSA_get0_q(rsa), out);
	case HSM_ATTR_EXPONENT_1: return number_write(RSA_get0_dmp1(rsa), out);
	case HSM_ATTR_EXPONENT_2: return number_write(RSA_get0_dmq1(rsa), out);
	case HSM_ATTR_COEFFICIENT: return number_write(RSA_get0_iqmp(rsa), out);
	default: return HSM_E_ATTR_TYPE;
	}
}

static hsm_status
rsa_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	RSA *rsa = NULL;
	hsm_status st;

	if (part == PART_SECRET)
		return HSM_E_TEMPLATE;
	if ((st = rsa_parts_read(part, attrs, n, &rsa)) != HSM_OK)
		return st;
	st = rsa_write(rsa, material, NULL, part);
	RSA_free(rsa);
	return st;
}

static hsm_status
rsa_consistent(const struct key *key)
{
	static const uint8_t digest[SHA256_DIGEST_LENGTH] = { 1 };
	const struct rsa_key *k = rsa_of(key);
	struct secret sig = SECRET_NONE;
	unsigned len = 0;
	hsm_status st = secret_alloc(&sig, k->len);

	if (st != HSM_OK)
		return st;
	if (!RSA_sign(NID_sha256, digest, sizeof digest, sig.ptr, &len, k->rsa)
	    || !RSA_verify(NID_sha256, digest, sizeof digest, sig.ptr, len, k->rsa))
		st = library_status(HSM_E_SELF_TEST);
	secret_wipe(&sig);
	return st;
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_RSA, .name = "RSA", .heap = 24576, .work = 131072, .depth = 12288, .slow = true, .generate = rsa_generate, .load = rsa_load,
	  .unload = rsa_unload, .publish = rsa_publish, .component = rsa_component, .compose = rsa_compose,
	  .consistent = rsa_consistent },
};

static bool
made_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	(void)use;
	(void)params;
	return key->spec.param >= 2048;
}

static const struct mech rows[] = {
	{ .id = HSM_RSA_KEY_PAIR_GEN, .name = "RSA_PKCS_KEY_PAIR_GEN", .key_type = HSM_KEY_RSA, .min_bits = RSA_BITS_MIN,
	  .max_bits = RSA_BITS_MAX, .flags = MECH_GENERATE | MECH_SLOW | MECH_APPROVED, .heap = 131072, .depth = 12288,
	  .approved = made_approved },
};

const struct family family_rsa = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
