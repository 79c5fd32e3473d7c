/* ec.c - the EC kind: P-224, P-256, P-384, P-521 and secp256k1. Every key is
 * checked whole when it is loaded: the point lies on the curve, is not
 * infinity, and belongs to the private number. */
#include "ec.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/mem.h>
#include <openssl/nid.h>

static const struct { uint32_t curve; int nid; const char *names[3]; } curves[] = {
	{ HSM_P224, NID_secp224r1, { "secp224r1", "P-224", NULL } },
	{ HSM_P256, NID_X9_62_prime256v1, { "prime256v1", "P-256", "secp256r1" } },
	{ HSM_P384, NID_secp384r1, { "secp384r1", "P-384", NULL } },
	{ HSM_P521, NID_secp521r1, { "secp521r1", "P-521", NULL } },
	{ HSM_SECP256K1, NID_secp256k1, { "secp256k1", NULL, NULL } },
};

int
ec_nid(uint32_t curve)
{
	for (size_t i = 0; i < COUNT(curves); i++) {
		if (curves[i].curve == curve)
			return curves[i].nid;
	}
	return NID_undef;
}

uint32_t
ec_curve(const EC_GROUP *group)
{
	for (size_t i = 0; i < COUNT(curves); i++) {
		if (curves[i].nid == EC_GROUP_get_curve_name(group))
			return curves[i].curve;
	}
	return 0;
}

/* ---- CKA_EC_PARAMS --------------------------------------------------------- */

static uint32_t
curve_by_name(CBS *text)
{
	for (size_t i = 0; i < COUNT(curves); i++) {
		for (size_t j = 0; j < COUNT(curves[i].names) && curves[i].names[j] != NULL; j++) {
			const char *name = curves[i].names[j];

			if (CBS_mem_equal(text, (const uint8_t *)name, strlen(name)))
				return curves[i].curve;
		}
	}
	return 0;
}

hsm_status
ec_params_read(hsm_in params, uint32_t *curve)
{
	EC_GROUP *group;
	CBS cbs, name;

	*curve = 0;
	CBS_init(&cbs, params.ptr, params.len);
	if (CBS_peek_asn1_tag(&cbs, CBS_ASN1_PRINTABLESTRING)) {
		if (CBS_get_asn1(&cbs, &name, CBS_ASN1_PRINTABLESTRING))
			*curve = curve_by_name(&name);
	} else if ((group = EC_KEY_parse_parameters(&cbs)) != NULL) {
		*curve = ec_curve(group);
		EC_GROUP_free(group);
	}
	(void)library_status(HSM_OK);
	return *curve != 0 && CBS_len(&cbs) == 0 ? HSM_OK : HSM_E_CURVE;
}

hsm_status
ec_params_write(uint32_t curve, hsm_out *out)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(ec_nid(curve));
	uint8_t oid[32];
	CBB cbb;
	hsm_status st;

	CBB_init_fixed(&cbb, oid, sizeof oid);
	if (group != NULL && EC_KEY_marshal_curve_name(&cbb, group) && CBB_flush(&cbb))
		st = out_bytes(out, (hsm_in){ oid, CBB_len(&cbb) });
	else
		st = library_status(HSM_E_CURVE);
	CBB_cleanup(&cbb);
	EC_GROUP_free(group);
	return st;
}

bool
ec_curve_named(hsm_in spki)
{
	CBS cbs, info, algorithm, oid;

	CBS_init(&cbs, spki.ptr, spki.len);
	return CBS_get_asn1(&cbs, &info, CBS_ASN1_SEQUENCE) && CBS_get_asn1(&info, &algorithm, CBS_ASN1_SEQUENCE)
	       && CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT) && CBS_peek_asn1_tag(&algorithm, CBS_ASN1_OBJECT);
}

/* ---- the kind --------------------------------------------------------------- */

static hsm_status
ec_generate(hsm_spec spec, const hsm_params *params, struct secret *material, struct secret *pub)
{
	EC_KEY *ec = EC_KEY_new_by_curve_name(ec_nid(spec.param));
	EVP_PKEY *pkey = EVP_PKEY_new();
	hsm_status st = HSM_E_CURVE;

	(void)params;
	if (ec == NULL || pkey == NULL)
		goto out;
	st = HSM_E_CRYPTO;
	if (!EC_KEY_generate_key(ec) || !EVP_PKEY_set1_EC_KEY(pkey, ec))
		goto out;
	if ((st = der_private(pkey, material)) == HSM_OK && (st = der_public_secret(pkey, pub)) != HSM_OK)
		secret_wipe(material);
out:
	EC_KEY_free(ec);
	EVP_PKEY_free(pkey);
	return st == HSM_OK ? st : library_status(st);
}

static hsm_status
ec_load(struct key *key, hsm_in material)
{
	struct ec_key *e = arena_alloc(sizeof *e);
	hsm_status st;

	if (e == NULL)
		return HSM_E_MEMORY;
	key->ctx = e;
	if ((st = der_read(key->part, material, &e->pkey)) != HSM_OK)
		return st;
	if ((e->ec = EVP_PKEY_get0_EC_KEY(e->pkey)) == NULL)
		return library_status(HSM_E_KEY_TYPE);
	if (key->part == PART_PUBLIC && !ec_curve_named(material))
		return HSM_E_CURVE;
	e->group = EC_KEY_get0_group(e->ec);
	e->field_len = (EC_GROUP_get_degree(e->group) + 7) / 8;
	e->order_len = ((size_t)EC_GROUP_order_bits(e->group) + 7) / 8;
	if ((key->spec.param = ec_curve(e->group)) == 0)
		return HSM_E_CURVE;
	return EC_KEY_check_key(e->ec) ? HSM_OK : library_status(HSM_E_KEY_VALUE);
}

static void
ec_unload(struct key *key)
{
	struct ec_key *e = key->ctx;

	EVP_PKEY_free(e->pkey);
	arena_free(e);
}

static hsm_status
ec_publish(const struct key *key, hsm_out *spki)
{
	return der_public(ec_of(key)->pkey, spki);
}

#define POINT_MAX (1 + 2 * 66)

/* DER OCTET STRING of the uncompressed point: what PKCS#11 asks for. */
static hsm_status
ec_point(const struct ec_key *e, hsm_out *out)
{
	uint8_t point[POINT_MAX], der[POINT_MAX + 4];
	size_t len = EC_POINT_point2oct(e->group, EC_KEY_get0_public_key(e->ec), POINT_CONVERSION_UNCOMPRESSED, point, sizeof point, NULL);
	hsm_status st;
	CBB cbb;

	CBB_init_fixed(&cbb, der, sizeof der);
	if (len > 0 && CBB_add_asn1_octet_string(&cbb, point, len) && CBB_flush(&cbb))
		st = out_bytes(out, (hsm_in){ der, CBB_len(&cbb) });
	else
		st = library_status(HSM_E_CRYPTO);
	CBB_cleanup(&cbb);
	return st;
}

static hsm_status
ec_value(const struct ec_key *e, hsm_out *out)
{
	uint8_t value[66];
	hsm_status st;

	if (!BN_bn2bin_padded(value, e->order_len, EC_KEY_get0_private_key(e->ec)))
		return library_status(HSM_E_CRYPTO);
	st = out_bytes(out, (hsm_in){ value, e->order_len });
	bytes_wipe(value, sizeof value);
	return st;
}

static hsm_status
ec_component(const struct key *key, uint32_t attr, hsm_out *out)
{
	switch (attr) {
	case HSM_ATTR_EC_PARAMS: return ec_params_write(key->spec.param, out);
	case HSM_ATTR_EC_POINT: return ec_point(ec_of(key), out);
	case HSM_ATTR_PUBLIC_KEY_INFO: return ec_publish(key, out);
	case HSM_ATTR_VALUE: return key->part == PART_PRIVATE ? ec_value(ec_of(key), out) : HSM_E_ATTR_TYPE;
	default: return HSM_E_ATTR_TYPE;
	}
}

hsm_status
ec_point_read(const EC_GROUP *group, hsm_in value, EC_POINT **point)
{
	hsm_in tries[2] = { der_unwrap(value), value };
	bool ok = false;
	hsm_status st;

	if ((*point = EC_POINT_new(group)) == NULL)
		return library_status(HSM_E_MEMORY);
	for (size_t i = 0; i < 2 && !ok; i++)
		ok = EC_POINT_oct2point(group, *point, tries[i].ptr, tries[i].len, NULL) && !EC_POINT_is_at_infinity(group, *point);
	st = library_status(ok ? HSM_OK : HSM_E_KEY_VALUE);
	if (ok)
		return HSM_OK;
	EC_POINT_free(*point);
	*point = NULL;
	return st;
}

static hsm_status
ec_public_read(EC_KEY *ec, hsm_in value)
{
	EC_POINT *point;
	hsm_status st = ec_point_read(EC_KEY_get0_group(ec), value, &point);

	if (st == HSM_OK && !EC_KEY_set_public_key(ec, point))
		st = library_status(HSM_E_KEY_VALUE);
	EC_POINT_free(point);
	return st;
}

static hsm_status
ec_number_read(EC_KEY *ec, hsm_in value)
{
	const EC_GROUP *group = EC_KEY_get0_group(ec);
	BIGNUM *d = BN_bin2bn(value.ptr, value.len, NULL);
	EC_POINT *point = EC_POINT_new(group);
	bool ok;

	ok = d != NULL && point != NULL && EC_KEY_set_private_key(ec, d)
	     && EC_POINT_mul(group, point, d, NULL, NULL, NULL) && EC_KEY_set_public_key(ec, point);
	BN_clear_free(d);
	EC_POINT_free(point);
	return ok ? HSM_OK : library_status(HSM_E_KEY_VALUE);
}

static hsm_status
ec_compose(enum key_part part, const hsm_attr *attrs, size_t n, struct secret *material)
{
	bool has_params, has_value;
	hsm_in params = attr_find(attrs, n, HSM_ATTR_EC_PARAMS, &has_params);
	hsm_in value = attr_find(attrs, n, part == PART_PUBLIC ? HSM_ATTR_EC_POINT : HSM_ATTR_VALUE, &has_value);
	EVP_PKEY *pkey = NULL;
	EC_KEY *ec = NULL;
	uint32_t curve;
	hsm_status st;

	if (part == PART_SECRET)
		return HSM_E_TEMPLATE;
	if (!has_params || !has_value)
		return HSM_E_TEMPLATE_INCOMPLETE;
	if ((st = ec_params_read(params, &curve)) != HSM_OK)
		return st;
	st = HSM_E_MEMORY;
	if ((ec = EC_KEY_new_by_curve_name(ec_nid(curve))) == NULL || (pkey = EVP_PKEY_new()) == NULL)
		goto out;
	if ((st = part == PART_PUBLIC ? ec_public_read(ec, value) : ec_number_read(ec, value)) != HSM_OK)
		goto out;
	st = HSM_E_CRYPTO;
	if (!EVP_PKEY_set1_EC_KEY(pkey, ec))
		goto out;
	st = part == PART_PUBLIC ? der_public_secret(pkey, material) : der_private(pkey, material);
out:
	EC_KEY_free(ec);
	EVP_PKEY_free(pkey);
	return st == HSM_OK ? st : library_status(st);
}

/* Sign and verify: the same numbers serve agreement, whose own test (compute
 * the public key anew) EC_KEY_check_key did at load. */
static hsm_status
ec_consistent(const struct key *key)
{
	static const uint8_t digest[32] = { 1 };
	ECDSA_SIG *sig = ECDSA_do_sign(digest, sizeof digest, ec_of(key)->ec);
	bool ok = sig != NULL && ECDSA_do_verify(digest, sizeof digest, sig, ec_of(key)->ec) == 1
	          && EC_KEY_check_key(ec_of(key)->ec);

	ECDSA_SIG_free(sig);
	return ok ? HSM_OK : library_status(HSM_E_SELF_TEST);
}

static const struct kind kinds[] = {
	{ .type = HSM_KEY_EC, .name = "EC", .heap = 1024, .work = 2048, .depth = 16384, .generate = ec_generate, .load = ec_load, .unload = ec_unload,
	  .publish = ec_publish, .component = ec_component, .compose = ec_compose, .consistent = ec_consistent },
};

/* SP 800-186 has no secp256k1. Before there is a key, the parameters say
 * which curve. */
bool
ec_approved(const struct key *key, uint32_t use, const hsm_params *params)
{
	uint32_t curve = key != NULL ? key->spec.param : params->spec.param;

	(void)use;
	return curve != HSM_SECP256K1;
}

static const struct mech rows[] = {
	{ .id = HSM_EC_KEY_PAIR_GEN, .name = "EC_KEY_PAIR_GEN", .key_type = HSM_KEY_EC, .min_bits = 224, .max_bits = 521,
	  .flags = MECH_GENERATE | MECH_APPROVED, .heap = 2048, .depth = 16384, .approved = ec_approved },
};

const struct family family_ec = { rows, COUNT(rows), kinds, COUNT(kinds), NULL, 0 };
