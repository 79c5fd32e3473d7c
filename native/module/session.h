/* session.h - who acts. A session is a capability with its own lock. */
#ifndef STRONGROOM_SESSION_H
#define STRONGROOM_SESSION_H

#include <stdbool.h>

#include "hsm.h"
#include "partition.h"

struct session;

/* Sessions made by the module itself (SigV4, service). principal may be
 * empty. The session retains the partition. */
HSM_MUST_USE hsm_status session_make(struct partition *p, hsm_role role, uint32_t flags, hsm_in principal, hsm_session *session);
HSM_MUST_USE hsm_status session_acquire(hsm_session handle, struct session **s);   /* HSM_E_SESSION */
void session_release(struct session *s);
hsm_role session_role(const struct session *s);          /* the effective one, now */
struct partition *session_partition(const struct session *s);  /* NULL for SERVICE */
hsm_in session_account(const struct session *s);
/* The partition is closed: its sessions end, those at work when they finish. */
void session_forget(const struct partition *p);          /* NULL: all */

/* ---- for this room ------------------------------------------------------- */

struct operation;

bool session_writable(const struct session *s);
hsm_in session_principal(const struct session *s);
/* Keep `key` until the session ends. HSM_E_MEMORY. */
HSM_MUST_USE hsm_status session_own(struct session *s, hsm_key key);
hsm_session session_handle(const struct session *s);

/* Alone with a session: its lock, which guards its operations, instead of a
 * counted loan. Whoever closes the session waits for us. */
HSM_MUST_USE hsm_status session_take(hsm_session handle, struct session **s);
void session_give(struct session *s);                  /* NULL is fine */
void session_lock(struct session *s);                   /* with a loan in hand */
void session_unlock(struct session *s);

/* What a session says, read in passing: no loan, nothing is written. `part` is
 * to be compared only, unless something else keeps it. HSM_E_SESSION. */
struct session_glance { struct partition *part; hsm_role role; bool writable; };
HSM_MUST_USE hsm_status session_look(hsm_session handle, struct session_glance *g);
/* One a use; the slot is empty (NULL) until stream.c fills it. */
struct operation **session_operation(struct session *s, uint32_t use);    /* NULL: no such use */

uint64_t session_count(void);
void session_fork(void);                /* in a forked child: forget all */

#endif
