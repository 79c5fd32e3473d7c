/* A sealed access key (seal.h, label "credential") holds expiry u64 |
 * principal, u16 length before it | secret, u16 length before it, and is
 * bound to: version u8 | account, u16 length | id, u16 length.
 * Once loaded only the keyed HMAC of "AWS4" and the secret is kept. */
#include "credential.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../crypto/rng.h"
#include "file.h"
#include "gate.h"
#include "handles.h"
#include "profile.h"
#include "root.h"
#include "seal.h"
#include "session.h"
#include "sigv4.h"
#include "text.h"

#define VERSION 1u
#define ID_MAX 128u
#define PRINCIPAL_MAX 2048u
#define ACCOUNT_MAX 64u
#define SECRET_MADE 40u
#define SECRET_MADE_LONG 48u
#define SECRET_LEAST 16u                /* of a secret from outside, in production */
#define SECRET_MOST 128u
#define CLEAR_LEN(principal_len, secret_len) (8 + 2 + (principal_len) + 2 + (secret_len))
#define CONTEXT_MAX_LEN (1 + 2 + ACCOUNT_MAX + 2 + ID_MAX)

#define REGION_MAX 64u
#define SERVICE_MAX 64u
#define SCOPES 4u

#define HEAP 16384u
#define DEPTH 16384u

/* A signing key, kept for the scope it was derived for. */
struct signing {
	uint8_t date[8], region[REGION_MAX], service[SERVICE_MAX];
	size_t region_len, service_len;
	struct hkey key;
};

struct credential {
	hsm_key handle;
	struct partition *p;
	uint8_t id[ID_MAX], principal[PRINCIPAL_MAX];
	size_t id_len, principal_len;
	uint64_t expires_ms;
	struct hkey *key;               /* in the arena, as is what follows */
	pthread_mutex_t lock;
	struct secret fresh;            /* just made, and not shown yet */
	struct signing *cache[SCOPES];
	unsigned turn;
};

/* ---- the table ------------------------------------------------------------ */

static void credential_reap(void *item);
static struct table table = TABLE_INIT(20, credential_reap);

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

static void
credential_free(struct credential *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; i < SCOPES; i++)
		arena_free(c->cache[i]);
	arena_free(c->key);
	secret_wipe(&c->fresh);
	partition_release(c->p);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void
credential_reap(void *item)
{
	credential_free(item);
}

/* Retains the partition. */
static struct credential *
credential_new(struct partition *p, hsm_in id, hsm_in principal, uint64_t expires_ms)
{
	struct credential *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	pthread_mutex_init(&c->lock, NULL);
	partition_retain(p);
	c->p = p;
	memcpy(c->id, id.ptr, id.len);
	c->id_len = id.len;
	memcpy(c->principal, principal.ptr, principal.len);
	c->principal_len = principal.len;
	c->expires_ms = expires_ms;
	return c;
}

static hsm_status
credential_publish(struct credential *c, hsm_key *key)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	hsm_status st;

	pthread_once(&once, table_watch_fork);
	if ((st = table_reserve(&table, 0, &c->handle)) != HSM_OK)
		return st;
	table_publish(&table, c->handle, c);
	*key = c->handle;
	/* Closed while we worked: whoever closed it may have walked by already. */
	if (!partition_alive(c->p)) {
		*key = 0;
		credential_forget(c->p);
		return HSM_E_PARTITION;
	}
	return HSM_OK;
}

hsm_status
credential_acquire(hsm_key handle, struct credential **c)
{
	*c = table_acquire(&table, handle);
	return *c == NULL ? HSM_E_HANDLE : HSM_OK;
}

void
credential_release(struct credential *c)
{
	if (c != NULL)
		table_release(&table, c->handle);
}

void
credential_forget(const struct partition *p)
{
	const uint32_t span = atomic_load(&table.span);
	const struct credential *c;
	hsm_key handle;

	for (uint32_t i = 0; i < span; i++) {
		if ((c = table_at(&table, i, &handle)) == NULL)
			continue;
		if (p == NULL || c->p == p)
			(void)table_retire(&table, handle);
		table_release(&table, handle);
	}
}

/* ---- what others ask ------------------------------------------------------ */

struct partition *
credential_partition(const struct credential *c)
{
	return c->p;
}

hsm_in
credential_principal(const struct credential *c)
{
	return (hsm_in){ c->principal, c->principal_len };
}

uint64_t
credential_expires(const struct credential *c)
{
	return c->expires_ms;
}

/* ---- sealing -------------------------------------------------------------- */

static hsm_in
seal_context(struct partition *p, hsm_in id, uint8_t room[CONTEXT_MAX_LEN])
{
	struct writer w;

	writer_init(&w, room, CONTEXT_MAX_LEN);
	writer_u8(&w, VERSION);
	writer_block16(&w, partition_account(p));
	writer_block16(&w, id);
	return (hsm_in){ room, w.len };
}

/* HMAC key "AWS4" | secret. */
static hsm_status
key_make(struct credential *c, hsm_in secret)
{
	struct secret prefixed = SECRET_NONE;
	struct writer w;
	hsm_status st;

	if ((c->key = arena_alloc(sizeof *c->key)) == NULL)
		return HSM_E_MEMORY;
	if ((st = secret_alloc(&prefixed, 4 + secret.len)) != HSM_OK)
		return st;
	writer_init(&w, prefixed.ptr, prefixed.len);
	writer_put(&w, "AWS4", 4);
	writer_put(&w, secret.ptr, secret.len);
	st = hkey_make(c->key, secret_in(&prefixed));
	secret_wipe(&prefixed);
	return st;
}

static hsm_status
credential_seal(const struct credential *c, hsm_in secret, hsm_out *sealed)
{
	uint8_t room[CONTEXT_MAX_LEN];
	struct secret clear = SECRET_NONE, kdk = SECRET_NONE;
	struct writer w;
	hsm_status st;

	if ((st = secret_alloc(&clear, CLEAR_LEN(c->principal_len, secret.len))) != HSM_OK)
		goto out;
	if ((st = partition_seal_key(c->p, true, &kdk)) != HSM_OK)
		goto out;
	writer_init(&w, clear.ptr, clear.len);
	writer_u64(&w, c->expires_ms);
	writer_block16(&w, credential_principal(c));
	writer_block16(&w, secret);
	st = seal_close(&kdk, "credential", seal_context(c->p, (hsm_in){ c->id, c->id_len }, room), secret_in(&clear), sealed);
out:
	secret_wipe(&clear);
	secret_wipe(&kdk);
	return st;
}

/* ---- the secret ----------------------------------------------------------- */

static bool
is_made(hsm_secret_source source)
{
	return source == HSM_SECRET_MADE || source == HSM_SECRET_MADE_LONG;
}

static size_t
made_len(hsm_secret_source source)
{
	return source == HSM_SECRET_MADE_LONG ? SECRET_MADE_LONG : SECRET_MADE;
}

/* Three random bytes are four characters of the alphabet, each as likely. */
static hsm_status
secret_make(size_t len, struct secret *secret)
{
	struct secret random = SECRET_NONE;
	hsm_status st;

	if ((st = secret_alloc(&random, len / 4 * 3)) != HSM_OK)
		goto out;
	if ((st = rng_bytes(random.ptr, random.len)) != HSM_OK)
		goto out;
	if ((st = secret_alloc(secret, len)) == HSM_OK)
		base64_encode(secret_in(&random), secret->ptr);
out:
	secret_wipe(&random);
	return st;
}

static hsm_status
secret_from_file(const char *path, struct secret *secret)
{
	struct secret file = SECRET_NONE;
	hsm_in text;
	hsm_status st = file_read(path, SECRET_MOST + 2, &file, NULL);

	text = secret_in(&file);
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	if (st == HSM_OK)
		st = text.len == 0 ? HSM_E_KEY_SIZE : secret_copy(secret, text);
	secret_wipe(&file);
	return st == HSM_E_DATA_LEN ? HSM_E_KEY_SIZE : st;
}

static hsm_status
secret_from_env(const char *name, struct secret *secret)
{
	const char *value = getenv(name);
	const size_t len = value == NULL ? 0 : strnlen(value, SECRET_MOST + 1);

	if (value == NULL)
		return HSM_E_IO;
	return len == 0 ? HSM_E_KEY_SIZE : secret_copy(secret, (hsm_in){ (const uint8_t *)value, len });
}

/* What somebody chose must fit a credentials file, and be worth guessing at
 * except in a double for tests. */
static hsm_status
secret_fits(hsm_in secret)
{
	struct root_info root;
	uint32_t bad = 0;

	root_describe(&root);
	if (secret.len > SECRET_MOST || (root.unsealed && root.mode == HSM_MODE_PRODUCTION && secret.len < SECRET_LEAST))
		return HSM_E_KEY_SIZE;
	for (size_t i = 0; i < secret.len; i++)
		bad |= ((uint32_t)secret.ptr[i] - 0x21u) >> 8 | (0x7eu - (uint32_t)secret.ptr[i]) >> 8;
	return bad == 0 ? HSM_OK : HSM_E_KEY_VALUE;
}

static hsm_status
secret_get(hsm_secret_source source, const char *from, struct secret *secret)
{
	hsm_status st;

	if (is_made(source))
		return secret_make(made_len(source), secret);
	st = source == HSM_SECRET_ENV ? secret_from_env(from, secret) : secret_from_file(from, secret);
	return st == HSM_OK ? secret_fits(secret_in(secret)) : st;
}

/* ---- making --------------------------------------------------------------- */

struct create {
	struct credential *c;
	hsm_secret_source source;
	const char *from;
	hsm_out *shown, *sealed;
};

static hsm_status
rooms(const struct create *job, size_t secret_len)
{
	const size_t clear = CLEAR_LEN(job->c->principal_len, secret_len);
	const hsm_status sealed = out_need(job->sealed, clear + SEAL_OVERHEAD);
	const hsm_status shown = job->shown == NULL ? HSM_OK : out_need(job->shown, secret_len);

	return sealed != HSM_OK ? sealed : shown;
}

static hsm_status
run_create(void *arg)
{
	struct create *job = arg;
	struct secret secret = SECRET_NONE;
	hsm_status st;

	if ((st = secret_get(job->source, job->from, &secret)) != HSM_OK)
		goto out;
	if ((st = rooms(job, secret.len)) != HSM_OK)
		goto out;
	if ((st = key_make(job->c, secret_in(&secret))) != HSM_OK)
		goto out;
	if ((st = credential_seal(job->c, secret_in(&secret), job->sealed)) != HSM_OK)
		goto out;
	/* It leaves once: now, or by hsm_credential_write. */
	if (job->shown != NULL)
		memcpy(job->shown->ptr, secret.ptr, secret.len);
	else
		secret_move(&job->c->fresh, &secret);
out:
	secret_wipe(&secret);
	return st;
}

static hsm_status
need_service(hsm_session session)
{
	struct session *s;
	hsm_status st = session_acquire(session, &s);

	if (st != HSM_OK)
		return st;
	st = session_role(s) == HSM_ROLE_SERVICE ? HSM_OK : HSM_E_ROLE;
	session_release(s);
	return st;
}

static bool
id_fits(hsm_in id)
{
	if (id.len == 0 || id.len > ID_MAX)
		return false;
	for (size_t i = 0; i < id.len; i++) {
		if (id.ptr[i] <= ' ' || id.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

static bool
create_fits(const struct create *job, hsm_in id, hsm_in principal)
{
	return id_fits(id) && principal.len > 0 && principal.len <= PRINCIPAL_MAX && utf8_valid(principal)
	       && (is_made(job->source) || job->from != NULL) && job->source <= HSM_SECRET_MADE_LONG;
}

hsm_status
hsm_credential_create(hsm_session service, hsm_part part, hsm_in id, hsm_in principal, uint64_t expires_ms,
	hsm_secret_source source, const char *from, hsm_out *shown, hsm_out *sealed, hsm_key *key)
{
	struct create job = { .source = source, .from = from, .shown = shown, .sealed = sealed };
	struct partition *p = NULL;
	hsm_status st;

	*key = 0;
	if ((st = need_service(service)) != HSM_OK)
		goto out;
	st = HSM_E_ARGS;
	if (!create_fits(&job, id, principal))
		goto out;
	if ((st = partition_acquire(part, &p)) != HSM_OK)
		goto out;
	st = HSM_E_MEMORY;
	if ((job.c = credential_new(p, id, principal, expires_ms)) == NULL)
		goto out;
	if (sealed->ptr == NULL || (shown != NULL && shown->ptr == NULL)) {
		st = rooms(&job, is_made(source) ? made_len(source) : SECRET_MOST);
		credential_free(job.c);
		goto out;
	}
	st = gate_call(run_create, &job, HEAP, DEPTH);
	if (st == HSM_OK)
		st = credential_publish(job.c, key);
	if (st != HSM_OK && st != HSM_E_PARTITION)
		credential_free(job.c);
out:
	if (st != HSM_OK && st != HSM_E_BUFFER) {
		sealed->len = 0;
		if (shown != NULL) {
			if (shown->ptr != NULL)
				bytes_wipe(shown->ptr, shown->len <= shown->cap ? shown->len : 0);
			shown->len = 0;
		}
	}
	partition_release(p);
	return st;
}

/* ---- opening -------------------------------------------------------------- */

struct open { struct partition *p; hsm_in id, sealed; struct credential *c; };

static hsm_status
run_open(void *arg)
{
	struct open *job = arg;
	uint8_t room[CONTEXT_MAX_LEN];
	struct secret clear = SECRET_NONE, kdk = SECRET_NONE;
	struct reader r;
	hsm_in principal, secret;
	uint64_t expires_ms;
	hsm_status st;

	if ((st = partition_seal_key(job->p, true, &kdk)) != HSM_OK)
		goto out;
	if ((st = seal_open(&kdk, "credential", seal_context(job->p, job->id, room), job->sealed, &clear)) != HSM_OK)
		goto out;
	reader_init(&r, secret_in(&clear));
	expires_ms = reader_u64(&r);
	principal = reader_block16(&r);
	secret = reader_block16(&r);
	st = HSM_E_FORMAT;
	if (!reader_done(&r) || principal.len == 0 || principal.len > PRINCIPAL_MAX || secret.len == 0)
		goto out;
	st = HSM_E_MEMORY;
	if ((job->c = credential_new(job->p, job->id, principal, expires_ms)) == NULL)
		goto out;
	st = key_make(job->c, secret);
out:
	secret_wipe(&clear);
	secret_wipe(&kdk);
	return st;
}

hsm_status
hsm_credential_open(hsm_session service, hsm_part part, hsm_in id, hsm_in sealed, hsm_key *key)
{
	struct open job = { .id = id, .sealed = sealed };
	hsm_status st;

	*key = 0;
	if ((st = need_service(service)) != HSM_OK)
		goto out;
	st = HSM_E_ARGS;
	if (!id_fits(id))
		goto out;
	if ((st = partition_acquire(part, &job.p)) != HSM_OK)
		goto out;
	if ((st = gate_call(run_open, &job, HEAP, DEPTH)) == HSM_OK)
		st = credential_publish(job.c, key);
	if (st != HSM_OK && st != HSM_E_PARTITION)
		credential_free(job.c);
out:
	partition_release(job.p);
	return st;
}

hsm_status
hsm_credential_close(hsm_session service, hsm_key key)
{
	struct credential *c;
	hsm_status st;

	if ((st = need_service(service)) != HSM_OK)
		return st;
	if ((st = credential_acquire(key, &c)) != HSM_OK)
		return st;
	if (!table_retire(&table, key))
		st = HSM_E_HANDLE;
	credential_release(c);
	return st;
}

/* ---- the credentials file ------------------------------------------------- */

struct writing { struct credential *c; const char *path, *profile; };

/* Once it is on disk it is forgotten here. */
static hsm_status
run_write(void *arg)
{
	const struct writing *job = arg;
	struct credential *c = job->c;
	hsm_status st = HSM_E_POLICY;

	pthread_mutex_lock(&c->lock);
	if (c->fresh.ptr != NULL)
		st = profile_write(job->path, job->profile, (hsm_in){ c->id, c->id_len }, secret_in(&c->fresh));
	if (st == HSM_OK)
		secret_wipe(&c->fresh);
	pthread_mutex_unlock(&c->lock);
	return st;
}

hsm_status
hsm_credential_write(hsm_session service, hsm_key key, const char *path, const char *profile)
{
	struct writing job = { .path = path, .profile = profile };
	hsm_status st;

	if (path == NULL || profile == NULL)
		return HSM_E_ARGS;
	if ((st = need_service(service)) != HSM_OK)
		return st;
	if ((st = credential_acquire(key, &job.c)) != HSM_OK)
		return st;
	st = gate_call(run_write, &job, HEAP, DEPTH);
	credential_release(job.c);
	return st;
}

/* ---- signing keys --------------------------------------------------------- */

static bool
signing_fits(const struct signing *s, const hsm_sigv4 *r)
{
	return s != NULL && memcmp(s->date, r->date.ptr, sizeof s->date) == 0
	       && bytes_equal((hsm_in){ s->region, s->region_len }, r->region)
	       && bytes_equal((hsm_in){ s->service, s->service_len }, r->service);
}

hsm_status
credential_signing_key(struct credential *c, const hsm_sigv4 *request, struct hkey *key, bool *fresh)
{
	*fresh = true;
	if (request->date.len != 8 || request->region.len > REGION_MAX || request->service.len > SERVICE_MAX)
		return HSM_E_SIGNATURE;
	pthread_mutex_lock(&c->lock);
	for (unsigned i = 0; i < SCOPES && *fresh; i++) {
		if (signing_fits(c->cache[i], request)) {
			*key = c->cache[i]->key;
			*fresh = false;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return *fresh ? sigv4_derive(c->key, request, key) : HSM_OK;
}

void
credential_remember(struct credential *c, const hsm_sigv4 *request, const struct hkey *key)
{
	struct signing *s;

	pthread_mutex_lock(&c->lock);
	s = c->cache[c->turn];
	if (s == NULL)
		s = c->cache[c->turn] = arena_alloc(sizeof *s);         /* full: it is derived again next time */
	if (s != NULL) {
		memcpy(s->date, request->date.ptr, sizeof s->date);
		memcpy(s->region, request->region.ptr, request->region.len);
		memcpy(s->service, request->service.ptr, request->service.len);
		s->region_len = request->region.len;
		s->service_len = request->service.len;
		s->key = *key;
		c->turn = (c->turn + 1) % SCOPES;
	}
	pthread_mutex_unlock(&c->lock);
}
