/* sign.c - signatures, MACs and their checks. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

#define SIGNATURE_MAX (1u << 20)

CK_RV
C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return op_init(handle, OP_SIGN, mechanism, key);
}

CK_RV
C_Sign(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
{
	return op_once(handle, OP_SIGN, data, len, sig, sig_len);
}

CK_RV
C_SignUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len)
{
	return op_update(handle, OP_SIGN, part, len, NULL, NULL);
}

CK_RV
C_SignFinal(CK_SESSION_HANDLE handle, CK_BYTE *sig, CK_ULONG *sig_len)
{
	return op_final(handle, OP_SIGN, sig, sig_len);
}

CK_RV
C_VerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return op_init(handle, OP_VERIFY, mechanism, key);
}

static CK_RV
verify_run(struct session *s, bool parts, hsm_in data, hsm_in sig)
{
	hsm_status st = parts ? hsm_final(s->core, MECH_VERIFY, sig, NULL) : hsm_once(s->core, MECH_VERIFY, data, sig, NULL);

	if (parts && (st == HSM_E_MECH || st == HSM_E_UNSUPPORTED))
		return CKR_OPERATION_NOT_INITIALIZED;
	return rv_key(st);
}

/* Every end of a check is the end of the operation. */
static CK_RV
verify(CK_SESSION_HANDLE handle, bool parts, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG sig_len)
{
	struct session *s;
	hsm_in message, signature;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (s->ops[OP_VERIFY].stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	if (!in_from(&message, data, len) || !in_from(&signature, sig, sig_len) || sig == NULL)
		rv = CKR_ARGUMENTS_BAD;
	else if (!parts && s->ops[OP_VERIFY].stage == STAGE_PARTS)
		rv = CKR_OPERATION_ACTIVE;
	else
		rv = verify_run(s, parts, message, signature);
	ck_op_drop(s, OP_VERIFY);
	return ck_leave(s, rv);
}

CK_RV
C_Verify(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG sig_len)
{
	return verify(handle, false, data, len, sig, sig_len);
}

CK_RV
C_VerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len)
{
	return op_update(handle, OP_VERIFY, part, len, NULL, NULL);
}

CK_RV
C_VerifyFinal(CK_SESSION_HANDLE handle, CK_BYTE *sig, CK_ULONG sig_len)
{
	return verify(handle, true, NULL, 0, sig, sig_len);
}

/* ---- the signature first (3.2) --------------------------------------------------------- */

/* In the core it is the same operation, so the two exclude each other. */
static CK_RV
signature_init(struct session *s, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, const CK_BYTE *sig, CK_ULONG len)
{
	struct op_state *o = &s->ops[OP_VERIFY_SIGNATURE];
	hsm_params params;
	hsm_mech mech;
	CK_RV rv;

	if (o->stage != STAGE_NONE || s->ops[OP_VERIFY].stage != STAGE_NONE)
		return CKR_OPERATION_ACTIVE;
	if (sig == NULL)
		return CKR_ARGUMENTS_BAD;
	if (len > SIGNATURE_MAX)
		return CKR_SIGNATURE_LEN_RANGE;
	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	if ((o->bytes = malloc(len + 1)) == NULL)
		return CKR_HOST_MEMORY;
	memcpy(o->bytes, sig, len);
	o->bytes_len = o->bytes_cap = len;
	if ((rv = rv_key(hsm_begin(s->core, MECH_VERIFY, key, mech, &params))) != CKR_OK) {
		ck_op_end(s, OP_VERIFY_SIGNATURE);
		return rv;
	}
	o->stage = STAGE_BEGUN;
	o->mech = mech;
	return CKR_OK;
}

CK_RV
C_VerifySignatureInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, CK_BYTE *sig, CK_ULONG len)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (mechanism != NULL)
		return ck_leave(s, signature_init(s, mechanism, key, sig, len));
	rv = s->ops[OP_VERIFY_SIGNATURE].stage == STAGE_NONE ? CKR_ARGUMENTS_BAD : CKR_OK;
	ck_op_drop(s, OP_VERIFY_SIGNATURE);
	return ck_leave(s, rv);
}

static CK_RV
signature_end(CK_SESSION_HANDLE handle, bool parts, CK_BYTE *data, CK_ULONG len)
{
	struct session *s;
	struct op_state *o;
	hsm_in message;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	o = &s->ops[OP_VERIFY_SIGNATURE];
	if (o->stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	if (!in_from(&message, data, len))
		rv = CKR_ARGUMENTS_BAD;
	else if (!parts && o->stage == STAGE_PARTS)
		rv = CKR_OPERATION_ACTIVE;
	else
		rv = verify_run(s, parts, message, (hsm_in){ o->bytes, o->bytes_len });
	ck_op_drop(s, OP_VERIFY_SIGNATURE);
	return ck_leave(s, rv);
}

CK_RV
C_VerifySignature(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len)
{
	return signature_end(handle, false, data, len);
}

CK_RV
C_VerifySignatureUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len)
{
	return op_update(handle, OP_VERIFY_SIGNATURE, part, len, NULL, NULL);
}

CK_RV
C_VerifySignatureFinal(CK_SESSION_HANDLE handle)
{
	return signature_end(handle, true, NULL, 0);
}

/* ---- with the data inside ---------------------------------------------------------------- */

static CK_RV
recover_begin(CK_SESSION_HANDLE handle, enum op op, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (mechanism != NULL)
		return ck_leave(s, op_hold(s, op, mechanism, key, false));
	rv = s->ops[op].stage == STAGE_NONE ? CKR_ARGUMENTS_BAD : CKR_OK;
	ck_op_end(s, op);
	return ck_leave(s, rv);
}

static CK_RV
recover_run(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	struct op_state *o;
	hsm_status st = HSM_E_ARGS;
	hsm_out to;
	hsm_in from;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	o = &s->ops[op];
	if (o->stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	if (in_from(&from, in, in_len) && out_from(&to, out, out_len)) {
		st = op == OP_RECOVER_SIGN ? hsm_sign(s->core, o->key, o->mech, &o->held->params, from, &to)
		    : hsm_recover(s->core, o->key, o->mech, &o->held->params, from, &to);
		if (st == HSM_OK || st == HSM_E_BUFFER)
			*out_len = to.len;
	}
	if (st != HSM_E_BUFFER && !(st == HSM_OK && out == NULL))
		ck_op_end(s, op);
	return ck_leave(s, rv_key(st));
}

CK_RV
C_SignRecoverInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return recover_begin(handle, OP_RECOVER_SIGN, mechanism, key);
}

CK_RV
C_SignRecover(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
{
	return recover_run(handle, OP_RECOVER_SIGN, data, len, sig, sig_len);
}

CK_RV
C_VerifyRecoverInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return recover_begin(handle, OP_RECOVER_VERIFY, mechanism, key);
}

CK_RV
C_VerifyRecover(CK_SESSION_HANDLE handle, CK_BYTE *sig, CK_ULONG sig_len, CK_BYTE *data, CK_ULONG *len)
{
	return recover_run(handle, OP_RECOVER_VERIFY, sig, sig_len, data, len);
}
