/* session.c - who acts.
 *
 * A session's number is 35 random bits above 18 bits of slot: it cannot be
 * guessed, and a closed one is never valid again. */
#include "session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../base/lab.h"
#include "../base/lock.h"
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
	/* Line for line: others look at these in passing. */
	_Alignas(64) _Atomic(struct partition *) part;  /* NULL: SERVICE */
	_Atomic hsm_role role;          /* PUBLIC: whatever the partition's is */
	_Atomic uint32_t flags;
	struct lock lock;               /* operations, own */
	hsm_session handle;
	struct operation *operations[SESSION_USES];
	hsm_key *own;                   /* die with the session; some may be gone already */
	size_t own_len, own_cap;
	uint8_t *principal;
	size_t principal_len;
};

static void session_reap(void *item);

/* Sessions are never freed, only used again: a look in passing finds memory. */
static struct table sessions = TABLE_INIT(SESSION_SLOT_BITS, session_reap);

/* ---- numbers -------------------------------------------------------------- */

#define NUMBERS 64u

static struct {
	struct lock lock;
	uint64_t at[NUMBERS];
	size_t left;
} numbers;

static hsm_status
numbers_fill(void *arg)
{
	return rng_bytes(arg, sizeof numbers.at);
}

/* Out of numbers: draw outside the lock, since a stack may be waited for. */
static hsm_status
numbers_more(void)
{
	uint64_t fresh[NUMBERS];
	hsm_status st;

	if ((st = gate_enter()) != HSM_OK)
		return st;
	st = gate_run(numbers_fill, fresh, 0, 4096);
	gate_leave();
	if (st != HSM_OK)
		return st;
	lock_take(&numbers.lock);
	memcpy(numbers.at, fresh, sizeof fresh);
	numbers.left = NUMBERS;
	lock_give(&numbers.lock);
	bytes_wipe(fresh, sizeof fresh);
	return HSM_OK;
}

/* A random generation: neither 0 (an unused slot's) nor the last. */
static hsm_status
number_next(uint64_t *generation)
{
	const uint64_t max = (UINT64_C(1) << (HANDLE_BITS - SESSION_SLOT_BITS)) - 2;
	hsm_status st;

	for (*generation = 0; *generation == 0;) {
		lock_take(&numbers.lock);
		if (numbers.left != 0) {
			*generation = 1 + numbers.at[--numbers.left] % max;
			numbers.at[numbers.left] = 0;
		}
		lock_give(&numbers.lock);
		if (*generation == 0 && (st = numbers_more()) != HSM_OK)
			return st;
	}
	return HSM_OK;
}

/* ---- life ----------------------------------------------------------------- */

static hsm_status
principal_keep(struct session *s, hsm_in principal)
{
	s->principal = NULL;
	s->principal_len = principal.len;
	if (principal.len == 0)
		return HSM_OK;
	if ((s->principal = malloc(principal.len)) == NULL)
		return HSM_E_MEMORY;
	memcpy(s->principal, principal.ptr, principal.len);
	return HSM_OK;
}

/* The struct of a reserved slot: from its last session, or a new one. */
static struct session *
session_of(hsm_session handle)
{
	struct session *s = table_item(&sessions, handle);

	if (s == NULL && (s = aligned_alloc(64, sizeof *s)) != NULL)
		memset(s, 0, sizeof *s);
	return s;
}

/* Takes the partition's loan over when it succeeds. Who powers the module off
 * changes the state first and ends sessions afterwards; we publish first and
 * look at the state afterwards. */
static hsm_status
session_begin(struct partition *p, hsm_role role, uint32_t flags, hsm_in principal, hsm_session *session)
{
	hsm_session handle;
	uint64_t generation;
	struct session *s;
	hsm_status st;

	if (principal.len > PRINCIPAL_MAX)
		return HSM_E_ARGS;
	if ((st = number_next(&generation)) != HSM_OK)
		return st;
	if ((st = table_reserve(&sessions, generation, &handle)) != HSM_OK)
		return st;
	if ((s = session_of(handle)) == NULL || (st = principal_keep(s, principal)) != HSM_OK) {
		table_cancel(&sessions, handle);
		return HSM_E_MEMORY;
	}
	s->handle = handle;
	atomic_store_explicit(&s->part, p, memory_order_relaxed);
	atomic_store_explicit(&s->role, role, memory_order_relaxed);
	atomic_store_explicit(&s->flags, flags, memory_order_relaxed);
	table_publish(&sessions, handle, s);
	if ((st = gate_ready()) != HSM_OK || (p != NULL && !partition_alive(p))) {
		if (p != NULL)
			partition_retain(p);            /* reaping gives one back */
		(void)table_end(&sessions, handle);
		return st != HSM_OK ? st : HSM_E_PARTITION;
	}
	*session = handle;
	return HSM_OK;
}

hsm_status
session_make(struct partition *p, hsm_role role, uint32_t flags, hsm_in principal, hsm_session *session)
{
	hsm_status st;

	*session = 0;
	if (p != NULL)
		partition_retain(p);
	if ((st = session_begin(p, role, flags, principal, session)) != HSM_OK)
		partition_release(p);
	return st;
}

/* Nobody has a loan. Whoever is alone with it finishes first; who comes later
 * finds the handle gone. */
static void
session_reap(void *item)
{
	struct session *s = item;
	struct partition *part;
	hsm_key *own;
	size_t own_len;

	lock_take(&s->lock);
	for (unsigned i = 0; i < SESSION_USES; i++)
		operation_end(s->operations[i]);
	own = s->own;
	own_len = s->own_len;
	s->own = NULL;
	s->own_len = s->own_cap = 0;
	part = atomic_load_explicit(&s->part, memory_order_relaxed);
	free(s->principal);
	s->principal = NULL;
	lock_give(&s->lock);
	for (size_t i = 0; i < own_len; i++)
		object_end(own[i]);
	free(own);
	partition_release(part);
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

hsm_status
session_take(hsm_session handle, struct session **out)
{
	struct session *s = table_item(&sessions, handle);
	hsm_status st = gate_ready();

	*out = NULL;
	if (st != HSM_OK || s == NULL)
		return st != HSM_OK ? st : HSM_E_SESSION;
	lock_take(&s->lock);
	if (!table_live(&sessions, handle)) {
		lock_give(&s->lock);
		return HSM_E_SESSION;
	}
	*out = s;
	return HSM_OK;
}

void
session_give(struct session *s)
{
	if (s != NULL)
		lock_give(&s->lock);
}

hsm_status
session_look(hsm_session handle, struct session_glance *g)
{
	struct session *s = table_item(&sessions, handle);
	hsm_status st = gate_ready();
	uint32_t flags;

	*g = (struct session_glance){ NULL, HSM_ROLE_PUBLIC, false };
	if (st != HSM_OK || s == NULL)
		return st != HSM_OK ? st : HSM_E_SESSION;
	g->part = atomic_load_explicit(&s->part, memory_order_acquire);
	g->role = atomic_load_explicit(&s->role, memory_order_acquire);
	flags = atomic_load_explicit(&s->flags, memory_order_acquire);
	g->writable = g->role != HSM_ROLE_PUBLIC || (flags & HSM_SESSION_RW) != 0;
	return table_live(&sessions, handle) ? HSM_OK : HSM_E_SESSION;
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
	lock_give(&numbers.lock);
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
	lock_take(&s->lock);
}

void
session_unlock(struct session *s)
{
	lock_give(&s->lock);
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
	return (st = gate_ready()) != HSM_OK ? st : session_make(NULL, HSM_ROLE_SERVICE, HSM_SESSION_RW, HSM_NONE, session);
}

hsm_status
hsm_session_open(hsm_part part, uint32_t flags, hsm_session *session)
{
	struct partition *p;
	hsm_status st;

	*session = 0;
	if ((st = gate_ready()) != HSM_OK)
		return st;
	if ((flags & ~(HSM_SESSION_RW | HSM_SESSION_KEEPER)) != 0)
		return HSM_E_ARGS;
	if ((st = partition_acquire(part, &p)) != HSM_OK)
		return st;
	if ((flags & HSM_SESSION_KEEPER) == 0 && partition_pin(p) != NULL && partition_strict(p) && gate_weakened()) {
		partition_release(p);
		return HSM_E_WEAKENED;
	}
	/* An officer is alone with sessions that may write. */
	if ((flags & HSM_SESSION_RW) == 0 && partition_role(p) == HSM_ROLE_OFFICER)
		st = HSM_E_READ_ONLY;
	else
		st = session_begin(p, HSM_ROLE_PUBLIC, flags, HSM_NONE, session);
	if (st != HSM_OK)
		partition_release(p);
	return st;
}

hsm_status
hsm_session_close(hsm_session session)
{
	hsm_status st;

	if ((st = gate_ready()) != HSM_OK)
		return st;
	return table_end(&sessions, session) ? HSM_OK : HSM_E_SESSION;
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
	lab_trace("\"event\":\"login\",\"role\":%u,\"status\":\"%s\"", (unsigned)role, hsm_status_name(st));
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
	lab_trace("\"event\":\"logout\",\"status\":\"%s\"", hsm_status_name(st));
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
