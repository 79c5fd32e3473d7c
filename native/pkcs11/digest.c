/* digest.c - digests. Their state can be saved and set again, in this or
 * another session: what is saved is a name for a copy that stays in the core. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

static CK_RV
digest_start(struct session *s, const CK_MECHANISM *mechanism)
{
	hsm_mech_info about;
	hsm_params params;
	hsm_mech mech;
	CK_RV rv;

	if (s->ops[OP_DIGEST].stage != STAGE_NONE)
		return CKR_OPERATION_ACTIVE;
	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	if (hsm_mech_describe(mech, &about) != HSM_OK || (about.flags & MECH_DIGEST) == 0)
		return CKR_MECHANISM_INVALID;
	if ((rv = rv_from(hsm_begin(s->core, MECH_DIGEST, 0, mech, &params))) != CKR_OK)
		return rv;
	s->ops[OP_DIGEST].stage = STAGE_BEGUN;
	s->ops[OP_DIGEST].mech = mech;
	return CKR_OK;
}

CK_RV
C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (mechanism != NULL)
		return ck_leave(s, digest_start(s, mechanism));
	rv = s->ops[OP_DIGEST].stage == STAGE_NONE ? CKR_ARGUMENTS_BAD : CKR_OK;
	ck_op_drop(s, OP_DIGEST);
	return ck_leave(s, rv);
}

CK_RV
C_Digest(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_once(handle, OP_DIGEST, data, len, out, out_len);
}

CK_RV
C_DigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len)
{
	return op_update(handle, OP_DIGEST, part, len, NULL, NULL);
}

CK_RV
C_DigestKey(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key)
{
	struct session *s;
	hsm_status st;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (s->ops[OP_DIGEST].stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	if ((st = hsm_update_key(s->core, key)) == HSM_OK) {
		s->ops[OP_DIGEST].stage = STAGE_PARTS;
		return ck_leave(s, CKR_OK);
	}
	ck_op_drop(s, OP_DIGEST);
	return ck_leave(s, st == HSM_E_KEY_TYPE || st == HSM_E_POLICY ? CKR_KEY_INDIGESTIBLE : rv_key(st));
}

CK_RV
C_DigestFinal(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_final(handle, OP_DIGEST, out, out_len);
}
