#include "partition.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "../base/lab.h"
#include "../crypto/rng.h"
#include "../mech/primitive.h"
#include "credential.h"
#include "gate.h"
#include "handles.h"
#include "object.h"
#include "pin.h"
#include "root.h"
#include "seal.h"
#include "session.h"

/* A sealed account key: "SRac" | version 1 | root id 16 | root generation u32
 * | blob. The blob (seal.h, label "account") holds key id 16 | key generation
 * u32 | key 32, and is bound to the fields before it and the account. The
 * fields in the clear let a wrong root be refused by name. */
#define VERSION 1u
#define NAME_LEN (4u + 1 + ROOT_ID_LEN + 4)
#define KEY_ID_LEN 16u
#define CLEAR_LEN (KEY_ID_LEN + 4 + SEAL_KEY_LEN)
#define SEALED_LEN (NAME_LEN + CLEAR_LEN + SEAL_OVERHEAD)
#define ACCOUNT_MAX 64u

#define HEAP 8192u
#define DEPTH 12288u

static const uint8_t magic[4] = { 'S', 'R', 'a', 'c' };

/* A PIN of an ephemeral partition: it guards nothing on disk, and its verifier
 * lies in the arena beside the keys, so few iterations are enough. */
#define PIN_ITERATIONS 10000u
#define PIN_SALT 16u
#define PIN_VERIFIER 32u

struct local_pin {
	atomic_bool there;
	uint32_t tries;
	struct secret verifier;         /* salt | PBKDF2 */
};

enum partition_kind { PARTITION_ACCOUNT, PARTITION_EPHEMERAL, PARTITION_TOKEN };

struct partition {
	hsm_part handle;
	enum partition_kind kind;
	atomic_uint loans;
	atomic_bool alive, strict;
	_Atomic hsm_role role;
	uint8_t account[ACCOUNT_MAX];
	size_t account_len;
	struct secret key;              /* ACCOUNT, EPHEMERAL */
	uint8_t key_id[KEY_ID_LEN];
	uint32_t key_generation;
	struct pin *pin;                /* TOKEN */
	pthread_mutex_t login;          /* guards what follows, and changes of role */
	struct local_pin user, officer; /* EPHEMERAL */
};

/* ---- the table ------------------------------------------------------------- */

#define SLOT_BITS 20u

static void partition_reap(void *item);
static struct table table = TABLE_INIT(SLOT_BITS, partition_reap);

static void
table_forked(void)
{
	table_forget(&table);
}

static void
table_watch_fork(void)
{
	(void)pthread_atfork(NULL, NULL, table_forked);
}

/* The table's own loan is the one a new partition begins with. */
static hsm_status
partition_publish(struct partition *p)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	hsm_status st;

	pthread_once(&once, table_watch_fork);
	if ((st = table_reserve(&table, 0, &p->handle)) != HSM_OK)
		return st;
	atomic_store(&p->alive, true);
	table_publish(&table, p->handle, p);
	return HSM_OK;
}

hsm_status
partition_acquire(hsm_part part, struct partition **p)
{
	if ((*p = table_acquire(&table, part)) == NULL)
		return HSM_E_PARTITION;
	partition_retain(*p);
	table_release(&table, part);
	return HSM_OK;
}

/* ---- life ----------------------------------------------------------------- */

static struct partition *
partition_new(enum partition_kind kind, hsm_in account)
{
	struct partition *p;

	if (account.len == 0 || account.len > ACCOUNT_MAX || (p = calloc(1, sizeof *p)) == NULL)
		return NULL;
	p->kind = kind;
	p->loans = 1;
	p->role = HSM_ROLE_PUBLIC;
	memcpy(p->account, account.ptr, account.len);
	p->account_len = account.len;
	pthread_mutex_init(&p->login, NULL);
	return p;
}

static hsm_status
account_fits(hsm_in account)
{
	return account.len == 0 || account.len > ACCOUNT_MAX ? HSM_E_ARGS : HSM_OK;
}

void
partition_retain(struct partition *p)
{
	atomic_fetch_add_explicit(&p->loans, 1, memory_order_relaxed);
}

void
partition_release(struct partition *p)
{
	if (p == NULL || atomic_fetch_sub_explicit(&p->loans, 1, memory_order_acq_rel) != 1)
		return;
	secret_wipe(&p->key);
	secret_wipe(&p->user.verifier);
	secret_wipe(&p->officer.verifier);
	pin_free(p->pin);
	pthread_mutex_destroy(&p->login);
	free(p);
}

/* Closed, and nobody is on the way in: its access keys, sessions and objects
 * end. Work under way finishes with the loans it holds; the last one wipes. */
static void
partition_reap(void *item)
{
	struct partition *p = item;

	credential_forget(p);
	session_forget(p);
	object_forget(p);
	partition_release(p);
}

hsm_status
hsm_partition_close(hsm_part part)
{
	struct partition *p = table_acquire(&table, part);

	if (p == NULL)
		return HSM_E_PARTITION;
	if (table_retire(&table, part))
		atomic_store(&p->alive, false);
	table_release(&table, part);
	return HSM_OK;
}

static void
partition_close_some(bool sealed_only)
{
	const uint32_t span = atomic_load(&table.span);
	struct partition *p;
	hsm_part part;

	for (uint32_t i = 0; i < span; i++) {
		if ((p = table_at(&table, i, &part)) == NULL)
			continue;
		if ((!sealed_only || p->kind == PARTITION_ACCOUNT) && table_retire(&table, part))
			atomic_store(&p->alive, false);
		table_release(&table, part);
	}
}

void
partition_close_sealed(void)
{
	partition_close_some(true);
}

void
partition_close_all(void)
{
	credential_forget(NULL);
	partition_close_some(false);
}

/* ---- accounts ------------------------------------------------------------- */

struct account_job { struct partition *p; hsm_out *sealed; hsm_in given; };

/* The fields in the clear, then the account: what the blob is bound to. */
static hsm_in
account_context(const struct partition *p, const uint8_t *name, uint8_t room[NAME_LEN + 2 + ACCOUNT_MAX])
{
	struct writer w;

	writer_init(&w, room, NAME_LEN + 2 + ACCOUNT_MAX);
	writer_put(&w, name, NAME_LEN);
	writer_block16(&w, partition_account(p));
	return (hsm_in){ room, w.len };
}

static void
account_name(const struct root_info *root, uint8_t name[NAME_LEN])
{
	struct writer w;

	writer_init(&w, name, NAME_LEN);
	writer_put(&w, magic, sizeof magic);
	writer_u8(&w, VERSION);
	writer_put(&w, root->id, sizeof root->id);
	writer_u32(&w, root->generation);
}

static hsm_status
account_seal(const struct partition *p, hsm_out *sealed)
{
	uint8_t room[NAME_LEN + 2 + ACCOUNT_MAX];
	struct secret clear = SECRET_NONE;
	struct root_info root;
	hsm_out blob = { sealed->ptr + NAME_LEN, SEALED_LEN - NAME_LEN, 0 };
	struct writer w;
	hsm_status st;

	root_describe(&root);
	account_name(&root, sealed->ptr);
	if ((st = secret_alloc(&clear, CLEAR_LEN)) != HSM_OK)
		goto out;
	writer_init(&w, clear.ptr, clear.len);
	writer_put(&w, p->key_id, sizeof p->key_id);
	writer_u32(&w, p->key_generation);
	writer_put(&w, p->key.ptr, p->key.len);
	st = root_seal("account", account_context(p, sealed->ptr, room), secret_in(&clear), &blob);
out:
	secret_wipe(&clear);
	return st;
}

static hsm_status
account_unseal(struct partition *p, hsm_in sealed)
{
	uint8_t room[NAME_LEN + 2 + ACCOUNT_MAX], name[NAME_LEN];
	struct secret clear = SECRET_NONE;
	struct root_info root;
	struct reader r;
	hsm_status st;

	root_describe(&root);
	if (!root.unsealed)
		return HSM_E_SEALED;
	account_name(&root, name);
	if (sealed.len != SEALED_LEN || memcmp(sealed.ptr, name, 5) != 0)
		return HSM_E_FORMAT;
	if (memcmp(sealed.ptr, name, NAME_LEN) != 0)
		return HSM_E_ROOT;
	st = root_unseal("account", account_context(p, name, room),
	                 (hsm_in){ sealed.ptr + NAME_LEN, sealed.len - NAME_LEN }, &clear);
	if (st != HSM_OK)
		goto out;
	reader_init(&r, secret_in(&clear));
	reader_copy(&r, p->key_id, sizeof p->key_id);
	p->key_generation = reader_u32(&r);
	st = secret_copy(&p->key, reader_take(&r, SEAL_KEY_LEN));
out:
	secret_wipe(&clear);
	return st;
}

/* A fresh key for an account or a partition of this process alone. */
static hsm_status
key_make(struct partition *p)
{
	hsm_status st;

	p->key_generation = 1;
	if ((st = rng_bytes(p->key_id, sizeof p->key_id)) != HSM_OK)
		return st;
	if ((st = secret_alloc(&p->key, SEAL_KEY_LEN)) != HSM_OK)
		return st;
	return rng_bytes(p->key.ptr, p->key.len);
}

static hsm_status
account_create(void *arg)
{
	struct account_job *job = arg;
	hsm_status st = key_make(job->p);

	return st == HSM_OK ? account_seal(job->p, job->sealed) : st;
}

static hsm_status
account_open(void *arg)
{
	struct account_job *job = arg;

	return account_unseal(job->p, job->given);
}

static hsm_status
ephemeral_create(void *arg)
{
	return key_make(((struct account_job *)arg)->p);
}

/* Fill a new partition by `fill`, then give it a handle. */
static hsm_status
partition_make(enum partition_kind kind, hsm_in account, hsm_status (*fill)(void *), struct account_job *job, hsm_part *part)
{
	hsm_status st;

	*part = 0;
	if ((st = account_fits(account)) != HSM_OK)
		return st;
	if ((job->p = partition_new(kind, account)) == NULL)
		return HSM_E_MEMORY;
	if ((st = gate_call(fill, job, HEAP, DEPTH)) == HSM_OK)
		st = partition_publish(job->p);
	if (st != HSM_OK) {
		partition_release(job->p);
		return st;
	}
	*part = job->p->handle;
	return HSM_OK;
}

hsm_status
hsm_partition_create(hsm_in account, hsm_out *sealed, hsm_part *part)
{
	struct account_job job = { .sealed = sealed };
	hsm_status st;

	*part = 0;
	if ((st = out_need(sealed, SEALED_LEN)) != HSM_OK || sealed->ptr == NULL)
		return st;
	if ((st = partition_make(PARTITION_ACCOUNT, account, account_create, &job, part)) != HSM_OK) {
		bytes_wipe(sealed->ptr, SEALED_LEN);
		sealed->len = 0;
	}
	return st;
}

hsm_status
hsm_partition_open(hsm_in account, hsm_in sealed, hsm_part *part)
{
	struct account_job job = { .given = sealed };

	return partition_make(PARTITION_ACCOUNT, account, account_open, &job, part);
}

hsm_status
hsm_partition_ephemeral(hsm_in label, hsm_part *part)
{
	struct account_job job = { .p = NULL };

	return partition_make(PARTITION_EPHEMERAL, label, ephemeral_create, &job, part);
}

hsm_status
hsm_partition_restrict(hsm_part part)
{
	struct partition *p;
	hsm_status st = partition_acquire(part, &p);

	if (st == HSM_OK)
		atomic_store(&p->strict, true);
	partition_release(p);
	return st;
}

hsm_status
partition_make_token(hsm_in account, bool strict, struct pin *pin, struct partition **made, hsm_part *part)
{
	struct partition *p;
	hsm_status st;

	*made = NULL;
	*part = 0;
	if ((st = account_fits(account)) != HSM_OK)
		return st;
	if ((p = partition_new(PARTITION_TOKEN, account)) == NULL)
		return HSM_E_MEMORY;
	atomic_store(&p->strict, strict);
	if ((st = partition_publish(p)) != HSM_OK) {
		partition_release(p);
		return st;
	}
	p->pin = pin;
	*made = p;
	*part = p->handle;
	return HSM_OK;
}

/* ---- what others ask ------------------------------------------------------ */

hsm_part
partition_handle(const struct partition *p)
{
	return p->handle;
}

hsm_in
partition_account(const struct partition *p)
{
	return (hsm_in){ p->account, p->account_len };
}

const struct secret *
partition_key(const struct partition *p)
{
	return &p->key;
}

void
partition_token_strict(struct partition *p, bool strict)
{
	atomic_store(&p->strict, strict);
}

struct pin *
partition_pin(const struct partition *p)
{
	return p->pin;
}

hsm_status
partition_seal_key(struct partition *p, bool priv, struct secret *key)
{
	if (p->kind == PARTITION_TOKEN)
		return pin_key(p->pin, priv, key);
	return secret_copy(key, secret_in(&p->key));
}

bool
partition_strict(const struct partition *p)
{
	return atomic_load_explicit(&p->strict, memory_order_relaxed) && lab(LAB_STRICT_OFF) == 0;
}

bool
partition_alive(const struct partition *p)
{
	return atomic_load_explicit(&p->alive, memory_order_acquire);
}

/* ---- roles ---------------------------------------------------------------- */

static bool
pin_there(const struct local_pin *pin)
{
	return atomic_load_explicit(&pin->there, memory_order_acquire);
}

/* An ephemeral partition that nobody gave a PIN is its user's at once. */
hsm_role
partition_role(const struct partition *p)
{
	const hsm_role role = atomic_load_explicit(&p->role, memory_order_acquire);

	if (role == HSM_ROLE_PUBLIC && p->kind == PARTITION_EPHEMERAL && !pin_there(&p->user) && !pin_there(&p->officer))
		return HSM_ROLE_USER;
	return role;
}

struct pin_job { hsm_in pin; struct local_pin *local; };

static hsm_status
pin_stretch(hsm_in pin, hsm_in salt, uint8_t verifier[PIN_VERIFIER])
{
	return primitive_pbkdf2(HSM_SHA512, pin, salt, PIN_ITERATIONS, verifier, PIN_VERIFIER);
}

static hsm_status
local_check(void *arg)
{
	struct pin_job *job = arg;
	const struct secret *stored = &job->local->verifier;
	uint8_t given[PIN_VERIFIER];
	hsm_status st;

	if (job->local->tries == 0)
		return HSM_E_PIN_LOCKED;
	job->local->tries--;            /* counted before it is checked */
	st = pin_stretch(job->pin, (hsm_in){ stored->ptr, PIN_SALT }, given);
	if (st == HSM_OK && !bytes_equal_secret(given, stored->ptr + PIN_SALT, PIN_VERIFIER))
		st = HSM_E_PIN;
	if (st == HSM_OK)
		job->local->tries = HSM_PIN_TRIES;
	bytes_wipe(given, sizeof given);
	return st;
}

static hsm_status
local_set(void *arg)
{
	struct pin_job *job = arg;
	struct secret fresh = SECRET_NONE;
	hsm_status st;

	if ((st = secret_alloc(&fresh, PIN_SALT + PIN_VERIFIER)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(fresh.ptr, PIN_SALT)) != HSM_OK)
		goto out;
	if ((st = pin_stretch(job->pin, (hsm_in){ fresh.ptr, PIN_SALT }, fresh.ptr + PIN_SALT)) != HSM_OK)
		goto out;
	secret_wipe(&job->local->verifier);
	secret_move(&job->local->verifier, &fresh);
	job->local->tries = HSM_PIN_TRIES;
	atomic_store(&job->local->there, true);
out:
	secret_wipe(&fresh);
	return st;
}

static struct local_pin *
local_pin(struct partition *p, hsm_role role)
{
	return role == HSM_ROLE_OFFICER ? &p->officer : &p->user;
}

/* Ephemeral partitions. Called with p->login held. */
static hsm_status
local_login(struct partition *p, hsm_role role, hsm_in pin)
{
	struct pin_job job = { pin, local_pin(p, role) };

	if (!pin_there(job.local))
		return HSM_E_PIN_UNSET;
	if (pin.len < HSM_PIN_MIN || pin.len > HSM_PIN_MAX)
		return HSM_E_PIN;
	return gate_run(local_check, &job, HEAP, DEPTH);
}

hsm_status
partition_login(struct partition *p, hsm_role role, hsm_in pin)
{
	const bool again = role == HSM_ROLE_CONTEXT;
	hsm_status st = HSM_E_UNSUPPORTED;

	if (role != HSM_ROLE_USER && role != HSM_ROLE_OFFICER && !again)
		return HSM_E_ARGS;
	pthread_mutex_lock(&p->login);
	if (again && atomic_load(&p->role) != HSM_ROLE_USER)
		st = HSM_E_NOT_LOGGED_IN;
	else if (!again && atomic_load(&p->role) != HSM_ROLE_PUBLIC)
		st = HSM_E_LOGGED_IN;
	else if (p->kind == PARTITION_TOKEN)
		st = pin_login(p->pin, role, pin);
	else if (p->kind == PARTITION_EPHEMERAL)
		st = local_login(p, role, pin);
	if (st == HSM_OK && !again)
		atomic_store(&p->role, role);
	pthread_mutex_unlock(&p->login);
	return st;
}

hsm_status
partition_logout(struct partition *p)
{
	hsm_status st = HSM_E_NOT_LOGGED_IN;

	pthread_mutex_lock(&p->login);
	if (atomic_load(&p->role) != HSM_ROLE_PUBLIC) {
		atomic_store(&p->role, HSM_ROLE_PUBLIC);
		if (p->kind == PARTITION_TOKEN)
			pin_logout(p->pin);
		st = HSM_OK;
	}
	pthread_mutex_unlock(&p->login);
	return st;
}

static bool
pin_may_set(const struct partition *p, hsm_role now, hsm_role role)
{
	if (now == HSM_ROLE_OFFICER)
		return true;
	return now == HSM_ROLE_USER && (role == HSM_ROLE_USER || !pin_there(&p->officer));
}

hsm_status
partition_pin_set(struct partition *p, hsm_role role, hsm_in pin)
{
	struct pin_job job = { pin, local_pin(p, role) };
	hsm_role now;
	hsm_status st;

	if (p->kind != PARTITION_EPHEMERAL)
		return HSM_E_UNSUPPORTED;
	if (role != HSM_ROLE_USER && role != HSM_ROLE_OFFICER)
		return HSM_E_ARGS;
	if (pin.len < HSM_PIN_MIN || pin.len > HSM_PIN_MAX)
		return HSM_E_PIN_LEN;
	pthread_mutex_lock(&p->login);
	now = partition_role(p);
	st = pin_may_set(p, now, role) ? gate_run(local_set, &job, HEAP, DEPTH) : HSM_E_ROLE;
	if (st == HSM_OK)
		atomic_store(&p->role, now);    /* who set the first PIN stays logged in */
	pthread_mutex_unlock(&p->login);
	return st;
}
