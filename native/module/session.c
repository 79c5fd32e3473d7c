/* session.c - who acts.
 *
 * A session's number is 35 random bits above 18 bits of slot: it cannot be
 * guessed, and a closed one is never valid again. */
#include "session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../crypto/rng.h"
#include "../mech/mech.h"
#include "gate.h"
#include "handles.h"
#include "object.h"
#include "stream.h"

#define SESSION_SLOT_BITS 18u
#define SESSION_USES 6u
#define PRINCIPAL_MAX 2048u

_Static_assert((UINT64_C(1) << SESSION_SLOT_BITS) <= (uint64_t)TABLE_CHUNKS * CHUNK_SLOTS, "every slot has a chunk");

struct session {
	hsm_session handle;
	struct partition *part;         /* NULL: SERVICE */
	hsm_role role;                  /* PUBLIC: whatever the partition's is */
	uint32_t flags;
	pthread_mutex_t lock;           /* operations, own */
	struct operation *operations[SESSION_USES];
	hsm_key *own;                   /* die with the session; some may be gone already */
	size_t own_len, own_cap;
	size_t principal_len;
	uint8_t principal[];
};

static void session_reap(void *item);

static struct table sessions = TABLE_INIT(SESSION_SLOT_BITS, session_reap);

/* ---- numbers -------------------------------------------------------------- */

#define NUMBERS 64u

static struct {
	pthread_mutex_t lock;
	uint64_t at[NUMBERS];
	size_t left;
} numbers = { .lock = PTHREAD_MUTEX_INITIALIZER };

static hsm_status
numbers_fill(void *arg)
{
	(void)arg;
	return rng_bytes(numbers.at, sizeof numbers.at);
}

/* A random generation: neither 0 (an unused slot's) nor the last. */
static hsm_status
number_next(uint64_t *generation)
{
	const uint64_t max = (UINT64_C(1) << (HANDLE_BITS - SESSION_SLOT_BITS)) - 2;
	hsm_status st = HSM_OK;

	pthread_mutex_lock(&numbers.lock);
	if (numbers.left == 0 && (st = gate_run(numbers_fill, NULL, 0, 4096)) == HSM_OK)
		numbers.left = NUMBERS;
	if (st == HSM_OK) {
		*generation = 1 + numbers.at[--numbers.left] % max;
		numbers.at[numbers.left] = 0;
	}
	pthread_mutex_unlock(&numbers.lock);
	return st;
}

/* ---- life ----------------------------------------------------------------- */

hsm_status
session_make(struct partition *p, hsm_role role, uint32_t flags, hsm_in principal, hsm_session *session)
{
	struct session *s = NULL;
	uint64_t generation;
	hsm_status st;

	*session = 0;
	if (principal.len > PRINCIPAL_MAX)
		return HSM_E_ARGS;
	if ((st = number_next(&generation)) != HSM_OK)
		return st;
	if ((s = calloc(1, sizeof *s + principal.len)) == NULL)
		return HSM_E_MEMORY;
	if ((st = table_reserve(&sessions, generation, &s->handle)) != HSM_OK) {
		free(s);
		return st;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->role = role;
	s->flags = flags;
	s->principal_len = principal.len;
	if (principal.len != 0)
		memcpy(s->principal, principal.ptr, principal.len);
	if (p != NULL)
		partition_retain(p);
	s->part = p;
	*session = s->handle;
	table_publish(&sessions, s->handle, s);
	return HSM_OK;
}

static void
session_reap(void *item)
{
	struct session *s = item;

	for (unsigned i = 0; i < SESSION_USES; i++)
		operation_free(s->operations[i]);
	for (size_t i = 0; i < s->own_len; i++)
		object_end(s->own[i]);
	free(s->own);
	partition_release(s->part);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

hsm_status
session_acquire(hsm_session handle, struct session **s)
{
	hsm_status st;

	*s = table_acquire(&sessions, handle);
	if (*s == NULL)
		return (st = gate_ready()) != HSM_OK ? st : HSM_E_SESSION;
	if ((st = gate_ready()) == HSM_OK)
		return HSM_OK;
	table_release(&sessions, handle);
	*s = NULL;
	return st;
}

void
session_release(struct session *s)
{
	if (s != NULL)
		table_release(&sessions, s->handle);
}

/* Every live session of `p` (NULL: of anybody). */
static void
session_each(const struct partition *p, void (*visit)(struct session *s, void *arg), void *arg)
{
	uint32_t span = atomic_load(&sessions.span);
	struct session *s;
	uint64_t handle;

	for (uint32_t slot = 0; slot < span; slot++) {
		if ((s = table_at(&sessions, slot, &handle)) == NULL)
			continue;
		if (p == NULL || s->part == p)
			visit(s, arg);
		table_release(&sessions, handle);
	}
}

static void
visit_retire(struct session *s, void *arg)
{
	(void)arg;
	(void)table_retire(&sessions, s->handle);
}

void
session_forget(const struct partition *p)
{
	session_each(p, visit_retire, NULL);
}

uint64_t
session_count(void)
{
	return atomic_load_explicit(&sessions.live, memory_order_relaxed);
}

void
session_fork(void)
{
	table_forget(&sessions);
	pthread_mutex_init(&numbers.lock, NULL);
	numbers.left = 0;
}

/* ---- what it says ---------------------------------------------------------- */

hsm_role
session_role(const struct session *s)
{
	return s->role == HSM_ROLE_PUBLIC ? partition_role(s->part) : s->role;
}

struct partition *
session_partition(const struct session *s)
{
	return s->part;
}

hsm_in
session_account(const struct session *s)
{
	return s->part == NULL ? HSM_NONE : partition_account(s->part);
}

hsm_in
session_principal(const struct session *s)
{
	return (hsm_in){ s->principal, s->principal_len };
}

bool
session_writable(const struct session *s)
{
	return s->role != HSM_ROLE_PUBLIC || (s->flags & HSM_SESSION_RW) != 0;
}

hsm_session
session_handle(const struct session *s)
{
	return s->handle;
}

void
session_lock(struct session *s)
{
	pthread_mutex_lock(&s->lock);
}

void
session_unlock(struct session *s)
{
	pthread_mutex_unlock(&s->lock);
}

struct operation **
session_operation(struct session *s, uint32_t use)
{
	static const uint32_t uses[SESSION_USES] = {
		MECH_ENCRYPT, MECH_DECRYPT, MECH_SIGN, MECH_VERIFY, MECH_DIGEST, MECH_RECOVER
	};

	for (unsigned i = 0; i < SESSION_USES; i++)
		if (uses[i] == use)
			return &s->operations[i];
	return NULL;
}

/* ---- what it keeps --------------------------------------------------------- */

/* Keys that were destroyed meanwhile leave the list before it grows. */
static void
own_compact(struct session *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->own_len; i++)
		if (object_lives(s->own[i]))
			s->own[kept++] = s->own[i];
	s->own_len = kept;
}

static hsm_status
own_grow(struct session *s)
{
	size_t cap = s->own_cap == 0 ? 8 : s->own_cap * 2;
	hsm_key *more = realloc(s->own, cap * sizeof *more);

	if (more == NULL)
		return HSM_E_MEMORY;
	s->own = more;
	s->own_cap = cap;
	return HSM_OK;
}

hsm_status
session_own(struct session *s, hsm_key key)
{
	hsm_status st = HSM_OK;

	session_lock(s);
	if (s->own_len < s->own_cap) {
		s->own[s->own_len++] = key;
		goto out;
	}
	own_compact(s);
	if (s->own_len * 2 > s->own_cap || s->own_cap == 0)
		st = own_grow(s);
	if (st == HSM_OK)
		s->own[s->own_len++] = key;
out:
	session_unlock(s);
	return st;
}

/* ---- the face -------------------------------------------------------------- */

hsm_status
hsm_session_service(hsm_session *session)
{
	hsm_status st;

	*session = 0;
	if ((st = gate_enter()) != HSM_OK)
		return st;
	st = session_make(NULL, HSM_ROLE_SERVICE, HSM_SESSION_RW, HSM_NONE, session);
	gate_leave();
	return st;
}

hsm_status
hsm_session_open(hsm_part part, uint32_t flags, hsm_session *session)
{
	struct partition *p = NULL;
	hsm_status st;

	*session = 0;
	if ((st = gate_enter()) != HSM_OK)
		return st;
	if ((flags & ~HSM_SESSION_RW) != 0)
		st = HSM_E_ARGS;
	if (st == HSM_OK && (st = partition_acquire(part, &p)) == HSM_OK) {
		/* An officer is alone with sessions that may write. */
		if ((flags & HSM_SESSION_RW) == 0 && partition_role(p) == HSM_ROLE_OFFICER)
			st = HSM_E_READ_ONLY;
		else
			st = session_make(p, HSM_ROLE_PUBLIC, flags, HSM_NONE, session);
	}
	partition_release(p);
	gate_leave();
	return st;
}

hsm_status
hsm_session_close(hsm_session session)
{
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (!table_retire(&sessions, session))
		st = HSM_E_SESSION;
	session_release(s);
	return st;
}

hsm_status
hsm_session_role(hsm_session session, hsm_role *role)
{
	struct session *s;
	hsm_status st;

	*role = HSM_ROLE_PUBLIC;
	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	*role = session_role(s);
	session_release(s);
	return HSM_OK;
}

static void
visit_read_only(struct session *s, void *found)
{
	if (s->role == HSM_ROLE_PUBLIC && (s->flags & HSM_SESSION_RW) == 0)
		*(bool *)found = true;
}

/* The user once more, for the operation that waits. */
static hsm_status
login_context(struct session *s, hsm_in pin)
{
	hsm_status st;

	if (session_role(s) != HSM_ROLE_USER)
		return HSM_E_NOT_LOGGED_IN;
	if (!operation_waiting(s))
		return HSM_E_OP_INACTIVE;
	if ((st = partition_login(s->part, HSM_ROLE_CONTEXT, pin)) == HSM_OK)
		operation_arm(s);
	return st;
}

hsm_status
hsm_login(hsm_session session, hsm_role role, hsm_in pin)
{
	struct session *s;
	bool read_only = false;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (s->role != HSM_ROLE_PUBLIC || (role != HSM_ROLE_USER && role != HSM_ROLE_OFFICER && role != HSM_ROLE_CONTEXT)) {
		st = HSM_E_ROLE;
		goto out;
	}
	if (role == HSM_ROLE_CONTEXT) {
		st = login_context(s, pin);
		goto out;
	}
	if (role == HSM_ROLE_OFFICER)
		session_each(s->part, visit_read_only, &read_only);
	st = read_only ? HSM_E_READ_ONLY : partition_login(s->part, role, pin);
out:
	session_release(s);
	return st;
}

hsm_status
hsm_pin_check(hsm_session session, hsm_in pin)
{
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	st = s->role == HSM_ROLE_PUBLIC ? partition_login(s->part, HSM_ROLE_CONTEXT, pin) : HSM_E_ROLE;
	session_release(s);
	return st;
}

static void
visit_cancel(struct session *s, void *arg)
{
	(void)arg;
	operation_cancel_all(s);
}

hsm_status
hsm_logout(hsm_session session)
{
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	if (s->role != HSM_ROLE_PUBLIC) {
		st = HSM_E_ROLE;
		goto out;
	}
	if ((st = partition_logout(s->part)) != HSM_OK)
		goto out;
	session_each(s->part, visit_cancel, NULL);
	object_forget_private(s->part);
out:
	session_release(s);
	return st;
}

hsm_status
hsm_pin_set(hsm_session session, hsm_role role, hsm_in pin)
{
	struct session *s;
	hsm_status st;

	if ((st = session_acquire(session, &s)) != HSM_OK)
		return st;
	st = s->role != HSM_ROLE_PUBLIC ? HSM_E_ROLE : partition_pin_set(s->part, role, pin);
	session_release(s);
	return st;
}
