/* module.c - the three function lists of the one module, and who asks for them. */
#include <string.h>

#include "door.h"

/* In the order of the headers' structures; each list begins with the one before. */
#define LIST_2_40(X) \
	X(C_Initialize) X(C_Finalize) X(C_GetInfo) X(C_GetFunctionList) \
	X(C_GetSlotList) X(C_GetSlotInfo) X(C_GetTokenInfo) X(C_GetMechanismList) \
	X(C_GetMechanismInfo) X(C_InitToken) X(C_InitPIN) X(C_SetPIN) \
	X(C_OpenSession) X(C_CloseSession) X(C_CloseAllSessions) X(C_GetSessionInfo) \
	X(C_GetOperationState) X(C_SetOperationState) X(C_Login) X(C_Logout) \
	X(C_CreateObject) X(C_CopyObject) X(C_DestroyObject) X(C_GetObjectSize) \
	X(C_GetAttributeValue) X(C_SetAttributeValue) X(C_FindObjectsInit) \
	X(C_FindObjects) X(C_FindObjectsFinal) X(C_EncryptInit) X(C_Encrypt) \
	X(C_EncryptUpdate) X(C_EncryptFinal) X(C_DecryptInit) X(C_Decrypt) \
	X(C_DecryptUpdate) X(C_DecryptFinal) X(C_DigestInit) X(C_Digest) \
	X(C_DigestUpdate) X(C_DigestKey) X(C_DigestFinal) X(C_SignInit) X(C_Sign) \
	X(C_SignUpdate) X(C_SignFinal) X(C_SignRecoverInit) X(C_SignRecover) \
	X(C_VerifyInit) X(C_Verify) X(C_VerifyUpdate) X(C_VerifyFinal) \
	X(C_VerifyRecoverInit) X(C_VerifyRecover) X(C_DigestEncryptUpdate) \
	X(C_DecryptDigestUpdate) X(C_SignEncryptUpdate) X(C_DecryptVerifyUpdate) \
	X(C_GenerateKey) X(C_GenerateKeyPair) X(C_WrapKey) X(C_UnwrapKey) \
	X(C_DeriveKey) X(C_SeedRandom) X(C_GenerateRandom) X(C_GetFunctionStatus) \
	X(C_CancelFunction) X(C_WaitForSlotEvent)
#define LIST_3_0(X) \
	X(C_GetInterfaceList) X(C_GetInterface) X(C_LoginUser) X(C_SessionCancel) \
	X(C_MessageEncryptInit) X(C_EncryptMessage) X(C_EncryptMessageBegin) \
	X(C_EncryptMessageNext) X(C_MessageEncryptFinal) X(C_MessageDecryptInit) \
	X(C_DecryptMessage) X(C_DecryptMessageBegin) X(C_DecryptMessageNext) \
	X(C_MessageDecryptFinal) X(C_MessageSignInit) X(C_SignMessage) \
	X(C_SignMessageBegin) X(C_SignMessageNext) X(C_MessageSignFinal) \
	X(C_MessageVerifyInit) X(C_VerifyMessage) X(C_VerifyMessageBegin) \
	X(C_VerifyMessageNext) X(C_MessageVerifyFinal)
#define LIST_3_2(X) \
	X(C_EncapsulateKey) X(C_DecapsulateKey) X(C_VerifySignatureInit) \
	X(C_VerifySignature) X(C_VerifySignatureUpdate) X(C_VerifySignatureFinal) \
	X(C_GetSessionValidationFlags) X(C_AsyncComplete) X(C_AsyncGetID) \
	X(C_AsyncJoin) X(C_WrapKeyAuthenticated) X(C_UnwrapKeyAuthenticated)

#define ENTRY(name) .name = name,

static CK_FUNCTION_LIST list_2_40 = { .version = { 2, 40 }, LIST_2_40(ENTRY) };
static CK_FUNCTION_LIST_3_0 list_3_0 = { .version = { 3, 0 }, LIST_2_40(ENTRY) LIST_3_0(ENTRY) };
static CK_FUNCTION_LIST_3_2 list_3_2 = { .version = { 3, 2 }, LIST_2_40(ENTRY) LIST_3_0(ENTRY) LIST_3_2(ENTRY) };

static CK_UTF8CHAR standard[] = "PKCS 11";

/* The first is what a caller without wishes gets; its first part is a 3.0 list. */
static CK_INTERFACE interfaces[] = {
	{ standard, &list_3_2, 0 },
	{ standard, &list_3_0, 0 },
	{ standard, &list_2_40, 0 },
};
#define INTERFACES (sizeof interfaces / sizeof interfaces[0])

CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	if (list == NULL)
		return CKR_ARGUMENTS_BAD;
	*list = &list_2_40;
	return CKR_OK;
}

CK_RV
C_GetInterfaceList(CK_INTERFACE *list, CK_ULONG *count)
{
	CK_ULONG room;

	if (count == NULL)
		return CKR_ARGUMENTS_BAD;
	room = *count;
	*count = INTERFACES;
	if (list == NULL)
		return CKR_OK;
	if (room < INTERFACES)
		return CKR_BUFFER_TOO_SMALL;
	memcpy(list, interfaces, sizeof interfaces);
	return CKR_OK;
}

static bool
interface_fits(const CK_INTERFACE *it, const CK_UTF8CHAR *name, const CK_VERSION *version, CK_FLAGS flags)
{
	const CK_VERSION *own = it->pFunctionList;

	if (name != NULL && strcmp((const char *)name, (const char *)it->pInterfaceName) != 0)
		return false;
	if (version != NULL && (version->major != own->major || version->minor != own->minor))
		return false;
	return (it->flags & flags) == flags;
}

CK_RV
C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **interface, CK_FLAGS flags)
{
	if (interface == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < INTERFACES; i++)
		if (interface_fits(&interfaces[i], name, version, flags)) {
			*interface = &interfaces[i];
			return CKR_OK;
		}
	return CKR_FUNCTION_FAILED;
}
