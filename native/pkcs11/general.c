/* general.c - what the module is, and what it does with which mechanism. */
#include <string.h>

#include "door.h"
#include "text.h"

CK_RV
C_GetInfo(CK_INFO *info)
{
	CK_RV rv;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	memset(info, 0, sizeof *info);
	info->cryptokiVersion = (CK_VERSION){ CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR };
	text_pad(info->manufacturerID, sizeof info->manufacturerID, "Strongroom");
	text_pad(info->libraryDescription, sizeof info->libraryDescription, "Strongroom software HSM");
	info->libraryVersion = text_version();
	door_leave();
	return CKR_OK;
}

/* ---- mechanisms --------------------------------------------------------------- */

/* SoftHSM2 has KWP under this number; callers written for it find it here. */
#define CKM_KWP_OF_OTHERS 0x0000210AUL

CK_RV
C_GetMechanismList(CK_SLOT_ID id, CK_MECHANISM_TYPE *list, CK_ULONG *count)
{
	CK_ULONG room, n = 0;
	hsm_mech_info info;
	CK_RV rv;

	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if (ck_slot_find(id) == NULL) {
		rv = CKR_SLOT_ID_INVALID;
		goto out;
	}
	room = *count;
	for (size_t i = 0; hsm_mech_at(i, &info) == HSM_OK; i++) {
		if (info.id >= CKM_VENDOR_DEFINED)
			continue;               /* the KMS's own */
		if (list != NULL && n < room)
			list[n] = (CK_MECHANISM_TYPE)info.id;
		n++;
	}
	*count = n;
	if (list != NULL && room < n)
		rv = CKR_BUFFER_TOO_SMALL;
out:
	door_leave();
	return rv;
}

static bool
mech_makes_pairs(uint32_t key_type)
{
	switch (key_type) {
	case HSM_KEY_RSA:
	case HSM_KEY_EC:
	case HSM_KEY_EDWARDS:
	case HSM_KEY_MONTGOMERY:
	case HSM_KEY_ML_DSA:
	case HSM_KEY_ML_KEM:
		return true;
	default:
		return false;
	}
}

static CK_FLAGS
mech_flags(const hsm_mech_info *info)
{
	static const struct { uint32_t use; CK_FLAGS flags; } words[] = {
		{ MECH_ENCRYPT, CKF_ENCRYPT }, { MECH_DECRYPT, CKF_DECRYPT }, { MECH_SIGN, CKF_SIGN },
		{ MECH_VERIFY, CKF_VERIFY }, { MECH_DIGEST, CKF_DIGEST }, { MECH_WRAP, CKF_WRAP },
		{ MECH_UNWRAP, CKF_UNWRAP }, { MECH_DERIVE, CKF_DERIVE }, { MECH_ENCAP, CKF_ENCAPSULATE },
		{ MECH_DECAP, CKF_DECAPSULATE }, { MECH_RECOVER, CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER },
	};
	CK_FLAGS flags = 0;

	if (info->id == CKM_PKCS5_PBKD2)
		return CKF_GENERATE;            /* from a password, which PKCS#11 does not call a key */
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if ((info->flags & words[i].use) != 0)
			flags |= words[i].flags;
	if ((info->flags & MECH_GENERATE) != 0)
		flags |= mech_makes_pairs(info->key_type) ? CKF_GENERATE_KEY_PAIR : CKF_GENERATE;
	if ((info->flags & MECH_AEAD) != 0)
		flags |= CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE;
	if ((info->flags & (MECH_SIGN | MECH_VERIFY)) != 0)
		flags |= CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY;
	if (info->key_type == HSM_KEY_EC)
		flags |= CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS;
	if (info->key_type == HSM_KEY_EDWARDS || info->key_type == HSM_KEY_MONTGOMERY)
		flags |= CKF_EC_F_P | CKF_EC_OID | CKF_EC_CURVENAME;
	return flags;
}

/* PKCS#11 counts the size of these in bytes, all others in bits. */
static bool
mech_in_bytes(uint32_t key_type)
{
	return key_type == HSM_KEY_AES || key_type == HSM_KEY_AES_XTS || key_type == HSM_KEY_CHACHA20
	    || key_type == HSM_KEY_GENERIC || key_type == HSM_KEY_HKDF || key_type == HSM_KEY_DES3;
}

CK_RV
C_GetMechanismInfo(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO *info)
{
	hsm_mech_info about;
	CK_ULONG unit;
	CK_RV rv;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	if (type == CKM_KWP_OF_OTHERS)
		type = CKM_AES_KEY_WRAP_KWP;
	if (ck_slot_find(id) == NULL)
		rv = CKR_SLOT_ID_INVALID;
	else if (type >= CKM_VENDOR_DEFINED || hsm_mech_describe(type, &about) != HSM_OK)
		rv = CKR_MECHANISM_INVALID;
	if (rv != CKR_OK)
		goto out;
	unit = mech_in_bytes(about.key_type) ? 8 : 1;
	info->ulMinKeySize = about.min_bits / unit;
	info->ulMaxKeySize = about.max_bits / unit;
	info->flags = mech_flags(&about);
out:
	door_leave();
	return rv;
}

/* ---- of the days of parallel functions ------------------------------------------ */

CK_RV
C_GetFunctionStatus(CK_SESSION_HANDLE handle)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	return rv == CKR_OK ? ck_leave(s, CKR_FUNCTION_NOT_PARALLEL) : rv;
}

CK_RV
C_CancelFunction(CK_SESSION_HANDLE handle)
{
	return C_GetFunctionStatus(handle);
}

/* No session here is asynchronous. */
CK_RV
C_AsyncComplete(CK_SESSION_HANDLE handle, CK_UTF8CHAR *function, CK_ASYNC_DATA *result)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	(void)function;
	(void)result;
	return rv == CKR_OK ? ck_leave(s, CKR_SESSION_ASYNC_NOT_SUPPORTED) : rv;
}

CK_RV
C_AsyncGetID(CK_SESSION_HANDLE handle, CK_UTF8CHAR *function, CK_ULONG *id)
{
	(void)id;
	return C_AsyncComplete(handle, function, NULL);
}

CK_RV
C_AsyncJoin(CK_SESSION_HANDLE handle, CK_UTF8CHAR *function, CK_ULONG id, CK_BYTE *data, CK_ULONG len)
{
	(void)id;
	(void)data;
	(void)len;
	return C_AsyncComplete(handle, function, NULL);
}
