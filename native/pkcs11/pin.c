/* pin.c - a protected authentication path: where the environment names a file,
 * a caller may leave the PIN to the module, which reads it into the arena. */
#include <stdlib.h>

#include "door.h"

/* Users other than the two have no file; the second look at the user's is the
 * user's. */
static const char *
pin_file(CK_USER_TYPE user)
{
	const char *path = NULL;

	if (user == CKU_USER || user == CKU_CONTEXT_SPECIFIC)
		path = secure_getenv("STRONGROOM_PIN_FILE");
	else if (user == CKU_SO)
		path = secure_getenv("STRONGROOM_SO_PIN_FILE");
	return path != NULL && path[0] != '\0' ? path : NULL;
}

bool
pin_configured(CK_USER_TYPE user)
{
	return pin_file(user) != NULL;
}

CK_RV
pin_meant(CK_USER_TYPE user, const CK_UTF8CHAR *pin, CK_ULONG len, struct secret *room, hsm_in *meant)
{
	const char *path = pin_file(user);

	*meant = (hsm_in){ pin, len };
	if (pin != NULL)
		return CKR_OK;
	if (path == NULL)
		return CKR_ARGUMENTS_BAD;
	switch (token_pin_read(TOKEN_PIN_FILE, path, room)) {
	case HSM_OK:
		*meant = secret_in(room);
		return CKR_OK;
	case HSM_E_MEMORY:
		return CKR_HOST_MEMORY;
	case HSM_E_PIN_LEN:
		return CKR_PIN_INCORRECT;
	default:
		/* The pad is there, and nobody typed. */
		return CKR_FUNCTION_CANCELED;
	}
}
