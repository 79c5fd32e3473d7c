/* op.c - operations: begun, asked for a size, done at once or in parts, ended.
 *
 * PKCS#11's rule is one for all: an operation ends with its result and with
 * every error, except when only a size was asked or the room was too small. */
#include <string.h>

#include "door.h"

uint32_t
op_use(enum op op)
{
	static const uint32_t uses[OP_COUNT] = {
		[OP_ENCRYPT] = MECH_ENCRYPT, [OP_DECRYPT] = MECH_DECRYPT, [OP_SIGN] = MECH_SIGN, [OP_VERIFY] = MECH_VERIFY,
		[OP_DIGEST] = MECH_DIGEST, [OP_RECOVER_SIGN] = MECH_RECOVER, [OP_RECOVER_VERIFY] = MECH_RECOVER,
		[OP_MESSAGE_ENCRYPT] = MECH_ENCRYPT, [OP_MESSAGE_DECRYPT] = MECH_DECRYPT, [OP_MESSAGE_SIGN] = MECH_SIGN,
		[OP_MESSAGE_VERIFY] = MECH_VERIFY, [OP_VERIFY_SIGNATURE] = MECH_VERIFY,
	};

	return uses[op];
}

bool
in_from(hsm_in *in, const CK_BYTE *ptr, CK_ULONG len)
{
	*in = (hsm_in){ ptr, len };
	return len <= LEN_MAX && (ptr != NULL || len == 0);
}

bool
out_from(hsm_out *out, CK_BYTE *ptr, const CK_ULONG *len)
{
	if (len == NULL)
		return false;
	*out = (hsm_out){ ptr, *len > LEN_MAX ? LEN_MAX : *len, 0 };
	return true;
}

/* Operations that live in the core; the others keep key and parameters here. */
static bool
op_in_core(enum op op)
{
	return op <= OP_DIGEST || op == OP_VERIFY_SIGNATURE;
}

void
ck_op_drop(struct session *s, enum op op)
{
	if (s->ops[op].stage != STAGE_NONE && op_in_core(op))
		(void)!hsm_cancel(s->core, op_use(op));
	else if (s->ops[op].stage == STAGE_PARTS)
		(void)!hsm_cancel(s->side, op_use(op));
	ck_op_end(s, op);
}

static CK_RV
op_start(struct session *s, enum op op, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	struct op_state *o = &s->ops[op];
	hsm_params params;
	hsm_mech mech;
	CK_RV rv;

	if (o->stage != STAGE_NONE)
		return CKR_OPERATION_ACTIVE;
	if ((rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	if (builtin_holds(key))
		return CKR_KEY_HANDLE_INVALID;
	if ((rv = rv_key(hsm_begin(s->core, op_use(op), key, mech, &params))) != CKR_OK)
		return rv;
	o->stage = STAGE_BEGUN;
	o->mech = mech;
	o->key = key;
	return CKR_OK;
}

CK_RV
op_init(CK_SESSION_HANDLE handle, enum op op, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (mechanism != NULL)
		return ck_leave(s, op_start(s, op, mechanism, key));
	rv = s->ops[op].stage == STAGE_NONE ? CKR_ARGUMENTS_BAD : CKR_OK;
	ck_op_drop(s, op);
	return ck_leave(s, rv);
}

static bool
hold_class_fits(enum op op, uint32_t klass)
{
	if (op == OP_RECOVER_SIGN)
		return klass == HSM_CLASS_PRIVATE;
	return op != OP_RECOVER_VERIFY || klass == HSM_CLASS_PUBLIC;
}

/* message: parameters come with each message, except for signatures, whose
 * mechanism's are given once. */
CK_RV
op_hold(struct session *s, enum op op, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key, bool message)
{
	struct op_state *o = &s->ops[op];
	hsm_mech_info about;
	hsm_key_info info;
	hsm_params params = { .flags = 0 };
	hsm_mech mech = mechanism->mechanism;
	CK_RV rv = CKR_OK;

	if (o->stage != STAGE_NONE)
		return CKR_OPERATION_ACTIVE;
	if (!message && (rv = ck_params(mechanism, &mech, &params)) != CKR_OK)
		return rv;
	if (hsm_mech_describe(mech, &about) != HSM_OK || (about.flags & op_use(op)) == 0
	    || (message && (about.flags & MECH_AEAD) == 0))
		return CKR_MECHANISM_INVALID;
	if (builtin_holds(key))
		return CKR_KEY_HANDLE_INVALID;
	if ((rv = rv_key(hsm_key_describe(s->core, key, &info))) != CKR_OK)
		return rv;
	if ((about.key_type != HSM_KEY_ANY && info.spec.type != about.key_type) || !hold_class_fits(op, info.klass))
		return CKR_KEY_TYPE_INCONSISTENT;
	if ((info.use & op_use(op)) == 0)
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	if ((rv = held_keep(&params, &o->held)) != CKR_OK)
		return rv;
	o->mech = mech;
	o->key = key;
	o->stage = STAGE_BEGUN;
	return CKR_OK;
}

/* What a step answered: does the operation go on? `asked`: only for the size. */
static CK_RV
op_settle(struct session *s, enum op op, hsm_status st, bool last, bool asked)
{
	if (st == HSM_E_BUFFER || (st == HSM_OK && (asked || !last)))
		return rv_from(st);
	if (st == HSM_OK) {
		ck_op_end(s, op);               /* the core's side ended with its result */
		return CKR_OK;
	}
	ck_op_drop(s, op);
	return rv_key(st);
}

/* Enter with an operation that is under way. */
static CK_RV
op_enter(CK_SESSION_HANDLE handle, enum op op, struct session **s)
{
	CK_RV rv = ck_enter(handle, s);

	if (rv != CKR_OK)
		return rv;
	if ((*s)->ops[op].stage == STAGE_NONE)
		return ck_leave(*s, CKR_OPERATION_NOT_INITIALIZED);
	return CKR_OK;
}

static CK_RV
op_bad(struct session *s, enum op op, CK_RV rv)
{
	ck_op_drop(s, op);
	return ck_leave(s, rv);
}

CK_RV
op_once(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	hsm_status st;
	hsm_out to;
	hsm_in from;
	CK_RV rv = op_enter(handle, op, &s);

	if (rv != CKR_OK)
		return rv;
	if (s->ops[op].stage == STAGE_PARTS)
		return op_bad(s, op, CKR_OPERATION_ACTIVE);
	if (!in_from(&from, in, in_len) || !out_from(&to, out, out_len))
		return op_bad(s, op, CKR_ARGUMENTS_BAD);
	st = hsm_once(s->core, op_use(op), from, HSM_NONE, &to);
	if (st == HSM_OK || st == HSM_E_BUFFER)
		*out_len = to.len;
	return ck_leave(s, op_settle(s, op, st, true, out == NULL));
}

/* It takes a hash, which has no parts (PKCS#11 3.2). */
static bool
op_of_one_part(const struct op_state *o)
{
	return o->mech == CKM_HASH_ML_DSA;
}

CK_RV
op_update(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *in, CK_ULONG in_len, CK_BYTE *out, CK_ULONG *out_len)
{
	bool answers = op == OP_ENCRYPT || op == OP_DECRYPT;
	hsm_out to = { NULL, 0, 0 };
	struct session *s;
	hsm_status st;
	hsm_in from;
	CK_RV rv = op_enter(handle, op, &s);

	if (rv != CKR_OK)
		return rv;
	if (op_of_one_part(&s->ops[op]))
		return op_bad(s, op, CKR_OPERATION_NOT_INITIALIZED);
	if (!in_from(&from, in, in_len) || (answers && !out_from(&to, out, out_len)))
		return op_bad(s, op, CKR_ARGUMENTS_BAD);
	st = hsm_update(s->core, op_use(op), from, answers ? &to : NULL);
	if (answers && (st == HSM_OK || st == HSM_E_BUFFER))
		*out_len = to.len;
	if (st == HSM_OK && (!answers || out != NULL))
		s->ops[op].stage = STAGE_PARTS;
	/* A mechanism of one part has no operation of parts. */
	if (st == HSM_E_MECH || st == HSM_E_UNSUPPORTED) {
		ck_op_drop(s, op);
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	}
	return ck_leave(s, op_settle(s, op, st, false, false));
}

CK_RV
op_final(CK_SESSION_HANDLE handle, enum op op, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	hsm_status st;
	hsm_out to;
	CK_RV rv = op_enter(handle, op, &s);

	if (rv != CKR_OK)
		return rv;
	if (op_of_one_part(&s->ops[op]))
		return op_bad(s, op, CKR_OPERATION_NOT_INITIALIZED);
	if (!out_from(&to, out, out_len))
		return op_bad(s, op, CKR_ARGUMENTS_BAD);
	st = hsm_final(s->core, op_use(op), HSM_NONE, &to);
	if (st == HSM_OK || st == HSM_E_BUFFER)
		*out_len = to.len;
	if (st == HSM_E_MECH || st == HSM_E_UNSUPPORTED) {
		ck_op_drop(s, op);
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	}
	return ck_leave(s, op_settle(s, op, st, true, out == NULL));
}

/* ---- giving up ------------------------------------------------------------------ */

static const struct { CK_FLAGS flag; enum op op; } cancels[] = {
	{ CKF_ENCRYPT, OP_ENCRYPT }, { CKF_DECRYPT, OP_DECRYPT }, { CKF_DIGEST, OP_DIGEST }, { CKF_SIGN, OP_SIGN },
	{ CKF_SIGN_RECOVER, OP_RECOVER_SIGN }, { CKF_VERIFY, OP_VERIFY }, { CKF_VERIFY, OP_VERIFY_SIGNATURE },
	{ CKF_VERIFY_RECOVER, OP_RECOVER_VERIFY }, { CKF_MESSAGE_ENCRYPT, OP_MESSAGE_ENCRYPT },
	{ CKF_MESSAGE_DECRYPT, OP_MESSAGE_DECRYPT }, { CKF_MESSAGE_SIGN, OP_MESSAGE_SIGN },
	{ CKF_MESSAGE_VERIFY, OP_MESSAGE_VERIFY },
};

CK_RV
C_SessionCancel(CK_SESSION_HANDLE handle, CK_FLAGS flags)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	for (size_t i = 0; i < sizeof cancels / sizeof cancels[0]; i++)
		if ((flags & cancels[i].flag) != 0)
			ck_op_drop(s, cancels[i].op);
	if ((flags & CKF_FIND_OBJECTS) != 0)
		ck_find_end(s);
	return ck_leave(s, CKR_OK);
}
