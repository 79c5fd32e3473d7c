/* pq.c - PKCS#8 and SubjectPublicKeyInfo of ML-DSA and ML-KEM keys. */
#include "pq.h"

static bool
algorithm_get(CBS *cbs, struct pq_oid oid)
{
	const uint8_t wanted[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, oid.arc, oid.last };
	CBS algorithm, name;

	return CBS_get_asn1(cbs, &algorithm, CBS_ASN1_SEQUENCE) && CBS_get_asn1(&algorithm, &name, CBS_ASN1_OBJECT)
	       && CBS_mem_equal(&name, wanted, sizeof wanted) && CBS_len(&algorithm) == 0;
}

static bool
algorithm_add(CBB *cbb, struct pq_oid oid)
{
	const uint8_t wanted[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, oid.arc, oid.last };
	CBB algorithm, name;

	return CBB_add_asn1(cbb, &algorithm, CBS_ASN1_SEQUENCE) && CBB_add_asn1(&algorithm, &name, CBS_ASN1_OBJECT)
	       && CBB_add_bytes(&name, wanted, sizeof wanted) && CBB_flush(cbb);
}

static bool
private_open(hsm_in pkcs8, struct pq_oid oid, CBS *key)
{
	CBS cbs, info;
	uint64_t version;

	CBS_init(&cbs, pkcs8.ptr, pkcs8.len);
	return CBS_get_asn1(&cbs, &info, CBS_ASN1_SEQUENCE) && CBS_len(&cbs) == 0 && CBS_get_asn1_uint64(&info, &version)
	       && version <= 1 && algorithm_get(&info, oid) && CBS_get_asn1(&info, key, CBS_ASN1_OCTETSTRING);
}

static bool
public_open(hsm_in spki, struct pq_oid oid, CBS *bits)
{
	CBS cbs, info;
	uint8_t unused;

	CBS_init(&cbs, spki.ptr, spki.len);
	return CBS_get_asn1(&cbs, &info, CBS_ASN1_SEQUENCE) && CBS_len(&cbs) == 0 && algorithm_get(&info, oid)
	       && CBS_get_asn1(&info, bits, CBS_ASN1_BITSTRING) && CBS_len(&info) == 0 && CBS_get_u8(bits, &unused) && unused == 0;
}

bool
pq_oid_is(enum key_part part, hsm_in material, struct pq_oid oid)
{
	CBS key;

	return part == PART_PRIVATE ? private_open(material, oid, &key) : public_open(material, oid, &key);
}

static hsm_in
view(const CBS *cbs)
{
	return (hsm_in){ CBS_data(cbs), CBS_len(cbs) };
}

hsm_status
pq_private_read(struct pq_oid oid, hsm_in pkcs8, size_t seed_len, size_t expanded_len, struct pq_private *p)
{
	CBS key, both, seed, expanded;

	*p = (struct pq_private){ HSM_NONE, HSM_NONE };
	if (!private_open(pkcs8, oid, &key))
		return HSM_E_KEY_VALUE;
	if (CBS_peek_asn1_tag(&key, CBS_ASN1_CONTEXT_SPECIFIC | 0)) {
		if (!CBS_get_asn1(&key, &seed, CBS_ASN1_CONTEXT_SPECIFIC | 0))
			return HSM_E_KEY_VALUE;
		p->seed = view(&seed);
	} else if (CBS_peek_asn1_tag(&key, CBS_ASN1_OCTETSTRING)) {
		if (!CBS_get_asn1(&key, &expanded, CBS_ASN1_OCTETSTRING))
			return HSM_E_KEY_VALUE;
		p->expanded = view(&expanded);
	} else {
		if (!CBS_get_asn1(&key, &both, CBS_ASN1_SEQUENCE) || !CBS_get_asn1(&both, &seed, CBS_ASN1_OCTETSTRING)
		    || !CBS_get_asn1(&both, &expanded, CBS_ASN1_OCTETSTRING) || CBS_len(&both) != 0)
			return HSM_E_KEY_VALUE;
		p->seed = view(&seed);
		p->expanded = view(&expanded);
	}
	if (CBS_len(&key) != 0 || (p->seed.ptr != NULL && p->seed.len != seed_len)
	    || (p->expanded.ptr != NULL && p->expanded.len != expanded_len))
		return HSM_E_KEY_VALUE;
	return HSM_OK;
}

/* seed [0], expandedKey OCTET STRING, or both in a SEQUENCE. */
static bool
choice_add(CBB *key, hsm_in seed, hsm_in expanded)
{
	CBB choice;

	if (seed.len > 0 && expanded.len > 0)
		return CBB_add_asn1(key, &choice, CBS_ASN1_SEQUENCE) && CBB_add_asn1_octet_string(&choice, seed.ptr, seed.len)
		       && CBB_add_asn1_octet_string(&choice, expanded.ptr, expanded.len);
	if (expanded.len > 0)
		return CBB_add_asn1_octet_string(key, expanded.ptr, expanded.len);
	return CBB_add_asn1(key, &choice, CBS_ASN1_CONTEXT_SPECIFIC | 0) && CBB_add_bytes(&choice, seed.ptr, seed.len);
}

hsm_status
pq_private_write(struct pq_oid oid, hsm_in seed, hsm_in expanded, struct secret *pkcs8)
{
	CBB cbb, info, key;
	hsm_status st;

	if (!CBB_init(&cbb, seed.len + expanded.len + 64))
		return library_status(HSM_E_MEMORY);
	if (CBB_add_asn1(&cbb, &info, CBS_ASN1_SEQUENCE) && CBB_add_asn1_uint64(&info, 0) && algorithm_add(&info, oid)
	    && CBB_add_asn1(&info, &key, CBS_ASN1_OCTETSTRING) && choice_add(&key, seed, expanded))
		st = secret_from_cbb(&cbb, pkcs8);
	else
		st = library_status(HSM_E_MEMORY);
	CBB_cleanup(&cbb);
	return st;
}

hsm_status
pq_public_read(struct pq_oid oid, hsm_in spki, size_t len, hsm_in *pub)
{
	CBS bits;

	if (!public_open(spki, oid, &bits) || CBS_len(&bits) != len)
		return HSM_E_KEY_VALUE;
	*pub = view(&bits);
	return HSM_OK;
}

hsm_status
pq_public_secret(struct pq_oid oid, hsm_in pub, struct secret *spki)
{
	CBB cbb, info, bits;
	hsm_status st;

	if (!CBB_init(&cbb, pub.len + 64))
		return library_status(HSM_E_MEMORY);
	if (CBB_add_asn1(&cbb, &info, CBS_ASN1_SEQUENCE) && algorithm_add(&info, oid)
	    && CBB_add_asn1(&info, &bits, CBS_ASN1_BITSTRING) && CBB_add_u8(&bits, 0) && CBB_add_bytes(&bits, pub.ptr, pub.len))
		st = secret_from_cbb(&cbb, spki);
	else
		st = library_status(HSM_E_MEMORY);
	CBB_cleanup(&cbb);
	return st;
}

hsm_status
pq_public_write(struct pq_oid oid, hsm_in pub, hsm_out *spki)
{
	struct secret s = SECRET_NONE;
	hsm_status st = pq_public_secret(oid, pub, &s);

	if (st == HSM_OK)
		st = out_bytes(spki, secret_in(&s));
	secret_wipe(&s);
	return out_done(spki, st);
}
