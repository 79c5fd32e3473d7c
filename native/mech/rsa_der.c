/* rsa_der.c - reading RSA keys whose public exponent is longer than the 33
 * bits AWS-LC's own parser takes. FIPS 186-5 allows 256; such keys exist,
 * though nobody should make them. */
#include <openssl/bn.h>
#include <openssl/mem.h>

#include "rsa.h"

RSA *
rsa_public_new(const BIGNUM *n, const BIGNUM *e)
{
	if (BN_num_bits(e) > RSA_EXPONENT_BITS_MAX)
		return NULL;
	return BN_num_bits(e) > 33 ? RSA_new_public_key_large_e(n, e) : RSA_new_public_key(n, e);
}

RSA *
rsa_private_new(const struct rsa_numbers *k)
{
	if (BN_num_bits(k->e) > RSA_EXPONENT_BITS_MAX)
		return NULL;
	if (BN_num_bits(k->e) > 33)
		return RSA_new_private_key_large_e(k->n, k->e, k->d, k->p, k->q, k->dp, k->dq, k->qi);
	return RSA_new_private_key(k->n, k->e, k->d, k->p, k->q, k->dp, k->dq, k->qi);
}

static bool
number_get(CBS *cbs, BIGNUM **number)
{
	*number = BN_new();
	return *number != NULL && BN_parse_asn1_unsigned(cbs, *number);
}

static bool
algorithm_get(CBS *cbs)
{
	static const uint8_t rsa_encryption[] = { 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01 };
	CBS algorithm, oid, null;

	return CBS_get_asn1(cbs, &algorithm, CBS_ASN1_SEQUENCE) && CBS_get_asn1(&algorithm, &oid, CBS_ASN1_OBJECT)
	       && CBS_mem_equal(&oid, rsa_encryption, sizeof rsa_encryption)
	       && CBS_get_asn1(&algorithm, &null, CBS_ASN1_NULL) && CBS_len(&null) == 0 && CBS_len(&algorithm) == 0;
}

static RSA *
public_read(CBS *cbs)
{
	struct rsa_numbers k = { 0 };
	CBS info, bits, key;
	uint8_t unused;
	RSA *rsa = NULL;

	if (CBS_get_asn1(cbs, &info, CBS_ASN1_SEQUENCE) && algorithm_get(&info) && CBS_get_asn1(&info, &bits, CBS_ASN1_BITSTRING)
	    && CBS_len(&info) == 0 && CBS_get_u8(&bits, &unused) && unused == 0 && CBS_get_asn1(&bits, &key, CBS_ASN1_SEQUENCE)
	    && CBS_len(&bits) == 0 && number_get(&key, &k.n) && number_get(&key, &k.e) && CBS_len(&key) == 0)
		rsa = rsa_public_new(k.n, k.e);
	rsa_numbers_free(&k);
	return rsa;
}

static RSA *
private_read(CBS *cbs)
{
	struct rsa_numbers k = { 0 };
	CBS info, octets, key;
	uint64_t version;
	RSA *rsa = NULL;

	if (CBS_get_asn1(cbs, &info, CBS_ASN1_SEQUENCE) && CBS_get_asn1_uint64(&info, &version) && version <= 1
	    && algorithm_get(&info) && CBS_get_asn1(&info, &octets, CBS_ASN1_OCTETSTRING)
	    && CBS_get_asn1(&octets, &key, CBS_ASN1_SEQUENCE) && CBS_len(&octets) == 0
	    && CBS_get_asn1_uint64(&key, &version) && version == 0 && number_get(&key, &k.n) && number_get(&key, &k.e)
	    && number_get(&key, &k.d) && number_get(&key, &k.p) && number_get(&key, &k.q) && number_get(&key, &k.dp)
	    && number_get(&key, &k.dq) && number_get(&key, &k.qi) && CBS_len(&key) == 0)
		rsa = rsa_private_new(&k);
	rsa_numbers_free(&k);
	return rsa;
}

hsm_status
rsa_der_read(enum key_part part, hsm_in material, EVP_PKEY **pkey)
{
	hsm_status st = der_read(part, material, pkey);
	RSA *rsa;
	CBS cbs;

	if (st != HSM_E_KEY_VALUE)
		return st;
	CBS_init(&cbs, material.ptr, material.len);
	rsa = part == PART_PRIVATE ? private_read(&cbs) : public_read(&cbs);
	if (rsa == NULL || CBS_len(&cbs) != 0) {
		st = HSM_E_KEY_VALUE;
	} else if ((*pkey = EVP_PKEY_new()) == NULL || !EVP_PKEY_set1_RSA(*pkey, rsa)) {
		EVP_PKEY_free(*pkey);
		*pkey = NULL;
		st = HSM_E_MEMORY;
	} else {
		st = HSM_OK;
	}
	RSA_free(rsa);
	return st == HSM_OK ? st : library_status(st);
}
