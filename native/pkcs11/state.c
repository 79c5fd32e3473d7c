/* state.c - what an operation can tell and leave behind: the service
 * indicator, and the state of a digest.
 *
 * The state that is saved is a name: the digest itself goes on in a core
 * session that nobody else has, because what was digested may be a key
 * (C_DigestKey) and a hash's inner state gives it away. A name is good in this
 * process, on its slot, until C_Finalize or until SAVED_MAX others came after. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

#define SAVED_MAX 256u
#define STATE_LEN 24u           /* "SRst" | version 1 | 3 zero | name 16 */

struct saved { uint8_t name[16]; struct slot *slot; hsm_session core; };

static struct saved saved[SAVED_MAX];
static size_t saved_next;
static pthread_mutex_t saved_lock = PTHREAD_MUTEX_INITIALIZER;

static const uint8_t header[8] = { 'S', 'R', 's', 't', 1 };

void
ck_states_close(void)
{
	for (size_t i = 0; i < SAVED_MAX; i++)
		if (saved[i].core != 0)
			(void)!hsm_session_close(saved[i].core);
	ck_states_forget();
}

void
ck_states_forget(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memcpy(&saved_lock, &fresh, sizeof saved_lock);
	memset(saved, 0, sizeof saved);
	saved_next = 0;
}

static bool
others_active(const struct session *s)
{
	for (int op = 0; op < OP_COUNT; op++)
		if (op != OP_DIGEST && s->ops[op].stage != STAGE_NONE)
			return true;
	return false;
}

static CK_RV
state_save(struct session *s, uint8_t name[16])
{
	hsm_out out = { name, 16, 0 };
	struct saved *to, fresh = { .slot = s->slot };
	hsm_status st;

	if ((st = hsm_session_open(token_part(s->token), (s->flags & CKF_RW_SESSION) != 0 ? HSM_SESSION_RW : 0, &fresh.core)) != HSM_OK)
		return rv_from(st);
	if ((st = hsm_random(s->core, &out)) != HSM_OK || (st = hsm_digest_copy(s->core, fresh.core)) != HSM_OK) {
		(void)!hsm_session_close(fresh.core);
		return st == HSM_E_UNSUPPORTED ? CKR_STATE_UNSAVEABLE : rv_from(st);
	}
	memcpy(fresh.name, name, sizeof fresh.name);
	pthread_mutex_lock(&saved_lock);
	to = &saved[saved_next++ % SAVED_MAX];
	if (to->core != 0)
		(void)!hsm_session_close(to->core);
	*to = fresh;
	pthread_mutex_unlock(&saved_lock);
	return CKR_OK;
}

CK_RV
C_GetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG *len)
{
	struct session *s;
	CK_ULONG room;
	CK_RV rv;

	if (len == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if (others_active(s))
		return ck_leave(s, CKR_STATE_UNSAVEABLE);
	if (s->ops[OP_DIGEST].stage == STAGE_NONE)
		return ck_leave(s, CKR_OPERATION_NOT_INITIALIZED);
	room = *len;
	*len = STATE_LEN;
	if (state == NULL)
		return ck_leave(s, CKR_OK);
	if (room < STATE_LEN)
		return ck_leave(s, CKR_BUFFER_TOO_SMALL);
	memcpy(state, header, sizeof header);
	return ck_leave(s, state_save(s, state + sizeof header));
}

static CK_RV
state_set(struct session *s, const uint8_t name[16])
{
	CK_RV rv = CKR_SAVED_STATE_INVALID;

	pthread_mutex_lock(&saved_lock);
	for (size_t i = 0; i < SAVED_MAX; i++)
		if (saved[i].core != 0 && saved[i].slot == s->slot && memcmp(saved[i].name, name, 16) == 0)
			rv = rv_from(hsm_digest_copy(saved[i].core, s->core));
	pthread_mutex_unlock(&saved_lock);
	if (rv == CKR_OK)
		s->ops[OP_DIGEST].stage = STAGE_PARTS;
	return rv;
}

CK_RV
C_SetOperationState(CK_SESSION_HANDLE handle, CK_BYTE *state, CK_ULONG len, CK_OBJECT_HANDLE cipher_key, CK_OBJECT_HANDLE sign_key)
{
	struct session *s;
	CK_RV rv;

	if (state == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if (len != STATE_LEN || memcmp(state, header, sizeof header) != 0)
		rv = CKR_SAVED_STATE_INVALID;
	else if (cipher_key != 0 || sign_key != 0)
		rv = CKR_KEY_NOT_NEEDED;
	else
		rv = state_set(s, state + sizeof header);
	return ck_leave(s, rv);
}

/* ---- the indicator ---------------------------------------------------------------- */

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
