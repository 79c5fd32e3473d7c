/* spec.c - what kind of key a mechanism and a template ask for. */
#include <string.h>

#include "door.h"

/* ---- curves -------------------------------------------------------------------- */

/* By object identifier and by name, as CKA_EC_PARAMS has them. */
#define DER(...) { __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })
static const struct { uint8_t der[24]; size_t len; uint32_t type, curve; } curves[] = {
	{ DER(0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x21), HSM_KEY_EC, HSM_P224 },
	{ DER(0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07), HSM_KEY_EC, HSM_P256 },
	{ DER(0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22), HSM_KEY_EC, HSM_P384 },
	{ DER(0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x23), HSM_KEY_EC, HSM_P521 },
	{ DER(0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x0A), HSM_KEY_EC, HSM_SECP256K1 },
	{ DER(0x13, 9, 's', 'e', 'c', 'p', '2', '2', '4', 'r', '1'), HSM_KEY_EC, HSM_P224 },
	{ DER(0x13, 9, 's', 'e', 'c', 'p', '2', '5', '6', 'r', '1'), HSM_KEY_EC, HSM_P256 },
	{ DER(0x13, 9, 's', 'e', 'c', 'p', '3', '8', '4', 'r', '1'), HSM_KEY_EC, HSM_P384 },
	{ DER(0x13, 9, 's', 'e', 'c', 'p', '5', '2', '1', 'r', '1'), HSM_KEY_EC, HSM_P521 },
	{ DER(0x13, 9, 's', 'e', 'c', 'p', '2', '5', '6', 'k', '1'), HSM_KEY_EC, HSM_SECP256K1 },
	{ DER(0x06, 0x03, 0x2B, 0x65, 0x70), HSM_KEY_EDWARDS, HSM_ED25519 },
	{ DER(0x06, 0x09, 0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01), HSM_KEY_EDWARDS, HSM_ED25519 },
	{ DER(0x13, 12, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9'), HSM_KEY_EDWARDS, HSM_ED25519 },
	{ DER(0x13, 7, 'E', 'd', '2', '5', '5', '1', '9'), HSM_KEY_EDWARDS, HSM_ED25519 },
	{ DER(0x13, 7, 'e', 'd', '2', '5', '5', '1', '9'), HSM_KEY_EDWARDS, HSM_ED25519 },
	{ DER(0x06, 0x03, 0x2B, 0x65, 0x6E), HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ DER(0x06, 0x0A, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01), HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ DER(0x13, 10, 'c', 'u', 'r', 'v', 'e', '2', '5', '5', '1', '9'), HSM_KEY_MONTGOMERY, HSM_X25519 },
	/* OpenSC 0.23 counts a letter too many. */
	{ DER(0x13, 11, 'c', 'u', 'r', 'v', 'e', '2', '5', '5', '1', '9'), HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ DER(0x13, 6, 'X', '2', '5', '5', '1', '9'), HSM_KEY_MONTGOMERY, HSM_X25519 },
	{ DER(0x13, 6, 'x', '2', '5', '5', '1', '9'), HSM_KEY_MONTGOMERY, HSM_X25519 },
};

static CK_RV
curve_from(uint32_t type, const struct templ *a, hsm_spec *spec)
{
	const hsm_attr *params = templ_find(a, CKA_EC_PARAMS);

	if (params == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++)
		if (curves[i].len == params->value.len && memcmp(curves[i].der, params->value.ptr, params->value.len) == 0) {
			/* Callers of before 3.0 make Edwards keys as EC keys. */
			if (curves[i].type != type && type != HSM_KEY_EC)
				return CKR_CURVE_NOT_SUPPORTED;
			*spec = (hsm_spec){ curves[i].type, curves[i].curve };
			return CKR_OK;
		}
	return params->value.len < 2 || (params->value.ptr[0] != 0x06 && params->value.ptr[0] != 0x13 && params->value.ptr[0] != 0x30)
	    ? CKR_ATTRIBUTE_VALUE_INVALID : CKR_CURVE_NOT_SUPPORTED;
}

static CK_RV
set_from(const struct templ *a, const uint32_t names[3], hsm_spec *spec)
{
	CK_ULONG set = 0;
	CK_RV rv;

	if (templ_find(a, CKA_PARAMETER_SET) == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if ((rv = templ_number(a, CKA_PARAMETER_SET, &set)) != CKR_OK)
		return rv;
	if (set < 1 || set > 3)
		return CKR_PARAMETER_SET_NOT_SUPPORTED;
	spec->param = names[set - 1];
	return CKR_OK;
}

static CK_RV
length_from(const struct templ *a, CK_ATTRIBUTE_TYPE type, CK_ULONG unit, hsm_spec *spec)
{
	CK_ULONG n = 0;
	CK_RV rv;

	if (templ_find(a, type) == NULL)
		return CKR_TEMPLATE_INCOMPLETE;
	if ((rv = templ_number(a, type, &n)) != CKR_OK)
		return rv;
	if (n == 0 || n > (1u << 24))
		return type == CKA_VALUE_LEN ? CKR_KEY_SIZE_RANGE : CKR_ATTRIBUTE_VALUE_INVALID;
	spec->param = (uint32_t)(n * unit);
	return CKR_OK;
}

CK_RV
ck_spec_generate(hsm_mech mech, const struct templ *a, hsm_spec *spec)
{
	static const uint32_t dsa[3] = { 44, 65, 87 }, kem[3] = { 512, 768, 1024 };
	hsm_mech_info info;

	if (hsm_mech_describe(mech, &info) != HSM_OK || (info.flags & MECH_GENERATE) == 0)
		return CKR_MECHANISM_INVALID;
	*spec = (hsm_spec){ info.key_type, 0 };
	switch (info.key_type) {
	case HSM_KEY_RSA:
		return length_from(a, CKA_MODULUS_BITS, 1, spec);
	case HSM_KEY_EC:
	case HSM_KEY_EDWARDS:
	case HSM_KEY_MONTGOMERY:
		return curve_from(info.key_type, a, spec);
	case HSM_KEY_ML_DSA:
		return set_from(a, dsa, spec);
	case HSM_KEY_ML_KEM:
		return set_from(a, kem, spec);
	case HSM_KEY_DES3:
		spec->param = 192;
		return CKR_OK;
	case HSM_KEY_CHACHA20:
		spec->param = 256;
		return CKR_OK;
	default:
		return length_from(a, CKA_VALUE_LEN, 8, spec);
	}
}
