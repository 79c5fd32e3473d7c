/* calls.h - every function of Cryptoki 3.2, called once with arguments that are
 * otherwise fine: those that name a session, and those that do not. */
#ifndef STRONGROOM_TEST_PKCS11_CALLS_H
#define STRONGROOM_TEST_PKCS11_CALLS_H

#include "room.h"

static CK_BYTE buf[4096];
static CK_ULONG len = sizeof buf, count;
static CK_OBJECT_HANDLE object, object2;
static CK_FLAGS flags;
static CK_SESSION_INFO session_info;
static CK_MECHANISM gcm_mech = { CKM_AES_GCM, NULL, 0 };
static CK_MECHANISM sha = { CKM_SHA256, NULL, 0 };
static CK_MECHANISM ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
static CK_MECHANISM raw_ecdsa = { CKM_ECDSA, NULL, 0 };
static CK_ATTRIBUTE none[1] = { { CKA_LABEL, NULL, 0 } };

/* Every function that names a session, with arguments that are otherwise fine. */
#define SESSION_CALLS(X) \
	X(C_InitPIN, buf, 8) X(C_SetPIN, buf, 8, buf, 8) X(C_CloseSession) X(C_GetSessionInfo, &session_info) \
	X(C_GetOperationState, buf, &len) X(C_SetOperationState, buf, 16, 0, 0) X(C_Login, CKU_USER, USER_PIN, 4) X(C_Logout) \
	X(C_CreateObject, none, 1, &object) X(C_CopyObject, 1, none, 0, &object) X(C_DestroyObject, 1) \
	X(C_GetObjectSize, 1, &len) X(C_GetAttributeValue, 1, none, 1) X(C_SetAttributeValue, 1, none, 1) \
	X(C_FindObjectsInit, none, 0) X(C_FindObjects, &object, 1, &count) X(C_FindObjectsFinal) \
	X(C_EncryptInit, &gcm_mech, 1) X(C_Encrypt, buf, 16, buf, &len) X(C_EncryptUpdate, buf, 16, buf, &len) X(C_EncryptFinal, buf, &len) \
	X(C_DecryptInit, &gcm_mech, 1) X(C_Decrypt, buf, 16, buf, &len) X(C_DecryptUpdate, buf, 16, buf, &len) X(C_DecryptFinal, buf, &len) \
	X(C_DigestInit, &sha) X(C_Digest, buf, 16, buf, &len) X(C_DigestUpdate, buf, 16) X(C_DigestKey, 1) X(C_DigestFinal, buf, &len) \
	X(C_SignInit, &ecdsa, 1) X(C_Sign, buf, 16, buf, &len) X(C_SignUpdate, buf, 16) X(C_SignFinal, buf, &len) \
	X(C_SignRecoverInit, &ecdsa, 1) X(C_SignRecover, buf, 16, buf, &len) \
	X(C_VerifyInit, &ecdsa, 1) X(C_Verify, buf, 16, buf, 64) X(C_VerifyUpdate, buf, 16) X(C_VerifyFinal, buf, 64) \
	X(C_VerifyRecoverInit, &ecdsa, 1) X(C_VerifyRecover, buf, 16, buf, &len) \
	X(C_DigestEncryptUpdate, buf, 16, buf, &len) X(C_DecryptDigestUpdate, buf, 16, buf, &len) \
	X(C_SignEncryptUpdate, buf, 16, buf, &len) X(C_DecryptVerifyUpdate, buf, 16, buf, &len) \
	X(C_GenerateKey, &sha, none, 1, &object) X(C_GenerateKeyPair, &ecdsa, none, 1, none, 1, &object, &object2) \
	X(C_WrapKey, &gcm_mech, 1, 2, buf, &len) X(C_UnwrapKey, &gcm_mech, 1, buf, 16, none, 1, &object) \
	X(C_DeriveKey, &gcm_mech, 1, none, 1, &object) X(C_SeedRandom, buf, 16) X(C_GenerateRandom, buf, 16) \
	X(C_GetFunctionStatus) X(C_CancelFunction) \
	X(C_LoginUser, CKU_USER, USER_PIN, 4, NULL, 0) X(C_SessionCancel, CKF_ENCRYPT) \
	X(C_MessageEncryptInit, &gcm_mech, 1) X(C_EncryptMessage, buf, 16, NULL, 0, buf, 16, buf, &len) \
	X(C_EncryptMessageBegin, buf, 16, NULL, 0) X(C_EncryptMessageNext, buf, 16, buf, 16, buf, &len, 0) X(C_MessageEncryptFinal) \
	X(C_MessageDecryptInit, &gcm_mech, 1) X(C_DecryptMessage, buf, 16, NULL, 0, buf, 16, buf, &len) \
	X(C_DecryptMessageBegin, buf, 16, NULL, 0) X(C_DecryptMessageNext, buf, 16, buf, 16, buf, &len, 0) X(C_MessageDecryptFinal) \
	X(C_MessageSignInit, &ecdsa, 1) X(C_SignMessage, NULL, 0, buf, 16, buf, &len) X(C_SignMessageBegin, NULL, 0) \
	X(C_SignMessageNext, NULL, 0, buf, 16, buf, &len) X(C_MessageSignFinal) \
	X(C_MessageVerifyInit, &ecdsa, 1) X(C_VerifyMessage, NULL, 0, buf, 16, buf, 64) X(C_VerifyMessageBegin, NULL, 0) \
	X(C_VerifyMessageNext, NULL, 0, buf, 16, buf, 64) X(C_MessageVerifyFinal) \
	X(C_EncapsulateKey, &ecdsa, 1, none, 1, buf, &len, &object) X(C_DecapsulateKey, &ecdsa, 1, none, 1, buf, 16, &object) \
	X(C_VerifySignatureInit, &ecdsa, 1, buf, 64) X(C_VerifySignature, buf, 16) X(C_VerifySignatureUpdate, buf, 16) \
	X(C_VerifySignatureFinal) X(C_GetSessionValidationFlags, CKS_LAST_VALIDATION_OK, &flags) \
	X(C_AsyncComplete, buf, NULL) X(C_AsyncGetID, buf, &len) X(C_AsyncJoin, buf, 1, buf, 16) \
	X(C_WrapKeyAuthenticated, &gcm_mech, 1, 2, NULL, 0, buf, &len) \
	X(C_UnwrapKeyAuthenticated, &gcm_mech, 1, buf, 16, none, 1, NULL, 0, &object)

static CK_INFO about;
static CK_SLOT_INFO slot_info;
static CK_TOKEN_INFO token_info;
static CK_MECHANISM_INFO mech_info;
static CK_SLOT_ID slot_id;

/* The others, but for C_Initialize and the three that hand out lists. */
#define OTHER_CALLS(X) \
	X(C_Finalize, NULL) X(C_GetInfo, &about) X(C_GetSlotList, CK_FALSE, NULL, &count) X(C_GetSlotInfo, 0, &slot_info) \
	X(C_GetTokenInfo, 0, &token_info) X(C_GetMechanismList, 0, NULL, &count) X(C_GetMechanismInfo, 0, CKM_AES_GCM, &mech_info) \
	X(C_InitToken, 0, SO_PIN, 8, LABEL) X(C_OpenSession, 0, CKF_SERIAL_SESSION, NULL, NULL, &object) X(C_CloseAllSessions, 0) \
	X(C_WaitForSlotEvent, CKF_DONT_BLOCK, &slot_id, NULL)

#endif
