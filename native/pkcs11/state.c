/* state.c - what an operation can tell and leave behind: the service
 * indicator, and the state of a digest. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

CK_RV
C_GetSessionValidationFlags(CK_SESSION_HANDLE handle, CK_SESSION_VALIDATION_FLAGS_TYPE type, CK_FLAGS *flags)
{
	struct session *s;
	CK_RV rv;

	if (flags == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	/* The indicator speaks of algorithm, key size and parameters being
	 * approved ones; no validation stands behind it. */
	if (type == CKS_LAST_VALIDATION_OK)
		*flags = s->approved ? CKS_LAST_VALIDATION_OK : 0;
	else
		rv = CKR_ARGUMENTS_BAD;
	return ck_leave(s, rv);
}
