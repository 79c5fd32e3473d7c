/* later.c - what is not built yet says so. */
#include "door.h"

CK_RV
C_GetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG *len)
{
	(void)handle;
	(void)state;
	(void)len;
	return CKR_FUNCTION_NOT_SUPPORTED;
}

CK_RV
C_SetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG len, CK_OBJECT_HANDLE enc, CK_OBJECT_HANDLE auth)
{
	(void)handle;
	(void)state;
	(void)len;
	(void)enc;
	(void)auth;
	return CKR_FUNCTION_NOT_SUPPORTED;
}
