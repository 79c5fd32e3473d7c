/* registry.c - the one list of families.
 *
 * AWS-LC has no SLH-DSA, Ed448 or X448: there are no rows for them. */
#include "family.h"

extern const struct family family_aes, family_aes_block, family_aes_ccm, family_aes_cmac, family_aes_cts, family_aes_gcm,
	family_aes_stream, family_aes_wrap, family_aes_xts, family_chacha, family_concat, family_des3, family_ec,
	family_ecdh, family_ecdsa, family_edwards, family_hash, family_hkdf, family_hmac, family_kbkdf, family_kdk,
	family_ml_dsa, family_ml_dsa_sign, family_ml_kem, family_montgomery, family_rsa, family_rsa_crypt,
	family_rsa_raw, family_rsa_sign, family_self_test;

static const struct family *const families[] = {
	&family_aes, &family_aes_gcm, &family_aes_ccm, &family_aes_block, &family_aes_cts, &family_aes_stream,
	&family_aes_wrap, &family_aes_cmac, &family_aes_xts,
	&family_hmac, &family_hash,
	&family_kbkdf, &family_kdk, &family_hkdf, &family_concat,
	&family_rsa, &family_rsa_raw, &family_rsa_sign, &family_rsa_crypt,
	&family_ec, &family_ecdsa, &family_ecdh, &family_edwards, &family_montgomery,
	&family_ml_dsa, &family_ml_dsa_sign, &family_ml_kem,
	&family_chacha, &family_des3, &family_self_test,
};

/* Rows by id: open addressing, filled once when the image is loaded and only
 * read afterwards, so that finding needs no lock. */
#define SLOTS 1024u
static const struct mech *slots[SLOTS];

static size_t
slot_of(hsm_mech id)
{
	return (size_t)((id * 0x9E3779B97F4A7C15u) >> 54) % SLOTS;
}

__attribute__((constructor)) static void
registry_index(void)
{
	for (size_t f = 0; f < COUNT(families); f++) {
		for (size_t i = 0; i < families[f]->rows_n; i++) {
			const struct mech *row = &families[f]->rows[i];
			size_t at = slot_of(row->id);

			while (slots[at] != NULL)
				at = (at + 1) % SLOTS;
			slots[at] = row;
		}
	}
}

const struct mech *
mech_find(hsm_mech id)
{
	for (size_t at = slot_of(id); slots[at] != NULL; at = (at + 1) % SLOTS) {
		if (slots[at]->id == id)
			return slots[at];
	}
	return NULL;
}

const struct mech *
mech_at(size_t i)
{
	for (size_t f = 0; f < COUNT(families); f++) {
		if (i < families[f]->rows_n)
			return &families[f]->rows[i];
		i -= families[f]->rows_n;
	}
	return NULL;
}

const struct kind *
kind_at(size_t i)
{
	for (size_t f = 0; f < COUNT(families); f++) {
		if (i < families[f]->kinds_n)
			return &families[f]->kinds[i];
		i -= families[f]->kinds_n;
	}
	return NULL;
}

const struct kind *
kind_find(uint32_t type)
{
	const struct kind *kind;

	for (size_t i = 0; (kind = kind_at(i)) != NULL; i++) {
		if (kind->type == type)
			return kind;
	}
	return NULL;
}

const struct self_test *
self_test_at(size_t i)
{
	for (size_t f = 0; f < COUNT(families); f++) {
		if (i < families[f]->tests_n)
			return &families[f]->tests[i];
		i -= families[f]->tests_n;
	}
	return NULL;
}
