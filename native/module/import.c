/* Bring your own key. A token is sealed (seal.h, label "import") under the
 * account key, bound to: version u8 | account, u16 length | object id, u16
 * length; inside: expires u64 | way of wrapping u8 | RSA bits u32 | the private
 * key's PKCS#8, u32 length. */
#include <string.h>

#include "../base/state.h"
#include "../mech/hkey.h"
#include "gate.h"
#include "object.h"
#include "seal.h"
#include "session.h"

#define VERSION 1u
#define NAME_MAX_LEN 64u
#define CONTEXT_MAX_LEN (1 + 2 + NAME_MAX_LEN + 2 + NAME_MAX_LEN)
#define TOKEN_MAX 6144u
#define WRAPPED_MAX 6144u
#define SPKI_MAX 1024u
#define KEY_HEAP 32768u
#define MAKE_DEPTH (128u << 10)

/* Partition and object a call is about. */
struct place { struct session *s; struct partition *p; hsm_in object_id; struct secret kdk; };

static void
place_leave(struct place *at)
{
	secret_wipe(&at->kdk);
	partition_release(at->p);
	if (at->s != NULL)
		session_release(at->s);
}

static hsm_status
place_enter(struct place *at, hsm_session service, hsm_part part, hsm_in object_id)
{
	hsm_status st;

	*at = (struct place){ .object_id = object_id };
	if ((st = session_acquire(service, &at->s)) != HSM_OK)
		return st;
	if (session_role(at->s) != HSM_ROLE_SERVICE)
		return HSM_E_ROLE;
	if (object_id.len == 0 || object_id.len > NAME_MAX_LEN)
		return HSM_E_ARGS;
	if ((st = partition_acquire(part, &at->p)) != HSM_OK)
		return st;
	return partition_seal_key(at->p, true, &at->kdk);
}

static hsm_in
token_context(const struct place *at, uint8_t room[CONTEXT_MAX_LEN])
{
	struct writer w;

	writer_init(&w, room, CONTEXT_MAX_LEN);
	writer_u8(&w, VERSION);
	writer_block16(&w, partition_account(at->p));
	writer_block16(&w, at->object_id);
	return (hsm_in){ room, w.len };
}

/* ---- a wrapping key ------------------------------------------------------- */

struct begin {
	struct place at;
	hsm_import_wrap wrap;
	uint32_t bits;
	uint64_t expires_ms;
	struct secret priv, pub;
	hsm_out *spki, *token;
};

/* An RSA pair, tested against itself. */
static hsm_status
run_pair(void *arg)
{
	struct begin *job = arg;
	const struct kind *rsa = kind_find(HSM_KEY_RSA);
	struct key key;
	hsm_status st;

	if ((st = rsa->generate((hsm_spec){ HSM_KEY_RSA, job->bits }, &(hsm_params){ 0 }, &job->priv, &job->pub)) != HSM_OK)
		return st;
	if ((st = key_load(&key, HSM_KEY_RSA, PART_PRIVATE, secret_in(&job->priv))) != HSM_OK)
		return st;
	st = rsa->consistent(&key);
	key_unload(&key);
	return st;
}

static hsm_status
run_token(void *arg)
{
	struct begin *job = arg;
	uint8_t room[CONTEXT_MAX_LEN];
	struct secret clear = SECRET_NONE;
	struct writer w;
	hsm_status st;

	if ((st = secret_alloc(&clear, 8 + 1 + 4 + 4 + job->priv.len)) != HSM_OK)
		goto out;
	writer_init(&w, clear.ptr, clear.len);
	writer_u64(&w, job->expires_ms);
	writer_u8(&w, (uint8_t)job->wrap);
	writer_u32(&w, job->bits);
	writer_block32(&w, secret_in(&job->priv));
	st = seal_close(&job->at.kdk, "import", token_context(&job->at, room), secret_in(&clear), job->token);
out:
	secret_wipe(&clear);
	return st;
}

static hsm_status
begin_rooms(struct begin *job, size_t spki_len, size_t priv_len)
{
	const hsm_status spki = out_need(job->spki, spki_len);
	const hsm_status token = out_need(job->token, 8 + 1 + 4 + 4 + priv_len + SEAL_OVERHEAD);

	return spki != HSM_OK ? spki : token;
}

static hsm_status
begin(struct begin *job)
{
	const struct mech *row = mech_find(HSM_RSA_KEY_PAIR_GEN);
	hsm_status st;

	if (job->wrap > HSM_IMPORT_AES_KEY_WRAP_SHA256)
		return HSM_E_ARGS;
	if (job->bits != 2048 && job->bits != 3072 && job->bits != 4096)
		return HSM_E_KEY_SIZE;
	if (job->spki->ptr == NULL || job->token->ptr == NULL)
		return begin_rooms(job, SPKI_MAX, TOKEN_MAX - SEAL_OVERHEAD - 17);
	gate_approved(true);
	st = gate_run(run_pair, job, KEY_HEAP + row->heap + kind_find(HSM_KEY_RSA)->heap, MAKE_DEPTH);
	if (st == HSM_E_SELF_TEST)
		(void)!state_event(EVENT_TEST_FAILED, "pairwise consistency");
	if (st != HSM_OK)
		return st;
	if ((st = begin_rooms(job, job->pub.len, job->priv.len)) != HSM_OK)
		return st;
	if ((st = gate_run(run_token, job, KEY_HEAP, MAKE_DEPTH)) == HSM_OK)
		memcpy(job->spki->ptr, job->pub.ptr, job->pub.len);
	return st;
}

hsm_status
hsm_import_begin(hsm_session service, hsm_part part, hsm_in object_id, hsm_import_wrap wrap, uint32_t bits, uint64_t expires_ms,
	hsm_out *spki, hsm_out *token)
{
	struct begin job = { .wrap = wrap, .bits = bits, .expires_ms = expires_ms, .spki = spki, .token = token };
	hsm_status st;

	if ((st = place_enter(&job.at, service, part, object_id)) == HSM_OK)
		st = begin(&job);
	if (st != HSM_OK && st != HSM_E_BUFFER)
		spki->len = token->len = 0;
	secret_wipe(&job.priv);
	secret_wipe(&job.pub);
	place_leave(&job.at);
	return st;
}

/* ---- taking a key in ------------------------------------------------------ */

struct finish {
	struct place at;
	hsm_in token, wrapped;
	uint64_t now_ms;
	hsm_spec spec;
	hsm_import_wrap wrap;
	struct secret priv, material;
	uint8_t *fingerprint;
};

static bool
is_secret(hsm_spec spec)
{
	return spec.type == HSM_KEY_KDK || spec.type == HSM_KEY_GENERIC || spec.type == HSM_KEY_AES;
}

static hsm_status
token_open(struct finish *job)
{
	uint8_t room[CONTEXT_MAX_LEN];
	struct secret clear = SECRET_NONE;
	struct reader r;
	uint64_t expires;
	hsm_in priv;
	uint8_t wrap;
	hsm_status st;

	if ((st = seal_open(&job->at.kdk, "import", token_context(&job->at, room), job->token, &clear)) != HSM_OK)
		goto out;
	reader_init(&r, secret_in(&clear));
	expires = reader_u64(&r);
	wrap = reader_u8(&r);
	(void)reader_u32(&r);
	priv = reader_block32(&r);
	st = HSM_E_FORMAT;
	if (!reader_done(&r) || wrap > HSM_IMPORT_AES_KEY_WRAP_SHA256)
		goto out;
	st = HSM_E_EXPIRED;
	if (job->now_ms >= expires)
		goto out;
	job->wrap = (hsm_import_wrap)wrap;
	st = secret_copy(&job->priv, priv);
out:
	secret_wipe(&clear);
	return st;
}

static const struct mech *
wrap_row(hsm_import_wrap wrap)
{
	const bool hybrid = wrap == HSM_IMPORT_AES_KEY_WRAP_SHA1 || wrap == HSM_IMPORT_AES_KEY_WRAP_SHA256;

	return mech_find(hybrid ? HSM_RSA_AES_KEY_WRAP : HSM_RSA_OAEP);
}

static hsm_status
material_unwrap(struct finish *job)
{
	const bool sha1 = job->wrap == HSM_IMPORT_OAEP_SHA1 || job->wrap == HSM_IMPORT_AES_KEY_WRAP_SHA1;
	const hsm_hash hash = sha1 ? HSM_SHA1 : HSM_SHA256;
	const hsm_params params = { .hash = hash, .mgf = hash, .wrap_bits = 256 };
	struct secret room = SECRET_NONE;
	struct key key;
	hsm_out out;
	hsm_status st;

	if ((st = key_load(&key, HSM_KEY_RSA, PART_PRIVATE, secret_in(&job->priv))) != HSM_OK)
		return st;
	if ((st = secret_alloc(&room, job->wrapped.len)) != HSM_OK)
		goto out;
	out = (hsm_out){ room.ptr, room.len, 0 };
	if ((st = wrap_row(job->wrap)->open(&key, &params, job->wrapped, &out)) != HSM_OK)
		goto out;
	st = out.len == 0 ? HSM_E_KEY_SIZE : secret_copy(&job->material, (hsm_in){ room.ptr, out.len });
out:
	secret_wipe(&room);
	key_unload(&key);
	return st;
}

static hsm_status
run_unwrap(void *arg)
{
	struct finish *job = arg;
	const hsm_status st = token_open(job);

	return st == HSM_OK ? material_unwrap(job) : st;
}

/* What tells one key from another: a secret key's bytes, a private key's
 * public half (PKCS#8 has many spellings of one key). */
static hsm_status
identity_of(struct finish *job, struct secret *identity)
{
	struct key key;
	hsm_out out = { NULL, 0, 0 };
	hsm_status st;

	if (is_secret(job->spec))
		return secret_copy(identity, secret_in(&job->material));
	if ((st = key_load(&key, job->spec.type, PART_PRIVATE, secret_in(&job->material))) != HSM_OK)
		return st;
	if ((st = key.kind->publish(&key, &out)) != HSM_OK)
		goto out;
	if ((st = secret_alloc(identity, out.len)) != HSM_OK)
		goto out;
	out = (hsm_out){ identity->ptr, identity->len, 0 };
	if ((st = key.kind->publish(&key, &out)) == HSM_OK)
		identity->len = out.len;
out:
	key_unload(&key);
	return st;
}

static hsm_status
run_fingerprint(void *arg)
{
	struct finish *job = arg;
	uint8_t bytes[SEAL_KEY_LEN], head[2 + NAME_MAX_LEN + 4 + 4 + 4];
	struct secret identity = SECRET_NONE;
	struct hkey hkey;
	struct writer w;
	hsm_status st;

	if ((st = identity_of(job, &identity)) != HSM_OK)
		goto out;
	if ((st = seal_derive(&job->at.kdk, "fingerprint", HSM_NONE, bytes, sizeof bytes)) != HSM_OK)
		goto out;
	if ((st = hkey_make(&hkey, (hsm_in){ bytes, sizeof bytes })) != HSM_OK)
		goto out;
	writer_init(&w, head, sizeof head);
	writer_block16(&w, job->at.object_id);
	writer_u32(&w, job->spec.type);
	writer_u32(&w, job->spec.param);
	writer_u32(&w, (uint32_t)identity.len);
	st = hkey_mac(&hkey, (const hsm_in[]){ { head, w.len }, secret_in(&identity) }, 2, job->fingerprint);
	bytes_wipe(&hkey, sizeof hkey);
out:
	bytes_wipe(bytes, sizeof bytes);
	secret_wipe(&identity);
	return st;
}

/* A raw key is as long as its spec says, to the byte. */
static hsm_status
material_fits(const struct finish *job)
{
	if (is_secret(job->spec) && (job->spec.param == 0 || job->material.len * 8 != job->spec.param))
		return HSM_E_KEY_SIZE;
	return HSM_OK;
}

static hsm_status
finish(struct finish *job, const hsm_attr *attrs, size_t n, hsm_key *key)
{
	const struct kind *kind = kind_find(job->spec.type), *rsa = kind_find(HSM_KEY_RSA);
	const struct mech *row = mech_find(HSM_RSA_AES_KEY_WRAP);
	const uint32_t klass = is_secret(job->spec) ? HSM_CLASS_SECRET : HSM_CLASS_PRIVATE;
	hsm_status st;

	if (kind == NULL || (!is_secret(job->spec) && kind->publish == NULL))
		return HSM_E_KEY_TYPE;
	if (job->wrapped.len == 0 || job->wrapped.len > WRAPPED_MAX)
		return HSM_E_CIPHERTEXT_LEN;
	gate_approved(true);
	st = gate_run(run_unwrap, job, KEY_HEAP + row->heap + rsa->heap + job->token.len + 2 * WRAPPED_MAX, MAKE_DEPTH);
	if (st != HSM_OK)
		return st;
	if ((st = material_fits(job)) != HSM_OK)
		return st;
	if ((st = gate_run(run_fingerprint, job, KEY_HEAP + kind->heap, MAKE_DEPTH)) != HSM_OK)
		return st;
	return object_adopt(job->at.s, job->at.p, klass, job->spec, attrs, n, &job->material, false, key);
}

hsm_status
hsm_import_finish(hsm_session service, hsm_part part, hsm_in object_id, hsm_in token, hsm_in wrapped, uint64_t now_ms, hsm_spec spec,
	const hsm_attr *attrs, size_t n, uint8_t fingerprint[HSM_IMPORT_FINGERPRINT], hsm_key *key)
{
	struct finish job = { .token = token, .wrapped = wrapped, .now_ms = now_ms, .spec = spec, .fingerprint = fingerprint };
	hsm_status st;

	*key = 0;
	if ((st = place_enter(&job.at, service, part, object_id)) == HSM_OK)
		st = finish(&job, attrs, n, key);
	if (st != HSM_OK)
		bytes_wipe(fingerprint, HSM_IMPORT_FINGERPRINT);
	secret_wipe(&job.priv);
	secret_wipe(&job.material);
	place_leave(&job.at);
	return st;
}
