/* session.c - sessions, who is logged in, and what is under way in each.
 *
 * Sessions lie in chunks that are never freed, only used again, so that a number
 * can be looked up without a shared lock; a session's own lock says whether the
 * number is still its. Nothing else is taken on the way in: while a session is
 * there, so is the module. */
#include <stdlib.h>
#include <string.h>

#include "door.h"

#define CHUNK 256u
#define CHUNKS 256u
#define INDEX_BITS 16u

static struct session *_Atomic chunks[CHUNKS];
static _Atomic size_t table_len;                /* sessions that were ever used */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t *free_list;                     /* indexes, below free_len */
static size_t free_len;
static uint64_t generation;                     /* goes on over C_Finalize */

static struct session *
session_at(size_t index)
{
	return &chunks[index / CHUNK][index % CHUNK];
}

CK_RV
ck_sessions_open(void)
{
	if (free_list == NULL)
		free_list = malloc(CHUNK * CHUNKS * sizeof *free_list);
	return free_list == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

void
ck_sessions_forget(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	memcpy(&table_lock, &fresh, sizeof table_lock);
	for (size_t i = 0; i < CHUNKS; i++)
		chunks[i] = NULL;
	free_list = NULL;
	free_len = 0;
	atomic_store(&table_len, 0);
}

/* ---- what runs in a session -------------------------------------------------- */

void
ck_op_end(struct session *s, enum op op)
{
	struct op_state *o = &s->ops[op];

	if (o->stage == STAGE_NONE && o->held == NULL && o->bytes == NULL)
		return;
	free(o->held);
	if (o->bytes != NULL)
		hsm_payload_wipe(o->bytes, o->bytes_cap);
	free(o->bytes);
	memset(o, 0, sizeof *o);
}

void
ck_find_end(struct session *s)
{
	token_search_end(&s->search);
	free(s->found);
	free(s->wanted);
	free(s->wanted_bytes);
	s->found = NULL;
	s->wanted = NULL;
	s->wanted_bytes = NULL;
	s->found_len = s->found_at = s->wanted_len = 0;
	s->finding = false;
}

hsm_role
ck_role(const struct session *s)
{
	hsm_role role = HSM_ROLE_PUBLIC;

	return hsm_session_role(s->core, &role) == HSM_OK ? role : HSM_ROLE_PUBLIC;
}

bool
ck_writable(const struct session *s)
{
	return (s->flags & CKF_RW_SESSION) != 0;
}

CK_RV
ck_enter(CK_SESSION_HANDLE handle, struct session **out)
{
	size_t index = handle & ((1u << INDEX_BITS) - 1);
	struct session *s;

	*out = NULL;
	if (handle != CK_INVALID_HANDLE && index < atomic_load(&table_len)) {
		s = session_at(index);
		lock_take(&s->lock);
		if (s->handle == handle) {
			*out = s;
			return CKR_OK;
		}
		lock_give(&s->lock);
	}
	return door_open() ? CKR_SESSION_HANDLE_INVALID : CKR_CRYPTOKI_NOT_INITIALIZED;
}

CK_RV
ck_leave(struct session *s, CK_RV rv)
{
	if (rv == CKR_OK)
		s->approved = hsm_approved();
	lock_give(&s->lock);
	return rv;
}

/* ---- opening and closing ------------------------------------------------------ */

static struct session *
session_take(size_t *index)
{
	struct session *s = NULL;
	size_t at;

	pthread_mutex_lock(&table_lock);
	if (free_len > 0) {
		*index = free_list[--free_len];
		s = session_at(*index);
		goto out;
	}
	at = atomic_load(&table_len);
	if (at == CHUNK * CHUNKS)
		goto out;
	if (chunks[at / CHUNK] == NULL) {
		struct session *chunk = aligned_alloc(_Alignof(struct session), CHUNK * sizeof *chunk);

		if (chunk == NULL)
			goto out;
		memset(chunk, 0, CHUNK * sizeof *chunk);
		chunks[at / CHUNK] = chunk;
	}
	*index = at;
	s = session_at(at);
	atomic_store(&table_len, at + 1);
out:
	pthread_mutex_unlock(&table_lock);
	return s;
}

static void
session_give(size_t index)
{
	pthread_mutex_lock(&table_lock);
	free_list[free_len++] = (uint32_t)index;
	pthread_mutex_unlock(&table_lock);
}

/* With its lock held. The last session of a slot takes the login with it. */
static void
session_end(struct session *s)
{
	struct slot *slot = s->slot;
	size_t index = s->handle & ((1u << INDEX_BITS) - 1);

	for (int op = 0; op < OP_COUNT; op++)
		ck_op_end(s, op);
	ck_find_end(s);
	pthread_mutex_lock(&slot->lock);
	if (slot->sessions == 1 && hsm_logout(s->core) == HSM_OK)
		token_logged_out(s->token);
	(void)!hsm_session_close(s->core);
	if (s->side != 0)
		(void)!hsm_session_close(s->side);
	slot->sessions--;
	if (ck_writable(s))
		slot->rw_sessions--;
	pthread_mutex_unlock(&slot->lock);
	s->handle = 0;
	s->core = s->side = 0;
	session_give(index);
}

static void
sessions_end(const struct slot *slot)
{
	size_t n = atomic_load(&table_len);

	for (size_t i = 0; i < n; i++) {
		struct session *s = session_at(i);

		lock_take(&s->lock);
		if (s->handle != 0 && (slot == NULL || s->slot == slot))
			session_end(s);
		lock_give(&s->lock);
	}
}

void
ck_sessions_close_slot(struct slot *slot)
{
	sessions_end(slot);
}

void
ck_sessions_close(void)
{
	sessions_end(NULL);
}

/* With the slot's lock held. */
static CK_RV
session_start(struct session *s, struct slot *slot, struct token *token, CK_FLAGS flags)
{
	bool rw = (flags & CKF_RW_SESSION) != 0;
	hsm_session core;
	hsm_role role;
	hsm_status st;

	if ((st = hsm_session_open(token_part(token), rw ? HSM_SESSION_RW : 0, &core)) != HSM_OK)
		return st == HSM_E_READ_ONLY ? CKR_SESSION_READ_WRITE_SO_EXISTS : rv_from(st);
	if (!rw && hsm_session_role(core, &role) == HSM_OK && role == HSM_ROLE_OFFICER) {
		(void)!hsm_session_close(core);
		return CKR_SESSION_READ_WRITE_SO_EXISTS;
	}
	s->slot = slot;
	s->token = token;
	s->flags = flags & (CKF_RW_SESSION | CKF_SERIAL_SESSION);
	s->core = core;
	slot->sessions++;
	if (rw)
		slot->rw_sessions++;
	return CKR_OK;
}

static CK_RV
slot_session(CK_SLOT_ID id, CK_FLAGS flags, CK_SESSION_HANDLE *handle)
{
	struct slot *slot = ck_slot_find(id);
	struct token *token;
	struct session *s;
	size_t index;
	CK_RV rv;

	if (slot == NULL)
		return CKR_SLOT_ID_INVALID;
	if ((flags & CKF_SERIAL_SESSION) == 0)
		return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
	if ((flags & CKF_ASYNC_SESSION) != 0)
		return CKR_SESSION_ASYNC_NOT_SUPPORTED;
	if ((rv = ck_slot_token(slot, &token)) != CKR_OK)
		return rv == CKR_TOKEN_NOT_INITIALIZED ? CKR_TOKEN_NOT_RECOGNIZED : rv;
	if ((s = session_take(&index)) == NULL)
		return CKR_SESSION_COUNT;
	lock_take(&s->lock);
	pthread_mutex_lock(&slot->lock);
	rv = slot->token == token ? session_start(s, slot, token, flags) : CKR_TOKEN_NOT_PRESENT;
	pthread_mutex_unlock(&slot->lock);
	if (rv == CKR_OK) {
		pthread_mutex_lock(&table_lock);
		s->handle = *handle = ++generation << INDEX_BITS | index;
		pthread_mutex_unlock(&table_lock);
	} else {
		session_give(index);
	}
	lock_give(&s->lock);
	return rv;
}

CK_RV
C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, void *application, CK_NOTIFY notify, CK_SESSION_HANDLE *handle)
{
	CK_RV rv;

	(void)application;              /* nothing here surrenders or removes: no callback is made */
	(void)notify;
	if (handle == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = door_enter()) != CKR_OK)
		return rv;
	rv = slot_session(id, flags, handle);
	door_leave();
	return rv;
}

CK_RV
C_CloseSession(CK_SESSION_HANDLE handle)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	session_end(s);
	return ck_leave(s, CKR_OK);
}

CK_RV
C_CloseAllSessions(CK_SLOT_ID id)
{
	struct slot *slot;
	CK_RV rv = door_enter();

	if (rv != CKR_OK)
		return rv;
	if ((slot = ck_slot_find(id)) == NULL)
		rv = CKR_SLOT_ID_INVALID;
	else
		ck_sessions_close_slot(slot);
	door_leave();
	return rv;
}

static CK_STATE
state_of(const struct session *s)
{
	switch (ck_role(s)) {
	case HSM_ROLE_OFFICER:
		return CKS_RW_SO_FUNCTIONS;
	case HSM_ROLE_USER:
		return ck_writable(s) ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
	default:
		return ck_writable(s) ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
	}
}

CK_RV
C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO *info)
{
	struct session *s;
	CK_RV rv;

	if (info == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	info->slotID = s->slot->id;
	info->state = state_of(s);
	info->flags = s->flags;
	info->ulDeviceError = 0;
	return ck_leave(s, CKR_OK);
}

/* ---- PINs --------------------------------------------------------------------- */

static CK_RV
login_refused(const struct session *s, CK_USER_TYPE user)
{
	hsm_role now = ck_role(s);

	if (user == CKU_CONTEXT_SPECIFIC)
		return now == HSM_ROLE_USER ? CKR_OK : CKR_USER_NOT_LOGGED_IN;
	if (now == (user == CKU_SO ? HSM_ROLE_OFFICER : HSM_ROLE_USER))
		return CKR_USER_ALREADY_LOGGED_IN;
	if (now != HSM_ROLE_PUBLIC)
		return CKR_USER_ANOTHER_ALREADY_LOGGED_IN;
	if (user == CKU_SO && s->slot->sessions != s->slot->rw_sessions)
		return CKR_SESSION_READ_ONLY_EXISTS;
	return CKR_OK;
}

static CK_RV
session_login(struct session *s, CK_USER_TYPE user, hsm_in pin)
{
	static const hsm_role roles[] = { HSM_ROLE_OFFICER, HSM_ROLE_USER, HSM_ROLE_CONTEXT };
	CK_RV rv;

	if (user > CKU_CONTEXT_SPECIFIC)
		return CKR_USER_TYPE_INVALID;
	if ((rv = login_refused(s, user)) != CKR_OK)
		return rv;
	rv = rv_from(token_login(s->token, s->core, roles[user], pin));
	/* A wrong length is a wrong PIN to who tries one. */
	return rv == CKR_PIN_LEN_RANGE ? CKR_PIN_INCORRECT : rv;
}

CK_RV
C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len)
{
	struct secret room = SECRET_NONE;
	struct session *s;
	hsm_in meant;
	CK_RV rv;

	if (pin == NULL && !pin_configured(user))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if ((rv = pin_meant(user, pin, len, &room, &meant)) == CKR_OK)
		rv = meant.len > HSM_PIN_MAX ? CKR_PIN_INCORRECT : session_login(s, user, meant);
	secret_wipe(&room);
	return ck_leave(s, rv);
}

/* Users have no names here: only the standard two, and nobody by name. */
CK_RV
C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG len, CK_UTF8CHAR *name, CK_ULONG name_len)
{
	if (name == NULL && name_len != 0)
		return CKR_ARGUMENTS_BAD;
	if (name_len != 0)
		return CKR_USER_TYPE_INVALID;
	return C_Login(handle, user, pin, len);
}

CK_RV
C_Logout(CK_SESSION_HANDLE handle)
{
	struct session *s;
	CK_RV rv = ck_enter(handle, &s);

	if (rv != CKR_OK)
		return rv;
	if ((rv = rv_from(hsm_logout(s->core))) == CKR_OK)
		token_logged_out(s->token);
	return ck_leave(s, rv);
}

CK_RV
C_InitPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *pin, CK_ULONG len)
{
	struct secret room = SECRET_NONE;
	struct session *s;
	hsm_in meant;
	CK_RV rv;

	if (pin == NULL && !pin_configured(CKU_USER))
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	if (ck_role(s) != HSM_ROLE_OFFICER)
		rv = CKR_USER_NOT_LOGGED_IN;
	else if ((rv = pin_meant(CKU_USER, pin, len, &room, &meant)) == CKR_OK && (meant.len < HSM_PIN_MIN || meant.len > HSM_PIN_MAX))
		rv = CKR_PIN_LEN_RANGE;
	if (rv == CKR_OK)
		rv = rv_from(token_pin(s->token, s->core, HSM_ROLE_USER, HSM_NONE, meant));
	secret_wipe(&room);
	return ck_leave(s, rv);
}

static CK_RV
session_set_pin(struct session *s, hsm_in old, hsm_in pin)
{
	hsm_role role = ck_role(s) == HSM_ROLE_OFFICER ? HSM_ROLE_OFFICER : HSM_ROLE_USER;

	if (!ck_writable(s))
		return CKR_SESSION_READ_ONLY;
	if (pin.len < HSM_PIN_MIN || pin.len > HSM_PIN_MAX)
		return CKR_PIN_LEN_RANGE;
	if (old.len < HSM_PIN_MIN || old.len > HSM_PIN_MAX)
		return CKR_PIN_INCORRECT;
	return rv_from(token_pin(s->token, s->core, role, old, pin));
}

CK_RV
C_SetPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR *old, CK_ULONG old_len, CK_UTF8CHAR *pin, CK_ULONG len)
{
	struct session *s;
	CK_RV rv;

	if (old == NULL || pin == NULL)
		return CKR_ARGUMENTS_BAD;
	if ((rv = ck_enter(handle, &s)) != CKR_OK)
		return rv;
	return ck_leave(s, session_set_pin(s, (hsm_in){ old, old_len }, (hsm_in){ pin, len }));
}
