/* der.c - PKCS#8 and SubjectPublicKeyInfo, in and out. */
#include <openssl/mem.h>

#include "ec.h"

static hsm_status
der_write(const EVP_PKEY *pkey, int (*marshal)(CBB *cbb, const EVP_PKEY *key), struct secret *s)
{
	CBB cbb;
	hsm_status st;

	if (!CBB_init(&cbb, 512))
		return library_status(HSM_E_MEMORY);
	st = marshal(&cbb, pkey) ? secret_from_cbb(&cbb, s) : library_status(HSM_E_CRYPTO);
	CBB_cleanup(&cbb);
	return st;
}

hsm_status
der_private(const EVP_PKEY *pkey, struct secret *material)
{
	return der_write(pkey, EVP_marshal_private_key, material);
}

hsm_status
der_public_secret(const EVP_PKEY *pkey, struct secret *spki)
{
	return der_write(pkey, EVP_marshal_public_key, spki);
}

hsm_status
der_public(const EVP_PKEY *pkey, hsm_out *spki)
{
	struct secret s = SECRET_NONE;
	hsm_status st = der_public_secret(pkey, &s);

	if (st == HSM_OK)
		st = out_bytes(spki, secret_in(&s));
	secret_wipe(&s);
	return out_done(spki, st);
}

hsm_status
der_read(enum key_part part, hsm_in material, EVP_PKEY **pkey)
{
	CBS cbs;

	CBS_init(&cbs, material.ptr, material.len);
	*pkey = part == PART_PRIVATE ? EVP_parse_private_key(&cbs) : EVP_parse_public_key(&cbs);
	if (*pkey == NULL)
		return library_status(HSM_E_KEY_VALUE);
	if (CBS_len(&cbs) == 0)
		return HSM_OK;
	EVP_PKEY_free(*pkey);
	*pkey = NULL;
	return HSM_E_KEY_VALUE;
}

hsm_in
der_unwrap(hsm_in bytes)
{
	CBS cbs, inner;

	CBS_init(&cbs, bytes.ptr, bytes.len);
	if (!CBS_get_asn1(&cbs, &inner, CBS_ASN1_OCTETSTRING) || CBS_len(&cbs) != 0)
		return bytes;
	return (hsm_in){ CBS_data(&inner), CBS_len(&inner) };
}
