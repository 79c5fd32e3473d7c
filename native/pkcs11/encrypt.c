/* encrypt.c - encryption and decryption, at once and in parts, and both of
 * them together with a digest, a signature or its check. */
#include "door.h"

CK_RV
C_EncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return op_init(handle, OP_ENCRYPT, mechanism, key);
}

CK_RV
C_Encrypt(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_once(handle, OP_ENCRYPT, data, len, out, out_len);
}

CK_RV
C_EncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_update(handle, OP_ENCRYPT, part, len, out, out_len);
}

CK_RV
C_EncryptFinal(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_final(handle, OP_ENCRYPT, out, out_len);
}

CK_RV
C_DecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	return op_init(handle, OP_DECRYPT, mechanism, key);
}

CK_RV
C_Decrypt(CK_SESSION_HANDLE handle, CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_once(handle, OP_DECRYPT, data, len, out, out_len);
}

CK_RV
C_DecryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_update(handle, OP_DECRYPT, part, len, out, out_len);
}

CK_RV
C_DecryptFinal(CK_SESSION_HANDLE handle, CK_BYTE *out, CK_ULONG *out_len)
{
	return op_final(handle, OP_DECRYPT, out, out_len);
}

/* ---- two at once ------------------------------------------------------------------ */

/* One part through a cipher and past a second operation that reads the
 * plaintext. Room is looked at before anything is spent, and the plaintext is
 * read before it is overwritten in place. */
static CK_RV
dual_run(struct session *s, enum op cipher, enum op reader, hsm_in in, hsm_out *out)
{
	hsm_out ask = { NULL, 0, 0 };
	hsm_status st;

	if ((st = hsm_update(s->core, op_use(cipher), in, &ask)) != HSM_OK)
		return rv_key(st);
	if (out->ptr == NULL || out->cap < ask.len) {
		out->len = ask.len;
		return out->ptr == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	if (cipher == OP_ENCRYPT && (st = hsm_update(s->core, op_use(reader), in, NULL)) != HSM_OK)
		return rv_key(st);
	if ((st = hsm_update(s->core, op_use(cipher), in, out)) != HSM_OK)
		return rv_key(st);
	if (cipher == OP_DECRYPT)
		st = hsm_update(s->core, op_use(reader), (hsm_in){ out->ptr, out->len }, NULL);
	return rv_key(st);
}

static CK_RV
dual(CK_SESSION_HANDLE handle, enum op cipher, enum op reader, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	struct session *s;
	hsm_out to;
	hsm_in in;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if (s->ops[cipher].stage == STAGE_NONE || s->ops[reader].stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	rv = in_from(&in, part, len) && out_from(&to, out, out_len) ? dual_run(s, cipher, reader, in, &to) : CKR_ARGUMENTS_BAD;
	if (rv == CKR_OK || rv == CKR_BUFFER_TOO_SMALL) {
		*out_len = to.len;
		if (rv == CKR_OK && out != NULL)
			s->ops[cipher].stage = s->ops[reader].stage = STAGE_PARTS;
		return ck_leave(s, rv);
	}
	ck_op_drop(s, cipher);
	ck_op_drop(s, reader);
	return ck_leave(s, rv);
}

CK_RV
C_DigestEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return dual(handle, OP_ENCRYPT, OP_DIGEST, part, len, out, out_len);
}

CK_RV
C_DecryptDigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return dual(handle, OP_DECRYPT, OP_DIGEST, part, len, out, out_len);
}

CK_RV
C_SignEncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return dual(handle, OP_ENCRYPT, OP_SIGN, part, len, out, out_len);
}

CK_RV
C_DecryptVerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE *part, CK_ULONG len, CK_BYTE *out, CK_ULONG *out_len)
{
	return dual(handle, OP_DECRYPT, OP_VERIFY, part, len, out, out_len);
}
