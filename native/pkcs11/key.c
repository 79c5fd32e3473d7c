/* key.c - keys: generated, wrapped, unwrapped, derived, encapsulated. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

/* ---- generating ---------------------------------------------------------------------- */

static CK_RV
rv_generate(hsm_status st)
{
	/* A size or curve here was the template's word. */
	switch (st) {
	case HSM_E_KEY_TYPE:
		return CKR_TEMPLATE_INCONSISTENT;
	case HSM_E_KEY_VALUE:
		return CKR_ATTRIBUTE_VALUE_INVALID;
	default:
		return rv_key(st);
	}
}

/* A password is a key for as long as one is made from it; PKCS#11 calls that
 * generating. */
static CK_RV
password_key(struct session *s, const hsm_params *params, const struct templ *a, hsm_key *made)
{
	static const CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	static const CK_KEY_TYPE generic = CKK_GENERIC_SECRET;
	static const CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	const hsm_attr attrs[] = {
		{ CKA_CLASS, { (const uint8_t *)&secret, sizeof secret } }, { CKA_KEY_TYPE, { (const uint8_t *)&generic, sizeof generic } },
		{ CKA_VALUE, params->data }, { CKA_DERIVE, { &yes, 1 } }, { CKA_PRIVATE, { &no, 1 } },
		{ CKA_SENSITIVE, { &no, 1 } }, { CKA_EXTRACTABLE, { &yes, 1 } },
	};
	hsm_params rest = *params;
	hsm_key base;
	hsm_status st;

	if ((st = hsm_create(s->core, 0, attrs, sizeof attrs / sizeof attrs[0], &base)) != HSM_OK)
		return rv_from(st);
	rest.data = HSM_NONE;
	st = hsm_derive(s->core, base, HSM_PBKDF2, &rest, a->at, a->n, made);
	(void)!hsm_object_close(s->core, base);
	return rv_generate(st);
}

static CK_RV
key_generate(struct session *s, const CK_MECHANISM *mechanism, const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	struct templ a;
	hsm_params params;
	hsm_mech mech;
	hsm_spec spec;
	hsm_key made;
	CK_RV rv;

	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK || (rv = templ_from(&a, templ, n)) != CKR_OK)
		return rv;
	if (mech == CKM_PKCS5_PBKD2)
		rv = password_key(s, &params, &a, &made);
	else if ((rv = ck_spec_generate(mech, &a, &spec)) == CKR_OK)
		rv = rv_generate(hsm_generate(s->core, 0, spec, a.at, a.n, &made));
	templ_free(&a);
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &made, 1)) == CKR_OK)
		*key = made;
	return rv;
}

CK_RV
C_GenerateKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	struct session *s;
	CK_RV rv;

	if (mechanism == NULL || key == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, key_generate(s, mechanism, templ, n, key));
}

static CK_RV
pair_make(struct session *s, const CK_MECHANISM *mechanism, const struct templ *pub, const struct templ *priv, hsm_key made[2])
{
	const hsm_attr *exponent = templ_find(pub, CKA_PUBLIC_EXPONENT);
	hsm_params params;
	hsm_mech mech;
	hsm_spec spec;
	CK_RV rv;

	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	/* Some callers name the kind in the private template alone. */
	if ((rv = ck_spec_generate(mech, pub, &spec)) == CKR_TEMPLATE_INCOMPLETE && ck_spec_generate(mech, priv, &spec) == CKR_OK)
		rv = CKR_OK;
	if (rv != CKR_OK)
		return rv;
	if (spec.type == HSM_KEY_RSA && exponent != NULL)
		params.data = exponent->value;
	return rv_generate(hsm_generate_pair(s->core, 0, spec, &params, pub->at, pub->n, priv->at, priv->n, &made[0], &made[1]));
}

static CK_RV
pair_generate(struct session *s, const CK_MECHANISM *mechanism, const CK_ATTRIBUTE *pub_templ, CK_ULONG pub_n,
	const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *pub_key, CK_OBJECT_HANDLE *key)
{
	struct templ pub, priv;
	hsm_key made[2];
	CK_RV rv;

	if ((rv = templ_from(&pub, pub_templ, pub_n)) != CKR_OK)
		return rv;
	if ((rv = templ_from(&priv, templ, n)) == CKR_OK) {
		rv = pair_make(s, mechanism, &pub, &priv, made);
		templ_free(&priv);
	}
	templ_free(&pub);
	if (rv == CKR_OK && (rv = ck_objects_keep(s, made, 2)) == CKR_OK) {
		*pub_key = made[0];
		*key = made[1];
	}
	return rv;
}

CK_RV
C_GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_ATTRIBUTE *pub_templ, CK_ULONG pub_n,
	CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *pub_key, CK_OBJECT_HANDLE *key)
{
	struct session *s;
	CK_RV rv;

	if (mechanism == NULL || pub_key == NULL || key == NULL || (pub_templ == NULL && pub_n != 0) || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, pair_generate(s, mechanism, pub_templ, pub_n, templ, n, pub_key, key));
}

/* ---- wrapping -------------------------------------------------------------------------- */

/* Data that is authenticated along, given beside the parameters (3.2). */
struct beside { const CK_BYTE *ptr; CK_ULONG len; bool there; };

static CK_RV
wrap_params(const CK_MECHANISM *mechanism, const struct beside *beside, hsm_mech *mech, hsm_params *params, struct made *made)
{
	hsm_mech_info info;
	CK_RV rv;

	if ((rv = ck_params_wrap(mechanism, mech, params, made)) != CKR_OK)
		return rv;
	if (!beside->there)
		return CKR_OK;
	if (hsm_mech_describe(*mech, &info) != HSM_OK || (info.flags & MECH_AEAD) == 0)
		return CKR_MECHANISM_INVALID;
	if (params->aad.len != 0 && beside->len != 0)
		return CKR_MECHANISM_PARAM_INVALID;
	return beside->len == 0 || in_from(&params->aad, beside->ptr, beside->len) ? CKR_OK : CKR_ARGUMENTS_BAD;
}

static CK_RV
key_wrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
	const struct beside *beside, CK_BYTE *out, CK_ULONG *out_len)
{
	hsm_key_info info;
	hsm_params params;
	struct made made;
	hsm_mech mech;
	hsm_status st;
	hsm_out to;
	CK_RV rv;

	if ((rv = wrap_params(mechanism, beside, &mech, &params, &made)) != CKR_OK)
		return rv;
	if (!out_from(&to, out, out_len))
		return CKR_ARGUMENTS_BAD;
	if (builtin_holds(kek) || hsm_key_describe(s->core, kek, &info) == HSM_E_HANDLE)
		return CKR_WRAPPING_KEY_HANDLE_INVALID;
	if (builtin_holds(key) || hsm_key_describe(s->core, key, &info) == HSM_E_HANDLE)
		return CKR_KEY_HANDLE_INVALID;
	if ((rv = made_iv(s->core, &made, out != NULL, &params)) != CKR_OK)
		return rv;
	st = hsm_wrap(s->core, kek, mech, &params, key, &to);
	if (st == HSM_OK || st == HSM_E_BUFFER)
		*out_len = to.len;
	return rv_wrapping(st);
}

CK_RV
C_WrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
	CK_BYTE *out, CK_ULONG *out_len)
{
	const struct beside none = { NULL, 0, false };
	struct session *s;
	CK_RV rv;

	if (mechanism == NULL || out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, key_wrap(s, mechanism, kek, key, &none, out, out_len));
}

CK_RV
C_WrapKeyAuthenticated(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_OBJECT_HANDLE key,
	CK_BYTE *aad, CK_ULONG aad_len, CK_BYTE *out, CK_ULONG *out_len)
{
	const struct beside beside = { aad, aad_len, true };
	struct session *s;
	CK_RV rv;

	if (mechanism == NULL || out_len == NULL || (aad == NULL && aad_len != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, key_wrap(s, mechanism, kek, key, &beside, out, out_len));
}

static CK_RV
key_unwrap(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, hsm_in wrapped,
	const struct templ *a, const struct beside *beside, CK_OBJECT_HANDLE *key)
{
	hsm_params params;
	struct made made;
	hsm_mech mech;
	hsm_key fresh;
	CK_RV rv;

	/* An IV that was made is an IV given now. */
	if ((rv = wrap_params(mechanism, beside, &mech, &params, &made)) != CKR_OK
	    || (rv = made_iv(s->core, &made, false, &params)) != CKR_OK)
		return rv;
	if (builtin_holds(kek))
		return CKR_UNWRAPPING_KEY_HANDLE_INVALID;
	rv = rv_unwrapping(hsm_unwrap(s->core, kek, mech, &params, wrapped, a->at, a->n, &fresh));
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &fresh, 1)) == CKR_OK)
		*key = fresh;
	return rv;
}

static CK_RV
unwrap(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len,
	CK_ATTRIBUTE *templ, CK_ULONG n, const struct beside *beside, CK_OBJECT_HANDLE *key)
{
	struct session *s;
	struct templ a;
	hsm_in in;
	CK_RV rv;

	if (mechanism == NULL || wrapped == NULL || !in_from(&in, wrapped, len) || key == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if ((rv = templ_from(&a, templ, n)) != CKR_OK)
		return ck_leave(s, rv);
	rv = key_unwrap(s, mechanism, kek, in, &a, beside, key);
	templ_free(&a);
	return ck_leave(s, rv);
}

CK_RV
C_UnwrapKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len,
	CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	const struct beside none = { NULL, 0, false };

	return unwrap(handle, mechanism, kek, wrapped, len, templ, n, &none, key);
}

CK_RV
C_UnwrapKeyAuthenticated(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE kek, CK_BYTE *wrapped, CK_ULONG len,
	CK_ATTRIBUTE *templ, CK_ULONG n, CK_BYTE *aad, CK_ULONG aad_len, CK_OBJECT_HANDLE *key)
{
	const struct beside beside = { aad, aad_len, true };

	if (aad == NULL && aad_len != 0)
		return CKR_ARGUMENTS_BAD;
	return unwrap(handle, mechanism, kek, wrapped, len, templ, n, &beside, key);
}

/* ---- deriving ---------------------------------------------------------------------------- */

static CK_RV
derive_params(const CK_MECHANISM *mechanism, const struct templ *a, hsm_mech *mech, hsm_params *params, uint8_t **room)
{
	CK_ULONG len = 0;
	CK_RV rv;

	*room = NULL;
	if ((rv = ck_params(mechanism, mech, params)) != CKR_OK)
		return rv;
	if (*mech != CKM_SP800_108_COUNTER_KDF && *mech != CKM_SP800_108_FEEDBACK_KDF && *mech != CKM_SP800_108_DOUBLE_PIPELINE_KDF)
		return CKR_OK;
	if ((rv = templ_number(a, CKA_VALUE_LEN, &len)) != CKR_OK)
		return rv;
	return len == 0 || len > 8192 ? CKR_TEMPLATE_INCOMPLETE : ck_params_kbkdf(mechanism, len, params, room);
}

/* What was wrong lay in the parameters: the other side's point, or data too
 * short for the key. */
static CK_RV
rv_derive(hsm_mech mech, CK_RV rv)
{
	switch (mech) {
	case CKM_ECDH1_DERIVE:
	case CKM_ECDH1_COFACTOR_DERIVE:
		return rv == CKR_DATA_INVALID || rv == CKR_ATTRIBUTE_VALUE_INVALID ? CKR_MECHANISM_PARAM_INVALID : rv;
	case CKM_AES_ECB_ENCRYPT_DATA:
	case CKM_AES_CBC_ENCRYPT_DATA:
		return rv == CKR_DATA_LEN_RANGE || rv == CKR_KEY_SIZE_RANGE ? CKR_MECHANISM_PARAM_INVALID : rv;
	default:
		return rv;
	}
}

static CK_RV
key_derive(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, const CK_ATTRIBUTE *templ, CK_ULONG n,
	CK_OBJECT_HANDLE *key)
{
	struct templ a;
	hsm_params params;
	hsm_mech mech;
	uint8_t *room = NULL;
	hsm_key made;
	CK_RV rv = templ_from(&a, templ, n);

	if (rv != CKR_OK)
		return rv;
	if ((rv = derive_params(mechanism, &a, &mech, &params, &room)) == CKR_OK)
		rv = builtin_holds(base) ? CKR_KEY_HANDLE_INVALID : rv_key(hsm_derive(s->core, base, mech, &params, a.at, a.n, &made));
	free(room);
	templ_free(&a);
	rv = rv == CKR_OK ? CKR_OK : rv_derive(mech, rv);
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &made, 1)) == CKR_OK)
		*key = made;
	return rv;
}

CK_RV
C_DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE base, CK_ATTRIBUTE *templ, CK_ULONG n,
	CK_OBJECT_HANDLE *key)
{
	struct session *s;
	CK_RV rv;

	if (mechanism == NULL || key == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, key_derive(s, mechanism, base, templ, n, key));
}

/* ---- encapsulation (3.2) ------------------------------------------------------------------- */

static CK_RV
key_encapsulate(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE pub, const struct templ *a,
	CK_BYTE *out, CK_ULONG *out_len, CK_OBJECT_HANDLE *key)
{
	hsm_params params;
	hsm_mech mech;
	hsm_key made = 0;
	hsm_status st;
	hsm_out to;
	CK_RV rv;

	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	if (!out_from(&to, out, out_len))
		return CKR_ARGUMENTS_BAD;
	st = hsm_encapsulate(s->core, pub, mech, &params, &to, a->at, a->n, &made);
	if (st == HSM_OK || st == HSM_E_BUFFER)
		*out_len = to.len;
	if (st != HSM_OK || out == NULL)
		return rv_key(st);
	if ((rv = ck_objects_keep(s, &made, 1)) == CKR_OK)
		*key = made;
	return rv;
}

CK_RV
C_EncapsulateKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE pub, CK_ATTRIBUTE *templ, CK_ULONG n,
	CK_BYTE *out, CK_ULONG *out_len, CK_OBJECT_HANDLE *key)
{
	struct session *s;
	struct templ a;
	CK_RV rv;

	if (mechanism == NULL || key == NULL || out_len == NULL || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if ((rv = templ_from(&a, templ, n)) != CKR_OK)
		return ck_leave(s, rv);
	rv = key_encapsulate(s, mechanism, pub, &a, out, out_len, key);
	templ_free(&a);
	return ck_leave(s, rv);
}

static CK_RV
key_decapsulate(struct session *s, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE priv, hsm_in ciphertext,
	const struct templ *a, CK_OBJECT_HANDLE *key)
{
	hsm_params params;
	hsm_mech mech;
	hsm_key made;
	CK_RV rv;

	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	rv = rv_key(hsm_decapsulate(s->core, priv, mech, &params, ciphertext, a->at, a->n, &made));
	if (rv == CKR_ENCRYPTED_DATA_LEN_RANGE)
		rv = CKR_WRAPPED_KEY_LEN_RANGE;
	if (rv == CKR_OK && (rv = ck_objects_keep(s, &made, 1)) == CKR_OK)
		*key = made;
	return rv;
}

CK_RV
C_DecapsulateKey(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE priv, CK_ATTRIBUTE *templ, CK_ULONG n,
	CK_BYTE *ciphertext, CK_ULONG len, CK_OBJECT_HANDLE *key)
{
	struct session *s;
	struct templ a;
	hsm_in in;
	CK_RV rv;

	if (mechanism == NULL || key == NULL || ciphertext == NULL || !in_from(&in, ciphertext, len) || (templ == NULL && n != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if ((rv = templ_from(&a, templ, n)) != CKR_OK)
		return ck_leave(s, rv);
	rv = key_decapsulate(s, mechanism, priv, in, &a, key);
	templ_free(&a);
	return ck_leave(s, rv);
}
