/* self_test.c - a known answer for every family (IG 10.3.A), through the same
 * rows and kinds that users' keys go through. Each can be made to fail: the
 * answer is corrupted before it is compared. */
#include <string.h>

#include <openssl/ctrdrbg.h>

#include "../crypto/integrity.h"
#include "ec.h"
#include "known_answers.h"
#include "pq.h"
#include "primitive.h"

#define IN(array) ((hsm_in){ array, sizeof(array) })

static const hsm_params none;

static hsm_status
answer(bool broken, uint8_t *got, size_t len, hsm_in wanted)
{
	if (broken && len > 0)
		got[0] ^= 1;
	return bytes_equal((hsm_in){ got, len }, wanted) ? HSM_OK : HSM_E_SELF_TEST;
}

/* What could not run is reported as it is (HSM_E_MEMORY is no verdict); all
 * else is a failed test. */
static hsm_status
verdict(hsm_status st)
{
	return st == HSM_OK || st == HSM_E_MEMORY ? st : HSM_E_SELF_TEST;
}

/* ---- with a key --------------------------------------------------------------------- */

static hsm_status
seal_known(uint32_t type, hsm_mech id, hsm_in bytes, const hsm_params *params, hsm_in clear, hsm_in sealed, bool broken)
{
	const struct mech *row = mech_find(id);
	uint8_t room[128];
	hsm_out out = { room, sizeof room, 0 };
	struct key key;
	hsm_status st = key_load(&key, type, PART_SECRET, bytes);

	if (st != HSM_OK)
		return st;
	if ((st = row->seal(&key, params, clear, &out)) == HSM_OK && (st = answer(broken, room, out.len, sealed)) == HSM_OK) {
		out = (hsm_out){ room, sizeof room, 0 };
		if ((st = row->open(&key, params, sealed, &out)) == HSM_OK)
			st = answer(broken, room, out.len, clear);
	}
	key_unload(&key);
	return st;
}

static hsm_status
mac_known(uint32_t type, hsm_mech id, hsm_in bytes, hsm_in msg, hsm_in mac, bool broken)
{
	const struct mech *row = mech_find(id);
	uint8_t room[64];
	hsm_out out = { room, sizeof room, 0 };
	struct key key;
	hsm_status st = key_load(&key, type, PART_SECRET, bytes);

	if (st != HSM_OK)
		return st;
	if ((st = row->sign(&key, &none, msg, &out)) == HSM_OK)
		st = answer(broken, room, out.len, mac);
	key_unload(&key);
	return st;
}

/* Derives from a loaded key, which is unloaded. */
static hsm_status
derive_known(struct key *key, hsm_mech id, const hsm_params *params, hsm_in wanted, bool broken)
{
	struct secret made = SECRET_NONE;
	hsm_status st = mech_find(id)->derive(key, params, wanted.len, &made);

	if (st == HSM_OK)
		st = answer(broken, made.ptr, made.len, wanted);
	secret_wipe(&made);
	key_unload(key);
	return st;
}

static hsm_status
composed(struct key *key, uint32_t type, const hsm_attr *attrs, size_t n)
{
	struct secret material = SECRET_NONE;
	hsm_status st = kind_find(type)->compose(PART_PRIVATE, attrs, n, &material);

	*key = (struct key){ 0 };
	if (st == HSM_OK)
		st = key_load(key, type, PART_PRIVATE, secret_in(&material));
	secret_wipe(&material);
	return st;
}

static hsm_status
on_curve(struct key *key, uint32_t type, hsm_in params, hsm_in d)
{
	const hsm_attr attrs[] = { { HSM_ATTR_EC_PARAMS, params }, { HSM_ATTR_VALUE, d } };

	return composed(key, type, attrs, 2);
}

/* Signs, compares, verifies; unloads the key. */
static hsm_status
sign_known(struct key *key, hsm_mech id, const hsm_params *params, hsm_in msg, hsm_in sig, bool broken)
{
	const struct mech *row = mech_find(id);
	uint8_t room[256];
	hsm_out out = { room, sizeof room, 0 };
	hsm_status st = row->sign(key, params, msg, &out);

	if (st == HSM_OK)
		st = answer(broken, room, out.len, sig);
	if (st == HSM_OK)
		st = row->verify(key, params, msg, sig);
	key_unload(key);
	return st;
}

/* ---- the tests ------------------------------------------------------------------------ */

static hsm_status
hash_known(hsm_hash hash, hsm_in wanted, bool broken)
{
	const hsm_in abc = IN(known_abc);
	uint8_t digest[PRIMITIVE_HASH_MAX];
	hsm_status st = primitive_hash(hash, &abc, 1, digest);

	return verdict(st == HSM_OK ? answer(broken, digest, primitive_hash_len(hash), wanted) : st);
}

static hsm_status test_sha1(bool broken) { return hash_known(HSM_SHA1, IN(known_sha1), broken); }
static hsm_status test_sha256(bool broken) { return hash_known(HSM_SHA256, IN(known_sha256), broken); }
static hsm_status test_sha512(bool broken) { return hash_known(HSM_SHA512, IN(known_sha512), broken); }
static hsm_status test_sha3(bool broken) { return hash_known(HSM_SHA3_256, IN(known_sha3_256), broken); }

static hsm_status
test_hmac(bool broken)
{
	return verdict(mac_known(HSM_KEY_GENERIC, HSM_SHA256_HMAC, IN(known_hmac_key), IN(known_hmac_msg), IN(known_hmac), broken));
}

static hsm_status
test_cmac(bool broken)
{
	return verdict(mac_known(HSM_KEY_AES, HSM_AES_CMAC, IN(known_cmac_key), IN(known_aes_clear), IN(known_cmac), broken));
}

static hsm_status
test_gcm(bool broken)
{
	const hsm_params p = { .iv = IN(known_gcm_iv), .aad = IN(known_gcm_aad) };

	return verdict(seal_known(HSM_KEY_AES, HSM_AES_GCM, IN(known_gcm_key), &p, IN(known_gcm_clear), IN(known_gcm_sealed), broken));
}

static hsm_status
test_cbc(bool broken)
{
	const hsm_params p = { .iv = IN(known_cbc_iv) };

	return verdict(seal_known(HSM_KEY_AES, HSM_AES_CBC, IN(known_aes_key), &p, IN(known_aes_clear), IN(known_cbc), broken));
}

static hsm_status
test_ctr(bool broken)
{
	const hsm_params p = { .iv = IN(known_ctr_iv) };

	return verdict(seal_known(HSM_KEY_AES, HSM_AES_CTR, IN(known_aes_key), &p, IN(known_aes_clear), IN(known_ctr), broken));
}

static hsm_status
test_kw(bool broken)
{
	return verdict(seal_known(HSM_KEY_AES, HSM_AES_KEY_WRAP, IN(known_kw_kek), &none, IN(known_kw_clear), IN(known_kw), broken));
}

static hsm_status
test_kwp(bool broken)
{
	return verdict(seal_known(HSM_KEY_AES, HSM_AES_KEY_WRAP_KWP, IN(known_kwp_kek), &none, IN(known_kwp_clear), IN(known_kwp), broken));
}

static hsm_status
secret_derive_known(hsm_mech id, hsm_in bytes, const hsm_params *params, hsm_in wanted, bool broken)
{
	struct key key;
	hsm_status st = key_load(&key, HSM_KEY_GENERIC, PART_SECRET, bytes);

	return verdict(st == HSM_OK ? derive_known(&key, id, params, wanted, broken) : st);
}

static hsm_status
test_kbkdf(bool broken)
{
	const hsm_params p = { .hash = HSM_SHA256, .data = IN(known_kbkdf_fixed), .flags = HSM_PARAM_RAW };

	return secret_derive_known(HSM_SP800_108_COUNTER, IN(known_kbkdf_key), &p, IN(known_kbkdf), broken);
}

static hsm_status
test_hkdf(bool broken)
{
	const hsm_params p = { .hash = HSM_SHA256, .salt = IN(known_hkdf_salt), .label = IN(known_hkdf_info),
		.flags = HSM_PARAM_EXTRACT | HSM_PARAM_EXPAND };

	return secret_derive_known(HSM_HKDF_DERIVE, IN(known_hkdf_key), &p, IN(known_hkdf), broken);
}

static hsm_status
test_pbkdf2(bool broken)
{
	const hsm_params p = { .hash = HSM_SHA256, .salt = IN(known_pbkdf2_salt), .iterations = 1 };

	return secret_derive_known(HSM_PBKDF2, IN(known_pbkdf2_password), &p, IN(known_pbkdf2), broken);
}

static hsm_status
test_rsa_sign(bool broken)
{
	struct key key;
	hsm_status st = key_load(&key, HSM_KEY_RSA, PART_PRIVATE, IN(known_rsa_pkcs8));

	return verdict(st == HSM_OK ? sign_known(&key, HSM_SHA256_RSA_PKCS, &none, IN(known_rsa_msg), IN(known_rsa_sig), broken) : st);
}

static hsm_status
test_rsa_oaep(bool broken)
{
	const hsm_params p = { .hash = HSM_SHA256 };
	uint8_t room[256];
	hsm_out out = { room, sizeof room, 0 };
	struct key key;
	hsm_status st = key_load(&key, HSM_KEY_RSA, PART_PRIVATE, IN(known_oaep_pkcs8));

	if (st != HSM_OK)
		return verdict(st);
	if ((st = mech_find(HSM_RSA_OAEP)->open(&key, &p, IN(known_oaep_ct), &out)) == HSM_OK)
		st = answer(broken, room, out.len, IN(known_oaep_msg));
	key_unload(&key);
	return verdict(st);
}

static hsm_status
test_ecdsa(bool broken)
{
	const hsm_params p = { .flags = HSM_PARAM_DETERMINISTIC };
	struct key key;
	hsm_status st = on_curve(&key, HSM_KEY_EC, IN(known_ec_params), IN(known_ecdsa_d));

	return verdict(st == HSM_OK ? sign_known(&key, HSM_ECDSA_SHA256, &p, IN(known_ecdsa_msg), IN(known_ecdsa), broken) : st);
}

static hsm_status
test_ecdh(bool broken)
{
	const hsm_params p = { .peer = IN(known_ecdh_peer) };
	struct key key;
	hsm_status st = on_curve(&key, HSM_KEY_EC, IN(known_ec_params), IN(known_ecdh_d));

	return verdict(st == HSM_OK ? derive_known(&key, HSM_ECDH1_DERIVE, &p, IN(known_ecdh), broken) : st);
}

static hsm_status
test_eddsa(bool broken)
{
	struct key key;
	hsm_status st = on_curve(&key, HSM_KEY_EDWARDS, IN(known_ed_params), IN(known_ed_d));

	return verdict(st == HSM_OK ? sign_known(&key, HSM_EDDSA, &none, IN(known_ed_msg), IN(known_ed_sig), broken) : st);
}

static hsm_status
test_x25519(bool broken)
{
	const hsm_params p = { .peer = IN(known_x_peer) };
	struct key key;
	hsm_status st = on_curve(&key, HSM_KEY_MONTGOMERY, IN(known_x_params), IN(known_x_d));

	return verdict(st == HSM_OK ? derive_known(&key, HSM_ECDH1_DERIVE, &p, IN(known_x), broken) : st);
}

/* A key of a post-quantum kind from its seed. */
static hsm_status
from_seed(struct key *key, uint32_t type, uint64_t number, hsm_in seed)
{
	const hsm_attr attrs[] = {
		{ HSM_ATTR_PARAMETER_SET, { (const uint8_t *)&number, sizeof number } }, { HSM_ATTR_SEED, seed },
	};

	return composed(key, type, attrs, 2);
}

/* Key generation from the seed shows in the signature. */
static hsm_status
test_ml_dsa(bool broken)
{
	const struct mech *row = mech_find(HSM_ML_DSA);
	const hsm_params p = { .flags = HSM_PARAM_DETERMINISTIC };
	struct secret sig = SECRET_NONE;
	uint8_t digest[32];
	hsm_out out;
	hsm_in made;
	struct key key;
	hsm_status st;

	if ((st = from_seed(&key, HSM_KEY_ML_DSA, 1, IN(known_mldsa_seed))) != HSM_OK || (st = secret_alloc(&sig, 2420)) != HSM_OK)
		goto out;
	out = (hsm_out){ sig.ptr, sig.len, 0 };
	if ((st = row->sign(&key, &p, IN(known_mldsa_msg), &out)) != HSM_OK)
		goto out;
	made = secret_in(&sig);
	if ((st = primitive_hash(HSM_SHA256, &made, 1, digest)) == HSM_OK
	    && (st = answer(broken, digest, sizeof digest, IN(known_mldsa_sig_hash))) == HSM_OK)
		st = row->verify(&key, &p, IN(known_mldsa_msg), made);
out:
	secret_wipe(&sig);
	key_unload(&key);
	return verdict(st);
}

static hsm_status
keygen_known(bool broken)
{
	uint8_t digest[32];
	struct secret dk = SECRET_NONE;
	hsm_out out;
	hsm_in made;
	struct key key;
	hsm_status st;

	if ((st = from_seed(&key, HSM_KEY_ML_KEM, 1, IN(known_mlkem_seed))) != HSM_OK || (st = secret_alloc(&dk, 1632)) != HSM_OK)
		goto out;
	out = (hsm_out){ dk.ptr, dk.len, 0 };
	if ((st = key.kind->component(&key, HSM_ATTR_VALUE, &out)) != HSM_OK)
		goto out;
	made = secret_in(&dk);
	if ((st = primitive_hash(HSM_SHA256, &made, 1, digest)) == HSM_OK)
		st = answer(broken, digest, sizeof digest, IN(known_mlkem_dk_hash));
out:
	secret_wipe(&dk);
	key_unload(&key);
	return st;
}

/* With the coins given, which no row takes. */
static hsm_status
encap_known(bool broken)
{
	uint8_t ct[768], shared[32], digest[32];
	size_t ct_len = sizeof ct, shared_len = sizeof shared;
	const hsm_in made = { ct, sizeof ct };
	hsm_status st;

	if (ml_kem_512_encapsulate_deterministic(ct, &ct_len, shared, &shared_len, known_encap_ek, known_encap_coins) != 0)
		return library_status(HSM_E_SELF_TEST);
	if ((st = primitive_hash(HSM_SHA256, &made, 1, digest)) != HSM_OK
	    || (st = answer(broken, digest, sizeof digest, IN(known_encap_ct_hash))) != HSM_OK)
		return st;
	return answer(broken, shared, sizeof shared, IN(known_encap));
}

static hsm_status
decap_known(bool broken)
{
	struct secret shared = SECRET_NONE;
	struct key key;
	hsm_status st;

	if ((st = from_seed(&key, HSM_KEY_ML_KEM, 1, IN(known_decap_seed))) == HSM_OK
	    && (st = mech_find(HSM_ML_KEM)->decap(&key, &none, IN(known_decap_ct), &shared)) == HSM_OK)
		st = answer(broken, shared.ptr, shared.len, IN(known_decap));
	secret_wipe(&shared);
	key_unload(&key);
	return st;
}

static hsm_status
test_ml_kem(bool broken)
{
	hsm_status st;

	if ((st = keygen_known(broken)) == HSM_OK && (st = encap_known(broken)) == HSM_OK)
		st = decap_known(broken);
	return verdict(st);
}

/* Instantiate, reseed, generate twice; the second output is the answer. */
static hsm_status
test_drbg(bool broken)
{
	CTR_DRBG_STATE *drbg = CTR_DRBG_new(known_drbg_entropy, known_drbg_perso, sizeof known_drbg_perso);
	uint8_t out[sizeof known_drbg];
	hsm_status st;

	if (drbg != NULL && CTR_DRBG_reseed(drbg, known_drbg_reseed, known_drbg_reseed_add, sizeof known_drbg_reseed_add)
	    && CTR_DRBG_generate(drbg, out, sizeof out, known_drbg_add1, sizeof known_drbg_add1)
	    && CTR_DRBG_generate(drbg, out, sizeof out, known_drbg_add2, sizeof known_drbg_add2))
		st = answer(broken, out, sizeof out, IN(known_drbg));
	else
		st = library_status(HSM_E_SELF_TEST);
	CTR_DRBG_free(drbg);
	return verdict(st);
}

/* Programs that link the core carry no value: native tests, which nobody ships. */
static hsm_status
test_integrity(bool broken)
{
	hsm_status st = integrity_check(broken);

	return verdict(st == HSM_E_UNSUPPORTED ? HSM_OK : st);
}

/* First what sealing and the integrity value stand on; public-key algorithms
 * may wait for their first use. */
static const struct self_test tests[] = {
	{ "SHA-256", true, test_sha256 }, { "HMAC-SHA-256", true, test_hmac }, { "CTR_DRBG", true, test_drbg },
	{ "integrity", true, test_integrity },
	{ "AES-GCM", true, test_gcm }, { "KBKDF", true, test_kbkdf }, { "SHA-512", true, test_sha512 },
	{ "SHA-1", false, test_sha1 }, { "SHA3-256", false, test_sha3 }, { "AES-CBC", false, test_cbc },
	{ "AES-CTR", false, test_ctr }, { "AES-KW", false, test_kw }, { "AES-KWP", false, test_kwp },
	{ "AES-CMAC", false, test_cmac }, { "HKDF", false, test_hkdf }, { "PBKDF2", false, test_pbkdf2 },
	{ "RSA-PKCS1", false, test_rsa_sign }, { "RSA-OAEP", false, test_rsa_oaep }, { "ECDSA", false, test_ecdsa },
	{ "ECDH", false, test_ecdh }, { "Ed25519", false, test_eddsa }, { "X25519", false, test_x25519 },
	{ "ML-DSA", false, test_ml_dsa }, { "ML-KEM", false, test_ml_kem },
};

const struct family family_self_test = { .tests = tests, .tests_n = COUNT(tests) };
