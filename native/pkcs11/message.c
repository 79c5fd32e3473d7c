/* message.c - many messages under one key (3.0): AEADs whose IV and tag stand
 * beside the message, and signatures.
 *
 * A whole message is one call into the core. A message in parts runs in a core
 * session of its own beside this one, so that it and an ordinary operation do
 * not meet. Nothing of a message that is being decrypted in parts leaves before
 * its tag was checked: all of it comes with the last part. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

static CK_RV
message_init(CK_SESSION_HANDLE handle, enum op op, const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (mechanism != NULL)
		return ck_leave(s, op_hold(s, op, mechanism, key, op == OP_MESSAGE_ENCRYPT || op == OP_MESSAGE_DECRYPT));
	rv = s->ops[op].stage == STAGE_NONE ? CKR_ARGUMENTS_BAD : CKR_OK;
	ck_op_drop(s, op);
	return ck_leave(s, rv);
}

static CK_RV
message_final(CK_SESSION_HANDLE handle, enum op op)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	rv = s->ops[op].stage == STAGE_NONE ? CKR_OPERATION_NOT_INITIALIZED : CKR_OK;
	ck_op_drop(s, op);
	return ck_leave(s, rv);
}

/* With an operation that is open for the next message or the next part. */
static CK_RV
message_enter(CK_SESSION_HANDLE handle, enum op op, enum op_stage stage, struct session **s)
{
	CK_RV rv = ck_enter(handle, s);

	if (rv != CKR_OK)
		return rv;
	if ((*s)->ops[op].stage == STAGE_NONE || (stage == STAGE_PARTS && (*s)->ops[op].stage != STAGE_PARTS))
		return ck_leave(*s, CKR_OPERATION_NOT_INITIALIZED);
	if ((*s)->ops[op].stage != stage)
		return ck_leave(*s, CKR_OPERATION_ACTIVE);
	return CKR_OK;
}

static CK_RV
side_open(struct session *s)
{
	if (s->side != 0)
		return CKR_OK;
	return rv_from(hsm_session_open(token_part(s->token), ck_writable(s) ? HSM_SESSION_RW : 0, &s->side));
}

/* This message is over, well or not; the operation stays for the next one. */
static CK_RV
part_end(struct session *s, enum op op, CK_RV rv)
{
	(void)!hsm_cancel(s->side, op_use(op));
	s->ops[op].stage = STAGE_BEGUN;
	return rv;
}

static CK_RV
rv_open(hsm_status st)
{
	return st == HSM_E_CIPHERTEXT ? CKR_AEAD_DECRYPT_FAILED : rv_key(st);
}

/* ---- AEADs -------------------------------------------------------------------------------- */

CK_RV
C_MessageEncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return message_init(handle, OP_MESSAGE_ENCRYPT, mechanism, key);
}

CK_RV
C_MessageDecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return message_init(handle, OP_MESSAGE_DECRYPT, mechanism, key);
}

static CK_RV
seal_message(struct session *s, void *param, CK_ULONG param_len, hsm_in aad, hsm_in plain, hsm_out *out)
{
	struct op_state *o = &s->ops[OP_MESSAGE_ENCRYPT];
	struct made made;
	hsm_params params;
	hsm_out tag;
	CK_RV rv = ck_params_message(o->mech, param, param_len, &params, &made);

	if (rv != CKR_OK)
		return rv;
	if (out->ptr == NULL || out->cap < plain.len) {
		out->len = plain.len;
		return out->ptr == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if ((rv = made_iv(s->core, &made, true, &params)) != CKR_OK)
		return rv;
	tag = (hsm_out){ made.tag, made.tag_len, 0 };
	params.aad = aad;
	params.tag_out = &tag;
	return rv_key(hsm_encrypt(s->core, o->key, o->mech, &params, plain, out));
}

CK_RV
C_EncryptMessage(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *aad, CK_ULONG aad_len,
	CK_BYTE *plain, CK_ULONG plain_len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	hsm_in a, p;
	hsm_out to;
	CK_RV rv = message_enter(handle, OP_MESSAGE_ENCRYPT, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	if (!in_from(&a, aad, aad_len) || !in_from(&p, plain, plain_len) || !out_from(&to, out, out_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	rv = seal_message(s, param, param_len, a, p, &to);
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		*out_len = to.len;
	return ck_leave(s, rv);
}

/* The core opens ciphertext and tag as one range. */
static CK_RV
open_message(struct session *s, void *param, CK_ULONG param_len, hsm_in aad, hsm_in ciphertext, hsm_out *out)
{
	struct op_state *o = &s->ops[OP_MESSAGE_DECRYPT];
	struct made made;
	hsm_params params;
	uint8_t *whole;
	CK_RV rv = ck_params_message(o->mech, param, param_len, &params, &made);

	if (rv != CKR_OK || (rv = made_iv(s->core, &made, false, &params)) != CKR_OK)
		return rv;
	if (out->ptr == NULL || out->cap < ciphertext.len) {
		out->len = ciphertext.len;
		return out->ptr == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if ((whole = malloc(ciphertext.len + made.tag_len)) == NULL)
		return CKR_HOST_MEMORY;
	if (ciphertext.len != 0)
		memcpy(whole, ciphertext.ptr, ciphertext.len);
	memcpy(whole + ciphertext.len, made.tag, made.tag_len);
	params.aad = aad;
	rv = rv_open(hsm_decrypt(s->core, o->key, o->mech, &params, (hsm_in){ whole, ciphertext.len + made.tag_len }, out));
	free(whole);
	return rv;
}

CK_RV
C_DecryptMessage(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *aad, CK_ULONG aad_len,
	CK_BYTE *ciphertext, CK_ULONG ciphertext_len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	hsm_in a, c;
	hsm_out to;
	CK_RV rv = message_enter(handle, OP_MESSAGE_DECRYPT, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	if (!in_from(&a, aad, aad_len) || !in_from(&c, ciphertext, ciphertext_len) || !out_from(&to, out, out_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	rv = open_message(s, param, param_len, a, c, &to);
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		*out_len = to.len;
	return ck_leave(s, rv);
}

static CK_RV
aead_begin(CK_SESSION_HANDLE handle, enum op op, void *param, CK_ULONG param_len, CK_BYTE *aad, CK_ULONG aad_len)
{
	struct session *s;
	struct op_state *o;
	struct made made;
	hsm_params params;
	hsm_in a;
	CK_RV rv = message_enter(handle, op, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	o = &s->ops[op];
	if (!in_from(&a, aad, aad_len))
		rv = CKR_ARGUMENTS_BAD;
	else if ((rv = ck_params_message(o->mech, param, param_len, &params, &made)) == CKR_OK && (rv = side_open(s)) == CKR_OK
	    && (rv = made_iv(s->core, &made, op == OP_MESSAGE_ENCRYPT, &params)) == CKR_OK) {
		params.aad = a;
		rv = rv_key(hsm_begin(s->side, op_use(op), o->key, o->mech, &params));
	}
	if (rv == CKR_OK)
		o->stage = STAGE_PARTS;
	return ck_leave(s, rv);
}

CK_RV
C_EncryptMessageBegin(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *aad, CK_ULONG aad_len)
{
	return aead_begin(handle, OP_MESSAGE_ENCRYPT, param, param_len, aad, aad_len);
}

CK_RV
C_DecryptMessageBegin(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *aad, CK_ULONG aad_len)
{
	return aead_begin(handle, OP_MESSAGE_DECRYPT, param, param_len, aad, aad_len);
}

/* The rest of the ciphertext and the tag come out together, and are parted. */
static hsm_status
seal_end(struct session *s, const struct made *made, hsm_out *out)
{
	uint8_t rest[64];
	hsm_out last = { rest, sizeof rest, 0 };
	hsm_status st = hsm_final(s->side, MECH_ENCRYPT, HSM_NONE, &last);
	size_t body;

	if (st != HSM_OK)
		return st;
	if (last.len < made->tag_len || out->cap - out->len < last.len - made->tag_len)
		return HSM_E_DATA_LEN;
	body = last.len - made->tag_len;
	memcpy(out->ptr + out->len, rest, body);
	memcpy(made->tag, rest + body, made->tag_len);
	out->len += body;
	return HSM_OK;
}

static CK_RV
seal_part(struct session *s, const struct made *made, hsm_in part, bool last, hsm_out *out)
{
	hsm_status st;

	/* A stream cipher's part is as long as what went in. */
	if (out->ptr == NULL || out->cap < part.len) {
		out->len = part.len;
		return out->ptr == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	st = part.len == 0 ? HSM_OK : hsm_update(s->side, MECH_ENCRYPT, part, out);
	if (st == HSM_OK && last)
		st = seal_end(s, made, out);
	if (st != HSM_OK || last)
		return part_end(s, OP_MESSAGE_ENCRYPT, rv_key(st));
	return CKR_OK;
}

static CK_RV
open_part(struct session *s, const struct made *made, hsm_in part, bool last, hsm_out *out)
{
	struct op_state *o = &s->ops[OP_MESSAGE_DECRYPT];
	hsm_out none = { NULL, 0, 0 };
	hsm_status st;

	/* bytes_len counts what was fed: so long the plaintext will be. */
	if (last && (out->ptr == NULL || out->cap < o->bytes_len + part.len)) {
		out->len = o->bytes_len + part.len;
		return out->ptr == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if (!last && out->ptr == NULL) {
		out->len = 0;
		return CKR_OK;
	}
	out->len = 0;
	none = (hsm_out){ out->ptr, 0, 0 };
	st = part.len == 0 ? HSM_OK : hsm_update(s->side, MECH_DECRYPT, part, &none);
	o->bytes_len += part.len;
	if (st == HSM_OK && last && (st = hsm_update(s->side, MECH_DECRYPT, (hsm_in){ made->tag, made->tag_len }, &none)) == HSM_OK)
		st = hsm_final(s->side, MECH_DECRYPT, HSM_NONE, out);
	if (st != HSM_OK || last) {
		o->bytes_len = 0;
		return part_end(s, OP_MESSAGE_DECRYPT, rv_open(st));
	}
	return CKR_OK;
}

static CK_RV
aead_next(CK_SESSION_HANDLE handle, enum op op, void *param, CK_ULONG param_len, CK_BYTE *part, CK_ULONG len,
	CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
	bool last = (flags & CKF_END_OF_MESSAGE) != 0;
	struct session *s;
	struct made made;
	hsm_params params;
	hsm_out to;
	hsm_in in;
	CK_RV rv = message_enter(handle, op, STAGE_PARTS, &s);

	if (rv != CKR_OK)
		return rv;
	if (!in_from(&in, part, len) || !out_from(&to, out, out_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	if ((rv = ck_params_message(s->ops[op].mech, param, param_len, &params, &made)) != CKR_OK)
		return ck_leave(s, rv);
	rv = op == OP_MESSAGE_ENCRYPT ? seal_part(s, &made, in, last, &to) : open_part(s, &made, in, last, &to);
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL)
		*out_len = to.len;
	return ck_leave(s, rv);
}

CK_RV
C_EncryptMessageNext(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *part, CK_ULONG len,
	CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
	return aead_next(handle, OP_MESSAGE_ENCRYPT, param, param_len, part, len, out, out_len, flags);
}

CK_RV
C_DecryptMessageNext(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *part, CK_ULONG len,
	CK_BYTE *out, CK_ULONG *out_len, CK_FLAGS flags)
{
	return aead_next(handle, OP_MESSAGE_DECRYPT, param, param_len, part, len, out, out_len, flags);
}

CK_RV
C_MessageEncryptFinal(CK_SESSION_HANDLE handle)
{
	return message_final(handle, OP_MESSAGE_ENCRYPT);
}

CK_RV
C_MessageDecryptFinal(CK_SESSION_HANDLE handle)
{
	return message_final(handle, OP_MESSAGE_DECRYPT);
}

/* ---- signatures ------------------------------------------------------------------------------ */

CK_RV
C_MessageSignInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return message_init(handle, OP_MESSAGE_SIGN, mechanism, key);
}

CK_RV
C_MessageVerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return message_init(handle, OP_MESSAGE_VERIFY, mechanism, key);
}

/* No signature mechanism here has a parameter that changes with the message. */
static bool
sign_args(const void *param, CK_ULONG param_len, hsm_in *in, const CK_BYTE *data, CK_ULONG len)
{
	return (param != NULL || param_len == 0) && in_from(in, data, len);
}

CK_RV
C_SignMessage(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
{
	struct session *s;
	struct op_state *o;
	hsm_status st;
	hsm_out to;
	hsm_in in;
	CK_RV rv = message_enter(handle, OP_MESSAGE_SIGN, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	if (!sign_args(param, param_len, &in, data, len) || !out_from(&to, sig, sig_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	o = &s->ops[OP_MESSAGE_SIGN];
	st = hsm_sign(s->core, o->key, o->mech, &o->held->params, in, &to);
	if (st == HSM_OK || st == HSM_E_BUFFER)
		*sig_len = to.len;
	return ck_leave(s, rv_key(st));
}

CK_RV
C_VerifyMessage(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG sig_len)
{
	struct session *s;
	struct op_state *o;
	hsm_in in, signature;
	CK_RV rv = message_enter(handle, OP_MESSAGE_VERIFY, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	if (!sign_args(param, param_len, &in, data, len) || sig == NULL || !in_from(&signature, sig, sig_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	o = &s->ops[OP_MESSAGE_VERIFY];
	return ck_leave(s, rv_key(hsm_verify(s->core, o->key, o->mech, &o->held->params, in, signature)));
}

static CK_RV
parts_begin(CK_SESSION_HANDLE handle, enum op op, const void *param, CK_ULONG param_len)
{
	struct session *s;
	struct op_state *o;
	CK_RV rv = message_enter(handle, op, STAGE_BEGUN, &s);

	if (rv != CKR_OK)
		return rv;
	o = &s->ops[op];
	if (param == NULL && param_len != 0)
		rv = CKR_ARGUMENTS_BAD;
	else if ((rv = side_open(s)) == CKR_OK)
		rv = rv_key(hsm_begin(s->side, op_use(op), o->key, o->mech, &o->held->params));
	if (rv == CKR_OK)
		o->stage = STAGE_PARTS;
	return ck_leave(s, rv);
}

CK_RV
C_SignMessageBegin(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len)
{
	return parts_begin(handle, OP_MESSAGE_SIGN, param, param_len);
}

CK_RV
C_VerifyMessageBegin(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len)
{
	return parts_begin(handle, OP_MESSAGE_VERIFY, param, param_len);
}

/* sig_len NULL: more parts follow. A question for the size takes no data. */
static CK_RV
sign_part(struct session *s, hsm_in in, CK_BYTE *sig, CK_ULONG *sig_len)
{
	hsm_out to = { NULL, 0, 0 };
	hsm_status st;

	if (sig_len == NULL) {
		st = hsm_update(s->side, MECH_SIGN, in, NULL);
		return st == HSM_OK ? CKR_OK : part_end(s, OP_MESSAGE_SIGN, rv_key(st));
	}
	if ((st = hsm_final(s->side, MECH_SIGN, HSM_NONE, &to)) == HSM_OK && (sig == NULL || *sig_len < to.len)) {
		*sig_len = to.len;
		return sig == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	(void)out_from(&to, sig, sig_len);
	if (st == HSM_OK && (st = hsm_update(s->side, MECH_SIGN, in, NULL)) == HSM_OK)
		st = hsm_final(s->side, MECH_SIGN, HSM_NONE, &to);
	if (st == HSM_OK)
		*sig_len = to.len;
	return part_end(s, OP_MESSAGE_SIGN, rv_key(st));
}

CK_RV
C_SignMessageNext(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG *sig_len)
{
	struct session *s;
	hsm_in in;
	CK_RV rv = message_enter(handle, OP_MESSAGE_SIGN, STAGE_PARTS, &s);

	if (rv != CKR_OK)
		return rv;
	return ck_leave(s, sign_args(param, param_len, &in, data, len) ? sign_part(s, in, sig, sig_len) : CKR_ARGUMENTS_BAD);
}

CK_RV
C_VerifyMessageNext(CK_SESSION_HANDLE handle, void *param, CK_ULONG param_len, CK_BYTE *data, CK_ULONG len, CK_BYTE *sig, CK_ULONG sig_len)
{
	struct session *s;
	hsm_in in, signature;
	hsm_status st;
	CK_RV rv = message_enter(handle, OP_MESSAGE_VERIFY, STAGE_PARTS, &s);

	if (rv != CKR_OK)
		return rv;
	if (!sign_args(param, param_len, &in, data, len) || !in_from(&signature, sig, sig_len))
		return ck_leave(s, CKR_ARGUMENTS_BAD);
	st = hsm_update(s->side, MECH_VERIFY, in, NULL);
	if (st == HSM_OK && sig == NULL)
		return ck_leave(s, CKR_OK);
	if (st == HSM_OK)
		st = hsm_final(s->side, MECH_VERIFY, signature, NULL);
	return ck_leave(s, part_end(s, OP_MESSAGE_VERIFY, rv_key(st)));
}

CK_RV
C_MessageSignFinal(CK_SESSION_HANDLE handle)
{
	return message_final(handle, OP_MESSAGE_SIGN);
}

CK_RV
C_MessageVerifyFinal(CK_SESSION_HANDLE handle)
{
	return message_final(handle, OP_MESSAGE_VERIFY);
}
