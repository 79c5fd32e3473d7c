/* random.c - random bytes. A caller's seed is additional input to the core's
 * generator, which goes on seeding itself. */
#include "door.h"

CK_RV
C_SeedRandom(CK_SESSION_HANDLE handle, CK_BYTE *seed, CK_ULONG len)
{
	struct session *s;
	hsm_in in;
	CK_RV rv;

	if (!in_from(&in, seed, len))
		return CKR_ARGUMENTS_BAD;
	rv = ck_enter(handle, &s);
	return rv == CKR_OK ? ck_leave(s, rv_from(hsm_random_add(s->core, in))) : rv;
}

CK_RV
C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG len)
{
	hsm_out to = { out, len, 0 };
	struct session *s;
	CK_RV rv;

	if (len > LEN_MAX || (out == NULL && len != 0))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, len == 0 ? CKR_OK : rv_from(hsm_random(s->core, &to)));
}
